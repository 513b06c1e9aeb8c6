//! A broker of a run, from start to stop.

use std::sync::Arc;
use std::time::Instant;

use hilrig_core::config::BrokerKind;
use hilrig_core::event::BrokerFacts;
use rustls::pki_types::CertificateDer;

use crate::engine::keeper::{self, Keeper};
use crate::engine::log_tail::LogTail;
use crate::error::BrokerError;
use crate::pki::run_certificates::Certificates;
use crate::plan::BrokerPlan;
use crate::{container, docker, process};

/// A broker that answers. Dropping stops it and waits for that; [`stop`](Broker::stop) does the same
/// without blocking.
pub struct Broker {
    job: Arc<Job>,
    ready: Ready,
    seconds: f64,
    keeper: Keeper<Ready, BrokerError>,
}

/// What the keeper's thread works from.
pub(crate) struct Job {
    pub plan: BrokerPlan,
    pub certificates: Certificates,
}

/// What is known of a broker once it answered.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    /// `container` or `process`.
    pub kind: &'static str,
    /// Image or executable.
    pub from: String,
    pub version: String,
    pub port: u16,
    pub impostor_port: u16,
}

/// Where a broker's listeners must be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    /// Of the main one, or any free one.
    pub main: Option<u16>,
    /// Of the impostor's.
    pub impostor: Option<u16>,
}

/// How a broker that was ready ended.
pub(crate) enum End {
    /// It was told to.
    Stopped,
    /// To be started anew, at the same ports.
    Restart(Ready),
    /// By itself; what was found.
    Gone(String),
}

/// The thread's end of the line.
pub(crate) type Desk = keeper::Desk<Ready, BrokerError>;

impl Broker {
    /// Starts a broker and returns when it answered a TLS connection with CONNACK. `notes` is told in a
    /// line each what was done on the way: an image that was pulled or built, a broker that could not
    /// be the preferred one.
    ///
    /// Giving up the returned future takes back whatever was started, and blocks for that.
    ///
    /// # Errors
    /// [`BrokerError`], which says what was tried, what was found, and what to do.
    pub async fn start(
        plan: BrokerPlan,
        notes: &mut dyn FnMut(String),
    ) -> Result<Broker, BrokerError> {
        let started = Instant::now();
        let certificates = Certificates::lasting(&plan.server_name, plan.longest)?;
        let job = Arc::new(Job { plan, certificates });
        let keepers = job.clone();
        let work = async move |desk: &mut Desk| match keep_restarting(&keepers, desk).await? {
            End::Stopped | End::Restart(_) => Ok(None),
            End::Gone(found) => Ok(Some(found)),
        };
        let mut keeper = Keeper::start(LogTail::default(), work)
            .map_err(BrokerError::file("start", "the broker's thread"))?;
        let ready = keeper.ready(notes).await.ok_or(BrokerError::Thread)??;
        Ok(Broker { job, ready, seconds: started.elapsed().as_secs_f64(), keeper })
    }

    /// Ends the broker and starts it anew: the same certificates, ports and login, none of its
    /// sessions. Returns when it answers again.
    ///
    /// # Errors
    /// As of [`start`](Broker::start); then there is no broker any more.
    pub async fn restart(&mut self, notes: &mut dyn FnMut(String)) -> Result<(), BrokerError> {
        self.keeper.restart();
        self.ready = self.keeper.ready(notes).await.ok_or(BrokerError::Thread)??;
        Ok(())
    }

    /// What it is, for events and records.
    pub fn facts(&self) -> BrokerFacts {
        BrokerFacts {
            kind: self.ready.kind.into(),
            software: "mosquitto".into(),
            version: self.ready.version.clone(),
            from: self.ready.from.clone(),
            tls: Some(crate::pki::run_certificates::PROFILE.into()),
            port: self.ready.port,
            seconds: self.seconds,
        }
    }

    /// Port on 127.0.0.1 of the listener with the run's certificate.
    pub fn port(&self) -> u16 {
        self.ready.port
    }

    /// Port on 127.0.0.1 of the listener whose certificate another CA signed.
    pub fn impostor_port(&self) -> u16 {
        self.ready.impostor_port
    }

    /// The run's CA certificate as PEM, for the boards.
    pub fn ca_pem(&self) -> &str {
        self.job.certificates.ca_pem()
    }

    /// The run's CA certificate as DER.
    pub fn ca_der(&self) -> &CertificateDer<'static> {
        self.job.certificates.ca_der()
    }

    /// The DNS name that its certificate is for, besides `localhost` and the address 127.0.0.1.
    pub fn server_name(&self) -> &str {
        &self.job.plan.server_name
    }

    /// User and password. Secrets.
    pub fn credentials(&self) -> (&str, &str) {
        let login = &self.job.plan.login;
        (&login.user, &login.password)
    }

    /// Resolves with what was found when the broker ends by itself. Never does if it is stopped.
    pub fn gone(&self) -> impl Future<Output = String> + use<> {
        self.keeper.gone()
    }

    /// The end of its log, bounded, every line printable.
    pub fn log(&self) -> String {
        self.keeper.log.text()
    }

    /// Stops it and returns when nothing of it is left. A second time does nothing.
    pub async fn stop(&mut self) {
        self.keeper.stop().await;
    }
}

/// Keeps a broker until its end. One that is to be started anew comes back where it was.
async fn keep_restarting(job: &Job, desk: &mut Desk) -> Result<End, BrokerError> {
    let mut ports = Ports { main: job.plan.port, impostor: None };
    loop {
        match keep(job, desk, ports).await? {
            End::Restart(ready) => {
                ports = Ports { main: Some(ready.port), impostor: Some(ready.impostor_port) };
                desk.starts_anew();
            }
            end => return Ok(end),
        }
    }
}

/// Runs the kind of broker that the plan asks for until its end.
async fn keep(job: &Job, desk: &Desk, ports: Ports) -> Result<End, BrokerError> {
    match job.plan.kind {
        BrokerKind::Process => process::serve(job, desk, ports).await,
        BrokerKind::Container => {
            let engine =
                docker::connect().await.map_err(|found| BrokerError::NoEngine { found })?;
            container::serve(&engine, job, desk, ports).await
        }
        BrokerKind::Auto => match docker::connect().await {
            Err(engine) => {
                desk.note(format!("no Docker engine answers ({engine}): the broker is a process"));
                process::serve(job, desk, ports).await.map_err(|error| match error {
                    BrokerError::NoExecutable { found: process } => {
                        BrokerError::NoBroker { engine, process }
                    }
                    error => error,
                })
            }
            Ok(engine) => match container::serve(&engine, job, desk, ports).await {
                Err(BrokerError::Stopped) => Err(BrokerError::Stopped),
                Err(error @ BrokerError::PortTaken { .. }) => Err(error),
                Err(error) => {
                    desk.note(format!("no broker in a container, so it is a process: {error}"));
                    process::serve(job, desk, ports).await.map_err(|second| match second {
                        BrokerError::NoExecutable { .. } => error,
                        second => second,
                    })
                }
                end => end,
            },
        },
    }
}
