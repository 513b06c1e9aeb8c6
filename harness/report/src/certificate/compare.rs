//! Two certificates side by side, for a broker's upgrade.

use std::collections::BTreeSet;

use hilrig_core::certify::certificate::{Certificate, Outcome, Profile, Verdict};
use hilrig_core::certify::{CaseResult, WireSeen};
use serde::Serialize;

use super::profile::{NOISE, kept_records};
use super::suite::Suite;
use super::words;

/// More bytes of a handshake than these are told: an ECDSA signature alone differs by some.
const HANDSHAKE_NOISE: u64 = 64;

/// What a difference means to who relies on the broker; the worst stands first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// It was better before.
    Worse,
    /// Neither.
    Other,
    /// It is better now.
    Better,
}

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The case, or none for the broker and the device themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
    /// What differs, in words.
    pub what: String,
    /// Before.
    pub before: String,
    /// Now.
    pub now: String,
    /// What that means.
    pub meaning: Meaning,
}

/// All that differs between two certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Differences {
    /// The worst first, then in the order of the broker and the matrix.
    pub differences: Vec<Difference>,
}

impl Differences {
    /// Whether nothing is worse.
    pub fn holds(&self) -> bool {
        self.differences.iter().all(|difference| difference.meaning != Meaning::Worse)
    }
}

/// Puts two certificates side by side. What was shown before and is not now is worse: not measured is
/// never passed.
pub fn differences(before: &Certificate, now: &Certificate) -> Differences {
    let mut all = Found::default();
    all.heads(before, now);
    let ids: BTreeSet<&str> = before.cases.iter().map(|case| case.id.as_str()).collect();
    for was in &before.cases {
        match now.cases.iter().find(|case| case.id == was.id) {
            Some(is) => all.case(was, is),
            None => {
                let meaning = match was.verdict {
                    Verdict::NotRun => Meaning::Other,
                    _ => Meaning::Worse,
                };
                all.add(Some(&was.id), "case", words::outcome(was), "not there".into(), meaning);
            }
        }
    }
    for is in now.cases.iter().filter(|case| !ids.contains(case.id.as_str())) {
        let meaning = match is.verdict {
            Verdict::NotHeld => Meaning::Worse,
            _ => Meaning::Other,
        };
        all.add(Some(&is.id), "case", "not there".into(), words::outcome(is), meaning);
    }
    all.0.sort_by_key(|difference| difference.meaning);
    Differences { differences: all.0 }
}

#[derive(Default)]
struct Found(Vec<Difference>);

impl Found {
    fn add(
        &mut self,
        case: Option<&str>,
        what: &str,
        before: String,
        now: String,
        meaning: Meaning,
    ) {
        let case = case.map(String::from);
        self.0.push(Difference { case, what: what.into(), before, now, meaning });
    }

    fn differ(&mut self, case: Option<&str>, what: &str, before: String, now: String) {
        if before != now {
            self.add(case, what, before, now, Meaning::Other);
        }
    }

    /// What the certificates are of.
    fn heads(&mut self, before: &Certificate, now: &Certificate) {
        let known = |text: &Option<String>| text.clone().unwrap_or("not known".into());
        self.differ(None, "broker", words::broker(before), words::broker(now));
        self.differ(None, "TLS library", known(&before.tls_library), known(&now.tls_library));
        self.differ(None, "TLS as it comes", known(&before.broker.tls), known(&now.broker.tls));
        let device = |of: &Certificate| {
            let build = of.device.build.as_deref().unwrap_or("without a build id");
            format!("{} {build} on {}", of.device.firmware, of.device.kind)
        };
        self.differ(None, "device", device(before), device(now));
        let case = |of: &Option<Profile>| of.as_ref().map_or("none".into(), |of| of.case.clone());
        let (was, is) = (case(&before.profile), case(&now.profile));
        match (&before.profile, &now.profile) {
            (Some(_), None) => self.add(None, "profile", was, is, Meaning::Worse),
            _ => self.differ(None, "profile", was, is),
        }
        if let (Some(was), Some(is)) = (&before.profile, &now.profile) {
            let figures = (Some(was.lowest_free), Some(is.lowest_free));
            self.heap(None, "lowest free heap with the profile, B", figures);
        }
    }

