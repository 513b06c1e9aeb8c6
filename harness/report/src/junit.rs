//! `junit.xml`: the run for CI.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use quick_junit::{
    NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite, XmlString,
};

use hilrig_core::certify::certificate::{Required, RequiredOutcome, Verdict as CaseVerdict};
use hilrig_core::certify::{CaseResult, Outcome};
use hilrig_core::check::{Check, CheckOutcome};
use hilrig_core::event::Event;
use hilrig_core::heap::HeapPhase;
use hilrig_core::phase::PhaseOutcome;
use hilrig_core::plural::counted;
use hilrig_core::text::plain_lines;
use hilrig_core::verdict::Verdict;

use crate::certificate::{Certification, words};
use crate::model::{BoardModel, PhaseRun, RunModel};
use crate::record::{BOOT_LOG, folder_of};
use crate::reporters::Reporter;
use hilrig_file::WholeFile;

/// Writes JUnit XML when the run is over.
pub struct JunitFile {
    run: RunModel,
    file: WholeFile,
}

impl JunitFile {
    /// Writes to `path`, replacing what is there.
    pub fn new(path: PathBuf) -> JunitFile {
        JunitFile { run: RunModel::default(), file: WholeFile::new(path) }
    }
}

impl Reporter for JunitFile {
    fn name(&self) -> String {
        self.file.path().display().to_string()
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.run.add(event);
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        let xml = report(&self.run).to_string().map_err(io::Error::other)?;
        self.file.write(plain_lines(&xml).as_bytes())
    }
}

/// A test suite for each board and one for the run itself; a test case for each phase and check.
fn report(run: &RunModel) -> Report {
    let mut report = Report::new("hilrig");
    let ended = run.ended.as_ref();
    report.timestamp = run.started.as_ref().and_then(|s| s.started.parse().ok());
    report.time = Some(duration(ended.map_or(run.at, |end| end.seconds)));
    for board in &run.boards {
        report.add_test_suite(board_suite(board));
    }
    for certification in &run.certifications {
        report.add_test_suite(certificate_suite(certification, run));
    }
    report.add_test_suite(run_suite(run));
    for suite in &mut report.test_suites {
        suite.timestamp = report.timestamp;
    }
    report
}

/// The run itself: that it ended, and how. No board's suite has that.
fn run_suite(run: &RunModel) -> TestSuite {
    let mut suite = TestSuite::new("run");
    if let Some(started) = &run.started {
        suite.add_property(Property::new("run", text(&started.run)));
        suite.add_property(Property::new("hilrig", text(&started.hilrig)));
        suite.add_property(Property::new("seed", started.seed.to_string()));
    }
    if let Some(broker) = &run.broker {
        let words = format!("{} {} ({})", broker.software, broker.version, broker.kind);
        suite.add_property(Property::new("broker", text(&words)));
    }
    // Boards that failed have suites of their own. A run that judged nothing is no success.
    let status = match &run.ended {
        None => error("incomplete", "the record stops before the run's end"),
        Some(end) => match end.verdict {
            Verdict::Passed | Verdict::Failed => TestCaseStatus::success(),
            // A fault that a board met is an error in that board's suite.
            Verdict::RigFault if end.why.is_none() && run.count(Verdict::RigFault) > 0 => {
                TestCaseStatus::success()
            }
            Verdict::RigFault => {
                error("rig_fault", end.why.as_deref().unwrap_or("no reason was reported"))
            }
            Verdict::Skipped => {
                error("nothing_judged", end.why.as_deref().unwrap_or("no board was judged"))
            }
        },
    };
    let mut case = TestCase::new("run", status);
    case.set_classname("hilrig");
    case.time = Some(duration(run.ended.as_ref().map_or(run.at, |end| end.seconds)));
    if !run.notes.is_empty() {
        case.set_system_out(text(&run.notes.join("\n")));
    }
    suite.add_test_case(case);
    suite
}

