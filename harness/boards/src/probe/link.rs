//! One probe and its chip, on a thread of their own.
//!
//! probe-rs blocks, up to seconds where a cable is bad, so each board has its thread: one that hangs
//! does not block another. The thread runs tasks, and between them reads what the firmware writes to
//! its RTT channel, without stopping the core.

use std::any::Any;
use std::sync::mpsc::{self as jobs, RecvTimeoutError};
use std::time::{Duration, Instant};

use hilrig_core::board::BoardFault;
use probe_rs::rtt::{self, Rtt, ScanRegion, UpChannel};
use probe_rs::{Core, Error, Session};
use tokio::sync::{mpsc, oneshot};

use super::trouble::Names;

/// A probe does not report new text, so the channel has to be polled. While text comes, often enough that
/// a ring of 1 KiB (the usual size) does not overflow at the rate of a serial line of 115200 baud, which
/// takes 89 ms, and that a wait for a line ends soon after the line.
const BUSY: Duration = Duration::from_millis(2);
/// Without text the interval doubles up to this: a firmware that starts to print fills no ring in it,
/// and an idle board costs almost nothing.
const IDLE: Duration = Duration::from_millis(20);
/// Between two searches of the RAM, where no symbol has the address: each reads all of it.
const SEARCH: Duration = Duration::from_millis(250);
/// A chip that resets itself does not answer its probe for a moment. One that does not for this
/// long is gone.
const GONE: Duration = Duration::from_secs(1);
/// Bytes that are read before they are passed on.
const CHUNK: usize = 4096;
/// Chunks that wait for the reader. Beyond these, the text stays on the chip, whose ring then fills.
const WAITING: usize = 64;
/// Chunks in a row, so that a firmware that prints all the time leaves room for tasks.
const IN_A_ROW: usize = 16;
/// The core of firmware and console.
const CORE: usize = 0;

type Job = Box<dyn FnOnce(&mut AttachedChip) + Send>;

/// What the console gets.
pub type ConsoleRead = Result<(Instant, Vec<u8>), BoardFault>;

/// The connection to the thread.
pub struct Link {
    jobs: jobs::Sender<Job>,
    ended: oneshot::Receiver<()>,
    names: Names,
}

impl Link {
    /// Starts the thread, which opens the session. `keep` is dropped when the session is closed: the probe
    /// stays locked as long as the thread uses it.
    pub async fn open(
        names: Names,
        open: impl FnOnce() -> Result<Session, Error> + Send + 'static,
        keep: impl Any + Send,
    ) -> Result<Link, BoardFault> {
        let (sender, receiver) = jobs::channel::<Job>();
        let (report, opened) = oneshot::channel();
        let (end, ended) = oneshot::channel::<()>();
        let of_thread = names.clone();
        let thread = move || {
            // Dropped last, when the session is closed.
            let _end = end;
            match open() {
                Ok(session) => {
                    let _keep = keep;
                    let _ = report.send(Ok(()));
                    AttachedChip { session, names: of_thread, ear: None }.serve(&receiver);
                }
                Err(error) => {
                    drop(keep);
                    let _ = report.send(Err(of_thread.error("attaching to the chip", &error)));
                }
            }
        };
        std::thread::Builder::new()
            .name("probe".into())
            .spawn(thread)
            .map_err(|error| names.fault("starting the probe's thread", error))?;
        match opened.await {
            Ok(opened) => opened.map(|()| Link { jobs: sender, ended, names }),
            Err(_) => Err(broken(&names, "attaching to the chip")),
        }
    }

    /// Runs a task on the thread, and waits for it.
    pub async fn ask<T: Send + 'static>(
        &self,
        doing: &'static str,
        job: impl FnOnce(&mut AttachedChip) -> Result<T, BoardFault> + Send + 'static,
    ) -> Result<T, BoardFault> {
        let (sender, answer) = oneshot::channel();
        let job: Job = Box::new(move |chip| {
            // The receiver is gone when the run was stopped; then no flashing starts.
            if !sender.is_closed() {
                let _ = sender.send(job(chip));
            }
        });
        let sent = self.jobs.send(job).is_ok();
        match answer.await {
            Ok(result) if sent => result,
            _ => Err(broken(&self.names, doing)),
        }
    }

    /// Lets the thread pass on the firmware's output.
    pub async fn listen(
        &self,
        block: Option<u64>,
    ) -> Result<mpsc::Receiver<ConsoleRead>, BoardFault> {
        let (to, read) = mpsc::channel(WAITING);
        self.ask("opening the console", move |chip| {
            chip.ear = Some(Ear::new(to, block));
            Ok(())
        })
        .await?;
        Ok(read)
    }

    /// Closes the session. Waits for the current task, but no longer than `at_most`.
    pub async fn close(self, at_most: Duration) {
        drop(self.jobs);
        if tokio::time::timeout(at_most, self.ended).await.is_err() {
            tracing::warn!(probe = self.names.probe, "the probe is still busy");
        }
    }
}

