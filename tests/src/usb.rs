//! USB serial adapters as Linux and udev show them: the folders `sys` and `dev` of a machine
//! that they are plugged into. Read by hilrig below a root of its own, or, in a mount namespace,
//! as the real ones.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The controller that everything is plugged into.
const BUS: &str = "sys/devices/pci0000:00/0000:00:14.0/usb1";

/// An adapter with one port.
#[derive(Clone, Copy, Debug)]
pub struct Adapter<'a> {
    /// What the kernel calls its port.
    pub tty: &'a str,
    /// The hubs' ports that lead to it, `3.1`.
    pub place: &'a str,
    /// Vendor and product id.
    pub id: (u16, u16),
    /// Its serial number, if it has one.
    pub serial: Option<&'a str>,
    /// What it calls itself.
    pub product: &'a str,
    /// Whether the interface itself is the port (CDC-ACM), as with chips that have USB of their own.
    pub native: bool,
}

impl<'a> Adapter<'a> {
    /// The adapter on most ESP8266 boards, without a serial number.
    pub fn cp210x(tty: &'a str, place: &'a str) -> Adapter<'a> {
        let product = "CP2102 USB to UART Bridge Controller";
        Adapter { tty, place, id: (0x10c4, 0xea60), serial: None, product, native: false }
    }

    /// An ESP32's own USB.
    pub fn native(tty: &'a str, place: &'a str) -> Adapter<'a> {
        let product = "USB JTAG/serial debug unit";
        Adapter { tty, place, id: (0x303a, 0x1001), serial: None, product, native: true }
    }

    /// Its name under /dev/serial/by-path.
    pub fn position(&self) -> String {
        let port = if self.native { "" } else { "-port0" };
        format!("pci-0000:00:14.0-usb-0:{}:1.0{port}", self.place)
    }

    fn by_id(&self) -> String {
        let plain: String =
            self.product.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let serial = self.serial.map(|serial| format!("_{serial}")).unwrap_or_default();
        format!("usb-{plain}{serial}-if00-port0")
    }
}

/// A machine's `sys` and `dev`, as far as serial ports are concerned.
pub struct UsbTree {
    root: PathBuf,
}

impl UsbTree {
    /// A machine without a port below `root`.
    pub fn new(root: &Path) -> UsbTree {
        let tree = UsbTree { root: root.to_owned() };
        for folder in ["sys/class/tty", "sys/bus/usb", "sys/bus/usb-serial", "sys/bus/pnp", BUS] {
            tree.folder(folder);
        }
        for folder in ["dev/serial/by-id", "dev/serial/by-path"] {
            tree.folder(folder);
        }
        tree
    }

    /// Plugs an adapter in; its port leads to `node`.
    pub fn plug(&self, adapter: &Adapter<'_>, node: &Path) {
        let Adapter { tty, place, id, .. } = *adapter;
        let usb = format!("{BUS}/1-{place}");
        let interface = format!("{usb}/1-{place}:1.0");
        self.file(&format!("{usb}/idVendor"), &format!("{:04x}\n", id.0));
        self.file(&format!("{usb}/idProduct"), &format!("{:04x}\n", id.1));
        self.file(&format!("{usb}/product"), &format!("{}\n", adapter.product));
        if let Some(serial) = adapter.serial {
            self.file(&format!("{usb}/serial"), &format!("{serial}\n"));
        }
        self.file(&format!("{interface}/bInterfaceNumber"), "00\n");
        let (device, bus) = match adapter.native {
            true => (interface, "usb"),
            false => (format!("{interface}/{tty}"), "usb-serial"),
        };
        let class = format!("{device}/tty/{tty}");
        self.folder(&class);
        self.link(
            &format!("{device}/subsystem"),
            &self.up_from(&device, &format!("sys/bus/{bus}")),
        );
        self.link(&format!("{class}/device"), &self.up_from(&class, &device));
        // udev has made its links by the time that somebody looks; here their order is kept.
        self.link(&format!("dev/{tty}"), node);
        let to = PathBuf::from(format!("../../{tty}"));
        self.link(&format!("dev/serial/by-path/{}", adapter.position()), &to);
        // Of two with one name, udev gives it to one of them.
        let by_id = self.root.join("dev/serial/by-id").join(adapter.by_id());
        let _ = fs::remove_file(&by_id);
        self.link(&format!("dev/serial/by-id/{}", adapter.by_id()), &to);
        self.link(&format!("sys/class/tty/{tty}"), &self.up_from("sys/class/tty", &class));
    }

    /// A port of the main board; type "0" is one that the driver made and that has no chip.
    pub fn board_port(&self, tty: &str, kind: &str) {
        let class = format!("sys/devices/pnp0/00:04/tty/{tty}");
        self.file(&format!("{class}/type"), &format!("{kind}\n"));
        let device = "sys/devices/pnp0/00:04";
        let _ = fs::remove_file(self.root.join(device).join("subsystem"));
        self.link(&format!("{device}/subsystem"), &self.up_from(device, "sys/bus/pnp"));
        self.link(&format!("{class}/device"), &self.up_from(&class, device));
        self.link(&format!("dev/{tty}"), Path::new("/dev/null"));
        self.link(&format!("sys/class/tty/{tty}"), &self.up_from("sys/class/tty", &class));
    }

    /// Pulls the adapter of a port.
    pub fn unplug(&self, tty: &str) {
        let class = self.root.join("sys/class/tty").join(tty);
        let device = class.canonicalize().expect("it is plugged in");
        let bus = self.root.join(BUS).canonicalize().expect("the bus is there");
        let usb = device.ancestors().find(|folder| folder.parent() == Some(&bus));
        fs::remove_file(&class).expect("it is plugged in");
        for links in ["dev/serial/by-id", "dev/serial/by-path"] {
            for link in fs::read_dir(self.root.join(links)).expect("the folder is there") {
                let link = link.expect("the folder can be read").path();
                if link.read_link().is_ok_and(|to| to.ends_with(tty)) {
                    fs::remove_file(link).expect("it is ours");
                }
            }
        }
        fs::remove_file(self.root.join("dev").join(tty)).expect("it is plugged in");
        fs::remove_dir_all(usb.expect("it is on the bus")).expect("it is ours");
    }

    /// The way from a folder to something else, as sysfs has its links.
    fn up_from(&self, folder: &str, to: &str) -> PathBuf {
        let mut way: PathBuf = folder.split('/').map(|_| "..").collect();
        way.push(to);
        way
    }

    fn folder(&self, name: &str) {
        fs::create_dir_all(self.root.join(name)).expect("the folder can be written to");
    }

    fn file(&self, name: &str, text: &str) {
        let path = self.root.join(name);
        fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("it can be made");
        fs::write(path, text).expect("the folder can be written to");
    }

    fn link(&self, name: &str, to: &Path) {
        symlink(to, self.root.join(name)).expect("the folder can be written to");
    }
}
