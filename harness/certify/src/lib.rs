//! The certification of brokers: each case of the matrix on a board, one after the other, and many
//! boards at once.

mod act;
mod behave;
pub mod behaviour;
mod bench;
mod board_side;
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
