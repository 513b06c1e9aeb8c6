//! The history of a bench: the heap figures of every run, in one SQLite file. What it holds comes from
//! the records and can be had from them again, so that nothing is lost where it cannot be written.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hilrig_core::heap::HeapPhase;
use hilrig_core::verdict::Verdict;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction, params};

use crate::heap::{Boots, Key, Metric, is_measured};
use crate::input;
use crate::model::RunModel;

/// The file's name in the folder of records.
pub const HISTORY: &str = "history.sqlite";

/// Version of the tables (SQLite's `user_version`).
const SCHEMA: i64 = 2;

/// Other runs write for milliseconds.
const BUSY: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 5000 });

const TABLES: &str = "
CREATE TABLE run (
    id       INTEGER PRIMARY KEY,
    run      TEXT NOT NULL UNIQUE,  -- the run's id
    started  TEXT NOT NULL,         -- RFC 3339, UTC
    hilrig   TEXT NOT NULL,         -- version
    git      TEXT,                  -- commit, with + where files were changed
    verdict  TEXT,                  -- NULL: the run was killed
    record   TEXT NOT NULL          -- its folder
);
CREATE TABLE boot (
    id            INTEGER PRIMARY KEY,
    run           INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    board         TEXT NOT NULL,
    kind          TEXT NOT NULL,
    configuration TEXT NOT NULL,
    tls           TEXT NOT NULL,
    build         TEXT,
    verdict       TEXT
);
CREATE INDEX boot_run ON boot (run);
CREATE TABLE figure (
    boot   INTEGER NOT NULL REFERENCES boot (id) ON DELETE CASCADE,
    phase  TEXT NOT NULL,
    metric TEXT NOT NULL,
    value  INTEGER NOT NULL,  -- bytes; of fragmentation percent
    PRIMARY KEY (boot, phase, metric)
) WITHOUT ROWID;
";

/// The history cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{tried} the history {}: {found}. The records hold all that would be in it: `hilrig heap history` takes them in", path.display())]
pub struct HistoryError {
    tried: &'static str,
    path: PathBuf,
    found: String,
}

/// An open history.
pub struct History {
    path: PathBuf,
    database: Connection,
}

/// One figure of one boot.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Row {
    /// The run's id.
    pub run: String,
    /// When it started, RFC 3339, UTC.
    pub started: String,
    /// Commit, with a `+` where files were changed.
    pub commit: Option<String>,
    /// The firmware's build id.
    pub build: Option<String>,
    /// The board's name.
    pub board: String,
    /// Its kind.
    pub kind: String,
    /// The firmware's settings.
    pub configuration: String,
    /// What it met at the broker.
    pub tls: String,
    /// The verdict on the board.
    pub verdict: Option<String>,
    /// The firmware's phase.
    pub phase: HeapPhase,
    /// Which figure.
    pub metric: Metric,
    /// Its value, in the figure's unit.
    pub value: u64,
}

impl Row {
    /// The figures of a run's [measured](is_measured) boots, as its history reports them.
    pub fn of(run: &RunModel) -> Vec<Row> {
        let Some(started) = &run.started else { return Vec::new() };
        let mut rows = Vec::new();
        for board in run.boards.iter().filter(|board| is_measured(board)) {
            // A board that was never had has no figures; its verdict is in the record.
            let Some(key) = Boots::key(run, board) else { continue };
            let firmware = started.firmware.iter().find(|firmware| firmware.kind == key.kind);
            for (phase, low) in board.heap.iter() {
                for metric in Metric::ALL {
                    let Some(value) = metric.of(low) else { continue };
                    rows.push(Row {
                        run: started.run.clone(),
                        started: started.started.clone(),
                        commit: started.commit.clone(),
                        build: firmware.and_then(|firmware| firmware.build.clone()),
                        board: board.name.clone(),
                        kind: key.kind.clone(),
                        configuration: key.configuration.clone(),
                        tls: key.tls.clone(),
                        verdict: board.verdict().map(|verdict| verdict.word().to_owned()),
                        phase,
                        metric,
                        value,
                    });
                }
            }
        }
        rows
    }

