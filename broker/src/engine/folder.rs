//! The files of a broker.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::BrokerError;

/// The folder of a broker's files, for its user only. Dropping removes it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes the folder `broker` in the run's folder.
    pub fn create(run: &Path) -> Result<Folder, BrokerError> {
        Folder::at(run.join("broker"))
    }

    /// Makes this folder.
    pub fn at(path: PathBuf) -> Result<Folder, BrokerError> {
        DirBuilder::new().mode(0o700).create(&path).map_err(BrokerError::file("make", &path))?;
        Ok(Folder(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes files, in place of what they held.
    pub fn fill(&self, files: &[(impl AsRef<Path>, String)]) -> Result<(), BrokerError> {
        for (name, text) in files {
            let path = self.0.join(name);
            OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&path)
                .and_then(|mut file| file.write_all(text.as_bytes()))
                .map_err(BrokerError::file("write", &path))?;
        }
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!("cannot remove {}: {error}", self.0.display());
        }
    }
}
