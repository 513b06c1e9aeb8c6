//! The heap figures of commits, for a search: those that are known, else measured in a working tree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use hilrig_core::exit;
use hilrig_core::plural::counted;
use hilrig_report::heap::{
    Boots, Change, Entry, FigureJudgement, Key, Scope, UnmeasuredBoot, compare, unmeasured_boots,
};
use hilrig_report::{History, HistoryFilter, HistoryRow};

use super::boots::{MeasuredRuns, many};
use super::history::opened;
use super::worktree::{WorkTree, git};
use super::{Notice, Notices};
use crate::load::{self, BoardSelection, RunInputs, ScenarioSelection};
use crate::{Error, RunRequest, StopRequest};

/// What a search for a commit goes through, and how a commit is measured.
#[derive(Clone, Debug)]
pub struct BisectRequest {
    /// The configuration file, in the repository that is searched.
    pub config: PathBuf,
    /// A commit that left enough free.
    pub good: String,
    /// A commit that leaves less.
    pub bad: String,
    /// Builds what is checked out; run by `sh -c` in the repository's top folder.
    pub build: String,
    /// The boards that commits are booted on.
    pub boards: BoardSelection,
    /// How many runs each commit's figures are taken from.
    pub boots: usize,
    /// What runs after the main path.
    pub scenarios: ScenarioSelection,
}

/// What is known of a commit.
pub enum CommitFigures {
    /// Its figures, and where they come from.
    Figures { entries: BTreeMap<Key, Entry>, how: String },
    /// A board failed before there were figures.
    Failed(String),
    /// It cannot be measured.
    Not(String),
}

impl CommitFigures {
    /// Where the figures come from.
    pub fn how(&self) -> &str {
        match self {
            CommitFigures::Figures { how, .. } => how,
            CommitFigures::Failed(_) | CommitFigures::Not(_) => "",
        }
    }

    fn entries(&self) -> Option<&BTreeMap<Key, Entry>> {
        match self {
            CommitFigures::Figures { entries, .. } => Some(entries),
            CommitFigures::Failed(_) | CommitFigures::Not(_) => None,
        }
    }

    /// The figure that is worse by most, if any is; what is not measured any more is worse than that.
    pub fn worst(&self, now: &CommitFigures) -> Option<(Key, Change)> {
        let (before, now) = (self.entries()?, now.entries()?);
        let worse = before.iter().filter_map(|(key, was)| {
            let changes = compare(&was.figures, &now.get(key)?.figures).changes.into_iter();
            let worse = changes.filter(|c| {
                matches!(c.judged, FigureJudgement::Worse | FigureJudgement::NotMeasured)
            });
            let most = |change: &Change| change.difference().map_or(u64::MAX, i64::unsigned_abs);
            Some((key.clone(), worse.max_by_key(most)?))
        });
        worse.max_by_key(|(_, change)| change.difference().map_or(u64::MAX, i64::unsigned_abs))
    }
}

/// Finds the figures of commits.
pub struct Commits<'a> {
    pub request: &'a BisectRequest,
    /// The configuration in the working tree.
    pub config: PathBuf,
    /// Where the records and the history are.
    pub records: PathBuf,
    pub tree: &'a WorkTree,
    pub stop: &'a StopRequest,
    pub notices: &'a Notices<'a>,
}

