//! The line between board and broker, and what is seen on it.
//!
//! [`Relay`] is a plain TCP relay: it forwards every byte unchanged and parses the TLS passively ([`Witness`]), so
//! "negotiated, but ignored" is detected. Nothing is decrypted. On request it injects faults
//! ([`hilrig_core::certify::Line`]): a delay, single bytes, a connection that breaks or is reset after a handshake
//! message.

mod carry;
mod control;
mod handshake;
mod hello;
mod relay;
mod suite;
mod witness;

pub use control::Progress;
pub use relay::Relay;
pub use witness::{Witness, read_recording};
