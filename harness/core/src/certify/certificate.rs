//! What came of a certification: `certificate.json`, schema in docs/reference/certificate.md.

use serde::{Deserialize, Serialize};

use super::repetitions::Repetitions;
use super::{Reason, WireSeen};
use crate::event::BrokerFacts;

/// Version of the schema. It rises when a reader of an older one would go wrong.
pub const CERTIFICATE_SCHEMA: u32 = 1;

/// What came of one case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The board connected, and what the case does then worked.
    Connected,
    /// It did not connect, or what the case does then did not work; the reason says why.
    Refused,
    /// It was measured without a board (`evidence.found` tells).
    Measured,
    /// It was not run; `why` says why not. Never counts as held.
    NotRun,
    /// The bench had trouble of its own, or the board died; `why` says which.
    Broken,
}

/// How the outcome stands to what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it must be.
    Held,
    /// Not as it must be.
    NotHeld,
    /// It was to be reported, and is.
    Reported,
    /// Nothing can be said.
    NotRun,
}

/// What another client met in the same set-up: who refused, then, is the broker or the device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherClient {
    /// `rustls` or `openssl`.
    pub client: String,
    /// Its version; empty where it could not be asked.
    pub version: String,
    /// [`Outcome::Connected`] with a CONNACK that lets it in, or [`Outcome::Refused`]. [`Outcome::NotRun`] if the
    /// client has not what the case is about, [`Outcome::Broken`] if the bench had trouble.
    pub outcome: Outcome,
    /// Why it was refused, in the words that a board's refusal is told in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<Reason>,
    /// What it said, what it negotiated, or why it was not run; printable.
    pub said: String,
}

/// What shows that it was so.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evidence {
    /// What was found, in words.
    pub found: String,
    /// The board's line that decided it, printable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
    /// The line of the boot log that it is, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_line: Option<u64>,
    /// The board's connections as the relay saw them, the first ones and the last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wire: Vec<WireSeen>,
    /// How many there were in all.
    pub connections: u32,
    /// The same set-up with the rig's own clients.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<OtherClient>,
}

/// What it costs a board.
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
    /// Bytes of the handshake on the wire, both ways, without TCP's and IP's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshake_bytes: Option<u64>,
}

/// One case, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseResult {
    /// The case.
    pub id: String,
    /// The row of docs/reference/certification-cases.md; 0 for MQTT's level.
    pub row: u8,
    /// What it is.
    pub title: String,
    /// What it proves.
    pub proves: String,
    /// The public issue that it stands for.
    pub seen: String,
    /// What must come of it, in words.
    pub expected: String,
    /// What came of it.
    pub outcome: Outcome,
    /// How that stands to what was expected.
    pub verdict: Verdict,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<Reason>,
    /// Why it was not run, or what broke.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why: Option<String>,
    /// The board that did it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub board: Option<String>,
    /// The set-up, for people: what of it is not the usual.
    pub set_up: String,
    /// What shows it.
    #[serde(default)]
    pub evidence: Evidence,
    /// What it cost; the worst of each where it was repeated.
    #[serde(default)]
    pub cost: Cost,
    /// What its repetitions came to, where it was run more than once.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub repetitions: Option<Repetitions>,
    /// Seconds that it took.
    pub seconds: f64,
}

/// The settings with the most heap left, of those that connected and kept what they negotiated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The case that showed it.
    pub case: String,
    /// The largest record to ask for, bytes.
    pub record: u16,
    /// The cipher suite that was agreed on, its IANA number.
    pub suite: u16,
    /// The key of the broker's certificate, such as `EC P-256`.
    pub certificate: String,
    /// Lowest free heap with it, bytes.
    pub lowest_free: u64,
}

/// The device that was asked.
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

/// A requirement of the user's own, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Required {
    /// The requirement, such as `mfln` or `heap >= 36864 B`.
    pub require: String,
    /// What came of it.
    pub outcome: RequiredOutcome,
    /// What it was judged by, in words.
    pub found: String,
}

/// What came of a requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequiredOutcome {
    /// It is met.
    Passed,
    /// It is not.
    Failed,
    /// What it is about was not measured, which is never passed.
    NotMeasured,
}

/// How many cases came out how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// As they must be.
    pub held: u32,
    /// Not so.
    pub not_held: u32,
    /// To be reported.
    pub reported: u32,
    /// Not run, or broken.
    pub not_run: u32,
}

/// What `certify_started` tells: the certification of a broker begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertifyStarted {
    /// The broker as it was asked for: `mosquitto`, or `HOST:PORT`.
    pub broker: String,
    /// How many cases there are to come, with those that will not be run.
    pub cases: u32,
    /// How often each is run: so many `case_ended` come for it.
    #[serde(skip_serializing_if = "is_one", default = "one")]
    pub repeat: u32,
    /// What is required beside what the matrix expects ([`super::Requirement`]), in its own words.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub require: Vec<String>,
}

fn one() -> u32 {
    1
}

fn is_one(repeat: &u32) -> bool {
    *repeat == 1
}

/// What `case_ended` tells: a case is over, or was left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseEnded {
    /// The broker as it was asked for.
    pub broker: String,
    /// What came of the case.
    pub result: CaseResult,
}

/// What `certify_ended` tells: every case of this broker was told, and what is known of the broker by now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CertifyEnded {
    /// The broker as it was asked for.
    pub broker: String,
    /// What it was found to be.
    pub facts: BrokerFacts,
    /// Its TLS library with the version, where it is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tls_library: Option<String>,
    /// The device.
    pub device: Device,
}

/// The certificate of one broker. It is made of the events alone, so that a recorded run gives it again.
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
    /// The seed of everything random.
    pub seed: u64,
    /// The broker as it was asked for: `mosquitto`, or `HOST:PORT`.
    pub name: String,
    /// What it was found to be.
    pub broker: BrokerFacts,
    /// Its TLS library with the version, where it is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tls_library: Option<String>,
    /// The device.
    pub device: Device,
    /// The cases, in the matrix's order, each exactly once.
    pub cases: Vec<CaseResult>,
    /// The profile to use; none if nothing connected.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub profile: Option<Profile>,
    /// How many came out how.
    pub tally: Tally,
    /// How often each case was run.
    #[serde(skip_serializing_if = "is_one", default = "one")]
    pub repeat: u32,
    /// What was required beside what the matrix expects, and what came of it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub policy: Vec<Required>,
    /// SHA-256 over the rest, hex: docs/reference/certificate.md says over what exactly.
    pub digest: String,
}

impl CaseResult {
    /// Every text in it that may hold what a board or a broker said.
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
    /// Of these cases.
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
