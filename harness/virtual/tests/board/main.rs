//! Virtual boards as their users see them: on a serial port and a control socket.
#![allow(clippy::print_stderr, reason = "a skipped test says why")]

mod bench;
mod control;
mod esptool;
mod firmware;
#[path = "../common/http.rs"]
mod http;
mod killed;
mod loader;
#[path = "../common/process.rs"]
mod process;
#[path = "../common/victim.rs"]
mod victim;
