//! The boards of the configuration.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::{PowerConfig, Resolver, written};
use crate::board_kind::BoardKind;
use crate::mac::Mac;
use crate::place::FileError;

/// Address of the host in QEMU's user network, where a virtual board finds the rig.
pub const RIG_SEEN_BY_VIRTUAL_BOARD: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 2, 2));

/// The default of the highest rate at which a loader is tried, baud. All usual adapters have it; above
/// it the loader takes longer for a block than the line does.
pub const FLASH_BAUD: u32 = 460_800;

/// Valid rates of a line, baud: from the slowest usual console to the highest rate of an ESP32's UART
/// (its datasheet, 5 Mbit/s).
const RATES: RangeInclusive<u32> = 300..=5_000_000;

/// How a board's reset lines are wired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinesKind {
    /// DTR to GPIO0 and RTS to EN, as on development boards.
    DtrRts,
    /// The same with both levels inverted, as by some adapters.
    Inverted,
    /// Not wired.
    None,
}

/// One board on the bench.
#[derive(Clone, Debug)]
pub struct BoardConfig {
    /// Its name in tables and records.
    pub name: String,
    /// Line of its `[[board]]` in the file, counted from 1; 0 where it is in no file.
    pub line: usize,
    /// Its kind.
    pub kind: BoardKind,
    /// Where it is, or that the rig starts it.
    pub attached: Attached,
    /// MAC that the chip has to have; another board is never flashed.
    pub mac: Option<Mac>,
    /// Baud of the firmware's console.
    pub baud: u32,
    /// Baud of the ROM's boot text.
    pub rom_baud: u32,
    /// The highest baud at which the loader is tried.
    pub flash_baud: u32,
    /// Where its web server is reached, if not at the address in its boot log.
    pub http: Option<SocketAddr>,
    /// The rig's address as the board sees it.
    pub rig: IpAddr,
    /// Its power line, if it has one.
    pub power: Option<PowerConfig>,
}

/// Where a board is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attached {
    /// A virtual board that the run starts and stops.
    Started,
    /// A virtual board that runs on its own (`hilrig virtual-board`).
    Control {
        /// Its serial port.
        port: PortId,
        /// Its control socket.
        control: PathBuf,
    },
    /// On a serial port.
    Serial {
        /// Which.
        port: PortId,
        /// Its reset lines.
        lines: LinesKind,
    },
    /// On a debug probe.
    Probe {
        /// The chip, as probe-rs names it.
        chip: String,
        /// Which probe (`VID:PID[:SERIAL]`), if there is more than one.
        probe: Option<String>,
    },
}

/// The identity of a board's serial port. All given keys have to match; without any, the board's MAC
/// identifies it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortId {
    /// The device, or a link to it.
    pub path: Option<PathBuf>,
    /// Serial number of its USB adapter.
    pub usb_serial: Option<String>,
    /// Where it is plugged in, as under /dev/serial/by-path.
    pub position: Option<String>,
}

