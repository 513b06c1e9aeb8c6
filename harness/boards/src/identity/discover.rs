//! Serial ports that are attached, as the kernel and udev report them.
//!
//! Read from sysfs and /dev here: the serialport crate only looks below `/` (and panics in a container
//! without sysfs), while tests need benches that do not exist. It also does not report where an adapter
//! is plugged in, which distinguishes two boards with one serial number.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use hilrig_core::board::BoardFault;
use hilrig_core::text::printable;

use super::access;
use super::usb::{Usb, attached_to, usb};

/// A serial port, with everything known about it without opening it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundPort {
    /// The device, `/dev/ttyUSB0`: a name that changes with the order of plugging.
    pub port: PathBuf,
    /// The USB adapter that it is on.
    pub usb: Option<Usb>,
    /// Its name by what is plugged in (`/dev/serial/by-id/...`).
    pub by_id: Option<PathBuf>,
    /// Where it is plugged in: its names under `/dev/serial/by-path`, of which newer udevs give
    /// more than one; where no udev runs, the name of its USB interface (`1-3.1:1.0`).
    pub positions: Vec<String>,
    /// Why this user cannot open it, and what to do.
    pub no_access: Option<String>,
}

/// The attached serial ports, in an order that does not change when others come and go. Ports of the
/// main board (ttyS...) come last.
///
/// # Errors
/// The system's list of ports cannot be read.
pub fn discover() -> Result<Vec<FoundPort>, BoardFault> {
    discover_in(Path::new("/"))
}

/// The same below another root, which has `sys` and `dev`.
///
/// # Errors
/// As [`discover`].
pub fn discover_in(root: &Path) -> Result<Vec<FoundPort>, BoardFault> {
    let class = root.join("sys/class/tty");
    let entries = std::fs::read_dir(&class).map_err(|error| {
        BoardFault::new("looking for serial ports", format!("{}: {error}", class.display()))
            .help("Mount sysfs (a container needs it from its host), or name the port yourself.")
    })?;
    let dev = root.join("dev");
    let by_id = links(&dev.join("serial/by-id"));
    let by_path = links(&dev.join("serial/by-path"));
    let found = entries.flatten().filter_map(|entry| {
        let name = entry.file_name();
        let device = entry.path().join("device");
        let on = attached_to(&entry.path())?;
        let port = dev.join(&name);
        // A port without its node is not there (yet), or is not passed to this container.
        port.exists().then(|| FoundPort {
            usb: on.interface().and_then(|interface| usb(&device.join(interface))),
            by_id: by_id.get(&name).and_then(|links| links.first()).cloned(),
            positions: match by_path.get(&name) {
                Some(links) => links.iter().map(|link| file_name(link)).collect(),
                None => {
                    on.interface().and_then(|path| place(&device.join(path))).into_iter().collect()
                }
            },
            no_access: no_access(&port),
            port,
        })
    });
    Ok(sorted(found.collect()))
}

/// Whether one port alone has this serial number.
pub fn has_alone(found: &[FoundPort], serial: &str) -> bool {
    let with =
        |port: &&FoundPort| port.usb.as_ref().and_then(|usb| usb.serial.as_deref()) == Some(serial);
    found.iter().filter(with).count() == 1
}

/// A port that the system does not list: a pty.
pub fn unlisted(port: &Path) -> FoundPort {
    let (by_id, positions) = (None, Vec::new());
    FoundPort { usb: None, by_id, positions, no_access: no_access(port), port: port.to_owned() }
}

fn place(interface: &Path) -> Option<String> {
    Some(file_name(&interface.canonicalize().ok()?))
}

fn sorted(mut ports: Vec<FoundPort>) -> Vec<FoundPort> {
    ports.sort_by(|a, b| {
        let rank = |p: &FoundPort| (p.usb.is_none(), p.positions.first().cloned(), number(&p.port));
        rank(a).cmp(&rank(b))
    });
    ports
}

/// `/dev/ttyUSB10` comes after `/dev/ttyUSB9`.
fn number(port: &Path) -> (String, u64) {
    let name = port.to_string_lossy();
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (stem.to_owned(), name[stem.len()..].parse().unwrap_or(0))
}

/// The links in `folder` by the name of the device that each points to, sorted.
fn links(folder: &Path) -> BTreeMap<OsString, Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    names.sort();
    let mut targets: BTreeMap<OsString, Vec<PathBuf>> = BTreeMap::new();
    for name in names {
        if let Some(target) = name.read_link().ok().as_deref().and_then(Path::file_name) {
            targets.entry(target.to_owned()).or_default().push(name);
        }
    }
    targets
}

