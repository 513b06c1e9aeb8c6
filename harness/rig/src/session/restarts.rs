//! Restarts of the board that the rig did not ask for.

use crate::restart_check;
use crate::restarts::Restarts;
use crate::session::Session;

impl Session<'_> {
    /// How many restarts of the board the rig did not ask for, so far.
    pub fn restarts(&self) -> u64 {
        self.journal.restarts(Restarts::count)
    }

    /// The first restart after the first `count` of them, in words; `None` if there is none.
    pub fn restart_after(&self, count: u64) -> Option<String> {
        self.journal.restarts(|restarts| restarts.words_after(count))
    }

    /// Waits until there is a restart after the first `count` of them; which, in words. Has no deadline.
    pub async fn restarted_after(&self, count: u64) -> String {
        restart_check::one_more_than(count, &self.journal, &self.log).await
    }

    /// Waits until the board prints nothing more for a moment: the explanation of a failure may be in transit.
    pub async fn settle_log(&self) {
        self.journal.waiting(self.log.settle()).await;
    }
}
