//! What the rig reports of the heap, compared with an independent count: equal to the byte.

use hilrig_core::event::What;
use hilrig_core::exit;
use hilrig_core::heap::{HeapPhase, HeapSample, HeapSource};
use hilrig_tests::artifacts;
use hilrig_tests::attached::AttachedBoard;
use hilrig_tests::guest_heap::{Blocks, Counting, Moment, Start};
use hilrig_tests::record::Record;
use hilrig_tests::sandbox::{Configuration, Sandbox};

/// The heap figures that the board reported, in order.
fn told(record: &Record) -> Vec<HeapSample> {
    let heap = |what| if let What::Heap(sample) = what { Some(sample) } else { None };
    record.events().into_iter().filter_map(|event| heap(event.what)).collect()
}

/// The start in which the firmware counted what it reported here, which is then removed.
fn counted(sample: &HeapSample, starts: &mut [Start]) -> usize {
    let now = Blocks {
        free: sample.free.unwrap(),
        largest: sample.largest.unwrap(),
        fragmentation: sample.fragmentation.unwrap(),
    };
    for (number, start) in starts.iter_mut().enumerate() {
        let same =
            |moment: &Moment| moment.now == now && Some(moment.lowest_ever) == sample.lowest_ever;
        if let Some(at) = start.iter().position(same) {
            start.remove(at);
            return number;
        }
    }
    panic!("nothing that was counted is {sample:?}, but: {starts:#?}");
}

#[test]
fn every_heap_figure_is_that_of_the_guests_memory() {
    let bench = Sandbox::new();
    let board = AttachedBoard::debugged(&bench, "b");
    let mut configuration = Configuration::new();
    configuration.board(board.as_board("desk"));
    bench.configure(&configuration);
    let counting = Counting::start(board.gdb().into(), &artifacts::firmware_elf());
    bench.run(&["run"]).with_code(exit::PASSED);
    board.stop();
    let starts = counting.ended();
    // Configuration mode, a wrong CA, configuration mode, MQTT mode, configuration mode.
    assert_eq!(starts.len(), 5);
    let record = bench.record();
    let told = told(&record);

    // Free, lowest ever, largest block and fragmentation, of each moment that was reported.
    let mut left = starts.clone();
    let moments = told.iter().filter(|sample| sample.free.is_some());
    assert!(moments.clone().count() > 10, "{told:#?}");
    for sample in moments {
        let start = &starts[counted(sample, &mut left)];
        // And the lowest of the phase.
        let lowest = |lowest: u64| start.iter().any(|moment| moment.lowest == lowest);
        assert!(lowest(sample.lowest_free), "{sample:?} is none of {start:#?}");
    }
    // Those of the phases before, which a reply has again.
    for sample in &told {
        let mut lows = starts.iter().flatten().map(|moment| moment.lowest);
        assert!(lows.any(|lowest| lowest == sample.lowest_free), "{sample:?} was never counted");
    }

    // No low is in no phase: the lowest that was reported is the lowest ever, at each reported moment.
    // A reply has all phases, and ends with the figures of now; the log has a phase when it falls, and
    // begins each start with `boot`.
    let (mut replied, mut logged) = (u64::MAX, u64::MAX);
    for sample in &told {
        let low = match sample.source {
            HeapSource::Reply => &mut replied,
            HeapSource::Log => &mut logged,
        };
        if sample.source == HeapSource::Log && sample.phase == HeapPhase::Boot {
            *low = u64::MAX;
        }
        *low = sample.lowest_free.min(*low);
        if let Some(lowest_ever) = sample.lowest_ever {
            assert_eq!(*low, lowest_ever, "{sample:?}, of {told:#?}");
            replied = u64::MAX;
        }
    }

    // The figure that the board is judged by: nothing that was counted is below it.
    let heap = &record.board("desk")["heap"];
    let lows = HeapPhase::ALL.map(|phase| heap[phase.name()]["lowest_free"].as_u64().unwrap());
    let counted = starts.iter().flatten().map(|moment| moment.lowest_ever).min();
    assert_eq!(lows.into_iter().min(), counted);
    bench.nothing_may_be_left();
}
