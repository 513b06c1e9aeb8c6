//! The result of a certification: `certificate.json`, schema in docs/reference/certificate.md.

use serde::{Deserialize, Serialize};

use super::repetitions::Repetitions;
use super::{Reason, WireSeen};
use crate::event::BrokerFacts;

/// Version of the schema. Incremented when a reader of an older version would misread the file.
pub const CERTIFICATE_SCHEMA: u32 = 1;

/// The outcome of one case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The board connected, and the case's action worked.
    Connected,
    /// It did not connect, or the case's action failed; the reason says why.
    Refused,
    /// It was measured without a board (see `evidence.found`).
    Measured,
    /// It was not run; `why` says why not. Never counts as passed.
    NotRun,
    /// The bench failed, or the board crashed; `why` says which.
    Broken,
}

/// The outcome compared with the expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As expected.
    Held,
    /// Not as expected.
    NotHeld,
    /// The case is report-only, and is reported.
    Reported,
    /// No statement is possible.
    NotRun,
}

/// The result of another client in the same set-up. It shows whether the broker or the device refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherClient {
    /// `rustls` or `openssl`.
    pub client: String,
    /// Its version; empty if it could not be queried.
    pub version: String,
    /// [`Outcome::Connected`] with a CONNACK that accepts it, or [`Outcome::Refused`]. [`Outcome::NotRun`] if the
    /// client lacks the tested feature, [`Outcome::Broken`] if the bench failed.
    pub outcome: Outcome,
    /// Why it was refused, in the same terms as a board's refusal.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<Reason>,
    /// What it printed, what it negotiated, or why it was not run; printable.
    pub said: String,
}

/// The evidence for a result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evidence {
    /// What was found, as text.
    pub found: String,
    /// The board's log line that decided it, printable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
    /// Line number in the boot log, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_line: Option<u64>,
    /// The board's connections as the relay saw them, the first and the last ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wire: Vec<WireSeen>,
    /// Total number of connections.
    pub connections: u32,
    /// Results of the rig's own clients in the same set-up.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<OtherClient>,
}

/// The cost for a board.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cost {
    /// Lowest free heap in the handshake, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heap_handshake: Option<u64>,
    /// Lowest free heap while connected, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heap_connected: Option<u64>,
    /// Lowest free heap after the large message, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heap_after_message: Option<u64>,
    /// Seconds of the handshake, from the wire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshake_seconds: Option<f64>,
    /// Bytes of the handshake on the wire, both ways, without TCP and IP headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshake_bytes: Option<u64>,
}

/// One case and its result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseResult {
    /// The case.
    pub id: String,
    /// The row of docs/reference/certification-cases.md; 0 for MQTT cases.
    pub row: u8,
    /// Its title.
    pub title: String,
    /// What it proves.
    pub proves: String,
    /// The public issue it represents.
    pub seen: String,
    /// The expected result, as text.
    pub expected: String,
    /// The outcome.
    pub outcome: Outcome,
    /// The outcome compared with the expectation.
    pub verdict: Verdict,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<Reason>,
    /// Why it was not run, or what broke.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why: Option<String>,
    /// The board that ran it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub board: Option<String>,
    /// The set-up, human-readable: its differences from the default.
    pub set_up: String,
    /// The evidence.
    #[serde(default)]
    pub evidence: Evidence,
    /// The cost; the worst of each value if it was repeated.
    #[serde(default)]
    pub cost: Cost,
    /// The result of its repetitions, if it ran more than once.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub repetitions: Option<Repetitions>,
    /// Duration in seconds.
    pub seconds: f64,
}

/// The settings with the most free heap, among those that connected and kept to what they negotiated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The case that showed it.
    pub case: String,
    /// The record size to request, bytes.
    pub record: u16,
    /// The negotiated cipher suite, its IANA number.
    pub suite: u16,
    /// The key of the broker's certificate, such as `EC P-256`.
    pub certificate: String,
    /// Lowest free heap with it, bytes.
    pub lowest_free: u64,
}

/// The device under test.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Device {
    /// The firmware's name, from its contract.
    pub firmware: String,
    /// Its build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// The kind of board.
    pub kind: String,
    /// The boards.
    pub boards: Vec<String>,
}

