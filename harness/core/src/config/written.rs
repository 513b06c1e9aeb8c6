//! The file `runner-config.toml` as it is written.
//!
//! Strict: a key that is not here is an error with its line. Every key with its default stands,
//! commented, in the `runner-config.toml` of the repository.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

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
    pub esp8266: Option<FirmwareFiles>,
    #[serde(default)]
    pub settings: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    pub secrets: BTreeMap<String, Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FirmwareFiles {
    pub image: Spanned<String>,
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
    pub image: String,
    pub executable: String,
    pub port: Option<Spanned<u16>>,
}

impl Default for Broker {
    fn default() -> Broker {
        Broker {
            kind: BrokerKind::Auto,
            image: "eclipse-mosquitto:2".into(),
            executable: "mosquitto".into(),
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
    pub qemu: String,
    pub boot_rom: Spanned<String>,
}

impl Default for Virtual {
    fn default() -> Virtual {
        Virtual {
            boards: Spanned::new(0..0, 1),
            qemu: "qemu-system-xtensa".into(),
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
    pub kind: super::BoardKind,
    pub port: Option<String>,
    pub control: Option<String>,
    pub lines: Option<Spanned<super::LinesKind>>,
    pub mac: Option<Mac>,
    pub baud: Option<u32>,
    pub flash_baud: Option<u32>,
    pub http: Option<Spanned<String>>,
    pub rig: Option<Spanned<String>>,
}
