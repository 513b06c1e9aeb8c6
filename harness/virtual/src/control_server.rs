//! The board's end of the control socket.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::control::{ControlCommand, ControlReply, LINE_MOST};
use crate::error::VirtualError;

/// Simultaneous clients; the next one waits.
const CLIENTS_MOST: usize = 16;
/// The longest path of a Unix socket, bytes.
const PATH_MOST: usize = 107;

/// A command and where its answer goes.
pub type ControlRequest = (ControlCommand, oneshot::Sender<ControlReply>);

/// The listening socket. Its file is removed with this value.
#[derive(Debug)]
pub struct ControlServer {
    path: PathBuf,
    requests: mpsc::Receiver<ControlRequest>,
    /// Ends the tasks that read from clients.
    _tasks: JoinSet<()>,
}

impl ControlServer {
    /// Listens at `path`. A file of a killed process is replaced: the caller has locked the folder. Needs a tokio runtime.
    pub fn listen(path: PathBuf) -> Result<ControlServer, VirtualError> {
        if path.as_os_str().len() > PATH_MOST {
            return Err(VirtualError::Folder {
                found: format!("too long for a socket, which may have {PATH_MOST} bytes"),
                path,
                help: "Give a folder with a shorter path.",
            });
        }
        let listener = remove(&path)
            .and_then(|()| UnixListener::bind(&path))
            .map_err(VirtualError::io(format!("making the control socket {}", path.display())))?;
        let (to_board, requests) = mpsc::channel(CLIENTS_MOST);
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, to_board));
        Ok(ControlServer { path, requests, _tasks: tasks })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next command of any client. Dropping the future loses nothing.
    pub async fn next(&mut self) -> ControlRequest {
        match self.requests.recv().await {
            Some(request) => request,
            // The accepting task has the other end, and lives as long as this.
            None => std::future::pending().await,
        }
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        let _ = remove(&self.path);
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

async fn accept(listener: UnixListener, to_board: mpsc::Sender<ControlRequest>) {
    let places = Arc::new(Semaphore::new(CLIENTS_MOST));
    let mut clients = JoinSet::new();
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        while clients.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let to_board = to_board.clone();
                clients.spawn(async move {
                    if let Err(error) = serve(stream, to_board).await {
                        tracing::debug!(%error, "a control client disconnected");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                // For example without free descriptors: logged, and tried again later.
                tracing::warn!(%error, "cannot accept a control client");
                drop(place);
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(stream: UnixStream, to_board: mpsc::Sender<ControlRequest>) -> io::Result<()> {
    let mut stream = BufReader::with_capacity(512, stream);
    loop {
        let mut line = Vec::new();
        (&mut stream).take(LINE_MOST).read_until(b'\n', &mut line).await?;
        if line.is_empty() {
            return Ok(());
        }
        let cut = line.len() as u64 == LINE_MOST && !line.ends_with(b"\n");
        let reply = match serde_json::from_slice(&line) {
            _ if cut => ControlReply::refused(format!("a line of over {LINE_MOST} bytes")),
            Err(error) => ControlReply::refused(format!("no command: {error}")),
            Ok(command) => {
                let (answer, answered) = oneshot::channel();
                if to_board.send((command, answer)).await.is_err() {
                    return Ok(());
                }
                match answered.await {
                    Ok(reply) => reply,
                    Err(_) => ControlReply::refused("the virtual board was stopped"),
                }
            }
        };
        let mut text = serde_json::to_vec(&reply)?;
        text.push(b'\n');
        stream.get_mut().write_all(&text).await?;
        if cut {
            return Ok(());
        }
    }
}
