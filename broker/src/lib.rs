//! The TLS broker of a run.
//!
//! Each run gets a broker of its own: a private CA and a leaf made for it ([`Certificates`]), a user
//! and a password, and Mosquitto with two TLS listeners: the one that the boards are to use, and an
//! *impostor* whose certificate for the same name comes from another CA, so that a check can prove
//! that a board refuses it. Mosquitto runs in a container, or as a process of this machine with the
//! same configuration ([`Broker`]).
//!
//! Nothing is left behind: stopping or dropping the [`Broker`] ends it, and what a killed run left is
//! swept by the next one ([`sweep`]). Private keys are in memory, in the container, or in files of
//! mode 0600 in the run's folder ([`RunDir`]), and nowhere else.

mod broker;
mod certs;
mod child;
pub mod clients;
mod connack;
mod container;
mod engine;
mod environment;
mod error;
mod folder;
mod front;
mod image;
mod keeper;
mod logtail;
mod mosquitto;
mod owner;
pub mod pki;
mod plan;
mod ports;
mod process;
mod program;
mod rundir;
pub mod software;
mod strays;
mod sweep;

pub use broker::Broker;
pub use certs::{Certificates, Leaf};
pub use connack::{Answered, answer_over_tls, client_tls};
pub use engine::{EngineStatus, engine_status};
pub use error::BrokerError;
pub use hilrig_core::config::BrokerKind;
pub use plan::{BrokerPlan, Login, SERVER_NAME};
pub use rundir::{RunDir, temporary_folder};
pub use sweep::sweep;
