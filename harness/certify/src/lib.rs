//! The certification of brokers: which TLS settings of which broker a small device can talk to.
//!
//! Each case of the matrix is run on a board, on many boards at once, and judged.

mod act;
mod behave;
pub mod behaviour;
mod bench;
mod board_side;
pub mod brokers;
mod case;
mod judge;
mod on_board;
mod queue;
mod ruled;
mod run;
mod settings;
mod shared;
mod storm;
mod storm_state;
mod work;

pub use bench::{CaseBroker, CertifyBench, NotSetUp, Seen, Trust};
pub use run::certify;
pub use shared::Certification;
