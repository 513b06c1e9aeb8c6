//! Heap figures side by side for other tools: JSON, JUnit XML and Markdown. Described in docs/reference/baseline.md.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;

use hilrig_core::exit;
use hilrig_core::heap::HeapPhase;
use hilrig_core::text::{plain_json, plain_lines};
use hilrig_core::verdict::Verdict;
use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};
use serde_json::{Value, json};

use super::callers::CallerChange;
use super::compare::{Change, FigureJudgement};
use super::figures::{HeapFigure, Key};
use super::gate::{Gate, KeyComparison, Missing, UnmeasuredBoot};
use crate::escape::{cell, code, sign};
use crate::junit::text;

/// Version of the JSON's schema.
const SCHEMA: u32 = 1;

/// The functions whose share of the heap changed.
pub type CallerChanges = BTreeMap<Key, BTreeMap<HeapPhase, Vec<CallerChange>>>;

/// What a command has side by side.
pub struct SideBySide<'a> {
    /// `check` or `diff`.
    pub command: &'a str,
    /// What the figures before were taken from: a name, and how they were had.
    pub before: (String, Vec<String>),
    /// The same of the figures now.
    pub after: (String, Vec<String>),
    /// The figures.
    pub compared: &'a [KeyComparison],
    /// The heap by function, if both sides report it.
    pub callers: &'a CallerChanges,
    /// The result of the check; a diff judges nothing.
    pub gate: Option<&'a Gate>,
}

impl SideBySide<'_> {
    /// As JSON.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn json(&self) -> serde_json::Result<String> {
        let side = |(name, from): &(String, Vec<String>)| json!({ "name": name, "from": from });
        let mut all = json!({
            "schema": SCHEMA,
            "command": self.command,
            "before": side(&self.before),
            "after": side(&self.after),
            "compared": self.compared.iter().map(|of| self.compared_json(of)).collect::<Vec<_>>(),
        });
        if let Some(gate) = self.gate {
            let missing = |Missing { key, by_the_bench, why }: &Missing| json!({ "key": key, "why": why, "by_the_bench": by_the_bench });
            let boot = |UnmeasuredBoot { run, board, why, key }: &UnmeasuredBoot| json!({ "run": run, "board": board, "why": why, "key": key });
            all["verdict"] = json!(gate.verdict);
            all["exit_code"] = json!(exit::of(gate.verdict));
            all["missing"] = gate.missing.iter().map(missing).collect();
            all["failed"] = gate.failed.iter().map(boot).collect();
            all["left_out"] = gate.left_out.iter().map(boot).collect();
            all["cut_short"] = json!(gate.cut_short);
        }
        serde_json::to_string_pretty(&all).map(|json| plain_json(&json).into_owned() + "\n")
    }

    fn compared_json(&self, of: &KeyComparison) -> Value {
        let figures = of.comparison.changes.iter().map(|change| {
            json!({
                "phase": change.phase,
                "metric": change.metric,
                "before": change.before,
                "now": change.now,
                "change": change.difference(),
                "allowed": change.allowed(),
                "judged": change.judged.name(),
            })
        });
        let mut all = json!({
            "key": of.key,
            "boots": of.boots,
            "figures": figures.collect::<Vec<_>>(),
            "static_memory": { "before": of.sections[0], "now": of.sections[1] },
        });
        if self.gate.is_some() {
            all["left_out"] = json!(of.left_out);
        }
        if let Some(callers) = self.callers.get(&of.key) {
            let changes = callers.iter().flat_map(|(phase, changes)| {
                changes.iter().map(move |CallerChange { name, before, now }| {
                    json!({ "phase": phase, "function": name, "before": before, "now": now })
                })
            });
            all["callers"] = changes.collect();
        }
        all
    }

    /// As JUnit XML: a suite for each key, a case for each figure. In a diff nothing fails.
    ///
    /// # Errors
    /// It cannot be written as XML.
    pub fn junit(&self) -> io::Result<String> {
        let mut report = Report::new(format!("hilrig heap {}", self.command));
        for of in self.compared {
            let mut suite = TestSuite::new(text(&of.key.to_string()));
            suite.add_property(Property::new("boots", of.boots.to_string()));
            for change in &of.comparison.changes {
                let name = format!("{}, {}", change.phase.name(), change.metric.words());
                let mut case = TestCase::new(text(&name), self.status(of, change));
                case.set_classname(text(&of.key.to_string()));
                case.set_system_out(text(&words(change)));
                suite.add_test_case(case);
            }
            report.add_test_suite(suite);
        }
        if let Some(gate) = self.gate {
            report.add_test_suite(boots(gate));
        }
        let xml = report.to_string().map_err(io::Error::other)?;
        Ok(plain_lines(&xml).into_owned())
    }

    fn status(&self, of: &KeyComparison, change: &Change) -> TestCaseStatus {
        let bad = matches!(change.judged, FigureJudgement::Worse | FigureJudgement::NotMeasured);
        match self.gate {
            Some(_) if bad && of.is_judged() => {
                status(NonSuccessKind::Failure, change.judged.name(), &words(change))
            }
            Some(_) if bad => status(
                NonSuccessKind::Error,
                "rig_fault",
                &format!("{}; {}", words(change), few(of)),
            ),
            _ => TestCaseStatus::success(),
        }
    }

    /// As Markdown, for a job's summary or a comment.
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        let verdict = self.gate.map(|gate| gate.verdict);
        let head = match verdict {
            Some(verdict) => {
                format!("{} hilrig heap check: {}", sign(Some(verdict)), verdict.word())
            }
            None => "hilrig heap diff".into(),
        };
        let _ = writeln!(out, "## {head}\n");
        for (what, (name, from)) in [("Before", &self.before), ("After", &self.after)] {
            let _ = writeln!(out, "{what}: {}", code(name));
            for from in from {
                let _ = writeln!(out, "- {}", code(from));
            }
            out.push('\n');
        }
        for of in self.compared {
            let _ = writeln!(out, "### {}\n", code(&of.key.to_string()));
            out.push_str("| Phase | Figure | Before | Now | Change | Allowed | |\n");
            out.push_str("| --- | --- | ---: | ---: | ---: | ---: | --- |\n");
            for change in &of.comparison.changes {
                let figure =
                    |of: Option<HeapFigure>| of.map_or("not measured".into(), |of| of.to_string());
                let signed = |of: Option<i64>| of.map_or(String::new(), |of| format!("{of:+}"));
                let word = match change.judged {
                    FigureJudgement::Worse | FigureJudgement::NotMeasured => {
                        format!("**{}**", change.words())
                    }
                    _ => change.words().to_owned(),
                };
                let _ = writeln!(
                    out,
                    "| {} | {} | {} | {} | {} | {} | {word} |",
                    change.phase.name(),
                    change.metric.words(),
                    figure(change.before),
                    figure(change.now),
                    signed(change.difference()),
                    signed(change.allowed()),
                );
            }
            if self.gate.is_some() && !of.is_judged() {
                let _ = writeln!(out, "\nNot judged: {}.", few(of));
            }
            out.push('\n');
            if let Some(callers) = self.callers.get(&of.key) {
                caller_table(callers, &mut out);
            }
        }
        if let Some(gate) = self.gate {
            for line in gate.lines() {
                let _ = writeln!(out, "- {}", code(&line));
            }
        }
        plain_lines(&out).into_owned()
    }
}

