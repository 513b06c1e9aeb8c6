//! Which serial port a board of the configuration is on.

pub mod access;
pub mod discover;
pub mod port_cache;
pub mod query;
pub mod search;
pub mod usb;
