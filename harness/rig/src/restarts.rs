//! Restarts: starts of the chip that the rig did not ask for.

use std::collections::BTreeMap;

use hilrig_core::phase::Phase;

use crate::instead::shortened;
use crate::starts::Restart;

/// Restarts of a board that are noted; more are only counted.
const MOST_KEPT: usize = 20;

/// A restart, with the rig's action at that time.
#[derive(Clone, Debug)]
pub struct NotedRestart {
    restart: Restart,
    phase: Option<Phase>,
    doing: String,
}

/// The restarts of a board. Bounded.
#[derive(Debug, Default)]
pub struct Restarts {
    first: Vec<NotedRestart>,
    count: u64,
    /// Those that the contract allows, by phase.
    allowed: BTreeMap<Phase, u64>,
}

impl Restarts {
    /// Adds a restart.
    pub fn add(&mut self, restart: Restart, phase: Option<Phase>, doing: &str) {
        self.count += 1;
        if self.first.len() < MOST_KEPT {
            self.first.push(NotedRestart { restart, phase, doing: doing.into() });
        }
    }

    /// Counts a restart that the contract allows.
    pub fn allow(&mut self, phase: Phase) {
        *self.allowed.entry(phase).or_default() += 1;
    }

    /// How many allowed restarts came in a phase.
    pub fn allowed_in(&self, phase: Phase) -> u64 {
        self.allowed.get(&phase).copied().unwrap_or_default()
    }

    /// The first restart that ends a job.
    pub fn ends_job(&self) -> Option<&NotedRestart> {
        self.first.iter().find(|one| !one.restart.in_boot)
    }

    /// The first restart.
    pub fn first(&self) -> Option<&NotedRestart> {
        self.first.first()
    }

    /// The first of those after so many, in a line.
    pub fn words_after(&self, count: u64) -> Option<String> {
        // Only the first restarts are kept.
        let one = usize::try_from(count).ok().and_then(|count| self.first.get(count));
        (self.count > count).then(|| one.or(self.first.last()).map(NotedRestart::words))?
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Removes all of them.
    pub fn forget(&mut self) {
        *self = Restarts::default();
    }
}

impl NotedRestart {
    /// Line of the boot log, counted from 1.
    pub fn line(&self) -> u64 {
        self.restart.line
    }

    /// In a line.
    pub fn words(&self) -> String {
        let Restart { line, rom, .. } = &self.restart;
        let phase = self.phase.map(|phase| format!("in: {}", phase.words()));
        let doing =
            (!self.doing.is_empty()).then(|| format!("while the rig {}", shortened(&self.doing)));
        let place: Vec<String> = phase.into_iter().chain(doing).collect();
        let place = match place.is_empty() {
            true => "outside of any phase".into(),
            false => place.join(", "),
        };
        let cause = match rom {
            Some(words) => words.clone(),
            None => "its firmware's boot lines came again".into(),
        };
        format!(
            "the board restarted and the rig did not ask for it, line {line} of its boot log ({place}): {cause}"
        )
    }
}
