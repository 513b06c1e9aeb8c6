//! The heap by function, exact to the byte, and what grew from one firmware to the next.

use std::path::Path;

use hilrig_core::callers::HeapCallers;
use hilrig_core::event::What;
use hilrig_core::exit;
use hilrig_core::heap::HeapPhase;
use hilrig_tests::artifacts;
use hilrig_tests::record::Record;
use hilrig_tests::sandbox::{Configuration, Sandbox, path_text};
use object::{Object as _, ObjectSymbol as _};

/// Units that the allocator keeps to itself, bytes (heap/heap.c: the first and the last).
const OWN: u64 = 16;

fn configuration(callers: &Path) -> Configuration {
    let mut configuration = Configuration::new();
    configuration.set("firmware.virtual.callers", path_text(callers));
    configuration
}

/// Bytes of heap that the linker gave the firmware.
fn heap_of(image: &Path) -> u64 {
    let bytes = std::fs::read(image.with_extension("elf")).expect("it is beside the image");
    let elf = object::File::parse(&*bytes).expect("it is an ELF file");
    let symbol = |name: &str| {
        elf.symbols().find(|symbol| symbol.name() == Ok(name)).expect("the symbol").address()
    };
    symbol("_heap_end") - symbol("_heap_start")
}

/// What the board reported of each phase's lowest point, and the lowest free heap of that phase.
fn told(record: &Record) -> Vec<(HeapCallers, u64)> {
    let events = record.events();
    let callers = events.iter().filter_map(|event| match &event.what {
        What::HeapCallers(told) => Some(told.clone()),
        _ => None,
    });
    let mut last: std::collections::BTreeMap<HeapPhase, HeapCallers> = Default::default();
    last.extend(callers.map(|told| (told.phase, told)));
    let low = |phase: HeapPhase| {
        let low = &record.board("virtual-1")["heap"][phase.name()]["lowest_free"];
        low.as_u64().expect("the phase was measured")
    };
    last.into_values().map(|told| (low(told.phase), told)).map(|(low, told)| (told, low)).collect()
}

#[test]
fn the_callers_are_what_is_taken_to_the_byte_and_the_largest_is_named() {
    let bench = Sandbox::new();
    let image = artifacts::callers_firmware();
    bench.configure(&configuration(&image));
    let shown = bench.run(&["heap", "callers"]).with_code(exit::PASSED);

    let heap = heap_of(&image);
    assert_eq!(heap, heap_of(&artifacts::firmware()), "it is as large as without callers");
    let all = told(&bench.record());
    assert_eq!(all.len(), HeapPhase::ALL.len());
    for (told, low) in &all {
        let phase = told.phase.name();
        assert_eq!(told.lowest_free, *low, "{phase}: the lowest point of all");
        assert_eq!(told.heap, Some(heap - OWN), "{phase}");
        assert_eq!(told.logged(), heap - OWN - low, "{phase}: {told:?}");
        for caller in &told.callers {
            let known = caller.function.is_some() && caller.file.is_some() && caller.line.is_some();
            assert!(known || caller.address.is_none(), "{phase}: {caller:?}");
            // Allocators allocate for their callers.
            let wrappers =
                ["core_alloc", "port_heap_alloc", "mem_malloc", "memp_malloc", "pbuf_alloc"];
            assert!(!wrappers.contains(&caller.name().as_str()), "{phase}: {caller:?}");
        }
    }
    // A record of 16 KiB with BearSSL's overhead, the allocator's header, and the rest of its last unit.
    let (handshake, _) = all.iter().find(|(told, _)| told.phase == HeapPhase::Handshake).unwrap();
    let largest = &handshake.callers[0];
    assert_eq!((largest.bytes, largest.blocks), (16_384 + 325 + 4 + 7, 1), "{largest:?}");
    assert!(largest.file.as_ref().is_some_and(|file| file.ends_with("core/tls.c")), "{largest:?}");
    assert!(shown.stdout.contains(&largest.place().unwrap()), "{}", shown.stdout);
    assert!(shown.stdout.contains(".irom0.text"), "{}", shown.stdout);

    // The same of the record, which every report has.
    let again = bench.run(&["heap", "callers", "--from", "hilrig-records/latest"]);
    let again = again.with_code(exit::PASSED).stdout;
    assert!(shown.stdout.ends_with(&again), "{again}");
    let summary = bench.record().board("virtual-1");
    assert_eq!(summary["callers"]["handshake"]["callers"][0]["bytes"], largest.bytes);
    let page = bench.record().text("report.html");
    assert!(page.contains("Heap by function") && page.contains("tcp_alloc"));
    let markdown = bench.run(&["report", "--format", "markdown", "hilrig-records/latest"]);
    assert!(markdown.stdout.contains("Heap by function: handshake"), "{}", markdown.stdout);
    bench.nothing_may_be_left();
}

