//! The network between a board and the rig, checked before a board is blamed for not connecting.
//!
//! The network is a suspect where nothing arrives although the board's log reports that it tried, and where
//! the log reports that it lost the network. A board that reports neither is judged by its log. Then the
//! board's address is asked for any answer: a board that connects to the wrong place answers, and one whose
//! access point is dead does not.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hilrig_core::phase::Phase;
use hilrig_core::plural::counted;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::connection_report::ConnectionReport;
use crate::relay_pair::RelayPair;
use crate::session::Session;

/// A board that does not answer is asked again after this time.
const AGAIN: Duration = Duration::from_millis(250);

/// The maximum wait for one answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What arrived at the rig from a board so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Arrived {
    /// Connections to the broker; none where no relay sees them.
    connections: Option<u32>,
    time_requests: u64,
}

/// What does not answer, as text; `None` if the network works, or is no suspect.
pub(super) async fn dead(session: &Session<'_>) -> Option<String> {
    let http = session.web_server.get()?;
    let reported = session.journal.connection_report();
    let arrived = Arrived {
        connections: session.relays.get().map(RelayPair::connections),
        time_requests: session.time_requests(),
    };
    let suspect = suspicion(&reported, arrived)?;
    let page = &session.contract().http.page;
    let deadlines = &session.plan().deadlines;
    let asked = any_answer(http, page, deadlines.reply.min(PATIENCE));
    // It may be on its way back to configuration mode.
    match tokio::time::timeout(deadlines.boot, asked).await {
        Err(_) => Some(format!(
            "{suspect}, and nothing answers at the board's address {} any more: the network between the board and the rig is down. Look at its access point, cable and power",
            http.ip()
        )),
        // What arrived before proves that nothing on the way keeps the board's packets back.
        Ok(()) if arrived.connections.is_some_and(|all| all > 0) || arrived.time_requests > 0 => {
            None
        }
        // The network is back.
        Ok(()) if reported.offline.is_some() => None,
        Ok(()) => Some(format!(
            "{suspect}, and yet the rig reaches the board at {http}. Look for a firewall on this machine, and whether the board's `rig` is this machine's address in the board's network"
        )),
    }
}

/// What the rig saw of the connections of a board that failed where it was to connect, for who reads the
/// verdict.
pub(super) fn seen(session: &Session<'_>) -> Option<String> {
    if !session.journal.now_in().is_some_and(needs_broker) {
        return None;
    }
    match session.relays.get() {
        Some(relays) => Some(relays.words()),
        None if session.plan().broker_port_is_fixed => Some(
            "the rig does not see whether connections of the board arrive: [broker] has a fixed `port`, so the board connects to the broker directly".into(),
        ),
        None => None,
    }
}

/// Whether the board and the broker are about to talk.
pub(super) fn needs_broker(phase: Phase) -> bool {
    match phase {
        Phase::Lock | Phase::Flash | Phase::Boot | Phase::Configuration | Phase::ScenarioPage => {
            false
        }
        Phase::Refusal
        | Phase::Switch
        | Phase::Mqtt
        | Phase::SwitchBack
        | Phase::ScenarioHandshake
        | Phase::ScenarioPayload
        | Phase::ScenarioReconnect
        | Phase::ScenarioSoak => true,
    }
}

/// Why the network is a suspect, in words.
fn suspicion(reported: &ConnectionReport, arrived: Arrived) -> Option<String> {
    if let Some((line, words)) = &reported.offline {
        return Some(format!(
            "the board reports that it has no network, line {line} of its boot log: `{words}`"
        ));
    }
    // Where no relay sees them, they may have arrived.
    let connections = arrived.connections.map(|all| all - reported.arrived.unwrap_or(0));
    if connections != Some(0) {
        return None;
    }
    match (reported.failed, reported.asks_time) {
        (0, Some(line)) if arrived.time_requests == reported.time_requests => Some(format!(
            "the board's log reports that it asks for the time, line {line}, and no request reached the rig's time server"
        )),
        (0, _) => None,
        (failed, _) => Some(format!(
            "the board's log reports {} to connect, and no connection of it reached the rig",
            counted(failed as usize, "failed attempt")
        )),
    }
}

