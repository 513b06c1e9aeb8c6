//! The TLS brokers of the rig.
//!
//! A broker is described by a file (`broker/descriptions/`) and started by the one engine here, as a process
//! of this machine or in a container ([`Launcher`], [`Instance`]): for a run, with the certificates of that run
//! ([`Certificates`]) and an *impostor*, a second port whose certificate for the same name comes from another CA, so
//! that a check can prove that a board refuses it; for a certification, with those of each case ([`pki::Pki`]).
//! The rig's own clients ask a broker what the board asks it ([`clients`]).
//!
//! Nothing remains: stopping or dropping an [`Instance`] ends it, and the next run removes what a killed run left
//! ([`sweep`]). Private keys are only in memory, or in files of mode 0600 in the run's folder ([`RunDir`]).

pub mod clients;
mod descriptions;
mod docker;
mod engine;
mod environment;
mod error;
mod login;
mod owner;
pub mod pki;
mod program;
mod run_dir;
mod sweep;
mod tls;

pub use descriptions::{BrokerDescription, FORBIDDEN, Found};
pub use docker::{EngineStatus, engine_status};
pub use engine::{Instance, InstanceFacts, InstancePlan, Launcher, Location};
pub use error::BrokerError;
pub use hilrig_core::config::BrokerKind;
pub use login::Login;
pub use pki::run_certificates::Certificates;
pub use pki::{ClientMaterial, Material, Shown};
pub use run_dir::{RunDir, temporary_folder};
pub use sweep::sweep;
pub use tls::connack::{Answered, answer_over_tls, client_tls};
pub use tls::verifier::{CertificateJudge, Presented};

/// The name in the broker's certificate, which a board checks. `.test` is reserved (RFC 6761): it is never the name
/// of a real host.
pub const SERVER_NAME: &str = "broker.hilrig.test";
