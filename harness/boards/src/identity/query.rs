//! Which port a board of the configuration is on.
//!
//! A board is named by what does not change: the serial number of its USB adapter, where that is
//! plugged in, the MAC of its chip. The name of its port is the kernel's and changes with each plugging.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hilrig_core::board::BoardFault;
use hilrig_core::config::PortId;
use hilrig_core::mac::Mac;

use crate::identity::discover::{FoundPort, has_alone};

/// The keys of the configuration that identify a board's port.
#[derive(Clone, Debug)]
pub struct PortQuery {
    /// The board's name.
    pub board: String,
    /// What its port has to match. Without any key, only the MAC identifies the board.
    pub id: PortId,
    /// The MAC that its chip has to have.
    pub mac: Option<Mac>,
}

/// Where a board is, as far as is known without opening a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortMatch {
    /// On this port.
    Port(PathBuf),
    /// On one of these; the chips' MACs decide which.
    OneOf(Vec<PathBuf>),
}

impl PortQuery {
    /// The keys that name the port, as the configuration has them.
    pub fn words(&self) -> String {
        let PortId { path, usb_serial, position } = &self.id;
        let path = path.as_ref().map(|path| path.display().to_string());
        let mac = self.mac.map(|mac| mac.to_string());
        let keys =
            [("port", &path), ("usb_serial", usb_serial), ("position", position), ("mac", &mac)];
        let given =
            keys.iter().filter_map(|(key, value)| Some(format!("{key} = {:?}", value.as_ref()?)));
        given.collect::<Vec<_>>().join(", ")
    }

    /// The ports that match all keys; the MAC is not checked.
    pub fn ports<'a>(&self, found: &'a [FoundPort]) -> Vec<&'a FoundPort> {
        let PortId { path, usb_serial, position } = &self.id;
        if self.id == PortId::default() {
            return Vec::new();
        }
        // As `ls` shows it, or with its folder.
        let position = position.as_ref().and_then(|text| Path::new(text).file_name()?.to_str());
        let real = path.as_ref().and_then(|path| path.canonicalize().ok());
        let names = |port: &&FoundPort| {
            let serial = port.usb.as_ref().and_then(|usb| usb.serial.as_ref());
            usb_serial.as_ref().is_none_or(|own| serial == Some(own))
                && position.is_none_or(|own| port.positions.iter().any(|name| name == own))
                && path.as_ref().is_none_or(|path| {
                    *path == port.port || (real.is_some() && real == port.port.canonicalize().ok())
                })
        };
        found.iter().filter(names).collect()
    }

    /// Finds the port of this board. `bench` is all boards of the configuration, this one included: a port
    /// that identifies another board is not this one's.
    ///
    /// # Errors
    /// There is no such port, or there are several; then the error lists them and names the key that
    /// distinguishes them.
    pub fn find(&self, bench: &[PortQuery], found: &[FoundPort]) -> Result<PortMatch, BoardFault> {
        let others: Vec<(&PortQuery, Vec<&FoundPort>)> = bench
            .iter()
            .filter(|other| other.board != self.board)
            .map(|other| (other, other.ports(found)))
            .collect();
        // The board that is on that port and on no other.
        let owner = |port: &FoundPort| {
            let (other, _) = others.iter().find(|(_, ports)| *ports == [port])?;
            Some(*other)
        };
        let by_mac = self.id == PortId::default();
        let candidates = match by_mac {
            true => found.iter().filter(|p| p.usb.is_some() && owner(p).is_none()).collect(),
            false => self.ports(found),
        };
        let path_alone = PortId { usb_serial: None, position: None, ..self.id.clone() } == self.id;
        let twin = match (candidates.as_slice(), &self.id.path) {
            // A pty, or a port that the system does not list.
            ([], Some(path)) if path_alone && path.exists() => {
                let on_it =
                    |other: &&PortQuery| other.id.path.as_ref().is_some_and(|p| same(p, path));
                match others.iter().map(|(other, _)| *other).find(on_it) {
                    Some(twin) => return Err(self.shared(path, twin)),
                    None => return Ok(PortMatch::Port(path.clone())),
                }
            }
            ([port], _) => owner(port),
            _ => None,
        };
        let ports = || candidates.iter().map(|port| port.port.clone()).collect();
        match (candidates.as_slice(), self.mac, twin) {
            ([], ..) => Err(self.missing(found)),
            ([port], None, Some(twin)) => Err(self.shared(&port.port, twin)),
            ([port], _, None) if !by_mac => Ok(PortMatch::Port(port.port.clone())),
            (_, Some(_), _) => Ok(PortMatch::OneOf(ports())),
            (_, None, _) => Err(self.ambiguous(&candidates)),
        }
    }

    fn tried(&self) -> String {
        format!("looking for the port of board `{}` ({})", self.board, self.words())
    }

    fn missing(&self, found: &[FoundPort]) -> BoardFault {
        let usb: Vec<&FoundPort> = found.iter().filter(|port| port.usb.is_some()).collect();
        let text = match (usb.as_slice(), self.id == PortId::default()) {
            _ if self.id.path.as_ref().is_some_and(|path| !path.exists()) => {
                format!("there is no {}", self.id.path.clone().unwrap_or_default().display())
            }
            ([], _) => "no USB serial port is attached".into(),
            (_, true) => "each USB serial port belongs to another board".to_owned(),
            (ports, false) => format!("no port matches; attached are {}", list(ports)),
        };
        BoardFault::new(self.tried(), text).help(
            "Check its cable and its power, or correct the keys in its [[board]] (`hilrig boards` lists what is attached).",
        ).silent()
    }

    fn ambiguous(&self, candidates: &[&FoundPort]) -> BoardFault {
        let distinct = |values: Vec<Option<String>>| {
            let known: BTreeSet<&String> = values.iter().flatten().collect();
            known.len() == candidates.len()
        };
        let serials = candidates.iter().map(|port| port.usb.as_ref()?.serial.clone()).collect();
        let positions = candidates.iter().map(|port| port.positions.first().cloned()).collect();
        let key = if distinct(serials) {
            "Add the `usb_serial` of the right one"
        } else if distinct(positions) {
            "Add the `position` of the right one"
        } else {
            "Add its `mac` (`hilrig boards --ask` reads it)"
        };
        let found = format!("{} ports match: {}", candidates.len(), list(candidates));
        BoardFault::new(self.tried(), found).help(format!("{key} to its [[board]]."))
    }

    fn shared(&self, port: &Path, twin: &PortQuery) -> BoardFault {
        let found = format!(
            "board `{}` ({}) is on the same port {}",
            twin.board,
            twin.words(),
            port.display()
        );
        BoardFault::new(self.tried(), found)
            .help("Is one of them unplugged? Give each a key of its own: `position` or `mac`.")
    }
}

