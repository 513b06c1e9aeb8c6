//! `report.html` in a real browser, and `hilrig report` on records of all kinds.

use std::fs;
use std::path::{Path, PathBuf};

use hilrig_core::exit;
use hilrig_tests::browser::Browser;
use hilrig_tests::sandbox::{Sandbox, path_text};
use serde_json::json;

/// What a board, a broker or a file name may hold that would like to be more than text.
const HOSTILE: &str = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\
    </pre></style></title><svg onload=document.title='owned'>\" onfocus=document.title='owned' autofocus x=\"\
    <meta http-equiv=refresh content='0;url=about:blank'><a href=javascript:document.title='owned'>x</a>";

/// A record with something hostile wherever text from outside is shown, and a long boot log.
fn hostile_record(bench: &Sandbox) -> PathBuf {
    let record = bench.path("record");
    let board = "b<script>";
    let events = [
        json!({"at": 0.0, "event": "run_started", "schema": 1, "hilrig": "0.1.0", "run": "r-1",
               "started": "2026-11-22T10:00:00Z", "seed": 1, "firmware": [], "boards": [board]}),
        json!({"at": 0.0, "event": "note", "text": HOSTILE}),
        json!({"at": 0.1, "board": board, "event": "board_started", "kind": HOSTILE, "port": HOSTILE}),
        json!({"at": 0.1, "board": board, "event": "phase_started", "phase": "boot"}),
        json!({"at": 0.2, "board": board, "event": "heap", "phase": "boot", "lowest_free": 50000,
               "free": 51000, "source": "log"}),
        json!({"at": 0.9, "board": board, "event": "phase_ended", "phase": "boot", "outcome": "failed",
               "seconds": 0.8, "waited": 0.8, "why": HOSTILE}),
        json!({"at": 0.9, "board": board, "event": "check", "id": HOSTILE, "title": HOSTILE,
               "outcome": "not_held", "found": HOSTILE, "log_line": 5000}),
        json!({"at": 1.0, "board": board, "event": "board_ended", "verdict": "failed", "seconds": 0.9,
               "why": HOSTILE}),
        json!({"at": 1.0, "event": "run_ended", "verdict": "failed", "exit_code": 100, "seconds": 1.0,
               "why": HOSTILE}),
    ];
    let events: String = events.iter().map(|event| format!("{event}\n")).collect();
    fs::create_dir(&record).unwrap();
    fs::write(record.join("events.jsonl"), events).unwrap();
    // The summary has which folder is the board's.
    let file = path_text(&record);
    bench.run(&["report", &file, "--format", "summary"]).with_code(exit::PASSED);
    let summary = fs::read_to_string(record.join("summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    let log = record.join(summary["boards"][0]["boot_log"].as_str().unwrap());
    fs::create_dir(log.parent().unwrap()).unwrap();
    let lines: String = (1..=9000).map(|n| format!("[   0.500000] {n} {HOSTILE}\n")).collect();
    fs::write(log.with_file_name("boot.timed.log"), lines).unwrap();
    bench.run(&["report", &file]).with_code(exit::PASSED);
    record.join("report.html")
}

fn real_record(bench: &Sandbox) -> PathBuf {
    bench.run(&["run", "--broker", "process", "--record", "record"]).with_code(exit::PASSED);
    bench.path("record/report.html")
}

fn text(browser: &mut Browser, expression: &str) -> String {
    browser.evaluate(expression).as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_hostile_boot_log_cannot_script_the_page() {
    let bench = Sandbox::new();
    let page = hostile_record(&bench);
    let Some(mut browser) = Browser::start() else { return };
    browser.open(&page);
    assert_eq!(text(&mut browser, "document.title"), "failed · hilrig r-1");
    for foreign in
        ["script", "img", "iframe", "[onerror]", "[onload]", "[onfocus]", "[href^=javascript]"]
    {
        let count = browser.evaluate(&format!("document.querySelectorAll({foreign:?}).length"));
        assert_eq!(count, 0, "{foreign} got into the page");
    }
    // It is all there, as text.
    let log = text(&mut browser, "document.querySelector('pre.log').textContent");
    assert!(log.contains(&format!("5000 {HOSTILE}")), "the marked line is not shown");
    assert!(
        log.contains("lines are in the record") && !log.contains("] 3000 "),
        "the log is whole"
    );
    // Even what got past the escaping could not run: the page's policy forbids it.
    let injected = "{ const s = document.createElement('script'); s.textContent = 'document.title = \"owned\"'; \
                    document.body.append(s); document.title }";
    assert_eq!(text(&mut browser, injected), "failed · hilrig r-1");
}

#[test]
fn the_page_works_on_a_phone_in_light_and_dark_and_with_a_keyboard() {
    let bench = Sandbox::new();
    let page = real_record(&bench);
    let Some(mut browser) = Browser::start() else { return };
    let mut backs = Vec::new();
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        browser.size(360, 740, true);
        browser.open(&page);
        let wider = browser.evaluate("document.documentElement.scrollWidth - innerWidth");
        assert_eq!(wider, 0, "the page is wider than the phone, {scheme}");
        let least = browser.evaluate(CONTRAST).as_f64().expect("a ratio");
        assert!(
            least >= 4.5,
            "{scheme}: the least contrast of a text is {least} (WCAG AA wants 4.5)"
        );
        backs.push(text(&mut browser, "getComputedStyle(document.body).backgroundColor"));
    }
    assert_ne!(backs[0], backs[1], "light and dark are one");

    // The heap's samples are drawn, each where its figure is.
    let marks = browser.evaluate("document.querySelectorAll('.wide > svg .mark').length");
    assert!(marks.as_u64().unwrap() >= 4, "{marks} points");

    // Tab leads to the boards, Enter to a board; what scrolls can be reached.
    browser.size(1200, 900, false);
    browser.open(&page);
    browser.key("Tab", 9, None);
    assert_eq!(text(&mut browser, "document.activeElement.className"), "skip");
    for _ in 0..2 {
        browser.key("Tab", 9, None);
    }
    assert_eq!(text(&mut browser, "document.activeElement.textContent"), "virtual-1");
    browser.key("Enter", 13, Some("\r"));
    assert_eq!(text(&mut browser, "location.hash"), "#board-virtual-1");
    let stuck = "[...document.querySelectorAll('*')].filter(e => \
        (e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1) \
        && /auto|scroll/.test(getComputedStyle(e).overflow) && e.tabIndex < 0).length";
    assert_eq!(browser.evaluate(stuck), 0, "something scrolls that a keyboard cannot reach");
}

/// The least contrast of any text to what is behind it, by WCAG 2.1's formula.
const CONTRAST: &str = "(() => {
  const rgb = s => s.match(/[\\d.]+/g).map(Number);
  const light = c => c.slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const back = e => { for (; e; e = e.parentElement) {
    const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; }
    return [255, 255, 255]; };
  let least = 21;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement;
    if (!texts.currentNode.textContent.trim() || e.closest('svg')) continue;
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(back(e))].sort((a, b) => b - a);
    least = Math.min(least, (a + 0.05) / (b + 0.05));
  }
  return least;
})()";

