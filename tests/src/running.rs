//! A program while it runs: its lines as they come, signals to it, and its end.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use rustix::process::{Pid, Signal};

use crate::processes;
use crate::{PATIENCE, record::Record};

/// A program that was started. Dropping it kills it: a test that fails leaves nothing running.
pub struct RunningProgram {
    child: Child,
    lines: Receiver<String>,
    stdout: String,
    stderr: Option<JoinHandle<String>>,
    what: String,
}

/// A program that has ended.
#[derive(Debug)]
pub struct EndedProgram {
    /// How.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    what: String,
}

impl RunningProgram {
    /// Starts a program and reads what it prints.
    pub fn start(mut command: Command) -> RunningProgram {
        let what = format!("{command:?}");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{what}: {error}"));
        let (sender, lines) = channel();
        let stdout = child.stdout.take().expect("standard output is a pipe");
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stdout);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&line).into_owned();
                line.clear();
                if sender.send(text).is_err() {
                    return;
                }
            }
        });
        let mut stderr = child.stderr.take().expect("standard error is a pipe");
        let stderr = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        RunningProgram { child, lines, stdout: String::new(), stderr: Some(stderr), what }
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits for the first line, among those that were not looked at yet, that has `part` in it.
    pub fn line_with(&mut self, part: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.stdout.push_str(&line);
                    if line.contains(part) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!(
                        "{}: waited {PATIENCE:?} for a line with `{part}`; it printed:\n{}",
                        self.what, self.stdout
                    )
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let _ = self.child.kill();
                    let stderr = self.stderr.take().and_then(|thread| thread.join().ok());
                    panic!(
                        "{}: it ended before a line with `{part}`; it printed:\n{}{}",
                        self.what,
                        self.stdout,
                        stderr.unwrap_or_default()
                    )
                }
            }
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        // It was not waited for yet, so the pid is its own, dead or alive.
        rustix::process::kill_process(self.pid(), signal)
            .unwrap_or_else(|error| panic!("{}: sending {signal:?}: {error}", self.what));
    }

    /// Waits for its end.
    pub fn ended(mut self) -> EndedProgram {
        processes::wait_gone(self.pid(), &self.what);
        let status = self.child.wait().expect("a child can be waited for");
        let deadline = Instant::now() + PATIENCE;
        // Whatever has inherited the pipe would hold it open.
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.stdout.push_str(&line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("{}: it has ended, and something holds its standard output", self.what)
                }
            }
        }
        let stderr = self.stderr.take().expect("only the end takes it");
        EndedProgram {
            status,
            stdout: std::mem::take(&mut self.stdout),
            stderr: stderr.join().expect("reading never panics"),
            what: std::mem::take(&mut self.what),
        }
    }
}

impl Drop for RunningProgram {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl EndedProgram {
    /// Its exit code must be `code`.
    #[track_caller]
    pub fn with_code(self, code: u8) -> EndedProgram {
        assert_eq!(self.status.code(), Some(i32::from(code)), "exit code of {self}");
        self
    }

    /// Standard error must hold `part`.
    #[track_caller]
    pub fn saying(self, part: &str) -> EndedProgram {
        assert!(self.stderr.contains(part), "`{part}` is not on standard error of {self}");
        self
    }

    /// Standard output must hold `part`.
    #[track_caller]
    pub fn showing(self, part: &str) -> EndedProgram {
        assert!(self.stdout.contains(part), "`{part}` is not on standard output of {self}");
        self
    }

    /// The record that it names in its output.
    #[track_caller]
    pub fn record_in(&self, folder: &std::path::Path) -> Record {
        let named = self.stdout.lines().rev().find_map(|line| line.strip_prefix("record: "));
        Record::open(&folder.join(named.unwrap_or_else(|| panic!("no record is named by {self}"))))
    }
}

impl std::fmt::Display for EndedProgram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let EndedProgram { status, stdout, stderr, what } = self;
        write!(f, "{what}\nended: {status}\nstandard output:\n{stdout}\nstandard error:\n{stderr}")
    }
}
