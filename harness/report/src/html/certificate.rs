//! The certificate of a broker on the page, or as a page of its own.

use hilrig_core::certify::certificate::{
    CaseResult, Certificate, Required, RequiredOutcome, Verdict,
};
use hilrig_core::certify::{Figure, Requirement};
use hilrig_core::plural::counted;
use hilrig_core::verdict::Verdict as RunVerdict;
use maud::{Markup, html};

use super::certificate_plot::plot;
use super::document::{badge, whole};
use super::table::{number, table, text};
use crate::certificate::{Certification, words};
use crate::record::folder_of;

/// A certificate as a page of its own, for one that has no run beside it.
pub fn certificate_page(certificate: &Certificate) -> String {
    let verdict = verdict(&certificate.cases, Some(certificate));
    let title = format!("{} · certificate", words::broker(certificate));
    let page = whole(
        &title,
        html! {
            header { h1 { "Certificate of " (words::broker(certificate)) " " (badge(verdict)) } }
            main {
                section id=(anchor(&certificate.name)) {
                    (facts(certificate))
                    (body(&certificate.name, &certificate.cases, Some(certificate)))
                }
            }
        },
    );
    page.into_string()
}

/// The section of a run's page.
pub(super) fn section(certification: &Certification, certificate: Option<&Certificate>) -> Markup {
    let Certification { broker, cases, expected, .. } = certification;
    html! {
        section id=(anchor(broker)) {
            h2 { "Certificate of " (broker) " " (badge(verdict(cases, certificate))) }
            @match certificate {
                Some(certificate) => (facts(certificate)),
                None => p.why { "Cut short: " (cases.len()) " of " (counted(*expected, "case")) " were reported." },
            }
            (body(broker, cases, certificate))
        }
    }
}

/// A broker's name as an anchor, as a board's is made.
fn anchor(broker: &str) -> String {
    format!("broker-{}", folder_of(broker))
}

fn verdict(cases: &[CaseResult], certificate: Option<&Certificate>) -> Option<RunVerdict> {
    let any = |verdict| cases.iter().any(|case| case.verdict == verdict);
    let met = |one: &Required| one.outcome == RequiredOutcome::Passed;
    let not_met = certificate.is_some_and(|certificate| !certificate.policy.iter().all(met));
    match (any(Verdict::NotHeld) || not_met, certificate.is_some()) {
        (true, _) => Some(RunVerdict::Failed),
        (false, false) => None,
        (false, true) if any(Verdict::Held) => Some(RunVerdict::Passed),
        (false, true) => Some(RunVerdict::Skipped),
    }
}

fn facts(certificate: &Certificate) -> Markup {
    let broker = &certificate.broker;
    html! {
        dl {
            div { dt { "Broker" } dd { (words::broker(certificate)) " (" (broker.kind) ", " (broker.from) ")" } }
            div { dt { "TLS library" } dd { (certificate.tls_library.as_deref().unwrap_or("not known")) } }
            @if let Some(tls) = &broker.tls { div { dt { "TLS as it comes" } dd { (tls) } } }
            div { dt { "Device" } dd { (words::device(certificate)) } }
            div { dt { "Run" } dd { (certificate.run) ", " (certificate.started) } }
            div { dt { "hilrig" } dd { (certificate.hilrig) ", seed " (certificate.seed) } }
            @if !certificate.digest.is_empty() {
                div { dt { "Digest of certificate.json" } dd { code { (certificate.digest) } } }
            }
        }
    }
}

fn body(broker: &str, cases: &[CaseResult], certificate: Option<&Certificate>) -> Markup {
    let policy = certificate.map_or(&[][..], |certificate| &certificate.policy);
    let tally = hilrig_core::certify::Tally::of(cases);
    html! {
        p { (words::tally(&tally)) "." }
        @if let Some(certificate) = certificate {
            h3 { "Profile to use" }
            p {
                @match &certificate.profile {
                    Some(profile) => (code_spans(&words::profile(profile))),
                    None => "None: no case connected and kept what was agreed on.",
                }
            }
        }
        (required(policy))
        h3 { "Lowest free heap by case" }
        (plot(cases, broker, required_heap(policy)))
        h3 { "Cases" }
        (case_table(cases, broker))
        (found(cases))
        h3 { "Evidence" }
        @for case in cases { (evidence(case, broker)) }
    }
}

/// The lowest free heap that is required of the profile, bytes.
fn required_heap(policy: &[Required]) -> Option<u64> {
    policy.iter().find_map(|required| match Requirement::parse(&required.require) {
        Ok(Requirement::Figure(Figure::Heap(bytes))) => Some(bytes),
        _ => None,
    })
}

fn required(policy: &[Required]) -> Markup {
    html! {
        @if !policy.is_empty() {
            h3 { "Required" }
            (table("requirements", &[text("Required"), text("Outcome"), text("Found")], html! {
                @for one in policy {
                    tr.bad[one.outcome != RequiredOutcome::Passed] {
                        td { code { (one.require) } }
                        td {
                            @let passed = one.outcome == RequiredOutcome::Passed;
                            @let sign = if passed { "✓" } else { "✗" };
                            span.outcome {
                                span aria-hidden="true" { (sign) } " "
                                (words::required_outcome(one.outcome))
                            }
                        }
                        td.prose { (one.found) }
                    }
                }
            }))
        }
    }
}

