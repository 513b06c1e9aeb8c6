//! What a pool runs on a session.

use std::time::Duration;

use async_trait::async_trait;

use crate::check_spec::CheckSpec;
use crate::plan::Plan;
use crate::session::Session;
use crate::stop::Stop;

/// A job: what a pool runs on the session of one board. The built-in path ([`MainPath`](crate::MainPath)) is a job,
/// the cases of a certification are one, and a test of one's own is one.
#[async_trait(?Send)]
pub trait Job {
    /// The checks that the job makes when it runs to its end. One that it does not reach is reported as skipped,
    /// with the reason.
    fn checks(&self, _plan: &Plan) -> Vec<CheckSpec> {
        Vec::new()
    }

    /// The longest that the job may take on one board. A board that takes longer fails.
    fn deadline(&self, plan: &Plan) -> Duration {
        plan.deadlines.board
    }

    /// Runs the job. The pool power-cycles a board that stops with [`Stop::Silent`], and runs the job a second time.
    ///
    /// # Errors
    /// Why the job ended before its end. A check that failed is no error: it is noted in the session.
    async fn run(&self, session: &Session<'_>) -> Result<(), Stop>;

    /// Judges what needs the whole job. Called once, however the job ended, while the board is still locked. The pool
    /// judges crashes and restarts.
    fn judge(&self, _session: &Session<'_>, _ended: &Ended<'_>) {}
}

/// How a job ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    /// Why it ended before its end; `None` if it ran through.
    pub stop: Option<&'a Stop>,
    /// Why a check that has no outcome by now was not reached, in words.
    pub not_reached: &'a str,
}
