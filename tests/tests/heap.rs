//! `hilrig heap`: what was accepted, what costs more, and files that are not what they should be.

use std::fs;
use std::path::Path;

use hilrig_core::exit;
use hilrig_tests::artifacts;
use hilrig_tests::sandbox::{Configuration, Sandbox};

const BASELINE: &str = "heap-baseline.toml";

/// A bench with the figures of two boots accepted.
fn accepted() -> Sandbox {
    let bench = Sandbox::new();
    bench.configure(&Configuration::new());
    let accepted = bench.run(&["heap", "accept", "--boots", "2"]).with_code(exit::PASSED);
    assert!(accepted.stdout.contains("accepted into heap-baseline.toml"), "{}", accepted.stdout);
    bench
}

#[test]
fn the_same_firmware_holds_and_a_hungry_one_is_named_with_its_phase() {
    let bench = accepted();
    let held = bench.run(&["heap", "check", "--boots", "2"]).with_code(exit::PASSED);
    assert!(held.stdout.contains("boot 2 of 2: passed"), "{}", held.stdout);

    // 20 KiB more in the handshake, and no floor that reports it.
    let mut hungry = Configuration::new();
    hungry.image(&artifacts::faulty_firmware("HEAP_HUNGRY")).set("heap.floor", toml::Table::new());
    bench.configure(&hungry);
    let failed = bench.run(&["heap", "check", "--boots", "2"]).with_code(exit::BOARD_FAILED);
    let worse: Vec<&str> =
        failed.stdout.lines().filter(|line| line.ends_with("LESS FREE")).collect();
    assert!(
        worse.iter().any(|line| line.starts_with("handshake  lowest free")),
        "{}",
        failed.stdout
    );
    assert!(!worse.iter().any(|line| line.starts_with("boot ")), "{}", failed.stdout);
    assert!(!worse.iter().any(|line| line.starts_with("page ")), "{}", failed.stdout);

    // The same from the record, beside the baseline.
    let diff =
        bench.run(&["heap", "diff", BASELINE, "hilrig-records/latest"]).with_code(exit::PASSED);
    assert!(diff.stdout.contains("LESS FREE"), "{}", diff.stdout);
    let again = bench
        .run(&["heap", "check", "--from", "hilrig-records/latest"])
        .with_code(exit::BOARD_FAILED);
    assert!(again.stdout.contains("failed: the heap is not what was accepted"), "{}", again.stdout);
}

#[test]
fn a_larger_buffer_in_either_mode_and_one_more_fragment_are_each_found_in_their_figure_alone() {
    let bench = accepted();
    // What is worse, and whether by `bytes`: certificates of another run are of another length, which
    // moves a figure by some bytes.
    let worse = |fault: &str, bytes: i64| {
        let mut faulty = Configuration::new();
        faulty.image(&artifacts::faulty_firmware(fault));
        bench.configure(&faulty);
        let failed = bench.run(&["heap", "check", "--boots", "2"]).with_code(exit::BOARD_FAILED);
        let worse = failed.stdout.lines().filter(|line| line.ends_with("LESS FREE"));
        let mut figures = Vec::new();
        for line in worse {
            let columns: Vec<&str> = line.split("  ").filter(|text| !text.is_empty()).collect();
            let change: i64 = columns[4].trim().parse().expect("the change is a number");
            assert!((change + bytes).abs() <= 32, "{fault}: {line}");
            figures.push(format!("{} {}", columns[0].trim(), columns[1].trim()));
        }
        figures.sort();
        figures
    };
    assert_eq!(worse("LARGER_BUFFER", 512), ["handshake lowest free"]);
    // No page is rendered then.
    assert_eq!(worse("LARGER_CA", 512), ["page lowest free"]);
    assert_eq!(
        worse("ONE_MORE_FRAGMENT", 920),
        ["connected largest block", "handshake largest block"]
    );
}