/// Words with code between backticks.
fn code_spans(text: &str) -> Markup {
    html! {
        @for (at, part) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

fn case_anchor(broker: &str, case: &CaseResult) -> String {
    format!("{}-{}", anchor(broker), folder_of(&case.id))
}

fn case_table(cases: &[CaseResult], broker: &str) -> Markup {
    let figure = |figure: Option<u64>| figure.map_or("–".into(), |figure| figure.to_string());
    html! {
        (table(&format!("cases of {}", broker), &[text("Case"), text("Expected"), text("Verdict"), text("Outcome"), number("Free in the handshake, B"), number("connected, B"), number("Handshake, ms"), number("Handshake, B")], html! {
            @for case in cases {
                tr.bad[case.verdict == Verdict::NotHeld || case.unstable()] {
                    td { a href={ "#" (case_anchor(broker, case)) } { (case.id) } }
                    td { (case.expected) }
                    td { (sign(case)) }
                    td { (words::outcome(case)) }
                    td.number { (figure(case.cost.heap_handshake)) }
                    td.number { (figure(case.cost.heap_connected)) }
                    td.number { (case.cost.handshake_seconds.map_or("–".into(), words::milliseconds)) }
                    td.number { (figure(case.cost.handshake_bytes)) }
                }
            }
        }))
    }
}

/// What the cases found, if it is more than the table has.
fn found(cases: &[CaseResult]) -> Markup {
    let found: Vec<(&CaseResult, &str)> =
        cases.iter().filter_map(|case| Some((case, words::found(case)?))).collect();
    html! {
        @if !found.is_empty() {
            h3 { "What was found" }
            ul {
                @for (case, text) in found { li { code { (case.id) } ": " (text) } }
            }
        }
    }
}

fn sign(case: &CaseResult) -> Markup {
    let (class, sign) = match case.verdict {
        _ if case.unstable() => ("outcome", "✗"),
        Verdict::Held => ("outcome", "✓"),
        Verdict::NotHeld => ("outcome", "✗"),
        Verdict::Reported => ("reported", "i"),
        Verdict::NotRun => ("skipped", "–"),
    };
    html! { span class=(class) { span aria-hidden="true" { (sign) } " " (words::verdict(case)) } }
}

fn evidence(case: &CaseResult, broker: &str) -> Markup {
    let found = &case.evidence;
    html! {
        details id=(case_anchor(broker, case)) {
            summary { code { (case.id) } " " (sign(case)) ", " (words::outcome(case)) }
            p { (case.title) ". " (case.proves) }
            @if let Some(why) = &case.why { p.why { (why) } }
            dl {
                div { dt { "Stands for" } dd { (case.seen) } }
                div { dt { "Expected" } dd { (case.expected) } }
                div { dt { "Set-up" } dd { (case.set_up) } }
                @if let Some(board) = &case.board { div { dt { "Board" } dd { (board) } } }
                @if let Some(runs) = words::repetitions(case) { div { dt { "Repetitions" } dd { (runs) } } }
                @if let Some(spread) = words::spread(case) { div { dt { "They differ by" } dd { (spread) } } }
                div { dt { "Time" } dd { (format!("{:.2}", case.seconds)) " s" } }
                @if !found.found.is_empty() { div { dt { "Found" } dd { (found.found) } } }
                @if let Some(said) = &found.said {
                    div {
                        dt { "The board printed" }
                        dd { code { (said) } @if let Some(line) = found.log_line { " (boot log, line " (line) ")" } }
                    }
                }
                @if let Some(bytes) = case.cost.heap_after_message {
                    div { dt { "Free after the large message" } dd { (bytes) " B" } }
                }
                @if let Some(others) = words::others(case) { div { dt { "Other clients" } dd { (others) } } }
            }
            (wire(case))
            (clients(case))
        }
    }
}

fn wire(case: &CaseResult) -> Markup {
    let wire = &case.evidence.wire;
    html! {
        @if !wire.is_empty() {
            p.small { "Connections on the wire: " (wire.len()) " of " (case.evidence.connections) "." }
            (table(&format!("connections of {}", case.id), &[text("Seen"), number("Round trips"), number("Handshake, ms"), number("From the board, B"), number("From the broker, B"), number("s")], html! {
                @for seen in wire {
                    tr {
                        td.prose { (words::wire(seen)) }
                        td.number { (seen.round_trips) }
                        td.number { (seen.handshake_seconds.map_or("–".into(), words::milliseconds)) }
                        td.number { (seen.bytes_from_board) }
                        td.number { (seen.bytes_from_broker) }
                        td.number { (format!("{:.3}", seen.seconds)) }
                    }
                }
            }))
        }
    }
}

fn clients(case: &CaseResult) -> Markup {
    html! {
        @if !case.evidence.clients.is_empty() {
            (table(&format!("other clients in {}", case.id), &[text("Client"), text("Outcome"), text("Said")], html! {
                @for client in &case.evidence.clients {
                    tr {
                        td { (client.client) " " (client.version) }
                        td {
                            (words::outcome_words(client.outcome))
                            @if let Some(reason) = client.reason { ": " (reason) }
                        }
                        td { (client.said) }
                    }
                }
            }))
        }
    }
}