/// Everything known about a port, in a line.
pub fn describe(port: &FoundPort) -> String {
    let mut text = port.port.display().to_string();
    let mut add = |word: &str, value: Option<&String>| {
        text.push_str(&value.map(|value| format!(", {word}{value:?}")).unwrap_or_default());
    };
    if let Some(usb) = &port.usb {
        let id = format!("{:04x}:{:04x}", usb.vid, usb.pid);
        add("usb_serial = ", usb.serial.as_ref());
        add("position = ", port.positions.first());
        text = format!("{text}, {id} {}", usb.product.as_deref().unwrap_or_default());
    }
    text.trim_end().to_owned()
}

fn list(ports: &[&FoundPort]) -> String {
    ports.iter().map(|port| format!("({})", describe(port))).collect::<Vec<_>>().join(" ")
}

/// Whether both are paths of one device.
fn same(a: &Path, b: &Path) -> bool {
    a == b
        || match (a.canonicalize(), b.canonicalize()) {
            (Ok(a), Ok(b)) => a == b,
            _ => false,
        }
}

/// The key to use instead of a port's name, which changes.
pub fn stable_key(port: &FoundPort, found: &[FoundPort]) -> Option<String> {
    let serial = port.usb.as_ref()?.serial.as_ref();
    match serial.filter(|serial| has_alone(found, serial)) {
        Some(serial) => Some(format!("usb_serial = {serial:?}")),
        None => Some(format!("position = {:?}", port.positions.first()?)),
    }
}