#[test]
fn a_floor_fails_the_check_whatever_was_accepted() {
    let bench = accepted();
    let mut high = Configuration::new();
    high.set("heap.floor.handshake", "50 KiB");
    bench.configure(&high);
    let failed = bench.run(&["heap", "check", "--boots", "1"]).with_code(exit::BOARD_FAILED);
    assert!(
        failed.stdout.contains("did not pass: ") && failed.stdout.contains("handshake"),
        "{}",
        failed.stdout
    );
    // Nor is a board accepted that did not pass; the baseline stays.
    let before = fs::read(bench.path(BASELINE)).unwrap();
    let refused = bench.run(&["heap", "accept", "--boots", "1"]).with_code(exit::USAGE);
    assert!(refused.stderr.contains("nothing is accepted"), "{}", refused.stderr);
    assert_eq!(before, fs::read(bench.path(BASELINE)).unwrap());
}

#[test]
fn baselines_that_cannot_be_used_are_refused_before_anything_runs() {
    let bench = accepted();
    let whole = fs::read_to_string(bench.path(BASELINE)).unwrap();
    let check = |text: &str| {
        bench.write(BASELINE, text);
        let refused = bench.run(&["heap", "check", "--boots", "1"]).with_code(exit::USAGE);
        // What is there is not written over either.
        bench.run(&["heap", "accept", "--boots", "1"]).with_code(exit::USAGE);
        assert_eq!(fs::read_to_string(bench.path(BASELINE)).unwrap(), text);
        refused.stderr
    };
    let error = check(&whole.replace("schema = 1", "schema = 0"));
    assert!(error.contains("heap-baseline.toml:5: a baseline of schema 0"), "{error}");
    let error = check(&whole.replace("schema = 1", "schema = 2"));
    assert!(error.contains("heap-baseline.toml:5: a baseline of schema 2"), "{error}");
    let error = check(&whole[..whole.len() / 2]);
    assert!(error.contains("heap-baseline.toml:"), "{error}");
    let error = check(whole.trim_end().strip_suffix("[end]").unwrap());
    assert!(error.contains("cut off"), "{error}");

    let other = whole.replace("kind = \"virtual\"", "kind = \"esp8266\"");
    bench.write(BASELINE, &other);
    let refused = bench.run(&["heap", "check", "--boots", "1"]).with_code(exit::USAGE);
    assert!(
        refused.stderr.contains("has no figures for these boots: virtual"),
        "{}",
        refused.stderr
    );
    // Another board's figures stay beside the ones that are accepted now.
    bench.run(&["heap", "accept", "--boots", "1"]).with_code(exit::PASSED);
    let both = fs::read_to_string(bench.path(BASELINE)).unwrap();
    assert!(both.contains("kind = \"esp8266\"") && both.contains("kind = \"virtual\""), "{both}");

    fs::remove_file(bench.path(BASELINE)).unwrap();
    let refused = bench.run(&["heap", "check", "--boots", "1"]).with_code(exit::USAGE);
    assert!(refused.stderr.contains("`hilrig heap accept` writes one"), "{}", refused.stderr);
}

#[test]
fn boots_with_scenarios_have_figures_of_their_own() {
    let bench = Sandbox::new();
    let scenario = ["--scenario", "handshake", "--count", "9", "--boots", "1"];
    bench.run(&[&["heap", "accept"], &scenario[..]].concat()).with_code(exit::PASSED);
    let baseline = fs::read_to_string(bench.path(BASELINE)).unwrap();
    assert!(baseline.contains("scenario=handshake:9\""), "{baseline}");
    bench.run(&[&["heap", "check"], &scenario[..]].concat()).with_code(exit::PASSED);
    // Another path is not compared with them.
    let refused = bench.run(&["heap", "check", "--boots", "1"]).with_code(exit::USAGE);
    assert!(refused.stderr.contains("has no figures for these boots"), "{refused}");
    bench.run(&["heap", "accept", "--boots", "1"]).with_code(exit::PASSED);
    let both = fs::read_to_string(bench.path(BASELINE)).unwrap();
    assert_eq!(both.matches("[[baseline]]").count(), 2, "{both}");
    assert!(both.contains("scenario=handshake:9\""), "{both}");
    // A scenario that was accepted and is not run any more is no pass.
    let latest = ["heap", "check", "--from", "hilrig-records/latest"];
    let missing = bench.run(&latest).with_code(exit::BOARD_FAILED).stdout;
    assert!(missing.contains("not measured: virtual, scenario=handshake:9, TLS"), "{missing}");
    let measured = [&latest[..], &["--only", "measured"]].concat();
    bench.run(&measured).with_code(exit::PASSED);
}

