//! A virtual board that runs on its own, as `hilrig virtual-board` makes it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use rustix::process::Signal;
use serde_json::Value;

use crate::PATIENCE;
use crate::artifacts;
use crate::running::{EndedProgram, RunningProgram};
use crate::sandbox::{Sandbox, path_text};

/// The board.
pub struct AttachedBoard {
    running: RunningProgram,
    /// The line that it printed when it was ready.
    pub ready: Value,
}

impl AttachedBoard {
    /// Starts the board that keeps its flash in the bench's folder `name`.
    pub fn start(sandbox: &Sandbox, name: &str) -> AttachedBoard {
        AttachedBoard::seeded(sandbox, name, 0)
    }

    /// The same with a seed, of which a new board makes its MAC.
    pub fn seeded(sandbox: &Sandbox, name: &str, seed: u64) -> AttachedBoard {
        AttachedBoard::with(sandbox, name, &["--seed", &seed.to_string()])
    }

    /// The same with the seed that the board's folder gives it.
    pub fn unseeded(sandbox: &Sandbox, name: &str) -> AttachedBoard {
        AttachedBoard::with(sandbox, name, &[])
    }

    /// The same with a debugger's socket: the CPU waits for one at each power-on.
    pub fn debugged(sandbox: &Sandbox, name: &str) -> AttachedBoard {
        AttachedBoard::with(sandbox, name, &["--gdb"])
    }

    fn with(sandbox: &Sandbox, name: &str, more: &[&str]) -> AttachedBoard {
        let boot_rom = path_text(&artifacts::boot_rom());
        let mut arguments = vec!["virtual-board", "--state", name, "--boot-rom", &boot_rom];
        arguments.extend(more);
        let mut running = sandbox.start(&arguments);
        let line = running.line_with("{");
        let ready = serde_json::from_str(&line).expect("one line of JSON");
        AttachedBoard { running, ready }
    }

    /// Its serial port.
    pub fn port(&self) -> &str {
        self.text("port")
    }

    /// Its debugger's socket.
    pub fn gdb(&self) -> &str {
        self.text("gdb")
    }

    /// Its control socket.
    pub fn control_socket(&self) -> &str {
        self.text("control")
    }

    /// Its MAC address.
    pub fn mac(&self) -> &str {
        self.text("mac")
    }

    fn text(&self, key: &str) -> &str {
        self.ready[key].as_str().unwrap_or_else(|| panic!("no {key} in {}", self.ready))
    }

    /// Its process.
    pub fn running(&self) -> &RunningProgram {
        &self.running
    }

    /// The `[[board]]` for a configuration.
    pub fn as_board(&self, name: &str) -> toml::Table {
        let mut board = toml::Table::new();
        board.insert("name".into(), name.into());
        board.insert("kind".into(), "virtual".into());
        for key in ["port", "control", "http"] {
            board.insert(key.into(), self.text(key).into());
        }
        board
    }

    /// Asks something of it on its control socket; it must be done.
    pub fn control(&self, command: &str) -> Value {
        let socket = self.control_socket();
        let mut stream = UnixStream::connect(socket).expect("the control socket takes a client");
        stream.set_read_timeout(Some(PATIENCE)).expect("a deadline can be set");
        writeln!(stream, "{command}").expect("the control socket takes a command");
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).expect("the control socket answers");
        let reply: Value = serde_json::from_str(&line).expect("the answer is JSON");
        assert_eq!(reply["ok"], true, "{command} was answered {reply}");
        reply
    }

    /// Has its serial port send a text of the test's.
    pub fn say(&self, text: &str) {
        // A command is at most 4,096 bytes, and JSON may take six for one.
        let chars: Vec<char> = text.chars().collect();
        for piece in chars.chunks(600) {
            let text: String = piece.iter().collect();
            self.control(&serde_json::json!({ "do": "say", "text": text }).to_string());
        }
    }

    /// Waits until the last byte of garbage or flood was sent. What the firmware prints in the meantime
    /// is mixed into it.
    pub fn trouble_over(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.control(r#"{"do":"status"}"#)["status"]["trouble_left"] != 0 {
            assert!(Instant::now() < deadline, "the port was not read for {PATIENCE:?}");
        }
    }

    /// Stops it in order.
    pub fn stop(self) -> EndedProgram {
        self.running.signal(Signal::TERM);
        self.running.ended()
    }
}
