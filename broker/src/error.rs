//! What can go wrong with a broker.

use std::time::Duration;

/// What can go wrong with a broker. It is trouble of the bench or of the broker, never of the firmware.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// It is not on this machine.
    #[error("{broker} is not installed: {missing}. Install it (`{install}`)")]
    NotInstalled {
        /// Its title.
        broker: String,
        /// What was looked for and where.
        missing: String,
        /// The command that installs it.
        install: String,
    },
    /// It was to run in a container, and there is no way to one.
    #[error(
        "{broker} cannot be started in a container: {found}. Mend that, or set the broker's kind to \"process\""
    )]
    NoContainer {
        /// Its title.
        broker: String,
        /// What came instead.
        found: String,
    },
    /// It has no way to be set up as the case wants it.
    #[error("{broker} cannot be set up so: {reason}")]
    CannotSetUp {
        /// Its title.
        broker: String,
        /// Why, in words.
        reason: String,
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
    /// A file, a process or a port could not be had.
    #[error("cannot {what}: {found}")]
    Bench {
        /// What was tried.
        what: String,
        /// What came instead.
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
        /// For what.
        waited_for: String,
        /// What came instead.
        found: String,
        /// The end of its log.
        log: String,
    },
    /// It takes connections and closes them in the handshake.
    #[error("{broker} takes a connection and closes it in the handshake{}", tail(log))]
    ClosedAtOnce {
        /// Its title.
        broker: String,
        /// The end of its log.
        log: String,
    },
    /// What it answers is no TLS.
    #[error("{broker} speaks no TLS: {found}{}", tail(log))]
    NoTls {
        /// Its title.
        broker: String,
        /// What came.
        found: String,
        /// The end of its log.
        log: String,
    },
    /// It shows another certificate than it was given.
    #[error("{broker} shows another certificate than the one that it was given{}", tail(log))]
    OtherCertificate {
        /// Its title.
        broker: String,
        /// The end of its log.
        log: String,
    },
    /// It was stopped while it was being started.
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