impl Commits<'_> {
    /// The figures of a commit, for the keys of `like`: from the history, by the commit or by its build id, else
    /// measured.
    ///
    /// # Errors
    /// The search was stopped, or it cannot go on at all.
    pub async fn figures(
        &self,
        hash: &str,
        like: Option<&CommitFigures>,
    ) -> Result<CommitFigures, Error> {
        git(&self.tree.path, &["checkout", "--quiet", "--detach", "--force", hash]).await?;
        let configuration = match self.configuration() {
            Ok(configuration) => configuration,
            Err(error) => return Ok(CommitFigures::Not(error.message().to_owned())),
        };
        let wanted = Wants { configuration, keys: like.and_then(CommitFigures::entries) };
        let of_commit = HistoryFilter { commit: Some(hash.into()), ..HistoryFilter::default() };
        let clean =
            |row: &HistoryRow| row.commit.as_ref().is_some_and(|commit| !commit.ends_with('+'));
        if let Some(known) = self.known(&of_commit, &wanted, clean, "known")? {
            return Ok(known);
        }
        let built = tokio::select! {
            built = self.tree.builds_quietly(&self.request.build) => built?,
            why = self.stop.requested() => return Err(Error::rig(why)),
        };
        if let Err(why) = built {
            return Ok(CommitFigures::Not(format!("it does not build: {why}")));
        }
        match self.of_build(&wanted)? {
            Some(known) => Ok(known),
            None => self.measured(&wanted).await,
        }
    }

    /// The form fields and scenarios of the commit's own configuration, as a key has them, and its kinds of
    /// boards.
    fn configuration(&self) -> Result<(String, BTreeSet<String>), Error> {
        let config = load::config(&self.config)?;
        let contract = load::contract(&config)?;
        let asked = load::scenarios(&self.request.scenarios, &config, &contract)?;
        let boards = load::choose(&config, &self.request.boards)?;
        let settings = config.settings.iter().map(|(field, value)| format!("{field}={value}"));
        let asked = asked.iter().map(|asked| format!("scenario={asked}"));
        let words: Vec<String> = settings.chain(asked).collect();
        let kinds = boards.iter().map(|board| board.kind.name().to_owned()).collect();
        Ok((words.join(" "), kinds))
    }

    /// The history's figures, if it has all that are wanted.
    fn known(
        &self,
        of: &HistoryFilter,
        wanted: &Wants<'_>,
        row: impl Fn(&HistoryRow) -> bool,
        how: &str,
    ) -> Result<Option<CommitFigures>, Error> {
        // Reading does not create a history.
        if !self.records.is_dir() {
            return Ok(None);
        }
        let history: History = opened(&self.records, self.notices)?;
        let mut rows = history.rows(of).map_err(Error::rig)?;
        rows.retain(|of| row(of) && wanted.has(&of.key()));
        let boots = Boots::of_rows(&rows);
        if !wanted.all_in(boots.keys()) {
            return Ok(None);
        }
        let count = boots.values().map(|boots| boots.boots).sum::<usize>();
        let entries = boots.iter().map(|(key, boots)| (key.clone(), Entry::of(boots))).collect();
        Ok(Some(CommitFigures::Figures {
            entries,
            how: format!("{how}, {}", counted(count, "boot")),
        }))
    }

    /// The history's figures of the same firmware build, of whatever commit.
    fn of_build(&self, wanted: &Wants<'_>) -> Result<Option<CommitFigures>, Error> {
        let config = load::config(&self.config)?;
        // The run reports what is wrong.
        let Ok(loaded) = RunInputs::read(config, &self.request.boards, false) else {
            return Ok(None);
        };
        let builds: BTreeMap<&str, &str> = loaded
            .firmware
            .iter()
            .filter_map(|firmware| Some((&*firmware.kind, firmware.build.as_deref()?)))
            .collect();
        let same = |row: &HistoryRow| {
            row.build.is_some() && row.build.as_deref() == builds.get(&*row.kind).copied()
        };
        self.known(&HistoryFilter::default(), wanted, same, "known build")
    }

    async fn measured(&self, wanted: &Wants<'_>) -> Result<CommitFigures, Error> {
        let run = RunRequest {
            boards: self.request.boards.clone(),
            scenarios: self.request.scenarios.clone(),
            records: Some(self.records.clone()),
            ..RunRequest::new(&self.config)
        };
        // The search prints a line for each commit, not for each boot.
        let quiet = |notice: Notice<'_>| match notice {
            Notice::Line(_) => Ok(()),
            trouble => (self.notices)(trouble),
        };
        let made = match many(&run, self.request.boots, self.stop, &quiet).await {
            Ok(made) => made,
            Err(error) if error.exit_code() == exit::USAGE => {
                return Ok(CommitFigures::Not(error.message().to_owned()));
            }
            Err(error) => return Err(error),
        };
        if let Some(why) = &made.stopped {
            return Err(Error::rig(why));
        }
        Ok(figures_of(&made, wanted))
    }
}

/// What the figures have to be of.
struct Wants<'a> {
    /// Form fields and scenarios, and the kinds of boards.
    configuration: (String, BTreeSet<String>),
    /// Exactly these, where they are known.
    keys: Option<&'a BTreeMap<Key, Entry>>,
}

impl Wants<'_> {
    fn has(&self, key: &Key) -> bool {
        let (configuration, kinds) = &self.configuration;
        match self.keys {
            Some(keys) => keys.contains_key(key),
            None => key.configuration == *configuration && kinds.contains(&key.kind),
        }
    }

    /// Whether nothing that is wanted is missing.
    fn all_in<'k>(&self, keys: impl Iterator<Item = &'k Key>) -> bool {
        let there: BTreeSet<&Key> = keys.collect();
        let kinds: BTreeSet<&String> = there.iter().map(|key| &key.kind).collect();
        match self.keys {
            Some(wanted) => wanted.keys().all(|key| there.contains(key)),
            // What the broker offers is not known before: of each kind one.
            None => kinds.len() == self.configuration.1.len() && there.len() == kinds.len(),
        }
    }
}

/// The figures of a commit's boots.
fn figures_of(made: &MeasuredRuns, wanted: &Wants<'_>) -> CommitFigures {
    let failed = unmeasured_boots(&made.runs, &Scope::default()).failed;
    let mut boots = Boots::of(&made.runs);
    boots.retain(|key, _| wanted.has(key));
    if !wanted.all_in(boots.keys()) {
        return match (failed.first(), made.enough()) {
            (Some(UnmeasuredBoot { board, why, .. }), _) => {
                CommitFigures::Failed(format!("`{board}`: {why}"))
            }
            (None, Err(error)) => CommitFigures::Not(error.message().to_owned()),
            (None, Ok(())) => CommitFigures::Not("it has another configuration".into()),
        };
    }
    if let (true, Err(error)) = (failed.is_empty(), made.enough()) {
        return CommitFigures::Not(error.message().to_owned());
    }
    let entries = boots.iter().map(|(key, boots)| (key.clone(), Entry::of(boots))).collect();
    let how = format!("measured, {}", counted(made.runs.len(), "boot"));
    CommitFigures::Figures { entries, how }
}
