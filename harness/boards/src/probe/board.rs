//! The board on a debug probe.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hilrig_core::board::{
    Board, BoardFault, Console, ConsoleSink, Flashed, Notes, Reach, ResetLines,
};
use hilrig_core::contract::HeapSymbol;
use hilrig_core::event::BoardFacts;
use hilrig_core::heap::HeapRead;
use hilrig_core::image::Image;
use hilrig_core::mac::Mac;
use probe_rs::flashing::{DownloadOptions, FlashProgress, ProgressEvent, ProgressOperation};
use probe_rs::rtt::{Rtt, ScanRegion};
use probe_rs::{Core, CoreStatus, Error, MemoryInterface as _, RegisterValue};
use tokio::sync::mpsc;

use super::fault::FaultRegisters;
use super::link::{AttachedChip, ConsoleRead, Link};
use super::trouble::{Names, chain};
use super::{elf, fault, open};
use crate::flash_cache::{FlashCache, FlashedImage};
use crate::lock::LockFile;
use crate::power::{self, PowerSwitch};

/// The symbol of the RTT control block (SEGGER's name, which all implementations keep).
const RTT_SYMBOL: &str = "_SEGGER_RTT";
/// How long a core may take to halt. It is a few bus cycles; a probe on a slow link takes most of it.
const HALT: Duration = Duration::from_millis(500);
/// How long the release of a board waits for an abandoned flashing: probe-rs cannot stop it.
const LEAVE: Duration = Duration::from_secs(2);
/// The settings of a [`ProbeBoard`].
pub struct ProbeSettings {
    /// Name in the configuration.
    pub name: String,
    /// `probe` or `lm3s6965`.
    pub kind: String,
    /// The chip, as probe-rs names it.
    pub chip: String,
    /// Which probe (`VID:PID[:SERIAL]`), if there may be more than one.
    pub probe: Option<String>,
    /// MAC of the chip, where it is known.
    pub mac: Option<Mac>,
    /// How board and rig reach each other.
    pub reach: Reach,
    /// The firmware that runs on it, if known before the first flashing. Its console is found by its
    /// symbol; without one the RAM is searched.
    pub firmware: Option<Image>,
    /// Folder of the caches, which are kept from run to run.
    pub state: PathBuf,
    /// Folder of the locks, the same for all runs on this bench.
    pub locks: PathBuf,
}

/// A board on a debug probe. See [`Board`].
///
/// - Each write is read back and compared, so `Flashed::verified` is `Some(true)` after one.
/// - Its console is RTT channel 0, read while the core runs. The firmware has to have one.
/// - The session with the probe lasts from [`Board::lock`] to [`Board::release`], on a thread of its
///   own. One lock a probe.
/// - A flashing whose future is dropped goes on to its end: probe-rs cannot stop it.
pub struct ProbeBoard {
    settings: ProbeSettings,
    cache: FlashCache,
    /// The probe's name, once it is found.
    probe: Option<String>,
    link: Option<Link>,
    power: Option<PowerSwitch>,
    notes: Option<Notes>,
    /// What else can check whether the board works.
    witness: Option<Box<dyn ResetLines>>,
    /// What it is locked for.
    reason: String,
}

impl ProbeBoard {
    /// Touches nothing yet; [`Board::lock`] opens the probe.
    pub fn new(settings: ProbeSettings) -> ProbeBoard {
        let key = settings.mac.map_or_else(|| settings.name.clone(), Mac::hex);
        ProbeBoard {
            cache: FlashCache::of(&settings.state, &key),
            settings,
            probe: None,
            link: None,
            power: None,
            notes: None,
            witness: None,
            reason: String::new(),
        }
    }

    /// The same with a power line.
    #[must_use]
    pub fn with_power(mut self, power: Option<PowerSwitch>) -> ProbeBoard {
        self.power = power;
        self
    }

    /// The same with something besides the probe that can check whether the board works.
    #[must_use]
    pub fn with_witness(mut self, witness: Box<dyn ResetLines>) -> ProbeBoard {
        self.witness = Some(witness);
        self
    }

    /// Finds the probe, locks it and attaches to the chip.
    async fn attach(&mut self, patience: Duration) -> Result<(), BoardFault> {
        let selector = self.settings.probe.clone();
        let found = tokio::task::spawn_blocking(move || open::find(selector.as_deref())).await;
        let found = found.map_err(|error| BoardFault::new("looking for the probe", error))??;
        let probe = open::name(&found);
        self.probe = Some(probe.clone());
        let notes = &self.notes;
        let note = |words: &str| notes.iter().for_each(|notes| notes(words));
        let (locks, port) = (&self.settings.locks, Path::new(&probe));
        let lock = LockFile::wait(locks, port, &self.reason, patience, note).await?;
        let chip = self.settings.chip.clone();
        let names = Names { probe, chip: chip.clone() };
        self.link = Some(Link::open(names, move || open::open(&found, &chip), lock).await?);
        Ok(())
    }

