//! The kinds of board: one row each in [`KINDS`].
//!
//! A new kind is a variant of [`BoardKind`] and its row. A chip that no [`LoaderKind`] flashes needs a
//! loader in `harness/boards`, too.

use serde::{Deserialize, Serialize};

use crate::image::{ElfMachine, ImageFormat};

/// The kind of a board: what flashes it and which image it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BoardKind {
    /// The ESP8266-class board on QEMU.
    Virtual,
    /// The LM3S6965 (Cortex-M3) on QEMU, on a virtual debug probe.
    Lm3s6965,
    /// An ESP8266 on a serial port.
    Esp8266,
    /// An ESP32 on a serial port.
    Esp32,
    /// An ESP32-C2 on a serial port.
    Esp32c2,
    /// An ESP32-C3 on a serial port.
    Esp32c3,
    /// An ESP32-C5 on a serial port.
    Esp32c5,
    /// An ESP32-C6 on a serial port.
    Esp32c6,
    /// An ESP32-H2 on a serial port.
    Esp32h2,
    /// An ESP32-P4 on a serial port.
    Esp32p4,
    /// An ESP32-S2 on a serial port.
    Esp32s2,
    /// An ESP32-S3 on a serial port.
    Esp32s3,
    /// A chip on a debug probe.
    Probe,
}

/// What writes an image to a board's flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoaderKind {
    /// The ESP8266's ROM loader, on a serial port.
    Esp8266Rom,
    /// The ROM loader of the ESP32 family, on a serial port.
    Esp32Rom,
    /// A debug probe.
    Probe,
}

/// The chip of a virtual board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VirtualChip {
    /// ESP8266 class: Xtensa in QEMU, with a boot ROM of the rig's.
    Esp8266,
    /// LM3S6965: Arm in QEMU, on a virtual debug probe.
    Lm3s6965,
}

/// What the rig knows of a kind.
struct Row {
    kind: BoardKind,
    name: &'static str,
    /// For help texts.
    words: &'static str,
    image: ImageFormat,
    loader: LoaderKind,
    /// Rate of the ROM's boot text, baud, where it is not the firmware's.
    rom_baud: Option<u32>,
    virtual_chip: Option<VirtualChip>,
}

/// Rate of the ESP8266's boot text with the usual crystal of 26 MHz, baud.
const ESP8266_ROM_BAUD: u32 = 74_880;

const ARM: ImageFormat = ImageFormat::Elf(ElfMachine::Arm);
const XTENSA: ImageFormat = ImageFormat::Elf(ElfMachine::Xtensa);
const RISC_V: ImageFormat = ImageFormat::Elf(ElfMachine::RiscV);

/// A chip of the ESP32 family.
const fn esp32(
    kind: BoardKind,
    name: &'static str,
    words: &'static str,
    image: ImageFormat,
) -> Row {
    Row {
        kind,
        name,
        words,
        image,
        loader: LoaderKind::Esp32Rom,
        rom_baud: None,
        virtual_chip: None,
    }
}

