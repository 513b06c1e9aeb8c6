//! The folder that a run leaves.

use std::io;
use std::path::{Path, PathBuf};

/// The events, one a line.
pub const EVENTS: &str = "events.jsonl";
/// The result of the run, for other tools.
pub const SUMMARY: &str = "summary.json";
/// The same for CI.
pub const JUNIT: &str = "junit.xml";
/// The same as a page for people.
pub const REPORT: &str = "report.html";
/// The certificate of a broker, in the broker's own folder.
pub const CERTIFICATE: &str = "certificate.json";
/// The same for people, in Markdown.
pub const CERTIFICATE_TEXT: &str = "certificate.md";
/// A board's boot log, byte for byte.
pub const BOOT_LOG: &str = "boot.log";
/// A board's boot log as printable text, with times.
pub const TIMED_LOG: &str = "boot.timed.log";
/// The history of a bench, in the folder of records.
pub const HISTORY: &str = "history.sqlite";
/// Link to the latest run's record.
const LATEST: &str = "latest";

/// The folder of one run's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    folder: PathBuf,
}

/// The record's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// There is a record there already.
    #[error(
        "{} holds the record of another run. Name another folder, or remove this one",
        folder.display()
    )]
    Taken {
        /// The folder.
        folder: PathBuf,
    },
    /// There is something else there.
    #[error(
        "{} is not empty (it holds `{holds}`) and is no record of hilrig's. Name a new or an empty folder",
        folder.display()
    )]
    Foreign {
        /// The folder.
        folder: PathBuf,
        /// One thing in it.
        holds: String,
    },
    /// It cannot be made.
    #[error("making the record's folder {}: {error}. Name one that can be written to", folder.display())]
    Make {
        /// The folder.
        folder: PathBuf,
        /// What came instead.
        error: io::Error,
    },
}

impl Record {
    /// The record of run `run` in its own folder in `dir`, with a link `latest` beside it.
    ///
    /// # Errors
    /// The folder cannot be made, or holds something.
    pub fn create(dir: &Path, run: &str) -> Result<Record, RecordError> {
        let folder = dir.join(folder_of(run));
        let failed = |error| RecordError::Make { folder: folder.clone(), error };
        std::fs::create_dir_all(dir).map_err(failed)?;
        // Made here and not merely found empty: another run may have made it a moment ago.
        match std::fs::create_dir(&folder) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(RecordError::Taken { folder });
            }
            Err(error) => return Err(failed(error)),
        }
        let record = Record { folder };
        record.link_latest(dir);
        Ok(record)
    }

    /// The record in exactly this folder, which is made, or is empty.
    ///
    /// # Errors
    /// The folder cannot be made, or holds something.
    pub fn create_at(folder: &Path) -> Result<Record, RecordError> {
        let failed = |error| RecordError::Make { folder: folder.into(), error };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let mut holds = None;
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if name == EVENTS {
                return Err(RecordError::Taken { folder: folder.into() });
            }
            holds.get_or_insert(name);
        }
        match holds {
            Some(name) => Err(RecordError::Foreign {
                folder: folder.into(),
                holds: name.to_string_lossy().into_owned(),
            }),
            None => Ok(Record { folder: folder.into() }),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file of the record.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The folder of a board's own files; made by the first file in it.
    pub fn board(&self, name: &str) -> PathBuf {
        self.folder.join(folder_of(name))
    }

    /// Points `latest` here. A convenience: a bench where it cannot be made (a file system without
    /// links, a folder of that name) still gets its record.
    fn link_latest(&self, dir: &Path) {
        let link = dir.join(LATEST);
        let fresh = dir.join(format!(".{LATEST}.{}", std::process::id()));
        let Some(name) = self.folder.file_name() else { return };
        let _ = std::fs::remove_file(&fresh);
        let linked =
            std::os::unix::fs::symlink(name, &fresh).and_then(|()| std::fs::rename(&fresh, &link));
        if let Err(error) = linked {
            let _ = std::fs::remove_file(&fresh);
            tracing::warn!("linking {} to {name:?}: {error}", link.display());
        }
    }
}

/// The folder for a board of this name: the name itself where it can be one, else made so, with a
/// hash after it so that two names never share a folder.
pub fn folder_of(name: &str) -> String {
    const LONGEST: usize = 64;
    let kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let own_names =
        [EVENTS, SUMMARY, JUNIT, REPORT, CERTIFICATE, CERTIFICATE_TEXT, LATEST, HISTORY];
    let safe = !name.is_empty()
        && name.len() <= LONGEST
        && !name.starts_with(['.', '-'])
        && name.chars().all(kept)
        && !own_names.contains(&name);
    if safe {
        return name.to_owned();
    }
    let shown: String = name
        .trim_start_matches(['.', '-'])
        .chars()
        .map(|c| if kept(c) { c } else { '_' })
        .take(LONGEST)
        .collect();
    format!("{shown}~{:016x}", fnv1a(name.as_bytes()))
}

/// FNV-1a, 64 bits: a name that stays the same from release to release is all that is asked of it.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_name_is_its_own_folder_and_odd_ones_never_meet() {
        assert_eq!(folder_of("esp-01.a_b"), "esp-01.a_b");
        let odd = [
            "",
            ".",
            "..",
            "a/b",
            "a_b/",
            "a\\b",
            "latest",
            "events.jsonl",
            "report.html",
            "certificate.json",
            "certificate.md",
            "history.sqlite",
            "-rf",
            "\u{1b}[m",
            "b\u{f6}ard",
        ];
        let mut folders: Vec<String> = odd.iter().map(|name| folder_of(name)).collect();
        folders.push(folder_of(&"x".repeat(300)));
        folders.push(folder_of(&"x".repeat(301)));
        for folder in &folders {
            assert!(folder.len() < 100, "{folder}");
            assert!(!folder.starts_with(['.', '-']) && !folder.contains('/'), "{folder}");
            assert!(folder.bytes().all(|b| b.is_ascii_graphic()), "{folder}");
        }
        let count = folders.len();
        folders.sort();
        folders.dedup();
        assert_eq!(folders.len(), count);
    }

    #[test]
    fn the_latest_link_follows_the_latest_run() {
        let dir = tempfile::tempdir().unwrap();
        Record::create(dir.path(), "one").unwrap();
        let two = Record::create(dir.path(), "two").unwrap();
        std::fs::write(two.file(EVENTS), "").unwrap();
        assert!(dir.path().join("latest").join(EVENTS).is_file());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3);
        let error = Record::create(dir.path(), "one").unwrap_err();
        assert!(matches!(error, RecordError::Taken { .. }), "an empty one may be another run's");
    }

    #[test]
    fn a_folder_named_latest_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("latest")).unwrap();
        Record::create(dir.path(), "one").unwrap();
        assert!(dir.path().join("latest").is_dir());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn an_empty_folder_will_do_and_a_used_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let record = Record::create_at(dir.path()).unwrap();
        std::fs::write(record.file("notes.txt"), "mine").unwrap();
        let error = Record::create_at(dir.path()).unwrap_err();
        assert!(matches!(&error, RecordError::Foreign { holds, .. } if holds == "notes.txt"));
        assert!(error.to_string().contains("Name a new or an empty folder"), "{error}");
        std::fs::write(record.file(EVENTS), "").unwrap();
        let error = Record::create_at(dir.path()).unwrap_err();
        assert!(matches!(error, RecordError::Taken { .. }), "{error}");
        let error = Record::create_at(&record.file(EVENTS)).unwrap_err();
        assert!(matches!(error, RecordError::Make { .. }), "{error}");
    }
}