fn board_suite(board: &BoardModel) -> TestSuite {
    let name = text(&board.name);
    let mut suite = TestSuite::new(name.clone());
    suite.time = board.end.as_ref().map(|end| duration(end.seconds));
    if let Some(facts) = &board.facts {
        suite.add_property(Property::new("kind", text(&facts.kind)));
        suite.add_property(Property::new("port", text(&facts.port)));
        if let Some(mac) = facts.mac {
            suite.add_property(Property::new("mac", mac.to_string()));
        }
    }
    for phase in HeapPhase::ALL {
        if let Some(low) = board.heap.get(phase) {
            let figure = low.lowest_free.to_string();
            suite.add_property(Property::new(format!("heap.{}.lowest_free", phase.name()), figure));
        }
    }
    let mut cases: Vec<TestCase> = board.phases.iter().map(|run| phase_case(run, board)).collect();
    cases.extend(board.checks.iter().map(|check| check_case(check, board)));
    if let Some(status) = verdict_status(board, cases.is_empty()) {
        let mut case = TestCase::new("verdict", status);
        case.time = suite.time;
        cases.push(case);
    }
    for mut case in cases {
        case.set_classname(name.clone());
        suite.add_test_case(case);
    }
    let log = format!("boot log: {}/{BOOT_LOG}, beside this file", folder_of(&board.name));
    suite.set_system_out(text(&log));
    suite
}

/// A broker's certification, a test case for each case of the matrix.
fn certificate_suite(certification: &Certification, run: &RunModel) -> TestSuite {
    let name = text(&format!("certify: {}", certification.broker));
    let mut suite = TestSuite::new(name.clone());
    let mut cases: Vec<TestCase> = certification.cases.iter().map(certified_case).collect();
    match run.certificate(&certification.broker) {
        Some(certificate) => {
            let broker = words::broker(&certificate);
            suite.add_property(Property::new("broker", text(&broker)));
            if let Some(library) = &certificate.tls_library {
                suite.add_property(Property::new("tls_library", text(library)));
            }
            if let Some(profile) = &certificate.profile {
                suite.add_property(Property::new("profile", text(&words::profile(profile))));
            }
            cases.extend(certificate.policy.iter().map(required_case));
        }
        None => {
            let (reported, of) = (certification.cases.len(), certification.expected);
            let why = format!("the record stops after {reported} of {}", counted(of, "case"));
            cases.push(TestCase::new("complete", error("incomplete", &why)));
        }
    }
    for mut case in cases {
        case.set_classname(name.clone());
        suite.add_test_case(case);
    }
    suite
}

/// A requirement of the user's own.
fn required_case(required: &Required) -> TestCase {
    let status = match required.outcome {
        RequiredOutcome::Passed => TestCaseStatus::success(),
        RequiredOutcome::Failed => failure("required", &words::required(required), &required.found),
        RequiredOutcome::NotMeasured => {
            failure("not_measured", &words::required(required), &required.found)
        }
    };
    TestCase::new(text(&format!("required: {}", required.require)), status)
}

fn certified_case(case: &CaseResult) -> TestCase {
    let came = words::came_of(case);
    let evidence = &case.evidence;
    let said = evidence.said.as_ref().map(|said| format!("\nthe board printed: {said}"));
    let wire = words::telling(case).map(|seen| format!("\non the wire: {}", words::wire(seen)));
    let description = format!(
        "{}\nproves: {}\nstands for: {}\nexpected: {}\nfound: {}{}{}",
        case.title,
        case.proves,
        case.seen,
        case.expected,
        evidence.found,
        said.unwrap_or_default(),
        wire.unwrap_or_default()
    );
    let status = match (case.verdict, case.outcome) {
        (CaseVerdict::Reported, _) if case.unstable() => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(text(&words::repetitions(case).unwrap_or_default()));
            status
        }
        (CaseVerdict::Held | CaseVerdict::Reported, _) => TestCaseStatus::success(),
        (CaseVerdict::NotHeld, _) => {
            let unstable = case.unstable().then(|| words::repetitions(case)).flatten();
            let unstable = unstable.map(|words| format!("{words}; ")).unwrap_or_default();
            let message = format!("{unstable}{came}; expected: {}", case.expected);
            failure("not_held", &message, &description)
        }
        (CaseVerdict::NotRun, Outcome::Broken) => error("broken", &came),
        (CaseVerdict::NotRun, _) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(text(&came));
            status
        }
    };
    let mut test = TestCase::new(text(&case.id), status);
    test.set_time(duration(case.seconds));
    if case.verdict == CaseVerdict::Reported {
        test.add_property(Property::new("reported", text(&came)));
    }
    for (name, figure) in [
        ("heap.handshake.lowest_free", case.cost.heap_handshake),
        ("heap.connected.lowest_free", case.cost.heap_connected),
        ("handshake.bytes", case.cost.handshake_bytes),
    ] {
        if let Some(figure) = figure {
            test.add_property(Property::new(name, figure.to_string()));
        }
    }
    if matches!(case.verdict, CaseVerdict::Held | CaseVerdict::Reported) {
        test.set_system_out(text(&description));
    }
    test
}

