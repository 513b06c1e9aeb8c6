//! A board's power line, as configured.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;

use super::{Resolver, written};
use crate::place::FileError;

/// Long enough for the capacitors of a board to run empty.
const OFF_TIME: Duration = Duration::from_secs(2);

/// How a board is cut from its power and given it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PowerConfig {
    /// By what.
    pub line: PowerLine,
    /// How long it stays off.
    pub off_time: Duration,
}

/// What switches a board's power.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PowerLine {
    /// A port of a USB hub that can switch it, through uhubctl.
    Hub {
        /// The hub's place, as uhubctl names it: `1-1.4`.
        hub: String,
        /// Its port, counted from 1.
        port: u32,
    },
    /// A relay with Tasmota's web API.
    Tasmota {
        /// Where it is: `http://192.168.0.40`.
        url: String,
        /// Its number, counted from 1.
        relay: u32,
    },
    /// Two addresses, each asked for with GET.
    Url {
        /// Switches it on.
        on: String,
        /// Switches it off.
        off: String,
    },
    /// Two commands, each run by `sh -c`.
    Command {
        /// Switches it on.
        on: String,
        /// Switches it off.
        off: String,
    },
}

impl Resolver<'_> {
    pub(super) fn power(&self, raw: Spanned<written::Power>) -> Result<PowerConfig, FileError> {
        let span: Range<usize> = raw.span();
        let raw = raw.into_inner();
        let line = match raw {
            written::Power {
                hub: Some(hub),
                port: Some(port),
                tasmota: None,
                relay: None,
                on_url: None,
                off_url: None,
                on: None,
                off: None,
                ..
            } => PowerLine::Hub { hub, port },
            written::Power {
                tasmota: Some(url),
                relay,
                hub: None,
                port: None,
                on_url: None,
                off_url: None,
                on: None,
                off: None,
                ..
            } => PowerLine::Tasmota { url, relay: relay.unwrap_or(1) },
            written::Power {
                on_url: Some(on),
                off_url: Some(off),
                hub: None,
                port: None,
                tasmota: None,
                relay: None,
                on: None,
                off: None,
                ..
            } => PowerLine::Url { on, off },
            written::Power {
                on: Some(on),
                off: Some(off),
                hub: None,
                port: None,
                tasmota: None,
                relay: None,
                on_url: None,
                off_url: None,
                ..
            } => PowerLine::Command { on, off },
            _ => {
                return Err(self.wrong(
                    span,
                    "a power line is one of: `hub` and `port`; `tasmota` (and `relay`); `on_url` and `off_url`; `on` and `off` (commands)",
                ));
            }
        };
        let off_time = raw.off_time.map_or(OFF_TIME, |span| span.get_ref().0);
        Ok(PowerConfig { line, off_time })
    }
}
