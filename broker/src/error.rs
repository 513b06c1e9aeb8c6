//! What can go wrong with a broker.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// What can go wrong with a broker. Every one is the bench's trouble, never the firmware's.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The system has no random numbers.
    #[error("no random numbers from the system for the broker's password or keys")]
    Random,
    /// A certificate could not be made.
    #[error("cannot make the run's certificates: {0}")]
    Certificates(#[from] rcgen::Error),
    /// A file of the broker could not be written or read.
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// No Docker engine, and a container was asked for.
    #[error(
        "no Docker engine answers: {found}. Start one (`systemctl start docker`), or install it \
         (`apt-get install docker.io`), or set the broker's kind to \"process\""
    )]
    NoEngine {
        /// What came instead of an answer.
        found: String,
    },
    /// No Mosquitto on this machine, and a process was asked for.
    #[error(
        "no Mosquitto on this machine: {found}. Install it (`apt-get install mosquitto`), or name \
         the executable in the configuration"
    )]
    NoExecutable {
        /// What was looked for and where.
        found: String,
    },
    /// Neither an engine nor a Mosquitto.
    #[error(
        "no broker can be started. As a container: {engine}. As a process: {process}. Start Docker \
         (`systemctl start docker`), or install Mosquitto (`apt-get install mosquitto`)"
    )]
    NoBroker {
        /// Why not in a container.
        engine: String,
        /// Why not as a process.
        process: String,
    },
    /// The engine has no image, none could be pulled and none be built.
    #[error(
        "no image for the broker. Pulling {image}: {pull}. Building one from this machine's \
         Mosquitto: {build}. Install Mosquitto (`apt-get install mosquitto`), or pull the image \
         where there is a network (`docker pull {image}`)"
    )]
    NoImage {
        /// The image.
        image: String,
        /// Why it could not be pulled.
        pull: String,
        /// Why none could be built.
        build: String,
    },
    /// The image could not be pulled, and there is no other way to it.
    #[error("the image {image} cannot be pulled: {pull}")]
    NotPulled {
        /// The image.
        image: String,
        /// Why.
        pull: String,
    },
    /// The port of the configuration is taken.
    #[error(
        "port {port} of the broker is taken: {found}. End that program (`ss -ltnp 'sport = :{port}'` \
         names it), or take the port out of the configuration, and any free one is used"
    )]
    PortTaken {
        /// The port.
        port: u16,
        /// What was found there.
        found: String,
    },
    /// The engine or the system did not start it, or it ended at once.
    #[error("the broker ({from}) did not start: {found}{}", tail(log))]
    NotStarted {
        /// Image or executable.
        from: String,
        /// What was found.
        found: String,
        /// The end of its log.
        log: String,
    },
    /// It runs, but it is of no use.
    #[error(
        "the broker ({from}) is not ready: waited {:.1} s for {waited_for}, but {found}{}",
        waited.as_secs_f64(), tail(log)
    )]
    NotReady {
        /// Image or executable.
        from: String,
        /// For how long.
        waited: Duration,
        /// For what.
        waited_for: &'static str,
        /// What came instead.
        found: String,
        /// The end of its log.
        log: String,
    },
    /// It was told to stop while it was being started.
    #[error("the broker was stopped while it was being started")]
    Stopped,
    /// The broker's own thread is gone: a fault in this program.
    #[error("the thread that looks after the broker ended without a word; this is a bug in hilrig")]
    Thread,
}

impl BrokerError {
    /// For `map_err` on a file operation.
    pub(crate) fn file(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> BrokerError {
        let path = path.into();
        move |source| BrokerError::File { what, path, source }
    }
}

fn tail(log: &str) -> String {
    match log.trim_end() {
        "" => ". Its log is empty".into(),
        log => format!(". The end of its log:\n{log}"),
    }
}