/// One cause is one failure: if a failed check reports it, the phase does not.
fn phase_case(run: &PhaseRun, board: &BoardModel) -> TestCase {
    let words = run.phase.words();
    let why = run.why.as_deref().unwrap_or("no reason was reported");
    let status = match run.outcome {
        PhaseOutcome::Done => TestCaseStatus::success(),
        PhaseOutcome::Failed => match failed_check(board, why) {
            Some(check) => skipped(&format!("it did not get to its end: see {}", check.id)),
            None => failure("phase", &format!("{words}: {why}"), why),
        },
        PhaseOutcome::Interrupted => skipped(&format!("{words}: {why}")),
        PhaseOutcome::RigFault => error("rig_fault", &format!("{words}: {why}")),
    };
    let mut case = TestCase::new(format!("phase: {words}"), status);
    case.set_time(duration(run.seconds));
    case
}

fn check_case(check: &Check, board: &BoardModel) -> TestCase {
    let found = check.found.as_deref().unwrap_or("nothing was found");
    let message = format!("{}: {found}", check.title);
    let at = check.log_line.map(|line| format!("\nboot log, line {line}")).unwrap_or_default();
    let mut description = format!("{}\nfound: {found}{at}", check.title);
    if check.id == "crash" && !check.held() {
        description.push_str("\n\n");
        description.push_str(board.traces().trim_end());
    }
    let status = match check.outcome {
        CheckOutcome::Held => TestCaseStatus::success(),
        CheckOutcome::NotHeld => failure("not_held", &message, &description),
        CheckOutcome::NotMeasured if check.skipped => skipped(&message),
        CheckOutcome::NotMeasured => failure("not_measured", &message, &description),
    };
    // The id stays from commit to commit, so that CI can follow a check; the title has its limits.
    let mut case = TestCase::new(text(&check.id), status);
    if check.held() {
        case.set_system_out(text(&description));
    }
    case
}

/// The board as a whole, if neither a phase nor a check explains its verdict.
fn verdict_status(board: &BoardModel, alone: bool) -> Option<TestCaseStatus> {
    let Some(end) = &board.end else {
        return Some(error("incomplete", "the record stops before this board's verdict"));
    };
    let stopped = |outcome| board.phases.iter().any(|run| run.outcome == outcome);
    let why = end.why.as_deref().unwrap_or("no reason was reported");
    match end.verdict {
        Verdict::Passed => alone.then(TestCaseStatus::success),
        Verdict::Failed => {
            let reported =
                stopped(PhaseOutcome::Failed) || board.checks_not_passed().next().is_some();
            (!reported).then(|| failure("verdict", why, why))
        }
        Verdict::RigFault => (!stopped(PhaseOutcome::RigFault)).then(|| error("rig_fault", why)),
        Verdict::Skipped => Some(skipped(why)),
    }
}

/// The failed check that explains why a phase failed: the one that the reason quotes, or the first.
fn failed_check<'a>(board: &'a BoardModel, why: &str) -> Option<&'a Check> {
    let mut failed = board.checks.iter().filter(|check| check.outcome == CheckOutcome::NotHeld);
    let first = failed.clone().next();
    let speaks = |check: &&Check| check.found.as_ref().is_some_and(|found| why.contains(found));
    failed.find(speaks).or(first)
}

fn skipped(message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(text(message));
    status
}

fn failure(ty: &str, message: &str, description: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_type(ty).set_message(text(message)).set_description(text(description));
    status
}

fn error(ty: &str, message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_type(ty).set_message(text(message));
    status
}

/// Text that XML 1.0 can hold. quick-junit drops the control characters, but not the two
/// non-characters that XML forbids as well.
pub(crate) fn text(text: &str) -> XmlString {
    XmlString::new(text.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}"))
}

/// A replayed stream may hold any figure; a negative or endless one is no time.
fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
