//! The line between board and broker, and what is seen on it.
//!
//! [`Relay`] is a plain TCP relay: it passes on every byte as it came, and reads the TLS in it from
//! outside ([`Witness`]), so that "negotiated, but ignored" is seen. Nothing is decrypted. On demand
//! it makes trouble ([`hilrig_core::certify::Line`]): delay, single bytes, a connection that breaks
//! or is reset behind a message of the handshake.

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
