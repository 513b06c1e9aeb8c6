//! The LM3S6965 as its users see it: by probe-rs, to which its probe is a real one.
#![allow(clippy::print_stderr, reason = "a skipped test says why")]

mod bench;
mod debugging;
mod faults;
mod firmware;
#[path = "../common/http.rs"]
mod http;
mod killed;
#[path = "../common/process.rs"]
mod process;
#[path = "../common/victim.rs"]
mod victim;
