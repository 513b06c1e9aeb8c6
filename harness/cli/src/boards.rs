//! `hilrig boards`.

use hilrig_boards::identity::discover::{FoundPort, discover, unlisted};
use hilrig_boards::identity::wanted::Place;
use hilrig_boards::probe::list::{FoundProbe, probes};
use hilrig_boards::{Deadlines, Identity, ModemLines, Seen, ask_on};
use hilrig_core::board::Lines;
use hilrig_core::config::{Attached, BoardConfig, Config};
use hilrig_core::plural::counted;
use hilrig_virtual::ControlSocket;
use serde_json::{Value, json};
use tokio::task::{JoinSet, LocalSet};

use crate::args;
use crate::bench;
use crate::error::{Failure, print};
use crate::load;
use crate::table::table;

/// A port, and what is known of the board on it.
pub struct Row<'a> {
    /// The port.
    pub port: FoundPort,
    /// The board that is named on it.
    pub board: Option<&'a BoardConfig>,
    /// The chip, as it was just asked or as it answered in an earlier run.
    pub chip: Option<Identity>,
    /// Why it could not be asked.
    pub trouble: Option<String>,
}

/// The ports with their boards, and the words for each board that is not found. With `ask` the
/// chips are asked.
pub async fn look(
    config: Option<&Config>,
    ask: bool,
) -> Result<(Vec<Row<'_>>, Vec<String>), Failure> {
    let found = discover().map_err(Failure::rig)?;
    let row = |port: &FoundPort| Row {
        port: port.clone(),
        board: None,
        chip: Seen::of(&bench::state_folder(), port, &found).and_then(|seen| seen.read()),
        trouble: None,
    };
    let mut rows: Vec<Row<'_>> = found.iter().map(row).collect();
    let mut missing = name(config, &found, &mut rows);
    if ask {
        ask_all(&mut rows, &found).await;
        missing = name(config, &found, &mut rows);
    }
    Ok((rows, missing))
}

/// Lists what is attached.
pub async fn boards(args: &args::Boards) -> Result<u8, Failure> {
    // The list is of use without a configuration, too; one that is there must be right.
    let config = match args.config.config.exists() {
        true => Some(load::config(&args.config.config)?),
        false => None,
    };
    let (rows, missing) = look(config.as_ref(), args.ask).await?;
    let probes = probes();
    let probe_board = |probe: &FoundProbe| {
        let mut boards = config.iter().flat_map(|config| &config.boards);
        boards.find(|board| match &board.attached {
            Attached::Probe { probe: Some(key), .. } => probe.is_named(key),
            // With one probe there is nothing to tell apart.
            Attached::Probe { probe: None, .. } => probes.len() == 1,
            _ => false,
        })
    };
    if args.json {
        let ports: Vec<Value> = rows.iter().map(port_json).collect();
        let probes: Vec<Value> = probes
            .iter()
            .map(|probe| {
                json!({
                    "board": probe_board(probe).map(|board| &board.name),
                    "probe": probe.key(),
                    "name": probe.name,
                    "no_access": probe.no_access,
                })
            })
            .collect();
        let list = json!({ "schema": 1, "ports": ports, "probes": probes, "missing": missing });
        let text = serde_json::to_string_pretty(&list).map_err(Failure::internal)?;
        return print(&format!("{text}\n"));
    }
    let mut text = ports_text(&rows);
    if !probes.is_empty() {
        let cells = probes.iter().map(|probe| {
            let board = probe_board(probe).map_or("-", |board| &board.name);
            vec![board.to_owned(), probe.key(), probe.name.clone()]
        });
        text.push_str(&format!("\n{}", table(&["board", "debug probe", "name"], cells)));
        for probe in &probes {
            if let Some(why) = &probe.no_access {
                text.push_str(&format!("{}: {why}\n", probe.key()));
            }
        }
    }
    for line in missing {
        text.push_str(&format!("{line}\n"));
    }
    print(&text)
}

/// Gives each row its board, adds rows for boards on ports that the system does not list (a virtual
/// board's pty), and tells of those that are not found.
fn name<'a>(
    config: Option<&'a Config>,
    found: &[FoundPort],
    rows: &mut Vec<Row<'a>>,
) -> Vec<String> {
    let Some(config) = config else { return Vec::new() };
    let neighbours = bench::neighbours(config);
    let mut missing = Vec::new();
    for wanted in &neighbours.boards {
        let board = config.boards.iter().find(|board| board.name == wanted.board);
        let place = match wanted.place(&neighbours.boards, found) {
            Ok(place) => place,
            Err(fault) => {
                let help = fault.help.unwrap_or_default();
                missing.push(format!("Board `{}`: {}. {help}", wanted.board, fault.found));
                continue;
            }
        };
        let row = match &place {
            Place::Port(path) => rows.iter_mut().find(|row| row.port.port == *path),
            Place::OneOf(ports) => rows.iter_mut().find(|row| {
                let mac = row.chip.as_ref().map(|chip| chip.mac);
                ports.contains(&row.port.port) && mac == wanted.mac
            }),
        };
        match (row, place) {
            (Some(row), _) => row.board = board,
            (None, Place::Port(path)) => {
                rows.push(Row { port: unlisted(&path), board, chip: None, trouble: None });
            }
            (None, Place::OneOf(ports)) => missing.push(format!(
                "Board `{}` ({}): {} may be its own; `hilrig boards --ask` asks their chips.",
                wanted.board,
                wanted.words(),
                counted(ports.len(), "port")
            )),
        }
    }
    missing
}