#[test]
fn a_boot_that_was_cut_off_is_no_regression_and_what_was_not_measured_is_named() {
    let bench = accepted();
    let whole = bench.records();
    assert_eq!(whole.len(), 2);
    let events = fs::read_to_string(bench.path(&whole[0]).join("events.jsonl")).unwrap();
    // The bench lost the board in the handshake: no figure of MQTT mode, and no verdict on the firmware.
    for (name, verdict) in [("fault", "rig_fault"), ("skipped", "skipped")] {
        let cut_off: Vec<String> = events
            .lines()
            .filter(|line| !line.contains("\"phase\":\"connected\""))
            .map(|line| {
                line.replace("\"verdict\":\"passed\"", &format!("\"verdict\":\"{verdict}\""))
            })
            .collect();
        bench.write(&format!("{name}.jsonl"), cut_off.join("\n") + "\n");
    }
    let killed: Vec<&str> = events.lines().filter(|line| !line.contains("_ended\"")).collect();
    bench.write("killed.jsonl", killed.join("\n") + "\n");
    let check = |from: &[&str], more: &[&str]| {
        bench.run(&[&["heap", "check", "--from"], from, more].concat())
    };
    let [first, second] = [whole[0].as_str(), whole[1].as_str()];
    for cut_off in ["fault.jsonl", "skipped.jsonl", "killed.jsonl"] {
        let held = check(&[first, second, cut_off], &[]).with_code(exit::PASSED).stdout;
        assert!(held.contains(" is left out: ") && held.ends_with("passed\n"), "{held}");
        for too_few in [&[cut_off][..], &[first, cut_off]] {
            let fault = check(too_few, &[]).with_code(exit::RIG_FAULT).stdout;
            assert!(fault.contains("rig fault: too little was measured"), "{fault}");
        }
        let accept = ["heap", "accept", "--from", cut_off];
        bench.run(&accept).with_code(exit::RIG_FAULT).saying("were not measured");
    }

    let baseline = fs::read_to_string(bench.path(BASELINE)).unwrap();
    let entry = baseline.split("[[baseline]]").nth(1).unwrap().replace("[end]", "");
    let other = entry.replace("kind = \"virtual\"", "kind = \"esp8266\"");
    bench.write(BASELINE, baseline.replace("[end]", &format!("[[baseline]]{other}\n[end]")));
    let missing = check(&[first], &[]).with_code(exit::BOARD_FAILED).stdout;
    assert!(missing.contains("not measured: esp8266, default settings, TLS"), "{missing}");
    check(&[first], &["--kind", "virtual"]).with_code(exit::PASSED);
    check(&[first], &["--only", "virtual, default settings"]).with_code(exit::PASSED);
    let nothing = check(&[first], &["--kind", "nrf52"]).with_code(exit::USAGE).stderr;
    assert!(nothing.contains("has nothing that --kind and --only leave"), "{nothing}");
    bench
        .run(&["heap", "check", "--kind", "esp8266"])
        .with_code(exit::USAGE)
        .saying("there are: virtual");

    let json = check(&[first], &["--format", "json"]).with_code(exit::BOARD_FAILED).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["verdict"], &json["missing"][0]["key"]["kind"]),
        (&"failed".into(), &"esp8266".into())
    );
    let junit = check(&[first], &["--format", "junit"]).with_code(exit::BOARD_FAILED).stdout;
    assert!(junit.starts_with("<?xml") && junit.matches("<failure").count() == 1, "{junit}");
    let diff = |format: &str| {
        let diff = ["heap", "diff", first, second, "--format", format];
        bench.run(&diff).with_code(exit::PASSED).stdout
    };
    assert!(diff("markdown").starts_with("## hilrig heap diff\n"));
    let json: serde_json::Value = serde_json::from_str(&diff("json")).unwrap();
    assert_eq!(json["compared"].as_array().map(Vec::len), Some(1));

    // Neither does it enter the history.
    fs::create_dir(bench.path("hilrig-records/fault")).unwrap();
    let fault = fs::read_to_string(bench.path("fault.jsonl")).unwrap();
    let run = Path::new(first).file_name().unwrap().to_str().unwrap();
    bench.write("hilrig-records/fault/events.jsonl", fault.replace(run, "fault"));
    let csv = bench.run(&["heap", "history", "--format", "csv"]).with_code(exit::PASSED).stdout;
    assert!(csv.lines().count() > 1 && !csv.contains("fault,"), "{csv}");
    let unknown =
        bench.run(&["heap", "history", "--board", "nosuch"]).with_code(exit::USAGE).stderr;
    assert!(unknown.contains("no board `nosuch`; it has: virtual-1"), "{unknown}");
}

