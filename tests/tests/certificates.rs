//! `hilrig certify show`, `check` and `diff`, and the certificate on a page in a real browser.

use std::fs;
use std::path::PathBuf;

use hilrig_core::certify::certificate::{Device, Evidence, Verdict};
use hilrig_core::certify::matrix::CASES;
use hilrig_core::certify::{Case, CaseEnded, CaseResult, CertifyEnded, Cost, Outcome};
use hilrig_core::event::{BrokerFacts, What};
use hilrig_core::exit;
use hilrig_tests::browser::Browser;
use hilrig_tests::sandbox::{Sandbox, path_text};
use serde_json::{Value, json};

/// What a broker or a board may say that would like to be more than text.
const HOSTILE: &str = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\
    </details></style></title><svg onload=document.title='owned'>";

fn result(case: &Case, heap: u64, text: &str) -> CaseResult {
    CaseResult {
        id: case.id.into(),
        row: case.row,
        title: case.title.into(),
        proves: case.proves.into(),
        seen: case.seen.into(),
        expected: case.expected.to_string(),
        outcome: Outcome::Connected,
        verdict: Verdict::Held,
        reason: None,
        why: None,
        board: Some("v1".into()),
        set_up: text.into(),
        evidence: Evidence { found: text.into(), said: Some(text.into()), ..Evidence::default() },
        cost: Cost { heap_handshake: Some(heap), ..Cost::default() },
        repetitions: None,
        seconds: 1.0,
    }
}

/// A record whose events are those of a certification with the whole matrix, and its certificate.
fn record(bench: &Sandbox, name: &str, version: &str, heap: u64, text: &str) -> PathBuf {
    let broker = || "mosquitto".to_owned();
    let ended = CertifyEnded {
        broker: broker(),
        facts: BrokerFacts {
            kind: "process".into(),
            software: "mosquitto".into(),
            version: version.into(),
            from: text.into(),
            tls: None,
            port: 8883,
            seconds: 0.1,
        },
        tls_library: Some(text.into()),
        device: Device::default(),
    };
    let cases = CASES.iter().map(|case| {
        let result = result(case, heap, text);
        What::CaseEnded(Box::new(CaseEnded { broker: broker(), result }))
    });
    let mut events = vec![
        json!({"at": 0.0, "event": "run_started", "schema": 1, "hilrig": "0.1.0", "run": "r-1",
               "started": "2026-11-22T10:00:00Z", "seed": 1, "firmware": [], "boards": [],
               "floors": {"handshake": 20480}}),
    ];
    events.extend(cases.chain([What::CertifyEnded(Box::new(ended))]).map(|what| {
        let mut event = serde_json::to_value(what).unwrap();
        event["at"] = json!(1.0);
        event
    }));
    events.push(json!({"at": 2.0, "event": "run_ended", "verdict": "passed", "exit_code": 0, "seconds": 2.0}));
    let events: String = events.iter().map(|event: &Value| format!("{event}\n")).collect();
    let record = bench.path(name);
    fs::create_dir(&record).unwrap();
    fs::write(record.join("events.jsonl"), events).unwrap();
    bench.run(&["report", &path_text(&record), "--format", "certificates"]).with_code(exit::PASSED);
    record
}

fn text(browser: &mut Browser, expression: &str) -> String {
    browser.evaluate(expression).as_str().unwrap_or_default().to_owned()
}

