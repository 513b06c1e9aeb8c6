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
        // That the system lists no ports is a finding of its own.
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
                        mend: "hilrig virtual-board --state DIR, with its `port` and `control` in the configuration".into(),
                    }),
                },
            },
            Attached::Serial { .. } => on_port(board, &rows, &unfound),
            // A run starts it itself; QEMU and the images are findings of their own.
            Attached::Started => Ok("started by the run".into()),
        };
        let what = format!("board {}", board.name);
        findings.push(match found.and_then(|found| reached(board).map(|()| found)) {
            Ok(found) => ok(what, found),
            Err(Wrong { found, mend }) => missing(what, found, mend),
        });
        power(board, findings);
    }
}

/// What is wrong with a board, and what to do about it.
struct Wrong {
    found: String,
    mend: String,
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
            // Its MAC tells its port when it is locked; with no port at all there is none to ask.
            (Some(why), Some(mac)) if why.contains("may be its own") => {
                Ok(format!("{mac}: {}", why.trim_start_matches(&own).trim_start_matches(": ")))
            }
            (why, _) => Err(Wrong {
                found: why.cloned().unwrap_or_else(|| "no port is its own".into()),
                mend: "hilrig boards (lists what is attached)".into(),
            }),
        };
    };
    match &row.port.no_access {
        Some(help) => Err(Wrong {
            found: format!("{} is not open to this user", row.port.port.display()),
            mend: help.clone(),
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
                mend: help.clone(),
            }),
            None => Ok(format!("{}, {}", probe.key(), probe.name)),
        },
        [] => Err(Wrong {
            found: match selector {
                Some(key) => format!("no debug probe {key} is attached"),
                None => "no debug probe is attached".into(),
            },
            mend: "plug it in; hilrig boards (lists what is attached)".into(),
        }),
        several => Err(Wrong {
            found: format!("{} are attached", counted(several.len(), "debug probe")),
            mend: "name the right one: `probe` in its [[board]]; hilrig boards lists them".into(),
        }),
    }
}

/// The board reaches the rig at an address of this machine. A virtual board has one of its own for it.
fn reached(board: &BoardConfig) -> Result<(), Wrong> {
    if board.kind.is_virtual() || matches!(board.attached, Attached::Control { .. }) {
        return Ok(());
    }
    let rig: IpAddr = board.rig;
    UdpSocket::bind((rig, 0)).map(drop).map_err(|error| Wrong {
        found: format!("`rig` is {rig}, and this machine has no such address: {error}"),
        mend: "write an address of this machine that the board reaches (hostname -I lists them)"
            .into(),
    })
}

/// The program that switches the board's power. Relays are not asked: that a request switches nothing
/// is not known of them.
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