fn broken(names: &Names, doing: &str) -> BoardFault {
    names.fault(doing, "the probe's thread has ended").help(
        "This is a fault of hilrig or of probe-rs; please report it with the log of HILRIG_LOG=debug.",
    )
}

/// The chip, on its thread.
pub struct AttachedChip {
    session: Session,
    names: Names,
    ear: Option<Ear>,
}

impl AttachedChip {
    /// The session.
    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Names for messages.
    pub fn names(&self) -> Names {
        self.names.clone()
    }

    /// Does something with the core.
    pub fn core<T>(
        &mut self,
        doing: &str,
        work: impl FnOnce(&mut Core<'_>) -> Result<T, Error>,
    ) -> Result<T, BoardFault> {
        let done = self.session.core(CORE).and_then(|mut core| work(&mut core));
        done.map_err(|error| self.names.error(doing, &error))
    }

    /// The firmware starts again: its console in memory is that of the previous start.
    pub fn restart_console(&mut self) {
        if let Some(ear) = &mut self.ear {
            ear.channel = None;
            ear.interval = BUSY;
        }
    }

    fn serve(mut self, jobs: &jobs::Receiver<Job>) {
        loop {
            let wait = self.ear.as_ref().map(|ear| ear.interval);
            let job = match wait {
                Some(interval) => jobs.recv_timeout(interval),
                None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match job {
                Ok(job) => job(&mut self),
                Err(RecvTimeoutError::Timeout) => self.listen(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn listen(&mut self) {
        let Some(ear) = &mut self.ear else { return };
        let read = match self.session.core(CORE) {
            Ok(mut core) => ear.listen(&mut core),
            Err(error) => Err(error),
        };
        match read {
            Ok(true) => {}
            Ok(false) => self.ear = None,
            Err(error) => {
                ear.interval = IDLE;
                if ear.failing.get_or_insert_with(Instant::now).elapsed() > GONE {
                    let fault = self.names.error("reading the console", &error);
                    // Full or closed: then nothing reads it.
                    let _ = ear.to.try_send(Err(fault));
                    self.ear = None;
                }
            }
        }
    }
}

/// The reader of a firmware's RTT channel 0.
struct Ear {
    to: mpsc::Sender<ConsoleRead>,
    /// Address of the control block; without a symbol for it the RAM is searched.
    block: ScanRegion,
    channel: Option<UpChannel>,
    /// Read, and not passed on yet.
    waiting: Option<ConsoleRead>,
    interval: Duration,
    failing: Option<Instant>,
}

impl Ear {
    fn new(to: mpsc::Sender<ConsoleRead>, block: Option<u64>) -> Ear {
        Ear {
            to,
            block: block.map_or(ScanRegion::Ram, ScanRegion::Exact),
            channel: None,
            waiting: None,
            interval: BUSY,
            failing: None,
        }
    }

    /// Reads all that is there. `false` when the receiver is gone.
    fn listen(&mut self, core: &mut Core<'_>) -> Result<bool, Error> {
        let mut buffer = [0; CHUNK];
        let mut any = false;
        for _ in 0..IN_A_ROW {
            if let Some(read) = self.waiting.take() {
                match self.to.try_send(read) {
                    Ok(()) => {}
                    Err(mpsc::error::TrySendError::Closed(_)) => return Ok(false),
                    Err(mpsc::error::TrySendError::Full(read)) => {
                        self.waiting = Some(read);
                        break;
                    }
                }
            }
            let read = self.read(core, &mut buffer)?;
            self.failing = None;
            if read == 0 {
                break;
            }
            any = true;
            self.waiting = Some(Ok((Instant::now(), buffer[..read].to_vec())));
        }
        self.interval = match any {
            true => BUSY,
            false => (self.interval * 2).min(self.interval.max(IDLE)),
        };
        Ok(!self.to.is_closed())
    }

    fn read(&mut self, core: &mut Core<'_>, buffer: &mut [u8]) -> Result<usize, Error> {
        let channel = match &mut self.channel {
            Some(channel) => channel,
            None => match Rtt::attach_region(core, &self.block) {
                Ok(mut found) if !found.up_channels.is_empty() => {
                    self.channel.insert(found.up_channels.swap_remove(0))
                }
                Ok(_) => return Ok(0),
                Err(error) => return self.not_there(error),
            },
        };
        match channel.read(core, buffer) {
            Ok(read) => Ok(read),
            Err(error) => self.not_there(error),
        }
    }

    /// The firmware has not set up its console yet, or does so again: after a reset of its own, the read
    /// pointer is no longer where this left it.
    fn not_there(&mut self, error: rtt::Error) -> Result<usize, Error> {
        self.channel = None;
        match error {
            rtt::Error::Probe(error) => Err(error),
            rtt::Error::ReadPointerChanged => {
                self.interval = BUSY;
                Ok(0)
            }
            _ => {
                if matches!(self.block, ScanRegion::Ram) {
                    self.interval = SEARCH;
                }
                Ok(0)
            }
        }
    }
}
