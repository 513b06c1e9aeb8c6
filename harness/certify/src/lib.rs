//! Certification of brokers: which TLS settings of which broker work with a small device.
//!
//! Each case of the matrix runs on a board, many boards in parallel, and is judged.

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
