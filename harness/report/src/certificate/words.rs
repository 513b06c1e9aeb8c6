//! The words for cases, the same in every report.

use hilrig_core::certify::certificate::{
    CaseResult, Certificate, Outcome, Profile, Required, RequiredOutcome, Verdict,
};
use hilrig_core::certify::wire::Ended;
use hilrig_core::certify::{Act, Case, Range, Side, Tally, WireSeen};

use super::cipher_suite::CipherSuite;
use super::profile::kept_records;

/// How an outcome compares with what was expected.
pub(crate) fn verdict_words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Held => "passed",
        Verdict::NotHeld => "failed",
        Verdict::Reported => "reported",
        Verdict::NotRun => "not run",
    }
}

/// How a case came out, with those whose repetitions differ.
pub(crate) fn verdict(case: &CaseResult) -> &'static str {
    match case.unstable() {
        true => "unstable",
        false => verdict_words(case.verdict),
    }
}

/// How often a case was run and what came of that; none where it was run once.
pub(crate) fn repetitions(case: &CaseResult) -> Option<String> {
    let repetitions = case.repetitions?;
    let Tally { held, not_held, reported, not_run } = repetitions.tally;
    let counts =
        [(held, "passed"), (not_held, "failed"), (reported, "reported"), (not_run, "not run")];
    let words: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let unstable = if repetitions.unstable { "unstable: " } else { "" };
    let alike = match (repetitions.unstable, held + not_held == 0) {
        (true, true) => ", not all alike",
        _ => "",
    };
    Some(format!("{unstable}{} of {} runs{alike}", words.join(", "), repetitions.runs))
}

/// What a case's costs differ by over its repetitions; none where nothing does.
pub(crate) fn spread(case: &CaseResult) -> Option<String> {
    let spread = case.repetitions?.spread;
    let bytes = [
        ("free in the handshake", spread.heap_handshake),
        ("free while connected", spread.heap_connected),
        ("free after the large message", spread.heap_after_message),
        ("handshake on the wire", spread.handshake_bytes),
    ];
    let mut words: Vec<String> = bytes
        .iter()
        .filter_map(|(what, range)| Some((what, (*range)?)))
        .filter(|(_, range)| range.lowest != range.highest)
        .map(|(what, Range { lowest, highest, .. })| format!("{what} {lowest} to {highest} B"))
        .collect();
    words.extend(spread.handshake_seconds.filter(|range| range.measured > 1).map(|range| {
        let Range { lowest, highest, .. } = range;
        format!("handshake {} to {} ms", milliseconds(lowest), milliseconds(highest))
    }));
    (!words.is_empty()).then(|| words.join(", "))
}

/// What a case found, where that is more than that the board connected or did not.
pub(crate) fn found(case: &CaseResult) -> Option<&str> {
    let found = case.evidence.found.as_str();
    let plain = Case::named(&case.id).is_some_and(|known| known.act == Act::Connect);
    let is_more = case.verdict == Verdict::Reported || !plain;
    (case.verdict != Verdict::NotRun && is_more && !found.is_empty()).then_some(found)
}

/// A requirement and what came of it.
pub(crate) fn required(required: &Required) -> String {
    let outcome = required_outcome(required.outcome);
    format!("required {} {outcome}: {}", required.require, required.found)
}

/// What came of a requirement.
pub(crate) fn required_outcome(outcome: RequiredOutcome) -> &'static str {
    match outcome {
        RequiredOutcome::Passed => "passed",
        RequiredOutcome::Failed => "failed",
        RequiredOutcome::NotMeasured => "not measured",
    }
}

/// What came of a case.
pub(crate) fn outcome_words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Connected => "connected",
        Outcome::Refused => "refused",
        Outcome::Measured => "measured",
        Outcome::NotRun => "not run",
        Outcome::Broken => "broken",
    }
}

/// What came of a case and for what reason.
pub(crate) fn outcome(case: &CaseResult) -> String {
    let reason = case.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    outcome_words(case.outcome).to_owned() + &reason
}

/// What came of a case and why, in a line.
pub(crate) fn came_of(case: &CaseResult) -> String {
    let why = case.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    outcome(case) + &why
}

pub(crate) fn tally(tally: &Tally) -> String {
    let Tally { held, not_held, reported, not_run } = tally;
    format!("{held} passed, {not_held} failed, {reported} reported, {not_run} not run")
}

/// The connection that shows most of a case: the last whose handshake was finished, or the last.
pub(crate) fn telling(case: &CaseResult) -> Option<&WireSeen> {
    let wire = &case.evidence.wire;
    wire.iter().rfind(|seen| seen.finished).or(wire.last())
}

/// What shows it, in a line: the connection on the wire, or what was found where there was none.
pub(crate) fn evidence(case: &CaseResult) -> String {
    match telling(case).map(wire) {
        Some(seen) if !seen.is_empty() => seen,
        _ => case.evidence.found.clone(),
    }
}

