//! What a board's log reports of its connection to the rig, held against what arrived.

use hilrig_core::plural::counted;

/// What the board's log reports of its connection, since it was last expected to connect or reported that it did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConnectionReports {
    /// Attempts to connect that failed.
    pub failed: u32,
    /// The line that reports that it asks for the time.
    pub asks_time: Option<u64>,
    /// The line that reports that it has no network.
    pub offline: Option<(u64, String)>,
    /// What had arrived before.
    pub before: Arrived,
}

/// What arrived at the rig from a board so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arrived {
    /// Connections to the broker; none where no relay sees them.
    pub connections: Option<u32>,
    /// Requests for the time.
    pub time_requests: u64,
}

/// Why the network is a suspect, in words; `None` where the board's log is to be believed.
pub(crate) fn suspicion(reported: &ConnectionReports, arrived: Arrived) -> Option<String> {
    if let Some((line, words)) = &reported.offline {
        return Some(format!(
            "the board reports that it has no network, line {line} of its boot log: `{words}`"
        ));
    }
    // Where no relay sees them, they may have arrived.
    let connections = arrived.connections.map(|all| all - reported.before.connections.unwrap_or(0));
    if connections != Some(0) {
        return None;
    }
    match (reported.failed, reported.asks_time) {
        (0, Some(line)) if arrived.time_requests == reported.before.time_requests => Some(format!(
            "the board's log reports that it asks for the time, line {line}, and no request reached the rig's time server"
        )),
        (0, _) => None,
        (failed, _) => Some(format!(
            "the board's log reports {} to connect, and no connection of it reached the rig",
            counted(failed as usize, "failed attempt")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suspected(reported: ConnectionReports, connections: Option<u32>) -> Option<String> {
        suspicion(&reported, Arrived { connections, time_requests: 1 })
    }

    #[test]
    fn what_was_reported_and_did_not_arrive_makes_the_network_a_suspect() {
        let reported = |failed, connections| ConnectionReports {
            failed,
            before: Arrived { connections, time_requests: 1 },
            ..ConnectionReports::default()
        };
        let words = suspected(reported(2, Some(1)), Some(1)).unwrap();
        assert!(words.contains("2 failed attempts to connect, and no connection"), "{words}");
        // The wire is no older than the first attempt.
        assert!(suspected(reported(1, None), Some(0)).is_some());
        let asks = ConnectionReports { asks_time: Some(9), ..reported(0, Some(0)) };
        let words = suspected(asks, Some(0)).unwrap();
        assert!(words.contains("asks for the time, line 9"), "{words}");
        let offline =
            ConnectionReports { offline: Some((7, "WiFi lost".into())), ..reported(0, None) };
        let words = suspected(offline, None).unwrap();
        assert!(words.ends_with("line 7 of its boot log: `WiFi lost`"), "{words}");
    }

    #[test]
    fn a_board_that_reports_no_attempt_or_whose_packets_arrived_is_judged_by_its_log() {
        let reported = |failed, connections| ConnectionReports {
            failed,
            before: Arrived { connections, time_requests: 1 },
            ..ConnectionReports::default()
        };
        assert_eq!(suspected(reported(0, Some(0)), Some(0)), None);
        assert_eq!(suspected(reported(2, Some(1)), Some(2)), None);
        // It asked, and one more request arrived than before.
        let before = Arrived { connections: Some(0), time_requests: 0 };
        let asks = ConnectionReports { asks_time: Some(9), before, ..reported(0, None) };
        assert_eq!(suspected(asks, Some(0)), None);
        // Nobody saw whether it arrived.
        assert_eq!(suspected(reported(2, None), None), None);
    }
}