    fn case(&mut self, was: &CaseResult, is: &CaseResult) {
        let id = Some(was.id.as_str());
        let (before, now) = (rank(was), rank(is));
        let come_of = |case: &CaseResult| match case.verdict {
            Verdict::NotRun => words::outcome(case),
            verdict => format!("{} ({})", words::outcome(case), words::verdict_words(verdict)),
        };
        match before == now {
            true => self.differ(id, "outcome", come_of(was), come_of(is)),
            false => {
                let meaning = if now < before { Meaning::Worse } else { Meaning::Better };
                self.add(id, "outcome", come_of(was), come_of(is), meaning);
            }
        }
        // What differs for an outcome of another kind is told by that.
        if was.outcome != Outcome::Connected || is.outcome != Outcome::Connected {
            return;
        }
        self.negotiated(was, is);
        for (what, before, now) in [
            ("free in the handshake, B", was.cost.heap_handshake, is.cost.heap_handshake),
            ("free while connected, B", was.cost.heap_connected, is.cost.heap_connected),
            ("free after the message, B", was.cost.heap_after_message, is.cost.heap_after_message),
        ] {
            self.heap(id, what, (before, now));
        }
        let more = |less: u64, more: u64| more > less.saturating_add(HANDSHAKE_NOISE);
        self.cost(id, "handshake, B", (was.cost.handshake_bytes, is.cost.handshake_bytes), more);
    }

    fn heap(&mut self, case: Option<&str>, what: &str, figures: (Option<u64>, Option<u64>)) {
        self.cost(case, what, figures, |was, is| was > is.saturating_add(NOISE));
    }

    /// A figure that is worse if `worse(before, now)`, and better if it is so the other way round.
    fn cost(
        &mut self,
        case: Option<&str>,
        what: &str,
        (before, now): (Option<u64>, Option<u64>),
        worse: impl Fn(u64, u64) -> bool,
    ) {
        let meaning = match (before, now) {
            (Some(was), Some(is)) if worse(was, is) => Meaning::Worse,
            (Some(was), Some(is)) if worse(is, was) => Meaning::Better,
            (Some(_), None) => Meaning::Worse,
            _ => return,
        };
        let figure = |figure: Option<u64>| figure.map_or("not measured".into(), |f| f.to_string());
        self.add(case, what, figure(before), figure(now), meaning);
    }

    /// What the wire shows that was agreed on.
    fn negotiated(&mut self, was: &CaseResult, is: &CaseResult) {
        let id = Some(was.id.as_str());
        let (Some(before), Some(now)) = (words::telling(was), words::telling(is)) else { return };
        let version = |seen: &WireSeen| seen.taken.as_ref().map_or(0, |taken| taken.version);
        if version(before) != version(now) {
            let meaning = match version(now) < version(before) {
                true => Meaning::Worse,
                false => Meaning::Better,
            };
            let word = |seen| words::version(version(seen));
            self.add(id, "version", word(before), word(now), meaning);
        }
        let suite = |seen: &WireSeen| {
            seen.taken.as_ref().map_or("none".into(), |taken| Suite(taken.suite).to_string())
        };
        self.differ(id, "suite", suite(before), suite(now));
        let kept = |case: &CaseResult| kept_records(&case.evidence.wire);
        if let (Some(was), Some(is)) = (kept(was), kept(is))
            && was != is
        {
            let meaning = if is > was { Meaning::Worse } else { Meaning::Better };
            let (was, is) = (was.words().to_owned(), is.words().to_owned());
            self.add(id, "MFLN", was, is, meaning);
        }
        let resumed = |case: &CaseResult| case.evidence.wire.iter().any(|seen| seen.resumed);
        let word = |resumed| if resumed { "yes" } else { "no" }.to_owned();
        match (resumed(was), resumed(is)) {
            (true, false) => self.add(id, "resumed", word(true), word(false), Meaning::Worse),
            (false, true) => self.add(id, "resumed", word(false), word(true), Meaning::Better),
            _ => {}
        }
    }
}

/// How good a result is; one that cannot be compared with another by this has the same.
fn rank(case: &CaseResult) -> u8 {
    match (case.verdict, case.outcome) {
        (Verdict::NotHeld, _) => 0,
        (Verdict::NotRun, _) => 1,
        (Verdict::Reported, Outcome::Refused) => 2,
        (Verdict::Held | Verdict::Reported, _) => 3,
    }
}
