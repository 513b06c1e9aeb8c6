//! Failures of a bench with debug probes.

use std::time::Instant;

use hilrig_virtual::BoardState;
use probe_rs::flashing::{FlashProgress, ProgressEvent};
use probe_rs::probe::DebugProbeSelector;
use probe_rs::probe::list::Lister;
use probe_rs::{CoreStatus, MemoryInterface};

use crate::bench::{ArmFolders, DEADLINE, Debugger, FirmwareElf, HALT, TestArmBoard};
use crate::http::page;

fn selector(board: &TestArmBoard) -> DebugProbeSelector {
    board.serving.ready().probe.parse().unwrap()
}

/// The errors of an error, in one line.
fn chain(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

fn trouble(rig: &mut Debugger) -> String {
    match rig.session.core(0) {
        Ok(mut core) => chain(core.read_word_32(0x2000_0000).unwrap_err()),
        Err(error) => chain(error),
    }
}

#[tokio::test]
async fn a_probe_that_is_pulled_out_is_gone_until_it_is_opened_anew() {
    let bench = ArmFolders::new();
    let Some(elf) = FirmwareElf::built() else { return };
    let board = bench.board("a", 1).await;
    let (ready, image) = (board.serving.ready().clone(), elf.clone());
    let mut rig = board
        .rig(move |mut rig| {
            rig.flash(&image);
            rig.reset();
            rig
        })
        .await;
    // A probe has one user.
    let refused = chain(Lister::new().open(selector(&board)).unwrap_err());
    assert!(refused.contains("resource busy"), "{refused}");
    assert_eq!(Lister::new().list(Some(&selector(&board))).len(), 1);
    board.control.probe_out().await.unwrap();
    assert!(Lister::new().list(Some(&selector(&board))).is_empty());
    let said = trouble(&mut rig);
    assert!(said.contains("No such device"), "{said}");
    // The reason is not checked: without USB it is that of the real probes' drivers.
    assert!(Lister::new().open(selector(&board)).is_err());
    // The board does not notice.
    page(board.serving.ready().http).await;
    board.control.probe_in().await.unwrap();
    let said = trouble(&mut rig);
    assert!(said.contains("No such device"), "{said}");
    let mut again = Debugger::attach(&ready);
    // The end of the first session does not release the second one's probe.
    drop(rig);
    assert!(Lister::new().open(selector(&board)).is_err());
    again.wait_for(elf.symbol("ms.0"), "the uptime counter", |ms| ms > 0);
    drop(again);
    drop(Debugger::attach(&ready));
    board.serving.stop().await.unwrap();
}

#[tokio::test]
async fn a_probe_that_is_pulled_out_while_it_flashes_leaves_half_an_image() {
    let bench = ArmFolders::new();
    let Some(elf) = FirmwareElf::built() else { return };
    let board = bench.board("a", 1).await;
    let (control, runtime) = (board.control.clone(), tokio::runtime::Handle::current());
    let image = elf.clone();
    let said = board
        .rig(move |mut rig| {
            let mut pages = 0;
            let progress = FlashProgress::new(|event| {
                if let ProgressEvent::Progress {
                    operation: probe_rs::flashing::ProgressOperation::Program,
                    ..
                } = event
                {
                    pages += 1;
                    if pages == 20 {
                        runtime.block_on(control.probe_out()).unwrap();
                    }
                }
            });
            chain(rig.try_flash(&image.segments(), progress).unwrap_err())
        })
        .await;
    assert!(said.contains("No such device"), "{said}");
    let flash = std::fs::read(bench.dir.path().join("a/flash.bin")).unwrap();
    let (_, first) = elf.segments().remove(0);
    assert_eq!(flash[..0x1000], first[..0x1000]);
    assert!(flash[0x10000..].iter().all(|byte| *byte == 0xFF));
    board.control.probe_in().await.unwrap();
    board
        .rig(move |mut rig| {
            rig.flash(&elf);
            rig.reset();
        })
        .await;
    page(board.serving.ready().http).await;
    board.serving.stop().await.unwrap();
}

#[tokio::test]
async fn a_board_without_power_answers_no_probe() {
    let bench = ArmFolders::new();
    let board = bench.board("a", 1).await;
    let ready = board.serving.ready().clone();
    let mut rig = Debugger::attach(&ready);
    board.control.power_off().await.unwrap();
    assert_eq!(board.control.status().await.unwrap().state, BoardState::Off);
    let said = trouble(&mut rig);
    assert!(said.contains("did not respond"), "{said}");
    // A debug port that lost its power has to be set up again.
    board.control.power_on().await.unwrap();
    let said = trouble(&mut rig);
    assert!(said.contains("did not respond"), "{said}");
    drop(rig);
    drop(Debugger::attach(&ready));
    board.control.power_off().await.unwrap();
    let probe = Lister::new().open(selector(&board)).unwrap();
    let error = probe.attach(ready.chip, probe_rs::Permissions::default()).unwrap_err();
    assert!(chain(error).contains("Failed to find or attach"));
    board.serving.stop().await.unwrap();
}

/// The reported fault, after QEMU's end was noticed.
async fn fault(board: &TestArmBoard) -> String {
    let until = Instant::now() + DEADLINE;
    loop {
        let status = board.control.status().await.unwrap();
        if let Some(fault) = status.fault {
            assert_eq!((status.state, status.qemu), (BoardState::Fault, None));
            return fault;
        }
        assert!(Instant::now() < until, "QEMU's end is not told: {status:?}");
    }
}

#[tokio::test]
async fn a_qemu_that_is_killed_is_a_fault_and_a_reset_mends_it() {
    let bench = ArmFolders::new();
    let board = bench.board("a", 1).await;
    let ready = board.serving.ready().clone();
    let mut rig = Debugger::attach(&ready);
    let qemu = board.control.status().await.unwrap().qemu.unwrap();
    let pid = rustix::process::Pid::from_raw(qemu as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    // The probe's user or the board's task may notice it first.
    let mut rig = tokio::task::spawn_blocking(move || {
        let said = trouble(&mut rig);
        assert!(said.contains("signal: 9"), "{said}");
        rig
    })
    .await
    .unwrap();
    let told = fault(&board).await;
    assert!(told.contains("signal: 9"), "{told}");
    let said = trouble(&mut rig);
    assert!(said.contains("signal: 9"), "{said}");
    drop(rig);
    board.control.reset().await.unwrap();
    drop(Debugger::attach(&ready));
    board.serving.stop().await.unwrap();
}

/// A core that faults in its fault handler locks up. That ends QEMU, and is the firmware's fault.
#[tokio::test]
async fn a_core_that_locks_up_can_be_flashed_anew() {
    let bench = ArmFolders::new();
    let Some(elf) = FirmwareElf::built() else { return };
    let board = bench.board("a", 1).await;
    board
        .rig(move |mut rig| {
            // All vectors lead to an undefined instruction.
            let mut image = 0x2001_0000u32.to_le_bytes().to_vec();
            image.extend([0x41u32; 15].iter().flat_map(|word| word.to_le_bytes()));
            image.extend([0x00, 0xDE]);
            rig.try_flash(&[(0, image)], FlashProgress::empty()).unwrap();
            for _ in 0..2 {
                rig.reset();
                let mut core = rig.session.core(0).unwrap();
                let until = Instant::now() + DEADLINE;
                while core.status().unwrap() != CoreStatus::LockedUp {
                    assert!(Instant::now() < until, "not locked up after {DEADLINE:?}");
                }
                let pc = core.halt(HALT).unwrap().pc;
                assert_eq!(pc, 0xFFFF_FFFE);
            }
            rig.flash(&elf);
            rig.reset();
        })
        .await;
    let status = board.control.status().await.unwrap();
    assert_eq!((status.state, status.power_ons), (BoardState::Running, 1), "{status:?}");
    page(board.serving.ready().http).await;
    board.serving.stop().await.unwrap();
}

#[tokio::test]
async fn what_a_serial_line_has_is_refused() {
    let bench = ArmFolders::new();
    let board = bench.board("a", 1).await;
    let error = board.control.loader().await.unwrap_err().to_string();
    assert!(error.contains("no serial port"), "{error}");
    let held = hilrig_virtual::lm3s6965::ArmBoard::start(bench.config("a", 1)).await.unwrap_err();
    assert!(held.to_string().contains("is running already"), "{held}");
    board.control.power_off().await.unwrap();
    let error = board.control.reset().await.unwrap_err().to_string();
    assert!(error.contains("no power"), "{error}");
    board.serving.stop().await.unwrap();
}
