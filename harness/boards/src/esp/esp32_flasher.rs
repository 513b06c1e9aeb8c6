//! Flashing a chip of the ESP32 family, with espflash's own flasher.
//!
//! The image is an ELF file; espflash makes the second-stage loader, the partition table and the
//! application's image from it. The ROM's loader writes them, without espflash's RAM stub. The stub is
//! faster, but it is a program on the chip that no test can emulate, while a fake with a flash tests each
//! command of the ROM. The ROM computes the MD5 of its flash, so unchanged segments are not written
//! again, and written ones are verified.
//!
//! espflash runs on a thread of its own, connected by a [`Pump`]. A panic of espflash ends as a fault of
//! the bench.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use espflash::Error;
use espflash::connection::{Connection, ResetAfterOperation, ResetBeforeOperation};
use espflash::flasher::{FlashData, FlashSettings, Flasher, SpiAttachParams};
use espflash::image_format::idf::{IdfBootloaderFormat, check_idf_bootloader};
use espflash::image_format::{Metadata, Segment};
use espflash::target::{Chip, ProgressCallbacks, XtalFrequency};
use hilrig_core::board::{BoardFault, Flashed};
use hilrig_core::config::BoardKind;
use hilrig_core::mac::Mac;
use hilrig_core::text::printable;
use serialport::{TTYPort, UsbPortInfo};

use crate::esp::deadlines::LoaderDeadlines;
use crate::esp::espflash_pump::{self, Pump};

/// The rate at which the ROM's loader starts.
pub const ROM_BAUD: u32 = 115_200;

/// The ROM's block.
const BLOCK: usize = 0x400;
/// Interval between reports of progress.
const REPORTS: Duration = Duration::from_millis(50);

/// The chip of a kind of board.
///
/// # Errors
/// espflash does not know it.
pub fn chip(kind: BoardKind) -> Result<Chip, BoardFault> {
    let tried = || format!("flashing a board of the kind {}", kind.name());
    kind.name().parse().map_err(|error| BoardFault::new(tried(), error))
}

/// What to flash, and on which chip.
pub struct FlashRequest {
    /// The expected chip.
    pub chip: Chip,
    /// The expected MAC.
    pub mac: Option<Mac>,
    /// The ELF file.
    pub elf: Arc<[u8]>,
    /// Its name, for messages.
    pub name: String,
    /// Also write segments that are there already.
    pub force: bool,
    /// Rate of the loader.
    pub baud: u32,
    /// VID and PID of the port's USB device.
    pub usb: Option<(u16, u16)>,
}

/// What went wrong.
#[derive(Debug)]
pub struct FlashFailure {
    pub fault: BoardFault,
    /// Another reset into the loader may help: the flash is unchanged, and the chip is not a wrong one.
    pub again: bool,
}

/// Why espflash's side gave up.
enum Trouble {
    /// The line or the loader.
    Espflash(Error),
    /// Another attempt does not help.
    Final(BoardFault),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        Trouble::Espflash(error)
    }
}

/// Flashes the chip that is in its loader on `port`. Returns its MAC.
pub fn flash(
    port: &mut TTYPort,
    path: &Path,
    deadlines: LoaderDeadlines,
    stop: &AtomicBool,
    job: &FlashRequest,
    progress: &mut WriteProgress,
) -> Result<Mac, FlashFailure> {
    let (near, far) =
        espflash_pump::pty(ROM_BAUD).map_err(|fault| FlashFailure { fault, again: false })?;
    let mut pump = Pump::new(port, path, deadlines, job.baud, stop);
    let (carried, result) = std::thread::scope(|scope| {
        let progress = &mut *progress;
        let espflash = scope.spawn(move || talk(far, path, job, progress));
        // The near end is closed when this returns, which ends espflash if it has not ended.
        let carried = pump.run(near);
        (carried, espflash.join())
    });
    let (mut fault, again) = match (carried, result) {
        (Ok(()), Ok(Ok(mac))) => return Ok(mac),
        (_, Ok(Err(Trouble::Final(fault)))) => (fault, false),
        (Err(fault), _) => (fault, !stop.load(Ordering::Relaxed)),
        (Ok(()), Ok(Err(Trouble::Espflash(error)))) => (
            BoardFault::new(pump.tried(), words(&error)).help(
                "Try again; if it fails again, check the line (cable, rate) and the flash chip.",
            ),
            true,
        ),
        (Ok(()), Err(panic)) => (
            BoardFault::new(pump.tried(), format!("espflash panicked: {}", text_of(&*panic)))
                .help("Check the ELF file, and the line: the loader may answer garbage."),
            true,
        ),
    };
    if let Some(at) = progress.at() {
        fault.found = format!("{at}: {}", fault.found);
    }
    Err(FlashFailure { fault, again: again && progress.at().is_none() })
}

