//! The network between a board and the rig, proven before a board is blamed for not connecting.
//!
//! Suspect is a network over which nothing arrives although the board's log reports that it tried, or
//! that it lost the network. A board that reports neither is judged by its log. Then something at the
//! board's address is asked for an answer: a board that connects to the wrong place answers, and one
//! behind a dead access point does not.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hilrig_core::phase::Phase;
use hilrig_core::plural::counted;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::run::Bench;
use crate::walk::Walk;
use crate::wire::Wire;

/// A board that does not answer is asked again after this time.
const AGAIN: Duration = Duration::from_millis(250);

/// The longest that one answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the board's log reports of its connection, since it was last expected to connect or reported that it did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// Attempts to connect that failed.
    pub failed: u32,
    /// The line that reports that it has no network.
    pub offline: Option<(u64, String)>,
    /// Connections that had arrived before; none where no relay sees them.
    pub arrived: Option<u32>,
}

/// What is dead, in words; none where the network was proven, or is no suspect.
pub async fn dead(bench: &Bench<'_>, walk: &Walk<'_>, wire: Option<&Wire>) -> Option<String> {
    let http = walk.web_server()?;
    let reported = walk.reported();
    let arrived = wire.map(Wire::connections);
    let suspect = suspicion(&reported, arrived)?;
    let page = &bench.plan.contract.http.page;
    let deadlines = &bench.plan.deadlines;
    // It may be on its way back to configuration mode.
    let asked =
        tokio::time::timeout(deadlines.boot, any_answer(http, page, deadlines.reply.min(PATIENCE)))
            .await;
    match asked {
        Err(_) => Some(format!(
            "{suspect}, and nothing answers at the board's address {} any more: the network between the board and the rig is down. Look at its access point, cable and power",
            http.ip()
        )),
        // What arrived before proves that nothing on the way keeps the board's packets back.
        Ok(()) if arrived.is_some_and(|arrived| arrived > 0) || bench.asked_for_time(http.ip()) => {
            None
        }
        Ok(()) if reported.failed == 0 => None,
        Ok(()) => Some(format!(
            "{suspect}, nor did a request for the time, and yet the rig reaches the board at {http}. Look for a firewall on this machine, and whether the board's `rig` is this machine's address in the board's network",
        )),
    }
}

/// What the rig saw of the connections of a board that failed where it was to connect, for who reads the
/// verdict.
pub fn seen(bench: &Bench<'_>, walk: &Walk<'_>, wire: Option<&Wire>) -> Option<String> {
    if !walk.now_in().is_some_and(needs_broker) {
        return None;
    }
    match wire {
        Some(wire) => Some(wire.words()),
        None if bench.plan.broker_port_is_fixed => Some(
            "the rig does not see whether connections of the board arrive: [broker] has a fixed `port`, so the board connects to the broker directly".into(),
        ),
        None => None,
    }
}

/// Whether the board and the broker are about to talk.
pub(crate) fn needs_broker(phase: Phase) -> bool {
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
fn suspicion(reported: &Reported, arrived: Option<u32>) -> Option<String> {
    let none_arrived = match (reported.arrived, arrived) {
        (before, Some(now)) => before.unwrap_or(0) == now,
        // No relay sees them.
        (_, None) => false,
    };
    match (&reported.offline, reported.failed) {
        (Some((line, words)), _) => Some(format!(
            "the board reports that it has no network, line {line} of its boot log: `{words}`"
        )),
        (None, 0) => None,
        (None, failed) if none_arrived => Some(format!(
            "the board's log reports {} to connect, no connection of it reached the rig",
            counted(failed as usize, "failed attempt")
        )),
        (None, _) => None,
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

    #[test]
    fn a_board_that_reports_no_attempt_or_whose_connection_arrived_makes_no_suspect() {
        let reported = |failed, offline: Option<&str>, arrived| Reported {
            failed,
            offline: offline.map(|words| (7, words.to_owned())),
            arrived,
        };
        assert_eq!(suspicion(&reported(0, None, Some(0)), Some(0)), None);
        assert_eq!(suspicion(&reported(2, None, Some(1)), Some(2)), None);
        // Nobody saw whether it arrived.
        assert_eq!(suspicion(&reported(2, None, None), None), None);
        let words = suspicion(&reported(2, None, Some(1)), Some(1)).unwrap();
        assert!(words.contains("2 failed attempts to connect, no connection"), "{words}");
        // The wire is no older than the first attempt.
        assert!(suspicion(&reported(1, None, None), Some(0)).is_some());
        let words = suspicion(&reported(0, Some("WiFi lost"), None), None).unwrap();
        assert!(words.ends_with("line 7 of its boot log: `WiFi lost`"), "{words}");
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
