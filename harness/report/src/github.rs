//! A run for GitHub: Markdown for a job's summary or a comment, and annotations.

use std::fmt::Write as _;

use hilrig_core::certify::Outcome;
use hilrig_core::certify::certificate::{Required, RequiredOutcome, Verdict as CaseVerdict};
use hilrig_core::check::CheckOutcome;
use hilrig_core::heap::HeapPhase;
use hilrig_core::leak;
use hilrig_core::plural::counted;
use hilrig_core::scenario::ScenarioFound;
use hilrig_core::text::plain_lines;
use hilrig_core::verdict::Verdict;

use crate::certificate::{self, Certification, words};
use crate::escape::{cell, code, sign};
use crate::heap::{at_lowest, caller_rows, lowest};
use crate::model::{BoardModel, RunModel, outcome_words, slope_words};

/// By this line a later run finds the comment that it is to update.
const MARKER: &str = "<!-- hilrig -->";
/// GitHub takes 65,536 characters of a comment and 1 MiB of a summary; what does not fit the first is
/// left out with a word.
const MOST: usize = 60_000;

/// The run as Markdown.
pub fn markdown(run: &RunModel) -> String {
    let verdict = run.ended.as_ref().map(|end| end.verdict);
    let id = run.started.as_ref().map_or("", |started| started.run.as_str());
    let mut text = format!("{MARKER}\n## {} hilrig: {}\n\n", sign(verdict), word(verdict));
    let passed = run.count(Verdict::Passed);
    let _ = writeln!(
        text,
        "{passed} of {} passed. Run {}.",
        counted(run.boards.len(), "board"),
        code(id)
    );
    if let Some(why) = run.ended.as_ref().and_then(|end| end.why.as_deref()) {
        let _ = writeln!(text, "\n{}", code(why));
    }
    text.push_str("\n| Board | Verdict |");
    for phase in HeapPhase::ALL {
        let _ = write!(text, " Free in {}, B |", phase.name());
    }
    text.push_str("\n| --- | --- | ---: | ---: | ---: | ---: |\n");
    let rows = run.boards.iter().map(row);
    let failures = run.boards.iter().map(not_passed);
    let scenarios = std::iter::once(scenarios(run));
    let certificates = run.certifications.iter().map(|of| certificate(of, run));
    let holders = run.boards.iter().map(holders);
    let rest =
        scenarios.chain(certificates).chain(failures).chain([static_memory(run)]).chain(holders);
    for part in rows.chain([String::new()]).chain(rest) {
        if text.len() + part.len() > MOST {
            text.push_str("\nMore is in the record.\n");
            break;
        }
        text.push_str(&part);
    }
    plain_lines(&text).into_owned()
}

fn certificate(certification: &Certification, run: &RunModel) -> String {
    match run.certificate(&certification.broker) {
        Some(certificate) => format!("\n{}", certificate::markdown(&certificate)),
        None => {
            let (reported, of) = (certification.cases.len(), certification.expected);
            let broker = code(&certification.broker);
            format!(
                "\n## Certificate: {broker}\n\nCut short: {reported} of {} were reported.\n",
                counted(of, "case")
            )
        }
    }
}

fn row(board: &BoardModel) -> String {
    let mut row =
        format!("| {} | {} {} |", cell(&board.name), sign(board.verdict()), word(board.verdict()));
    for phase in HeapPhase::ALL {
        match board.heap.get(phase) {
            Some(low) => {
                let _ = write!(row, " {} |", low.lowest_free);
            }
            None => row.push_str(" not measured |"),
        }
    }
    row + "\n"
}

/// The results of the scenarios, also of boards that passed.
fn scenarios(run: &RunModel) -> String {
    let of = |board: &BoardModel| {
        let name = cell(&board.name);
        board.scenarios.iter().map(move |found| scenario(&name, found)).collect::<String>()
    };
    let rows: String = run.boards.iter().map(of).collect();
    match rows.is_empty() {
        true => rows,
        false => format!(
            "\n| Board | Scenario | Result | Steps | Samples | Free heap moves by, B ({} %) |\n\
             | --- | --- | --- | ---: | ---: | --- |\n{rows}",
            leak::CONFIDENCE_PERCENT
        ),
    }
}

