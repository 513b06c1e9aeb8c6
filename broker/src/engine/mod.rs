//! Starts any broker that is described (`broker/descriptions/`), with the certificates and the settings
//! that a plan asks for ([`Instance`]).

pub(crate) mod child;
mod contained;
pub(crate) mod folder;
mod instance;
pub(crate) mod keeper;
mod location;
pub(crate) mod log_tail;
mod order;
pub(crate) mod ports;
mod proof;
mod render;
mod serve;
mod spawned;
pub(crate) mod strays;
mod version;

pub use instance::{Instance, InstanceFacts};
pub use location::Home;
pub use order::Order;
