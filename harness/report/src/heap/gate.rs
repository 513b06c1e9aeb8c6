//! The heap gate: many boots against what was accepted, and whose fault it is where they cannot be compared.
//!
//! A boot that the bench or a user cut off shows nothing of the firmware: it is left out and reported, and the
//! others are judged where they are more than half. What the baseline has and no boot measured is a failure: a
//! gate that lets through what it did not look at is none.

use std::collections::{BTreeMap, BTreeSet};

use hilrig_core::verdict::Verdict;

use super::baseline::{Baseline, Entry};
use super::compare::{Comparison, compare};
use super::figures::{Boots, Key, is_measured};
use crate::model::{BoardModel, RunModel};

/// What is judged, where it is not the whole baseline.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Only these kinds of boards; all where there are none.
    pub kinds: BTreeSet<String>,
    /// Only what has one of these texts in its key; all where there are none.
    pub only: Vec<String>,
    /// Only what the boots measured.
    pub only_measured: bool,
}

impl Scope {
    fn has_kind(&self, kind: &str) -> bool {
        self.kinds.is_empty() || self.kinds.contains(kind)
    }

    /// Whether this part of a baseline is to be judged.
    pub fn has(&self, key: &Key) -> bool {
        let text = key.to_string();
        let named = self.only.is_empty() || self.only.iter().any(|part| text.contains(part));
        self.has_kind(&key.kind) && named
    }
}

/// A boot by its run and its board, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnmeasuredBoot {
    /// The run's id.
    pub run: String,
    /// The board's name.
    pub board: String,
    /// What became of it.
    pub why: String,
    /// What it would be compared by, as far as it is known.
    pub key: Option<Key>,
}

/// What the baseline and the boots both have.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyComparison {
    /// Of what.
    pub key: Key,
    /// The figures side by side.
    pub comparison: Comparison,
    /// How many boots were measured.
    pub boots: usize,
    /// How many were left out.
    pub left_out: usize,
    /// Static memory as it was accepted and as it is: sections with their sizes, bytes.
    pub sections: [BTreeMap<String, u64>; 2],
}

impl KeyComparison {
    /// Two sets of figures of one key.
    pub fn of(key: Key, before: &Entry, now: &Entry) -> KeyComparison {
        KeyComparison {
            key,
            comparison: compare(&before.figures, &now.figures),
            boots: now.boots,
            left_out: 0,
            sections: [before.sections.clone(), now.sections.clone()],
        }
    }

    /// Whether so many of the boots were measured that a change is no chance.
    pub fn is_judged(&self) -> bool {
        self.boots > self.left_out
    }
}

/// What the baseline has and no boot measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What it is.
    pub key: Key,
    /// The bench is to blame, and not the command line or a board.
    pub by_the_bench: bool,
    /// Why there is nothing.
    pub why: String,
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// Over all of it.
    pub verdict: Verdict,
    /// What could be compared.
    pub compared: Vec<KeyComparison>,
    /// What could not.
    pub missing: Vec<Missing>,
    /// Boots whose board failed by itself.
    pub failed: Vec<UnmeasuredBoot>,
    /// Boots that show nothing of the firmware.
    pub left_out: Vec<UnmeasuredBoot>,
    /// Why the boots ended before all were made.
    pub cut_short: Option<String>,
}

/// Nothing can be judged.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum GateError {
    /// These boots have figures of something that was never accepted.
    #[error(
        "has no figures for these boots: {key}. It has:\n{}\n`hilrig heap accept` adds them",
        list(known)
    )]
    Unknown {
        /// What was measured.
        key: Box<Key>,
        /// What the baseline has.
        known: Vec<Key>,
    },
    /// The scope leaves nothing of the baseline.
    #[error("has nothing that --kind and --only leave. It has:\n{}", list(known))]
    Nothing {
        /// What the baseline has.
        known: Vec<Key>,
    },
}

fn list(known: &[Key]) -> String {
    match known.is_empty() {
        true => "  nothing at all".into(),
        false => known.iter().map(|key| format!("  {key}")).collect::<Vec<_>>().join("\n"),
    }
}

