//! The errors of a broker.

use std::time::Duration;

/// An error of a broker. It is a fault of the bench or of the broker, never of the firmware.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// It is not installed on this machine.
    #[error("{broker} is not installed: {missing}. Install it (`{install}`)")]
    NotInstalled {
        /// Its title.
        broker: String,
        /// What was searched for, and where.
        missing: String,
        /// The command that installs it.
        install: String,
    },
    /// It must run in a container, and no container can be started.
    #[error(
        "{broker} cannot be started in a container: {found}. Mend that, or set the broker's kind to \"process\""
    )]
    NoContainer {
        /// Its title.
        broker: String,
        /// The reason.
        found: String,
    },
    /// It does not support the set-up of the case.
    #[error("{broker} cannot be set up so: {reason}")]
    CannotSetUp {
        /// Its title.
        broker: String,
        /// Why, as text.
        reason: String,
    },
    /// The configured port is in use.
    #[error(
        "port {port} of the broker is taken: {found}. End that program (`ss -ltnp 'sport = :{port}'` \
         names it), or take the port out of the configuration, and any free one is used"
    )]
    PortTaken {
        /// The port.
        port: u16,
        /// What uses it.
        found: String,
    },
    /// A file, a process or a port is not available.
    #[error("cannot {what}: {found}")]
    Bench {
        /// What was tried.
        what: String,
        /// The reason.
        found: String,
    },
    /// It ended before it was ready.
    #[error("{broker} ended before it was ready: {found}{}", tail(log))]
    Ended {
        /// Its title.
        broker: String,
        /// How.
        found: String,
        /// The end of its log.
        log: String,
    },
    /// It was not ready in time.
    #[error("{broker} is not ready: waited {:.1} s for {waited_for}, but {found}{}", waited.as_secs_f64(), tail(log))]
    NeverReady {
        /// Its title.
        broker: String,
        /// For how long.
        waited: Duration,
        /// What it was waiting for.
        waited_for: String,
        /// What came instead.
        found: String,
        /// The end of its log.
        log: String,
    },
    /// It accepts connections and closes them in the handshake.
    #[error("{broker} takes a connection and closes it in the handshake{}", tail(log))]
    ClosedAtOnce {
        /// Its title.
        broker: String,
        /// The end of its log.
        log: String,
    },
    /// Its answer is not TLS.
    #[error("{broker} speaks no TLS: {found}{}", tail(log))]
    NoTls {
        /// Its title.
        broker: String,
        /// The answer.
        found: String,
        /// The end of its log.
        log: String,
    },
    /// It presents another certificate than it was given.
    #[error("{broker} shows another certificate than the one that it was given{}", tail(log))]
    OtherCertificate {
        /// Its title.
        broker: String,
        /// The end of its log.
        log: String,
    },
    /// It was stopped during its start.
    #[error("the broker was stopped while it was being started")]
    Stopped,
}

impl BrokerError {
    /// The system has no random numbers.
    pub(crate) fn no_random_numbers() -> BrokerError {
        BrokerError::Bench {
            what: "make a password".into(),
            found: "the system has no random numbers".into(),
        }
    }
}

fn tail(log: &str) -> String {
    match log.trim_end() {
        "" => ". Its log is empty".into(),
        log => format!(". The end of its log:\n{log}"),
    }
}
