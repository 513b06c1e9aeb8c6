//! What is known to be on a board, kept from run to run so that the same image is not written
//! twice.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What was last written to a board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnBoard {
    /// SHA-256 of the image, hex.
    pub sha256: String,
    /// Build id in the image.
    pub build: Option<String>,
    /// The board told this build id in its boot log after it was written.
    pub confirmed: bool,
}

/// The record file of one board. Trouble with it costs a flashing, never a run.
#[derive(Clone, Debug)]
pub struct Record {
    path: PathBuf,
}

impl Record {
    /// The record of the board `key` (its MAC or its name) under the folder `state`.
    pub fn of(state: &Path, key: &str) -> Record {
        let mut name = plain(key);
        if name != key || name.starts_with('.') {
            // Two keys must not share a file because their odd characters were dropped.
            let digest = Sha256::digest(key.as_bytes());
            name = format!("board-{name}-");
            name.extend(digest.iter().take(4).map(|byte| format!("{byte:02x}")));
        }
        Record { path: state.join("boards").join(format!("{name}.json")) }
    }

    /// What is on the board, if that is known.
    pub fn read(&self) -> Option<OnBoard> {
        let text = match std::fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => return self.damaged(&error),
        };
        match serde_json::from_slice(&text) {
            Ok(on_board) => Some(on_board),
            Err(error) => self.damaged(&error),
        }
    }

    fn damaged<T>(&self, error: &dyn std::fmt::Display) -> Option<T> {
        tracing::warn!(
            path = %self.path.display(), %error,
            "the board's record cannot be read; its image will be written again"
        );
        None
    }

    /// Puts down what is on the board. The file is the old one or the new one, never half of it.
    /// It is not synced: what a power cut does to it costs one more flashing, a sync costs every
    /// run.
    pub fn write(&self, on_board: &OnBoard) {
        if let Err(error) = self.try_write(on_board) {
            tracing::warn!(
                path = %self.path.display(), %error,
                "the board's record cannot be written; its image will be written again next time"
            );
            // An old record would say something that is no longer so.
            self.forget();
        }
    }

    fn try_write(&self, on_board: &OnBoard) -> std::io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        // The process's id keeps two writers apart; the board's lock makes them rare.
        let new = self.path.with_extension(format!("new-{}", std::process::id()));
        let written = (|| {
            let mut file = std::fs::File::create(&new)?;
            file.write_all(&serde_json::to_vec_pretty(on_board)?)?;
            std::fs::rename(&new, &self.path)
        })();
        if written.is_err() {
            let _ = std::fs::remove_file(&new);
        }
        written
    }

    /// Nothing is known any more.
    pub fn forget(&self) {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(path = %self.path.display(), %error, "the board's record stays");
            }
            _ => {}
        }
    }
}

/// `name` with everything replaced that is not at home in a file name.
pub fn plain(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' })
        .take(100)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn on_board() -> OnBoard {
        OnBoard { sha256: "ab".repeat(32), build: Some("7c0ffee".into()), confirmed: true }
    }

    #[test]
    fn what_is_written_is_read_and_can_be_forgotten() {
        let state = tempfile::tempdir().unwrap();
        let record = Record::of(state.path(), "bench-1");
        assert_eq!(record.read(), None);
        record.write(&on_board());
        assert_eq!(record.read(), Some(on_board()));
        let files: Vec<_> = std::fs::read_dir(state.path().join("boards")).unwrap().collect();
        assert_eq!(files.len(), 1, "no temporary file stays");
        record.forget();
        assert_eq!(record.read(), None);
    }

    #[test]
    fn a_damaged_record_is_none() {
        let state = tempfile::tempdir().unwrap();
        let record = Record::of(state.path(), "b");
        record.write(&on_board());
        for damage in [&b""[..], b"{\"sha256\":\"ab", b"\xff\xfe", b"[]"] {
            std::fs::write(state.path().join("boards/b.json"), damage).unwrap();
            assert_eq!(record.read(), None);
        }
    }

    proptest! {
        #[test]
        fn no_name_leaves_the_folder_and_no_two_share_a_file(a in "\\PC{1,20}", b in "\\PC{1,20}") {
            let state = Path::new("state");
            let (path_a, path_b) = (Record::of(state, &a).path, Record::of(state, &b).path);
            prop_assert_eq!(path_a.parent(), Some(Path::new("state/boards")));
            prop_assert_eq!(path_a == path_b, a == b);
        }
    }
}
