//! The line that the chip's ROM prints when it starts, read and put into words.
//!
//! ESP8266: ` ets Jan  8 2013,rst cause:2, boot mode:(3,6)`. ESP32 family:
//! `rst:0x10 (RTCWDT_RTC_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)`.

use std::fmt;

use hilrig_core::start::ChipStart;

use crate::scan::Scan;

/// What the ROM prints at a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RomStart {
    /// An ESP8266.
    Esp8266 {
        /// Reset cause.
        cause: u8,
        /// Boot mode, two figures.
        mode: (u8, u8),
    },
    /// A chip of the ESP32 family.
    Esp32 {
        /// Reset cause.
        cause: u8,
        /// The ROM's name for it: letters, digits and `_`.
        cause_name: String,
        /// The strapping pins.
        mode: u8,
        /// The ROM's name for the way of booting.
        mode_name: String,
    },
}

impl RomStart {
    /// The start that `line` reports. Bytes before it are passed over: the line comes at another
    /// rate than the firmware's, so what comes before is often garbage.
    pub fn read(line: &[u8]) -> Option<RomStart> {
        RomStart::esp8266(line).or_else(|| RomStart::esp32(line))
    }

    fn esp8266(line: &[u8]) -> Option<RomStart> {
        let mut scan = Scan(line).find("rst cause:")?;
        let cause = scan.small()?;
        if !scan.skip(",") {
            return None;
        }
        scan.blanks();
        if !scan.skip("boot mode:(") {
            return None;
        }
        let first = scan.small()?;
        if !scan.skip(",") {
            return None;
        }
        let second = scan.small()?;
        scan.skip(")").then_some(RomStart::Esp8266 { cause, mode: (first, second) })
    }

    fn esp32(line: &[u8]) -> Option<RomStart> {
        let mut scan = Scan(line).find("rst:0x")?;
        let (cause, cause_name) = numbered_name(&mut scan)?;
        if !scan.skip(",boot:0x") {
            return None;
        }
        let (mode, mode_name) = numbered_name(&mut scan)?;
        Some(RomStart::Esp32 { cause, cause_name, mode, mode_name })
    }

    /// The number of the reset cause.
    pub fn cause(&self) -> u8 {
        match self {
            RomStart::Esp8266 { cause, .. } | RomStart::Esp32 { cause, .. } => *cause,
        }
    }

    /// The figures of the boot mode: two on the ESP8266, one on the ESP32 family.
    pub fn mode(&self) -> Vec<u8> {
        match self {
            RomStart::Esp8266 { mode: (first, second), .. } => vec![*first, *second],
            RomStart::Esp32 { mode, .. } => vec![*mode],
        }
    }

    /// The reset cause in words.
    pub fn cause_words(&self) -> String {
        match self {
            RomStart::Esp8266 { cause, .. } => match cause {
                0 => "undefined",
                1 => "power-on",
                2 => "reset pin or software restart",
                3 => "software reset",
                4 => "watchdog",
                _ => "unknown",
            }
            .to_owned(),
            // The ROM of the ESP32 family has words of its own, more of them with each chip.
            RomStart::Esp32 { cause_name, .. } => cause_name.clone(),
        }
    }

    /// What the chip boots from, in words.
    pub fn mode_words(&self) -> String {
        match self {
            RomStart::Esp8266 { mode, .. } => match mode.0 {
                1 => "serial loader (GPIO0 is low)",
                3 => "flash",
                4..=7 => "SD card (GPIO15 is high)",
                _ => "a mode that boots nothing (GPIO2 is low)",
            }
            .to_owned(),
            RomStart::Esp32 { mode_name, .. } => mode_name.clone(),
        }
    }

    /// As a run reports it, of line `line` of the boot log.
    pub fn chip_start(&self, line: u64) -> ChipStart {
        ChipStart {
            line,
            rst_cause: self.cause(),
            reset: self.cause_words(),
            boot_mode: self.mode(),
            boots: self.mode_words(),
        }
    }

    /// Whether a watchdog in hardware reset the chip.
    pub fn by_watchdog(&self) -> bool {
        match self {
            RomStart::Esp8266 { cause, .. } => *cause == 4,
            RomStart::Esp32 { cause_name, .. } => cause_name.contains("WDT") && !self.by_brownout(),
        }
    }