    /// What it can be compared by.
    pub fn key(&self) -> Key {
        Key {
            kind: self.kind.clone(),
            configuration: self.configuration.clone(),
            tls: self.tls.clone(),
        }
    }
}

/// Which rows are wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Of this kind of board.
    pub kind: Option<String>,
    /// Of this board.
    pub board: Option<String>,
    /// Of the run of this id.
    pub run: Option<String>,
    /// Of this commit, by its whole hash, whether files were changed or not ([`Row::commit`] tells).
    pub commit: Option<String>,
    /// Of this build of the firmware.
    pub build: Option<String>,
    /// Of the last so many runs.
    pub last: Option<usize>,
}

impl History {
    /// Opens the history to add to it; it is made where there is none.
    ///
    /// # Errors
    /// The file is locked, read-only, no history, or a newer hilrig's.
    pub fn open(path: &Path) -> Result<History, HistoryError> {
        let failed = |error: rusqlite::Error| broken("opening", path, error);
        input::regular_or_none(path).map_err(|error| broken("opening", path, error))?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| broken("making the folder of", path, error))?;
        }
        let mut database = Connection::open(path).map_err(failed)?;
        database.busy_timeout(BUSY).map_err(failed)?;
        let version = version(&database).map_err(failed)?;
        if version == 0 {
            let transaction =
                database.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate);
            let transaction = transaction.map_err(failed)?;
            // Another run may have made it meanwhile.
            if self::version(&transaction).map_err(failed)? == 0 {
                transaction.execute_batch(TABLES).map_err(failed)?;
                transaction.pragma_update(None, "user_version", SCHEMA).map_err(failed)?;
            }
            transaction.commit().map_err(failed)?;
        }
        History::checked(path, database)
    }

    /// Opens it to read only.
    ///
    /// # Errors
    /// As [`History::open`], or there is none.
    pub fn read(path: &Path) -> Result<History, HistoryError> {
        let failed = |error: rusqlite::Error| broken("opening", path, error);
        input::regular_or_none(path).map_err(|error| broken("opening", path, error))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let database = Connection::open_with_flags(path, flags).map_err(failed)?;
        database.busy_timeout(BUSY).map_err(failed)?;
        History::checked(path, database)
    }

    fn checked(path: &Path, database: Connection) -> Result<History, HistoryError> {
        let found = version(&database).map_err(|error| broken("reading", path, error))?;
        if found != SCHEMA {
            let found = format!("its schema is {found}, and this hilrig reads {SCHEMA}");
            return Err(HistoryError { tried: "reading", path: path.into(), found });
        }
        database
            .pragma_update(None, "foreign_keys", true)
            .map_err(|error| broken("reading", path, error))?;
        Ok(History { path: path.into(), database })
    }

    /// Adds a run, as a whole or not at all; one that is there already is replaced.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn add(&mut self, run: &RunModel, record: &Path) -> Result<(), HistoryError> {
        let path = self.path.clone();
        let failed = |error: rusqlite::Error| broken("writing to", &path, error);
        let transaction = self.database.transaction().map_err(failed)?;
        insert(&transaction, run, record).map_err(failed)?;
        transaction.commit().map_err(failed)
    }

    /// The ids of all runs in it.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn runs(&self) -> Result<BTreeSet<String>, HistoryError> {
        let failed = |error: rusqlite::Error| broken("reading", &self.path, error);
        let mut query = self.database.prepare("SELECT run FROM run").map_err(failed)?;
        let rows = query.query_map([], |row| row.get(0)).map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }

    /// Where the record of a run was when it ended; `None` where the run is not in it.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn record(&self, run: &str) -> Result<Option<PathBuf>, HistoryError> {
        let record =
            self.database.query_row("SELECT record FROM run WHERE run = ?1", params![run], |row| {
                Ok(PathBuf::from(row.get::<_, String>(0)?))
            });
        record.optional().map_err(|error| broken("reading", &self.path, error))
    }

    /// The boards that it has figures of, each with its kind.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn boards(&self) -> Result<BTreeSet<(String, String)>, HistoryError> {
        let failed = |error: rusqlite::Error| broken("reading", &self.path, error);
        const QUERY: &str =
            "SELECT DISTINCT board, kind FROM boot WHERE verdict IN ('passed', 'failed')";
        let mut query = self.database.prepare(QUERY).map_err(failed)?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }

    /// How many runs of a commit, by its whole hash, measured nothing: the bench or somebody cut them off.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn cut_off(&self, commit: &str) -> Result<usize, HistoryError> {
        const QUERY: &str = "
            SELECT count(*) FROM run
            WHERE length(git) >= 12 AND substr(?1, 1, length(git)) = git
              AND id NOT IN (SELECT run FROM boot WHERE verdict IN ('passed', 'failed'))";
        let count = self.database.query_row(QUERY, params![commit], |row| row.get::<_, i64>(0));
        let count = count.map_err(|error| broken("reading", &self.path, error))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// The figures that are wanted, oldest first. Those of boots that the bench or somebody cut off, which
    /// older versions kept, are left out.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn rows(&self, wanted: &Wanted) -> Result<Vec<Row>, HistoryError> {
        const QUERY: &str = "
            SELECT run.run, started, git, build, board, kind, configuration, tls, boot.verdict,
                   phase, metric, value
            FROM figure JOIN boot ON boot.id = figure.boot JOIN run ON run.id = boot.run
            WHERE boot.verdict IN ('passed', 'failed')
              AND (?1 IS NULL OR kind = ?1) AND (?2 IS NULL OR board = ?2)
              AND (?4 IS NULL OR run.run = ?4) AND (?6 IS NULL OR build = ?6)
              AND (?5 IS NULL OR (length(git) >= 12
                AND substr(?5, 1, length(rtrim(git, '+'))) = rtrim(git, '+')))
              AND run.id IN (
                SELECT DISTINCT run.id FROM run JOIN boot ON boot.run = run.id
                WHERE boot.verdict IN ('passed', 'failed')
                  AND (?1 IS NULL OR kind = ?1) AND (?2 IS NULL OR board = ?2)
                ORDER BY started DESC, run.run DESC LIMIT ?3)
            ORDER BY started, run.run, board, boot.id";
        let failed = |error: rusqlite::Error| broken("reading", &self.path, error);
        let last = wanted.last.map_or(-1, |last| i64::try_from(last).unwrap_or(i64::MAX));
        let mut query = self.database.prepare(QUERY).map_err(failed)?;
        let Wanted { kind, board, run, commit, build, last: _ } = wanted;
        let rows = query
            .query_map(params![kind, board, last, run, commit, build], |row| {
                Ok(Some(Row {
                    run: row.get(0)?,
                    started: row.get(1)?,
                    commit: row.get(2)?,
                    build: row.get(3)?,
                    board: row.get(4)?,
                    kind: row.get(5)?,
                    configuration: row.get(6)?,
                    tls: row.get(7)?,
                    verdict: row.get(8)?,
                    // What a later hilrig of the same schema may add is left out.
                    phase: match HeapPhase::from_name(&row.get::<_, String>(9)?) {
                        Some(phase) => phase,
                        None => return Ok(None),
                    },
                    metric: match Metric::from_name(&row.get::<_, String>(10)?) {
                        Some(metric) => metric,
                        None => return Ok(None),
                    },
                    value: row.get::<_, i64>(11)?.max(0) as u64,
                }))
            })
            .map_err(failed)?;
        let rows =
            rows.filter_map(Result::transpose).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        Ok(in_order(rows))
    }
}

