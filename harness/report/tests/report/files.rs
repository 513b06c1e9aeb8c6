//! summary.json and junit.xml.

use hilrig_core::check::Check;
use hilrig_core::event::{Event, What};
use hilrig_core::phase::{Phase, PhaseOutcome};
use hilrig_core::verdict::Verdict;
use hilrig_report::{JunitFile, Reporter as _, SummaryFile};
use proptest::prelude::*;
use quick_xml::events::Event as Xml;
use serde_json::Value;

use crate::sample::{Stream, certified, mixed, written};

fn summary(events: &[Event]) -> Value {
    let json = written(events, |path| Box::new(SummaryFile::new(path.into())));
    serde_json::from_str(&json).unwrap()
}

fn junit(events: &[Event]) -> String {
    written(events, |path| Box::new(JunitFile::new(path.into())))
}

#[test]
fn the_summary_of_a_run_with_every_verdict() {
    insta::assert_json_snapshot!(summary(&mixed().events));
}

#[test]
fn the_summary_shows_when_it_is_not_complete_and_is_there_when_a_board_ends() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("summary.json");
    let mut file = SummaryFile::new(path.clone());
    let mut verdicts = Vec::new();
    for event in &mixed().events {
        file.event(event).unwrap();
        let now: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let boards = now["boards"].as_array().unwrap();
        let known = boards.iter().filter(|board| !board["verdict"].is_null()).count();
        verdicts.push((known, now["complete"] == true));
    }
    verdicts.dedup();
    let steps = [(0, false), (1, false), (2, false), (3, false), (4, false), (4, true)];
    assert_eq!(verdicts, steps);
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "no temporary file stays");
}

#[test]
fn a_run_without_broker_and_heap_is_marked_by_null_and_absence() {
    let mut stream = Stream::of(&["v1"]);
    stream.begin("v1", 1).end("v1", Verdict::RigFault, Some("no broker"));
    stream.over(Verdict::RigFault, 120, Some("no broker: neither docker nor mosquitto is here"));
    let summary = summary(&stream.events);
    assert!(summary["broker"].is_null());
    assert_eq!(summary["boards"][0]["heap"], serde_json::json!({}));
    assert_eq!(summary["boards"][0]["flash"], Value::Null);
    assert_eq!(summary["exit_code"], 120);
}

#[test]
fn the_junit_report_of_a_run_with_every_verdict() {
    insta::assert_snapshot!(junit(&mixed().events));
}

/// Parses as a strict reader does, and gives (tests, failures, errors, skipped) as counted.
fn count(xml: &str) -> (usize, usize, usize, usize) {
    let forbidden = |c: char| matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}');
    assert!(!xml.contains(forbidden), "{xml:?}");
    let mut reader = quick_xml::Reader::from_str(xml);
    reader.config_mut().check_end_names = true;
    let mut counts = (0, 0, 0, 0);
    loop {
        match reader.read_event().unwrap() {
            Xml::Start(tag) | Xml::Empty(tag) => {
                for attribute in tag.attributes() {
                    attribute.unwrap().unescape_value().unwrap();
                }
                match tag.name().as_ref() {
                    b"testcase" => counts.0 += 1,
                    b"failure" => counts.1 += 1,
                    b"error" => counts.2 += 1,
                    b"skipped" => counts.3 += 1,
                    _ => {}
                }
            }
            Xml::GeneralRef(reference) => {
                let name = reference.decode().unwrap().into_owned();
                let known = ["lt", "gt", "amp", "quot", "apos"].contains(&name.as_str());
                assert!(known || reference.is_char_ref(), "{name}");
            }
            Xml::Eof => return counts,
            _ => {}
        }
    }
}

#[test]
fn a_board_that_was_not_judged_is_an_error_whatever_its_checks_say() {
    let mut stream = Stream::of(&["v1", "v2"]);
    stream.passes("v1", 1).begin("v2", 2).phase("v2", Phase::Lock, 0.001);
    stream
        .check("v2", Check::of("boot_log.ip", "the boot log tells the address", true, "10.0.0.1"));
    let xml = junit(&stream.events);
    // The board without a verdict, and the run without an end.
    assert_eq!((count(&xml).1, count(&xml).2), (0, 2), "{xml}");
}

#[test]
fn a_run_that_is_dropped_still_leaves_its_report() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("junit.xml");
    let reporters = hilrig_report::Reporters::new(vec![Box::new(JunitFile::new(path.clone()))]);
    drop(reporters);
    assert_eq!(count(&std::fs::read_to_string(&path).unwrap()), (1, 0, 1, 0));
}

#[test]
fn a_board_that_failed_without_a_check_still_fails() {
    let mut stream = Stream::of(&["v1"]);
    stream.begin("v1", 1).stopped("v1", Phase::Boot, PhaseOutcome::Failed, "silence");
    stream.end("v1", Verdict::Failed, Some("boot: silence")).over(Verdict::Failed, 100, None);
    let xml = junit(&stream.events);
    assert_eq!(count(&xml), (2, 1, 0, 0), "{xml}");
}

proptest! {
    #[test]
    fn hostile_text_makes_no_report_that_ci_cannot_read(
        name in any::<String>(), text in any::<String>(), marks in "[<>&\"'\\]\u{0}-\u{1f}\u{fffe}\u{ffff}]{0,20}",
    ) {
        let text = format!("{text}{marks}]]>");
        let mut stream = Stream::of(&[&name]);
        stream.run(What::Note { text: text.clone() });
        stream.begin(&name, 1).stopped(&name, Phase::Boot, PhaseOutcome::Failed, &text);
        stream.check(&name, Check::of(text.clone(), text.clone(), false, text.clone()));
        stream.check(&name, Check::of(text.clone(), text.clone(), true, text.clone()));
        stream.end(&name, Verdict::Skipped, Some(&text)).over(Verdict::RigFault, 120, Some(&text));
        let xml = junit(&stream.events);
        prop_assert_eq!(count(&xml), (5, 1, 1, 2), "{}", xml);
    }
}

#[test]
fn a_certification_in_junit_and_in_the_summary() {
    let events = certified().events;
    let xml = junit(&events);
    let (_, suite) = xml.split_once("<testsuite name=\"certify: mosquitto\"").unwrap();
    let (suite, _) = suite.split_once("</testsuite>").unwrap();
    insta::assert_snapshot!(suite);
    let json: serde_json::Value =
        serde_json::from_str(&written(&events, |path| Box::new(SummaryFile::new(path.into()))))
            .unwrap();
    insta::assert_json_snapshot!(json["certifications"]);
}