#[test]
fn a_diff_names_the_function_that_grew() {
    let bench = Sandbox::new();
    let records = |image: &Path, folder: &str| {
        bench.configure(&configuration(image));
        let arguments = ["heap", "callers", "--records", folder];
        bench.run(&arguments).with_code(exit::PASSED);
    };
    records(&artifacts::callers_firmware(), "before");
    records(&artifacts::callers_faulty_firmware("LARGER_BUFFER"), "after");
    let diff = bench.run(&["heap", "diff", "before/latest", "after/latest"]);
    let diff = diff.with_code(exit::PASSED).stdout;
    let grown = diff.lines().find(|line| line.contains("fault_hold_memory"));
    let columns: Vec<&str> = grown.expect("the function").split_whitespace().collect();
    assert_eq!(columns, ["handshake", "fault_hold_memory", "0", "512", "+512"], "{diff}");
    // What it takes of static memory is beside it: a pointer, and the heap begins 8 B later.
    let bss = diff.lines().find(|line| line.starts_with(".bss")).expect("static memory");
    assert!(bss.ends_with("+8"), "{bss}");
    bench.nothing_may_be_left();
}

#[test]
fn figures_of_such_an_image_are_no_others_baseline() {
    let bench = Sandbox::new();
    bench.configure(&Configuration::new());
    let refused = bench.run(&["heap", "callers"]).with_code(exit::USAGE);
    assert!(refused.stderr.contains("firmware.virtual.callers"), "{}", refused.stderr);
    bench.must_be_untouched();

    bench.configure(&configuration(&artifacts::callers_firmware()));
    bench.run(&["heap", "callers"]).with_code(exit::PASSED);
    bench.run(&["heap", "accept", "--boots", "1"]).with_code(exit::PASSED);
    let baseline = std::fs::read_to_string(bench.path("heap-baseline.toml")).unwrap();
    assert!(baseline.contains("[baseline.sections]\n\".bss\" = "), "{baseline}");
    let plain = bench.path("hilrig-records/latest");
    let callers = std::fs::read_dir(bench.path("hilrig-records")).unwrap().flatten();
    let callers =
        callers.map(|entry| entry.path()).filter(|path| path.join("events.jsonl").is_file());
    let callers = callers.min().expect("the first run");
    assert_ne!(callers, plain.canonicalize().unwrap());
    let check = ["heap", "check", "--from", path_text(&callers).leak()];
    let refused = bench.run(&check).with_code(exit::USAGE);
    assert!(refused.stderr.contains("image=callers"), "{}", refused.stderr);
    let held = bench.run(&["heap", "check", "--from", "hilrig-records/latest"]);
    let held = held.with_code(exit::PASSED).stdout;
    assert!(held.contains("static memory, B  accepted"), "{held}");
}

/// Lines that only look like those of callers, before every boot: what cannot be read is reported, and
/// nothing else comes of them.
#[test]
fn hostile_lines_do_no_harm() {
    let bench = Sandbox::new();
    bench.configure(&configuration(&artifacts::callers_firmware()));
    let contract = std::fs::read_to_string(artifacts::contract()).unwrap();
    // The firmware's own lines, read as callers whatever they contain.
    let hostile = contract.replace(
        r"line = '^Heap callers (?P<phase>boot|page|handshake|connected): lowest (?P<lowest>\d+) of (?P<heap>\d+), (?P<callers>.+)$'",
        r"line = '^(?P<phase>\S+) (?P<lowest>\S+) (?P<heap>\S*)(?P<callers>.*)$'",
    );
    assert_ne!(contract, hostile);
    let path = bench.write("contract.toml", hostile);
    let mut configuration = configuration(&artifacts::callers_firmware());
    configuration.set("firmware.contract", path_text(&path));
    bench.configure(&configuration);
    let ended = bench.run(&["run", "--callers"]).with_code(exit::PASSED);
    assert!(ended.stdout.contains("heap callers that cannot be read"), "{}", ended.stdout);
    assert!(bench.record().board("virtual-1").get("callers").is_none());
}
