//! Serial ports that are attached, as the kernel and udev tell them.
//!
//! Read from sysfs and /dev here, for the serialport crate looks below `/` only (and panics in a
//! container without sysfs), while what is told of a bench must be tried on benches that are not
//! there. It also leaves out where an adapter is plugged in, which is what tells two boards with
//! one serial number apart.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use hilrig_core::board::BoardFault;
use hilrig_core::text::printable;

/// A serial port with what is known about it without opening it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundPort {
    /// The device, `/dev/ttyUSB0`: a name that changes with the order of plugging.
    pub port: PathBuf,
    /// What it is on.
    pub usb: Option<Usb>,
    /// Its name by what is plugged in (`/dev/serial/by-id/...`).
    pub by_id: Option<PathBuf>,
    /// Where it is plugged in: its names under `/dev/serial/by-path`, of which newer udevs give
    /// more than one; where no udev runs, the name of its USB interface (`1-3.1:1.0`).
    pub positions: Vec<String>,
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
        // A port without its node is not there (yet), or is kept from this container.
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

/// The USB adapter that a port of this machine belongs to.
pub fn usb_of(port: &Path) -> Option<Usb> {
    let class = Path::new("/sys/class/tty");
    let names = [port.to_owned(), port.canonicalize().ok()?];
    let tty = names.iter().find_map(|name| {
        let tty = class.join(name.file_name()?);
        tty.exists().then_some(tty)
    })?;
    usb(&tty.join("device").join(attached_to(&tty)?.interface()?))
}

/// What a port belongs to.
enum On {
    /// A USB interface that is a port (CDC-ACM).
    UsbInterface,
    /// A port of a USB adapter's interface.
    UsbAdapter,
    /// The main board.
    Board,
}

impl On {
    /// From the port's device to the USB interface.
    fn interface(&self) -> Option<&'static str> {
        match self {
            On::UsbInterface => Some(""),
            On::UsbAdapter => Some(".."),
            On::Board => None,
        }
    }
}

/// What the port of sysfs is on; none where it is no serial port: consoles and ptys have no device.
fn attached_to(tty: &Path) -> Option<On> {
    let subsystem = std::fs::read_link(tty.join("device/subsystem")).ok()?;
    match subsystem.file_name()?.to_str()? {
        "usb" => Some(On::UsbInterface),
        "usb-serial" => Some(On::UsbAdapter),
        // The PC's driver makes four to thirty-two ports whether or not there is a chip; 0 is the
        // type of one that has none (PORT_UNKNOWN in Linux' serial_core.h).
        "amba" | "pci" | "platform" | "pnp" | "serial-base"
            if read(&tty.join("type")).is_none_or(|kind| kind != "0") =>
        {
            Some(On::Board)
        }
        _ => None,
    }
}

/// The adapter that a USB interface belongs to.
fn usb(interface: &Path) -> Option<Usb> {
    let device = interface.join("..");
    let id = |name: &str| u16::from_str_radix(&read(&device.join(name))?, 16).ok();
    Some(Usb {
        vid: id("idVendor")?,
        pid: id("idProduct")?,
        serial: read(&device.join("serial")),
        product: read(&device.join("product")),
        interface: read(&interface.join("bInterfaceNumber"))
            .and_then(|number| u8::from_str_radix(&number, 16).ok()),
    })
}

fn place(interface: &Path) -> Option<String> {
    Some(file_name(&interface.canonicalize().ok()?))
}

/// A value of sysfs; none where it is not there or empty.
fn read(path: &Path) -> Option<String> {
    let text = printable(std::fs::read(path).ok()?.trim_ascii());
    (!text.is_empty()).then_some(text)
}

fn sorted(mut ports: Vec<FoundPort>) -> Vec<FoundPort> {
    ports.sort_by(|a, b| {
        let rank = |p: &FoundPort| (p.usb.is_none(), p.positions.first().cloned(), number(&p.port));
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
        rustix::io::Errno::ACCESS => crate::identity::access::port_help(port),
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
