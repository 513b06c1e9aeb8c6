//! A board's power line, as configured.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;

use super::{Resolver, written};
use crate::place::FileError;

/// Long enough for the capacitors of a board to run empty.
const OFF_TIME: Duration = Duration::from_secs(2);

/// How a board's power is switched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PowerConfig {
    /// What switches it.
    pub line: PowerLine,
    /// User name for the relay.
    pub user: Option<String>,
    /// Environment variable with that user's password.
    pub password_env: Option<String>,
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
        let wrong = |message: &str| self.wrong(span.clone(), message);
        let written::Power {
            hub,
            port,
            tasmota,
            relay,
            on_url,
            off_url,
            on,
            off,
            user,
            password_env,
            off_time,
        } = raw.into_inner();
        let line = match (hub, port, tasmota, relay, (on_url, off_url), (on, off)) {
            (Some(hub), Some(port), None, None, (None, None), (None, None)) => {
                PowerLine::Hub { hub, port }
            }
            (None, None, Some(url), relay, (None, None), (None, None)) => {
                PowerLine::Tasmota { url, relay: relay.unwrap_or(1) }
            }
            (None, None, None, None, (Some(on), Some(off)), (None, None)) => {
                PowerLine::Url { on, off }
            }
            (None, None, None, None, (None, None), (Some(on), Some(off))) => {
                PowerLine::Command { on, off }
            }
            _ => {
                return Err(wrong(
                    "a power line is one of: `hub` and `port`; `tasmota` (and `relay`); `on_url` and `off_url`; `on` and `off` (commands)",
                ));
            }
        };
        let urls = match &line {
            PowerLine::Tasmota { url, .. } => vec![url],
            PowerLine::Url { on, off } => vec![on, off],
            PowerLine::Hub { .. } | PowerLine::Command { .. } => vec![],
        };
        for url in &urls {
            let Some(rest) = url.strip_prefix("http://") else {
                return Err(wrong(
                    "a relay's address begins with `http://`; what speaks HTTPS is switched by a command (`on` and `off`)",
                ));
            };
            // Messages show the address without its query.
            if rest.split(['/', '?']).next().is_some_and(|host| host.contains('@')) {
                return Err(wrong(
                    "a relay's address holds no password: name `user` and, in `password_env`, the environment variable that has it",
                ));
            }
        }
        match (&user, &password_env) {
            (None, None) => {}
            (Some(_), Some(_)) if !urls.is_empty() => {}
            (Some(_), Some(_)) => return Err(wrong("`user` and `password_env` are for relays")),
            _ => return Err(wrong("`user` and `password_env` belong together")),
        }
        if matches!(line, PowerLine::Hub { port: 0, .. } | PowerLine::Tasmota { relay: 0, .. }) {
            return Err(wrong("ports and relays are counted from 1"));
        }
        let off_time = off_time.map_or(OFF_TIME, |span| span.get_ref().0);
        Ok(PowerConfig { line, user, password_env, off_time })
    }
}