/// Phases and figures in the order in which tables have them, which is not that of their names.
fn in_order(mut rows: Vec<Row>) -> Vec<Row> {
    for boot in rows.chunk_by_mut(|a, b| (&a.run, &a.board) == (&b.run, &b.board)) {
        boot.sort_by_key(|row| (row.phase, row.metric));
    }
    rows
}

fn insert(transaction: &Transaction<'_>, run: &RunModel, record: &Path) -> rusqlite::Result<()> {
    let Some(started) = &run.started else { return Ok(()) };
    transaction.execute("DELETE FROM run WHERE run = ?1", params![started.run])?;
    let word = |verdict: Option<Verdict>| verdict.map(Verdict::word);
    transaction.execute(
        "INSERT INTO run (run, started, hilrig, git, verdict, record) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            started.run,
            started.started,
            started.hilrig,
            started.commit,
            word(run.ended.as_ref().map(|end| end.verdict)),
            record.display().to_string(),
        ],
    )?;
    let id = transaction.last_insert_rowid();
    let rows = Row::of(run);
    for boot in rows.chunk_by(|a, b| a.board == b.board) {
        let Row { board, kind, configuration, tls, build, verdict, .. } = &boot[0];
        transaction.execute(
            "INSERT INTO boot (run, board, kind, configuration, tls, build, verdict)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![id, board, kind, configuration, tls, build, verdict],
        )?;
        let boot_id = transaction.last_insert_rowid();
        for row in boot {
            let Ok(value) = i64::try_from(row.value) else { continue };
            transaction.execute(
                "INSERT INTO figure (boot, phase, metric, value) VALUES (?1, ?2, ?3, ?4)",
                params![boot_id, row.phase.name(), row.metric.name(), value],
            )?;
        }
    }
    Ok(())
}

