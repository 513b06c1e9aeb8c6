//! Brokers as they are: each described in a file of its own (`broker/software/`), and started by the
//! one driver here ([`Instance`]) with the certificates and the settings of a case.

mod contained;
mod describe;
mod error;
mod find;
mod home;
mod instance;
mod material;
mod order;
mod proof;
mod reading;
mod render;
mod serve;
mod spawned;

pub use describe::Software;
pub use error::StartError;
pub use find::Found;
pub use home::Home;
pub use instance::{Instance, InstanceFacts};
pub use material::{Material, Shown};
pub use order::{FORBIDDEN, Order};
