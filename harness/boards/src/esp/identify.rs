//! Identifying a chip of any kind by its ROM loader.
//!
//! espflash can do this for the ESP32 family, but panics on answers of a wrong length. This uses its
//! tables, and reads the answers as untrusted input.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use espflash::target::Chip;
use hilrig_core::board::{BoardFault, ResetLines};
use hilrig_core::config::BoardKind;
use hilrig_core::mac::Mac;
use serde::{Deserialize, Serialize};
use serialport::TTYPort;

use crate::esp::deadlines::LoaderDeadlines;
use crate::esp::esp8266_loader::{Esp8266Loader, LoaderTrouble};
use crate::esp::esp8266_rom as rom;
use crate::serial::port;

/// What a chip's loader reports about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChipIdentity {
    /// The chip's kind, as in the configuration: `esp8266`.
    pub chip: String,
    /// Its MAC.
    pub mac: Mac,
}

impl ChipIdentity {
    /// Whether a board of that kind has this chip.
    pub fn is_a(&self, kind: BoardKind) -> bool {
        kind.rom_chip() == Some(&self.chip)
    }
}

/// Ends a thread at its next wait when the future that awaits it is dropped.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Resets the board on an open port into its loader, identifies it, and resets it into its firmware.
/// Returns the port, unless the thread panicked with it.
pub async fn identify(
    port: TTYPort,
    path: &Path,
    lines: &mut dyn ResetLines,
    deadlines: LoaderDeadlines,
) -> (Option<TTYPort>, Result<ChipIdentity, BoardFault>) {
    // Without lines, a board may still be in its loader.
    let entered = lines.enter_loader(port::fd(&port)).await;
    let stop = Arc::new(AtomicBool::new(false));
    let _guard = StopOnDrop(Arc::clone(&stop));
    let name = path.to_owned();
    let asked = tokio::task::spawn_blocking(move || {
        let mut port = port;
        let mut loader = Esp8266Loader::new(&mut port, &name, deadlines, &stop);
        let identity = loader.sync(deadlines.sync).and_then(|()| loader.who());
        (port, identity.map_err(|trouble| trouble.fault))
    });
    let (port, identity) = match asked.await {
        Ok((port, identity)) => (port, identity),
        Err(error) => {
            let tried = format!("asking the chip on {}", path.display());
            return (None, Err(BoardFault::new(tried, format!("the thread ended: {error}"))));
        }
    };
    if let Err(fault) = lines.reset(port::fd(&port)).await {
        tracing::warn!(port = %path.display(), %fault, "the board stays in its loader");
    }
    let identity = match (entered, identity) {
        // The lines are why nothing answers.
        (Err(fault), Err(_)) => Err(fault),
        (_, identity) => identity,
    };
    (Some(port), identity)
}

impl Esp8266Loader<'_> {
    /// The chip and its MAC.
    fn who(&mut self) -> Result<ChipIdentity, LoaderTrouble> {
        let magic = self.fenced_register(rom::MAGIC_REGISTER)?;
        if magic == rom::MAGIC {
            let mut words = [0; 3];
            for (word, address) in words.iter_mut().zip(rom::MAC_REGISTERS) {
                *word = self.fenced_register(address)?;
            }
            let mac = rom::mac(words);
            return match mac {
                Some(mac) => Ok(ChipIdentity { chip: "esp8266".into(), mac }),
                None => Err(self.unknown(format!("its MAC words {words:08x?} are no MAC")).into()),
            };
        }
        let Ok(chip) = Chip::from_magic(magic) else {
            return Err(self
                .unknown(format!(
                    "it has {magic:#010x} at {:#010x}, which no chip has that hilrig knows",
                    rom::MAGIC_REGISTER
                ))
                .into());
        };
        let [low, high] = mac_registers(chip);
        let (low, high) = (self.fenced_register(low)?, self.fenced_register(high)?);
        let ([c, d, e, f], [_, _, a, b]) = (low.to_be_bytes(), high.to_be_bytes());
        Ok(ChipIdentity { chip: chip.to_string(), mac: Mac([a, b, c, d, e, f]) })
    }
}

/// The fuse words with a chip's MAC, its last four bytes first (esptool's MAC_EFUSE_REG).
fn mac_registers(chip: Chip) -> [u32; 2] {
    let offset = match chip {
        Chip::Esp32 => 0x04,
        Chip::Esp32c2 => 0x40,
        _ => 0x44,
    };
    [chip.efuse_reg() + offset, chip.efuse_reg() + offset + 4]
}