#[test]
fn a_report_is_made_again_of_a_record() {
    let bench = Sandbox::new();
    let page = real_record(&bench);
    let record = page.parent().unwrap();
    let folder = path_text(record);
    for (format, name) in
        [("html", "report.html"), ("summary", "summary.json"), ("junit", "junit.xml")]
    {
        let first = fs::read(record.join(name)).unwrap();
        let again = bench.path(name);
        let again_text = path_text(&again);
        bench
            .run(&["report", &folder, "--format", format, "--out", &again_text])
            .with_code(exit::PASSED);
        assert!(first == fs::read(&again).unwrap(), "{name} is another one when made again");
    }
    let markdown = bench.run(&["report", &folder, "--format", "markdown"]).with_code(exit::PASSED);
    assert!(markdown.stdout.contains("| `virtual-1` | ✅ passed |"), "{}", markdown.stdout);
    let none = bench.run(&["report", &folder, "--format", "annotations"]).with_code(exit::PASSED);
    assert_eq!(none.stdout, "");
}

#[test]
fn what_is_no_record_is_refused() {
    let bench = Sandbox::new();
    let refused = bench.run(&["report", "nothing"]).with_code(exit::USAGE);
    assert!(refused.stderr.contains("events.jsonl"), "{}", refused.stderr);
    let folder = path_text(bench.write("events.jsonl", "no event\n").parent().unwrap());
    let refused = bench.run(&["report", &folder]).with_code(exit::USAGE);
    assert!(refused.stderr.contains("line 1 is no event"), "{}", refused.stderr);
    assert!(!Path::new(&folder).join("report.html").exists());
}