/// Resolves when anything answers there: a web server, or a chip that has none and refuses or closes
/// the connection.
async fn any_answer(address: SocketAddr, page: &str, patience: Duration) {
    loop {
        match tokio::time::timeout(patience, answer(address, page)).await {
            Ok(Ok(())) => return,
            Ok(Err(_)) | Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}

async fn answer(address: SocketAddr, page: &str) -> io::Result<()> {
    let mut stream = match TcpStream::connect(address).await {
        Ok(stream) => stream,
        Err(error) if is_of_the_board(&error) => return Ok(()),
        Err(error) => return Err(error),
    };
    let request = format!("GET {page} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    // A port forward accepts in the board's place: only what comes through it is the board's.
    let sent = stream.write_all(request.as_bytes()).await;
    match sent.and(stream.read(&mut [0; 1]).await.map(drop)) {
        Err(error) if !is_of_the_board(&error) => Err(error),
        _ => Ok(()),
    }
}

/// A refusal or a reset is an answer. Everything else (no route, no time left) is none.
fn is_of_the_board(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn suspected(reported: ConnectionReport, connections: Option<u32>) -> Option<String> {
        suspicion(&reported, Arrived { connections, time_requests: 1 })
    }

    #[test]
    fn what_was_reported_and_did_not_arrive_makes_the_network_a_suspect() {
        let reported =
            |failed, arrived| ConnectionReport { failed, arrived, ..ConnectionReport::default() };
        let words = suspected(reported(2, Some(1)), Some(1)).unwrap();
        assert!(words.contains("2 failed attempts to connect, and no connection"), "{words}");
        // The wire is no older than the first attempt.
        assert!(suspected(reported(1, None), Some(0)).is_some());
        let asks =
            ConnectionReport { asks_time: Some(9), time_requests: 1, ..reported(0, Some(0)) };
        let words = suspected(asks, Some(0)).unwrap();
        assert!(words.contains("asks for the time, line 9"), "{words}");
        let offline =
            ConnectionReport { offline: Some((7, "WiFi lost".into())), ..reported(0, None) };
        let words = suspected(offline, None).unwrap();
        assert!(words.ends_with("line 7 of its boot log: `WiFi lost`"), "{words}");
    }

    #[test]
    fn a_board_that_reports_no_attempt_or_whose_packets_arrived_is_judged_by_its_log() {
        let reported =
            |failed, arrived| ConnectionReport { failed, arrived, ..ConnectionReport::default() };
        assert_eq!(suspected(reported(0, Some(0)), Some(0)), None);
        assert_eq!(suspected(reported(2, Some(1)), Some(2)), None);
        // It asked, and one more request arrived than before.
        let asks = ConnectionReport { asks_time: Some(9), ..reported(0, Some(0)) };
        assert_eq!(suspected(asks, Some(0)), None);
        // No relay saw whether it arrived.
        assert_eq!(suspected(reported(2, None), None), None);
    }

    #[tokio::test]
    async fn a_refusal_and_a_close_are_answers_and_silence_is_none() {
        let deadline = Duration::from_secs(60);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // Accepted by the system, as a port forward does, and then nothing comes.
        let silent = any_answer(address, "/", Duration::from_millis(20));
        let accepted = async {
            let mut all = Vec::new();
            for _ in 0..3 {
                all.push(listener.accept().await.unwrap());
            }
        };
        tokio::select! {
            () = silent => panic!("silence is no answer"),
            () = accepted => {}
        }
        let closed = async {
            let (asked, ()) = tokio::join!(any_answer(address, "/", deadline), async {
                drop(listener.accept().await.unwrap());
            });
            asked
        };
        closed.await;
        drop(listener);
        any_answer(address, "/", deadline).await;
    }
}
