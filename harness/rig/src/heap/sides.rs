//! The two sides of `hilrig heap diff`: what an argument names, and what is known of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hilrig_core::callers::HeapCallers;
use hilrig_core::heap::HeapPhase;
use hilrig_core::plural::counted;
use hilrig_report::heap::{BASELINE, Baseline, Boots, Entry, Key, by_boot};
use hilrig_report::{EVENTS, HISTORY, History, HistoryFilter, HistoryRow, RunModel};

use super::Notices;
use super::history::opened;
use super::recorded;
use super::worktree::{InRepository, git};
use crate::Error;
use crate::load;

/// What an argument names.
pub enum NamedSide {
    /// A record's folder or events, or a baseline.
    File(PathBuf),
    /// A run, by its id.
    Run(String),
    /// A commit, by its whole hash.
    Commit(String),
}

/// Where runs and commits are looked for.
pub struct Sources<'a> {
    /// The configuration's folder of records.
    pub records: PathBuf,
    /// Where warnings of records go.
    pub notices: &'a Notices<'a>,
    /// The configuration's repository, or why there is none.
    pub place: Result<InRepository, String>,
}

impl<'a> Sources<'a> {
    /// Those of a configuration.
    pub async fn of(config: &Path, notices: &'a Notices<'a>) -> Result<Sources<'a>, Error> {
        let records = load::config(config)?.records;
        let place = InRepository::of(config).await.map_err(|error| error.message().to_owned());
        Ok(Sources { records, notices, place })
    }

    /// What an argument names, and what else has this name. A file comes first, then a run.
    pub async fn named(&self, argument: &Path) -> Result<(NamedSide, Vec<String>), Error> {
        let text = argument.to_str().unwrap_or_default();
        let commit = self.commit(text).await;
        let too = |what: String| format!("{what} has the same name and is not used");
        let commit_too =
            commit.as_ref().ok().map(|hash| too(format!("the commit {}", &hash[..12])));
        if argument.exists() {
            // Two files can be compared whatever state the history is in.
            let folder = self.record(text).filter(|folder| !is_same(folder, argument));
            let run_too = folder.map(|folder| too(format!("the run in {}", folder.display())));
            let others = run_too.into_iter().chain(commit_too).collect();
            return Ok((NamedSide::File(argument.into()), others));
        }
        if self.run(text)?.is_some() {
            return Ok((NamedSide::Run(text.into()), commit_too.into_iter().collect()));
        }
        match commit {
            Ok(hash) => Ok((NamedSide::Commit(hash), Vec::new())),
            Err(why) => Err(Error::usage(format!(
                "`{}` names nothing that has heap figures: there is no such file or folder, no run of this id in {}, and no such commit ({why})",
                argument.display(),
                self.records.join(HISTORY).display()
            ))),
        }
    }

    /// All that is known of what is named, without running anything.
    pub async fn side(&self, named: &NamedSide) -> Result<Side, Error> {
        match named {
            NamedSide::File(path) => Side::of_file(path),
            NamedSide::Run(id) => self.of_run(id),
            NamedSide::Commit(hash) => self.of_commit(hash).await,
        }
    }

    fn history(&self) -> Result<Option<History>, Error> {
        // Reading does not create a history.
        if !self.records.is_dir() {
            return Ok(None);
        }
        opened(&self.records, self.notices).map(Some)
    }

    /// The record of this name: a run's, or `latest`, which no history knows.
    fn record(&self, id: &str) -> Option<PathBuf> {
        let folder = self.records.join(id);
        (is_name(id) && folder.join(EVENTS).is_file()).then_some(folder)
    }

    /// The folder of a run of this id, be it there or not; `None` where there is no such run.
    fn run(&self, id: &str) -> Result<Option<PathBuf>, Error> {
        if let Some(folder) = self.record(id) {
            return Ok(Some(folder));
        }
        let Some(history) = self.history()? else { return Ok(None) };
        history.record(id).map_err(Error::rig)
    }

    /// The full hash of a commit, or git's error.
    async fn commit(&self, name: &str) -> Result<String, String> {
        let place = self.place.as_ref().map_err(String::clone)?;
        // Git would read it as an option.
        if name.is_empty() || name.starts_with('-') {
            return Err("git has no commit of this name".into());
        }
        git(&place.root, &["rev-parse", "--verify", &format!("{name}^{{commit}}")])
            .await
            .map_err(|error| error.message().to_owned())
    }

    fn of_run(&self, id: &str) -> Result<Side, Error> {
        let folder = self.run(id)?.filter(|folder| folder.join(EVENTS).is_file());
        if let Some(folder) = folder {
            return Side::of_file(&folder);
        }
        let mut side = Side::default();
        let history = self.history()?;
        let wanted = HistoryFilter { run: Some(id.into()), ..HistoryFilter::default() };
        let rows = history.as_ref().map(|history| history.rows(&wanted)).transpose();
        side.add_rows(&rows.map_err(Error::rig)?.unwrap_or_default());
        side.from.push(format!(
            "its figures in {}; its record is gone, and with it static memory and the heap's callers",
            self.records.join(HISTORY).display()
        ));
        Ok(side)
    }

    async fn of_commit(&self, hash: &str) -> Result<Side, Error> {
        let mut side = Side::default();
        self.add_history(&mut side, hash)?;
        let Ok(place) = &self.place else { return Ok(side) };
        let file = place.config.with_file_name(BASELINE);
        let file = file.to_string_lossy();
        let listed = ["ls-tree", "--full-tree", "--name-only", hash, "--", &file];
        if git(&place.root, &listed).await?.is_empty() {
            side.from.push(format!("no {file} was committed in it"));
            return Ok(side);
        }
        let named = format!("{hash}:{file}");
        let text = git(&place.root, &["show", &named]).await?;
        match Baseline::parse(Path::new(&named), &text) {
            Ok(baseline) => side.add_baseline(baseline, &format!("the {file} committed in it")),
            Err(error) => side.from.push(error.to_string()),
        }
        Ok(side)
    }

    /// The runs of a commit, as several boots. Of a tree with changed files they are not, and a boot that
    /// ended with a rig fault is no measurement of the firmware.
    fn add_history(&self, side: &mut Side, hash: &str) -> Result<(), Error> {
        let file = self.records.join(HISTORY).display().to_string();
        let wanted = HistoryFilter { commit: Some(hash.into()), ..HistoryFilter::default() };
        let history = self.history()?;
        let rows = history.as_ref().map(|history| history.rows(&wanted)).transpose();
        let rows = rows.map_err(Error::rig)?.unwrap_or_default();
        let (changed, rows): (Vec<HistoryRow>, Vec<HistoryRow>) = rows
            .into_iter()
            .partition(|row| row.commit.as_ref().is_some_and(|commit| commit.ends_with('+')));
        let cut_off = history.as_ref().map(|history| history.cut_off(hash)).transpose();
        let added = side.add_rows(&rows);
        side.from.push(match added {
            (0, _) => format!("no run of it in {file}"),
            (boots, runs) => {
                format!("{} of {} in {file}", counted(boots, "boot"), counted(runs, "run"))
            }
        });
        if let boots @ 1.. = by_boot(&changed).count() {
            let boots = counted(boots, "boot");
            side.from.push(format!("{boots} of it left out: tracked files were changed"));
        }
        if let runs @ 1.. = cut_off.map_err(Error::rig)?.unwrap_or(0) {
            let runs = counted(runs, "run");
            side.from
                .push(format!("{runs} of it left out, ended early by a rig fault or a signal"));
        }
        let keys: Vec<Key> = side.entries.keys().cloned().collect();
        for key in keys {
            let mut runs: Vec<&str> =
                rows.iter().filter(|row| row.key() == key).map(|row| &*row.run).collect();
            runs.dedup();
            // The newest whose record is there still.
            for run in runs.into_iter().rev() {
                let folder = self.run(run)?.filter(|folder| folder.join(EVENTS).is_file());
                let Some(folder) = folder else { continue };
                side.add_record(&key, &recorded(&folder)?, &folder);
                break;
            }
        }
        Ok(())
    }
}

