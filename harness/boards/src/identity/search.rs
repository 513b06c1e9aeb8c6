//! Getting hold of the port that a board is on.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use hilrig_core::board::{BoardFault, Lines};
use hilrig_core::mac::Mac;
use serialport::TTYPort;
use tokio::sync::Mutex;

use crate::esp::esp8266_loader::Deadlines;
use crate::esp::identify::{Identity, ask};
use crate::identity::discover::{FoundPort, discover_in};
use crate::identity::port_cache::Seen;
use crate::identity::wanted::{Place, Wanted};
use crate::lock::PortLock;
use crate::serial::board::Settings;
use crate::serial::port;

/// All boards of the configuration, as those know it that look for their own port.
#[derive(Debug)]
pub struct Bench {
    /// What the configuration says of each.
    pub boards: Vec<Wanted>,
    root: PathBuf,
    /// Asking goes from port to port and holds each for a moment: one board at a time, or two
    /// would take ports from each other and both miss their own.
    asking: Mutex<()>,
}

impl Bench {
    /// The boards of a configuration.
    pub fn new(boards: Vec<Wanted>) -> Bench {
        Bench::below("/".into(), boards)
    }

    /// The same on a machine whose root is another folder.
    pub fn below(root: PathBuf, boards: Vec<Wanted>) -> Bench {
        Bench { boards, root, asking: Mutex::new(()) }
    }
}

/// A board's way to its port, each time that it is locked: it may have been plugged in elsewhere.
#[derive(Clone, Debug)]
pub struct Seek {
    /// What names the board's port.
    pub wanted: Wanted,
    /// The boards beside it.
    pub bench: Rc<Bench>,
}

/// A port that is this run's.
pub struct Held {
    // Order matters when it is dropped: the port goes before its lock.
    pub port: TTYPort,
    pub path: PathBuf,
    pub lock: PortLock,
}

/// How a port is taken.
pub struct Claim<'a> {
    /// Folder of the locks.
    pub locks: &'a Path,
    /// Told to those who want the port meanwhile.
    pub reason: &'a str,
    /// How long another who has it is waited for.
    pub patience: Duration,
    /// Told who that is.
    pub note: &'a dyn Fn(&str),
    /// A lock that is held already: that of the port that the board was on.
    pub kept: &'a mut Option<PortLock>,
}

/// Takes a port and opens it.
pub async fn hold(path: PathBuf, baud: u32, claim: &mut Claim<'_>) -> Result<Held, BoardFault> {
    let Claim { locks, reason, patience, note, kept } = claim;
    port::is_there(&path)?;
    if let Some(lock) = kept.take_if(|lock| lock.is_of(&path)) {
        return match port::open(&path, baud) {
            Ok(port) => Ok(Held { port, path, lock }),
            Err(fault) => {
                **kept = Some(lock);
                Err(fault)
            }
        };
    }
    let lock = PortLock::wait(locks, &path, reason, *patience, note).await?;
    Ok(Held { port: port::open(&path, baud)?, path, lock })
}

/// Takes a port, asks the chip on it who it is, and gives it back.
///
/// # Errors
/// Another has the port, it cannot be opened, or no loader answers.
pub async fn ask_on(
    path: PathBuf,
    lines: &mut dyn Lines,
    locks: &Path,
    deadlines: Deadlines,
    holder: &str,
) -> Result<Identity, BoardFault> {
    // A rate that every adapter has; the loader measures it.
    const BAUD: u32 = 115_200;
    let (patience, note) = (Duration::ZERO, &|_: &str| {});
    let mut claim = Claim { locks, reason: holder, patience, note, kept: &mut None };
    let Held { port, path, lock } = hold(path, BAUD, &mut claim).await?;
    let (port, identity) = ask(port, &path, lines, deadlines).await;
    // The port goes before its lock.
    drop(port);
    drop(lock);
    identity
}

impl Seek {
    /// Finds the port and takes it.
    pub async fn hold(
        &self,
        settings: &Settings,
        lines: &mut dyn Lines,
        claim: &mut Claim<'_>,
    ) -> Result<Held, BoardFault> {
        let place = |found: &[FoundPort]| self.wanted.place(&self.bench.boards, found);
        let found = match discover_in(&self.bench.root) {
            // A port by its path needs no list of ports, which a container may not have.
            Err(_) if self.wanted.id.path.is_some() => Vec::new(),
            found => found?,
        };
        let ports = match place(&found)? {
            Place::Port(path) => return hold(path, settings.baud, claim).await,
            Place::OneOf(ports) => ports,
        };
        let _asking = self.bench.asking.lock().await;
        // On a port that another has may be another board.
        claim.patience = Duration::ZERO;
        let mut told = Vec::new();
        for path in self.likeliest_first(ports, &found, settings) {
            let Held { port, path, lock } = match hold(path.clone(), settings.baud, claim).await {
                Ok(held) => held,
                Err(fault) => {
                    told.push(fault.to_string());
                    continue;
                }
            };
            let (port, identity) = ask(port, &path, lines, settings.deadlines).await;
            match (port, identity) {
                (Some(port), Ok(identity)) => {
                    Seen::note(&settings.state, &path, &found, &identity);
                    if Some(identity.mac) == self.wanted.mac {
                        return Ok(Held { port, path, lock });
                    }
                    let Identity { chip, mac } = identity;
                    told.push(format!("{} holds an {chip} with MAC {mac}", path.display()));
                }
                (_, Err(fault)) => told.push(fault.to_string()),
                (None, Ok(_)) => {}
            }
        }
        let tried = format!("looking for board `{}` ({})", self.wanted.board, self.wanted.words());
        Err(BoardFault::new(tried, told.join("; ")).help(
            "Look at its cable and its power; `usb_serial` or `position` in its [[board]] spares the asking.",
        ).silent())
    }

    /// Where the chip was when it was last asked comes first, so that no other board is disturbed.
    fn likeliest_first(
        &self,
        mut ports: Vec<PathBuf>,
        found: &[FoundPort],
        settings: &Settings,
    ) -> Vec<PathBuf> {
        ports.sort_by_key(|path| {
            let port = found.iter().find(|port| port.port == *path);
            match port.and_then(|port| Seen::of(&settings.state, port, found)?.read()) {
                Some(seen) if Some(seen.mac) == self.wanted.mac => 0,
                None => 1,
                Some(_) => 2,
            }
        });
        ports
    }

    /// Puts down which chip is on the port that the board has now.
    pub fn note(&self, settings: &Settings, mac: Mac) {
        let found = discover_in(&self.bench.root).unwrap_or_default();
        let identity = Identity { chip: settings.kind.name().into(), mac };
        Seen::note(&settings.state, &settings.port, &found, &identity);
    }

    /// The port that the board is on now, or what names it.
    pub fn words(&self) -> String {
        let found = discover_in(&self.bench.root).unwrap_or_default();
        match self.wanted.place(&self.bench.boards, &found) {
            Ok(Place::Port(path)) => path.display().to_string(),
            _ => self.wanted.words(),
        }
    }
}
