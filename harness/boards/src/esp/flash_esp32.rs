//! Flashing a chip of the ESP32 family with an ELF file: into its loader, at a rate that works.
//!
//! The loader of this family starts at a fixed rate and changes it on request. Where a rate does not
//! work on the line, the board is reset once more and flashed at the ROM's own rate.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use hilrig_core::board::{BoardFault, Flashed};
use hilrig_core::image::Image;

use crate::esp::esp32_flasher::{self as esp32, FlashRequest, WriteProgress};
use crate::serial::board::SerialBoard;
use crate::serial::port;

impl SerialBoard {
    /// Writes the segments that are not in the flash. The chip computes what is there, so it needs no
    /// cache.
    pub(crate) async fn write_esp32(
        &mut self,
        image: &Image,
        force: bool,
        progress: Box<dyn Fn(u64, u64) + Send>,
    ) -> Result<Flashed, BoardFault> {
        let mut job = FlashRequest {
            chip: esp32::chip(self.settings.kind)?,
            mac: self.settings.mac,
            elf: Arc::clone(&image.bytes),
            name: image.path.display().to_string(),
            force,
            baud: self.settings.flash_baud,
            usb: None,
        };
        let mut progress = WriteProgress::new(progress);
        let deadlines = self.settings.deadlines;
        let mut first = true;
        let mut until: Option<Instant> = None;
        loop {
            self.set_baud(esp32::ROM_BAUD).await?;
            let (port, lines) = self.opened("flashing").await?;
            job.usb = port::usb_id(port::fd(port));
            let entered = lines.enter_loader(port::fd(port)).await;
            self.in_loader = true;
            let path = self.settings.port.clone();
            let run = move |mut port, stop: Arc<AtomicBool>| {
                let result = esp32::flash(&mut port, &path, deadlines, &stop, &job, &mut progress);
                (port, (job, progress, result))
            };
            let result;
            (job, progress, result) = self.on_thread(run).await?;
            let failed = match result {
                Ok(mac) => {
                    self.identified(mac);
                    let flashed = progress.flashed();
                    let baud = (!flashed.kept).then_some(job.baud);
                    return Ok(Flashed { baud, ..flashed });
                }
                Err(failed) if !failed.again => return Err(failed.fault),
                Err(failed) => failed,
            };
            // Without lines the board could have been in its loader; it was not.
            entered?;
            match (self.lines.by_hand(), until) {
                (Some(by_hand), None) => {
                    self.note(&format!(
                        "waiting up to {} s for the loader: {}",
                        deadlines.by_hand.as_secs_f64(),
                        by_hand.loader
                    ));
                    until = Some(Instant::now() + deadlines.by_hand);
                }
                (Some(_), Some(until)) if Instant::now() < until => {}
                // The reset missed the loader, or the rate does not work on the line.
                (None, _) if first => {
                    self.note(&format!(
                        "{}: {}; trying again at {} baud",
                        failed.fault.tried,
                        failed.fault.found,
                        esp32::ROM_BAUD
                    ));
                    first = false;
                    job.baud = esp32::ROM_BAUD;
                }
                _ => return Err(failed.fault),
            }
        }
    }
}
