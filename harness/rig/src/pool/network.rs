//! The network between a board and the rig, proven before a board is blamed for not connecting.
//!
//! The network is a suspect where nothing arrives although the board's log reports that it tried, and where
//! the log reports that it lost the network. A board that reports neither is judged by its log. Then the
//! board's address is asked for any answer: a board that connects to the wrong place answers, and one whose
//! access point is dead does not.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hilrig_core::phase::Phase;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::connection_reports::suspicion;
use crate::session::Session;

/// A board that does not answer is asked again after this time.
const AGAIN: Duration = Duration::from_millis(250);

/// The longest that one answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is dead, in words; none where the network was proven, or is no suspect.
pub(super) async fn dead(session: &Session<'_>) -> Option<String> {
    let server = session.web_server().ok()?;
    let reported = session.connection.borrow().clone();
    let arrived = session.arrived();
    let suspect = suspicion(&reported, arrived)?;
    let page = &session.contract().http.page;
    let deadlines = &session.plan().deadlines;
    let asked = any_answer(server, page, deadlines.reply.min(PATIENCE));
    // It may be on its way back to configuration mode.
    match tokio::time::timeout(deadlines.boot, asked).await {
        Err(_) => Some(format!(
            "{suspect}, and nothing answers at the board's address {} any more: the network between the board and the rig is down. Look at its access point, cable and power",
            server.ip()
        )),
        // What arrived before proves that nothing on the way keeps the board's packets back.
        Ok(()) if arrived.connections.unwrap_or(0) > 0 || arrived.time_requests > 0 => None,
        // The network is back.
        Ok(()) if reported.offline.is_some() => None,
        Ok(()) => Some(format!(
            "{suspect}, and yet the rig reaches the board at {server}. Look for a firewall on this machine, and whether the board's `rig` is this machine's address in the board's network"
        )),
    }
}

/// What the rig saw of the connections of a board that failed where it was to connect, for who reads the
/// verdict.
pub(super) fn seen(session: &Session<'_>) -> Option<String> {
    if !session.journal.now_in().is_some_and(needs_broker) {
        return None;
    }
    match session.wire.get() {
        Some(wire) => Some(wire.words()),
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
