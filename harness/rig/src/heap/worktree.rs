//! A separate working tree for a commit: the user's is not touched.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use hilrig_core::text;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Command;

use crate::Error;

/// Where the configuration is.
pub struct InRepository {
    /// The repository's top folder.
    pub root: PathBuf,
    /// The configuration's path in it.
    pub config: PathBuf,
}

impl InRepository {
    /// Finds the repository of a configuration.
    pub async fn of(config: &Path) -> Result<InRepository, Error> {
        let folder = config.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let root = PathBuf::from(git(folder, &["rev-parse", "--show-toplevel"]).await?);
        let prefix = PathBuf::from(git(folder, &["rev-parse", "--show-prefix"]).await?);
        let name = config.file_name().ok_or_else(|| {
            Error::usage(format!("{} is no configuration file", config.display()))
        })?;
        Ok(InRepository { root, config: prefix.join(name) })
    }
}

/// A working tree; call [`WorkTree::remove`] when done.
pub struct WorkTree {
    root: PathBuf,
    pub path: PathBuf,
    folder: tempfile::TempDir,
}

impl WorkTree {
    /// Checks `commit` out into a temporary folder.
    pub async fn add(root: &Path, commit: &str) -> Result<WorkTree, Error> {
        let folder = tempfile::Builder::new().prefix("hilrig-tree-").tempdir();
        let folder = folder.map_err(|error| {
            Error::rig(format!("making a folder in {}: {error}", std::env::temp_dir().display()))
        })?;
        let path = folder.path().join("tree");
        let text = path.to_string_lossy().into_owned();
        // Removes the entries of working trees that killed commands left.
        git(root, &["worktree", "prune"]).await?;
        git(root, &["worktree", "add", "--quiet", "--detach", &text, commit]).await?;
        Ok(WorkTree { root: root.into(), path, folder })
    }

    /// Builds what is checked out; `false` if that fails.
    pub async fn builds(&self, build: &str) -> Result<bool, Error> {
        Ok(self.exit_code("sh", &["-c", build]).await? == 0)
    }

    /// The same without output; if it fails, returns the last line that it printed.
    pub async fn builds_quietly(&self, build: &str) -> Result<Result<(), String>, Error> {
        let path = self.folder.path().join("build.log");
        let log = |error| Error::rig(format!("making {}: {error}", path.display()));
        let out = std::fs::File::create(&path).map_err(log)?;
        let errors = out.try_clone().map_err(log)?;
        let mut command = Command::new("sh");
        command.args(["-c", build]).stdout(out).stderr(errors);
        if self.ended(command).await? == 0 {
            return Ok(Ok(()));
        }
        let text = std::fs::read(&path).unwrap_or_default();
        let line = text.split(|byte| *byte == b'\n').rfind(|line| !line.trim_ascii().is_empty());
        let last = line.map(|line| text::printable(line.trim_ascii()));
        Ok(Err(last.unwrap_or_else(|| "it prints nothing".into())))
    }

    /// Runs a command in the tree with its output shown, and returns its exit code. The command gets a process
    /// group, and the whole group ends when this is dropped: a build has children with children.
    pub async fn exit_code(&self, program: &str, arguments: &[&str]) -> Result<i32, Error> {
        let mut command = Command::new(program);
        command.args(arguments);
        self.ended(command).await
    }

    async fn ended(&self, mut command: Command) -> Result<i32, Error> {
        struct Group(Option<Pid>);
        impl Drop for Group {
            fn drop(&mut self) {
                if let Some(group) = self.0 {
                    let _ = kill_process_group(group, Signal::TERM);
                }
            }
        }
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        let failed = |error| Error::rig(format!("running {program}: {error}"));
        command.current_dir(&self.path);
        let mut child = command.stdin(Stdio::null()).process_group(0).spawn().map_err(failed)?;
        let mut group = Group(child.id().and_then(|id| Pid::from_raw(id as i32)));
        let status = child.wait().await.map_err(failed)?;
        group.0 = None;
        Ok(status.code().unwrap_or(128))
    }

    /// Removes it from disk and from the repository.
    pub async fn remove(self) {
        let text = self.path.to_string_lossy().into_owned();
        for arguments in [&["worktree", "remove", "--force", &text][..], &["worktree", "prune"]] {
            if let Err(error) = git(&self.root, arguments).await {
                tracing::warn!("{}", error.message());
            }
        }
    }
}

/// The output of a git command, or an error with git's message.
pub async fn git(folder: &Path, arguments: &[&str]) -> Result<String, Error> {
    let mut command = Command::new("git");
    command.current_dir(folder).args(arguments).stdin(Stdio::null());
    let output = command
        .output()
        .await
        .map_err(|error| Error::usage(format!("git is needed to find a commit: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(Error::usage(format!(
        "git {} in {}: {}",
        arguments.join(" "),
        folder.display(),
        String::from_utf8_lossy(&output.stderr).trim()
    )))
}
