//! Starts a broker of a case, and stays until it ends.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use hilrig_core::secrets::Ends;
use hilrig_core::text::{Secrets, printable};
use rustix::process::Signal;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout, timeout_at};

use super::folder::Folder;
use super::instance::Desk;
use super::proof::{NotYet, Prover};
use super::render::{self, Renderer};
use super::spawned::{self, Launch, Spawned};
use super::{Home, InstanceFacts, Order, ports, strays};
use crate::descriptions::{Container, EndSignal, Found, Only, Step};
use crate::docker;
use crate::pki::Shown;
use crate::start_error::StartError;
use crate::tls::front::Front;

/// So many sets of free ports are tried when somebody else is quicker.
const TRIES: usize = 5;
/// Between two questions to a port: nobody tells when one opens.
const BETWEEN: Duration = Duration::from_millis(50);
/// A broker that says that it is up, and then closes every connection or answers otherwise than it
/// should for so long, stays so.
const TO_SETTLE: Duration = Duration::from_secs(5);
/// For a helper to be gone after SIGKILL.
const HELPERS_GRACE: Duration = Duration::from_secs(2);

/// What does not change between two starts.
struct Place<'a> {
    order: &'a Order,
    found: Found,
    at: spawned::Place,
    folder: Folder,
}

/// Ports by name; the one for MQTT is `mqtt`.
type Ports = BTreeMap<String, u16>;

/// How a broker that was ready ended.
enum End {
    Stopped,
    Restart,
    Gone(String),
}

/// Keeps a broker until its end. One that is to be started anew comes back where it was. Returns what
/// was found if it ended by itself.
pub(super) async fn keep(order: &Order, desk: &mut Desk) -> Result<Option<String>, StartError> {
    let software = order.software;
    software
        .can(&order.tls)
        .map_err(|reason| StartError::CannotSetUp { broker: software.title.clone(), reason })?;
    let (found, at) = match (&order.home, &software.container) {
        (Home::Process, _) => (software.find()?, spawned::Place::Here),
        (Home::Container { image, run }, Some(container)) => {
            let no = |found| StartError::NoContainer { broker: software.title.clone(), found };
            let engine = docker::connect().await.map_err(no)?;
            let (image, run) = (image.clone(), run.clone());
            (container.found(), spawned::Place::In { engine, image, run })
        }
        (Home::Container { .. }, None) => {
            return Err(bench("start the broker in a container")("no image is described for it"));
        }
    };
    let folder = Folder::at(order.dir.clone()).map_err(bench("make the broker's folder"))?;
    let place = Place { order, found, at, folder };
    let kept = place.keep(desk).await;
    strays::end(&order.dir);
    kept
}

