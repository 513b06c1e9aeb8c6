//! The USB adapter of a serial port, by sysfs.

use std::path::Path;

use hilrig_core::text::printable;

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
pub(super) enum On {
    /// A USB interface that is a port (CDC-ACM).
    UsbInterface,
    /// A port of a USB adapter's interface.
    UsbAdapter,
    /// The main board.
    Board,
}

impl On {
    /// From the port's device to the USB interface.
    pub(super) fn interface(&self) -> Option<&'static str> {
        match self {
            On::UsbInterface => Some(""),
            On::UsbAdapter => Some(".."),
            On::Board => None,
        }
    }
}

/// What a port of sysfs is on; none where it is no serial port: consoles and ptys have no device.
pub(super) fn attached_to(tty: &Path) -> Option<On> {
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
pub(super) fn usb(interface: &Path) -> Option<Usb> {
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

/// A value of sysfs; none where it is not there or empty.
fn read(path: &Path) -> Option<String> {
    let text = printable(std::fs::read(path).ok()?.trim_ascii());
    (!text.is_empty()).then_some(text)
}