#[test]
fn certificates_are_checked_and_put_side_by_side() {
    let bench = Sandbox::new();
    let before = path_text(&record(&bench, "before", "2.0.11", 30_000, "as it comes"));
    let same = path_text(&record(&bench, "same", "2.0.12", 29_744, "as it comes"));
    let worse = path_text(&record(&bench, "worse", "2.1.0", 29_743, "as it comes"));

    let checked = bench.run(&["certify", "check", &before]).with_code(exit::PASSED);
    assert!(checked.stdout.contains("certificate.json: as written, "), "{}", checked.stdout);
    let shown = bench.run(&["certify", "show", &before]).with_code(exit::PASSED);
    assert!(shown.stdout.contains("client-certificate-missing"), "{}", shown.stdout);
    let shown = bench.run(&["certify", "show", &before, "--markdown"]).with_code(exit::PASSED);
    assert!(shown.stdout.starts_with("## Certificate: `mosquitto 2.0.11`"), "{}", shown.stdout);

    // 256 bytes are noise, and one more is reported.
    let held = bench.run(&["certify", "diff", &before, &same]).with_code(exit::PASSED);
    assert!(held.stdout.contains("mosquitto 2.0.12"), "{}", held.stdout);
    assert!(!held.stdout.contains("WORSE"), "{}", held.stdout);
    let diff = bench.run(&["certify", "diff", &before, &worse]).with_code(exit::BOARD_FAILED);
    let lines = diff.stdout.lines().filter(|line| line.ends_with("WORSE")).count();
    // But for the case whose heap depends on how the broker's bytes come.
    assert_eq!(lines, CASES.len() - 1, "{}", diff.stdout);
    assert!(!diff.stdout.contains("byte-by-byte"), "{}", diff.stdout);
    let json =
        bench.run(&["certify", "diff", &before, &worse, "--json"]).with_code(exit::BOARD_FAILED);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json[0]["holds"], false);
    assert_eq!(json[0]["differences"][0]["meaning"], "worse");

    // What was changed by hand is used for nothing.
    let file = bench.path("worse/mosquitto/certificate.json");
    let edited = fs::read_to_string(&file).unwrap().replacen("29743", "30743", 1);
    fs::write(&file, edited).unwrap();
    for command in [&["check", &worse][..], &["show", &worse], &["diff", &before, &worse]] {
        let refused = bench.run(&[&["certify"], command].concat()).with_code(exit::USAGE);
        assert!(refused.stderr.contains("was changed since it was written"), "{}", refused.stderr);
        assert_eq!(refused.stdout, "");
    }
}

#[test]
fn a_hostile_certificate_cannot_script_its_page_and_fits_a_phone() {
    let bench = Sandbox::new();
    let record = path_text(&record(&bench, "record", "2.0.11", 30_000, HOSTILE));
    bench.run(&["report", &record]).with_code(exit::PASSED);
    let alone = path_text(&bench.path("certificate.html"));
    bench.run(&["certify", "show", &record, "--html", "-o", &alone]).with_code(exit::PASSED);
    let Some(mut browser) = Browser::start() else { return };
    for (page, title) in [
        (bench.path("record/report.html"), "passed · hilrig r-1"),
        (bench.path("certificate.html"), "mosquitto 2.0.11 · certificate"),
    ] {
        for scheme in ["light", "dark"] {
            browser.prefer(scheme);
            browser.size(360, 740, true);
            browser.open(&page);
            assert_eq!(text(&mut browser, "document.title"), title);
            let wider = browser.evaluate("document.documentElement.scrollWidth - innerWidth");
            assert_eq!(wider, 0, "the page is wider than the phone, {scheme}");
        }
        for foreign in ["script", "img", "[onerror]", "[onload]"] {
            let count = browser.evaluate(&format!("document.querySelectorAll({foreign:?}).length"));
            assert_eq!(count, 0, "{foreign} got into the page");
        }
        let said = "document.querySelector('details dd code').textContent";
        assert_eq!(text(&mut browser, said), HOSTILE);
        let marks = browser.evaluate("document.querySelectorAll('.wide > svg .mark').length");
        assert_eq!(marks, CASES.len(), "each case's heap is drawn");
        // Evidence opens by keyboard alone.
        browser.evaluate("document.querySelector('details > summary').focus()");
        browser.key("Enter", 13, Some("\r"));
        assert_eq!(browser.evaluate("document.querySelector('details').open"), true);
        let stuck = "[...document.querySelectorAll('*')].filter(e => \
            e.scrollWidth > e.clientWidth + 1 && /auto|scroll/.test(getComputedStyle(e).overflow) \
            && e.tabIndex < 0).length";
        assert_eq!(browser.evaluate(stuck), 0, "something scrolls that a keyboard cannot reach");
    }
}
