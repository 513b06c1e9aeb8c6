//! Faults between rig, probe and chip, each with what to do next.

use std::error::Error as StdError;

use hilrig_core::board::BoardFault;
use probe_rs::Error;
use probe_rs::architecture::arm::ArmError;
use probe_rs::config::{Registry, RegistryError};
use probe_rs::flashing::FlashError;
use probe_rs::probe::{DebugProbeError, ProbeCreationError};

/// How many similar names are shown for an unknown chip.
const MOST_NAMES: usize = 8;

/// The names of probe and chip.
#[derive(Clone, Debug)]
pub struct Names {
    /// The probe, `VID:PID:SERIAL` for a real one.
    pub probe: String,
    /// The chip, as probe-rs names it.
    pub chip: String,
}

impl Names {
    fn tried(&self, doing: &str) -> String {
        format!("{doing} ({}, probe {})", self.chip, self.probe)
    }

    /// A fault without a cause of probe-rs.
    pub fn fault(&self, doing: &str, found: impl ToString) -> BoardFault {
        BoardFault::new(self.tried(doing), found)
    }

    /// The fault of an error of probe-rs.
    pub fn error(&self, doing: &str, error: &Error) -> BoardFault {
        self.fault(doing, chain(error)).help(self.help(error))
    }

    /// The same of an error while flashing.
    pub fn flash_error(&self, doing: &str, error: &FlashError) -> BoardFault {
        let help = match error {
            FlashError::NoSuitableNvm { .. } => format!(
                "The image does not fit into the memory of a {}: check `chip` in the configuration, and whether the image was linked for it.",
                self.chip
            ),
            FlashError::NoFlashLoaderAlgorithmAttached { .. } => {
                "probe-rs has no flash algorithm for this chip; `chip` may be a whole family's name where a part number is needed.".into()
            }
            FlashError::Verify => {
                "The flash does not have what was written: the chip may not be the one of `chip`, its flash may be worn, or its supply weak.".into()
            }
            FlashError::Core(error)
            | FlashError::ResetAndHalt(error)
            | FlashError::Run(error)
            | FlashError::UnableToReadCoreStatus(error) => self.help(error),
            _ => format!(
                "Check the cable between probe and chip, and whether the chip is a {}.",
                self.chip
            ),
        };
        self.fault(doing, chain(error)).help(help)
    }

    fn help(&self, error: &Error) -> String {
        match error {
            Error::Probe(error) | Error::Arm(ArmError::Probe(error)) => self.probe_help(error),
            Error::ChipNotFound(RegistryError::ChipNotFound(_)) => {
                let near = Registry::from_builtin_families().search_chips(&self.chip);
                match near.is_empty() {
                    true => "`chip` in the configuration is a chip's name in probe-rs: https://probe.rs/targets lists them.".into(),
                    false => format!(
                        "`chip` in the configuration is a chip's name in probe-rs, such as {}.",
                        near.into_iter().take(MOST_NAMES).collect::<Vec<_>>().join(", ")
                    ),
                }
            }
            Error::ChipNotFound(_) => "Give the chip's whole part number as `chip`.".into(),
            _ => "Check the cable between probe and chip, at the board's power, and whether another debugger is attached to it.".into(),
        }
    }

    fn probe_help(&self, error: &DebugProbeError) -> String {
        use std::io::ErrorKind as Io;
        let io = io_kind(error);
        match error {
            _ if io == Some(Io::PermissionDenied) => self.udev(),
            _ if io == Some(Io::ResourceBusy) => {
                "Another debugger has the probe open (an IDE, OpenOCD, probe-rs, another run): end it.".into()
            }
            DebugProbeError::ProbeCouldNotBeCreated(ProbeCreationError::CouldNotOpen) => format!(
                "Another debugger may have the probe open, or this user may not: {}",
                self.udev()
            ),
            DebugProbeError::ProbeCouldNotBeCreated(_) => {
                "Check the probe's USB cable; `hilrig boards` lists what is attached.".into()
            }
            DebugProbeError::TargetNotFound => {
                "The probe is there, the chip does not answer it: check the debug cable (SWDIO, SWCLK, GND) and the board's power.".into()
            }
            _ => "Check the probe's USB cable and the board's power; plug the probe in again if it hangs.".into(),
        }
    }

    /// The rule that gives this probe to users who are logged in.
    fn udev(&self) -> String {
        let mut ids = self.probe.split(':');
        let (vendor, product) = (ids.next().unwrap_or_default(), ids.next().unwrap_or_default());
        let product = product.split('-').next().unwrap_or_default();
        format!(
            "Give the probe to users by a file /etc/udev/rules.d/60-hilrig-probe.rules with SUBSYSTEM==\"usb\", ATTR{{idVendor}}==\"{vendor}\", ATTR{{idProduct}}==\"{product}\", MODE=\"0660\", GROUP=\"plugdev\", TAG+=\"uaccess\", then `udevadm control --reload` and plug it in again."
        )
    }
}

/// The error with all of its causes: probe-rs' outer ones have little detail.
pub fn chain(error: &dyn StdError) -> String {
    let mut words = error.to_string().trim_end_matches('.').to_owned();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        let text = text.trim_end_matches('.');
        if !words.ends_with(text) {
            words = format!("{words}: {text}");
        }
        next = cause.source();
    }
    words
}

fn io_kind(error: &(dyn StdError + 'static)) -> Option<std::io::ErrorKind> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names { probe: "0483:374b:0670FF49".into(), chip: "STM32F411".into() }
    }

    #[test]
    fn each_trouble_with_a_probe_says_what_to_do() {
        let words =
            |error: DebugProbeError| names().error("opening", &Error::Probe(error)).to_string();
        let usb = |kind: std::io::ErrorKind| DebugProbeError::Usb(kind.into());
        let denied = words(usb(std::io::ErrorKind::PermissionDenied));
        assert!(denied.contains(r#"ATTR{idVendor}=="0483", ATTR{idProduct}=="374b""#), "{denied}");
        assert!(words(usb(std::io::ErrorKind::ResourceBusy)).contains("Another debugger"));
        let gone = words(DebugProbeError::ProbeCouldNotBeCreated(ProbeCreationError::NotFound));
        assert!(gone.contains("STM32F411, probe 0483:374b:0670FF49"), "{gone}");
        assert!(gone.contains("`hilrig boards`"), "{gone}");
        assert!(words(DebugProbeError::TargetNotFound).contains("SWDIO"));
    }

    #[test]
    fn a_chip_that_is_not_known_brings_names_that_are() {
        let error = RegistryError::ChipNotFound("STM32F411".into());
        let words = names().error("attaching", &Error::ChipNotFound(error)).to_string();
        assert!(words.contains("STM32F411CE"), "{words}");
    }
}
