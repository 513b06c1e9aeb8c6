//! How long it takes to see what is attached, and to find every board's port.

use std::path::Path;
use std::time::Instant;

use hilrig_boards::identity::discover::discover_in;
use hilrig_boards::identity::query::{PortMatch, PortQuery};
use hilrig_core::config::PortId;
use hilrig_tests::usb::{Adapter, UsbTree};

use crate::figures::{Figures, Unit};
use crate::table::{Against, Table, TableRow};

const BOARDS: usize = 64;

/// 64 adapters on one machine, of which every second one has the serial number that all cheap ones
/// have.
pub fn discovery(runs: usize) -> Result<Table, String> {
    let dir = tempfile::tempdir().map_err(|error| format!("making a folder: {error}"))?;
    let tree = UsbTree::new(dir.path());
    let mut boards = Vec::new();
    for number in 0..BOARDS {
        let (tty, place) = (format!("ttyUSB{number}"), format!("{}.{}", number / 8, number % 8));
        let own = format!("A{number:04}");
        let doubled = number % 2 == 0;
        let serial = if doubled { "0001" } else { &own };
        let adapter = Adapter { serial: Some(serial), ..Adapter::cp210x(&tty, &place) };
        tree.plug(&adapter, Path::new("/dev/null"));
        let id = PortId {
            usb_serial: Some(serial.to_owned()),
            position: doubled.then(|| adapter.position()),
            ..PortId::default()
        };
        boards.push(PortQuery { board: format!("bench-{number}"), id, mac: None });
    }

    let found = discover_in(dir.path()).map_err(|fault| fault.to_string())?;
    if found.len() != BOARDS {
        return Err(format!("{} ports were found of {BOARDS}", found.len()));
    }
    let resolve_all = || -> Result<(), String> {
        for (number, board) in boards.iter().enumerate() {
            let place = board.find(&boards, &found).map_err(|fault| fault.to_string())?;
            let right = dir.path().join(format!("dev/ttyUSB{number}"));
            if place != PortMatch::Port(right) {
                return Err(format!("{} was taken to be on {place:?}", board.board));
            }
        }
        Ok(())
    };
    resolve_all()?;
    let read_folders = || {
        ["sys/class/tty", "dev/serial/by-id", "dev/serial/by-path"]
            .iter()
            .map(|name| std::fs::read_dir(dir.path().join(name)).map_or(0, Iterator::count))
            .sum::<usize>()
    };
    let floor = timed(runs, &mut || match read_folders() {
        0 => Err("the folders cannot be read".into()),
        _ => Ok(()),
    })?;
    let discovery = timed(runs, &mut || match discover_in(dir.path()) {
        Ok(found) if found.len() == BOARDS => Ok(()),
        Ok(found) => Err(format!("{} ports were found of {BOARDS}", found.len())),
        Err(fault) => Err(fault.to_string()),
    })?;
    let resolving = timed(runs, &mut || resolve_all())?;

    let mut table = Table::of_rows(format!("Discovery, {BOARDS} USB adapters"));
    let mut row = |what, figures, floor, note| {
        let (unit, aim) = (Unit::Seconds, Against::Nothing);
        table.row(TableRow { what, figures, unit, aim, floor, note });
    };
    row(
        "what is attached",
        discovery,
        Some(floor.median()),
        "floor: the same folders listed, nothing in them read (a tree like sysfs on this machine's disk)",
    );
    row("every board's port found", resolving, None, "all 64 boards, over one list of ports");
    Ok(table)
}

fn timed(runs: usize, job: &mut dyn FnMut() -> Result<(), String>) -> Result<Figures, String> {
    (0..runs)
        .map(|_| {
            let start = Instant::now();
            job()?;
            Ok(start.elapsed().as_secs_f64())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_board_gets_its_own_port() {
        let table = super::discovery(1).unwrap().text();
        assert!(table.contains("what is attached"), "{table}");
    }
}
