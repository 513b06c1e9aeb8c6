//! What a certification requires beside what the matrix expects, compared with what was found.

use hilrig_core::certify::certificate::{Outcome, Profile, Required, RequiredOutcome, Verdict};
use hilrig_core::certify::{Act, Case, CaseResult, Figure, Requirement};

use super::profile::{RecordsKept, kept_records};
use super::words;

/// Judges each requirement by these cases and the profile that they showed.
pub(crate) fn judge(
    require: &[String],
    cases: &[CaseResult],
    profile: Option<&Profile>,
) -> Vec<Required> {
    let judged = |text: &String| {
        let (outcome, found) = match Requirement::parse(text) {
            Ok(Requirement::Cases { ids, .. }) => all_of(&ids, cases),
            Ok(Requirement::Figure(figure)) => within(figure, cases, profile),
            // A record of a hilrig that knows more.
            Err(found) => (RequiredOutcome::NotMeasured, found),
        };
        Required { require: text.clone(), outcome, found }
    };
    require.iter().map(judged).collect()
}

fn all_of(ids: &[&str], cases: &[CaseResult]) -> (RequiredOutcome, String) {
    let each: Vec<(RequiredOutcome, String)> = ids
        .iter()
        .map(|id| match cases.iter().find(|case| case.id == *id) {
            Some(case) => one(case),
            None => (RequiredOutcome::NotMeasured, format!("{id} {MISSING}")),
        })
        .collect();
    for outcome in [RequiredOutcome::Failed, RequiredOutcome::NotMeasured] {
        let found: Vec<&str> =
            each.iter().filter(|(of, _)| *of == outcome).map(|(_, found)| found.as_str()).collect();
        if !found.is_empty() {
            return (outcome, joined(&found));
        }
    }
    let found: Vec<&str> = each.iter().map(|(_, found)| found.as_str()).collect();
    (RequiredOutcome::Passed, found.join("; "))
}

/// Said of a case that was not asked for.
const MISSING: &str = "was not among the cases";

/// All of it in a line; the cases that were not asked for together.
fn joined(found: &[&str]) -> String {
    let missing: Vec<&str> =
        found.iter().filter_map(|one| one.strip_suffix(MISSING)).map(str::trim_end).collect();
    let mut all: Vec<String> =
        found.iter().filter(|one| !one.ends_with(MISSING)).map(|one| (*one).to_owned()).collect();
    match &missing[..] {
        [] => {}
        [one] => all.push(format!("{one} {MISSING}")),
        several => all.push(format!("{} were not among the cases", several.join(", "))),
    }
    all.join("; ")
}

fn one(case: &CaseResult) -> (RequiredOutcome, String) {
    let of_case = |found: String| format!("{} {found}", case.id);
    if case.verdict == Verdict::NotRun {
        return (RequiredOutcome::NotMeasured, of_case(words::came_of(case)));
    }
    if case.unstable() {
        return (RequiredOutcome::Failed, of_case(words::repetitions(case).unwrap_or_default()));
    }
    if case.verdict == Verdict::NotHeld {
        return (RequiredOutcome::Failed, of_case(words::came_of(case)));
    }
    if case.verdict == Verdict::Held {
        return (RequiredOutcome::Passed, of_case(words::came_of(case)));
    }
    if case.outcome != Outcome::Connected {
        return (RequiredOutcome::Failed, of_case(words::came_of(case)));
    }
    // It connected; what the case is about shows on the wire.
    let known = Case::named(&case.id);
    if known.is_some_and(|known| known.act == Act::Resume) {
        return match case.evidence.wire.iter().any(|seen| seen.resumed) {
            true => (RequiredOutcome::Passed, of_case("session resumed".into())),
            false => (RequiredOutcome::Failed, of_case("session not resumed".into())),
        };
    }
    if known.is_some_and(|known| known.row == 7) {
        return match kept_records(&case.evidence.wire) {
            Some(RecordsKept::Yes) => (RequiredOutcome::Passed, of_case("kept".into())),
            Some(kept) => (RequiredOutcome::Failed, of_case(kept.words().into())),
            None => (RequiredOutcome::NotMeasured, of_case("no handshake was seen".into())),
        };
    }
    (RequiredOutcome::Passed, of_case("connected".into()))
}