fn file_name(path: &Path) -> String {
    printable(path.file_name().map(OsStr::as_encoded_bytes).unwrap_or_default())
}

fn no_access(port: &Path) -> Option<String> {
    use rustix::fs::{Access, access};
    let error = access(port, Access::READ_OK | Access::WRITE_OK).err()?;
    Some(match error {
        rustix::io::Errno::ACCESS => access::port_help(port),
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use hilrig_tests::usb::{Adapter, UsbTree};

    use super::*;

    #[test]
    fn the_order_follows_where_it_is_plugged_in() {
        let port = |name: &str, position: Option<&str>| FoundPort {
            port: name.into(),
            usb: position.map(|_| Usb {
                vid: 0x10c4,
                pid: 0xea60,
                serial: None,
                product: None,
                interface: None,
            }),
            by_id: None,
            positions: position.map(str::to_owned).into_iter().collect(),
            no_access: None,
        };
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
    fn an_adapter_is_found_with_all_that_tells_it_from_others() {
        let folder = tempfile::tempdir().unwrap();
        let tree = UsbTree::new(folder.path());
        let adapter = Adapter { serial: Some("0001"), ..Adapter::cp210x("ttyUSB3", "3.1") };
        tree.plug(&adapter, Path::new("/dev/null"));
        tree.plug(&Adapter::native("ttyACM0", "3.2"), Path::new("/dev/null"));
        let found = discover_in(folder.path()).unwrap();
        let dev = folder.path().join("dev");
        assert_eq!(found[0].port, dev.join("ttyUSB3"));
        assert_eq!(found[0].positions, ["pci-0000:00:14.0-usb-0:3.1:1.0-port0"]);
        let by_id = found[0].by_id.as_ref().unwrap();
        assert!(by_id.starts_with(dev.join("serial/by-id")) && by_id.exists(), "{by_id:?}");
        let usb = found[0].usb.as_ref().unwrap();
        assert_eq!((usb.vid, usb.pid, usb.interface), (0x10c4, 0xea60, Some(0)));
        assert_eq!(usb.serial.as_deref(), Some("0001"));
        assert_eq!(usb.product.as_deref(), Some("CP2102 USB to UART Bridge Controller"));
        let native = found[1].usb.as_ref().unwrap();
        assert_eq!((native.vid, native.pid), (0x303a, 0x1001));

        tree.unplug("ttyUSB3");
        assert_eq!(discover_in(folder.path()).unwrap().len(), 1);
        // As in a container that udev does not reach.
        std::fs::remove_dir_all(dev.join("serial")).unwrap();
        let found = discover_in(folder.path()).unwrap();
        assert_eq!(
            (&found[0].positions[..], &found[0].by_id),
            (&["1-3.2:1.0".to_owned()][..], &None)
        );
    }

    #[test]
    fn what_is_no_port_is_left_out_and_no_sysfs_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let tree = UsbTree::new(folder.path());
        tree.board_port("ttyS0", "4");
        tree.board_port("ttyS1", "0");
        std::fs::create_dir(folder.path().join("sys/class/tty/ptmx")).unwrap();
        let found = discover_in(folder.path()).unwrap();
        assert_eq!(found.iter().map(|port| file_name(&port.port)).collect::<Vec<_>>(), ["ttyS0"]);
        assert_eq!((&found[0].usb, found[0].positions.len()), (&None, 0));
        let fault = discover_in(&folder.path().join("none")).unwrap_err().to_string();
        assert!(fault.contains("Mount sysfs"), "{fault}");
    }

    #[test]
    fn what_a_device_says_of_itself_drives_no_terminal() {
        let folder = tempfile::tempdir().unwrap();
        let tree = UsbTree::new(folder.path());
        let adapter = Adapter { serial: Some("a\x1b[2Jb"), ..Adapter::cp210x("ttyUSB0", "1") };
        tree.plug(&adapter, Path::new("/dev/null"));
        let found = discover_in(folder.path()).unwrap();
        let serial = found[0].usb.as_ref().unwrap().serial.as_deref();
        assert_eq!(serial, Some("a\\x1b[2Jb"));
    }

    #[test]
    fn a_missing_port_is_no_access() {
        assert!(no_access(Path::new("/dev/ttyUSB-none")).is_some());
        assert_eq!(no_access(Path::new("/dev/null")), None);
    }
}
