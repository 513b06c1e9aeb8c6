//! Where a broker is on this machine.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::{BrokerDescription, Container};
use crate::error::BrokerError;
use crate::program::look_up;

/// Where a broker is on this machine.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its program.
    pub program: PathBuf,
    /// The interpreter of the program, if that is a script.
    pub(crate) interpreter: Option<PathBuf>,
    /// Further files and folders that it needs, by name.
    pub(crate) needs: BTreeMap<String, PathBuf>,
    pub(crate) helper: Option<PathBuf>,
}

impl BrokerDescription {
    /// Searches for it on this machine; runs nothing.
    ///
    /// # Errors
    /// [`BrokerError::NotInstalled`], with the command that installs it.
    pub fn find(&self) -> Result<Found, BrokerError> {
        let not_installed = |missing| BrokerError::NotInstalled {
            broker: self.title.clone(),
            missing,
            install: self.install_with(),
        };
        let first = |names: &[String]| {
            let found = names.iter().map(|name| look_up(Path::new(name)));
            found.reduce(Result::or).unwrap_or_else(|| Err("no name is given".into()))
        };
        let program = first(&self.program).map_err(&not_installed)?;
        let mut needs = BTreeMap::new();
        for (name, need) in &self.needs {
            let folders = need.look_in.iter().flat_map(|folder| match folder.strip_prefix('$') {
                Some(variable) => {
                    std::env::split_paths(&std::env::var_os(variable).unwrap_or_default()).collect()
                }
                None => vec![PathBuf::from(folder)],
            });
            let at = folders.map(|folder| folder.join(&need.path)).find(|path| path.exists());
            let at = at.ok_or_else(|| {
                not_installed(format!("{} is not in {}", need.path, need.look_in.join(", ")))
            })?;
            needs.insert(name.clone(), at);
        }
        let helper = self.helper.as_ref().map(|helper| first(&helper.program)).transpose();
        let helper = helper.map_err(&not_installed)?;
        Ok(Found { interpreter: interpreter(&program), program, needs, helper })
    }
}

impl Container {
    /// Its paths in its image.
    pub(crate) fn found(&self) -> Found {
        Found {
            program: self.program.clone(),
            interpreter: None,
            needs: self.needs.clone(),
            helper: self.helper.clone(),
        }
    }
}

/// The interpreter in a script's first line.
fn interpreter(program: &Path) -> Option<PathBuf> {
    let mut head = Vec::new();
    std::fs::File::open(program).ok()?.take(256).read_to_end(&mut head).ok()?;
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?;
    line.split_ascii_whitespace().next().map(PathBuf::from)
}
