//! `hilrig init`.

use std::fmt::Write as _;
use std::io::Write as _;

use hilrig_boards::discover::discover;

use crate::args;
use crate::error::{Failure, print};

/// Every key with its default, commented; the repository's own configuration is the same text.
const TEMPLATE: &str = include_str!("../../../runner-config.toml");

/// Writes a configuration for what is attached.
pub fn init(args: &args::Init) -> Result<u8, Failure> {
    let file = args.file.display();
    let mut text = TEMPLATE.to_owned();
    let ports: Vec<_> = match discover() {
        Ok(ports) => ports.into_iter().filter(|port| port.usb.is_some()).collect(),
        // A machine whose ports cannot be listed runs virtual boards.
        Err(fault) => {
            tracing::warn!("{fault}");
            Vec::new()
        }
    };
    for (number, port) in ports.iter().enumerate() {
        // The name that stays when the order of plugging changes.
        let stable = port.by_id.as_ref().unwrap_or(&port.port);
        let product = port.usb.as_ref().and_then(|usb| usb.product.clone()).unwrap_or_default();
        let _ = write!(
            text,
            "\n# Found: {product}. Take the # away, and set `rig` to this machine's address.\n\
             # [[board]]\n# name = \"bench-{}\"\n# kind = \"esp8266\"\n# port = {:?}\n# rig = \"192.168.0.10\"\n",
            number + 1,
            stable.display().to_string(),
        );
    }
    let mut options = std::fs::File::options();
    let made = options.write(true).create_new(true).open(&args.file);
    let mut out = made.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::usage(format!(
            "{file} is there already, and is left as it is; name another file"
        )),
        _ => Failure::usage(format!("writing {file}: {error}")),
    })?;
    out.write_all(text.as_bytes())
        .map_err(|error| Failure::rig(format!("writing {file}: {error}")))?;
    print(&format!(
        "{file} is written, with {} board(s) found. `hilrig doctor` tells what is missing.\n",
        ports.len()
    ))
}
