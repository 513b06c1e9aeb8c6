//! Serial ports that are attached.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hilrig_core::board::BoardFault;
use hilrig_core::text::printable;
use serialport::SerialPortType;

/// A serial port with what is known about it without opening it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundPort {
    /// The device, `/dev/ttyUSB0`: a name that changes with the order of plugging.
    pub port: PathBuf,
    /// What it is on.
    pub usb: Option<Usb>,
    /// Its name by what is plugged in (`/dev/serial/by-id/...`).
    pub by_id: Option<PathBuf>,
    /// Its name by where it is plugged in (`/dev/serial/by-path/...`).
    pub by_path: Option<PathBuf>,
    /// Why this user cannot open it, and what to do about that.
    pub no_access: Option<String>,
}

/// A USB adapter. Its texts come from the device and are made printable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usb {
    /// Vendor id.
    pub vid: u16,
    /// Product id.
    pub pid: u16,
    /// Serial number. Cheap adapters have none, or all the same.
    pub serial: Option<String>,
    /// Product name.
    pub product: Option<String>,
    /// Interface number, where one device has several ports.
    pub interface: Option<u8>,
}

/// The serial ports that are attached, in an order that stays when others come and go. Ports of the
/// main board (ttyS...) come last.
///
/// # Errors
/// The system's list of ports cannot be read.
pub fn discover() -> Result<Vec<FoundPort>, BoardFault> {
    // serialport panics where this is missing, as in a container without sysfs.
    if !Path::new("/sys/class/tty").is_dir() {
        return Err(BoardFault::new("looking for serial ports", "/sys/class/tty is not there")
            .help("Mount sysfs (a container needs it from its host), or name the port yourself."));
    }
    let ports = serialport::available_ports()
        .map_err(|error| BoardFault::new("looking for serial ports", error))?;
    let by_id = links(Path::new("/dev/serial/by-id"));
    let by_path = links(Path::new("/dev/serial/by-path"));
    let found = ports.into_iter().map(|info| {
        let port = PathBuf::from(info.port_name);
        let usb = match info.port_type {
            SerialPortType::UsbPort(usb) => Some(Usb {
                vid: usb.vid,
                pid: usb.pid,
                serial: usb.serial_number.map(|text| printable(text.as_bytes())),
                product: usb.product.map(|text| printable(text.as_bytes())),
                interface: usb.interface,
            }),
            _ => None,
        };
        FoundPort {
            usb,
            by_id: by_id.get(&port).cloned(),
            by_path: by_path.get(&port).cloned(),
            no_access: no_access(&port),
            port,
        }
    });
    Ok(sorted(found.collect()))
}

fn sorted(mut ports: Vec<FoundPort>) -> Vec<FoundPort> {
    ports.sort_by(|a, b| {
        let rank = |p: &FoundPort| (p.usb.is_none(), p.by_path.clone(), number(&p.port));
        rank(a).cmp(&rank(b))
    });
    ports
}

/// `/dev/ttyUSB10` stands behind `/dev/ttyUSB9`.
fn number(port: &Path) -> (String, u64) {
    let name = port.to_string_lossy();
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (stem.to_owned(), name[stem.len()..].parse().unwrap_or(0))
}

/// Where the links in `folder` point to. The first by name, where several point to one port.
fn links(folder: &Path) -> BTreeMap<PathBuf, PathBuf> {
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    names.sort();
    let mut targets = BTreeMap::new();
    for name in names {
        if let Ok(target) = name.canonicalize() {
            targets.entry(target).or_insert(name);
        }
    }
    targets
}

fn no_access(port: &Path) -> Option<String> {
    use rustix::fs::{Access, access};
    let error = access(port, Access::READ_OK | Access::WRITE_OK).err()?;
    Some(match error {
        rustix::io::Errno::ACCESS => crate::port::permission_help(port),
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(name: &str, by_path: Option<&str>) -> FoundPort {
        FoundPort {
            port: name.into(),
            usb: by_path.map(|_| Usb {
                vid: 0x10c4,
                pid: 0xea60,
                serial: None,
                product: None,
                interface: None,
            }),
            by_id: None,
            by_path: by_path.map(PathBuf::from),
            no_access: None,
        }
    }

    #[test]
    fn the_order_follows_where_it_is_plugged_in() {
        let names: Vec<PathBuf> = sorted(vec![
            port("/dev/ttyS10", None),
            port("/dev/ttyS9", None),
            port("/dev/ttyUSB0", Some("usb-0:1.2")),
            port("/dev/ttyUSB1", Some("usb-0:1.1")),
        ])
        .into_iter()
        .map(|found| found.port)
        .collect();
        let expected = ["/dev/ttyUSB1", "/dev/ttyUSB0", "/dev/ttyS9", "/dev/ttyS10"];
        assert_eq!(names, expected.map(PathBuf::from));
    }

    #[test]
    fn links_are_followed_and_dead_ones_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().canonicalize().unwrap().join("ttyUSB7");
        std::fs::write(&target, "").unwrap();
        let by_id = folder.path().join("by-id");
        std::fs::create_dir(&by_id).unwrap();
        for name in ["usb-b", "usb-a"] {
            std::os::unix::fs::symlink("../ttyUSB7", by_id.join(name)).unwrap();
        }
        std::os::unix::fs::symlink("../ttyUSB8", by_id.join("usb-dead")).unwrap();
        let links = links(&by_id);
        assert_eq!(links.len(), 1);
        assert_eq!(links[&target], by_id.join("usb-a"));
    }

    #[test]
    fn a_missing_port_is_no_access() {
        assert!(no_access(Path::new("/dev/ttyUSB-none")).is_some());
        assert_eq!(no_access(Path::new("/dev/null")), None);
    }
}