fn within(
    figure: Figure,
    cases: &[CaseResult],
    profile: Option<&Profile>,
) -> (RequiredOutcome, String) {
    let Some(profile) = profile else {
        return (RequiredOutcome::NotMeasured, "no case showed settings to use".into());
    };
    let shown = cases.iter().find(|case| case.id == profile.case);
    let cost = shown.map(|case| case.cost).unwrap_or_default();
    let met = match figure {
        Figure::Heap(least) => {
            let free = profile.lowest_free;
            Some((free >= least, format!("{free} B free at the lowest")))
        }
        Figure::HandshakeSeconds(most) => cost.handshake_seconds.map(|seconds| {
            (seconds <= most.as_secs_f64(), format!("the handshake takes {seconds:.3} s"))
        }),
        Figure::HandshakeBytes(most) => cost
            .handshake_bytes
            .map(|bytes| (bytes <= most, format!("the handshake takes {bytes} B on the wire"))),
    };
    match met {
        Some((true, found)) => (RequiredOutcome::Passed, format!("{} {found}", profile.case)),
        Some((false, found)) => (RequiredOutcome::Failed, format!("{} {found}", profile.case)),
        None => (RequiredOutcome::NotMeasured, format!("{} measured none", profile.case)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::profile::profile;
    use crate::certificate::sample::{broker, case, mfln};

    fn judged(require: &str, cases: &[CaseResult]) -> (RequiredOutcome, String) {
        let profile = profile(cases, &broker());
        let mut all = judge(&[require.into()], cases, profile.as_ref());
        let Required { outcome, found, .. } = all.remove(0);
        (outcome, found)
    }

    fn outcome(require: &str, cases: &[CaseResult]) -> RequiredOutcome {
        judged(require, cases).0
    }

    use RequiredOutcome::{Failed, NotMeasured, Passed};

    #[test]
    fn a_short_name_wants_every_one_of_its_cases() {
        let kept = |id: &str, record| mfln(id, record, true, record.into());
        let mut all = vec![
            kept("mfln-512", 512),
            kept("mfln-1024", 1024),
            kept("mfln-2048", 2048),
            kept("mfln-4096", 4096),
        ];
        assert_eq!(outcome("mfln", &all), Passed);
        all[1] = mfln("mfln-1024", 1024, true, 6005);
        let (of, found) = judged("mfln", &all);
        assert_eq!((of, found.as_str()), (Failed, "mfln-1024 taken, but ignored"));
        all.remove(1);
        assert_eq!(outcome("mfln", &all), NotMeasured);
        let (_, found) = judged("mfln", &all[..1]);
        assert_eq!(found, "mfln-1024, mfln-2048, mfln-4096 were not among the cases");
        all.push(case("mfln-1024", Outcome::NotRun, Verdict::NotRun));
        assert_eq!(outcome("mfln", &all), NotMeasured);
        all[3] = case("mfln-1024", Outcome::Refused, Verdict::Reported);
        assert_eq!(outcome("mfln", &all), Failed);
    }

    #[test]
    fn what_connects_is_not_yet_what_was_required() {
        let mut resumption = case("resumption", Outcome::Connected, Verdict::Reported);
        assert_eq!(outcome("resumption", std::slice::from_ref(&resumption)), Failed);
        resumption.evidence.wire[0].resumed = true;
        assert_eq!(outcome("resumption", std::slice::from_ref(&resumption)), Passed);
        let flips = case("resumption", Outcome::Refused, Verdict::Reported);
        let unstable = CaseResult::of_repetitions(&[resumption, flips]).unwrap();
        assert_eq!(outcome("resumption", &[unstable]), Failed);
        let passed = case("control", Outcome::Connected, Verdict::Held);
        assert_eq!(outcome("control", &[passed]), Passed);
    }

    #[test]
    fn limits_are_compared_with_the_profile_s_case() {
        let cases =
            [case("control", Outcome::Connected, Verdict::Held), mfln("mfln-512", 512, true, 512)];
        // 38,352 B in the handshake, 37,000 B after the message.
        let (of, found) = judged("heap >= 37000 B", &cases);
        assert_eq!((of, found.as_str()), (Passed, "mfln-512 37000 B free at the lowest"));
        assert_eq!(outcome("heap >= 37001 B", &cases), Failed);
        assert_eq!(outcome("handshake_seconds <= 1 s", &cases), Passed);
        assert_eq!(outcome("handshake_seconds <= 800 ms", &cases), Failed);
        assert_eq!(outcome("handshake_bytes <= 1649 B", &cases), Failed);
        assert_eq!(outcome("heap >= 1 B", &[]), NotMeasured);
        assert_eq!(outcome("something new", &cases), NotMeasured);
    }
}