#[test]
fn a_record_that_is_none_is_refused() {
    let bench = accepted();
    let events = bench.path("hilrig-records/latest/events.jsonl");
    let whole = fs::read_to_string(&events).unwrap();
    let refused = |text: &str| {
        bench.write("events.jsonl", text);
        let check = ["heap", "check", "--from", "events.jsonl"];
        bench.run(&check).with_code(exit::USAGE).stderr
    };
    let error = refused(&whole.replacen("\"schema\":1", "\"schema\":99", 1));
    assert!(error.contains("events.jsonl") && error.contains("99"), "{error}");
    let error = refused("");
    assert!(error.contains("events.jsonl has no `run_started`"), "{error}");
    let error = refused("notes, not events\n\n");
    assert!(error.contains("events.jsonl"), "{error}");
}

#[test]
fn a_history_that_cannot_be_written_loses_no_run() {
    let bench = Sandbox::new();
    bench.configure(&Configuration::new());
    bench.run(&["run"]).with_code(exit::PASSED);
    let file = bench.path("hilrig-records/history.sqlite");
    // Another file is where the history was: the run passes, and reports what it could not do.
    fs::write(&file, "notes, and more notes, and many more notes, so that it is looked at")
        .unwrap();
    let warned = bench.run(&["run"]).with_code(exit::PASSED);
    assert!(warned.stderr.contains("history.sqlite: file is not a database"), "{}", warned.stderr);
    let refused = bench.run(&["heap", "history"]).with_code(exit::RIG_FAULT);
    assert!(refused.stderr.contains("not a database"), "{}", refused.stderr);
    assert!(fs::read_to_string(&file).unwrap().starts_with("notes"));

    fs::remove_file(&file).unwrap();
    let shown = bench.run(&["heap", "history"]).with_code(exit::PASSED).stdout;
    assert_eq!(shown.lines().filter(|line| line.contains("virtual-1")).count(), 2, "{shown}");
    assert!(shown.contains("lowest free heap, KiB") && shown.contains("2 runs, "), "{shown}");
    // The next run's page has the runs before it.
    bench.run(&["run"]).with_code(exit::PASSED);
    let page = bench.record().text("report.html");
    assert!(page.contains("The figures of 3 runs"), "no history on the page");
    let csv = bench.run(&["heap", "history", "--format", "csv", "--last", "1"]);
    let csv = csv.with_code(exit::PASSED).stdout;
    assert_eq!(csv.lines().count(), 1 + 4 * 4, "{csv}");
    let json = bench.run(&["heap", "history", "--format", "json"]).with_code(exit::PASSED).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 3 * 4 * 4);
}

#[test]
fn the_page_holds_a_run_against_the_baseline() {
    let bench = accepted();
    bench.run(&["run"]).with_code(exit::PASSED);
    assert!(bench.record().text("report.html").contains("Against the baseline"));
    // One that cannot be read is refused before anything runs, and before there is a record.
    let before = bench.records();
    bench.write(BASELINE, "schema = 1\n");
    for command in ["run", "certify"] {
        let refused = bench.run(&[command]).with_code(exit::USAGE);
        assert!(refused.stderr.contains("cut off"), "{}", refused.stderr);
    }
    assert_eq!(bench.records(), before);
}
