//! `hilrig heap`: what was accepted, what costs more, and files that are not what they should be.

use std::fs;
use std::path::Path;

use hilrig_core::exit;
use hilrig_tests::artifacts;
use hilrig_tests::sandbox::{Configuration, Sandbox, path_text};

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

    // 20 KiB more in the handshake, and no floor that tells it.
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
    // Another path is not held against them.
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

/// The folders of the records so far, oldest first.
fn records(bench: &Sandbox) -> Vec<String> {
    let entries = fs::read_dir(bench.path("hilrig-records")).unwrap().flatten();
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    let mut names: Vec<String> = folders
        .map(|entry| path_text(&Path::new("hilrig-records").join(entry.file_name())))
        .collect();
    names.sort();
    names
}

#[test]
fn a_boot_that_was_cut_off_is_no_regression_and_what_nobody_measured_is_named() {
    let bench = accepted();
    let whole = records(&bench);
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
    // Somebody's notes are where the history was: the run passes, and says what it could not do.
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

fn git(bench: &Sandbox, arguments: &[&str]) -> String {
    let mut command = bench.command("git");
    command.args(["-c", "user.name=t", "-c", "user.email=t@localhost"]).args(arguments);
    let output = command.output().expect("git runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A repository whose builds are copies of what the file `which` names, one a line: the image, and the
/// heap-tracing one.
fn repository(bench: &Sandbox, builds: &[[&Path; 2]]) -> Vec<String> {
    git(bench, &["init", "--quiet", "."]);
    let mut configuration = Configuration::new();
    configuration
        .set("firmware.virtual.image", "firmware.bin")
        .set("firmware.virtual.callers", "callers.bin")
        .set("heap.floor", toml::Table::new());
    bench.configure(&configuration);
    let commit = |(number, build): (usize, &[&Path; 2])| {
        bench.write("which", build.map(path_text).join("\n"));
        bench.write("number", number.to_string());
        git(bench, &["add", "which", "number", "runner-config.toml"]);
        git(bench, &["commit", "--quiet", "-m", &format!("commit {number}")]);
        git(bench, &["rev-parse", "HEAD"])
    };
    builds.iter().enumerate().map(commit).collect()
}

#[test]
fn the_commit_that_cost_the_heap_is_found_in_a_tree_of_its_own() {
    let bench = Sandbox::new();
    let (lean, hungry) = (artifacts::firmware(), artifacts::faulty_firmware("HEAP_HUNGRY"));
    let callers = artifacts::callers_firmware();
    let lean = [lean.as_path(), &callers];
    let hungry = [hungry.as_path(), &callers];
    let commits = repository(&bench, &[lean, lean, lean, hungry, hungry]);
    let build = "cp \"$(sed -n 1p which)\" firmware.bin";
    let bisect = |good: &str, bad: &str| {
        bench.run(&[
            "heap", "bisect", "--good", good, "--bad", bad, "--build", build, "--boots", "1",
        ])
    };
    let runs = || records(&bench).len();
    let found = bisect(&commits[0], "HEAD").with_code(exit::PASSED).stdout;
    let (steps, end) = found.split_once("\n\n").unwrap_or_else(|| panic!("{found}"));
    // The good one, the bad one, and two between them; of these builds there are but two.
    let of = |word: &str| steps.lines().filter(|line| line.contains(word)).count();
    assert_eq!((steps.lines().count(), of(" good: "), of(" bad: ")), (4, 2, 2), "{found}");
    assert_eq!((of("(measured, 1 boot)"), of("(known build, 1 boot)")), (2, 2), "{found}");
    assert_eq!(runs(), 2);
    let end: Vec<&str> = end.lines().collect();
    assert_eq!(end.len(), 5, "{found}");
    let first = format!("the first commit that leaves less heap free: {}", &commits[3][..12]);
    assert_eq!(end[..3], [&first, "subject: commit 3", "phase: handshake, lowest free"], "{found}");
    let bytes = end[3].strip_prefix("bytes: ").and_then(|rest| rest.split(' ').next());
    let bytes: u64 =
        bytes.and_then(|bytes| bytes.parse().ok()).unwrap_or_else(|| panic!("{found}"));
    assert!(bytes.abs_diff(20_480) <= 32 && end[3].ends_with("(256 are allowed)"), "{found}");
    assert!(end[4].starts_with("of: virtual, default settings, TLS"), "{found}");
    // All that it needs is known now.
    let again = bisect(&commits[0], "HEAD").with_code(exit::PASSED).stdout;
    assert!(again.contains("(known, 1 boot)") && !again.contains("(measured, "), "{again}");
    assert!(again.contains(&first), "{again}");
    assert_eq!(runs(), 2);
    // The user's tree was not touched, and the search left none.
    assert!(!bench.path("firmware.bin").exists());
    let trees = bench.command("git").args(["worktree", "list"]).output().unwrap();
    assert_eq!(String::from_utf8(trees.stdout).unwrap().lines().count(), 1);
    assert!(bench.path("hilrig-records/latest/report.html").exists(), "the evidence is gone");

    let nothing = bisect(&commits[0], &commits[2]).with_code(exit::USAGE);
    assert!(nothing.stderr.contains("no commit between them costs heap"), "{}", nothing.stderr);
    // Boots with a scenario have figures of their own.
    let scenario = bench.run(&[
        "heap",
        "bisect",
        "--good",
        &commits[0],
        "--bad",
        &commits[2],
        "--build",
        build,
        "--boots",
        "1",
        "--scenario",
        "page",
        "--count",
        "9",
    ]);
    let scenario = scenario.with_code(exit::USAGE).showing("(measured, 1 boot)");
    scenario.saying("no commit between them costs heap");
    assert_eq!(runs(), 3);
    // A commit that does not build is skipped.
    let broken = bench.run(&[
        "heap",
        "bisect",
        "--good",
        &commits[1],
        "--build",
        "echo no compiler >&2; exit 3",
    ]);
    broken.with_code(exit::RIG_FAULT).saying("it does not build: no compiler");
    let unknown = bisect("nothing", "HEAD").with_code(exit::USAGE);
    assert!(unknown.stderr.contains("nothing"), "{}", unknown.stderr);
}

/// The rows of a diff that say what got worse.
fn worse(diff: &str) -> Vec<String> {
    let lines = diff.lines().filter(|line| line.ends_with("LESS FREE"));
    let columns =
        |line: &str| line.split("  ").map(str::trim).take(2).collect::<Vec<_>>().join(" ");
    lines.map(columns).collect()
}

#[test]
fn commits_are_measured_and_then_told_from_what_is_known_of_them() {
    let bench = Sandbox::new();
    let images = [artifacts::firmware(), artifacts::callers_firmware()];
    let larger = [
        artifacts::faulty_firmware("LARGER_BUFFER"),
        artifacts::callers_faulty_firmware("LARGER_BUFFER"),
    ];
    let builds = [&images, &larger].map(|build| build.each_ref().map(|path| path.as_path()));
    let commits = repository(&bench, &builds);
    let diff = |before: &str, after: &str| bench.run(&["heap", "diff", before, after]);

    // Nothing is known yet: what was looked for is told, and the command that measures.
    let refused = diff("HEAD~1", "HEAD").with_code(exit::USAGE).stderr;
    for said in
        ["no run of it in ", "history.sqlite", "no heap-baseline.toml", "HEAD~1 HEAD --measure"]
    {
        assert!(refused.contains(said), "{said}: {refused}");
    }
    bench.must_be_untouched();
    let unknown = diff("HEAD~1", "nothing").with_code(exit::USAGE).stderr;
    assert!(unknown.contains("`nothing` names nothing that has heap figures"), "{unknown}");

    let build = "sed -n 1p which | xargs -I{} cp {} firmware.bin
        sed -n 2p which | xargs -I{} cp {} callers.bin
        sed -n 2p which | sed 's/bin$/elf/' | xargs -I{} cp {} callers.elf";
    let measure = ["heap", "diff", "HEAD~1", "HEAD", "--measure", "--boots", "1", "--build", build];
    let measured = bench.run(&measure).with_code(exit::PASSED).stdout;
    let grown = "handshake lowest free";
    assert_eq!(worse(&measured), [grown, grown], "{measured}");
    let function = |diff: &str| {
        let line = diff.lines().find(|line| line.contains("fault_hold_memory"));
        line.map(|line| line.split_whitespace().skip(2).collect::<Vec<_>>().join(" "))
    };
    assert_eq!(function(&measured).as_deref(), Some("0 512 +512"), "{measured}");
    assert!(measured.contains("1 boot of it now"), "{measured}");
    assert!(!bench.path("firmware.bin").exists(), "the user's tree was built in");
    assert_eq!(git(&bench, &["worktree", "list"]).lines().count(), 1);
    bench.nothing_may_be_left();

    // The same of the history, and who held the heap of the records.
    let known = diff(&commits[0][..9], "HEAD").with_code(exit::PASSED).stdout;
    assert!(known.contains("2 boots of 2 runs in hilrig-records/history.sqlite"), "{known}");
    assert_eq!(worse(&known), [grown, grown], "{known}");
    assert_eq!(function(&known).as_deref(), Some("0 512 +512"), "{known}");

    // Runs by their ids, oldest first: the first commit's two, the second's.
    let json = bench.run(&["heap", "history", "--format", "json"]).with_code(exit::PASSED).stdout;
    let rows: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    let mut runs: Vec<&str> = rows.iter().map(|row| row["run"].as_str().unwrap()).collect();
    runs.dedup();
    assert_eq!(runs.len(), 4, "{runs:?}");
    assert_eq!(worse(&diff(runs[0], runs[2]).with_code(exit::PASSED).stdout), [grown]);
    let last = diff(runs[1], "latest").with_code(exit::PASSED).stdout;
    assert_eq!(function(&last).as_deref(), Some("0 512 +512"), "{last}");
    fs::remove_dir_all(bench.path("hilrig-records").join(runs[1])).unwrap();
    let gone = diff(runs[1], "latest").with_code(exit::PASSED).stdout;
    assert!(gone.contains("its record is gone"), "{gone}");
    assert_eq!((worse(&gone), function(&gone)), (vec![grown.to_owned()], None), "{gone}");

    // What is a folder and a branch is the folder.
    git(&bench, &["branch", "both", "HEAD~1"]);
    fs::rename(bench.path("hilrig-records").join(runs[3]), bench.path("both")).unwrap();
    let both = diff("both", "HEAD").with_code(exit::PASSED).stdout;
    let too = format!("the commit {} has the same name and is not used", &commits[0][..12]);
    assert!(both.contains("the record both") && both.contains(&too), "{both}");
    assert!(worse(&both).is_empty(), "{both}");

    // A commit without runs has the baseline that was committed in it; a run with changed files is not its.
    let first = bench.path("hilrig-records").join(runs[0]);
    let accept = ["heap", "accept", "--from", &path_text(&first)];
    bench.run(&accept).with_code(exit::PASSED);
    git(&bench, &["add", BASELINE]);
    git(&bench, &["commit", "--quiet", "-m", "accepted"]);
    let head = git(&bench, &["rev-parse", "--short=12", "HEAD"]);
    let events = fs::read_to_string(first.join("events.jsonl")).unwrap();
    let changed =
        events.replace(&commits[0][..12], &format!("{head}+")).replace(runs[0], "changed");
    fs::create_dir(bench.path("hilrig-records/changed")).unwrap();
    bench.write("hilrig-records/changed/events.jsonl", changed);
    let accepted = diff("HEAD", "HEAD~1").with_code(exit::PASSED).stdout;
    for said in [
        "no run of it in ",
        "1 boot of it left out: tracked files were changed",
        &format!("the heap-baseline.toml committed in it: 1 boot at {}", &commits[0][..12]),
    ] {
        assert!(accepted.contains(said), "{said}: {accepted}");
    }
    assert_eq!(worse(&accepted), [grown], "{accepted}");
}

#[test]
fn the_page_holds_a_run_against_the_baseline() {
    let bench = accepted();
    bench.run(&["run"]).with_code(exit::PASSED);
    assert!(bench.record().text("report.html").contains("Against the baseline"));
    // One that cannot be read is refused before anything runs, and before there is a record.
    let before = records(&bench);
    bench.write(BASELINE, "schema = 1\n");
    for command in ["run", "certify"] {
        let refused = bench.run(&[command]).with_code(exit::USAGE);
        assert!(refused.stderr.contains("cut off"), "{}", refused.stderr);
    }
    assert_eq!(records(&bench), before);
}
