//! The board on a serial port.

use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use hilrig_core::board::{Board, BoardFault, ByHand, Console, Flashed, Notes, Reach, ResetLines};
use hilrig_core::board_kind::LoaderKind;
use hilrig_core::config::BoardKind;
use hilrig_core::event::BoardFacts;
use hilrig_core::image::Image;
use hilrig_core::mac::Mac;
use serialport::TTYPort;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::esp::deadlines::LoaderDeadlines;
use crate::esp::identify::{ChipIdentity, identify};
use crate::flash_cache::FlashCache;
use crate::identity::search::PortSearch;
use crate::lock::LockFile;
use crate::power::{self, PowerSwitch};
use crate::serial::claim::{OpenPort, PortClaim};
use crate::serial::close::close;
use crate::serial::console::{Listening, SerialConsole};
use crate::serial::port;

/// The settings of a [`SerialBoard`].
#[derive(Clone, Debug)]
pub struct SerialSettings {
    /// Name in the configuration.
    pub name: String,
    /// What it is; decides how the board is flashed.
    pub kind: BoardKind,
    /// The serial port; with `search`, the one where it was found last.
    pub port: PathBuf,
    /// The search for its port, each time that it is locked; none where it is always `port`.
    pub search: Option<PortSearch>,
    /// The MAC that the board has to have; another board is never flashed.
    pub mac: Option<Mac>,
    /// How board and rig reach each other.
    pub reach: Reach,
    /// The firmware's rate, baud.
    pub baud: u32,
    /// The rate of the ROM's boot text, baud.
    pub rom_baud: u32,
    /// The highest rate at which the loader is tried, baud.
    pub flash_baud: u32,
    /// Folder of the caches, which are kept from run to run.
    pub state: PathBuf,
    /// Folder of the locks, the same for all runs on this bench.
    pub locks: PathBuf,
    /// How long the loader may take.
    pub deadlines: LoaderDeadlines,
}

/// A board on a serial port, with the ROM loader of an ESP8266 or of a chip of the ESP32 family. See
/// [`Board`].
///
/// - The ROM of the ESP32 family computes the MD5 of its flash: what is there already is kept,
///   `Flashed::verified` is always `Some(true)`, and `Flashed::time` includes the erasing.
/// - The ESP8266's cannot read its flash back, so `Flashed::verified` is always `None`. It checks each
///   block's checksum. The build id in the boot log confirms that the image runs, which
///   [`Board::confirm_build`] stores. Only a confirmed image is kept; then the board does not enter its
///   loader.
///   `Flashed::time` is that of the blocks, without the erasing before them.
/// - A console has its own descriptor of the port: the port is free for others once the board is
///   released *and* its console is dropped.
/// - A flashing whose future is dropped ends within milliseconds, and the next call has the port again.
///   The board has half an image then, and its cache has none.
/// - After every flashing, EN is pulsed before the board is released: an ESP8266 that was not reset after
///   its loader hangs in its first software restart, with `boot mode:(1,x)`.
pub struct SerialBoard {
    pub(crate) settings: SerialSettings,
    pub(crate) lines: Box<dyn ResetLines>,
    pub(crate) cache: FlashCache,
    power: Option<PowerSwitch>,
    /// From the configuration, or from the loader.
    pub(crate) mac: Option<Mac>,
    /// It entered its loader and was not reset since.
    pub(crate) in_loader: bool,
    notes: Option<Notes>,
    /// Of the console, while it is open.
    console: Weak<Listening>,
    // Order matters when a board is dropped without a release: the port is closed before it is unlocked.
    port: Option<TTYPort>,
    /// A thread that uses the port.
    at_work: Option<JoinHandle<TTYPort>>,
    lock: Option<LockFile>,
    /// What it is locked for.
    reason: String,
}

