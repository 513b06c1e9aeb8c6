//! The certification of brokers: each case of the matrix on a board, one after the other, and many
//! boards at once.

mod act;
mod behave;
pub mod behaviour;
mod bench;
mod case;
mod judge;
mod queue;
mod ruled;
mod run;
mod settings;
mod storm;

pub use bench::{CaseBroker, CertifyBench, NotSetUp, Seen, Trust};
pub use run::{Certification, certify};

pub(crate) use case::Share;
