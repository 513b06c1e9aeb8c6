//! Two certificates side by side, for a broker's upgrade.

use hilrig_core::certify::certificate::{Certificate, Outcome, Profile, Verdict};
use hilrig_core::certify::outside::NEEDS_ALLOW_LOAD;
use hilrig_core::certify::{CaseResult, Range, WireSeen};
use serde::Serialize;

use super::cipher_suite::CipherSuite;
use super::noise::{CostChange, CostFigure};
use super::profile::kept_records;
use super::words;

/// What a difference means for users of the broker; the worst comes first.
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

/// What two certificates are of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ComparisonKind {
    /// The same broker and device.
    #[default]
    Same,
    /// Another version of the same broker, or of its TLS library.
    Upgrade,
    /// Two brokers: what differs is no regression of either.
    Brokers,
    /// Two firmwares or kinds of board: the same.
    Devices,
}

/// All that differs between two certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Differences {
    /// What they are of.
    pub compared: ComparisonKind,
    /// How many cases both have.
    pub cases: usize,
    /// Cases that the one before alone has; they are not compared.
    pub only_before: Vec<String>,
    /// The same of the one now.
    pub only_now: Vec<String>,
    /// The worst first, then in the order of the broker and the matrix.
    pub differences: Vec<Difference>,
}

impl Differences {
    /// Whether nothing is worse. Of two brokers or devices, none is a worse version of the other.
    pub fn holds(&self) -> bool {
        self.is_comparison()
            || self.differences.iter().all(|difference| difference.meaning != Meaning::Worse)
    }

    /// They are of two brokers or devices.
    pub fn is_comparison(&self) -> bool {
        matches!(self.compared, ComparisonKind::Brokers | ComparisonKind::Devices)
    }

    /// What is compared, and what is not, in lines.
    pub fn about(&self) -> Vec<String> {
        let mut lines = Vec::new();
        lines.extend(match self.compared {
            ComparisonKind::Same => None,
            ComparisonKind::Upgrade => Some("Another version of the same broker".to_owned()),
            ComparisonKind::Brokers => {
                Some("Two brokers: a comparison, not a regression".to_owned())
            }
            ComparisonKind::Devices => {
                Some("Two devices: a comparison, not a regression".to_owned())
            }
        });
        for (only, which) in [(&self.only_before, "first"), (&self.only_now, "second")] {
            if !only.is_empty() {
                lines.push(format!(
                    "Not compared, in the {which} certificate alone: {}",
                    only.join(", ")
                ));
            }
        }
        lines
    }
}

/// Puts two certificates side by side: the cases that both have. What was shown before and could not be shown
/// now is worse: not measured is never passed.
pub fn differences(before: &Certificate, now: &Certificate) -> Differences {
    let mut all = Found::default();
    all.heads(before, now);
    let mut cases = 0;
    let mut only_before = Vec::new();
    for was in &before.cases {
        match now.cases.iter().find(|case| case.id == was.id) {
            // It puts load on a broker and was not allowed: left out on purpose.
            Some(is) if left_out(was) || left_out(is) => {
                let came = (words::outcome(was), words::outcome(is));
                all.differ(Some(&was.id), "outcome", came.0, came.1);
            }
            Some(is) => {
                cases += 1;
                all.case(was, is);
            }
            None => only_before.push(was.id.clone()),
        }
    }
    let known = |id: &str| before.cases.iter().any(|was| was.id == id);
    let only_now = now.cases.iter().filter(|is| !known(&is.id)).map(|is| is.id.clone());
    all.profile(before, now);
    all.0.sort_by_key(|difference| difference.meaning);
    Differences {
        compared: compared(before, now),
        cases,
        only_before,
        only_now: only_now.collect(),
        differences: all.0,
    }
}

fn left_out(case: &CaseResult) -> bool {
    case.outcome == Outcome::NotRun && case.why.as_deref() == Some(NEEDS_ALLOW_LOAD)
}

