//! Being told to stop.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Resolves with the signal's name when the process is told to stop. A second signal ends the process
/// at once: whoever sends it does not want to wait for the cleaning up. What is left then is swept by
/// the next run.
pub fn told_to_stop() -> io::Result<impl Future<Output = String>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        let name = tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
            _ = hangup.recv() => "SIGHUP",
        };
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {},
                _ = terminate.recv() => {},
            }
            std::process::exit(i32::from(hilrig_core::exit::RIG_FAULT));
        });
        format!("stopped by {name}")
    })
}
