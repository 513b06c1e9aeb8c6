//! Two commands of the user's own.

use async_trait::async_trait;
use hilrig_core::board::{BoardFault, Power};
use hilrig_core::text::printable;
use hilrig_core::units::Span;
use tokio::process::Command;

use super::SWITCHING;
use super::program::{self, NoEnd};

/// The most of a command's standard error that is shown, bytes: its end.
const TOLD: usize = 400;

/// Commands for the shell. They have hilrig's environment; secrets belong there and not into their text.
#[derive(Debug)]
pub struct Commands {
    on: String,
    off: String,
}

impl Commands {
    /// Each is run by `sh -c`; exit code 0 means that it is done.
    pub fn new(on: String, off: String) -> Commands {
        Commands { on, off }
    }

    async fn run(&self, text: &str) -> Result<(), BoardFault> {
        let mut command = Command::new("sh");
        command.args(["-c", text]);
        let tried = format!("switching the power by the command `{}`", printable(text.as_bytes()));
        let help = "Run it by hand; it has to end by itself, with exit code 0 when it is done.";
        let (found, stderr) = match program::run(command, SWITCHING).await {
            Ok(ended) if ended.status.success() => return Ok(()),
            Ok(ended) => (ended.status.to_string(), ended.stderr),
            Err(NoEnd::NotStarted(error)) => (error.to_string(), Vec::new()),
            Err(NoEnd::Late { stderr }) => {
                (format!("no end within {}, so it was killed", Span(SWITCHING)), stderr)
            }
        };
        Err(BoardFault::new(tried, found + &output(&stderr)).help(help))
    }
}

/// The end of a program's output.
pub fn output(stderr: &[u8]) -> String {
    let end = stderr.trim_ascii();
    match &end[end.len().saturating_sub(TOLD)..] {
        [] => String::new(),
        end => format!("; it printed `{}`", printable(end)),
    }
}

#[async_trait(?Send)]
impl Power for Commands {
    fn words(&self) -> String {
        format!("the command `{}`", printable(self.off.as_bytes()))
    }

    async fn off(&mut self) -> Result<(), BoardFault> {
        self.run(&self.off).await
    }

    async fn on(&mut self) -> Result<(), BoardFault> {
        self.run(&self.on).await
    }
}
