//! The heap from commit to commit: bisect, and diffs of commits that are built and measured.

use std::fs;
use std::path::Path;

use hilrig_core::exit;
use hilrig_tests::artifacts;
use hilrig_tests::sandbox::{Configuration, Sandbox, path_text};

const BASELINE: &str = "heap-baseline.toml";

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
    let runs = || bench.records().len();
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
