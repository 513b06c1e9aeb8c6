//! What is known of a board, kept from run to run so that the same image is not written twice, and
//! a rate that did not work is not tried each time.

use std::io::Write;
use std::path::{Path, PathBuf};

use hilrig_core::image::Image;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// All that is known of a board.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    image: Option<OnBoard>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    loader: Option<LoaderRate>,
}

/// The rate at which the board's loader worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoaderRate {
    /// The highest that was to be tried then, baud: asked for another, it is found out anew.
    pub highest: u32,
    /// The one that worked, baud.
    pub works: u32,
}

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
        Record { path: state.join("boards").join(file_name(key)) }
    }

    /// What is on the board, if that is known.
    pub fn image(&self) -> Option<OnBoard> {
        self.read().image
    }

    /// Puts down what is on the board; `None` where that is not known any more.
    pub fn set_image(&self, image: Option<OnBoard>) {
        self.write(&Known { image, ..self.read() });
    }

    /// The rate at which its loader worked.
    pub fn loader_rate(&self) -> Option<LoaderRate> {
        self.read().loader
    }

    /// Puts down the rate at which its loader worked.
    pub fn set_loader_rate(&self, rate: LoaderRate) {
        self.write(&Known { loader: Some(rate), ..self.read() });
    }

    fn read(&self) -> Known {
        let known = match std::fs::read(&self.path) {
            Ok(text) => serde_json::from_slice(&text).map_err(std::io::Error::from),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Known::default()),
            Err(error) => Err(error),
        };
        known.unwrap_or_else(|error| {
            tracing::warn!(
                path = %self.path.display(), %error,
                "the board's record cannot be read; its image will be written again"
            );
            Known::default()
        })
    }

    /// The file is the old one or the new one, never half of it. It is not synced: what a power cut
    /// does to it costs one more flashing, a sync costs every run.
    fn write(&self, known: &Known) {
        let done = match known == &Known::default() {
            true => self.remove(),
            false => self.try_write(known),
        };
        if let Err(error) = done {
            tracing::warn!(
                path = %self.path.display(), %error,
                "the board's record cannot be written; its image will be written again next time"
            );
            // An old record would say something that is no longer so.
            let _ = self.remove();
        }
    }

    fn try_write(&self, known: &Known) -> std::io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        // The process's id keeps two writers apart; the board's lock makes them rare.
        let new = self.path.with_extension(format!("new-{}", std::process::id()));
        let written = (|| {
            let mut file = std::fs::File::create(&new)?;
            file.write_all(&serde_json::to_vec_pretty(known)?)?;
            std::fs::rename(&new, &self.path)
        })();
        if written.is_err() {
            let _ = std::fs::remove_file(&new);
        }
        written
    }

    /// Notes whether `build` was what the board told in its boot log; see
    /// [`hilrig_core::board::Board::confirm_build`].
    pub fn confirm(&self, image: &Image, build: Option<&str>) {
        match self.image() {
            Some(known) if known.sha256 == image.identity() => {
                if build.is_some() && build == image.build.as_deref() {
                    if !known.confirmed {
                        self.set_image(Some(OnBoard { confirmed: true, ..known }));
                    }
                } else {
                    self.set_image(None);
                }
            }
            Some(_) => self.set_image(None),
            None => {}
        }
    }

    fn remove(&self) -> std::io::Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// A file name that is another one for every key.
pub fn file_name(key: &str) -> String {
    let mut name = plain(key);
    if name != key || name.starts_with('.') {
        // Two keys must not share a file because their odd characters were dropped.
        let digest = Sha256::digest(key.as_bytes());
        name = format!("board-{name}-");
        name.extend(digest.iter().take(4).map(|byte| format!("{byte:02x}")));
    }
    format!("{name}.json")
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
        assert_eq!(record.image(), None);
        record.set_image(Some(on_board()));
        assert_eq!(record.image(), Some(on_board()));
        let files = || std::fs::read_dir(state.path().join("boards")).unwrap().count();
        assert_eq!(files(), 1, "no temporary file stays");
        let rate = LoaderRate { highest: 921_600, works: 230_400 };
        record.set_loader_rate(rate);
        record.set_image(None);
        assert_eq!((record.image(), record.loader_rate()), (None, Some(rate)));
        record.set_image(Some(on_board()));
        assert_eq!((record.image(), record.loader_rate()), (Some(on_board()), Some(rate)));
    }

    #[test]
    fn nothing_known_is_no_file() {
        let state = tempfile::tempdir().unwrap();
        let record = Record::of(state.path(), "b");
        record.set_image(None);
        record.set_image(Some(on_board()));
        record.set_image(None);
        assert!(!state.path().join("boards/b.json").exists());
    }

    #[test]
    fn a_damaged_record_is_none() {
        let state = tempfile::tempdir().unwrap();
        let record = Record::of(state.path(), "b");
        record.set_image(Some(on_board()));
        for damage in [&b""[..], b"{\"sha256\":\"ab", b"\xff\xfe", b"[]"] {
            std::fs::write(state.path().join("boards/b.json"), damage).unwrap();
            assert_eq!(record.image(), None);
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
