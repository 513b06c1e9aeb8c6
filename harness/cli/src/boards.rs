//! `hilrig boards`.

use std::path::Path;

use hilrig_boards::discover::{FoundPort, discover};
use hilrig_core::config::{Attached, Config};
use serde_json::json;

use crate::args;
use crate::error::{Failure, print};
use crate::load;
use crate::table::table;

/// Lists what is attached.
pub fn boards(args: &args::Boards) -> Result<u8, Failure> {
    let found = discover().map_err(Failure::rig)?;
    // The list is of use without a configuration, too; one that is there must be right.
    let config = match args.config.config.exists() {
        true => Some(load::config(&args.config.config)?),
        false => None,
    };
    let name = |port: &FoundPort| config.as_ref().and_then(|config| name_of(config, port));
    if args.json {
        let list: Vec<_> = found.iter().map(|port| as_json(port, name(port))).collect();
        let text = serde_json::to_string_pretty(&list).map_err(Failure::internal)?;
        return print(&format!("{text}\n"));
    }
    let mut text = String::new();
    if found.is_empty() {
        text.push_str("No serial port is attached.\n");
    } else {
        let rows = found.iter().map(|port| {
            let usb = port.usb.as_ref();
            vec![
                name(port).unwrap_or("-").to_owned(),
                port.port.display().to_string(),
                usb.map_or("-".into(), |usb| format!("{:04x}:{:04x}", usb.vid, usb.pid)),
                usb.and_then(|usb| usb.serial.clone()).unwrap_or("-".into()),
                usb.and_then(|usb| usb.product.clone()).unwrap_or("-".into()),
                port.positions.first().cloned().unwrap_or("-".into()),
            ]
        });
        text.push_str(&table(&["board", "port", "USB", "serial", "product", "position"], rows));
        for port in found.iter().filter(|port| port.usb.is_some()) {
            if let Some(why) = &port.no_access {
                text.push_str(&format!("{}: {why}\n", port.port.display()));
            }
        }
    }
    for board in config.iter().flat_map(|config| &config.boards) {
        let port = match &board.attached {
            Attached::Serial { port, .. } => port.path.as_ref(),
            Attached::Control { port, .. } => Some(port),
            _ => None,
        };
        let Some(port) = port else { continue };
        if !port.exists() {
            text.push_str(&format!(
                "Board `{}` is not attached: there is no {}.\n",
                board.name,
                port.display()
            ));
        }
    }
    print(&text)
}

fn name_of<'a>(config: &'a Config, found: &FoundPort) -> Option<&'a str> {
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.into());
    let port = real(&found.port);
    let on = |board: &&hilrig_core::config::BoardConfig| match &board.attached {
        Attached::Serial { port: named, .. } => {
            named.path.as_ref().is_some_and(|named| real(named) == port)
        }
        Attached::Control { port: named, .. } => real(named) == port,
        Attached::Started | Attached::Probe { .. } => false,
    };
    config.boards.iter().find(on).map(|board| board.name.as_str())
}

fn as_json(port: &FoundPort, name: Option<&str>) -> serde_json::Value {
    let usb = port.usb.as_ref();
    json!({
        "board": name,
        "port": port.port,
        "vid": usb.map(|usb| format!("{:04x}", usb.vid)),
        "pid": usb.map(|usb| format!("{:04x}", usb.pid)),
        "serial": usb.and_then(|usb| usb.serial.clone()),
        "product": usb.and_then(|usb| usb.product.clone()),
        "by_id": port.by_id,
        "position": port.positions.first(),
        "no_access": port.no_access,
    })
}
