//! The file `runner-config.toml` as it is written.
//!
//! Strict: a key that is not here is an error with its line. Every key with its default stands,
//! commented, in the `runner-config.toml` of the repository.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::BoardKind;
use crate::heap::HeapPhase;
use crate::mac::Mac;
use crate::units::{Bytes, Span};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    pub schema: Spanned<u32>,
    pub firmware: Firmware,
    #[serde(default)]
    pub broker: Broker,
    #[serde(default)]
    pub heap: Heap,
    #[serde(default)]
    pub certify: Certify,
    #[serde(default)]
    pub scenario: Scenario,
    #[serde(default)]
    pub deadlines: Deadlines,
    #[serde(default, rename = "virtual")]
    pub virtual_: Virtual,
    #[serde(default)]
    pub record: Record,
    #[serde(default, rename = "board")]
    pub boards: Vec<Spanned<Board>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Firmware {
    pub contract: Spanned<String>,
    #[serde(rename = "virtual")]
    pub virtual_: Option<FirmwareFiles>,
    pub lm3s6965: Option<FirmwareFiles>,
    pub esp8266: Option<FirmwareFiles>,
    pub esp32: Option<FirmwareFiles>,
    pub esp32c2: Option<FirmwareFiles>,
    pub esp32c3: Option<FirmwareFiles>,
    pub esp32c5: Option<FirmwareFiles>,
    pub esp32c6: Option<FirmwareFiles>,
    pub esp32h2: Option<FirmwareFiles>,
    pub esp32p4: Option<FirmwareFiles>,
    pub esp32s2: Option<FirmwareFiles>,
    pub esp32s3: Option<FirmwareFiles>,
    pub probe: Option<FirmwareFiles>,
    #[serde(default)]
    pub settings: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    pub secrets: BTreeMap<String, Spanned<String>>,
}

/// The names of a kind's keys, for messages.
pub(super) struct FirmwareKeys {
    pub image: &'static str,
    pub elf: &'static str,
    pub callers: &'static str,
    pub segments: &'static str,
}

macro_rules! keys {
    ($kind:literal) => {
        FirmwareKeys {
            image: concat!("firmware.", $kind, ".image"),
            elf: concat!("firmware.", $kind, ".elf"),
            callers: concat!("firmware.", $kind, ".callers"),
            segments: concat!("firmware.", $kind, ".segments.file"),
        }
    };
}

