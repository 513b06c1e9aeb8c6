//! The run on the terminal.

use std::path::PathBuf;

use hilrig_core::check::Check;
use hilrig_core::event::{Event, What};
use hilrig_core::heap::HeapPhase;
use hilrig_core::phase::Phase;
use hilrig_core::verdict::Verdict;
use hilrig_report::{Live, Plain, Reporter as _, TerminalStyle, replay};
use indicatif::{InMemoryTerm, ProgressDrawTarget};
use proptest::prelude::*;

use crate::sample::{Page, Stream, certified, mixed};

fn plain(events: &[Event], looks: TerminalStyle) -> String {
    let page = Page::default();
    let record = Some(PathBuf::from("records/20261122-100000-1a2b"));
    replay(events, &mut Plain::new(page.clone(), looks, record)).unwrap();
    page.text()
}

/// What stands from the table on.
fn table(events: &[Event], looks: TerminalStyle) -> String {
    let text = plain(events, looks);
    let (_, table) = text.split_once("\n\n").unwrap();
    table.to_owned()
}

fn wide(columns: usize) -> TerminalStyle {
    TerminalStyle { width: Some(columns), colour: false }
}

#[test]
fn plain_lines_and_the_table_with_every_verdict() {
    insta::assert_snapshot!(plain(&mixed().events, TerminalStyle::default()));
}

#[test]
fn one_board() {
    let mut stream = Stream::of(&["v1"]);
    stream.broker().passes("v1", 1).over(Verdict::Passed, 0, None);
    insta::assert_snapshot!(table(&stream.events, wide(80)));
}

#[test]
fn thirty_two_boards() {
    let names: Vec<String> = (1..=32).map(|n| format!("virtual-{n}")).collect();
    let views: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut stream = Stream::of(&views);
    stream.broker();
    for (name, number) in names.iter().zip(1..) {
        stream.passes(name, number);
    }
    stream.over(Verdict::Passed, 0, None);
    let text = table(&stream.events, wide(80));
    let widths: Vec<usize> = text.lines().skip(1).take(33).map(|l| l.chars().count()).collect();
    assert!(widths.iter().all(|width| *width == widths[0]), "{text}");
    insta::assert_snapshot!(text);
}

/// A board in a soak of an hour, with a step each second and a half.
fn soak(steps: u32) -> Stream {
    let mut stream = Stream::of(&["v1"]);
    if let What::RunStarted(run) = &mut stream.events[0].what {
        run.scenarios = vec!["soak:3600s".into()];
    }
    stream.broker().begin("v1", 1);
    stream.board("v1", What::PhaseStarted { phase: Phase::ScenarioSoak });
    for step in 1..=steps {
        let (scenario, text) = ("soak".into(), "a TLS connection".into());
        stream.after(1.5).heap("v1", HeapPhase::Connected, 30_000);
        stream.board("v1", What::Step { scenario, step, of: None, text, seconds: 1.5 });
    }
    stream
}

#[test]
fn a_pipe_gets_a_line_on_a_scenario_every_30_seconds() {
    let text = plain(&soak(102).events, TerminalStyle::default());
    let lines: Vec<&str> = text.lines().filter(|line| line.contains(", step ")).collect();
    // In 153 s, and none for the first moment.
    assert_eq!(lines.len(), 5, "{text}");
    let first = "v1  scenario soak, step 19, 30 s of 1:00:00 h: a TLS connection, 31000 B free";
    assert!(lines[0].ends_with(first), "{}", lines[0]);
    assert!(lines[4].contains(" of 1:00:00 h: "), "{}", lines[4]);
}

#[test]
fn a_live_view_shows_the_step_and_the_count() {
    let mut stream = soak(0);
    let step = |step| What::Step {
        scenario: "soak".into(),
        step,
        of: Some(12),
        text: "a TLS connection".into(),
        seconds: 1.0,
    };
    stream.board("v1", step(6)).board("v1", step(7));
    let terminal = InMemoryTerm::new(24, 100);
    let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
    let mut live = Live::new(target, Page::default(), wide(100), None);
    for event in &stream.events {
        live.event(event).unwrap();
    }
    let shown = terminal.contents();
    assert!(shown.contains("scenario soak, step 7 of 12, "), "{shown}");
}

#[test]
fn a_certification_as_lines_and_a_table() {
    insta::assert_snapshot!(plain(&certified().events, TerminalStyle::default()));
    let cut_short: Vec<Event> = certified().events.into_iter().take(9).collect();
    let text = table(&cut_short, wide(80));
    assert!(text.contains("cut short: 3 of 10 cases were reported"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80 || line.contains(": ")), "{text}");
    let narrow = table(&certified().events, wide(40));
    assert!(narrow.contains("\nclient-certificate-missing\n  failed, connected\n"), "{narrow}");
}