/// espflash's side.
fn talk(
    port: TTYPort,
    path: &Path,
    job: &FlashRequest,
    progress: &mut WriteProgress,
) -> Result<Mac, Trouble> {
    let (vid, pid) = job.usb.unwrap_or_default();
    let usb = UsbPortInfo {
        vid,
        pid,
        serial_number: None,
        manufacturer: None,
        product: None,
        interface: None,
    };
    // The board's own lines reset it into its loader, and into its firmware after this.
    let connection = Connection::new(
        port,
        usb,
        ResetAfterOperation::NoResetNoStub,
        ResetBeforeOperation::NoReset,
        ROM_BAUD,
    );
    let tried = format!("identifying the chip on {}", path.display());
    let refused = |found: String, help: &str| {
        let help = format!("Nothing was written. {help}");
        Trouble::Final(BoardFault::new(tried.clone(), found).help(help))
    };
    let mut flasher = Flasher::connect(connection, false, true, true, Some(job.chip), None)
        .map_err(|error| match error {
            Error::ChipMismatch(expected, found) => refused(
                format!("it is an {found}, the configuration says {expected}"),
                "Correct the board's `kind`, or name another port.",
            ),
            Error::ChipDetectError(_) => {
                refused(words(&error), "Name the port of a chip of the ESP32 family.")
            }
            error => Trouble::Espflash(error),
        })?;
    if flasher.secure_download_mode() {
        return Err(refused(
            "the chip is in secure download mode: it reports neither its MAC nor the contents of its flash".into(),
            "Only its maker's tools can flash such a chip.",
        ));
    }
    let info = flasher.device_info()?;
    let text = info.mac_address.unwrap_or_default();
    let mac: Mac = text
        .parse()
        .map_err(|error: hilrig_core::mac::NoMac| refused(error.to_string(), "Check the line."))?;
    if let Some(expected) = job.mac
        && expected != mac
    {
        return Err(refused(
            format!("its MAC is {mac}, the configuration says {expected}"),
            "Another board is on this port: correct `port` or `mac`.",
        ));
    }
    let settings = FlashSettings::new(None, Some(info.flash_size), None);
    let revision = info.revision.map_or(0, |(major, minor)| major * 100 + minor);
    let segments = segments(job, settings, info.crystal_frequency, revision).map_err(|found| {
        Trouble::Final(
            BoardFault::new(format!("making the flash image of {}", job.name), found).help(
                "Nothing was written. Name the ELF file of a firmware for this chip under `image`.",
            ),
        )
    })?;
    if job.baud != ROM_BAUD {
        flasher.change_baud(job.baud)?;
    }
    // Attaches the flash again, and stops the watchdog of a chip with a USB port of its own.
    flasher.disable_watchdog()?;
    progress.total = segments.iter().map(|segment| u64::from(segment.size())).sum();
    // `Flasher` ends with a FLASH_END, which starts the firmware. The board must run nothing until it is
    // reset, so its target is used directly (esptool leaves FLASH_END out for the same reason).
    let mut target = job.chip.flash_target(SpiAttachParams::default(), false, true, !job.force);
    for segment in segments {
        progress.begin(segment.size());
        target.write_segment(flasher.connection(), segment, progress)?;
    }
    Ok(mac)
}

