//! `hilrig heap`: the free heap from commit to commit.

mod accept;
mod bisect;
mod boots;
mod callers;
mod check;
mod commits;
mod diff;
mod export;
mod history;
mod measure;
mod plot;
mod sides;
mod table;
mod worktree;

use crate::args::HeapCommand;
use crate::error::Failure;

/// Does what the command says.
pub async fn heap(command: HeapCommand) -> Result<u8, Failure> {
    match command {
        HeapCommand::Accept(args) => accept::accept(&args).await,
        HeapCommand::Check(args) => check::check(&args).await,
        HeapCommand::Callers(args) => callers::callers(args).await,
        HeapCommand::Diff(args) => diff::diff(&args).await,
        HeapCommand::Bisect(args) => bisect::bisect(&args).await,
        HeapCommand::History(args) => history::history(&args),
    }
}
