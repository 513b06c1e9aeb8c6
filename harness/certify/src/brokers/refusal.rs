//! Explains why an external broker refused a board, and what to do.

use hilrig_core::certify::{CaseResult, Reason};
use rustls::pki_types::CertificateDer;

use super::certificate_view::{self, Words};
use super::reach::Reached;

/// The broker's settings from the command line.
pub struct Given<'a> {
    /// The name that its certificate must be for.
    pub name: &'a str,
    /// The CA that the boards get.
    pub ca: &'a CertificateDer<'static>,
    /// A user is given.
    pub login: bool,
    /// A client certificate is given.
    pub certificate: bool,
}

/// Why the control failed, from the board's log, the wire and the broker's certificates.
pub fn explain(result: &CaseResult, given: &Given<'_>, reached: &Reached) -> String {
    let asked = result.evidence.wire.iter().any(|seen| seen.certificate_asked);
    let leaf = reached.chain.first();
    let shown = leaf.map(certificate_view::words).unwrap_or_default();
    let for_the_name = leaf.is_none_or(|leaf| certificate_view::is_for(leaf, given.name));
    let from_the_ca =
        reached.chain.is_empty() || certificate_view::comes_from(&reached.chain, given.ca);
    match result.reason {
        Some(Reason::BadLogin) if given.login => {
            "the broker refuses user and password. Check --user and the first line of --password-file".into()
        }
        Some(Reason::BadLogin) => {
            "the broker wants a user and a password. Give them with --user and --password-file".into()
        }
        Some(Reason::CertificateWanted) if given.certificate => {
            "the broker refuses the client certificate of --client-cert. It must come from a CA that the broker trusts"
                .into()
        }
        Some(Reason::CertificateWanted) => CERTIFICATE_WANTED.into(),
        Some(Reason::BrokerRule) if result.why.is_some() => result.why.clone().unwrap_or_default(),
        Some(Reason::WrongName) => wrong_name(&shown, given),
        Some(Reason::NotTrusted) => other_ca(&shown, given),
        Some(Reason::OutOfDate) => out_of_date(&shown),
        Some(Reason::NothingInCommon) => {
            "the broker takes none of the TLS versions and cipher suites that the board offers. The wire shows them: evidence.wire.offered in certificate.json"
                .into()
        }
        _ if asked && !given.certificate => CERTIFICATE_WANTED.into(),
        _ if !for_the_name => wrong_name(&shown, given),
        _ if !from_the_ca => other_ca(&shown, given),
        None if result.evidence.found != "it did not connect" => result.evidence.found.clone(),
        reason => {
            let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            let said = result.evidence.said.as_ref();
            let said = said.map(|said| format!("; the board said: {said}")).unwrap_or_default();
            format!("the board does not get through{reason}{said}")
        }
    }
}

const CERTIFICATE_WANTED: &str =
    "the broker wants a client certificate. Give one with --client-cert and --client-key";

fn wrong_name(shown: &Words, given: &Given<'_>) -> String {
    let wanted = given.name;
    match (&shown.names[..], &shown.common_name) {
        ([], Some(name)) => format!(
            "its certificate names `{name}` as its common name alone (no subjectAltName), and is asked to be for `{wanted}`. If that is the right broker: --name {name}"
        ),
        ([], None) => format!("its certificate is not for `{wanted}`, nor for any other name"),
        (names, _) => {
            // A wildcard is not a name that a client can connect to.
            let usable = names.iter().find(|name| !name.contains('*'));
            let first = usable.or(names.first()).map_or("", String::as_str);
            let what_to_do = match first.strip_prefix("*.") {
                Some(rest) => format!("--name with a name of *.{rest}"),
                None => format!("--name {first}"),
            };
            format!(
                "its certificate is for {}, not for `{wanted}`. If that is the right broker: {what_to_do}",
                names.join(", ")
            )
        }
    }
}

fn other_ca(shown: &Words, given: &Given<'_>) -> String {
    let ca = certificate_view::words(given.ca).subject;
    match shown.issuer.is_empty() {
        true => format!("its certificate does not come from --ca ({ca})"),
        false => format!(
            "its certificate was issued by `{}`, and --ca has `{ca}`. Give the CA that it comes from, or one above it",
            shown.issuer
        ),
    }
}

fn out_of_date(shown: &Words) -> String {
    match &shown.valid {
        Some((from, until)) => {
            format!(
                "its certificate is valid from {from} to {until}. Renew it, or check this machine's clock"
            )
        }
        None => "its certificate is out of date. Renew it, or check this machine's clock".into(),
    }
}

#[cfg(test)]
mod tests {
    use hilrig_broker::Certificates;
    use serde_json::json;

    use super::*;

    fn result(reason: serde_json::Value) -> CaseResult {
        serde_json::from_value(json!({
            "id": "control", "row": 1, "title": "", "proves": "", "seen": "", "expected": "",
            "outcome": "refused", "verdict": "not_held", "reason": reason, "set_up": "", "seconds": 1.0,
            "evidence": { "found": "it did not connect", "said": "rc=-2", "connections": 1 },
        }))
        .unwrap()
    }

    #[test]
    fn each_refusal_has_its_explanation_and_what_to_do() {
        let ours = Certificates::new("broker.test").unwrap();
        let other = Certificates::new("other.test").unwrap();
        let leaf = |of: &Certificates| of.leaf().chain[0].clone();
        let reached = Reached { address: ([127, 0, 0, 1], 8883).into(), chain: vec![leaf(&ours)] };
        let of = |reason: serde_json::Value, given: Given<'_>| {
            explain(&result(reason), &given, &reached)
        };
        let given = |name: &'static str, login, certificate| Given {
            name,
            ca: ours.ca_der(),
            login,
            certificate,
        };
        for (reason, given, says) in [
            (json!("bad_login"), given("broker.test", false, false), "Give them with --user"),
            (json!("bad_login"), given("broker.test", true, false), "Check --user"),
            (json!("certificate_wanted"), given("broker.test", false, false), "--client-cert and"),
            (json!("certificate_wanted"), given("broker.test", false, true), "refuses the client"),
            (json!("wrong_name"), given("x.test", false, false), "--name broker.test"),
            (json!("not_trusted"), given("broker.test", false, false), "was issued by `"),
            (json!("out_of_date"), given("broker.test", false, false), "is valid from 2"),
            // The board gives no reason: use the broker's certificates.
            (json!(null), given("x.test", false, false), "--name broker.test"),
            (json!("closed"), given("broker.test", false, false), "(closed without a word)"),
        ] {
            let found = of(reason, given);
            assert!(found.contains(says), "{says}: {found}");
            assert_eq!(found.lines().count(), 1, "{found}");
        }
        let given = Given { ca: other.ca_der(), ..given("broker.test", false, false) };
        assert!(of(json!(null), given).contains("was issued by `"));
    }
}
