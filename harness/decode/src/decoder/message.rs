//! The message of a panic, which follows on lines of its own.

use hilrig_core::crash::Panic;
use hilrig_core::text;

use crate::crash_line::defmt_place;

/// Lines of a message that are kept, and its characters.
const MOST_LINES: u32 = 8;
const MOST_TEXT: usize = 400;

/// What is still to come of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PanicMessage {
    /// Nothing.
    #[default]
    None,
    /// Its lines, of which there are so many.
    Lines(u32),
    /// In the debug form of a `PanicInfo`: the line after `message: Some(`.
    Info,
    /// That line is next.
    InfoNext,
}

impl PanicMessage {
    /// Takes `text` if it is part of the message.
    pub fn take(&mut self, panic: &mut Panic, text: &str) -> bool {
        let text = text.trim();
        if let Some(place) = defmt_place(text) {
            *self = PanicMessage::None;
            if panic.file.is_none() {
                let message = panic.message.take();
                *panic = Panic { message, ..place };
            }
            return true;
        }
        match self {
            PanicMessage::None => false,
            // A message may have a blank line in front, and none in it.
            PanicMessage::Lines(0) if text.is_empty() => true,
            PanicMessage::Lines(_) if text.is_empty() || is_note(text) => {
                *self = PanicMessage::None;
                is_note(text)
            }
            PanicMessage::Lines(0) if text.starts_with("PanicInfo {") => {
                *self = PanicMessage::Info;
                true
            }
            PanicMessage::Lines(lines) => {
                *lines += 1;
                add(panic, text);
                if *lines == MOST_LINES {
                    *self = PanicMessage::None;
                }
                true
            }
            PanicMessage::Info => {
                match text {
                    "message: Some(" => *self = PanicMessage::InfoNext,
                    "}" => *self = PanicMessage::None,
                    _ => {}
                }
                true
            }
            PanicMessage::InfoNext => {
                add(panic, text.trim_end_matches(','));
                *self = PanicMessage::Info;
                true
            }
        }
    }
}

/// What std and defmt write after a message.
fn is_note(text: &str) -> bool {
    text.starts_with("note: run with") || text.starts_with("\u{2514}\u{2500}")
}

fn add(panic: &mut Panic, text: &str) {
    let message = panic.message.get_or_insert_default();
    if !message.is_empty() {
        message.push(' ');
    }
    message.push_str(&text::printable(text.as_bytes()));
    if let Some((end, _)) = message.char_indices().nth(MOST_TEXT) {
        message.truncate(end);
    }
}
