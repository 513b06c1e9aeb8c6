//! Writes a configuration for the boards that are attached.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::{IpAddr, UdpSocket};
use std::path::Path;

use hilrig_boards::identity::discover::FoundPort;
use hilrig_boards::identity::query::stable_key;
use hilrig_boards::probe::list::probes;
use hilrig_core::config::BoardKind;
use hilrig_core::image::ImageFormat;

use crate::Error;
use crate::attach::{ListedPort, list_ports};

/// Every key with its default, commented; the repository's own configuration is the same text.
const TEMPLATE: &str = include_str!("../../../runner-config.toml");

/// A configuration that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenConfig {
    /// Boards that are in it.
    pub boards: usize,
    /// Boards that are commented out, with what they lack.
    pub incomplete: usize,
}

/// Writes a configuration for what is attached into `file`. With `ask` the boards' chips are asked, which
/// resets them.
///
/// # Errors
/// The file is there already, or it cannot be written.
pub async fn init(file: &Path, ask: bool) -> Result<WrittenConfig, Error> {
    let shown = file.display();
    let mut options = std::fs::File::options();
    let made = options.write(true).create_new(true).open(file);
    let mut out = made.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Error::usage(format!("{shown} exists and is not overwritten; name another file"))
        }
        _ => Error::usage(format!("writing {shown}: {error}")),
    })?;
    let rows = match list_ports(None, ask).await {
        Ok((rows, _)) => rows,
        // A machine whose ports cannot be listed runs virtual boards.
        Err(error) => {
            tracing::warn!("{error}");
            Vec::new()
        }
    };
    let (entries, boards, incomplete) = entries(&rows, own_address());
    out.write_all(format!("{TEMPLATE}{entries}").as_bytes())
        .map_err(|error| Error::rig(format!("writing {shown}: {error}")))?;
    Ok(WrittenConfig { boards, incomplete })
}

/// The entries for what is attached, the number of complete ones, and the number of incomplete ones.
fn entries(rows: &[ListedPort<'_>], rig: Option<IpAddr>) -> (String, usize, usize) {
    let found: Vec<FoundPort> = rows.iter().map(|row| row.port.clone()).collect();
    let (mut text, mut firmware) = (String::new(), BTreeSet::new());
    let (mut complete, mut left) = (0, 0);
    for row in rows {
        let Some(usb) = &row.port.usb else { continue };
        // Only chips that hilrig can flash count.
        let kind = row.chip.as_ref();
        let kind = kind
            .and_then(|chip| serde_json::from_value::<BoardKind>(chip.chip.clone().into()).ok());
        let key = stable_key(&row.port, &found);
        let mut lacks = Vec::new();
        if kind.is_none() {
            lacks.push("its chip (`hilrig init --ask` resets the boards and asks them)");
        }
        if key.is_none() {
            lacks.push("a serial number or a USB position that identifies it");
        }
        if rig.is_none() {
            lacks.push("this machine's address, as the board can reach it (`rig`)");
        }
        let whole = lacks.is_empty();
        let mut lines = vec![
            "[[board]]".to_owned(),
            format!("name = \"bench-{}\"", complete + left + 1),
            format!("kind = \"{}\"", kind.unwrap_or(BoardKind::Esp8266).name()),
        ];
        lines.extend(key);
        lines.extend(row.chip.as_ref().map(|chip| format!("mac = \"{}\"", chip.mac)));
        lines.push(format!("rig = \"{}\"", rig.map_or("192.168.0.10".into(), |ip| ip.to_string())));
        let product = usb.product.as_deref().unwrap_or("an adapter without a name");
        text.push_str(&format!("\n# Found: {product}, {:04x}:{:04x}.", usb.vid, usb.pid));
        match whole {
            true => text.push('\n'),
            false => text.push_str(&format!(" Not known: {}.\n", lacks.join("; "))),
        }
        for line in lines {
            text.push_str(if whole { "" } else { "# " });
            text.push_str(&format!("{line}\n"));
        }
        match kind.filter(|_| whole) {
            Some(kind) => {
                firmware.insert(kind);
                complete += 1;
            }
            None => left += 1,
        }
    }
    for probe in probes() {
        left += 1;
        text.push_str(&format!(
            "\n# Found: {}. Not known: the chip that it debugs.\n# [[board]]\n# name = \"probe-{left}\"\n# kind = \"probe\"\n\
             # chip = \"STM32F411CEUx\"\n# probe = \"{}\"\n# rig = \"{}\"\n",
            probe.name,
            probe.key(),
            rig.map_or("192.168.0.10".into(), |ip| ip.to_string()),
        ));
    }
    for kind in firmware {
        let file = match kind.image_format() {
            ImageFormat::Esp8266 => "firmware.bin",
            ImageFormat::Elf(_) => "firmware.elf",
        };
        text.push_str(&format!(
            "\n# The image for the boards above.\n[firmware.{}]\nimage = \"{file}\"\n",
            kind.name()
        ));
    }
    (text, complete, left)
}

/// This machine's address in its network, if it is in one.
fn own_address() -> Option<IpAddr> {
    // Connecting a UDP socket sends nothing: the kernel only chooses the route. The address is
    // reserved for documentation (RFC 5737), so no host has it.
    let socket = UdpSocket::bind(("0.0.0.0", 0)).ok()?;
    socket.connect(("192.0.2.1", 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}
