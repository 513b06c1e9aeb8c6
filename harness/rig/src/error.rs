//! Why a use case of this library cannot go on.

use hilrig_core::exit;

/// Why a run, a measurement or a look at the bench cannot go on. The text says what was tried, what
/// was found and what to do next. It may contain bytes that a user or a board wrote, so print it with
/// [`hilrig_core::text::plain_lines`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// hilrig itself failed.
    #[error("{0}")]
    Internal(String),
    /// The request or the configuration cannot be used.
    #[error("{0}")]
    Usage(String),
    /// The bench has trouble of its own.
    #[error("{0}")]
    Rig(String),
}

impl Error {
    /// hilrig itself failed.
    pub fn internal(message: impl ToString) -> Error {
        Error::Internal(message.to_string())
    }

    /// The request or the configuration cannot be used.
    pub fn usage(message: impl ToString) -> Error {
        Error::Usage(message.to_string())
    }

    /// The bench has trouble of its own.
    pub fn rig(message: impl ToString) -> Error {
        Error::Rig(message.to_string())
    }

    /// The same kind of error with another text.
    pub fn reworded(self, message: String) -> Error {
        match self {
            Error::Internal(_) => Error::Internal(message),
            Error::Usage(_) => Error::Usage(message),
            Error::Rig(_) => Error::Rig(message),
        }
    }

    /// What was tried, what was found and what to do next.
    pub fn message(&self) -> &str {
        let (Error::Internal(message) | Error::Usage(message) | Error::Rig(message)) = self;
        message
    }

    /// The exit code that the binary ends with: 1, 2 or 120.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Internal(_) => exit::INTERNAL,
            Error::Usage(_) => exit::USAGE,
            Error::Rig(_) => exit::RIG_FAULT,
        }
    }
}