impl Gate {
    /// Holds these runs against the baseline. `cut_short` is why there are no more of them, where more were
    /// asked for.
    ///
    /// # Errors
    /// Baseline and boots are of different things.
    pub fn judge(
        baseline: &Baseline,
        runs: &[RunModel],
        scope: &Scope,
        cut_short: Option<String>,
    ) -> Result<Gate, GateError> {
        let known = || baseline.entries.keys().cloned().collect();
        let wanted: BTreeMap<&Key, &Entry> =
            baseline.entries.iter().filter(|(key, _)| scope.has(key)).collect();
        let narrowed = !scope.kinds.is_empty() || !scope.only.is_empty();
        if narrowed && wanted.is_empty() {
            return Err(GateError::Nothing { known: known() });
        }
        let mut measured = Boots::of(runs);
        measured.retain(|key, _| scope.has(key));
        if let Some(key) = measured.keys().find(|key| !wanted.contains_key(key)) {
            return Err(GateError::Unknown { key: Box::new(key.clone()), known: known() });
        }
        let UnmeasuredBoots { failed, left_out } = unmeasured_boots(runs, scope);
        let mut compared = Vec::new();
        let mut missing = Vec::new();
        for (key, entry) in wanted {
            let of = |boots: &[UnmeasuredBoot]| boots.iter().filter(|boot| boot.is_of(key)).count();
            match measured.get(key) {
                Some(boots) => compared.push(KeyComparison {
                    left_out: of(&left_out),
                    ..KeyComparison::of(key.clone(), entry, &Entry::of(boots))
                }),
                None if of(&left_out) > 0 => missing.push(Missing {
                    key: key.clone(),
                    by_the_bench: true,
                    why: "its boots were left out".into(),
                }),
                None if of(&failed) > 0 => missing.push(Missing {
                    key: key.clone(),
                    by_the_bench: false,
                    why: "its boards failed on the way".into(),
                }),
                None if scope.only_measured => {}
                None => missing.push(Missing {
                    key: key.clone(),
                    by_the_bench: cut_short.is_some() && measured.is_empty(),
                    why: "no boot was of it; --kind and --only leave it out on purpose".into(),
                }),
            }
        }
        let mut gate =
            Gate { verdict: Verdict::Passed, compared, missing, failed, left_out, cut_short };
        gate.verdict = gate.judged();
        Ok(gate)
    }

    fn judged(&self) -> Verdict {
        let worse = |of: &KeyComparison| of.is_judged() && !of.comparison.holds();
        let not_measured = |missing: &Missing| !missing.by_the_bench;
        if !self.failed.is_empty()
            || self.compared.iter().any(worse)
            || self.missing.iter().any(not_measured)
        {
            return Verdict::Failed;
        }
        let whole = self.cut_short.is_none()
            && self.missing.is_empty()
            && self.compared.iter().all(KeyComparison::is_judged)
            && self.left_out.iter().all(|boot| boot.key.is_some());
        match whole && !self.compared.is_empty() {
            true => Verdict::Passed,
            false => Verdict::RigFault,
        }
    }

    /// Whether something got better by more than the noise.
    pub fn better(&self) -> bool {
        self.compared.iter().any(|of| of.comparison.better())
    }
}

impl UnmeasuredBoot {
    /// Whether it is of this key, or may be: of a board that was never reached not even the kind is known.
    fn is_of(&self, key: &Key) -> bool {
        self.key.as_ref().is_none_or(|of| of == key)
    }

    fn of(run: &RunModel, board: &BoardModel, why: String) -> UnmeasuredBoot {
        let id = run.started.as_ref().map_or("", |started| started.run.as_str());
        UnmeasuredBoot {
            run: id.into(),
            board: board.name.clone(),
            why,
            key: Boots::key(run, board),
        }
    }
}

/// The boots that are not plain measurements.
pub struct UnmeasuredBoots {
    /// The board failed by itself.
    pub failed: Vec<UnmeasuredBoot>,
    /// It was cut off.
    pub left_out: Vec<UnmeasuredBoot>,
}

