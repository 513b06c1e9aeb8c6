//! The pages of docs/reference on events, summary and JUnit against what is written.

use hilrig_core::event::Event;
use hilrig_report::{JunitFile, SummaryFile};
use serde_json::Value;

use crate::sample::{kind, mixed, written};

/// A page of the reference.
fn page(name: &str) -> String {
    let path = format!("{}/../../docs/reference/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// The fenced blocks of this language.
fn blocks<'a>(docs: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    docs.split(&fence).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

fn names_in(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                into.push(name.clone());
                names_in(value, into);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| names_in(value, into)),
        _ => {}
    }
}

#[test]
fn every_event_and_every_field_of_it_is_documented() {
    let docs = page("events.md");
    for event in &mixed().events {
        let heading = format!("## `{}`\n", kind(&event.what));
        let Some((_, section)) = docs.split_once(&heading) else {
            panic!("docs/reference/events.md has no section {heading}");
        };
        let section = section.split("\n## ").next().unwrap();
        // A case's fields have a page of their own.
        let case = if section.contains("(certificate.md#a-case") {
            page("certificate.md")
        } else {
            String::new()
        };
        let section = format!("{section}{case}");
        let mut names = Vec::new();
        names_in(&serde_json::to_value(event).unwrap(), &mut names);
        for name in names.iter().filter(|name| !["at", "board", "event"].contains(&name.as_str())) {
            assert!(section.contains(&format!("`{name}`")), "{heading} lacks `{name}`");
        }
    }
}

/// The examples are lines of the sample stream, so that none is made up.
#[test]
fn the_examples_are_what_is_written() {
    let docs = page("events.md");
    let lines: Vec<String> =
        mixed().events.iter().map(|event| serde_json::to_string(event).unwrap()).collect();
    let examples: Vec<&str> =
        blocks(&docs, "jsonl").iter().flat_map(|block| block.lines()).collect();
    for example in &examples {
        let event: Event = serde_json::from_str(example).unwrap();
        let now = serde_json::to_string(&event).unwrap();
        assert!(lines.iter().any(|line| line == example), "no such event: {example}\nnow: {now}");
    }
    let kinds: std::collections::BTreeSet<&str> = examples
        .iter()
        .map(|line| kind(&serde_json::from_str::<Event>(line).unwrap().what))
        .collect();
    assert_eq!(kinds.len(), crate::sample::KINDS, "an example each: {kinds:?}");

    let mut stream = crate::sample::Stream::of(&["v1"]);
    stream.broker().passes("v1", 1).over(hilrig_core::verdict::Verdict::Passed, 0, None);
    let summary = written(&stream.events, |path| Box::new(SummaryFile::new(path.into())));
    assert_eq!(
        blocks(&page("summary.md"), "json"),
        [summary.as_str()],
        "docs/reference/summary.md"
    );
    let junit = written(&stream.events, |path| Box::new(JunitFile::new(path.into())));
    assert_eq!(blocks(&page("junit.md"), "xml"), [junit.as_str()], "docs/reference/junit.md");
}

#[test]
fn every_field_of_the_summary_is_documented() {
    let docs = page("summary.md");
    let summary = written(&mixed().events, |path| Box::new(SummaryFile::new(path.into())));
    let mut names = Vec::new();
    names_in(&serde_json::from_str(&summary).unwrap(), &mut names);
    for name in names {
        assert!(docs.contains(&format!("`{name}`")), "summary.json's `{name}`");
    }
}
