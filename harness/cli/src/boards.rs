//! `hilrig boards`.

use hilrig::attach::{self, ListedPort};
use hilrig::load;
use hilrig_boards::probe::list::{FoundProbe, probes};
use hilrig_core::config::Attached;
use hilrig_report::text_table;
use serde_json::{Value, json};

use crate::args;
use crate::error::{Failure, print};

/// Lists what is attached.
pub async fn boards(args: &args::Boards) -> Result<u8, Failure> {
    // The list is of use without a configuration, too; one that is there must be right.
    let config = match args.config.config.exists() {
        true => Some(load::config(&args.config.config)?),
        false => None,
    };
    let (rows, missing) = attach::list_ports(config.as_ref(), args.ask).await?;
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
        text.push_str(&format!("\n{}", text_table(&["board", "debug probe", "name"], cells)));
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

fn ports_text(rows: &[ListedPort<'_>]) -> String {
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
    let mut text = text_table(&head, cells);
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

fn port_json(row: &ListedPort<'_>) -> Value {
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
