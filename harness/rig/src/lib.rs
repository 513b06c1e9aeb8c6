//! The path of one board, and many boards at once.
//!
//! Boards, broker and the sink of events are passed in; nothing here knows what is attached to the
//! bench. Everything runs on one thread: a working board costs the rig a few milliseconds, the rest
//! is waiting.

mod alarms;
pub mod attach;
mod broker_link;
mod broker_name;
mod callers;
mod check_spec;
mod connection_report;
mod crashes;
pub mod doctor;
mod error;
pub mod folders;
pub mod heap;
mod heap_bounds;
mod heap_figures;
pub mod http;
mod init;
mod instead;
mod job;
pub mod journal;
pub mod limits;
pub mod load;
pub mod log;
mod main_path;
pub mod mqtt;
mod open_console;
mod pending_callers;
mod plan;
mod pool;
mod pool_shared;
pub mod recorded;
mod relay_pair;
mod replies;
mod restart_barrier;
mod restart_check;
mod restarts;
mod run;
mod run_broker;
pub mod scenario;
pub mod session;
mod starts;
mod stop;
mod stop_request;
pub mod time_server;
mod topics;
pub mod watch;

pub use broker_link::BrokerLink;
pub use check_spec::CheckSpec;
pub use crashes::Elf;
pub use error::Error;
pub use init::{WrittenConfig, init};
pub use job::{Ended, Job};
pub use main_path::MainPath;
pub use plan::{Member, Plan};
pub use pool::{BoardsEnded, Pool, RunOutcome};
pub use recorded::{FinishedRun, RunRequest, run_job_recorded, run_recorded};
pub use replies::mismatch;
pub use run::run;
pub use run_broker::{BrokerChoice, RunBroker, RunBrokerPlan};
pub use session::Session;
pub use session::bring_up::BOOTED;
pub use stop::Stop;
pub use stop_request::StopRequest;

/// Where and how a broker is reached.
#[derive(Clone, Debug)]
pub struct BrokerEndpoint {
    /// Where the rig reaches it.
    pub host: String,
    /// Port of the listener with the run's certificate.
    pub port: u16,
    /// Port of the listener whose certificate another CA signed.
    pub impostor_port: u16,
    /// The run's CA certificate, DER.
    pub ca_der: Vec<u8>,
    /// The CA of a second certificate that the broker may show the rig, DER.
    pub second_ca_der: Option<Vec<u8>>,
    /// Certificates that the rig's own clients accept whatever their chain, name and dates are, DER, compared byte by
    /// byte. They are the subject of a case: the board judges them, and the rig must be connected to receive its
    /// messages.
    pub leaves: Vec<Vec<u8>>,
    /// A socket of this machine that leads to the broker, where TLS is done for the rig's own clients.
    pub plain: Option<std::path::PathBuf>,
    /// The name in the broker's certificate, which the boards and the rig check.
    pub server_name: String,
    /// User and password, where the broker asks for them.
    pub credentials: Option<(String, String)>,
    /// The rig's own client certificate, where the broker asks for one.
    pub client_certificate: Option<ClientCertificate>,
}

/// A certificate with its key.
#[derive(Clone)]
pub struct ClientCertificate {
    /// The certificate, and those above it, DER.
    pub chain: Vec<Vec<u8>>,
    /// The private key, DER (PKCS #8, PKCS #1 or SEC 1). A secret.
    pub key: Vec<u8>,
}

impl std::fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientCertificate")
            .field("chain", &self.chain.len())
            .finish_non_exhaustive()
    }
}
