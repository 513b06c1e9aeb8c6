//! Files that are there whole or not at all.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file that is replaced in one step: a reader gets the old contents or the new, never half of them.
///
/// It is renamed into place but not synced to the disk. It has to outlive the process, not the machine,
/// and a sync for each board's verdict would be the slowest thing in a run.
#[derive(Clone, Debug)]
pub struct WholeFile {
    path: PathBuf,
}

impl WholeFile {
    /// The file at `path`, whether or not there is one.
    pub fn new(path: PathBuf) -> WholeFile {
        WholeFile { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the file. Its folder has to be there.
    ///
    /// # Errors
    /// The folder or the disk takes no such file. The old one stays.
    pub fn write(&self, contents: &[u8]) -> io::Result<()> {
        self.write_with(|file| file.write_all(contents)).map(drop)
    }

    /// Replaces the file by what `write` writes, and returns it open for reading and writing.
    ///
    /// # Errors
    /// As [`WholeFile::write`], and those of `write`.
    pub fn write_with(&self, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<File> {
        // The process's id keeps two writers apart.
        let mut name = std::ffi::OsString::from(".");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(format!(".new-{}", std::process::id()));
        let temporary = self.path.with_file_name(name);
        let written = (|| {
            let mut file = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open(&temporary)?;
            write(&mut file)?;
            std::fs::rename(&temporary, &self.path)?;
            Ok(file)
        })();
        if written.is_err() {
            let _ = std::fs::remove_file(&temporary);
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_replaced_and_nothing_else_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = WholeFile::new(folder.path().join("a"));
        for contents in [&b"first"[..], b""] {
            file.write(contents).unwrap();
            assert_eq!(std::fs::read(file.path()).unwrap(), contents);
        }
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn what_cannot_be_written_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = WholeFile::new(folder.path().join("a"));
        file.write(b"old").unwrap();
        let failed = file.write_with(|file| {
            file.write_all(b"half")?;
            Err(io::Error::other("the disk is full"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "the disk is full");
        assert_eq!(std::fs::read(file.path()).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["a"]);
    }
}