/// Whether a port's name depends on the order of plugging in.
pub fn is_passing(port: &Path) -> bool {
    let name = port.file_name().unwrap_or_default().to_string_lossy();
    port.parent() == Some(Path::new("/dev"))
        && (name.starts_with("ttyUSB") || name.starts_with("ttyACM"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::identity::usb::Usb;

    fn port(number: u32, serial: Option<&str>, position: Option<&str>) -> FoundPort {
        FoundPort {
            port: format!("/dev/ttyUSB{number}").into(),
            usb: Some(Usb {
                vid: 0x10c4,
                pid: 0xea60,
                serial: serial.map(str::to_owned),
                product: Some("CP2102".into()),
                interface: Some(0),
            }),
            by_id: None,
            positions: position.map(str::to_owned).into_iter().collect(),
            no_access: None,
        }
    }

    /// `keys` as `usb_serial`, `position`, last byte of the MAC.
    fn wanted(board: &str, keys: (Option<&str>, Option<&str>, Option<u8>)) -> PortQuery {
        let (usb_serial, position, mac) = keys;
        let id = PortId {
            path: None,
            usb_serial: usb_serial.map(str::to_owned),
            position: position.map(str::to_owned),
        };
        let mac = mac.map(|last| Mac([0x18, 0xfe, 0x34, 0, 0, last]));
        PortQuery { board: board.into(), id, mac }
    }

    fn on(number: u32) -> PortMatch {
        PortMatch::Port(format!("/dev/ttyUSB{number}").into())
    }

    fn one_of(numbers: &[u32]) -> PortMatch {
        PortMatch::OneOf(numbers.iter().map(|n| format!("/dev/ttyUSB{n}").into()).collect())
    }

    #[track_caller]
    fn refused(wanted: &PortQuery, bench: &[PortQuery], found: &[FoundPort], words: &[&str]) {
        let text = wanted.find(bench, found).unwrap_err().to_string();
        for word in words {
            assert!(text.contains(word), "`{word}` in: {text}");
        }
    }

    #[test]
    fn a_board_is_found_by_what_stays() {
        let found = [port(4, Some("A"), Some("usb-1")), port(7, Some("B"), Some("usb-2"))];
        for keys in [
            (Some("B"), None, None),
            (None, Some("usb-2"), None),
            (Some("B"), Some("usb-2"), None),
            (Some("B"), None, Some(1)),
            (None, Some("/dev/serial/by-path/usb-2"), None),
        ] {
            assert_eq!(wanted("a", keys).find(&[], &found).unwrap(), on(7), "{keys:?}");
        }
        // All given keys have to match.
        refused(&wanted("a", (Some("B"), Some("usb-1"), None)), &[], &found, &["no port matches"]);
    }

    #[test]
    fn every_name_of_a_position_is_good() {
        let mut newer = port(3, None, Some("pci-0-usb-0:1:1.0-port0"));
        newer.positions.push("pci-0-usbv2-0:1:1.0-port0".into());
        let board = wanted("a", (None, Some("pci-0-usbv2-0:1:1.0-port0"), None));
        assert_eq!(board.find(&[], &[newer]).unwrap(), on(3));
    }

    #[test]
    fn a_missing_board_is_told_with_what_is_attached() {
        let found = [port(0, Some("A"), Some("usb-1")), port(1, None, Some("usb-2"))];
        let words = [
            "board `a` (usb_serial = \"C\")",
            "/dev/ttyUSB0, usb_serial = \"A\", position = \"usb-1\", 10c4:ea60 CP2102",
            "/dev/ttyUSB1, position = \"usb-2\"",
            "hilrig boards",
        ];
        refused(&wanted("a", (Some("C"), None, None)), &[], &found, &words);
        refused(
            &wanted("a", (Some("C"), None, None)),
            &[],
            &[],
            &["no USB serial port is attached"],
        );
    }

    #[test]
    fn two_boards_with_one_serial_number_are_told_apart_by_their_place_or_their_mac() {
        let found = [port(0, Some("1"), Some("usb-1")), port(1, Some("1"), Some("usb-2"))];
        let words = ["2 ports match", "ttyUSB0", "ttyUSB1", "Add the `position`"];
        refused(&wanted("a", (Some("1"), None, None)), &[], &found, &words);
        let by_place = wanted("a", (Some("1"), Some("usb-2"), None));
        assert_eq!(by_place.find(&[], &found).unwrap(), on(1));
        let by_mac =
            [wanted("a", (Some("1"), None, Some(1))), wanted("b", (Some("1"), None, Some(2)))];
        assert_eq!(by_mac[0].find(&by_mac, &found).unwrap(), one_of(&[0, 1]));
        // One of them is unplugged: only the chip shows whose port it is.
        assert_eq!(by_mac[0].find(&by_mac, &found[..1]).unwrap(), one_of(&[0]));
        // Without positions, only the chips show it.
        let bare = [port(0, Some("1"), None), port(1, Some("1"), None)];
        refused(&wanted("a", (Some("1"), None, None)), &[], &bare, &["Add its `mac`", "--ask"]);
        // At one position, two ports of one adapter.
        let twin = [port(0, Some("1"), Some("usb-1")), port(1, Some("2"), Some("usb-1"))];
        refused(&wanted("a", (None, Some("usb-1"), None)), &[], &twin, &["Add the `usb_serial`"]);
    }

    #[test]
    fn a_board_known_by_its_mac_alone_is_not_looked_for_where_others_are_named() {
        let mut found =
            vec![port(0, Some("A"), None), port(1, Some("B"), None), port(2, None, None)];
        found.push(FoundPort { usb: None, port: "/dev/ttyS0".into(), ..port(9, None, None) });
        let bench = [wanted("a", (None, None, Some(1))), wanted("b", (Some("B"), None, None))];
        assert_eq!(bench[0].find(&bench, &found).unwrap(), one_of(&[0, 2]));
        // Even the last one is asked: nothing else identifies this board.
        assert_eq!(bench[0].find(&bench, &found[..2]).unwrap(), one_of(&[0]));
        refused(
            &bench[0],
            &bench,
            &found[1..2],
            &["each USB serial port belongs to another board"],
        );
    }

    #[test]
    fn two_boards_on_one_port_are_refused() {
        let found = [port(0, Some("A"), Some("usb-1"))];
        let bench =
            [wanted("a", (Some("A"), None, None)), wanted("b", (None, Some("usb-1"), None))];
        let words = ["board `b` (position = \"usb-1\") is on the same port /dev/ttyUSB0"];
        refused(&bench[0], &bench, &found, &words);
        refused(&bench[1], &bench, &found, &["board `a` (usb_serial = \"A\")"]);
    }

    #[test]
    fn a_port_by_its_path_needs_no_discovery_and_two_names_of_it_are_one() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/dev/null", &link).unwrap();
        let by_path = |board: &str, path: &Path| PortQuery {
            id: PortId { path: Some(path.into()), ..PortId::default() },
            ..wanted(board, (None, None, None))
        };
        let bench = [by_path("a", &link), by_path("b", Path::new("/dev/null"))];
        assert_eq!(bench[0].find(&bench[..1], &[]).unwrap(), PortMatch::Port(link.clone()));
        refused(&bench[0], &bench, &[], &["board `b`", "the same port"]);
        std::fs::remove_file(&link).unwrap();
        refused(&bench[0], &bench[..1], &[], &["link"]);
    }

    #[test]
    fn the_key_that_stays_is_the_serial_number_unless_it_is_doubled() {
        let found =
            [port(0, Some("1"), Some("p0")), port(1, Some("1"), None), port(2, Some("2"), None)];
        assert_eq!(stable_key(&found[0], &found).as_deref(), Some("position = \"p0\""));
        assert_eq!(stable_key(&found[1], &found), None);
        assert_eq!(stable_key(&found[2], &found).as_deref(), Some("usb_serial = \"2\""));
        assert!(is_passing(Path::new("/dev/ttyUSB0")) && is_passing(Path::new("/dev/ttyACM12")));
        assert!(!is_passing(Path::new("/dev/ttyS0")) && !is_passing(Path::new("bench/ttyUSB0")));
    }

    proptest! {
        // Any adapters at any positions: a board is on a port that matches all of its keys, or an error
        // reports that it is not known.
        #[test]
        fn no_board_is_ever_taken_for_another(
            ports in proptest::collection::vec((0..3u8, 0..3u8), 0..6),
            boards in proptest::collection::vec((0..3u8, 0..3u8, 0..3u8), 1..4),
        ) {
            let some = |n: u8, word: &str| (n > 0).then(|| format!("{word}{n}"));
            let found: Vec<FoundPort> = ports.iter().enumerate().map(|(n, (serial, place))| {
                port(n as u32, some(*serial, "s").as_deref(), some(*place, "p").as_deref())
            }).collect();
            let bench: Vec<PortQuery> = boards.iter().enumerate().filter(|(_, b)| **b != (0, 0, 0))
                .map(|(n, (serial, place, mac))| {
                    let (serial, place) = (some(*serial, "s"), some(*place, "p"));
                    let mac = (*mac > 0).then_some(*mac);
                    wanted(&format!("b{n}"), (serial.as_deref(), place.as_deref(), mac))
                }).collect();
            let mut taken = BTreeSet::new();
            for board in &bench {
                match board.find(&bench, &found) {
                    Ok(PortMatch::Port(path)) => {
                        let port = found.iter().find(|port| port.port == path).unwrap();
                        prop_assert_eq!(board.ports(&found), [port]);
                        prop_assert!(taken.insert(path), "two boards on one port");
                    }
                    Ok(PortMatch::OneOf(ports)) => {
                        prop_assert!(board.mac.is_some() && !ports.is_empty());
                    }
                    Err(fault) => prop_assert!(fault.help.is_some()),
                }
            }
        }
    }
}
