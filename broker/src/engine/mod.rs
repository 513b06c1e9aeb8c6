//! Starts any broker that is described (`broker/descriptions/`), with the certificates and the settings
//! that a plan asks for ([`Instance`]).

pub(crate) mod child;
mod contained;
mod facts;
mod files;
mod folder;
mod instance;
mod keeper;
mod launch;
mod launcher;
mod location;
mod log_tail;
mod mosquitto_password;
mod place;
mod plan;
mod ports;
mod proof;
mod render;
mod serve;
mod spawned;
mod start;
pub(crate) mod strays;
mod version;

pub use facts::InstanceFacts;
pub use instance::Instance;
pub use launcher::Launcher;
pub use location::Location;
pub use plan::InstancePlan;
