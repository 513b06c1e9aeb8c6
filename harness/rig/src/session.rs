//! A session: one locked board, and everything that a test may use.
//!
//! A [`Job`](crate::Job) gets a session from the pool. Nothing else can touch the board while it runs:
//! built-in path, scenarios, certification cases and a user's own steps all use these methods.
//!
//! All methods take `&self`, so that a job can wait for two things at once. A session lives on one thread.

pub mod board;
pub mod boot_log;
pub mod bring_up;
pub mod mqtt_mode;
pub mod reading;
mod restarts;
pub mod settings_form;
pub mod switch;
pub mod web_server;
pub mod wire;

use std::cell::{Cell, OnceCell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use hilrig_core::board::Board;
use hilrig_core::check::Check;
use hilrig_core::config::BoardKind;
use hilrig_core::contract::Contract;
use hilrig_core::event::What;
use hilrig_core::image::Image;
use hilrig_core::phase::Phase;
use tokio::sync::Mutex;

use crate::broker_link::BrokerLink;
use crate::check_spec::CheckSpec;
use crate::crashes::Elf;
use crate::journal::Journal;
use crate::log::Log;
use crate::open_console::OpenConsole;
use crate::plan::Plan;
use crate::pool_shared::PoolShared;
use crate::relay_pair::RelayPair;
use crate::restart_barrier::Participant;
use crate::scenario::steps::Steps;
use crate::stop::Stop;
use crate::time_server::TimeServer;

/// One locked board, and everything that a test may use.
pub struct Session<'a> {
    pub(crate) shared: &'a PoolShared<'a>,
    pub(crate) kind: BoardKind,
    /// Its place among the boards of the pool, from 0. Client ids contain it.
    pub(crate) number: usize,
    pub(crate) board: Mutex<Box<dyn Board>>,
    pub(crate) console: OpenConsole,
    /// Where the board waits for restarts of the broker.
    pub(crate) participant: Participant<'a>,
    /// The board's web server, once it is known.
    pub(crate) web_server: Cell<Option<SocketAddr>>,
    /// The relays to the broker, from the first time that the board is to connect.
    pub(crate) relays: OnceCell<RelayPair>,
    /// The scenario under way.
    pub(crate) scenario: RefCell<Option<Rc<Steps>>>,
    /// What is noted of the board: phases, checks, crashes, heap figures.
    pub journal: Journal<'a>,
    /// The boot log.
    pub log: Log,
    /// The time server of this board alone.
    pub time: TimeServer,
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        shared: &'a PoolShared<'a>,
        mut board: Box<dyn Board>,
        kind: BoardKind,
        number: usize,
        participant: Participant<'a>,
        time: TimeServer,
    ) -> Session<'a> {
        let (events, name) = (shared.events.clone(), board.name().to_owned());
        board.set_notes(Box::new(move |text| {
            events.board(&name, What::Note { text: text.to_owned() });
        }));
        Session {
            shared,
            kind,
            number,
            console: OpenConsole::default(),
            participant,
            web_server: Cell::new(None),
            relays: OnceCell::new(),
            scenario: RefCell::new(None),
            journal: Journal::new(board.name(), shared.events),
            // Without a ROM that prints (with a debug probe) only the firmware's output is read.
            log: Log::new(shared.patterns.clone(), !kind.has_probe()),
            time,
            board: Mutex::new(board),
        }
    }

    /// The board's name in the configuration.
    pub fn name(&self) -> &str {
        self.journal.board()
    }

    /// The board's kind.
    pub fn kind(&self) -> BoardKind {
        self.kind
    }

    /// The board's place among the boards of the pool, from 0.
    pub fn number(&self) -> usize {
        self.number
    }

    /// The plan that all boards of the pool share.
    pub fn plan(&self) -> &'a Plan {
        self.shared.plan
    }

    /// What the firmware prints and replies.
    pub fn contract(&self) -> &'a Contract {
        &self.shared.plan.contract
    }

    /// The image under test for this kind of board.
    ///
    /// # Errors
    /// The plan has none: a rig fault.
    pub fn image(&self) -> Result<&'a Image, Stop> {
        self.shared.plan.images.get(&self.kind).ok_or_else(|| {
            Stop::Rig(format!("there is no image for a board of the kind {}", self.kind.name()))
        })
    }

    /// The ELF file of that image.
    pub(crate) fn elf(&self) -> Option<&'a Elf> {
        self.shared.plan.elves.get(&self.kind)
    }

    /// The board's MQTT client id.
    pub fn client_id(&self) -> String {
        format!("hilrig-{}", self.number)
    }

    /// How long a reply over HTTP or MQTT may take.
    pub fn reply_deadline(&self) -> Duration {
        self.shared.plan.deadlines.reply
    }

    /// The broker of the pool, once it is ready.
    ///
    /// # Errors
    /// The broker did not start or is gone, or the pool has none: a rig fault.
    pub async fn broker(&self) -> Result<BrokerLink, Stop> {
        self.journal.doing("waited for the broker");
        self.journal.waiting(self.shared.broker.ready()).await
    }

    /// Runs `work` as one phase of the board, with events at its start and its end.
    ///
    /// # Errors
    /// That of `work`.
    pub async fn phase<T>(
        &self,
        phase: Phase,
        work: impl Future<Output = Result<T, Stop>>,
    ) -> Result<T, Stop> {
        self.journal.phase(phase, work).await
    }

    /// A step begins: if the job fails in it, this check fails.
    pub fn step(&self, check: &CheckSpec) {
        self.journal.step(check);
    }

    /// Notes a check with its outcome.
    pub fn check(&self, check: Check) {
        self.journal.check(check);
    }

    /// Notes that a check passed, with what was found and the line of the boot log that shows it.
    pub fn passed(&self, check: &CheckSpec, found: impl Into<String>, line: u64) {
        self.journal.check(check.outcome(true, found).at_line(line));
    }

    /// Notes a check on `count` single questions. It passes if `wrong` is empty.
    pub fn all_of(&self, check: &CheckSpec, count: usize, wrong: &[String]) {
        let found = match wrong.first() {
            None => format!("{count} of {count}"),
            Some(first) => format!("{} of {count} wrong, the first: {first}", wrong.len()),
        };
        self.journal.check(check.outcome(wrong.is_empty(), found));
    }

    /// Notes a sentence for people.
    pub fn note(&self, text: impl Into<String>) {
        self.journal.note(text);
    }

    /// Emits an event of the board.
    pub(crate) fn emit(&self, what: What) {
        self.journal.emit(what);
    }
}
