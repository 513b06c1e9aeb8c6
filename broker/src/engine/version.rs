//! Reads the version of a running broker and of its TLS library.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use hilrig_core::text::printable;
use tokio::process::Command;
use tokio::time::timeout;

use super::log_tail::LogTail;
use super::render::Renderer;
use super::spawned::Spawned;
use crate::descriptions::Reading;
use crate::environment;

/// Deadline for a program to print its version: a JVM takes half a second.
const TO_TELL: Duration = Duration::from_secs(20);
/// The maximum size of a file with a version in it, bytes.
const LARGEST: u64 = 256 << 20;

impl Reading {
    /// Reads the version of the broker that runs; `None` if it is not where it should be. No command is run
    /// in a container.
    pub(super) async fn read(
        &self,
        renderer: &Renderer,
        log: &LogTail,
        running: &Spawned,
    ) -> Option<String> {
        let found = match self {
            Reading::Log { log: pattern } => {
                let text = log.text();
                pattern.0.captures(&text)?.get(1)?.as_str().to_owned()
            }
            Reading::Command { .. } if matches!(running, Spawned::In(_)) => return None,
            Reading::Command { command, prints } => {
                let words = command.iter().map(|word| renderer.fill(word));
                let words = words.collect::<Result<Vec<_>, _>>().ok()?;
                let (program, arguments) = words.split_first()?;
                let mut command = Command::new(program);
                command.env_clear().envs(environment::clean());
                command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
                let output = timeout(TO_TELL, command.output()).await.ok()?.ok()?;
                let text = [output.stdout, output.stderr].concat();
                let text = String::from_utf8_lossy(&text);
                prints.0.captures(&text)?.get(1)?.as_str().to_owned()
            }
            Reading::File { file, bytes } => {
                in_file(&seen(running, Path::new(&renderer.fill(file).ok()?))?, &bytes.0)?
            }
            Reading::Mapped { mapped, bytes } => {
                let pid = running.pid()?.as_raw_nonzero();
                let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
                let library = maps.lines().find_map(|line| {
                    let path = Path::new(line.split_ascii_whitespace().nth(5)?);
                    path.file_name()?.to_str()?.starts_with(mapped.as_str()).then_some(path)
                })?;
                in_file(&seen(running, library)?, &bytes.0)?
            }
        };
        Some(printable(found.as_bytes()))
    }
}

/// A path of the broker's, as seen from this machine.
fn seen(running: &Spawned, file: &Path) -> Option<PathBuf> {
    Some(running.root()?.join(file.strip_prefix("/").unwrap_or(file)))
}

fn in_file(file: &Path, pattern: &regex::bytes::Regex) -> Option<String> {
    // An image is not trusted: a path that is not a regular file could block the reader.
    let meta = file.metadata().ok()?;
    if !meta.is_file() || meta.len() > LARGEST {
        return None;
    }
    let bytes = fs::read(file).ok()?;
    let found = pattern.captures(&bytes)?.get(1)?;
    Some(String::from_utf8_lossy(found.as_bytes()).into_owned())
}
