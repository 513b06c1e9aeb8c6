//! Following a boot log up to the line that says that a mode is up.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::journal::Stop;
use crate::log::{Found, Log, Mark};
use crate::main_path::Path;
use crate::watch::{Hit, Says};

/// So many starts in one wait are a boot loop. The first may be a start that was under way.
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
    /// The build id that the boot log told.
    pub build: Option<String>,
    /// Named groups of the mode's lines.
    pub groups: BTreeMap<String, String>,
    /// Those of them that are not the board's very bytes: they had to be made printable, or cut.
    pub altered: Vec<String>,
    /// The line that says that the mode is up.
    pub line: u64,
    /// Where the web server is reached from here.
    pub http: Option<SocketAddr>,
    /// The rig's address as the board sees it.
    pub rig: Option<IpAddr>,
}

impl Booted {
    /// The web server's address by the boot log.
    pub fn http_by_log(&self) -> Result<SocketAddr, String> {
        let group = |name: &str| self.groups.get(name).map_or("", String::as_str);
        let (ip, port) = (group("ip"), group("http_port"));
        let address = ip.parse().ok().zip(port.parse().ok());
        let address = address.filter(|(ip, port)| *port != 0 && is_of_a_board(*ip));
        let (ip, port) = address.ok_or_else(|| {
            format!("the boot log's address `{ip}`, port `{port}` is none that a board can have")
        })?;
        Ok(SocketAddr::new(ip, port))
    }
}

/// Whether a web server can be there that is one board's alone.
fn is_of_a_board(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !(ip.is_unspecified() || ip.is_multicast() || broadcast)
}

/// The lines of a mode, matched in order.
struct Order {
    mode: Mode,
    lines: usize,
    next: usize,
    starts: usize,
    build: Option<String>,
    groups: BTreeMap<String, String>,
    altered: Vec<String>,
}

enum Step {
    Up(u64),
    Wrong(String),
}

impl Order {
    fn take(&mut self, hit: &Hit, last_of_other: usize) -> Option<Step> {
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
            return Some(Step::Wrong(format!(
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
                return Some(Step::Wrong(format!(
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
        (self.next == self.lines).then_some(Step::Up(hit.line))
    }
}

impl Path<'_> {
    /// Waits until the log says that `mode` is up, all of its lines in order.
    pub async fn boot_log(&self, log: &Log, from: Mark, mode: Mode) -> Result<Booted, Stop> {
        let deadline = self.bench.plan.deadlines.boot;
        self.boot_log_within(log, from, mode, deadline, false).await
    }

    /// The same within another deadline; `by_other`: it may come up in the other mode before.
    pub async fn boot_log_within(
        &self,
        log: &Log,
        from: Mark,
        mode: Mode,
        deadline: Duration,
        by_other: bool,
    ) -> Result<Booted, Stop> {
        let contract = &self.bench.plan.contract;
        let (lines, other) = match mode {
            Mode::Configuration => (&contract.configuration, &contract.mqtt),
            Mode::Mqtt => (&contract.mqtt, &contract.configuration),
        };
        let mut order = Order {
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
        let found = log.wait(from, deadline, |hit| order.take(hit, other)).await;
        match found {
            Ok(Found { answer: Step::Up(line), at, .. }) => {
                self.journal.waited(since, at);
                self.journal.heap_starts_over();
                let Order { build, groups, altered, .. } = order;
                Ok(Booted { build, groups, altered, line, http: None, rig: None })
            }
            Ok(Found { answer: Step::Wrong(why), .. }) => Err(Stop::Failed(why)),
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
}
