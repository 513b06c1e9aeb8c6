//! The words of the field as types, and the traits at the edges. No I/O happens here.

pub mod board;
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
pub mod phase;
pub mod place;
pub mod scenario;
pub mod sections;
pub mod seeded;
pub mod series;
pub mod start;
pub mod stored;
pub mod text;
pub mod units;
pub mod verdict;