/// A requirement set by the user, and its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Required {
    /// The requirement, such as `mfln` or `heap >= 36864 B`.
    pub require: String,
    /// The outcome.
    pub outcome: RequiredOutcome,
    /// The basis of the result, as text.
    pub found: String,
}

/// The result of a requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequiredOutcome {
    /// It is met.
    Passed,
    /// It is not.
    Failed,
    /// Not measured, which never counts as passed.
    NotMeasured,
}

/// The number of cases per verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// As expected.
    pub held: u32,
    /// Not as expected.
    pub not_held: u32,
    /// Report-only.
    pub reported: u32,
    /// Not run, or broken.
    pub not_run: u32,
}

/// Data of the event `certify_started`: the certification of a broker begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertifyStarted {
    /// The broker as requested: `mosquitto`, or `HOST:PORT`.
    pub broker: String,
    /// Number of cases, including those that will not be run.
    pub cases: u32,
    /// Number of runs per case: each case has this many `case_ended` events.
    #[serde(skip_serializing_if = "is_one", default = "one")]
    pub repeat: u32,
    /// Requirements in addition to the matrix's expectations ([`super::Requirement`]), as written.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub require: Vec<String>,
}

fn one() -> u32 {
    1
}

fn is_one(repeat: &u32) -> bool {
    *repeat == 1
}

/// Data of the event `case_ended`: a case ended or was skipped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseEnded {
    /// The broker as requested.
    pub broker: String,
    /// The result of the case.
    pub result: CaseResult,
}

/// Data of the event `certify_ended`: every case of this broker is reported. Has what is known of the broker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CertifyEnded {
    /// The broker as requested.
    pub broker: String,
    /// The broker as identified.
    pub facts: BrokerFacts,
    /// Its TLS library with the version, if known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tls_library: Option<String>,
    /// The device.
    pub device: Device,
}

/// The certificate of one broker. It is built from the events alone, so a recorded run reproduces it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// [`CERTIFICATE_SCHEMA`].
    pub schema: u32,
    /// Version of hilrig.
    pub hilrig: String,
    /// The run.
    pub run: String,
    /// When it started, RFC 3339.
    pub started: String,
    /// The random seed.
    pub seed: u64,
    /// The broker as requested: `mosquitto`, or `HOST:PORT`.
    pub name: String,
    /// The broker as identified.
    pub broker: BrokerFacts,
    /// Its TLS library with the version, if known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tls_library: Option<String>,
    /// The device.
    pub device: Device,
    /// The cases, in matrix order, each exactly once.
    pub cases: Vec<CaseResult>,
    /// The recommended profile; `None` if nothing connected.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub profile: Option<Profile>,
    /// The number of cases per verdict.
    pub tally: Tally,
    /// Number of runs per case.
    #[serde(skip_serializing_if = "is_one", default = "one")]
    pub repeat: u32,
    /// Requirements in addition to the matrix's expectations, and their results.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub policy: Vec<Required>,
    /// SHA-256 over the rest, hex: docs/reference/certificate.md specifies the exact input.
    pub digest: String,
}

impl CaseResult {
    /// Every text in it that may contain output of a board or a broker.
    pub(crate) fn texts(&mut self) -> Vec<&mut String> {
        let evidence = &mut self.evidence;
        let mut texts = vec![&mut self.set_up, &mut evidence.found];
        texts.extend(self.why.iter_mut().chain(&mut evidence.said));
        texts.extend(evidence.clients.iter_mut().map(|client| &mut client.said));
        for seen in &mut evidence.wire {
            if let Some(offered) = &mut seen.offered {
                texts.extend(offered.server_name.iter_mut().chain(&mut offered.alpn));
            }
            texts.extend(seen.taken.iter_mut().filter_map(|taken| taken.alpn.as_mut()));
            texts.extend(seen.not_tls.iter_mut().map(|(_, text)| text));
        }
        texts
    }
}

impl Tally {
    /// The counts for these cases.
    pub fn of(cases: &[CaseResult]) -> Tally {
        let mut tally = Tally::default();
        for case in cases {
            *match case.verdict {
                Verdict::Held => &mut tally.held,
                Verdict::NotHeld => &mut tally.not_held,
                Verdict::Reported => &mut tally.reported,
                Verdict::NotRun => &mut tally.not_run,
            } += 1;
        }
        tally
    }
}