    /// Whether the chip reports that its supply was too low. The ESP8266 cannot.
    pub fn by_brownout(&self) -> bool {
        match self {
            RomStart::Esp8266 { .. } => false,
            RomStart::Esp32 { cause_name, .. } => {
                ["BROWN_OUT", "BROWNOUT", "BOD_SYS"].iter().any(|name| cause_name.contains(name))
            }
        }
    }

    /// Whether the chip started because it was switched on, or woke from deep sleep, or a tool asked
    /// for it: nothing that a firmware which fails does by itself.
    pub fn from_outside(&self) -> bool {
        match self {
            RomStart::Esp8266 { cause, .. } => *cause == 1,
            RomStart::Esp32 { cause_name, .. } => {
                ["POWERON", "POWER_ON", "DEEPSLEEP", "DSLEEP", "USB_UART", "USB_JTAG"]
                    .iter()
                    .any(|name| cause_name.contains(name))
            }
        }
    }

    /// Whether the chip stays in its serial loader.
    pub fn in_loader(&self) -> bool {
        match self {
            RomStart::Esp8266 { mode, .. } => mode.0 == 1,
            RomStart::Esp32 { mode_name, .. } => mode_name.contains("DOWNLOAD"),
        }
    }
}

fn numbered_name(scan: &mut Scan<'_>) -> Option<(u8, String)> {
    let number = scan.hex()?.try_into().ok()?;
    scan.blanks();
    if !scan.skip("(") {
        return None;
    }
    // `DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2)`: what is in brackets in the name is left out.
    let name = scan.name()?;
    let end = scan.0.iter().rposition(|b| *b == b')')?;
    let comma = scan.0.windows(2).position(|window| window == b"),");
    scan.0 = &scan.0[comma.unwrap_or(end) + 1..];
    Some((number, name))
}

impl fmt::Display for RomStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cause, mode) = (self.cause_words(), self.mode_words());
        match self {
            RomStart::Esp8266 { cause: number, mode: (first, _) } => {
                write!(f, "reset cause {number}: {cause}; boots from {first}: {mode}")
            }
            RomStart::Esp32 { cause: number, mode: strapping, .. } => {
                write!(f, "reset cause {number:#x}: {cause}; boots by {strapping:#x}: {mode}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_roms_line_is_read_after_garbage() {
        let start =
            RomStart::read(b"\x8f\xffl ets Jan  8 2013,rst cause:4, boot mode:(1,7)").unwrap();
        assert_eq!(start, RomStart::Esp8266 { cause: 4, mode: (1, 7) });
        assert!(start.in_loader() && start.by_watchdog());
        let words = start.to_string();
        assert!(words.contains("watchdog") && words.contains("loader"), "{words}");
        assert_eq!(RomStart::read(b"rst cause:2, boot mode:(3"), None);
        assert_eq!(RomStart::read(b"rst cause:999, boot mode:(3,6)"), None);
        assert_eq!(RomStart::read(b"the rst cause: see above"), None);
    }

    #[test]
    fn an_esp32_prints_its_names() {
        let start =
            RomStart::read(b"rst:0x10 (RTCWDT_RTC_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)").unwrap();
        assert_eq!((start.cause(), start.mode()), (0x10, vec![0x13]));
        assert!(start.by_watchdog() && !start.by_brownout() && !start.in_loader());
        let start =
            RomStart::read(b"rst:0xf (RTCWDT_BROWN_OUT_RESET),boot:0x33 (SPI_FAST_FLASH_BOOT)")
                .unwrap();
        assert!(start.by_brownout() && !start.by_watchdog());
        let loader =
            b"rst:0x1 (POWERON_RESET),boot:0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))";
        assert!(RomStart::read(loader).unwrap().in_loader());
        assert_eq!(RomStart::read(b"rst:0x1 (),boot:0x3 (X)"), None);
        assert_eq!(RomStart::read(b"rst:0x1 (\x1b[31m),boot:0x3 (X)"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, at in 0usize..6) {
            let starts = [
                "", "rst cause:", "rst cause:1, boot mode:(", "rst:0x1 (", "rst:0x1 (A)",
                "rst:0x1 (A),boot:0x3 (B",
            ];
            let mut line = starts[at].as_bytes().to_vec();
            line.extend(bytes);
            let _ = RomStart::read(&line).map(|start| start.to_string());
        }
    }
}