fn scenario(board: &str, found: &ScenarioFound) -> String {
    let result = match (found.outcome, &found.stopped) {
        (CheckOutcome::Held, None) => "no leak",
        (CheckOutcome::Held, Some(_)) => "no leak until it was stopped",
        (CheckOutcome::NotHeld, _) => "failed",
        (CheckOutcome::NotMeasured, _) => "not measured",
    };
    let slopes: Vec<String> = found.slopes.iter().map(slope_words).collect();
    let slopes = if slopes.is_empty() { "not measured".into() } else { slopes.join("; ") };
    let ScenarioFound { scenario, steps, samples, .. } = found;
    format!("| {board} | {} | {result} | {steps} | {samples} | {slopes} |\n", cell(scenario))
}

/// What the images take of their chips' memory before they run.
fn static_memory(run: &RunModel) -> String {
    let mut text = String::new();
    for firmware in run.started.iter().flat_map(|started| &started.firmware) {
        if firmware.sections.is_empty() {
            continue;
        }
        let sizes = firmware.sections.iter().map(|s| format!("{} {} B", code(&s.name), s.bytes));
        let sizes: Vec<String> = sizes.collect();
        let _ = writeln!(text, "\nStatic memory, {}: {}.", code(&firmware.kind), sizes.join(", "));
    }
    text
}

/// A board's heap by function when it was lowest.
fn holders(board: &BoardModel) -> String {
    let Some(callers) = lowest(board) else { return String::new() };
    let mut text = format!(
        "\n<details><summary>Heap by function: {}</summary>\n\n{}\n\n",
        at_lowest(callers),
        code(&board.name)
    );
    text.push_str("| Bytes | Function | Place |\n| ---: | --- | --- |\n");
    for row in caller_rows(callers) {
        let _ = writeln!(text, "| {} | {} | {} |", row.bytes, cell(&row.name), cell(&row.place));
    }
    text + "\n</details>\n"
}

fn not_passed(board: &BoardModel) -> String {
    if board.verdict() == Some(Verdict::Passed) {
        return String::new();
    }
    let mut text = format!("\n### {}\n\n", code(&board.name));
    if let Some(why) = board.end.as_ref().and_then(|end| end.why.as_deref()) {
        let _ = writeln!(text, "{}\n", code(why));
    }
    for check in board.checks_not_passed() {
        let found = check.found.as_deref().map(|found| format!(": {}", code(found)));
        let line = check.log_line.map(|line| format!(" (boot log, line {line})"));
        let _ = writeln!(
            text,
            "- {} {}{}{}",
            code(&check.id),
            outcome_words(check.outcome),
            found.unwrap_or_default(),
            line.unwrap_or_default(),
        );
    }
    if !board.crashes.is_empty() {
        let traces = board.traces().replace('&', "&amp;").replace('<', "&lt;");
        let _ =
            writeln!(text, "\n<details><summary>Crashes</summary><pre>\n{traces}</pre></details>");
    }
    text
}