/// One of the two: figures and the heap's callers, of the first board of each key.
#[derive(Default)]
pub struct Side {
    /// What was taken from where.
    pub from: Vec<String>,
    /// The figures.
    pub entries: BTreeMap<Key, Entry>,
    /// The heap's callers: allocated bytes by function, where a record has them.
    pub callers: BTreeMap<Key, BTreeMap<HeapPhase, HeapCallers>>,
}

impl Side {
    /// What a record or a baseline has.
    pub fn of_file(path: &Path) -> Result<Side, Error> {
        let mut side = Side::default();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let baseline = Baseline::read(path).map_err(Error::usage)?;
            side.add_baseline(baseline, &format!("the baseline {}", path.display()));
        } else {
            side.add_runs(&[recorded(path)?]);
            side.from.push(format!("the record {}", path.display()));
        }
        Ok(side)
    }

    /// What was taken from where, a line each, under what an argument names.
    pub fn words(&self, name: &str, argument: &Path) -> String {
        let from: String = self.from.iter().map(|from| format!("  {from}\n")).collect();
        format!("{name}: {}\n{from}", argument.display())
    }

    /// Whether there are figures of an image without heap tracing.
    pub fn has_plain_figures(&self) -> bool {
        self.entries.keys().any(|key| !key.keeps_callers())
    }

    /// Adds the figures and the callers of runs, where there are none of their keys yet.
    pub fn add_runs(&mut self, runs: &[RunModel]) {
        for (key, boots) in Boots::of(runs) {
            self.entries.entry(key).or_insert_with(|| Entry::of(&boots));
        }
        for run in runs {
            for board in run.boards.iter().filter(|board| !board.callers.is_empty()) {
                if let Some(key) = Boots::key(run, board) {
                    self.callers.entry(key).or_insert_with(|| board.callers.clone());
                }
            }
        }
    }

    /// Adds the figures of a history; returns how many boots and runs they are of.
    fn add_rows(&mut self, rows: &[HistoryRow]) -> (usize, usize) {
        let boots = Boots::of_rows(rows).into_iter();
        self.entries.extend(boots.map(|(key, boots)| (key, Entry::of(&boots))));
        let runs = rows.chunk_by(|a, b| a.run == b.run).count();
        (by_boot(rows).count(), runs)
    }

    /// Adds what the history does not have of a run: static memory, and the heap's callers.
    fn add_record(&mut self, key: &Key, run: &RunModel, folder: &Path) {
        let mut record = Side::default();
        record.add_runs(std::slice::from_ref(run));
        let sections = record.entries.remove(key).map(|entry| entry.sections).unwrap_or_default();
        let callers = record.callers.remove(key);
        let parts: Vec<&str> = [
            (!sections.is_empty()).then_some("static memory"),
            callers.is_some().then_some("the heap's callers"),
        ]
        .into_iter()
        .flatten()
        .collect();
        if !parts.is_empty() {
            self.from.push(format!("{} from the record {}", parts.join(" and "), folder.display()));
        }
        if let Some(entry) = self.entries.get_mut(key) {
            entry.sections = sections;
        }
        self.callers.extend(callers.map(|callers| (key.clone(), callers)));
    }

    /// Adds the figures that there are none of yet.
    fn add_baseline(&mut self, baseline: Baseline, name: &str) {
        for (key, entry) in baseline.entries {
            if self.entries.contains_key(&key) {
                continue;
            }
            let at = entry.commit.as_ref().map_or(String::new(), |at| format!(" at {at}"));
            let boots = counted(entry.boots, "boot");
            self.from.push(format!("{name}: {boots}{at}, {key}"));
            self.entries.insert(key, entry);
        }
    }
}

/// Whether it is the name of something in a folder, and no path to elsewhere.
fn is_name(text: &str) -> bool {
    let mut parts = Path::new(text).components();
    matches!(parts.next(), Some(std::path::Component::Normal(_))) && parts.next().is_none()
}

fn is_same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
