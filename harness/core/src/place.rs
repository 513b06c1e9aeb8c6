//! Errors in a file that name their place in it.

use std::ops::Range;
use std::path::{Path, PathBuf};

/// Something in a file is not as it must be.
#[derive(Debug, thiserror::Error)]
#[error("{}{message}", self.at())]
pub struct FileError {
    path: PathBuf,
    line: Option<usize>,
    message: String,
}

impl FileError {
    /// An error about the whole file.
    pub fn whole(path: &Path, message: impl Into<String>) -> FileError {
        FileError { path: path.into(), line: None, message: message.into() }
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
        FileError { path: path.into(), line: Some(line), message: message.into() }
    }

    /// What the TOML reader found, with the line shown.
    pub fn toml(path: &Path, text: &str, error: &toml::de::Error) -> FileError {
        let Some(span) = error.span() else {
            return FileError::whole(path, error.message());
        };
        let mut here = FileError::at_span(path, text, span, error.message());
        if let Some(line) = here.line.and_then(|number| text.lines().nth(number - 1)) {
            here.message.push_str(&format!("\n    {}", line.trim()));
        }
        here
    }

    /// The line in the file, counted from 1.
    pub fn line(&self) -> Option<usize> {
        self.line
    }

    fn at(&self) -> String {
        match self.line {
            Some(line) => format!("{}:{line}: ", self.path.display()),
            None => format!("{}: ", self.path.display()),
        }
    }
}

/// The line, counted from 1, that byte `at` of `text` stands in.
pub fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}
