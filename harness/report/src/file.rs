//! A file that is there whole or not at all.

use std::io;
use std::path::{Path, PathBuf};

/// A file that is replaced as a whole, so that a reader never meets half of one.
///
/// It is renamed into place but not synced to the disk: it has to outlive the process, not the
/// machine, and a sync for each board's verdict would be the slowest thing in a run.
#[derive(Debug)]
pub(crate) struct WholeFile {
    path: PathBuf,
    temporary: PathBuf,
}

impl WholeFile {
    pub fn new(path: PathBuf) -> WholeFile {
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(".new");
        let temporary = path.with_file_name(name);
        WholeFile { path, temporary }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn write(&self, content: &[u8]) -> io::Result<()> {
        let written = std::fs::write(&self.temporary, content)
            .and_then(|()| std::fs::rename(&self.temporary, &self.path));
        if written.is_err() {
            let _ = std::fs::remove_file(&self.temporary);
        }
        written
    }
}
