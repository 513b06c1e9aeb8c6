//! The types that all crates share (boards, events, checks, configuration), and the traits at the edges. There is
//! no I/O here.

pub mod board;
pub mod board_kind;
pub mod callers;
pub mod certify;
pub mod check;
pub mod config;
pub mod contract;
pub mod crash;
pub mod event;
pub mod exit;
pub mod heap;
pub mod image;
pub mod leak;
pub mod line;
pub mod mac;
pub mod mask;
pub mod phase;
pub mod place;
pub mod plural;
pub mod reading;
pub mod scenario;
pub mod secrets;
pub mod sections;
pub mod seeded;
pub mod series;
pub mod slip;
pub mod start;
pub mod stored;
pub mod text;
pub mod units;
pub mod verdict;
