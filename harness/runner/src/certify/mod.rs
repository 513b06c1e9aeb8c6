//! The certification of brokers: each case of the matrix on a board, one after the other, and many
//! boards at once.

pub mod behaviour;
mod bench;

pub use bench::{CaseBroker, CertifyBench, NotSetUp, Seen, Trust};
