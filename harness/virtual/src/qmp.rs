//! QEMU's machine protocol, for a board's reset and network link: JSON lines over a socket that QEMU
//! inherits, which needs no file.

use std::io;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// QEMU answers in well under a millisecond; a machine under load gets time.
const ANSWER: Duration = Duration::from_secs(10);
/// QEMU's lines are short; a longer one is no QMP.
const LINE_MOST: usize = 64 * 1024;

/// The connection to one QEMU.
#[derive(Debug)]
pub struct Qmp {
    stream: BufReader<UnixStream>,
    line: Vec<u8>,
}

impl Qmp {
    /// Over QEMU's socket.
    pub fn new(stream: UnixStream) -> Qmp {
        Qmp { stream: BufReader::with_capacity(1024, stream), line: Vec::new() }
    }

    /// Waits for the greeting and ends the negotiation. QEMU answers when the machine
    /// runs.
    pub async fn begin(&mut self) -> io::Result<()> {
        self.execute("qmp_capabilities", json!({})).await
    }

    /// Runs a command and waits for its answer.
    pub async fn execute(&mut self, command: &str, arguments: Value) -> io::Result<()> {
        let mut request = json!({ "execute": command, "arguments": arguments }).to_string();
        request.push('\n');
        let answer = async {
            self.stream.get_mut().write_all(request.as_bytes()).await?;
            loop {
                let line = self.message().await?;
                if line.get("return").is_some() {
                    return Ok(());
                }
                if let Some(error) = line.get("error") {
                    return Err(io::Error::other(format!("QEMU refused `{command}`: {error}")));
                }
            }
        };
        timeout(ANSWER, answer).await.unwrap_or_else(|_| {
            Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("QEMU did not answer `{command}` within {ANSWER:?}"),
            ))
        })
    }

    /// Reads QEMU's events, so that they do not pile up. Returns when the connection is gone; dropping the
    /// future loses nothing.
    pub async fn drain(&mut self) -> io::Error {
        loop {
            match self.message().await {
                Ok(event) => tracing::trace!(%event, "QMP"),
                Err(error) => return error,
            }
        }
    }

    async fn message(&mut self) -> io::Result<Value> {
        loop {
            let chunk = self.stream.fill_buf().await?;
            if chunk.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let end = chunk.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            let taken = end.unwrap_or(chunk.len());
            if self.line.len() + taken > LINE_MOST {
                return Err(io::Error::other("QEMU's machine protocol sent an endless line"));
            }
            self.line.extend_from_slice(&chunk[..taken]);
            self.stream.consume(taken);
            if end.is_some() {
                let message = serde_json::from_slice(&self.line)?;
                self.line.clear();
                return Ok(message);
            }
        }
    }
}
