//! What is known about a board, kept from run to run, so that an image is not written twice and a rate
//! that did not work is not tried again.

use std::path::{Path, PathBuf};

use hilrig_core::image::Image;
use hilrig_file::WholeFile;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Everything known about a board.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Cached {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    image: Option<FlashedImage>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    loader: Option<LoaderRate>,
}

/// The rate at which the board's loader worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoaderRate {
    /// The highest rate of that try, baud. With another one the rates are tried again.
    pub highest: u32,
    /// The one that worked, baud.
    pub works: u32,
}

/// What was last written to a board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlashedImage {
    /// SHA-256 of the image, hex.
    pub sha256: String,
    /// Build id in the image.
    pub build: Option<String>,
    /// The boot log had this build id after the image was written.
    pub confirmed: bool,
}

/// The cache file of one board. A problem with it costs a flashing, never a run.
#[derive(Clone, Debug)]
pub struct FlashCache {
    path: PathBuf,
}

impl FlashCache {
    /// The cache of the board `key` (its MAC or its name) under the folder `state`.
    pub fn of(state: &Path, key: &str) -> FlashCache {
        FlashCache { path: state.join("boards").join(file_name(key)) }
    }

    /// What is on the board, if that is known.
    pub fn image(&self) -> Option<FlashedImage> {
        self.read().image
    }

    /// Whether this very image is on the board, confirmed by its boot log.
    pub fn has_confirmed(&self, image: &Image) -> bool {
        self.image().is_some_and(|known| known.confirmed && known.sha256 == image.identity())
    }

    /// Stores what is on the board; `None` where that is not known any more.
    pub fn set_image(&self, image: Option<FlashedImage>) {
        self.write(&Cached { image, ..self.read() });
    }

    /// The rate at which its loader worked.
    pub fn loader_rate(&self) -> Option<LoaderRate> {
        self.read().loader
    }

    /// Stores the rate at which its loader worked.
    pub fn set_loader_rate(&self, rate: LoaderRate) {
        self.write(&Cached { loader: Some(rate), ..self.read() });
    }

    fn read(&self) -> Cached {
        let known = match std::fs::read(&self.path) {
            Ok(text) => serde_json::from_slice(&text).map_err(std::io::Error::from),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Cached::default()),
            Err(error) => Err(error),
        };
        known.unwrap_or_else(|error| {
            tracing::warn!(
                path = %self.path.display(), %error,
                "cannot read the board's cache; its image is written again"
            );
            Cached::default()
        })
    }

    /// The file is not synced: a power cut costs one more flashing, a sync would cost each run.
    fn write(&self, known: &Cached) {
        let done = match known == &Cached::default() {
            true => self.remove(),
            false => self.try_write(known),
        };
        if let Err(error) = done {
            tracing::warn!(
                path = %self.path.display(), %error,
                "cannot write the board's cache; its image is written again next time"
            );
            // An old file would be wrong.
            let _ = self.remove();
        }
    }

    fn try_write(&self, known: &Cached) -> std::io::Result<()> {
        std::fs::create_dir_all(self.path.parent().unwrap_or(Path::new(".")))?;
        WholeFile::new(self.path.clone()).write(&serde_json::to_vec_pretty(known)?)
    }

    /// Stores whether the boot log has the build id `build`; see
    /// [`hilrig_core::board::Board::confirm_build`].
    pub fn confirm(&self, image: &Image, build: Option<&str>) {
        match self.image() {
            Some(known) if known.sha256 == image.identity() => {
                if build.is_some() && build == image.build.as_deref() {
                    if !known.confirmed {
                        self.set_image(Some(FlashedImage { confirmed: true, ..known }));
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

/// A file name, different for each key.
pub fn file_name(key: &str) -> String {
    let mut name = plain(key);
    if name != key || name.starts_with('.') {
        // Two keys that differ in replaced characters must not share a file.
        let digest = Sha256::digest(key.as_bytes());
        name = format!("board-{name}-");
        name.extend(digest.iter().take(4).map(|byte| format!("{byte:02x}")));
    }
    format!("{name}.json")
}

/// `name`, with the characters replaced that do not belong into a file name.
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

    fn on_board() -> FlashedImage {
        FlashedImage { sha256: "ab".repeat(32), build: Some("7c0ffee".into()), confirmed: true }
    }

    #[test]
    fn what_is_written_is_read_and_can_be_forgotten() {
        let state = tempfile::tempdir().unwrap();
        let cache = FlashCache::of(state.path(), "bench-1");
        assert_eq!(cache.image(), None);
        cache.set_image(Some(on_board()));
        assert_eq!(cache.image(), Some(on_board()));
        let files = || std::fs::read_dir(state.path().join("boards")).unwrap().count();
        assert_eq!(files(), 1, "no temporary file stays");
        let rate = LoaderRate { highest: 921_600, works: 230_400 };
        cache.set_loader_rate(rate);
        cache.set_image(None);
        assert_eq!((cache.image(), cache.loader_rate()), (None, Some(rate)));
        cache.set_image(Some(on_board()));
        assert_eq!((cache.image(), cache.loader_rate()), (Some(on_board()), Some(rate)));
    }

    #[test]
    fn nothing_known_is_no_file() {
        let state = tempfile::tempdir().unwrap();
        let cache = FlashCache::of(state.path(), "b");
        cache.set_image(None);
        cache.set_image(Some(on_board()));
        cache.set_image(None);
        assert!(!state.path().join("boards/b.json").exists());
    }

    #[test]
    fn a_damaged_file_is_no_entry() {
        let state = tempfile::tempdir().unwrap();
        let cache = FlashCache::of(state.path(), "b");
        cache.set_image(Some(on_board()));
        for damage in [&b""[..], b"{\"sha256\":\"ab", b"\xff\xfe", b"[]"] {
            std::fs::write(state.path().join("boards/b.json"), damage).unwrap();
            assert_eq!(cache.image(), None);
        }
    }

    proptest! {
        #[test]
        fn no_name_leaves_the_folder_and_no_two_share_a_file(a in "\\PC{1,20}", b in "\\PC{1,20}") {
            let state = Path::new("state");
            let (path_a, path_b) = (FlashCache::of(state, &a).path, FlashCache::of(state, &b).path);
            prop_assert_eq!(path_a.parent(), Some(Path::new("state/boards")));
            prop_assert_eq!(path_a == path_b, a == b);
        }
    }
}
