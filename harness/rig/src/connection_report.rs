//! What the board's log reports of its connection.

/// What the board's log reports of its connection, since the board was last expected to connect or reported that it
/// did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConnectionReport {
    /// Attempts to connect that failed.
    pub failed: u32,
    /// The line that reports that it asks for the time.
    pub asks_time: Option<u64>,
    /// The line that reports that it has no network.
    pub offline: Option<(u64, String)>,
    /// Connections that had arrived before; `None` where no relay sees them.
    pub arrived: Option<u32>,
    /// Requests for the time that had arrived before.
    pub time_requests: u64,
}
