//! Waits for what the boot log reports: a mode that comes up, the connection to the broker.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use hilrig_core::units::Span;

use crate::alarms::Alarm;
use crate::log::{Found, Mark, Missed};
use crate::session::Session;
use crate::stop::Stop;
use crate::topics;
use crate::watch::{Hit, Says};

/// So many starts in one wait are a boot loop. The first can be a start that was under way.
const BOOT_LOOP: usize = 4;

/// The firmware's modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Web server.
    Configuration,
    /// MQTT client.
    Mqtt,
}

/// A mode that is up.
#[derive(Debug)]
pub struct Booted {
    /// The build id that the boot log reports.
    pub build: Option<String>,
    /// Named groups of the mode's lines.
    pub groups: BTreeMap<String, String>,
    /// Those of them whose text is not byte for byte what the board sent: it was made printable, or cut.
    pub altered: Vec<String>,
    /// The line of the boot log that shows that the mode is up, counted from 1.
    pub line: u64,
}

impl Booted {
    /// The topic that the boot log reports as `name`, such as `tx_topic`.
    ///
    /// # Errors
    /// The boot log names none, or what it names is no MQTT topic: the board fails.
    pub fn topic(&self, name: &str) -> Result<String, Stop> {
        let topic = self.groups.get(name).map_or("", String::as_str);
        topics::checked(name, topic, self.altered.iter().any(|altered| altered == name))
    }

    /// The web server's address by the boot log, or what is wrong with it.
    pub(crate) fn web_server_by_log(&self) -> Result<SocketAddr, String> {
        let group = |name: &str| self.groups.get(name).map_or("", String::as_str);
        let (ip, port) = (group("ip"), group("http_port"));
        let address = ip.parse().ok().zip(port.parse().ok());
        let address = address.filter(|(ip, port)| *port != 0 && is_of_a_board(*ip));
        let (ip, port) = address.ok_or_else(|| {
            format!("the boot log's address `{ip}`, port `{port}` is not one that a board can have")
        })?;
        Ok(SocketAddr::new(ip, port))
    }
}

/// Whether the address can be that of one board's web server.
fn is_of_a_board(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !(ip.is_unspecified() || ip.is_multicast() || broadcast)
}

/// The lines of a mode, matched in order.
struct ModeLines {
    mode: Mode,
    lines: usize,
    next: usize,
    starts: usize,
    build: Option<String>,
    groups: BTreeMap<String, String>,
    altered: Vec<String>,
}

enum Seen {
    Up(u64),
    Wrong(String),
}

impl ModeLines {
    fn take(&mut self, hit: &Hit, last_of_other: usize) -> Option<Seen> {
        let (mine, other) = match (self.mode, hit.says) {
            (Mode::Configuration, Says::Configuration(n)) | (Mode::Mqtt, Says::Mqtt(n)) => {
                (Some(n), None)
            }
            (Mode::Configuration, Says::Mqtt(n)) | (Mode::Mqtt, Says::Configuration(n)) => {
                (None, Some(n))
            }
            _ => (None, None),
        };
        if hit.says == Says::Build {
            self.build = hit.first.clone();
        }
        if other == Some(last_of_other) {
            return Some(Seen::Wrong(format!(
                "the board came up in the other mode: `{}`",
                hit.text
            )));
        }
        let n = mine?;
        if n == 0 {
            self.starts += 1;
            self.next = 0;
            self.groups.clear();
            self.altered.clear();
            if self.starts >= BOOT_LOOP {
                return Some(Seen::Wrong(format!(
                    "a boot loop: `{}` came {} times, and the mode was never up",
                    hit.text, self.starts
                )));
            }
        }
        if n != self.next {
            return None;
        }
        self.next += 1;
        self.groups.extend(hit.groups.clone());
        self.altered.extend(hit.altered.clone());
        (self.next == self.lines).then_some(Seen::Up(hit.line))
    }
}

