//! What a terminal can show.

use std::io::IsTerminal;
use std::os::fd::AsFd;

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

use hilrig_core::verdict::Verdict;

/// Width and colour of what is written to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TerminalStyle {
    /// Columns; `None` if it is no terminal.
    pub width: Option<usize>,
    /// Whether colour is wanted.
    pub colour: bool,
}

impl TerminalStyle {
    /// Colour only on a terminal, and not where `NO_COLOR` or the like forbids it.
    pub(crate) fn of<S: RawStream + IsTerminal + AsFd>(stream: &S) -> TerminalStyle {
        if !IsTerminal::is_terminal(stream) {
            return TerminalStyle::default();
        }
        let width = rustix::termios::tcgetwinsize(stream).ok().map(|size| usize::from(size.ws_col));
        TerminalStyle {
            // A pty whose size was never set reports 0.
            width: width.filter(|columns| *columns > 0),
            colour: AutoStream::choice(stream) != ColorChoice::Never,
        }
    }

    pub(super) fn paint(self, style: Style, text: &str) -> String {
        if self.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// `text` in the colour of the verdict; no verdict looks like trouble.
    pub(super) fn verdict(self, verdict: Option<Verdict>, text: &str) -> String {
        let colour = match verdict {
            Some(Verdict::Passed) => AnsiColor::Green,
            Some(Verdict::Failed) => AnsiColor::Red,
            Some(Verdict::RigFault) | None => AnsiColor::Magenta,
            Some(Verdict::Skipped) => AnsiColor::Yellow,
        };
        self.paint(colour.on_default().bold(), text)
    }

    pub(super) fn bad(self, text: &str) -> String {
        self.paint(AnsiColor::Red.on_default(), text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.paint(Style::new().dimmed(), text)
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.paint(Style::new().bold(), text)
    }
}