/// A connection as the relay saw it, in a line.
pub(crate) fn wire(seen: &WireSeen) -> String {
    let mut words: Vec<String> = Vec::new();
    if let Some(taken) = &seen.taken {
        words.push(format!("{} 0x{:04X}", version(taken.version), taken.suite));
    }
    let asked = seen.offered.as_ref().and_then(|offered| offered.max_fragment);
    if let (Some(asked), Some(kept)) = (asked, kept_records(std::slice::from_ref(seen))) {
        words.push(format!("MFLN {asked} {}", kept.words()));
    }
    if seen.retry_asked {
        words.push("another ClientHello asked for".into());
    }
    if seen.resumed {
        words.push("session resumed".into());
    }
    if seen.largest_from_broker > 0 {
        words.push(format!("largest record {} B", seen.largest_from_broker));
    }
    if !seen.certificates.is_empty() {
        let lengths: Vec<String> = seen.certificates.iter().map(u32::to_string).collect();
        words.push(format!("chain {} B", lengths.join(" + ")));
    }
    for alert in &seen.alerts {
        let from = side(alert.from);
        words.push(match (alert.number, alert.fatal) {
            // Both close in order with an alert, too.
            (Some(0), _) => continue,
            (Some(number), true) => format!("alert {number} from {from}"),
            (Some(number), false) => format!("warning {number} from {from}"),
            // After a finished handshake it is an orderly end.
            (None, _) if seen.finished => continue,
            (None, _) => format!("an encrypted alert from {from}"),
        });
    }
    if let Some((from, text)) = &seen.not_tls {
        words.push(format!("no TLS from {}: {text}", side(*from)));
    }
    if !seen.finished {
        words.extend(seen.ended.map(|ended| match ended {
            Ended::Closed(by) => format!("closed by {}", side(by)),
            Ended::Reset(by) => format!("reset by {}", side(by)),
            Ended::Cut => "cut by the rig".into(),
            Ended::NoBroker => "the broker could not be reached".into(),
        }));
    }
    words.join(", ")
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Board => "the board",
        Side::Broker => "the broker",
    }
}

pub(crate) fn version(number: u16) -> String {
    match number {
        0x0301 => "TLS 1.0".into(),
        0x0302 => "TLS 1.1".into(),
        0x0303 => "TLS 1.2".into(),
        0x0304 => "TLS 1.3".into(),
        number => format!("version 0x{number:04X}"),
    }
}

/// What other clients met in the same set-up, and who refused, then; none where none was asked.
pub(crate) fn others(case: &CaseResult) -> Option<String> {
    let came = |outcome: Outcome| -> Vec<&str> {
        let clients = case.evidence.clients.iter().filter(|client| client.outcome == outcome);
        clients.map(|client| client.client.as_str()).collect()
    };
    let (connected, refused) = (came(Outcome::Connected), came(Outcome::Refused));
    let was = |clients: &[&str]| if clients.len() == 1 { "was" } else { "were" };
    Some(match (case.outcome, connected.is_empty(), refused.is_empty()) {
        (_, true, true) => return None,
        (Outcome::Refused, true, false) => {
            // Who was first: an alert that answers the device's own end blames nobody.
            let by_broker = telling(case).is_some_and(|seen| seen.broke_off == Some(Side::Broker));
            let by = if by_broker { "refused by the broker" } else { "not the device alone" };
            format!("{by}: {} {} refused, too", and(&refused), was(&refused))
        }
        (Outcome::Refused, false, true) => {
            format!("refused by the device alone: {} connected", and(&connected))
        }
        (Outcome::Connected, false, true) => format!("{} connected, too", and(&connected)),
        (_, true, false) => format!("{} {} refused", and(&refused), was(&refused)),
        (_, false, true) => format!("{} connected", and(&connected)),
        (_, false, false) => {
            format!("{} connected, {} {} refused", and(&connected), and(&refused), was(&refused))
        }
    })
}

fn and(names: &[&str]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => names.concat(),
    }
}

/// The profile in words, with the settings.
pub(crate) fn profile(profile: &Profile) -> String {
    let Profile { case, record, suite, certificate, lowest_free } = profile;
    let mut text = match record {
        16_384 => "Let the board take whole records (`tls_mfl=16384`)".into(),
        record => {
            format!("Let the board ask for records of at most {record} B (`tls_mfl={record}`)")
        }
    };
    if let Some(suites) = Case::named(case).map(|case| case.board.suites.name()) {
        text += &format!(" and offer the suites `tls_cs={suites}`");
    }
    let certificate = match certificate.as_str() {
        own @ "the broker's own" => format!("{own} certificate"),
        kind => format!("a certificate of {kind}"),
    };
    text + &format!(
        ". With {certificate} at the broker they agree on {}. Lowest free heap: {lowest_free} B, shown by the case `{case}`.",
        CipherSuite(*suite)
    )
}

/// The broker and its version, in a line.
pub(crate) fn broker(certificate: &Certificate) -> String {
    format!("{} {}", certificate.broker.software, certificate.broker.version)
}

/// The device, in a line.
pub(crate) fn device(certificate: &Certificate) -> String {
    let device = &certificate.device;
    let build = device.build.as_ref().map(|build| format!(" {build}")).unwrap_or_default();
    let boards = device.boards.join(", ");
    format!("{}{build} on {} ({boards})", device.firmware, device.kind)
}

/// Milliseconds, for tables.
pub(crate) fn milliseconds(seconds: f64) -> String {
    format!("{:.0}", seconds * 1e3)
}

/// `text` of at most so many characters: certificate.json has the full evidence.
pub(crate) fn clip(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => text[..at].to_owned() + "…",
        None => text.to_owned(),
    }
}
