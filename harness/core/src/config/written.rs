//! The file `runner-config.toml` as it is written.
//!
//! Strict: a key that is not here is an error with its line. Every key with its default stands,
//! commented, in the `runner-config.toml` of the repository.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
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

pub(super) struct Firmware {
    pub contract: Spanned<String>,
    /// The table of each kind of board.
    pub kinds: BTreeMap<BoardKind, FirmwareFiles>,
    pub settings: BTreeMap<String, Spanned<String>>,
    pub secrets: BTreeMap<String, Spanned<String>>,
}

/// A key of `[firmware]`.
enum FirmwareKey {
    Contract,
    Kind(BoardKind),
    Settings,
    Secrets,
}

/// The names of these keys, for errors about unknown ones.
static FIRMWARE_KEYS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let kinds = BoardKind::all().map(BoardKind::name);
    ["contract"].into_iter().chain(kinds).chain(["settings", "secrets"]).collect()
});

impl<'de> Deserialize<'de> for FirmwareKey {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<FirmwareKey, D::Error> {
        Ok(match String::deserialize(from)?.as_str() {
            "contract" => FirmwareKey::Contract,
            "settings" => FirmwareKey::Settings,
            "secrets" => FirmwareKey::Secrets,
            name => FirmwareKey::Kind(
                BoardKind::named(name)
                    .ok_or_else(|| D::Error::unknown_field(name, &FIRMWARE_KEYS))?,
            ),
        })
    }
}

impl<'de> Deserialize<'de> for Firmware {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Firmware, D::Error> {
        struct FirmwareVisitor;

        impl<'de> Visitor<'de> for FirmwareVisitor {
            type Value = Firmware;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("struct Firmware")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Firmware, A::Error> {
                let mut contract = None;
                let mut kinds = BTreeMap::new();
                let (mut settings, mut secrets) = (BTreeMap::new(), BTreeMap::new());
                while let Some(key) = map.next_key()? {
                    match key {
                        FirmwareKey::Contract => contract = Some(map.next_value()?),
                        FirmwareKey::Settings => settings = map.next_value()?,
                        FirmwareKey::Secrets => secrets = map.next_value()?,
                        FirmwareKey::Kind(kind) => {
                            kinds.insert(kind, map.next_value()?);
                        }
                    }
                }
                let contract = contract.ok_or_else(|| A::Error::missing_field("contract"))?;
                Ok(Firmware { contract, kinds, settings, secrets })
            }
        }

        from.deserialize_map(FirmwareVisitor)
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
    /// Only over its configuration page.
    #[default]
    Page,
    /// Also written to its flash with the image, so that it starts with them.
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

/// The keys of all power lines; the given keys decide which line it is.
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