/// Separates boards that failed from boots that were cut off.
pub fn unmeasured_boots(runs: &[RunModel], scope: &Scope) -> UnmeasuredBoots {
    let mut unmeasured_boots = UnmeasuredBoots { failed: Vec::new(), left_out: Vec::new() };
    // A run without a broker does not know what it could be compared by; the board's other runs do.
    let mut keys: BTreeMap<&str, Key> = BTreeMap::new();
    for (run, board) in runs.iter().flat_map(|run| run.boards.iter().map(move |b| (run, b))) {
        if let Some(key) = Boots::key(run, board) {
            keys.entry(&board.name).or_insert(key);
        }
    }
    for run in runs {
        for board in &run.boards {
            let kind = board.facts.as_ref().map(|facts| facts.kind.as_str());
            if kind.is_some_and(|kind| !scope.has_kind(kind)) {
                continue;
            }
            let why = board.end.as_ref().and_then(|end| end.why.clone());
            let mut boot =
                UnmeasuredBoot::of(run, board, why.unwrap_or_else(|| "no reason is known".into()));
            boot.key = boot.key.or_else(|| keys.get(&*board.name).cloned());
            if boot.key.as_ref().is_some_and(|key| !scope.has(key)) {
                continue;
            }
            match board.verdict() {
                Some(Verdict::Failed) => unmeasured_boots.failed.push(boot),
                _ if is_measured(board) && Boots::key(run, board).is_some() => {}
                Some(verdict) => {
                    let why = format!("{}: {}", verdict.word(), boot.why);
                    unmeasured_boots.left_out.push(UnmeasuredBoot { why, ..boot });
                }
                None => {
                    let why = "no verdict: its record stops before the end".into();
                    unmeasured_boots.left_out.push(UnmeasuredBoot { why, ..boot });
                }
            }
        }
    }
    unmeasured_boots
}

#[cfg(test)]
mod tests {
    use hilrig_core::heap::HeapPhase;
    use hilrig_core::phase::{Phase, PhaseOutcome};

    use super::super::figures::tests::run;
    use super::*;
    use crate::model::{BoardEnd, PhaseRun};

    const LOWS: [(HeapPhase, u64, u64); 2] =
        [(HeapPhase::Boot, 50_000, 40_000), (HeapPhase::Handshake, 40_000, 30_000)];

    fn baseline() -> Baseline {
        let boots = Boots::of(&[run(&LOWS), run(&LOWS)]);
        Baseline { entries: boots.iter().map(|(k, b)| (k.clone(), Entry::of(b))).collect() }
    }

    /// A board that ended so, with less in its figures than was accepted where it was cut off.
    fn ended(verdict: Verdict) -> RunModel {
        let mut run = run(&LOWS[..1]);
        run.boards[0].end = Some(BoardEnd { verdict, seconds: 1.0, why: Some("of this".into()) });
        run
    }

    fn verdict(runs: &[RunModel]) -> Verdict {
        Gate::judge(&baseline(), runs, &Scope::default(), None).unwrap().verdict
    }

    #[test]
    fn a_boot_that_was_cut_off_is_never_a_failure() {
        let whole = || run(&LOWS);
        assert_eq!(verdict(&[whole()]), Verdict::Passed);
        for cut_off in [ended(Verdict::RigFault), ended(Verdict::Skipped), {
            let mut killed = run(&LOWS[..1]);
            killed.boards[0].end = None;
            killed
        }] {
            // Enough others measured; too few; none.
            let runs = [whole(), whole(), cut_off.clone()];
            let gate = Gate::judge(&baseline(), &runs, &Scope::default(), None).unwrap();
            assert_eq!((gate.verdict, gate.left_out.len()), (Verdict::Passed, 1), "{gate:?}");
            assert_eq!((gate.compared[0].boots, gate.compared[0].left_out), (2, 1));
            assert_eq!(verdict(&[whole(), cut_off.clone()]), Verdict::RigFault);
            assert_eq!(verdict(std::slice::from_ref(&cut_off)), Verdict::RigFault);
            // A board that was never reached, and a run without a broker.
            let mut unknown = cut_off.clone();
            (unknown.boards[0].facts, unknown.broker) = (None, None);
            assert_eq!(verdict(&[unknown.clone()]), Verdict::RigFault);
            assert_eq!(verdict(&[whole(), whole(), unknown]), Verdict::Passed);
        }
        assert_eq!(
            verdict(&[]),
            Verdict::Failed,
            "nothing was measured, and the bench is not to blame"
        );
        let stopped = Some("stopped by SIGINT".to_owned());
        let stop = |runs: &[RunModel]| {
            Gate::judge(&baseline(), runs, &Scope::default(), stopped.clone()).unwrap().verdict
        };
        assert_eq!(stop(&[whole()]), Verdict::RigFault);
        assert_eq!(stop(&[]), Verdict::RigFault);
    }