fn compared(before: &Certificate, now: &Certificate) -> ComparisonKind {
    let same = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
    if !same(&before.broker.software, &now.broker.software) {
        return ComparisonKind::Brokers;
    }
    if before.device.firmware != now.device.firmware || before.device.kind != now.device.kind {
        return ComparisonKind::Devices;
    }
    let version = |of: &Certificate| (of.broker.version.clone(), of.tls_library.clone());
    match version(before) == version(now) {
        true => ComparisonKind::Same,
        false => ComparisonKind::Upgrade,
    }
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
    }

    /// The settings to use.
    fn profile(&mut self, before: &Certificate, now: &Certificate) {
        let case = |of: &Option<Profile>| of.as_ref().map_or("none".into(), |of| of.case.clone());
        let (was, is) = (case(&before.profile), case(&now.profile));
        // A run of other cases shows another profile, or none.
        let both = |id: &str| [before, now].iter().all(|of| of.cases.iter().any(|c| c.id == id));
        match (&before.profile, &now.profile) {
            (Some(of), None) if both(&of.case) => {
                self.add(None, "profile", was, is, Meaning::Worse)
            }
            (Some(of), Some(to)) if both(&of.case) && both(&to.case) => {
                self.differ(None, "profile", was, is);
                let once = |free: u64| Range::of([free]);
                let what = "lowest free heap with the profile, B";
                let figures = (once(of.lowest_free), once(to.lowest_free));
                // The figures of the case itself are more exact.
                if of.case != to.case {
                    self.figure(None, what, CostFigure::Handshake, figures);
                }
            }
            (None, _) => self.differ(None, "profile", was, is),
            _ => {}
        }
    }

    fn case(&mut self, was: &CaseResult, is: &CaseResult) {
        let id = Some(was.id.as_str());
        let (before, now) = (rank(was), rank(is));
        let come_of = |case: &CaseResult| match case.verdict {
            Verdict::NotRun => words::outcome(case),
            _ => format!("{} ({})", words::outcome(case), words::verdict(case)),
        };
        match before == now {
            true => self.differ(id, "outcome", come_of(was), come_of(is)),
            false => {
                let meaning = if now < before { Meaning::Worse } else { Meaning::Better };
                self.add(id, "outcome", come_of(was), come_of(is), meaning);
            }
        }
        // Another outcome explains the other differences.
        if was.outcome != Outcome::Connected || is.outcome != Outcome::Connected {
            return;
        }
        self.negotiated(was, is);
        for figure in CostFigure::ALL {
            self.figure(id, figure.words(), figure, (figure.of(was), figure.of(is)));
        }
    }

    /// A figure that differs by more than its noise.
    fn figure(
        &mut self,
        case: Option<&str>,
        what: &str,
        figure: CostFigure,
        (before, now): (Option<Range<u64>>, Option<Range<u64>>),
    ) {
        let meaning = match (before, now) {
            (Some(was), Some(is)) => {
                match (figure.change(case.unwrap_or_default(), was, is), figure.is_heap()) {
                    (CostChange::Same, _) => return,
                    (CostChange::Lower, true) | (CostChange::Higher, false) => Meaning::Worse,
                    (CostChange::Higher, true) | (CostChange::Lower, false) => Meaning::Better,
                }
            }
            (Some(_), None) => Meaning::Worse,
            _ => return,
        };
        let words = |range: Option<Range<u64>>| match range {
            None => "not measured".into(),
            Some(Range { lowest, highest, .. }) if lowest == highest => lowest.to_string(),
            Some(Range { lowest, highest, .. }) => format!("{lowest} to {highest}"),
        };
        self.add(case, what, words(before), words(now), meaning);
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
            seen.taken.as_ref().map_or("none".into(), |taken| CipherSuite(taken.suite).to_string())
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
        (Verdict::Reported, Outcome::Broken) => 2,
        (Verdict::Reported, Outcome::Refused) => 3,
        (Verdict::Held | Verdict::Reported, _) => 4,
    }
}
