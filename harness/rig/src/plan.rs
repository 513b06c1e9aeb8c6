//! What a pool is to do, and with which boards.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hilrig_core::board::{Board, ConsoleSink};
use hilrig_core::config::{BoardKind, Deadlines};
use hilrig_core::contract::Contract;
use hilrig_core::heap::HeapPhase;
use hilrig_core::image::Image;
use hilrig_core::scenario::ScenarioRun;

use crate::crashes::Elf;

/// The settings of a run.
pub struct Plan {
    /// What the firmware prints and replies.
    pub contract: Contract,
    /// The image for each kind of board.
    pub images: BTreeMap<BoardKind, Image>,
    /// Their ELF files, for the addresses in crashes.
    pub elves: BTreeMap<BoardKind, Elf>,
    /// Further form fields, values of secrets among them.
    pub settings: BTreeMap<String, String>,
    /// Lowest free heap that a phase must keep, bytes, for each kind of board.
    pub floors: BTreeMap<BoardKind, BTreeMap<HeapPhase, u64>>,
    /// The scenarios between the phases of the main path.
    pub scenarios: Vec<ScenarioRun>,
    /// The seed of everything random.
    pub seed: u64,
    /// How long anything may take; the board and the run without the scenarios.
    pub deadlines: Deadlines,
    /// Flash even an image that is on the board already.
    pub force_flash: bool,
    /// What the boards are locked for. Anyone who waits for a board reads it.
    pub reason: String,
    /// Where the rig's own services listen for boards: the time servers, and the relays to the broker.
    pub listen: IpAddr,
    /// The broker's port is fixed, and boards connect to it directly. Else they connect through a relay, which sees
    /// what arrives from them.
    pub broker_port_is_fixed: bool,
}

impl Plan {
    /// The firmware's functions that allocate on behalf of others.
    pub(crate) fn wrappers(&self) -> &[String] {
        self.contract.heap.callers.as_ref().map_or(&[], |callers| &callers.wrappers)
    }
}

/// A board of a pool, and where its boot log goes.
pub struct Member {
    /// The board.
    pub board: Box<dyn Board>,
    /// Its kind.
    pub kind: BoardKind,
    /// Takes the raw boot log.
    pub record: Box<dyn ConsoleSink>,
}