impl Gate {
    /// A line for each thing that is no figure: what is missing, what failed, what was left out.
    pub fn lines(&self) -> Vec<String> {
        let missing = self
            .missing
            .iter()
            .map(|Missing { key, why, .. }| format!("not measured: {key}: {why}"));
        let boot = |what: &'static str| {
            move |UnmeasuredBoot { run, board, why, .. }: &UnmeasuredBoot| {
                format!("`{board}` of run {run} {what}: {why}")
            }
        };
        let too_few = self.compared.iter().filter(|of| !of.is_judged());
        missing
            .chain(self.failed.iter().map(boot("did not pass")))
            .chain(self.left_out.iter().map(boot("is left out")))
            .chain(too_few.map(|of| format!("not judged: {}: {}", of.key, few(of))))
            .chain(self.cut_short.clone())
            .collect()
    }
}

fn few(of: &KeyComparison) -> String {
    let (boots, all) = (of.boots, of.boots + of.left_out);
    format!("{boots} of {all} boots were measured, and it takes more than half")
}

fn caller_table(callers: &BTreeMap<HeapPhase, Vec<CallerChange>>, out: &mut String) {
    if callers.values().all(Vec::is_empty) {
        return;
    }
    out.push_str(
        "| Phase | Function | Before, B | Now, B | Change |\n| --- | --- | ---: | ---: | ---: |\n",
    );
    for (phase, changes) in callers {
        for change in changes {
            let CallerChange { name, before, now } = change;
            let (name, more) = (cell(name), change.difference());
            let _ = writeln!(out, "| {} | {name} | {before} | {now} | {more:+} |", phase.name());
        }
    }
    out.push('\n');
}

/// A figure before and now, in words.
fn words(change: &Change) -> String {
    let figure = |of: Option<HeapFigure>| of.map_or("not measured".into(), |of| of.to_string());
    let mut words = format!(
        "{}, {}: {} before, {} now",
        change.phase.name(),
        change.metric.words(),
        figure(change.before),
        figure(change.now)
    );
    if let Some(more) = change.difference() {
        let _ = write!(words, ", {more:+}");
    }
    if let Some(allowed) = change.allowed() {
        let _ = write!(words, " ({allowed:+} is allowed)");
    }
    words
}

