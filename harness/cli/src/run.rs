//! `hilrig run`.

use hilrig::{FinishedRun, run_recorded};
use hilrig_report::TerminalStream;

use crate::error::{Failure, say, warn};
use crate::{args, signals};

/// Runs the main path and the scenarios on every board.
pub async fn run(args: args::Run) -> Result<u8, Failure> {
    let stop = signals::stop_request()?;
    let request = hilrig::RunRequest { terminal: Some(TerminalStream::Stdout), ..args.request() };
    let finished = run_recorded(&request, &stop).await?;
    say_trouble(&finished);
    Ok(finished.code)
}

/// Prints what of a run's record could not be written.
pub fn say_trouble(finished: &FinishedRun) {
    for fault in &finished.faults {
        say(&Failure::rig(fault));
    }
    if let Some(why) = &finished.not_in_history {
        warn(why);
    }
}
