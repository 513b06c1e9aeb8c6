//! What the end-to-end suites share: a bench in a folder of its own, the binary `hilrig` on it,
//! virtual boards that run on their own, and the record that a run leaves.
//!
//! The suites run the built binary, so it has to be there: `make test` builds it and the firmware
//! first. What is missing is a failure that names the command, never a test that passes.

pub mod artifacts;
pub mod attached;
pub mod browser;
pub mod docs;
pub mod engine;
pub mod gdb;
pub mod guest_heap;
pub mod hold;
pub mod machine;
pub mod outside_broker;
pub mod processes;
pub mod record;
pub mod redact;
pub mod running;
pub mod sandbox;
pub mod skip;
pub mod terminal;
pub mod usb;

use std::time::Duration;

/// For anything that is waited for: far more than it takes, and more than the longest deadline of
/// the runs here, so that a run that hangs is ended by its own deadline, which names the place.
pub const PATIENCE: Duration = Duration::from_secs(300);
