//! Checks as they are declared, next to the code that makes them.

use std::borrow::Cow;

use hilrig_core::check::Check;

/// A check that a job makes when it gets that far. One that it does not reach is reported as skipped, with the
/// reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckSpec {
    /// Stable name, unique within a job, such as `boot_log.configuration`.
    pub id: Cow<'static, str>,
    /// What the check proves, for people.
    pub title: Cow<'static, str>,
}

impl CheckSpec {
    /// A check with this id and title.
    pub const fn new(id: &'static str, title: &'static str) -> CheckSpec {
        CheckSpec { id: Cow::Borrowed(id), title: Cow::Borrowed(title) }
    }

    /// The check with its outcome: passed or failed, and what was found.
    pub fn outcome(&self, passed: bool, found: impl Into<String>) -> Check {
        Check::of(&*self.id, &*self.title, passed, found)
    }

    /// The check that could not be measured, and why.
    pub fn not_measured(&self, why: impl Into<String>) -> Check {
        Check::not_measured(&*self.id, &*self.title, why)
    }

    /// The check that the job did not reach, and why.
    pub fn skipped(&self, why: impl Into<String>) -> Check {
        Check::skipped(&*self.id, &*self.title, why)
    }
}