impl Firmware {
    /// The table of each kind of board, with its keys' names.
    pub fn kinds(&self) -> [(BoardKind, FirmwareKeys, Option<&FirmwareFiles>); 13] {
        [
            (BoardKind::Virtual, keys!("virtual"), self.virtual_.as_ref()),
            (BoardKind::Lm3s6965, keys!("lm3s6965"), self.lm3s6965.as_ref()),
            (BoardKind::Esp8266, keys!("esp8266"), self.esp8266.as_ref()),
            (BoardKind::Esp32, keys!("esp32"), self.esp32.as_ref()),
            (BoardKind::Esp32c2, keys!("esp32c2"), self.esp32c2.as_ref()),
            (BoardKind::Esp32c3, keys!("esp32c3"), self.esp32c3.as_ref()),
            (BoardKind::Esp32c5, keys!("esp32c5"), self.esp32c5.as_ref()),
            (BoardKind::Esp32c6, keys!("esp32c6"), self.esp32c6.as_ref()),
            (BoardKind::Esp32h2, keys!("esp32h2"), self.esp32h2.as_ref()),
            (BoardKind::Esp32p4, keys!("esp32p4"), self.esp32p4.as_ref()),
            (BoardKind::Esp32s2, keys!("esp32s2"), self.esp32s2.as_ref()),
            (BoardKind::Esp32s3, keys!("esp32s3"), self.esp32s3.as_ref()),
            (BoardKind::Probe, keys!("probe"), self.probe.as_ref()),
        ]
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FirmwareFiles {
    pub image: Spanned<String>,
    pub elf: Option<Spanned<String>>,
    pub callers: Option<Spanned<String>>,
    #[serde(default)]
    pub segments: Vec<Segment>,
    #[serde(default)]
    pub settings: SettingsBy,
    #[serde(default)]
    pub floor: BTreeMap<HeapPhase, Spanned<Bytes>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
/// How the board gets the settings of `[firmware.settings]` and `[firmware.secrets]`.
pub enum SettingsBy {
    /// Over its configuration page alone.
    #[default]
    Page,
    /// Written to its flash beside the image as well, so that it starts with them.
    Flash,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Segment {
    pub offset: u32,
    pub file: Spanned<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
/// Where the broker runs.
pub enum BrokerKind {
    /// In a container if an engine answers, else as a process.
    #[default]
    Auto,
    /// In a container, or not at all.
    Container,
    /// As a process of this machine.
    Process,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Broker {
    pub kind: BrokerKind,
    pub software: String,
    pub image: Option<String>,
    pub executable: Option<String>,
    pub port: Option<Spanned<u16>>,
}

impl Default for Broker {
    fn default() -> Broker {
        Broker {
            kind: BrokerKind::Auto,
            software: "mosquitto".into(),
            image: None,
            executable: None,
            port: None,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Heap {
    pub floor: BTreeMap<HeapPhase, Spanned<Bytes>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Certify {
    pub require: Require,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Require {
    pub cases: Vec<Spanned<String>>,
    pub heap: Option<Bytes>,
    pub handshake_seconds: Option<Span>,
    pub handshake_bytes: Option<Bytes>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Scenario {
    pub handshake: Steps,
    pub page: Steps,
    pub payload: Steps,
    pub reconnect: Steps,
    pub soak: Soak,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Steps {
    pub count: Option<Spanned<u32>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Soak {
    #[serde(rename = "for")]
    pub time: Option<Spanned<Span>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Deadlines {
    pub lock: Option<Spanned<Span>>,
    pub flash: Option<Spanned<Span>>,
    pub boot: Option<Spanned<Span>>,
    pub reply: Option<Spanned<Span>>,
    pub connect: Option<Spanned<Span>>,
    pub broker: Option<Spanned<Span>>,
    pub board: Option<Spanned<Span>>,
    pub run: Option<Spanned<Span>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Virtual {
    pub boards: Spanned<usize>,
    pub kind: Spanned<BoardKind>,
    pub qemu: String,
    pub qemu_arm: String,
    pub boot_rom: Spanned<String>,
}

impl Default for Virtual {
    fn default() -> Virtual {
        Virtual {
            boards: Spanned::new(0..0, 1),
            kind: Spanned::new(0..0, BoardKind::Virtual),
            qemu: "qemu-system-xtensa".into(),
            qemu_arm: "qemu-system-arm".into(),
            boot_rom: Spanned::new(0..0, "firmware/build/virtual/bootrom.elf".into()),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Record {
    pub directory: String,
}

impl Default for Record {
    fn default() -> Record {
        Record { directory: "hilrig-records".into() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Board {
    pub name: Spanned<String>,
    pub kind: BoardKind,
    pub port: Option<Spanned<String>>,
    pub usb_serial: Option<Spanned<String>>,
    pub position: Option<Spanned<String>>,
    pub control: Option<String>,
    pub chip: Option<Spanned<String>>,
    pub probe: Option<Spanned<String>>,
    pub lines: Option<Spanned<super::LinesKind>>,
    pub mac: Option<Mac>,
    pub baud: Option<Spanned<u32>>,
    pub rom_baud: Option<Spanned<u32>>,
    pub flash_baud: Option<Spanned<u32>>,
    pub http: Option<Spanned<String>>,
    pub rig: Option<Spanned<String>>,
    pub power: Option<Spanned<Power>>,
}

/// The keys of every power line; which of them are there says which line it is.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Power {
    pub hub: Option<String>,
    pub port: Option<u32>,
    pub tasmota: Option<String>,
    pub relay: Option<u32>,
    pub on_url: Option<String>,
    pub off_url: Option<String>,
    pub on: Option<String>,
    pub off: Option<String>,
    pub user: Option<String>,
    pub password_env: Option<String>,
    pub off_time: Option<Spanned<Span>>,
}