impl Place<'_> {
    async fn keep(&self, desk: &mut Desk) -> Result<Option<String>, StartError> {
        let (mut running, mut helper, ports) = self.first_start(desk).await?;
        let mut facts = self.facts(&running, &ports, desk).await?;
        let front = tokio::select! {
            front = self.front(&ports) => front,
            () = desk.stopped() => Err(StartError::Stopped),
        };
        let front = match front {
            Ok(front) => front,
            Err(error) => {
                self.stop(Some(&mut running), helper).await;
                return Err(error);
            }
        };
        if let Some(front) = &front {
            facts.port = front.port();
        }
        loop {
            desk.ready(facts.clone());
            let end = tokio::select! {
                found = running.ended() => End::Gone(found),
                () = desk.stopped() => End::Stopped,
                () = desk.restart_asked() => End::Restart,
            };
            self.stop(Some(&mut running), helper.take()).await;
            match end {
                End::Stopped => return Ok(None),
                End::Gone(found) => return Ok(Some(found)),
                End::Restart => {
                    desk.starts_anew();
                    let deadline = Instant::now() + self.order.deadline;
                    (running, helper) = self.start(&ports, deadline, desk).await?;
                }
            }
        }
    }

    /// With ports that nobody else takes in between.
    async fn first_start(
        &self,
        desk: &Desk,
    ) -> Result<(Spawned, Option<Spawned>, Ports), StartError> {
        let deadline = Instant::now() + self.order.deadline;
        let mut free = ports::free(&self.order.dir.to_string_lossy());
        let mut tries = 0;
        loop {
            tries += 1;
            let names =
                ["mqtt"].into_iter().chain(self.order.software.ports.iter().map(String::as_str));
            let ports: Ports = names
                .map(|name| free.next().map(|port| (name.to_owned(), port)))
                .collect::<Option<_>>()
                .ok_or_else(|| bench("find free ports for the broker")("none is left"))?;
            tokio::select! {
                written = self.write(&ports, deadline) => written?,
                () = desk.stopped() => return Err(StartError::Stopped),
            }
            match self.start(&ports, deadline, desk).await {
                Ok((running, helper)) => return Ok((running, helper, ports)),
                Err(StartError::Stopped) => return Err(StartError::Stopped),
                Err(error) if tries < TRIES && address_in_use(&desk.log.text()) => {
                    tracing::info!("other ports are tried: {error}");
                    desk.log.starts_anew();
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes the files, and has those made that are made by a program.
    async fn write(&self, ports: &Ports, deadline: Instant) -> Result<(), StartError> {
        let Order { software, material, .. } = self.order;
        let renderer = self.renderer(ports)?;
        let Shown { key_pem, root_pem, .. } = &material.shown;
        let chain = material.shown.chain_pem();
        let mut files = vec![
            (render::BUNDLE, format!("{chain}{key_pem}")),
            (render::CERTIFICATE, chain),
            (render::KEY, key_pem.clone()),
            (render::ROOT, root_pem.clone()),
            (render::CLIENT_CA, material.client_ca_pem.clone()),
        ];
        if let Some(second) = &material.second {
            files.push((render::SECOND_CERTIFICATE, second.chain_pem()));
            files.push((render::SECOND_KEY, second.key_pem.clone()));
        }
        for (file, template) in &software.files {
            files.push((file, renderer.fill(&software.templates[template])?));
        }
        self.folder.fill(&files).map_err(bench("write the broker's files"))?;
        for step in &software.prepare {
            let wanted = match step.only {
                None => true,
                Some(Only::SecondCertificate) => material.second.is_some(),
                Some(Only::ClientCertificate) => self.order.tls.client_certificate,
            };
            if wanted {
                self.prepare(step, &renderer, deadline).await?;
            }
        }
        Ok(())
    }

    async fn prepare(
        &self,
        step: &Step,
        renderer: &Renderer,
        deadline: Instant,
    ) -> Result<(), StartError> {
        let words = fill(renderer, &step.command)?;
        let (program, arguments) =
            words.split_first().ok_or_else(|| bench("prepare")("the command is empty"))?;
        let what = format!("run `{program}` for {}", self.order.software.title);
        let mut command =
            self.launch("", Path::new(program), arguments.to_vec(), renderer)?.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().map_err(bench(&what))?;
        let input = renderer.fill(&step.input)?;
        if let Some(mut stdin) = child.stdin.take() {
            // It may end before it has read everything; then it says why.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        let output = timeout_at(deadline.into(), child.wait_with_output()).await;
        let output = output
            .map_err(|_| bench(&what)("it did not end before the broker's deadline"))?
            .map_err(bench(&what))?;
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            let secrets = Secrets::new([self.order.login.password.clone()]);
            let said = printable(&secrets.mask_bytes(said.trim_ascii(), Ends::Whole));
            return Err(bench(&what)(format!("{}: {said}", output.status)));
        }
        if let Some(name) = &step.output {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            self.folder.fill(&[(name, text)]).map_err(bench("write the broker's files"))?;
        }
        Ok(())
    }

    /// Starts it at these ports, from the files that are there, and returns when it answered.
    async fn start(
        &self,
        ports: &Ports,
        deadline: Instant,
        desk: &Desk,
    ) -> Result<(Spawned, Option<Spawned>), StartError> {
        let software = self.order.software;
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
        let started = launch.start(&self.at, desk.log.clone(), deadline).await;
        let mut running = match started {
            Ok(running) => running,
            Err(found) => {
                self.stop(None, helper.take()).await;
                return Err(bench(&format!("run {}", self.from()))(found));
            }
        };
        let answered = tokio::select! {
            answered = self.until_it_answers(&mut running, ports["mqtt"], deadline, desk) => answered,
            () = desk.stopped() => Err(StartError::Stopped),
        };
        match answered {
            Ok(()) => Ok((running, helper)),
            Err(error) => {
                self.stop(Some(&mut running), helper.take()).await;
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
    ) -> Result<Spawned, StartError> {
        let what = format!("start what {} needs beside it", self.order.software.title);
        let started = launch.start(&self.at, desk.log.clone(), deadline).await;
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
        helper.stop(Signal::KILL, HELPERS_GRACE).await;
        Err(bench(&what)(found))
    }

    async fn until_it_answers(
        &self,
        running: &mut Spawned,
        port: u16,
        deadline: Instant,
        desk: &Desk,
    ) -> Result<(), StartError> {
        let broker = || self.order.software.title.clone();
        let log = || desk.log.last_lines();
        let started = Instant::now();
        let never = |waited_for: &str, found: String| StartError::NeverReady {
            broker: broker(),
            waited: started.elapsed(),
            waited_for: waited_for.to_owned(),
            found,
            log: log(),
        };
        if self.order.software.ready.log.is_some() {
            timeout_at(deadline.into(), running.up())
                .await
                .map_err(|_| never("it to say that it is up", "it did not".into()))?
                .map_err(|found| StartError::Ended { broker: broker(), found, log: log() })?;
        }
        let address = self.address(port);
        let prover = Prover::new(self.order, address).map_err(bench("set up the rig's TLS"))?;
        let mut settled: Option<Instant> = None;
        loop {
            let asked = tokio::select! {
                asked = timeout_at(deadline.into(), prover.ask()) => asked,
                found = running.ended() => {
                    return Err(StartError::Ended { broker: broker(), found, log: log() });
                }
            };
            let found = match asked {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(found)) => found,
                Err(_) => NotYet::Other("nothing came".into()),
            };
            // It would not be asked again in time.
            let over = Instant::now() + BETWEEN >= deadline;
            let stays = match found {
                NotYet::Refused => false,
                _ => settled.get_or_insert_with(Instant::now).elapsed() >= TO_SETTLE,
            };
            match found {
                NotYet::NoTls(found) => {
                    return Err(StartError::NoTls { broker: broker(), found, log: log() });
                }
                NotYet::Closed if over || stays => {
                    return Err(StartError::ClosedAtOnce { broker: broker(), log: log() });
                }
                NotYet::OtherCertificate if over || stays => {
                    return Err(StartError::OtherCertificate { broker: broker(), log: log() });
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
                    return Err(StartError::Ended { broker: broker(), found, log: log() });
                }
            }
        }
    }

    /// What stands before it, if anything does, proved as the broker itself is.
    async fn front(&self, ports: &Ports) -> Result<Option<Front>, StartError> {
        const WHAT: &str = "put the rig's own TLS server before the broker";
        let Order { tls, material, listen, .. } = self.order;
        let Some(kind) = tls.front else { return Ok(None) };
        let behind = self.address(ports["mqtt"]);
        let prover = Prover::new(self.order, behind).map_err(bench(WHAT))?;
        let front = Front::open(kind, tls.versions, *listen, &material.shown, behind, prover.tls());
        let front = front.await.map_err(bench(WHAT))?;
        let asked = prover.through_front(self.address(front.port()));
        match timeout(self.order.deadline, asked.ask()).await {
            Ok(Ok(())) => Ok(Some(front)),
            Ok(Err(found)) => Err(bench(WHAT)(format!("asked for a CONNACK, {found:?}"))),
            Err(_) => Err(bench(WHAT)("no CONNACK came through it")),
        }
    }

    /// Where the rig reaches what listens at a port.
    fn address(&self, port: u16) -> SocketAddr {
        let at = match self.order.listen {
            Ipv4Addr::UNSPECIFIED => Ipv4Addr::LOCALHOST,
            at => at,
        };
        SocketAddr::from((at, port))
    }

    async fn facts(
        &self,
        running: &Spawned,
        ports: &Ports,
        desk: &Desk,
    ) -> Result<InstanceFacts, StartError> {
        let software = self.order.software;
        let renderer = self.renderer(ports)?;
        let log = &desk.log;
        Ok(InstanceFacts {
            name: software.name.clone(),
            title: software.title.clone(),
            version: software.version.read(&renderer, log, running).await,
            tls_library: software.tls_library.name.clone(),
            tls_version: software.tls_library.reading.read(&renderer, log, running).await,
            kind: match self.order.home {
                Home::Process => "process",
                Home::Container { .. } => "container",
            },
            from: self.from(),
            port: ports["mqtt"],
            own_port: ports["mqtt"],
            seconds: 0.0,
        })
    }

    /// Image or program.
    fn from(&self) -> String {
        match &self.order.home {
            Home::Process => self.found.program.display().to_string(),
            Home::Container { image, .. } => image.clone(),
        }
    }

    /// How it runs in a container, if it does.
    fn container(&self) -> Option<&Container> {
        match self.order.home {
            Home::Process => None,
            Home::Container { .. } => self.order.software.container.as_ref(),
        }
    }

    async fn stop(&self, running: Option<&mut Spawned>, helper: Option<Spawned>) {
        let end = &self.order.software.end;
        let signal = match end.signal {
            EndSignal::Term => Signal::TERM,
            EndSignal::Int => Signal::INT,
            EndSignal::Kill => Signal::KILL,
        };
        let grace = Duration::from_secs(end.grace_s);
        if let Some(running) = running
            && let Some(ending) = running.stop(signal, grace).await
            && !ending.code.is_some_and(|code| end.codes.contains(&code))
            && end.signal as u8 != EndSignal::Kill as u8
        {
            tracing::warn!("{} ended with {}", self.order.software.title, ending.words);
        }
        if let Some(mut helper) = helper {
            // As the first process of a container it would not heed SIGTERM; it keeps nothing.
            helper.stop(Signal::KILL, HELPERS_GRACE).await;
        }
    }

    fn renderer(&self, ports: &Ports) -> Result<Renderer, StartError> {
        Renderer::new(self.order, &self.found, ports)
    }

    fn launch<'a>(
        &'a self,
        name: &'a str,
        program: &'a Path,
        arguments: Vec<String>,
        renderer: &Renderer,
    ) -> Result<Launch<'a>, StartError> {
        let own = self.container().map(|container| &container.environment);
        let environment =
            self.order.software.run.environment.iter().chain(own.into_iter().flatten());
        let filled = environment.map(|(name, value)| Ok((name.clone(), renderer.fill(value)?)));
        let environment = filled.collect::<Result<_, StartError>>()?;
        Ok(Launch { name, program, arguments, environment, dir: &self.order.dir })
    }
}

/// Arguments filled in, without those that came to nothing.
fn fill(renderer: &Renderer, words: &[String]) -> Result<Vec<String>, StartError> {
    let filled = words.iter().map(|word| renderer.fill(word)).collect::<Result<Vec<_>, _>>()?;
    Ok(filled.into_iter().filter(|word| !word.is_empty()).collect())
}

/// Its log says that a port was in use. Every broker's system says it in one of these words.
fn address_in_use(log: &str) -> bool {
    let log = log.to_ascii_lowercase();
    ["address already in use", "address in use", "eaddrinuse"]
        .iter()
        .any(|words| log.contains(words))
}

fn bench<E: std::fmt::Display>(what: &str) -> impl Fn(E) -> StartError {
    let what = what.to_owned();
    move |error| StartError::Bench { what: what.clone(), found: error.to_string() }
}
