//! Errors in a file, each with its place.

use std::ops::Range;
use std::path::{Path, PathBuf};

/// An error in a file.
#[derive(Debug, thiserror::Error)]
#[error("{}{message}{}", self.at(), self.others())]
pub struct FileError {
    path: PathBuf,
    line: Option<usize>,
    message: String,
    /// Further errors.
    more: Vec<FileError>,
}

impl FileError {
    /// An error about the whole file.
    pub fn whole(path: &Path, message: impl Into<String>) -> FileError {
        FileError { path: path.into(), line: None, message: message.into(), more: Vec::new() }
    }

    /// An error at a place in its text.
    pub fn at_span(
        path: &Path,
        text: &str,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> FileError {
        FileError::at_line(path, line_of(text, span.start), message)
    }

    /// An error in a line, counted from 1.
    pub fn at_line(path: &Path, line: usize, message: impl Into<String>) -> FileError {
        FileError { path: path.into(), line: Some(line), message: message.into(), more: Vec::new() }
    }

    /// An error of the TOML reader, with its line.
    pub fn toml(path: &Path, text: &str, error: &toml::de::Error) -> FileError {
        let message = short_of(error.message(), 500);
        match error.span() {
            Some(span) => FileError::shown_at(path, text, span, message),
            None => FileError::whole(path, message),
        }
    }

    /// An error at a place in its text, with its line.
    pub fn shown_at(path: &Path, text: &str, span: Range<usize>, message: String) -> FileError {
        let mut here = FileError::at_span(path, text, span, message);
        let line = here.line.and_then(|number| text.lines().nth(number - 1));
        if let Some(line) = line.map(str::trim).filter(|line| !line.is_empty()) {
            here.message.push_str(&format!("\n    {}", short_of(line, 160)));
        }
        here
    }

    /// All of these as one; none where there are none.
    pub fn all(errors: impl IntoIterator<Item = FileError>) -> Option<FileError> {
        let mut errors = errors.into_iter();
        let mut first = errors.next()?;
        first.more.extend(errors);
        Some(first)
    }

    /// The line in the file, counted from 1.
    pub fn line(&self) -> Option<usize> {
        self.line
    }

    fn others(&self) -> String {
        self.more.iter().map(|error| format!("\n{error}")).collect()
    }

    fn at(&self) -> String {
        match self.line {
            Some(line) => format!("{}:{line}: ", self.path.display()),
            None => format!("{}: ", self.path.display()),
        }
    }
}

/// `text` where it is short, else its beginning.
pub(crate) fn short_of(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}... ({} bytes more)", &text[..at], text.len() - at),
        None => text.to_owned(),
    }
}

/// The line, counted from 1, of byte `at` of `text`.
pub fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}