    fn link(&self, doing: &str) -> Result<&Link, BoardFault> {
        self.link.as_ref().ok_or_else(|| {
            BoardFault::new(
                format!("{doing} ({})", self.settings.chip),
                "the probe is not open; the board must be locked first",
            )
        })
    }

    /// Where the firmware's RTT control block is, if that is known.
    fn block(&self) -> Option<u64> {
        elf::symbol(self.settings.firmware.as_ref()?, RTT_SYMBOL)
    }
}

#[async_trait(?Send)]
impl Board for ProbeBoard {
    fn name(&self) -> &str {
        &self.settings.name
    }

    fn facts(&self) -> BoardFacts {
        BoardFacts {
            kind: self.settings.kind.clone(),
            port: self
                .probe
                .clone()
                .or_else(|| self.settings.probe.clone())
                .unwrap_or_else(|| "the only debug probe".into()),
            mac: self.settings.mac,
        }
    }

    fn reach(&self) -> Reach {
        self.settings.reach.clone()
    }

    fn set_notes(&mut self, notes: Notes) {
        self.notes = Some(notes);
    }

    async fn lock(&mut self, reason: &str, patience: Duration) -> Result<(), BoardFault> {
        if self.link.is_some() {
            return Ok(());
        }
        self.reason = reason.to_owned();
        if let Some(power) = &mut self.power {
            let notes = &self.notes;
            let note = |words: &str| notes.iter().for_each(|notes| notes(words));
            power.lock(&self.settings.locks, reason, patience, note).await?;
        }
        self.attach(patience).await
    }

    async fn flash(
        &mut self,
        image: &Image,
        force: bool,
        progress: Box<dyn Fn(u64, u64) + Send>,
    ) -> Result<Flashed, BoardFault> {
        let segments = elf::segments(image)?;
        self.settings.firmware = Some(image.clone());
        if !force && self.cache.has_confirmed(image) {
            return Ok(Flashed::kept());
        }
        let link = self.link("flashing")?;
        // From here on the old image is gone.
        self.cache.set_image(None);
        let bytes = Arc::clone(&image.bytes);
        let (written, time) =
            link.ask("flashing", move |chip| write(chip, &bytes, &segments, &*progress)).await?;
        self.cache.set_image(Some(FlashedImage {
            sha256: image.identity(),
            build: image.build.clone(),
            confirmed: false,
        }));
        Ok(Flashed { bytes: written, time, kept: false, verified: Some(true), baud: None })
    }

    fn confirm_build(&mut self, image: &Image, build: Option<&str>) {
        self.cache.confirm(image, build);
    }

    async fn console(&mut self) -> Result<Box<dyn Console>, BoardFault> {
        let reads = self.link("opening the console")?.listen(self.block()).await?;
        Ok(Box::new(RttConsole { reads, chip: self.settings.chip.clone() }))
    }

    async fn reset(&mut self) -> Result<(), BoardFault> {
        const DOING: &str = "resetting the chip";
        let block = self.block();
        self.link(DOING)?
            .ask(DOING, move |chip| {
                chip.core(DOING, |core| {
                    core.reset_and_halt(HALT)?;
                    // RAM survives a reset: without this, the console of the previous firmware would be
                    // found in place of the next one's.
                    if let Some(block) = block {
                        forget_console(core, block)?;
                    }
                    core.run()
                })?;
                chip.restart_console();
                Ok(())
            })
            .await
    }

    async fn sound(&mut self) -> Result<(), BoardFault> {
        const DOING: &str = "checking the chip";
        // First, because a probe waits long for a chip that does not answer.
        if let Some(witness) = &mut self.witness {
            witness.sound().await?;
        }
        match &self.link {
            Some(link) => {
                link.ask(DOING, |chip| chip.core(DOING, |core| core.status().map(drop))).await
            }
            None => Ok(()),
        }
    }

    async fn read_heap(
        &mut self,
        image: &Image,
        symbol: &HeapSymbol,
    ) -> Result<Option<HeapRead>, BoardFault> {
        const DOING: &str = "reading the heap's figures from memory";
        let Some(address) = elf::symbol(image, &symbol.name) else {
            let found = format!(
                "{} does not have exactly one symbol `{}`",
                image.path.display(),
                symbol.name
            );
            return Err(BoardFault::new(DOING, found).help(
                "The contract's [heap.symbol] names it; leave that out for a firmware without.",
            ));
        };
        let mut words = vec![0; symbol.words()];
        let words = self
            .link(DOING)?
            .ask(DOING, move |chip| {
                chip.core(DOING, |core| core.read_32(address, &mut words))?;
                Ok(words)
            })
            .await?;
        Ok(symbol.figures(&words))
    }

