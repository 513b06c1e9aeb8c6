//! A program of a broker with its arguments, for a container and for this machine.

use std::collections::BTreeMap;
use std::path::Path;

use tokio::process::Command;

use super::strays;
use crate::environment;

/// A program with its arguments.
pub(super) struct Launch<'a> {
    /// Its name in messages.
    pub name: &'a str,
    pub program: &'a Path,
    pub arguments: Vec<String>,
    /// In addition to the variables that every broker gets.
    pub environment: BTreeMap<String, String>,
    /// Its folder, and its working directory.
    pub dir: &'a Path,
}

impl Launch<'_> {
    /// The name of its container.
    pub fn container_name(&self, run: &str) -> String {
        let folder = self.dir.file_name().unwrap_or_default().to_string_lossy();
        let name = self.name.to_lowercase().replace(' ', "-");
        format!("hilrig-{run}-{folder}-{name}")
    }

    /// The variables that every program gets, and its own.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let dir = self.dir.to_string_lossy();
        let usual =
            [("LANG", "C.UTF-8"), ("HOME", &*dir), ("TMPDIR", &*dir), (strays::MARK, &*dir)];
        let usual = usual.map(|(name, value)| (name.to_owned(), value.to_owned()));
        usual.into_iter().chain(self.environment.clone()).collect()
    }

    /// A command without this user's own settings that writes into the broker's folder.
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.program);
        command
            .args(&self.arguments)
            .current_dir(self.dir)
            .env_clear()
            .envs(environment::clean())
            .envs(self.environment());
        command
    }
}