/// What goes into the flash: second-stage loader, partition table, application.
fn segments(
    job: &FlashRequest,
    settings: FlashSettings,
    crystal: XtalFrequency,
    revision: u32,
) -> Result<Vec<Segment<'_>>, String> {
    if let Some(chip) = Metadata::from_bytes(Some(&job.elf)).chip_name()
        && chip != job.chip.to_string()
    {
        return Err(format!(
            "it was built for {}, not for {}",
            printable(chip.as_bytes()),
            job.chip
        ));
    }
    // The ESP32-P4 of version 3 has another second-stage loader, which espflash selects by this.
    let least = if job.chip == Chip::Esp32p4 && revision >= 300 { 300 } else { 0 };
    let data = FlashData::new(settings, least, None, job.chip, crystal);
    let image = IdfBootloaderFormat::new(&job.elf, &data, None, None, None, None)
        .map_err(|error| words(&error))?;
    if check_idf_bootloader(&job.elf.to_vec()).is_err() {
        return Err(
            "it has no application descriptor, without which the second-stage loader does not start it: \
             neither a section `.flash.appdesc` or `.rodata_desc` nor a symbol `esp_app_desc` (ESP-IDF links it in; \
             esp-hal needs `esp_bootloader_esp_idf::esp_app_desc!()`)"
                .into(),
        );
    }
    Ok(image.flash_segments().collect())
}

/// How far a flashing is.
pub struct WriteProgress {
    report: Box<dyn Fn(u64, u64) + Send>,
    reported: Option<Instant>,
    total: u64,
    /// Of the segments before this one.
    before: u64,
    segment: u64,
    now: u64,
    writing: Option<Instant>,
    written: u64,
    time: Duration,
}

impl WriteProgress {
    /// `report` gets the bytes done and the bytes in all.
    pub fn new(report: Box<dyn Fn(u64, u64) + Send>) -> WriteProgress {
        WriteProgress {
            report,
            reported: None,
            total: 0,
            before: 0,
            segment: 0,
            now: 0,
            writing: None,
            written: 0,
            time: Duration::ZERO,
        }
    }

    /// The result, once all is done.
    pub fn flashed(&self) -> Flashed {
        Flashed {
            bytes: self.written,
            time: self.time,
            kept: self.written == 0,
            // By the MD5 of each segment in the flash, written or kept.
            verified: Some(true),
            baud: None,
        }
    }

    /// Where it is, once something was erased.
    fn at(&self) -> Option<String> {
        let touched = self.writing.is_some() || self.written > 0;
        touched.then(|| format!("at byte {} of {}", self.before + self.now, self.total))
    }

    fn begin(&mut self, size: u32) {
        self.before += self.segment;
        (self.segment, self.now) = (u64::from(size), 0);
    }

    fn report(&mut self, now: bool) {
        if now || self.reported.is_none_or(|reported| reported.elapsed() >= REPORTS) {
            self.reported = Some(Instant::now());
            (self.report)(self.before + self.now, self.total);
        }
    }
}

impl ProgressCallbacks for WriteProgress {
    fn init(&mut self, _: u32, _: usize) {
        self.writing = Some(Instant::now());
        self.report(true);
    }

    fn update(&mut self, blocks: usize) {
        self.now = self.segment.min((blocks * BLOCK) as u64);
        self.report(false);
    }

    fn verifying(&mut self) {
        self.time += self.writing.map_or(Duration::ZERO, |start| start.elapsed());
    }

    fn finish(&mut self, skipped: bool) {
        self.now = self.segment;
        self.writing = None;
        self.written += if skipped { 0 } else { self.segment };
        self.report(true);
    }
}

/// An error with its causes.
fn words(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let more = error.to_string();
        // Some repeat the words of their cause.
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    printable(text.as_bytes())
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    printable(text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no text").as_bytes())
}

#[cfg(test)]
mod tests {
    use hilrig_core::board_kind::LoaderKind;

    use super::*;

    #[test]
    fn espflash_knows_each_kind_that_has_this_loader() {
        for kind in BoardKind::all() {
            let known = chip(kind).is_ok();
            assert_eq!(known, kind.loader() == LoaderKind::Esp32Rom, "{}", kind.name());
        }
    }
}