#[test]
fn long_names_are_cut_on_a_terminal_only() {
    let name = "the board on the left of the bench by the window, third from the top";
    let mut stream = Stream::of(&[name, "v2"]);
    stream.passes(name, 1).passes("v2", 2).over(Verdict::Passed, 0, None);
    let text = table(&stream.events, wide(80));
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    insta::assert_snapshot!(text);
    assert!(table(&stream.events, TerminalStyle::default()).contains(name));
}

#[test]
fn a_narrow_terminal_gets_paragraphs() {
    let text = table(&mixed().events, wide(40));
    let (boards, _) = text.split_once("\n\n").unwrap();
    assert!(boards.lines().all(|line| line.chars().count() <= 40), "{text}");
    insta::assert_snapshot!(boards);
}

#[test]
fn a_run_that_was_cut_short_is_marked() {
    let mut stream = Stream::of(&["v1", "v2"]);
    stream.passes("v1", 1).begin("v2", 2).phase("v2", Phase::Lock, 0.001);
    insta::assert_snapshot!(table(&stream.events, wide(80)));
    let mut stream = Stream::of(&[]);
    stream.over(Verdict::RigFault, 120, Some("no broker.\nInstall docker or mosquitto"));
    insta::assert_snapshot!("no_boards", plain(&stream.events, wide(80)));
}

#[test]
fn colour_is_there_when_it_is_wanted() {
    let looks = TerminalStyle { width: Some(80), colour: true };
    let text = table(&mixed().events, looks);
    assert!(text.contains("\u{1b}[1m\u{1b}[32mpassed"), "{text:?}");
    assert!(text.contains("\u{1b}[31m    19000"), "{text:?}");
    let bare = anstream::adapter::strip_str(&text).to_string();
    assert_eq!(bare, table(&mixed().events, wide(80)));
}

#[test]
fn a_board_at_work_has_a_line_and_a_finished_one_its_verdict() {
    let terminal = InMemoryTerm::new(24, 80);
    let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
    let page = Page::default();
    let mut live = Live::new(target, page.clone(), wide(80), None);
    let events = mixed().events;
    let flashing = events
        .iter()
        .position(|event| matches!(event.what, What::FlashProgress { written: 131_072, .. }))
        .unwrap();
    let refusing = events
        .iter()
        .position(|event| matches!(event.what, What::PhaseStarted { phase: Phase::Refusal }))
        .unwrap();
    let mut seen = Vec::new();
    for (at, event) in events.iter().enumerate() {
        live.event(event).unwrap();
        if at == flashing || at == refusing {
            // The target draws so many times a second: wait for the one with this in it.
            let words = if at == flashing { "64 %" } else { Phase::Refusal.words() };
            seen.push(wait_for(&terminal, words));
        }
    }
    assert!(seen[0].contains("v1          "), "{}", seen[0]);
    assert!(seen[0].contains("flash [============>       ]  64 %"), "{}", seen[0]);
    assert!(seen[0].contains("0 of 4 boards done"), "{}", seen[0]);
    live.finish().unwrap();
    let left = terminal.contents();
    assert!(left.contains("v1          passed in "), "{left}");
    assert!(left.contains("v4          skipped: "), "{left}");
    assert!(!left.contains("boards done"), "{left}");
    assert!(page.text().contains("lowest free heap, bytes"));
}

/// The picture, as soon as `words` are in it.
fn wait_for(terminal: &InMemoryTerm, words: &str) -> String {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let picture = terminal.contents();
        if picture.contains(words) {
            return picture;
        }
        assert!(std::time::Instant::now() < deadline, "waited for {words:?}, got:\n{picture}");
        std::thread::yield_now();
    }
}

proptest! {
    #[test]
    fn nothing_in_a_stream_drives_the_terminal(name: String, text: String, columns in 0usize..200) {
        let text = format!("{text}\u{1b}[2J\u{9b}2J");
        let mut stream = Stream::of(&[&name]);
        stream.run(What::Note { text: text.clone() }).broker();
        stream.begin(&name, 1).check(&name, Check::of(text.clone(), text.clone(), false, text.clone()));
        stream.end(&name, Verdict::Failed, Some(&text)).over(Verdict::Failed, 100, Some(&text));
        let shown = plain(&stream.events, wide(columns));
        let drives = |c: char| c.is_control() && c != '\n' && c != '\t';
        prop_assert!(!shown.contains(drives), "{:?}", shown);
    }
}