/// Ends a thread at its next wait when the future that awaits it is dropped.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl SerialBoard {
    /// Touches nothing yet; [`Board::lock`] opens the port.
    pub fn new(settings: SerialSettings, lines: Box<dyn ResetLines>) -> SerialBoard {
        let key = settings.mac.map_or_else(|| settings.name.clone(), Mac::hex);
        SerialBoard {
            cache: FlashCache::of(&settings.state, &key),
            mac: settings.mac,
            settings,
            lines,
            in_loader: false,
            notes: None,
            power: None,
            console: Weak::new(),
            port: None,
            at_work: None,
            lock: None,
            reason: String::new(),
        }
    }

    /// The same with a power line.
    #[must_use]
    pub fn with_power(mut self, power: Option<PowerSwitch>) -> SerialBoard {
        self.power = power;
        self
    }

    /// Finds the port, locks it and opens it. `kept` is a lock that the board has already.
    async fn open(
        &mut self,
        patience: Duration,
        kept: &mut Option<LockFile>,
    ) -> Result<(), BoardFault> {
        let SerialBoard { settings, lines, notes, reason, .. } = self;
        let note = |words: &str| notes.iter().for_each(|notes| notes(words));
        let mut claim = PortClaim {
            locks: &settings.locks,
            baud: settings.baud,
            reason,
            patience,
            note: &note,
            kept,
        };
        let open = match &settings.search {
            Some(search) => {
                search.take(&settings.state, settings.deadlines, &mut **lines, &mut claim).await?
            }
            None => claim.take(settings.port.clone()).await?,
        };
        let OpenPort { port, path, lock } = open;
        self.settings.port = path;
        self.port = Some(port);
        self.lock = Some(lock);
        Ok(())
    }

    /// The chip is identified, and is the one of the configuration.
    pub(crate) fn identified(&mut self, mac: Mac) {
        self.mac = Some(mac);
        if let Some(search) = &self.settings.search {
            let identity = ChipIdentity { chip: self.settings.kind.name().into(), mac };
            search.note(&self.settings.state, &self.settings.port, &identity);
        }
    }

    /// The open port and the lines; waits for a thread of an abandoned flashing.
    pub(crate) async fn opened(
        &mut self,
        tried: &str,
    ) -> Result<(&mut TTYPort, &mut dyn ResetLines), BoardFault> {
        self.recover().await;
        match &mut self.port {
            Some(port) => Ok((port, &mut *self.lines)),
            None => Err(not_open(&self.settings, tried)),
        }
    }

    async fn recover(&mut self) {
        if let Some(thread) = &mut self.at_work {
            match thread.await {
                Ok(port) => self.port = Some(port),
                Err(error) => tracing::error!(%error, "the flashing thread ended without its port"),
            }
            self.at_work = None;
        }
    }

    /// Runs `job` with the port on a thread that may block. It ends by itself, or at its next wait once its
    /// flag is set.
    pub(crate) async fn on_thread<T: Send + 'static>(
        &mut self,
        job: impl FnOnce(TTYPort, Arc<AtomicBool>) -> (TTYPort, T) + Send + 'static,
    ) -> Result<T, BoardFault> {
        self.recover().await;
        let port = self.port.take().ok_or_else(|| not_open(&self.settings, "flashing"))?;
        let stop = Arc::new(AtomicBool::new(false));
        let _guard = StopOnDrop(Arc::clone(&stop));
        let (sender, receiver) = oneshot::channel();
        self.at_work = Some(tokio::task::spawn_blocking(move || {
            let (port, result) = job(port, stop);
            // The receiver is gone when the run was stopped.
            let _ = sender.send(result);
            port
        }));
        let result = receiver.await;
        self.recover().await;
        result.map_err(|_| {
            BoardFault::new(
                format!("flashing over {}", self.settings.port.display()),
                "the flashing thread ended without a result",
            )
            .help("This is a fault of hilrig; please report it with its debug log.")
        })
    }

    pub(crate) async fn set_baud(&mut self, baud: u32) -> Result<(), BoardFault> {
        let path = self.settings.port.clone();
        port::set_baud(port::fd(self.opened("setting the rate").await?.0), &path, baud)
    }

    /// Notes which button to press, and waits until the board sends something. Without an open console
    /// it only notes it.
    async fn reset_by_hand(
        &self,
        by_hand: ByHand,
        console: Option<&Listening>,
    ) -> Result<(), BoardFault> {
        let Some(console) = console else {
            self.note(&format!("the board has no reset lines: {}", by_hand.reset));
            return Ok(());
        };
        let patience = self.settings.deadlines.by_hand;
        let seconds = patience.as_secs_f64();
        self.note(&format!("waiting up to {seconds} s for the board to start: {}", by_hand.reset));
        tokio::time::timeout(patience, console.byte_came()).await.map_err(|_| {
            BoardFault::new(
                format!("waiting for the board on {} to start", self.settings.port.display()),
                format!("not a byte came within {seconds} s"),
            )
            .help("It has no reset lines: press RST when hilrig asks for it, or wire DTR to GPIO0 and RTS to EN.")
        })
    }

    pub(crate) fn note(&self, text: &str) {
        if let Some(notes) = &self.notes {
            notes(text);
        }
    }
}

fn not_open(settings: &SerialSettings, tried: &str) -> BoardFault {
    BoardFault::new(
        format!("{tried} on {}", settings.port.display()),
        "the port is not open; the board must be locked first",
    )
}

#[async_trait(?Send)]
impl Board for SerialBoard {
    fn name(&self) -> &str {
        &self.settings.name
    }

    fn facts(&self) -> BoardFacts {
        let port = match (&self.settings.search, &self.lock) {
            (Some(search), None) => search.words(),
            _ => self.settings.port.display().to_string(),
        };
        BoardFacts { kind: self.settings.kind.name().into(), port, mac: self.mac }
    }

    fn reach(&self) -> Reach {
        self.settings.reach.clone()
    }

    fn set_notes(&mut self, notes: Notes) {
        self.notes = Some(notes);
    }

