//! The board on a debug probe.

pub mod board;
mod elf;
mod fault;
mod link;
pub mod list;
mod open;
mod trouble;
