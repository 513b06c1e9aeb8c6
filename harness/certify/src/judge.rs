//! Judges the result of a case against its expectation.

use hilrig_core::certify::certificate::{Evidence, OtherClient, Verdict};
use hilrig_core::certify::{Case, CaseResult, Cost, Expected, Outcome, Reason, WireSeen};
use hilrig_core::contract::Connection;
use hilrig_core::plural::counted;

use super::bench::Seen;
use hilrig::Stop;
use hilrig::watch::Hit;

/// The result of a case.
#[derive(Clone, Debug, PartialEq)]
pub struct Came {
    pub outcome: Outcome,
    /// The board crashed.
    pub died: bool,
    pub reason: Option<Reason>,
    /// Why it was not run, or what broke.
    pub why: Option<String>,
    /// What was found, as text.
    pub found: String,
    /// The board's log line that decided it, with its number.
    pub said: Option<(u64, String)>,
    pub cost: Cost,
}

impl Came {
    fn of(outcome: Outcome, found: impl Into<String>) -> Came {
        Came {
            outcome,
            died: false,
            reason: None,
            why: None,
            found: found.into(),
            said: None,
            cost: Cost::default(),
        }
    }

    /// It connected, and the case's action worked.
    pub fn connected(found: &str, said: String, line: u64) -> Came {
        Came { said: Some((line, said)), ..Came::of(Outcome::Connected, found) }
    }

    /// The board reported that it did not connect.
    pub fn refused(said: String, line: u64) -> Came {
        Came { said: Some((line, said)), ..Came::of(Outcome::Refused, "it did not connect") }
    }

    /// It connected, but a rule of the broker blocks the case's action.
    pub fn by_rule(rule: String, said: String, line: u64) -> Came {
        let found = "it connected, and a rule of the broker is in the way of the rest";
        Came {
            reason: Some(Reason::BrokerRule),
            why: Some(rule),
            ..Came::connected(found, said, line)
        }
    }

    /// The case failed, and not because of the bench.
    pub fn failed(why: String) -> Came {
        Came::of(Outcome::Refused, why)
    }

    /// It was not run.
    pub fn not_run(why: String) -> Came {
        Came { why: Some(why), ..Came::of(Outcome::NotRun, "") }
    }

    /// The bench failed.
    pub fn broken(why: String) -> Came {
        Came { why: Some(why), ..Came::of(Outcome::Broken, "") }
    }

    /// The board crashed.
    pub fn died(why: String) -> Came {
        Came { died: true, ..Came::broken(why) }
    }
}

/// What the rig measured without a board.
pub fn measured(found: Result<String, String>) -> Result<Came, Stop> {
    Ok(match found {
        Ok(found) => Came::of(Outcome::Measured, found),
        Err(why) => Came::broken(why),
    })
}

/// The reason for a TLS error in the log.
pub fn tls_reason(connection: &Connection, hit: &Hit) -> Option<Reason> {
    let number = hit.groups.get("number")?.parse().ok()?;
    Some(connection.error.as_ref()?.reason(number))
}

/// The reason for the return code of an attempt.
pub fn rc_reason(connection: &Connection, hit: &Hit) -> Option<Reason> {
    connection.rc.reason(hit.groups.get("rc")?.parse().ok()?)
}

/// The case's entry in the certificate. The caller, which knows the start time, sets its seconds.
pub fn result(
    case: &Case,
    came: Came,
    seen: Seen,
    clients: Vec<OtherClient>,
    board: Option<&str>,
) -> CaseResult {
    let by_wire = |reason: Reason| seen.wire.iter().fold(reason, Reason::seen_with);
    let reason = came.reason.map(by_wire);
    let reason =
        reason.filter(|reason| came.outcome == Outcome::Refused || *reason == Reason::BrokerRule);
    let finished = seen.wire.iter().find(|wire| wire.finished);
    let mut found = came.found;
    if let Some(words) = finished.map(|wire| on_the_wire(wire, &seen.wire)) {
        let behind = if found.is_empty() { "" } else { "; " };
        found.push_str(&format!("{behind}{words}"));
    }
    let cost = Cost {
        handshake_seconds: finished.and_then(|wire| wire.handshake_seconds),
        handshake_bytes: finished.map(|wire| wire.handshake_bytes),
        ..came.cost
    };
    let (log_line, said) = came.said.unzip();
    CaseResult {
        id: case.id.into(),
        row: case.row,
        title: case.title.into(),
        proves: case.proves.into(),
        seen: case.seen.into(),
        expected: case.expected.to_string(),
        outcome: came.outcome,
        verdict: verdict(case.expected, came.outcome, reason, came.died),
        reason,
        why: came.why,
        board: board.map(Into::into),
        set_up: case.set_up(),
        evidence: Evidence {
            found,
            said,
            log_line,
            wire: seen.wire,
            connections: seen.connections,
            clients,
        },
        cost,
        repetitions: None,
        seconds: 0.0,
    }
}