    async fn stuck(&mut self) -> Option<String> {
        const DOING: &str = "reading why the core does not run";
        let asked = self.link.as_ref()?.ask(DOING, |chip| chip.core(DOING, stuck)).await;
        asked.unwrap_or_else(|fault| {
            tracing::warn!(%fault, "cannot check whether the core runs");
            None
        })
    }

    fn power(&self) -> Option<String> {
        self.power.as_ref().map(PowerSwitch::words)
    }

    async fn power_cycle(&mut self) -> Result<(), BoardFault> {
        if let Some(link) = self.link.take() {
            link.close(LEAVE).await;
        }
        power::cycle(self.power.as_mut()).await?;
        power::until_back(async || self.attach(Duration::ZERO).await).await
    }

    async fn release(&mut self) {
        if let Some(link) = self.link.take() {
            link.close(LEAVE).await;
        }
        if let Some(power) = &mut self.power {
            power.release().await;
        }
    }
}

/// Writes the segments and reads them back; bytes and time.
fn write(
    chip: &mut AttachedChip,
    image: &[u8],
    segments: &[elf::FlashSegment],
    progress: &dyn Fn(u64, u64),
) -> Result<(u64, Duration), BoardFault> {
    const DOING: &str = "flashing";
    let names = chip.names();
    let total: u64 = segments.iter().map(|segment| segment.bytes.len() as u64).sum();
    let mut loader = chip.session().target().flash_loader();
    for segment in segments {
        loader
            .add_data(segment.address, &image[segment.bytes.clone()])
            .map_err(|error| names.flash_error(DOING, &error))?;
    }
    let mut written = 0;
    let mut options = DownloadOptions::default();
    options.verify = true;
    options.progress = FlashProgress::new(|event| {
        if let ProgressEvent::Progress { operation: ProgressOperation::Program, size, .. } = event {
            // Whole pages are written, so the last one may be longer than the image.
            written = (written + size).min(total);
            progress(written, total);
        }
    });
    let since = Instant::now();
    loader.commit(chip.session(), options).map_err(|error| names.flash_error(DOING, &error))?;
    let time = since.elapsed();
    progress(total, total);
    // Nothing runs until the reset.
    chip.core("halting the chip", |core| core.reset_and_halt(HALT))?;
    Ok((total, time))
}

fn forget_console(core: &mut Core<'_>, block: u64) -> Result<(), Error> {
    match Rtt::clear_control_block(core, &ScanRegion::Exact(block)) {
        Err(probe_rs::rtt::Error::Probe(error)) => Err(error),
        Err(error) => Err(Error::Other(chain(&error))),
        Ok(()) => Ok(()),
    }
}

/// Why a core does not run, in words.
fn stuck(core: &mut Core<'_>) -> Result<Option<String>, Error> {
    let state = match core.status()? {
        CoreStatus::Running | CoreStatus::Sleeping | CoreStatus::Unknown => return Ok(None),
        CoreStatus::LockedUp => {
            // Only a halted core shows its registers.
            core.halt(HALT)?;
            "the core is locked up: a fault inside a fault".to_owned()
        }
        CoreStatus::Halted(reason) => format!("the core is halted ({reason:?})"),
    };
    let mut registers = FaultRegisters {
        cfsr: core.read_word_32(fault::CFSR)?,
        hfsr: core.read_word_32(fault::HFSR)?,
        mmfar: core.read_word_32(fault::MMFAR)?,
        bfar: core.read_word_32(fault::BFAR)?,
        pc: word(core.read_core_reg(core.program_counter())?),
        lr: word(core.read_core_reg(core.return_address())?),
        before: None,
    };
    // Inside an exception, LR shows whether its frame is on the process stack (ARMv7-M, B1.5.8). On the
    // main stack, an unknown number of the handler's own frames is above it. A frame outside of memory is
    // a cause of the fault; the registers are still shown.
    if registers.lr & 0xFFFF_FFE4 == 0xFFFF_FFE4
        && let Some(psp) = core.registers().psp()
        && let Ok(frame) = core.read_core_reg(psp)
    {
        let mut stored = [0; 2];
        if core.read_32(u64::from(word(frame)) + 20, &mut stored).is_ok() {
            registers.before = Some((stored[1], stored[0]));
        }
    }
    Ok(Some(format!("{state}: {}", registers.words())))
}

/// A register of a 32-bit core.
fn word(value: RegisterValue) -> u32 {
    value.try_into().unwrap_or_default()
}

/// The firmware's output over RTT.
struct RttConsole {
    reads: mpsc::Receiver<ConsoleRead>,
    chip: String,
}

#[async_trait(?Send)]
impl Console for RttConsole {
    async fn read_into(&mut self, sink: &mut dyn ConsoleSink) -> BoardFault {
        while let Some(reads) = self.reads.recv().await {
            match reads {
                Ok((at, bytes)) => sink.chunk(at, &bytes),
                Err(fault) => return fault,
            }
        }
        BoardFault::new(
            format!("reading the console of the {}", self.chip),
            "its session has ended",
        )
    }
}