impl Resolver<'_> {
    pub(super) fn boards(&self, raw: Vec<Spanned<written::Board>>) -> Vec<BoardConfig> {
        let mut boards: Vec<BoardConfig> = Vec::with_capacity(raw.len());
        for board in raw {
            let span = board.span();
            let Some(board) = self.noted(self.board(board.into_inner(), span.clone())) else {
                continue;
            };
            if boards.iter().any(|other| other.name == board.name) {
                self.note(
                    self.wrong(span.clone(), format!("two boards are named `{}`", board.name)),
                );
            }
            if let Some(other) = boards.iter().find(|other| other.is_at_place_of(&board)) {
                self.note(self.wrong(
                    span.clone(),
                    format!("`{}` and `{}` are on the same port", other.name, board.name),
                ));
            }
            let same_power = |other: &&BoardConfig| {
                let lines = other.power.as_ref().zip(board.power.as_ref());
                lines.is_some_and(|(other, this)| other.line == this.line)
            };
            if let Some(other) = boards.iter().find(same_power) {
                self.note(self.wrong(
                    span,
                    format!(
                        "`{}` and `{}` have the same power line: each would cut the other's power",
                        other.name, board.name
                    ),
                ));
            }
            boards.push(board);
        }
        boards
    }

    fn board(&self, raw: written::Board, span: Range<usize>) -> Result<BoardConfig, FileError> {
        let name = raw.name.get_ref().clone();
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > 40 || name.starts_with('.') || !name.chars().all(fits) {
            return Err(self.wrong(raw.name.span(), "a board's name is 1 to 40 letters, digits, `-`, `_` or `.`, not starting with `.`: it names a folder"));
        }
        let line = crate::place::line_of(self.text, span.start);
        let attached = self.attached(&raw, span.clone())?;
        let http = raw
            .http
            .map(|text| {
                text.get_ref().parse().map_err(|_| {
                    self.wrong(
                        text.span(),
                        "`http` is an address and port, such as \"192.168.0.133:9705\"",
                    )
                })
            })
            .transpose()?;
        let rig = raw
            .rig
            .map(|text| {
                text.get_ref().parse().map_err(|_| {
                    self.wrong(
                        text.span(),
                        "`rig` is the rig's address as the board sees it, such as \"192.168.0.10\"",
                    )
                })
            })
            .transpose()?;
        let rig = match rig {
            Some(rig) => rig,
            None if raw.kind.is_virtual() => RIG_SEEN_BY_VIRTUAL_BOARD,
            None => return Err(self.wrong(span, format!(
                "board `{name}`: `rig` is missing, the address of this machine that the board can reach (`hostname -I` lists them)"
            ))),
        };
        let baud = self.rate("baud", raw.baud)?.unwrap_or(115_200);
        let rom_baud = self.rate("rom_baud", raw.rom_baud)?;
        let flash_baud = self.rate("flash_baud", raw.flash_baud)?;
        Ok(BoardConfig {
            name,
            line,
            kind: raw.kind,
            attached,
            mac: raw.mac,
            baud,
            rom_baud: rom_baud.unwrap_or(raw.kind.rom_baud(baud)),
            flash_baud: flash_baud.unwrap_or(FLASH_BAUD),
            http,
            rig,
            power: raw.power.map(|power| self.power(power)).transpose()?,
        })
    }

    fn rate(&self, key: &str, rate: Option<Spanned<u32>>) -> Result<Option<u32>, FileError> {
        match rate {
            Some(rate) if !RATES.contains(rate.get_ref()) => Err(self.wrong(
                rate.span(),
                format!(
                    "`{key}` is a rate from {} to {} baud, such as 115200",
                    RATES.start(),
                    RATES.end()
                ),
            )),
            rate => Ok(rate.map(Spanned::into_inner)),
        }
    }

    fn attached(&self, raw: &written::Board, span: Range<usize>) -> Result<Attached, FileError> {
        let name = raw.name.get_ref();
        let kind = raw.kind;
        let not = |key: &str, given: Option<Range<usize>>, why: &str| match given {
            Some(span) => Err(self.wrong(span, format!("board `{name}`: `{key}` {why}"))),
            None => Ok(()),
        };
        let span_of = |key: &Option<Spanned<String>>| key.as_ref().map(Spanned::span);
        let on_probe = kind.has_probe() && !kind.is_virtual();
        if !on_probe {
            let why = "is for boards of the kind \"probe\"";
            not("chip", span_of(&raw.chip), why)?;
            not("probe", span_of(&raw.probe), why)?;
        }
        if kind.has_probe() || kind.is_virtual() {
            let why = "is for boards on a USB serial adapter";
            not("usb_serial", span_of(&raw.usb_serial), why)?;
            not("position", span_of(&raw.position), why)?;
        }
        if kind.has_probe() {
            not("port", span_of(&raw.port), "is for boards on a serial port")?;
            not("lines", raw.lines.as_ref().map(Spanned::span), "is for boards on a serial port")?;
        }
        let path = |text: &str| self.dir.join(text);
        let own = |key: &Option<Spanned<String>>| key.as_ref().map(|key| key.get_ref().clone());
        let port = PortId {
            path: raw.port.as_ref().map(|port| path(port.get_ref())),
            usb_serial: own(&raw.usb_serial),
            position: own(&raw.position),
        };
        let port = Some(port).filter(|port| *port != PortId::default());
        if on_probe {
            let chip = raw.chip.as_ref().ok_or_else(|| {
                self.wrong(span, format!(
                    "board `{name}`: `chip` is missing, the chip's name in probe-rs, such as \"STM32F411CEUx\""
                ))
            })?;
            let probe = raw.probe.as_ref().map(|probe| probe.get_ref().clone());
            return Ok(Attached::Probe { chip: chip.get_ref().clone(), probe });
        }
        Ok(match (port, &raw.control) {
            _ if kind.has_probe() => Attached::Started,
            (None, None) if kind.is_virtual() => Attached::Started,
            (Some(_), Some(_)) if raw.lines.is_some() => {
                return Err(self.wrong(span, format!("board `{name}`: `control` resets the board, so `lines` must not be set")));
            }
            (Some(port), Some(control)) => Attached::Control { port, control: path(control) },
            _ if kind.is_virtual() => return Err(self.wrong(span, format!(
                "board `{name}`: a virtual board that runs already needs both `port` and `control`, as `hilrig virtual-board` prints them"
            ))),
            (None, Some(_)) => return Err(self.wrong(span, format!(
                "board `{name}`: `control` needs a port beside it: `port`, `usb_serial` or `position`"
            ))),
            (port, None) => {
                if port.is_none() && raw.mac.is_none() {
                    return Err(self.wrong(span, format!(
                        "board `{name}`: no key says which port it is on; give `usb_serial`, `position`, `mac` or `port` (`hilrig boards` lists them)"
                    )));
                }
                let port = port.unwrap_or_default();
                Attached::Serial {
                    port,
                    lines: raw.lines.as_ref().map_or(LinesKind::DtrRts, |lines| *lines.get_ref()),
                }
            }
        })
    }
}

impl BoardConfig {
    /// Whether both name one port in the same way. Two that name it in different ways are found at the
    /// search for the port.
    fn is_at_place_of(&self, other: &BoardConfig) -> bool {
        fn path(board: &BoardConfig) -> Option<&Path> {
            match &board.attached {
                Attached::Control { port, .. } | Attached::Serial { port, .. } => {
                    port.path.as_deref()
                }
                Attached::Started | Attached::Probe { .. } => None,
            }
        }
        let same_path = path(self).is_some() && path(self) == path(other);
        match (&self.attached, &other.attached) {
            (Attached::Serial { port: a, .. }, Attached::Serial { port: b, .. }) => {
                same_path
                    || (a == b && a.path.is_none() && (self.mac.is_none() || self.mac == other.mac))
            }
            _ => same_path,
        }
    }
}
