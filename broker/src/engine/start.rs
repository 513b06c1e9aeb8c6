//! Starts a broker from its written files and waits for its answer.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout_at};

use super::keeper::Desk;
use super::launch::Launch;
use super::place::{HELPERS_GRACE, Place, Ports, bench, fill};
use super::proof::{NotYet, Prover};
use super::spawned::Spawned;
use crate::error::BrokerError;

/// Time between two polls of a port: there is no notification when one opens.
const BETWEEN: Duration = Duration::from_millis(50);
/// A broker that reports that it is up, and then closes every connection or gives a wrong answer
/// for this long, is not going to recover.
const TO_SETTLE: Duration = Duration::from_secs(5);

impl Place<'_> {
    /// Starts it at these ports, from its written files, and returns when it has answered.
    pub(super) async fn start(
        &self,
        ports: &Ports,
        deadline: Instant,
        desk: &Desk,
    ) -> Result<(Spawned, Option<Spawned>), BrokerError> {
        let software = self.software;
        let renderer = self.renderer(ports)?;
        let mut helper = match (&software.helper, &self.found.helper) {
            (Some(helper), Some(program)) => {
                let arguments = fill(&renderer, &helper.arguments)?;
                let launch = self.launch("helper", program, arguments, &renderer)?;
                Some(self.start_helper(launch, ports[&helper.port], deadline, desk).await?)
            }
            _ => None,
        };
        let own = self.container().and_then(|container| container.arguments.as_ref());
        let arguments = fill(&renderer, own.unwrap_or(&software.run.arguments))?;
        let launch = self.launch(&software.title, &self.found.program, arguments, &renderer)?;
        let started = Spawned::start(&launch, &self.at, desk.log.clone(), deadline).await;
        let mut running = match started {
            Ok(running) => running,
            Err(found) => {
                self.stop(None, helper.take(), ports).await;
                return Err(bench(&format!("run {}", self.from()))(found));
            }
        };
        let answered = tokio::select! {
            answered = self.until_it_answers(&mut running, ports["mqtt"], deadline, desk) => answered,
            () = desk.stopped() => Err(BrokerError::Stopped),
        };
        match answered {
            Ok(()) => Ok((running, helper)),
            Err(error) => {
                self.stop(Some(&mut running), helper.take(), ports).await;
                Err(error)
            }
        }
    }

    async fn start_helper(
        &self,
        launch: Launch<'_>,
        port: u16,
        deadline: Instant,
        desk: &Desk,
    ) -> Result<Spawned, BrokerError> {
        let what = format!("start what {} needs beside it", self.software.title);
        let started = Spawned::start(&launch, &self.at, desk.log.clone(), deadline).await;
        let mut helper = started.map_err(bench(&what))?;
        let open = async {
            while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
                sleep(BETWEEN).await;
            }
        };
        let found = tokio::select! {
            open = timeout_at(deadline.into(), open) => match open {
                Ok(()) => return Ok(helper),
                Err(_) => format!("nobody listens at port {port}"),
            },
            found = helper.ended() => found,
            () = desk.stopped() => "the broker was stopped".into(),
        };
        helper.stop(Signal::KILL, HELPERS_GRACE, async {}).await;
        Err(bench(&what)(found))
    }

    async fn until_it_answers(
        &self,
        running: &mut Spawned,
        port: u16,
        deadline: Instant,
        desk: &Desk,
    ) -> Result<(), BrokerError> {
        let broker = || self.software.title.clone();
        let log = || desk.log.last_lines();
        let started = Instant::now();
        let never = |waited_for: &str, found: String| BrokerError::NeverReady {
            broker: broker(),
            waited: started.elapsed(),
            waited_for: waited_for.to_owned(),
            found,
            log: log(),
        };
        if self.software.ready.log.is_some() {
            timeout_at(deadline.into(), running.up())
                .await
                .map_err(|_| never("it to say that it is up", "it did not".into()))?
                .map_err(|found| BrokerError::Ended { broker: broker(), found, log: log() })?;
        }
        let address = self.address(port);
        let prover = Prover::new(self.software, self.order, address)
            .map_err(bench("set up the rig's TLS"))?;
        let mut settled: Option<Instant> = None;
        loop {
            let asked = tokio::select! {
                asked = timeout_at(deadline.into(), prover.ask()) => asked,
                found = running.ended() => {
                    return Err(BrokerError::Ended { broker: broker(), found, log: log() });
                }
            };
            let found = match asked {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(found)) => found,
                Err(_) => NotYet::Other("nothing came".into()),
            };
            // There is no time for another try.
            let over = Instant::now() + BETWEEN >= deadline;
            let stays = match found {
                NotYet::Refused => false,
                _ => settled.get_or_insert_with(Instant::now).elapsed() >= TO_SETTLE,
            };
            match found {
                NotYet::NoTls(found) => {
                    return Err(BrokerError::NoTls { broker: broker(), found, log: log() });
                }
                NotYet::Closed if over || stays => {
                    return Err(BrokerError::ClosedAtOnce { broker: broker(), log: log() });
                }
                NotYet::OtherCertificate if over || stays => {
                    return Err(BrokerError::OtherCertificate { broker: broker(), log: log() });
                }
                NotYet::Refused if over => {
                    let found = format!("nobody listens at {address}");
                    return Err(never("a CONNACK over TLS", found));
                }
                NotYet::Other(found) if over || stays => {
                    return Err(never("a CONNACK over TLS", found));
                }
                _ => {}
            }
            tokio::select! {
                () = sleep(BETWEEN) => {}
                found = running.ended() => {
                    return Err(BrokerError::Ended { broker: broker(), found, log: log() });
                }
            }
        }
    }
}
