//! A process with a board, to be killed: this test binary again, with its ignored test `killed::victim`.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr};

/// For a machine under load.
const DEADLINE: Duration = Duration::from_secs(30);

/// The process. It ends with this value at the latest.
pub struct Victim {
    child: Child,
    /// Open for as long as it writes.
    _said: BufReader<ChildStderr>,
}

impl Victim {
    /// Starts it; the environment variable `dir_name` has the board's folder. Returns the board's addresses
    /// when it is ready.
    pub async fn start<VirtualReady: DeserializeOwned>(
        dir_name: &str,
        dir: &Path,
    ) -> (Victim, VirtualReady) {
        let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::victim", "--ignored", "--nocapture"])
            .env(dir_name, dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        loop {
            let mut line = String::new();
            let read = tokio::time::timeout(DEADLINE, said.read_line(&mut line)).await;
            assert!(read.unwrap().unwrap() > 0, "the victim ended");
            if let Ok(ready) = serde_json::from_str(&line) {
                return (Victim { child, _said: said }, ready);
            }
        }
    }

    /// Kills it and waits for its end.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}