fn verdict(expected: Expected, outcome: Outcome, reason: Option<Reason>, died: bool) -> Verdict {
    let held = |held: bool| if held { Verdict::Held } else { Verdict::NotHeld };
    match (outcome, expected) {
        (Outcome::NotRun, _) => Verdict::NotRun,
        (Outcome::Broken, _) if !died => Verdict::NotRun,
        (_, Expected::Reported) => Verdict::Reported,
        (_, Expected::MustConnect) => {
            held(outcome == Outcome::Connected && reason != Some(Reason::BrokerRule))
        }
        (_, Expected::MustRefuse(reasons)) => {
            let right = reason.is_some_and(|reason| reasons.contains(&reason));
            held(outcome == Outcome::Refused && right)
        }
    }
}

/// What was negotiated, and whether both sides kept to it.
fn on_the_wire(first: &WireSeen, all: &[WireSeen]) -> String {
    let Some(taken) = &first.taken else { return "no ServerHello was seen".into() };
    let mut words = format!("suite 0x{:04X}", taken.suite);
    if !first.certificates.is_empty() {
        let bytes: u32 = first.certificates.iter().sum();
        words.push_str(&format!(
            ", {} of {bytes} B",
            counted(first.certificates.len(), "certificate")
        ));
    }
    let largest = all.iter().map(|wire| wire.largest_from_broker).max().unwrap_or(0);
    words.push_str(&format!(", records of up to {largest} B from the broker"));
    let asked = first.offered.as_ref().and_then(|offered| offered.max_fragment);
    if let Some(asked) = asked {
        words.push_str(&format!("; MFLN of {asked} B was "));
        words.push_str(match (taken.max_fragment, largest > u32::from(asked)) {
            (None, _) => "not confirmed",
            (Some(_), false) => "confirmed and kept to",
            (Some(_), true) => "confirmed and then ignored",
        });
    }
    words
}

#[cfg(test)]
mod tests {
    use hilrig_core::certify::wire::{Offered, Taken};

    use super::*;

    fn judged(id: &str, came: Came) -> CaseResult {
        result(Case::named(id).unwrap(), came, Seen::default(), Vec::new(), Some("b"))
    }

    fn refused(reason: Reason) -> Came {
        Came { reason: Some(reason), ..Came::refused("said".into(), 7) }
    }

    #[test]
    fn a_refusal_counts_only_with_its_own_reason() {
        let connected = || Came::connected("", String::new(), 1);
        assert_eq!(judged("control", connected()).verdict, Verdict::Held);
        assert_eq!(judged("other-ca", connected()).verdict, Verdict::NotHeld);
        assert_eq!(judged("other-ca", refused(Reason::NotTrusted)).verdict, Verdict::Held);
        assert_eq!(judged("other-ca", refused(Reason::OutOfDate)).verdict, Verdict::NotHeld);
        assert_eq!(judged("control", refused(Reason::NotTrusted)).verdict, Verdict::NotHeld);
        assert_eq!(judged("mfln-512", refused(Reason::RecordTooLarge)).verdict, Verdict::Reported);
    }

    #[test]
    fn what_a_rule_of_the_broker_is_in_the_way_of_is_no_refusal_and_not_held() {
        let by_rule = || Came::by_rule("it drops what is published".into(), "said".into(), 7);
        let control = judged("control", by_rule());
        assert_eq!((control.outcome, control.verdict), (Outcome::Connected, Verdict::NotHeld));
        assert_eq!(control.reason, Some(Reason::BrokerRule));
        assert_eq!(control.why.as_deref(), Some("it drops what is published"));
        assert_eq!(judged("mfln-512", by_rule()).verdict, Verdict::Reported);
    }

    #[test]
    fn the_bench_s_trouble_is_never_held_and_never_held_against_a_broker() {
        for id in ["control", "other-ca", "mfln-512"] {
            assert_eq!(judged(id, Came::broken("x".into())).verdict, Verdict::NotRun, "{id}");
            assert_eq!(judged(id, Came::not_run("x".into())).verdict, Verdict::NotRun, "{id}");
        }
        assert_eq!(judged("control", Came::died("x".into())).verdict, Verdict::NotHeld);
        assert_eq!(judged("deep-ec", Came::died("x".into())).verdict, Verdict::Reported);
    }

    #[test]
    fn a_limit_that_is_confirmed_and_then_ignored_is_told() {
        let wire = |confirmed: Option<u16>, largest| WireSeen {
            offered: Some(Offered { max_fragment: Some(512), ..Offered::default() }),
            taken: Some(Taken { max_fragment: confirmed, suite: 0xc02f, ..Taken::default() }),
            largest_from_broker: largest,
            finished: true,
            ..WireSeen::default()
        };
        let words = |wire: WireSeen| on_the_wire(&wire, std::slice::from_ref(&wire));
        assert!(words(wire(Some(512), 512)).ends_with("confirmed and kept to"));
        assert!(words(wire(Some(512), 6000)).ends_with("confirmed and then ignored"));
        assert!(words(wire(None, 6000)).ends_with("not confirmed"));
    }
}
