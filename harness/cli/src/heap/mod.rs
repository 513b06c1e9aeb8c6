//! `hilrig heap`: the free heap from commit to commit.

mod accept;
mod bisect;
mod callers;
mod check;
mod diff;
mod history;

use std::io::Write as _;

use hilrig::heap::Notice;

use crate::args::{HeapCommand, HeapFormat};
use crate::error::{Failure, print, say, warn};

/// Does what the command says.
pub async fn heap(command: HeapCommand) -> Result<u8, Failure> {
    match command {
        HeapCommand::Accept(args) => accept::accept(&args).await,
        HeapCommand::Check(args) => check::check(&args).await,
        HeapCommand::Callers(args) => callers::callers(&args).await,
        HeapCommand::Diff(args) => diff::diff(&args).await,
        HeapCommand::Bisect(args) => bisect::bisect(&args).await,
        HeapCommand::History(args) => history::history(&args),
    }
}

/// Prints what a measurement reports while it goes on: with the tables, or on standard error, where what is
/// on standard output is for other tools.
fn notices(format: HeapFormat) -> impl Fn(Notice<'_>) -> Result<(), Failure> {
    move |notice| {
        match notice {
            Notice::Line(line) if format == HeapFormat::Text => drop(print(line)?),
            // Nothing can be done where standard error is closed.
            Notice::Line(line) => drop(anstream::stderr().write_all(line.as_bytes())),
            Notice::Warning(why) => warn(why),
            Notice::Fault(fault) => say(&Failure::rig(fault)),
        }
        Ok(())
    }
}