/// Asks every chip, all at once: a port without one takes seconds to be told from one.
async fn ask_all(rows: &mut [Row<'_>], found: &[FoundPort]) {
    let local = LocalSet::new();
    let mut asking = JoinSet::new();
    for (number, row) in rows.iter().enumerate() {
        // What hangs on the main board's own ports nobody knows, unless a board is named there.
        if row.port.usb.is_none() && row.board.is_none() {
            continue;
        }
        let mut lines: Box<dyn Lines> = match row.board.map(|board| &board.attached) {
            Some(Attached::Control { control, .. }) => Box::new(ControlSocket::new(control)),
            Some(Attached::Serial { lines, .. }) => bench::modem(*lines),
            _ => Box::new(ModemLines::default()),
        };
        let port = row.port.port.clone();
        let asked = async move {
            let locks = bench::lock_folder();
            let holder = "hilrig boards --ask";
            (number, ask_on(port, &mut *lines, &locks, Deadlines::default(), holder).await)
        };
        asking.spawn_local_on(asked, &local);
    }
    let gather = async {
        while let Some(asked) = asking.join_next().await {
            let Ok((number, answer)) = asked else { continue };
            let row = &mut rows[number];
            match answer {
                Ok(chip) => {
                    Seen::note(&bench::state_folder(), &row.port.port, found, &chip);
                    row.chip = Some(chip);
                }
                Err(fault) => row.trouble = Some(fault.to_string()),
            }
        }
    };
    local.run_until(gather).await;
}

fn ports_text(rows: &[Row<'_>]) -> String {
    if rows.is_empty() {
        return "No serial port is attached.\n".into();
    }
    let dash = || "-".to_owned();
    let cells = rows.iter().map(|row| {
        let usb = row.port.usb.as_ref();
        let chip = row.chip.as_ref();
        vec![
            row.board.map_or(dash(), |board| board.name.clone()),
            row.port.port.display().to_string(),
            usb.map_or(dash(), |usb| format!("{:04x}:{:04x}", usb.vid, usb.pid)),
            usb.and_then(|usb| usb.serial.clone()).unwrap_or_else(dash),
            chip.map_or(dash(), |chip| chip.chip.clone()),
            chip.map_or(dash(), |chip| chip.mac.to_string()),
            row.port.positions.first().cloned().unwrap_or_else(dash),
            usb.and_then(|usb| usb.product.clone()).unwrap_or_else(dash),
        ]
    });
    let head = ["board", "port", "USB", "serial", "chip", "MAC", "position", "product"];
    let mut text = table(&head, cells);
    for row in rows {
        let port = row.port.port.display();
        if let Some(why) = row.port.no_access.as_ref().filter(|_| row.port.usb.is_some()) {
            text.push_str(&format!("{port}: {why}\n"));
        } else if let Some(why) = &row.trouble {
            text.push_str(&format!("{port}: {why}\n"));
        }
        if let (Some(board), Some(chip)) = (row.board, &row.chip)
            && !chip.is_a(board.kind)
        {
            text.push_str(&format!(
                "{port}: board `{}` is of the kind \"{}\", and an {} answered. It will not be flashed.\n",
                board.name,
                board.kind.name(),
                chip.chip
            ));
        }
    }
    text
}

fn port_json(row: &Row<'_>) -> Value {
    let usb = row.port.usb.as_ref();
    json!({
        "board": row.board.map(|board| &board.name),
        "port": row.port.port,
        "vid": usb.map(|usb| format!("{:04x}", usb.vid)),
        "pid": usb.map(|usb| format!("{:04x}", usb.pid)),
        "serial": usb.and_then(|usb| usb.serial.as_ref()),
        "product": usb.and_then(|usb| usb.product.as_ref()),
        "position": row.port.positions.first(),
        "by_id": row.port.by_id,
        "chip": row.chip.as_ref().map(|chip| &chip.chip),
        "mac": row.chip.as_ref().map(|chip| chip.mac),
        "no_access": row.port.no_access,
        "trouble": row.trouble,
    })
}
