//! The one place that prints errors, and the one that prints results.

use std::io::Write as _;

use anstyle::{AnsiColor, Style};
use hilrig_core::secrets::Ends;
use hilrig_core::{exit, text};

pub use hilrig::Error as Failure;

/// The longest message, bytes. A configuration may have a key of a megabyte.
const MOST: usize = 16 * 1024;

/// A message without secrets and control characters, and of limited length.
fn shown(message: &str) -> String {
    let message = text::without_hidden(message);
    let message = text::plain_lines(&message);
    match message.len() {
        n if n > MOST => {
            let cut = message.floor_char_boundary(MOST);
            format!("{}... ({} bytes more)", &message[..cut], n - cut)
        }
        _ => message.into_owned(),
    }
}

/// Standard error for the log, with secrets masked. Each entry is written in one piece.
pub struct LogWriter;

impl std::io::Write for LogWriter {
    fn write(&mut self, entry: &[u8]) -> std::io::Result<usize> {
        match text::hidden() {
            Some(hidden) => {
                let masked = hidden.mask_bytes(entry, Ends::Whole);
                std::io::stderr().write_all(&masked)?;
            }
            None => std::io::stderr().write_all(entry)?,
        }
        Ok(entry.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

/// Prints a failure.
pub fn say(failure: &Failure) {
    let red = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
    // Nothing can be done if standard error is closed.
    let _ = writeln!(anstream::stderr(), "{red}error{red:#}: {}", shown(failure.message()));
}

/// Prints what the user has to know while a command runs.
pub fn note(text: &str) {
    let yellow = Style::new().bold().fg_color(Some(AnsiColor::Yellow.into()));
    let _ = writeln!(anstream::stderr(), "{yellow}note{yellow:#}: {}", shown(text));
}

/// Prints what does not stop the command.
pub fn warn(message: &str) {
    let yellow = Style::new().bold().fg_color(Some(AnsiColor::Yellow.into()));
    let _ = writeln!(anstream::stderr(), "{yellow}warning{yellow:#}: {}", shown(message));
}

/// Prints a result. A reader that closes the pipe (`| head`) is no error.
pub fn print(text: &str) -> Result<u8, Failure> {
    match anstream::stdout().write_all(text.as_bytes()) {
        Ok(()) => Ok(exit::PASSED),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(exit::PASSED),
        Err(error) => Err(Failure::internal(format!("writing to standard output: {error}"))),
    }
}
