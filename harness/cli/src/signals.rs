//! The signals that stop a command.

use std::io;

use hilrig::StopRequest;
use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::Failure;

/// Keeps the process alive when a file reaches `ulimit -f`: the write then fails with EFBIG, which is reported
/// like a full disk. A handler and not SIG_IGN, because children would inherit that.
pub fn survive_file_limit() {
    if let Err(error) = signal(SignalKind::from_raw(Number::XFSZ.as_raw())) {
        tracing::warn!("SIGXFSZ: {error}");
    }
}

/// Stops what runs when the process is asked to stop.
///
/// # Errors
/// A signal handler cannot be installed.
pub fn stop_request() -> Result<StopRequest, Failure> {
    signalled().map(StopRequest::when).map_err(Failure::internal)
}

/// Resolves with the signal's name when the process is asked to stop. A second signal ends the process at once,
/// without the clean-up; the next run removes what is left.
///
/// A signal that the parent process ignores (`nohup`, a job in the background) stays ignored.
fn signalled() -> io::Result<impl Future<Output = String> + Send + 'static> {
    let ignored = ignored();
    let minded = |kind: SignalKind| match ignored & (1 << (kind.as_raw_value() - 1)) {
        0 => signal(kind).map(Some),
        _ => Ok(None),
    };
    let mut interrupt = minded(SignalKind::interrupt())?;
    let mut terminate = minded(SignalKind::terminate())?;
    let mut hangup = minded(SignalKind::hangup())?;
    Ok(async move {
        let name = tokio::select! {
            () = comes(&mut interrupt) => "SIGINT",
            () = comes(&mut terminate) => "SIGTERM",
            () = comes(&mut hangup) => "SIGHUP",
        };
        tokio::spawn(async move {
            tokio::select! {
                () = comes(&mut interrupt) => {},
                () = comes(&mut terminate) => {},
            }
            std::process::exit(i32::from(hilrig_core::exit::RIG_FAULT));
        });
        format!("stopped by {name}")
    })
}

async fn comes(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// The signals that this process ignores, as a mask; none where that cannot be read.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