fn version(database: &Connection) -> rusqlite::Result<i64> {
    database.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn broken(tried: &'static str, path: &Path, error: impl ToString) -> HistoryError {
    HistoryError { tried, path: path.into(), found: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::tests::run;

    fn at(number: u32) -> RunModel {
        let mut run =
            run(&[(HeapPhase::Page, 300, 200), (HeapPhase::Boot, 50_000 + u64::from(number), 400)]);
        let started = run.started.as_mut().unwrap();
        started.run = format!("r-{number}");
        started.started = format!("2026-11-{:02}T10:00:00Z", number + 1);
        run
    }

    fn boots(history: &History, wanted: &Wanted) -> Vec<u64> {
        let rows = history.rows(wanted).unwrap();
        let lowest = |row: &&Row| row.phase == HeapPhase::Boot && row.metric == Metric::LowestFree;
        rows.iter().filter(lowest).map(|row| row.value).collect()
    }

    #[test]
    fn runs_come_back_oldest_first_and_a_run_is_there_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new").join(HISTORY);
        let mut history = History::open(&path).unwrap();
        for number in [2, 0, 1, 1] {
            history.add(&at(number), Path::new("record")).unwrap();
        }
        drop(history);
        let history = History::read(&path).unwrap();
        assert_eq!(boots(&history, &Wanted::default()), [50_000, 50_001, 50_002]);
        assert_eq!(
            boots(&history, &Wanted { last: Some(2), ..Wanted::default() }),
            [50_001, 50_002]
        );
        assert!(
            boots(&history, &Wanted { kind: Some("esp8266".into()), ..Wanted::default() })
                .is_empty()
        );
        assert_eq!(history.runs().unwrap().len(), 3);
        let rows = history.rows(&Wanted { last: Some(1), ..Wanted::default() }).unwrap();
        let names: Vec<_> = rows.iter().map(|row| (row.phase.name(), row.metric.name())).collect();
        let expected = [
            ("boot", "lowest_free"),
            ("boot", "largest"),
            ("boot", "fragmentation"),
            ("page", "lowest_free"),
            ("page", "largest"),
            ("page", "fragmentation"),
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_run_that_was_cut_off_is_known_and_has_no_figures() {
        let folder = tempfile::tempdir().unwrap();
        let mut history = History::open(&folder.path().join(HISTORY)).unwrap();
        let mut cut_off = at(0);
        cut_off.boards[0].end.as_mut().unwrap().verdict = Verdict::RigFault;
        history.add(&cut_off, Path::new("record")).unwrap();
        assert!(boots(&history, &Wanted::default()).is_empty());
        assert_eq!((history.runs().unwrap().len(), history.boards().unwrap().len()), (1, 0));
        let commit = "0123456789ab0123456789ab0123456789ab0123";
        assert_eq!(history.cut_off(commit).unwrap(), 1);
        history.add(&at(1), Path::new("record")).unwrap();
        assert_eq!(history.cut_off(commit).unwrap(), 1);
        assert_eq!(history.boards().unwrap(), [("b".into(), "virtual".into())].into());
        // As an older version left it.
        history.add(&at(2), Path::new("record")).unwrap();
        let older = "UPDATE boot SET verdict = 'rig fault' WHERE run = 3";
        history.database.execute(older, []).unwrap();
        assert_eq!(boots(&history, &Wanted::default()), [50_001]);
        assert_eq!(boots(&history, &Wanted { last: Some(1), ..Wanted::default() }), [50_001]);
    }

    #[test]
    fn a_run_is_found_by_its_id_and_runs_by_their_commit() {
        let folder = tempfile::tempdir().unwrap();
        let mut history = History::open(&folder.path().join(HISTORY)).unwrap();
        for (number, commit) in ["0123456789ab", "0123456789ab+", "0123456789ac", "0"]
            .into_iter()
            .map(str::to_owned)
            .map(Some)
            .chain([None])
            .enumerate()
        {
            let mut run = at(number as u32);
            run.started.as_mut().unwrap().commit = commit;
            history.add(&run, &Path::new("records").join(number.to_string())).unwrap();
        }
        let run = |id: &str| Wanted { run: Some(id.into()), ..Wanted::default() };
        assert_eq!(boots(&history, &run("r-2")), [50_002]);
        assert!(boots(&history, &run("r-")).is_empty());
        assert_eq!(history.record("r-2").unwrap(), Some("records/2".into()));
        assert_eq!(history.record("r-9").unwrap(), None);
        let commit = "0123456789abcdef0123456789abcdef01234567".to_owned();
        let of_commit = Wanted { commit: Some(commit), ..Wanted::default() };
        assert_eq!(boots(&history, &of_commit), [50_000, 50_001]);
    }

    #[test]
    fn a_locked_history_is_told_and_stays_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(HISTORY);
        let mut history = History::open(&path).unwrap();
        history.add(&at(0), Path::new("record")).unwrap();
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let error = history.add(&at(1), Path::new("record")).unwrap_err().to_string();
        assert!(error.contains("locked") && error.contains("The records hold all"), "{error}");
        assert!(History::open(&path).is_err());
        other.execute_batch("COMMIT").unwrap();
        history.add(&at(1), Path::new("record")).unwrap();
        assert_eq!(boots(&history, &Wanted::default()), [50_000, 50_001]);
    }

    #[test]
    fn what_is_no_history_or_a_newer_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(HISTORY);
        std::fs::write(&path, "this is no database, and is long enough to be looked at as one")
            .unwrap();
        let error = History::open(&path).err().unwrap().to_string();
        assert!(error.contains("not a database") && error.contains("The records hold"), "{error}");
        std::fs::remove_file(&path).unwrap();
        drop(History::open(&path).unwrap());
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 9).unwrap();
        let error = History::open(&path).err().unwrap().to_string();
        assert!(error.contains("its schema is 9"), "{error}");
        assert!(History::read(&folder.path().join("none")).is_err());
    }
}