/// The rows, in the order of the variants.
static KINDS: [Row; 13] = [
    Row {
        kind: BoardKind::Virtual,
        name: "virtual",
        words: "ESP8266 class, flashed over its serial port",
        image: ImageFormat::Esp8266,
        loader: LoaderKind::Esp8266Rom,
        rom_baud: None,
        virtual_chip: Some(VirtualChip::Esp8266),
    },
    Row {
        kind: BoardKind::Lm3s6965,
        name: "lm3s6965",
        words: "LM3S6965 (Cortex-M3), behind a debug probe",
        image: ARM,
        loader: LoaderKind::Probe,
        rom_baud: None,
        virtual_chip: Some(VirtualChip::Lm3s6965),
    },
    Row {
        kind: BoardKind::Esp8266,
        name: "esp8266",
        words: "ESP8266, on a serial port",
        image: ImageFormat::Esp8266,
        loader: LoaderKind::Esp8266Rom,
        rom_baud: Some(ESP8266_ROM_BAUD),
        virtual_chip: None,
    },
    esp32(BoardKind::Esp32, "esp32", "ESP32, on a serial port", XTENSA),
    esp32(BoardKind::Esp32c2, "esp32c2", "ESP32-C2, on a serial port", RISC_V),
    esp32(BoardKind::Esp32c3, "esp32c3", "ESP32-C3, on a serial port", RISC_V),
    esp32(BoardKind::Esp32c5, "esp32c5", "ESP32-C5, on a serial port", RISC_V),
    esp32(BoardKind::Esp32c6, "esp32c6", "ESP32-C6, on a serial port", RISC_V),
    esp32(BoardKind::Esp32h2, "esp32h2", "ESP32-H2, on a serial port", RISC_V),
    esp32(BoardKind::Esp32p4, "esp32p4", "ESP32-P4, on a serial port", RISC_V),
    esp32(BoardKind::Esp32s2, "esp32s2", "ESP32-S2, on a serial port", XTENSA),
    esp32(BoardKind::Esp32s3, "esp32s3", "ESP32-S3, on a serial port", XTENSA),
    Row {
        kind: BoardKind::Probe,
        name: "probe",
        words: "a chip behind a debug probe",
        image: ARM,
        loader: LoaderKind::Probe,
        rom_baud: None,
        virtual_chip: None,
    },
];

impl BoardKind {
    /// Each kind, in the order of the configuration's documentation.
    pub fn all() -> impl Iterator<Item = BoardKind> {
        KINDS.iter().map(|row| row.kind)
    }

    /// The kind of this name, as in the configuration.
    pub fn named(name: &str) -> Option<BoardKind> {
        BoardKind::all().find(|kind| kind.name() == name)
    }

    fn row(self) -> &'static Row {
        &KINDS[self as usize]
    }

    /// The name, as in the configuration.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// What it is, for help texts: `ESP32-C3, on a serial port`.
    pub fn words(self) -> &'static str {
        self.row().words
    }

    /// What its image has to look like.
    pub fn image_format(self) -> ImageFormat {
        self.row().image
    }

    /// What flashes it.
    pub fn loader(self) -> LoaderKind {
        self.row().loader
    }

    /// The chip that its ROM loader identifies itself as; none where a probe flashes it.
    pub fn rom_chip(self) -> Option<&'static str> {
        match self.loader() {
            LoaderKind::Esp8266Rom => Some(BoardKind::Esp8266.name()),
            LoaderKind::Esp32Rom => Some(self.name()),
            LoaderKind::Probe => None,
        }
    }

    /// The rate of its ROM's boot text, baud, where the firmware prints at `baud`.
    pub fn rom_baud(self, baud: u32) -> u32 {
        self.row().rom_baud.unwrap_or(baud)
    }

    /// The chip that QEMU emulates; none for real boards.
    pub fn virtual_chip(self) -> Option<VirtualChip> {
        self.row().virtual_chip
    }

    /// Whether QEMU is its chip.
    pub fn is_virtual(self) -> bool {
        self.virtual_chip().is_some()
    }

    /// Whether a debug probe flashes it.
    pub fn has_probe(self) -> bool {
        self.loader() == LoaderKind::Probe
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_at_its_variant_and_has_its_serialized_name() {
        for (at, row) in KINDS.iter().enumerate() {
            assert_eq!(row.kind as usize, at, "{}", row.name);
            assert_eq!(serde_json::to_value(row.kind).unwrap(), row.name);
            assert_eq!(BoardKind::named(row.name), Some(row.kind));
        }
        assert_eq!(BoardKind::named("esp"), None);
    }

    #[test]
    fn the_virtual_board_has_the_rom_of_an_esp8266_and_prints_at_one_rate() {
        assert_eq!(BoardKind::Virtual.rom_chip(), Some("esp8266"));
        assert_eq!(BoardKind::Virtual.rom_baud(115_200), 115_200);
        assert_eq!(BoardKind::Esp8266.rom_baud(115_200), 74_880);
        assert_eq!(BoardKind::Esp32c3.rom_chip(), Some("esp32c3"));
        assert_eq!(BoardKind::Probe.rom_chip(), None);
    }
}
