//! The history of a bench: the heap figures of every run, in one SQLite file. What it holds comes from
//! the records and can be read from them again, so nothing is lost if it cannot be written.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hilrig_core::heap::HeapPhase;
use hilrig_core::verdict::Verdict;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction, params};

use crate::heap::Metric;
use crate::input;
use crate::model::RunModel;

mod row;

pub use row::HistoryRow;

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

/// Which rows are wanted.
#[derive(Clone, Debug, Default)]
pub struct HistoryFilter {
    /// Of this kind of board.
    pub kind: Option<String>,
    /// Of this board.
    pub board: Option<String>,
    /// Of the run of this id.
    pub run: Option<String>,
    /// Of this commit, by its whole hash, whether files were changed or not (see [`HistoryRow::commit`]).
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
    pub fn rows(&self, wanted: &HistoryFilter) -> Result<Vec<HistoryRow>, HistoryError> {
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
        let HistoryFilter { kind, board, run, commit, build, last: _ } = wanted;
        let rows = query
            .query_map(params![kind, board, last, run, commit, build], |row| {
                Ok(Some(HistoryRow {
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
fn in_order(mut rows: Vec<HistoryRow>) -> Vec<HistoryRow> {
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
    let rows = HistoryRow::of(run);
    for boot in rows.chunk_by(|a, b| a.board == b.board) {
        let HistoryRow { board, kind, configuration, tls, build, verdict, .. } = &boot[0];
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
mod tests;