    async fn lock(&mut self, reason: &str, patience: Duration) -> Result<(), BoardFault> {
        if self.lock.is_some() {
            return Ok(());
        }
        self.reason = reason.to_owned();
        // The power line first: another run may be cycling the power of this board, and then its port is
        // gone.
        if let Some(power) = &mut self.power {
            let notes = &self.notes;
            let note = |words: &str| notes.iter().for_each(|notes| notes(words));
            let locked = power.lock(&self.settings.locks, reason, patience, note).await;
            locked.map_err(|mut fault| {
                // The port itself is not found yet.
                let port = match &self.settings.search {
                    Some(search) => search.words(),
                    None => self.settings.port.display().to_string(),
                };
                fault.tried = format!("{}, which powers the board on {port}", fault.tried);
                fault
            })?;
        }
        self.open(patience, &mut None).await
    }

    async fn flash(
        &mut self,
        image: &Image,
        force: bool,
        progress: Box<dyn Fn(u64, u64) + Send>,
    ) -> Result<Flashed, BoardFault> {
        let flashed = match self.settings.kind.loader() {
            LoaderKind::Esp8266Rom => {
                if !force && self.cache.has_confirmed(image) {
                    return Ok(Flashed::kept());
                }
                self.write_esp8266(image, progress).await
            }
            LoaderKind::Esp32Rom => self.write_esp32(image, force, progress).await,
            LoaderKind::Probe => Err(BoardFault::new(
                format!("flashing over {}", self.settings.port.display()),
                format!("a debug probe flashes boards of the kind {}", self.settings.kind.name()),
            )),
        };
        // The firmware's rate is restored in any case; a fault of the flashing is more important.
        let restored = match self.port {
            Some(_) => self.set_baud(self.settings.baud).await,
            None => Ok(()),
        };
        flashed.and_then(|flashed| restored.map(|()| flashed))
    }

    fn confirm_build(&mut self, image: &Image, build: Option<&str>) {
        self.cache.confirm(image, build);
    }

    async fn console(&mut self) -> Result<Box<dyn Console>, BoardFault> {
        let (path, baud) = (self.settings.port.clone(), self.settings.baud);
        if self.settings.rom_baud != baud {
            // A console that was closed early may have left the port at the ROM's rate.
            self.set_baud(baud).await?;
        }
        let (port, _) = self.opened("opening the console").await?;
        let console = SerialConsole::open(port::fd(port), path, baud)?;
        self.console = Rc::downgrade(console.listening());
        Ok(Box::new(console))
    }

    async fn reset(&mut self) -> Result<(), BoardFault> {
        let console = self.console.upgrade();
        if let Some(console) = &console
            && self.settings.rom_baud != self.settings.baud
        {
            self.set_baud(self.settings.rom_baud).await?;
            console.expect_rom();
        }
        match self.lines.by_hand() {
            Some(by_hand) => self.reset_by_hand(by_hand, console.as_deref()).await?,
            None => {
                let (port, lines) = self.opened("resetting the board").await?;
                lines.reset(port::fd(port)).await?;
            }
        }
        if let Some(console) = console {
            console.was_reset();
        }
        self.in_loader = false;
        Ok(())
    }

    async fn sound(&mut self) -> Result<(), BoardFault> {
        self.lines.sound().await
    }

    async fn answers(&mut self) -> Result<(), BoardFault> {
        self.recover().await;
        // Without lines, a person would have to press buttons.
        if self.lines.by_hand().is_some() {
            return Ok(());
        }
        let Some(port) = self.port.take() else {
            return Err(not_open(&self.settings, "asking the chip's ROM"));
        };
        let SerialSettings { port: path, deadlines, .. } = &self.settings;
        let (port, identity) = identify(port, path, &mut *self.lines, *deadlines).await;
        self.port = port;
        identity.map(drop)
    }

    fn power(&self) -> Option<String> {
        self.power.as_ref().map(PowerSwitch::words)
    }

    async fn power_cycle(&mut self) -> Result<(), BoardFault> {
        self.recover().await;
        // A port that stays open would come back with another name.
        self.port = None;
        self.in_loader = false;
        power::cycle(self.power.as_mut()).await?;
        // It stays locked, and it may come back as another device.
        let mut kept = self.lock.take();
        power::until_back(async || self.open(Duration::ZERO, &mut kept).await).await
    }

    async fn release(&mut self) {
        self.recover().await;
        if self.in_loader
            && let Err(fault) = self.reset().await
        {
            tracing::warn!(board = self.settings.name, %fault, "the board stays in its loader");
        }
        if let Some(port) = self.port.take()
            && !close(port).await
        {
            let port = self.settings.port.display();
            self.note(&format!(
                "the driver of {port} does not close it; it is closed when hilrig exits"
            ));
        }
        if let Some(power) = &mut self.power {
            power.release().await;
        }
        self.lock = None;
    }
}