/// What is no figure, as a suite.
fn boots(gate: &Gate) -> TestSuite {
    let mut suite = TestSuite::new("boots");
    let mut add = |name: &str, status| {
        let mut case = TestCase::new(text(name), status);
        case.set_classname("boots");
        suite.add_test_case(case);
    };
    for Missing { key, why, by_the_bench } in &gate.missing {
        let kind = if *by_the_bench { NonSuccessKind::Error } else { NonSuccessKind::Failure };
        add(&key.to_string(), status(kind, "not_measured", why));
    }
    for UnmeasuredBoot { run, board, why, .. } in &gate.failed {
        add(&format!("{board}, run {run}"), status(NonSuccessKind::Failure, "board_failed", why));
    }
    for UnmeasuredBoot { run, board, why, .. } in &gate.left_out {
        let mut skipped = TestCaseStatus::skipped();
        skipped.set_message(text(why));
        add(&format!("{board}, run {run}"), skipped);
    }
    if gate.verdict == Verdict::RigFault {
        let why = gate.lines().join("; ");
        add("gate", status(NonSuccessKind::Error, "rig_fault", &why));
    }
    suite
}

fn status(kind: NonSuccessKind, ty: &str, message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(ty).set_message(text(message));
    status
}

#[cfg(test)]
mod tests {
    use super::super::baseline::{Baseline, Entry};
    use super::super::figures::{Boots, tests::run};
    use super::super::gate::Scope;
    use super::*;

    fn shown(take: impl Fn(&SideBySide<'_>)) {
        let before = run(&[(HeapPhase::Handshake, 40_000, 30_000)]);
        let mut now = run(&[(HeapPhase::Handshake, 19_000, 30_000)]);
        let mut cut_off = now.clone();
        cut_off.boards[0].end.as_mut().unwrap().verdict = Verdict::RigFault;
        cut_off.boards[0].end.as_mut().unwrap().why = Some("no `broker` <here>".into());
        now.started.as_mut().unwrap().run = "s".into();
        let mut entries: BTreeMap<Key, Entry> =
            Boots::of([&before]).iter().map(|(k, b)| (k.clone(), Entry::of(b))).collect();
        let (key, entry) = entries.first_key_value().map(|(k, e)| (k.clone(), e.clone())).unwrap();
        entries.insert(Key { kind: "esp8266".into(), ..key }, entry);
        let baseline = Baseline { entries };
        let runs = [now.clone(), now, cut_off];
        let gate = Gate::judge(&baseline, &runs, &Scope::default(), None).unwrap();
        let callers = CallerChanges::new();
        take(&SideBySide {
            command: "check",
            before: ("heap-baseline.toml".into(), Vec::new()),
            after: ("3 boots".into(), Vec::new()),
            compared: &gate.compared,
            callers: &callers,
            gate: Some(&gate),
        });
        take(&SideBySide {
            command: "diff",
            before: ("v1".into(), vec!["a run".into()]),
            after: ("v2".into(), Vec::new()),
            compared: &gate.compared,
            callers: &callers,
            gate: None,
        });
    }

    #[test]
    fn json_has_the_figures_and_the_verdict_where_there_is_one() {
        shown(|of| {
            let json: Value = serde_json::from_str(&of.json().unwrap()).unwrap();
            let figure = &json["compared"][0]["figures"][0];
            assert_eq!(figure["judged"], "worse");
            assert_eq!((&figure["change"], &figure["allowed"]), (&json!(-21_000), &json!(-256)));
            assert_eq!(json["compared"][0]["key"]["kind"], "virtual");
            let judged = of.command == "check";
            assert_eq!(json.get("verdict").is_some(), judged);
            if judged {
                assert_eq!((&json["verdict"], &json["exit_code"]), (&json!("failed"), &json!(100)));
                assert_eq!(json["missing"][0]["key"]["kind"], "esp8266");
                assert_eq!(json["left_out"].as_array().unwrap().len(), 1);
            }
        });
    }

    #[test]
    fn junit_fails_in_a_check_and_never_in_a_diff() {
        shown(|of| {
            let xml = of.junit().unwrap();
            let failures = xml.matches("<failure").count();
            match of.command {
                // The figure, and the kind that was not measured.
                "check" => {
                    assert_eq!((failures, xml.matches("<skipped").count()), (2, 1), "{xml}");
                    assert!(
                        xml.contains("handshake, lowest free: 40000 before, 19000 now, -21000")
                    );
                }
                _ => assert_eq!(failures, 0, "{xml}"),
            }
        });
    }

    #[test]
    fn markdown_names_what_is_worse_what_is_missing_and_what_was_left_out() {
        shown(|of| {
            let text = of.markdown();
            let row = "| handshake | lowest free | 40000 | 19000 | -21000 | -256 | **less free** |";
            assert!(text.contains(row), "{text}");
            if of.command == "check" {
                assert!(text.starts_with("## \u{274c} hilrig heap check: failed\n"), "{text}");
                assert!(text.contains("- `not measured: esp8266, tls_mfl=512, TLS 1.2"), "{text}");
                // Text of a board or the bench stays code.
                assert!(text.contains("rig fault: no `broker` <here> ``"), "{text}");
            }
        });
    }
}