impl Session<'_> {
    /// The current end of the boot log. A wait from here sees only later lines.
    pub fn mark(&self) -> Mark {
        self.log.mark()
    }

    /// Waits until the boot log after `from` reports that `mode` is up, all of its lines in order.
    ///
    /// # Errors
    /// Not within the plan's `boot` deadline, another mode, a boot loop or a crash: the board fails.
    pub async fn wait_for_mode(&self, from: Mark, mode: Mode) -> Result<Booted, Stop> {
        let deadline = self.plan().deadlines.boot;
        self.wait_for_mode_within(from, mode, deadline, false).await
    }

    /// The same within another deadline. `by_other`: the board may come up in the other mode before.
    ///
    /// # Errors
    /// As those of [`Session::wait_for_mode`].
    pub async fn wait_for_mode_within(
        &self,
        from: Mark,
        mode: Mode,
        deadline: Duration,
        by_other: bool,
    ) -> Result<Booted, Stop> {
        let contract = self.contract();
        let (lines, other) = match mode {
            Mode::Configuration => (&contract.configuration, &contract.mqtt),
            Mode::Mqtt => (&contract.mqtt, &contract.configuration),
        };
        let mut order = ModeLines {
            mode,
            lines: lines.len(),
            next: 0,
            starts: 0,
            build: None,
            groups: BTreeMap::new(),
            altered: Vec::new(),
        };
        self.journal.doing(match mode {
            Mode::Configuration => "waited for the boot log of configuration mode",
            Mode::Mqtt => "waited for the boot log of MQTT mode",
        });
        let since = Instant::now();
        let other = if by_other { usize::MAX } else { other.len() - 1 };
        let found = self.log.wait(from, deadline, |hit| order.take(hit, other)).await;
        match found {
            Ok(Found { answer: Seen::Up(line), at, .. }) => {
                self.journal.waited(since, at);
                self.journal.heap_starts_over();
                let ModeLines { build, groups, altered, .. } = order;
                Ok(Booted { build, groups, altered, line })
            }
            Ok(Found { answer: Seen::Wrong(why), .. }) => Err(Stop::Failed(why)),
            Err(missed) => {
                let awaited = format!(
                    "the boot log's line {} of {}, `{}`",
                    order.next + 1,
                    lines.len(),
                    lines[order.next].as_str()
                );
                Err(self.missed(missed, &awaited, deadline))
            }
        }
    }

    /// Waits until the boot log after `from` reports that the board is connected to the broker. Gives the line.
    ///
    /// # Errors
    /// The board gives up, reports nothing within the plan's `connect` deadline, or crashes: the board fails.
    pub async fn wait_until_connected(&self, from: Mark) -> Result<u64, Stop> {
        let connected = self.wait_for_connection(from, |hit| match hit.says {
            Says::Connected => Some(Ok(hit.line)),
            Says::GivenUp => Some(Err(hit.text.clone())),
            _ => None,
        });
        connected.await?.answer.map_err(|why| {
            Stop::Failed(format!("the board did not connect to the broker: `{why}`"))
        })
    }

    /// Waits for what the boot log after `from` reports of the connection to the broker: the first answer of
    /// `judge`, which sees each line that the contract knows, in order.
    ///
    /// # Errors
    /// No answer within the plan's `connect` deadline, or a crash: the board fails.
    pub async fn wait_for_connection<T>(
        &self,
        from: Mark,
        judge: impl FnMut(&Hit) -> Option<T>,
    ) -> Result<Found<T>, Stop> {
        self.journal.doing("waited for the board to connect to the broker");
        let what = "the board to say how its connection to the broker went";
        self.wait_for(from, self.plan().deadlines.connect, what, judge).await
    }

    /// Waits for a line of the boot log after `from`: the first answer of `judge`, which sees each line that the
    /// contract knows, in order. `what` is the expected line in words.
    ///
    /// # Errors
    /// No answer within `deadline`, or a crash: the board fails.
    pub async fn wait_for<T>(
        &self,
        from: Mark,
        deadline: Duration,
        what: &str,
        judge: impl FnMut(&Hit) -> Option<T>,
    ) -> Result<Found<T>, Stop> {
        let since = Instant::now();
        match self.log.wait(from, deadline, judge).await {
            Ok(found) => {
                self.journal.waited(since, found.at);
                Ok(found)
            }
            Err(missed) => Err(self.missed(missed, what, deadline)),
        }
    }

    /// What a line that did not come means.
    pub(crate) fn missed(&self, missed: Missed, what: &str, deadline: Duration) -> Stop {
        Stop::Failed(match missed {
            Missed::Alarm(Alarm { line, words, in_loader: true }) => {
                return Stop::Rig(format!(
                    "the board restarted into its serial loader and stays there, line {line} of its boot log: {words}. After flashing it wants a pulse on EN (or its power cut) before it can restart by itself; else look for what holds GPIO0 low"
                ));
            }
            Missed::Alarm(Alarm { line, words, .. }) => {
                return Stop::Crashed(format!(
                    "the board crashed, line {line} of its boot log: {words}"
                ));
            }
            Missed::Silence => {
                format!("waited {} for {what}; the board said nothing at all", Span(deadline))
            }
            Missed::Deadline(instead) => format!("waited {} for {what}; {instead}", Span(deadline)),
        })
    }
}
