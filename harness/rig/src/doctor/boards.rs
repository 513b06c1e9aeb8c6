//! The boards that the configuration names: each one attached, open to this user, answering.

use std::net::{IpAddr, UdpSocket};

use hilrig_boards::power::uhubctl;
use hilrig_boards::probe::list::{FoundProbe, probes};
use hilrig_core::config::{Attached, BoardConfig, Config, PowerLine};
use hilrig_core::plural::counted;
use hilrig_virtual::ControlSocket;

use super::{Diagnosis, missing, ok};
use crate::attach::{ListedPort, list_ports};

/// One finding for each board of the configuration.
pub async fn boards(config: Option<&Config>, findings: &mut Vec<Diagnosis>) {
    let Some(config) = config.filter(|config| !config.boards.is_empty()) else { return };
    let (rows, unfound) = match list_ports(Some(config), false).await {
        Ok(found) => found,
        // The list of ports has a finding of its own.
        Err(_) => return,
    };
    let probes = probes();
    for board in &config.boards {
        let found = match &board.attached {
            Attached::Probe { probe, .. } => on_probe(probe.as_deref(), &probes),
            Attached::Control { control, .. } => match on_port(board, &rows, &unfound) {
                Err(wrong) => Err(wrong),
                Ok(port) => match ControlSocket::new(control).status().await {
                    Ok(status) => Ok(format!("{port}, MAC {}", status.mac)),
                    Err(fault) => Err(Wrong {
                        found: fault.to_string(),
                        fix: "hilrig virtual-board --state DIR, with its `port` and `control` in the configuration".into(),
                    }),
                },
            },
            Attached::Serial { .. } => on_port(board, &rows, &unfound),
            // The run starts it; QEMU and the images have findings of their own.
            Attached::Started => Ok("started by the run".into()),
        };
        let what = format!("board {}", board.name);
        findings.push(match found.and_then(|found| reached(board).map(|()| found)) {
            Ok(found) => ok(what, found),
            Err(Wrong { found, fix }) => missing(what, found, fix),
        });
        power(board, findings);
    }
}

/// What is wrong with a board, and how to fix it.
struct Wrong {
    found: String,
    fix: String,
}

fn on_port(
    board: &BoardConfig,
    rows: &[ListedPort<'_>],
    unfound: &[String],
) -> Result<String, Wrong> {
    let named = |row: &&ListedPort<'_>| row.board.is_some_and(|other| other.name == board.name);
    let Some(row) = rows.iter().find(named) else {
        let own = format!("Board `{}`", board.name);
        let why = unfound.iter().find(|line| line.starts_with(&own));
        return match (why, board.mac) {
            // Its port is found by its MAC when it is locked; without any port that is not possible.
            (Some(why), Some(mac)) if why.contains("may be its own") => {
                Ok(format!("{mac}: {}", why.trim_start_matches(&own).trim_start_matches(": ")))
            }
            (why, _) => Err(Wrong {
                found: why.cloned().unwrap_or_else(|| "no port matches it".into()),
                fix: "hilrig boards (lists what is attached)".into(),
            }),
        };
    };
    match &row.port.no_access {
        Some(help) => Err(Wrong {
            found: format!("{} is not open to this user", row.port.port.display()),
            fix: help.clone(),
        }),
        None => Ok(row.port.port.display().to_string()),
    }
}

fn on_probe(selector: Option<&str>, probes: &[FoundProbe]) -> Result<String, Wrong> {
    let named: Vec<&FoundProbe> = match selector {
        Some(key) => probes.iter().filter(|probe| probe.is_named(key)).collect(),
        None => probes.iter().collect(),
    };
    match named.as_slice() {
        [probe] => match &probe.no_access {
            Some(help) => Err(Wrong {
                found: format!("{} is not open to this user", probe.key()),
                fix: help.clone(),
            }),
            None => Ok(format!("{}, {}", probe.key(), probe.name)),
        },
        [] => Err(Wrong {
            found: match selector {
                Some(key) => format!("no debug probe {key} is attached"),
                None => "no debug probe is attached".into(),
            },
            fix: "plug it in; hilrig boards (lists what is attached)".into(),
        }),
        several => Err(Wrong {
            found: format!("{} are attached", counted(several.len(), "debug probe")),
            fix: "name the right one: `probe` in its [[board]]; hilrig boards lists them".into(),
        }),
    }
}

/// The board must reach the rig at an address of this machine. A virtual board uses a built-in one.
fn reached(board: &BoardConfig) -> Result<(), Wrong> {
    if board.kind.is_virtual() || matches!(board.attached, Attached::Control { .. }) {
        return Ok(());
    }
    let rig: IpAddr = board.rig;
    UdpSocket::bind((rig, 0)).map(drop).map_err(|error| Wrong {
        found: format!("`rig` is {rig}, and this machine has no such address: {error}"),
        fix: "write an address of this machine that the board reaches (hostname -I lists them)"
            .into(),
    })
}

/// The program that switches the board's power. Relays are not queried: a query might switch them.
fn power(board: &BoardConfig, findings: &mut Vec<Diagnosis>) {
    let Some(power) = &board.power else { return };
    if matches!(power.line, PowerLine::Hub { .. }) && uhubctl().is_none() {
        findings.push(missing(
            format!("power of {}", board.name),
            "uhubctl is not installed".into(),
            "apt-get install uhubctl".into(),
        ));
    }
}
