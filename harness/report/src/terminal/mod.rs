//! The run on the terminal: as it goes, and as a table at the end.

mod certificate;
mod crash;
mod live;
mod memory;
mod plain;
mod progress;
mod scenarios;
pub(crate) mod style;
mod table;
mod words;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

use hilrig_core::certify::Certificate;
use indicatif::ProgressDrawTarget;

pub use live::Live;
pub use plain::Plain;
pub use style::TerminalStyle;

use crate::reporters::Reporter;

/// Where the terminal reporter writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TerminalStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A certificate as a table for `stream`, or for a file.
pub fn certificate_text(stream: Option<TerminalStream>, certificate: &Certificate) -> String {
    let looks = match stream {
        None => TerminalStyle::default(),
        Some(TerminalStream::Stdout) => TerminalStyle::of(&io::stdout()),
        Some(TerminalStream::Stderr) => TerminalStyle::of(&io::stderr()),
    };
    certificate::text(certificate, looks)
}

/// The reporter that suits `stream`: a picture that is updated in place on a terminal, plain lines
/// elsewhere. `record` is named at the end. Let it be the last reporter, so that the record is
/// whole when it is named.
pub fn terminal(stream: TerminalStream, record: Option<PathBuf>) -> Box<dyn Reporter> {
    let (on_terminal, looks, target): (_, _, fn() -> ProgressDrawTarget) = match stream {
        TerminalStream::Stdout => {
            let out = io::stdout();
            (out.is_terminal(), TerminalStyle::of(&out), ProgressDrawTarget::stdout)
        }
        TerminalStream::Stderr => {
            let out = io::stderr();
            (out.is_terminal(), TerminalStyle::of(&out), ProgressDrawTarget::stderr)
        }
    };
    let out: Box<dyn io::Write + Send> = match stream {
        TerminalStream::Stdout => Box::new(io::stdout()),
        TerminalStream::Stderr => Box::new(io::stderr()),
    };
    // A terminal that cannot move its cursor gets lines, too.
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    if on_terminal && !dumb {
        Box::new(Live::new(target(), out, looks, record))
    } else {
        Box::new(Plain::new(out, looks, record))
    }
}