/// The run as workflow commands: one `::error` for each board that failed and each case that did not
/// hold, a `::warning` for a board that met a rig fault or a case that broke.
pub fn annotations(run: &RunModel) -> String {
    let mut text = String::new();
    for certification in &run.certifications {
        for case in &certification.cases {
            let kind = match (case.verdict, case.outcome) {
                (CaseVerdict::NotHeld, _) => "error",
                (_, Outcome::Broken) => "warning",
                _ => continue,
            };
            let verdict = words::verdict(case);
            let title = format!("{}, {} {verdict}", certification.broker, case.id);
            let came = words::came_of(case);
            let message = format!("{}: {came}\nexpected: {}", case.title, case.expected);
            let _ = writeln!(text, "::{kind} title={}::{}", property(&title), data(&message));
        }
    }
    for certification in &run.certifications {
        let policy = run.certificate(&certification.broker).map(|of| of.policy);
        let not_met = |one: &&Required| one.outcome != RequiredOutcome::Passed;
        for required in policy.iter().flatten().filter(not_met) {
            let title = format!("{}, required {}", certification.broker, required.require);
            let message = words::required(required);
            let _ = writeln!(text, "::error title={}::{}", property(&title), data(&message));
        }
    }
    for board in &run.boards {
        let kind = match board.verdict() {
            Some(Verdict::Failed) => "error",
            Some(Verdict::Passed | Verdict::Skipped) => continue,
            Some(Verdict::RigFault) | None => "warning",
        };
        let mut lines = vec![match board.end.as_ref().and_then(|end| end.why.clone()) {
            Some(why) => why,
            None => "the record stops before this board's verdict".into(),
        }];
        lines.extend(board.checks_not_passed().map(|check| {
            let found = check.found.as_deref().unwrap_or("nothing was found");
            format!("{} {}: {found}", check.id, outcome_words(check.outcome))
        }));
        let title = format!("{} {}", board.name, word(board.verdict()));
        let _ = writeln!(text, "::{kind} title={}::{}", property(&title), data(&lines.join("\n")));
    }
    text
}

fn word(verdict: Option<Verdict>) -> &'static str {
    verdict.map_or("no verdict", Verdict::word)
}

/// A message of a workflow command, escaped as GitHub's own toolkit does.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use hilrig_core::check::Check;
    use hilrig_core::event::{Event, What};

    use super::*;

    fn run(why: &str) -> RunModel {
        let at =
            |board: Option<&str>, what| Event { at: 1.0, board: board.map(String::from), what };
        let check = Check::of("mqtt.requests", "requests", false, why).at_line(7);
        RunModel::of(&[
            at(Some("b-1"), What::Check(check)),
            at(
                Some("b-1"),
                What::BoardEnded { verdict: Verdict::Failed, seconds: 1.0, why: Some(why.into()) },
            ),
            at(Some("b-2"), What::BoardEnded { verdict: Verdict::Passed, seconds: 1.0, why: None }),
        ])
    }

    #[test]
    fn a_failed_board_is_reported_with_its_checks() {
        let text = markdown(&run("no reply"));
        assert!(text.starts_with(MARKER));
        assert!(text.contains("1 of 2 boards passed"), "{text}");
        assert!(text.contains("- `mqtt.requests` failed: `no reply` (boot log, line 7)"), "{text}");
        assert!(text.contains("| `b-2` | ✅ passed | not measured |"), "{text}");
        let commands = annotations(&run("no reply"));
        assert_eq!(
            commands,
            "::error title=b-1 failed::no reply%0Amqtt.requests failed: no reply\n"
        );
    }

    #[test]
    fn what_a_board_sends_is_neither_markup_nor_a_command() {
        let hostile = "``` | <img src=x> @all\n::set-output name=a::b %0A";
        let text = markdown(&run(hostile));
        assert!(
            text.contains("```` ``` | <img src=x> @all ::set-output name=a::b %0A ````"),
            "{text}"
        );
        let commands = annotations(&run(hostile));
        assert_eq!(commands.lines().count(), 1, "{commands}");
        assert!(commands.contains("%0A::set-output name=a::b %250A"), "{commands}");
    }

    #[test]
    fn a_farm_of_failures_fits_a_comment() {
        let mut model = run("no reply");
        let board = model.boards[0].clone();
        model.boards =
            (0..2000).map(|n| BoardModel { name: format!("b-{n}"), ..board.clone() }).collect();
        let text = markdown(&model);
        assert!(text.len() < 65_536 && text.ends_with("More is in the record.\n"));
    }
}
