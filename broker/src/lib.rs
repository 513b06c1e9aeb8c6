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
pub mod clients;
mod container;
mod descriptions;
mod docker;
mod engine;
mod environment;
mod error;
mod mosquitto;
mod owner;
pub mod pki;
mod plan;
mod process;
mod program;
mod run_dir;
mod start_error;
mod sweep;
mod tls;

pub use broker::Broker;
pub use descriptions::{FORBIDDEN, Found, Software};
pub use docker::{EngineStatus, engine_status};
pub use engine::{Home, Instance, InstanceFacts, Order};
pub use error::BrokerError;
pub use hilrig_core::config::BrokerKind;
pub use pki::run_certificates::{Certificates, Leaf};
pub use pki::{Material, Shown};
pub use plan::{BrokerPlan, Login, SERVER_NAME};
pub use run_dir::{RunDir, temporary_folder};
pub use start_error::StartError;
pub use sweep::sweep;
pub use tls::connack::{Answered, answer_over_tls, client_tls};
pub use tls::verifier::{CertificateJudge, Presented};
