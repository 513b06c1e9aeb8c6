//! Mosquitto as a process of this machine.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout_at;

use crate::broker::{Desk, End, Job, Ports, Ready};
use crate::engine::child::Running;
use crate::engine::folder::Folder;
use crate::engine::log_tail::LogTail;
use crate::engine::{ports, strays};
use crate::error::BrokerError;
use crate::mosquitto::{self, Listeners};
use crate::tls::connack::{answer_over_tls, client_tls};
use crate::{environment, program};

/// Between SIGTERM and SIGKILL. It needs about a millisecond.
const TO_END: Duration = Duration::from_secs(3);
/// So many pairs of free ports are tried when somebody else is quicker.
const TRIES: usize = 5;

/// Starts it, tells that it is ready, and stays until it ends. Nothing that it started is left then.
pub(crate) async fn serve(job: &Job, desk: &Desk, ports: Ports) -> Result<End, BrokerError> {
    let folder = Folder::create(&job.plan.dir)?;
    let served = serve_in(&folder, job, desk, ports).await;
    strays::end(folder.path());
    served
}

async fn serve_in(
    folder: &Folder,
    job: &Job,
    desk: &Desk,
    ports: Ports,
) -> Result<End, BrokerError> {
    let executable = program::look_up(&job.plan.executable)
        .map_err(|found| BrokerError::NoExecutable { found })?;
    let deadline = Instant::now() + job.plan.deadline;
    let mut free = ports::free(&job.plan.run);
    let mut tries = 0;
    let (mut running, port, impostor_port) = loop {
        tries += 1;
        let port = match ports.main {
            Some(port) => match ports::taken(port) {
                Some(found) => return Err(BrokerError::PortTaken { port, found }),
                None => port,
            },
            None => next(&mut free)?,
        };
        let impostor_port = match ports.impostor {
            Some(port) => port,
            None => next(&mut free.by_ref().filter(|other| *other != port))?,
        };
        folder.fill(&mosquitto::files(
            folder.path(),
            Listeners { address: job.plan.listen, port, impostor_port },
            &job.certificates,
            &job.plan.login,
        )?)?;
        let mut running = start(&executable, folder.path(), &desk.log)?;
        let said = tokio::select! {
            said = until_it_says_running(&mut running, deadline) => said,
            () = desk.stopped() => {
                stop(&mut running, port).await;
                return Err(BrokerError::Stopped);
            }
        };
        match said {
            Ok(()) => break (running, port, impostor_port),
            Err(found) => {
                stop(&mut running, port).await;
                let log = desk.log.last_lines();
                if mosquitto::address_in_use(&log) && tries < TRIES {
                    continue;
                }
                let from = executable.display().to_string();
                return Err(BrokerError::NotStarted { from, found, log });
            }
        }
    };
    let answered = tokio::select! {
        answered = prove(job, port, deadline) => answered,
        ended = running.ended() => Err(ended),
        () = desk.stopped() => {
            stop(&mut running, port).await;
            return Err(BrokerError::Stopped);
        }
    };
    if let Err(found) = answered {
        stop(&mut running, port).await;
        return Err(BrokerError::NotReady {
            from: executable.display().to_string(),
            waited: job.plan.deadline.saturating_sub(deadline - Instant::now()),
            waited_for: "a CONNACK over TLS",
            found,
            log: desk.log.last_lines(),
        });
    }
    let ready = Ready {
        kind: "process",
        from: executable.display().to_string(),
        version: desk.log.up().unwrap_or_default(),
        port,
        impostor_port,
    };
    desk.ready(ready.clone());
    tokio::select! {
        found = running.ended() => Ok(End::Gone(found)),
        () = desk.stopped() => {
            stop(&mut running, port).await;
            Ok(End::Stopped)
        }
        () = desk.restart_asked() => {
            stop(&mut running, port).await;
            Ok(End::Restart(ready))
        }
    }
}

fn next(ports: &mut impl Iterator<Item = u16>) -> Result<u16, BrokerError> {
    ports.next().ok_or_else(|| {
        BrokerError::file("find", "a free port for the broker")(io::ErrorKind::AddrInUse.into())
    })
}

/// The broker answers a CONNECT with the run's login over TLS that the run's CA verifies. The error
/// says what came instead.
pub(crate) async fn prove(job: &Job, port: u16, deadline: Instant) -> Result<(), String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let tls = client_tls(job.certificates.ca_der()).map_err(|error| error.to_string())?;
    let answer = answer_over_tls(address, &job.plan.server_name, tls, Some(&job.plan.login));
    match timeout_at(deadline.into(), answer).await {
        Ok(Ok(answered)) if answered.code == 0 => Ok(()),
        Ok(Ok(answered)) => Err(format!("a CONNACK with code {} came", answered.code)),
        Ok(Err(error)) => Err(format!("{address} gave: {error}")),
        Err(_) => Err("nothing came".into()),
    }
}

fn start(executable: &Path, folder: &Path, log: &LogTail) -> Result<Running, BrokerError> {
    let mut command = Command::new(executable);
    command.env_clear().envs(environment::clean()).env(strays::MARK, folder);
    command.arg("-c").arg(folder.join(mosquitto::CONFIG));
    Running::start("mosquitto", command, log.clone()).map_err(BrokerError::file("run", executable))
}

async fn until_it_says_running(running: &mut Running, deadline: Instant) -> Result<(), String> {
    timeout_at(deadline.into(), running.up())
        .await
        .unwrap_or_else(|_| Err("waited for it to say that it runs, until the deadline".into()))
}

async fn stop(running: &mut Running, port: u16) {
    // Mosquitto looks for signals every 100 ms, and when something happens on a socket.
    let wake = async { drop(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await) };
    running.stop(Signal::TERM, TO_END, wake).await;
}