    #[test]
    fn what_is_worse_in_the_others_is_a_failure_all_the_same() {
        let worse = || run(&[LOWS[0], (HeapPhase::Handshake, 30_000, 30_000)]);
        let cut_off = || ended(Verdict::RigFault);
        assert_eq!(verdict(&[worse(), worse(), cut_off()]), Verdict::Failed);
        // One of two is no proof.
        assert_eq!(verdict(&[worse(), cut_off()]), Verdict::RigFault);
        assert_eq!(verdict(&[ended(Verdict::Failed), cut_off(), cut_off()]), Verdict::Failed);
        let mut floor = run(&LOWS);
        let (phase, outcome) = (Phase::SwitchBack, PhaseOutcome::Done);
        floor.boards[0].phases =
            vec![PhaseRun { phase, outcome, seconds: 1.0, waited: 1.0, why: None }];
        floor.boards[0].end = Some(BoardEnd { verdict: Verdict::Failed, seconds: 1.0, why: None });
        let gate = Gate::judge(&baseline(), &[floor], &Scope::default(), None).unwrap();
        assert_eq!((gate.verdict, gate.failed.len()), (Verdict::Failed, 1));
        assert!(gate.compared[0].comparison.holds(), "its figures count");
        // A phase that the baseline has.
        assert_eq!(verdict(&[run(&LOWS[..1])]), Verdict::Failed);
    }

    #[test]
    fn what_was_not_measured_is_named_unless_it_is_left_out_on_purpose() {
        let mut baseline = baseline();
        let (key, entry) = baseline.entries.first_key_value().unwrap();
        let (key, entry) = (key.clone(), entry.clone());
        let kind = Key { kind: "esp8266".into(), ..key.clone() };
        let scenario =
            Key { configuration: "tls_mfl=512 scenario=handshake:9".into(), ..key.clone() };
        let other = Key { configuration: "tls_mfl=4096".into(), ..key.clone() };
        for more in [&kind, &scenario, &other] {
            baseline.entries.insert(more.clone(), entry.clone());
        }
        let judge = |scope: Scope| Gate::judge(&baseline, &[run(&LOWS)], &scope, None);
        let missing = |scope: Scope| {
            let gate = judge(scope).unwrap();
            let keys: BTreeSet<Key> = gate.missing.into_iter().map(|of| of.key).collect();
            (gate.verdict, keys)
        };
        let all = [kind, scenario.clone(), other.clone()].into();
        assert_eq!(missing(Scope::default()), (Verdict::Failed, all));
        let kinds = Scope { kinds: ["virtual".into()].into(), ..Scope::default() };
        assert_eq!(missing(kinds), (Verdict::Failed, [scenario, other].into()));
        let only = |text: &str| Scope { only: vec![text.into()], ..Scope::default() };
        assert_eq!(missing(only("virtual, tls_mfl=512, ")), (Verdict::Passed, [].into()));
        let measured = Scope { only_measured: true, ..Scope::default() };
        assert_eq!(missing(measured), (Verdict::Passed, [].into()));
        let nothing = judge(only("nrf52")).unwrap_err();
        assert!(nothing.to_string().contains("  esp8266, tls_mfl=512, TLS 1.2"), "{nothing}");
        // A board of the missing kind that the bench lost.
        let mut lost = run(&LOWS);
        let mut board = ended(Verdict::RigFault).boards.remove(0);
        board.facts.as_mut().unwrap().kind = "esp8266".into();
        board.name = "other".into();
        lost.boards.push(board);
        let scope = Scope { only: vec!["tls_mfl=512, ".into()], ..Scope::default() };
        let gate = Gate::judge(&baseline, &[lost], &scope, None).unwrap();
        assert_eq!(gate.verdict, Verdict::RigFault, "{gate:?}");
        assert!(gate.missing[0].by_the_bench);
    }
}
