//! The search for the port that a board is on.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use hilrig_core::board::{BoardFault, ResetLines};
use tokio::sync::Mutex;

use crate::esp::deadlines::LoaderDeadlines;
use crate::esp::identify::{ChipIdentity, identify};
use crate::identity::discover::{FoundPort, discover_in};
use crate::identity::port_cache::PortCache;
use crate::identity::query::{PortMatch, PortQuery};
use crate::serial::claim::{OpenPort, PortClaim};

/// All boards of the configuration, for the search for the port of one of them.
#[derive(Debug)]
pub struct Neighbours {
    /// The keys of each.
    pub boards: Vec<PortQuery>,
    root: PathBuf,
    /// Identification locks one port after the other. Two boards at once would lock ports that the other
    /// one needs, and both would miss their own.
    asking: Mutex<()>,
}

impl Neighbours {
    /// The boards of a configuration.
    pub fn new(boards: Vec<PortQuery>) -> Neighbours {
        Neighbours::below("/".into(), boards)
    }

    /// The same on a machine with another root folder.
    pub fn below(root: PathBuf, boards: Vec<PortQuery>) -> Neighbours {
        Neighbours { boards, root, asking: Mutex::new(()) }
    }
}

/// The search for a board's port, each time that it is locked: it may be plugged in elsewhere.
#[derive(Clone, Debug)]
pub struct PortSearch {
    /// The keys of the board's port.
    pub query: PortQuery,
    /// All boards of the bench.
    pub neighbours: Rc<Neighbours>,
}

/// Locks a port, identifies the chip on it, and unlocks it.
///
/// # Errors
/// Another run has the port, it cannot be opened, or no loader answers.
pub async fn identify_on(
    path: PathBuf,
    lines: &mut dyn ResetLines,
    locks: &Path,
    deadlines: LoaderDeadlines,
    reason: &str,
) -> Result<ChipIdentity, BoardFault> {
    // All adapters have this rate; the loader measures it.
    const BAUD: u32 = 115_200;
    let (patience, note) = (Duration::ZERO, &|_: &str| {});
    let mut claim = PortClaim { locks, baud: BAUD, reason, patience, note, kept: &mut None };
    let OpenPort { port, path, lock } = claim.take(path).await?;
    let (port, identity) = identify(port, &path, lines, deadlines).await;
    // The port goes before its lock.
    drop(port);
    drop(lock);
    identity
}

impl PortSearch {
    /// Finds the port, locks it and opens it.
    pub async fn take(
        &self,
        state: &Path,
        deadlines: LoaderDeadlines,
        lines: &mut dyn ResetLines,
        claim: &mut PortClaim<'_>,
    ) -> Result<OpenPort, BoardFault> {
        let place = |found: &[FoundPort]| self.query.find(&self.neighbours.boards, found);
        let found = match discover_in(&self.neighbours.root) {
            // A port by its path needs no list of ports, which a container may not have.
            Err(_) if self.query.id.path.is_some() => Vec::new(),
            found => found?,
        };
        let ports = match place(&found)? {
            PortMatch::Port(path) => return claim.take(path).await,
            PortMatch::OneOf(ports) => ports,
        };
        let _asking = self.neighbours.asking.lock().await;
        // A port that another run has locked is probably another board's.
        claim.patience = Duration::ZERO;
        let mut reasons = Vec::new();
        for path in self.likeliest_first(ports, &found, state) {
            let OpenPort { port, path, lock } = match claim.take(path).await {
                Ok(open) => open,
                Err(fault) => {
                    reasons.push(fault.to_string());
                    continue;
                }
            };
            let (port, identity) = identify(port, &path, lines, deadlines).await;
            match (port, identity) {
                (Some(port), Ok(identity)) => {
                    PortCache::note(state, &path, &found, &identity);
                    if Some(identity.mac) == self.query.mac {
                        return Ok(OpenPort { port, path, lock });
                    }
                    let ChipIdentity { chip, mac } = identity;
                    reasons.push(format!("{} has an {chip} with MAC {mac}", path.display()));
                }
                (_, Err(fault)) => reasons.push(fault.to_string()),
                (None, Ok(_)) => {}
            }
        }
        let tried = format!("looking for board `{}` ({})", self.query.board, self.query.words());
        Err(BoardFault::new(tried, reasons.join("; ")).help(
            "Check its cable and its power. With `usb_serial` or `position` in its [[board]] no other port is tried.",
        ).silent())
    }

    /// The port where the chip last answered comes first, so that no other board is reset.
    fn likeliest_first(
        &self,
        mut ports: Vec<PathBuf>,
        found: &[FoundPort],
        state: &Path,
    ) -> Vec<PathBuf> {
        ports.sort_by_key(|path| {
            let port = found.iter().find(|port| port.port == *path);
            match port.and_then(|port| PortCache::of(state, port, found)?.read()) {
                Some(seen) if Some(seen.mac) == self.query.mac => 0,
                None => 1,
                Some(_) => 2,
            }
        });
        ports
    }

    /// Stores which chip is on the board's present port.
    pub fn note(&self, state: &Path, port: &Path, identity: &ChipIdentity) {
        let found = discover_in(&self.neighbours.root).unwrap_or_default();
        PortCache::note(state, port, &found, identity);
    }

    /// The port that the board is on now, or its keys.
    pub fn words(&self) -> String {
        let found = discover_in(&self.neighbours.root).unwrap_or_default();
        match self.query.find(&self.neighbours.boards, &found) {
            Ok(PortMatch::Port(path)) => path.display().to_string(),
            _ => self.query.words(),
        }
    }
}
