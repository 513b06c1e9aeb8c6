//! Which chip answered on which adapter, kept from run to run: to know a board again without
//! resetting it is worth a note, and never more than that. Who flashes asks the chip.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::esp::identify::Identity;
use crate::identity::discover::{FoundPort, has_alone};

/// The note of one adapter at one place.
#[derive(Debug)]
pub struct Seen {
    path: PathBuf,
}

impl Seen {
    /// The note of a port, one of those that were `found`, under the folder `state`. An adapter is
    /// known by its serial number, and where that is doubled or missing by its place; none where
    /// nothing tells it from the next one.
    pub fn of(state: &Path, port: &FoundPort, found: &[FoundPort]) -> Option<Seen> {
        let usb = port.usb.as_ref()?;
        let what = match usb.serial.as_ref().filter(|serial| has_alone(found, serial)) {
            Some(serial) => format!("serial-{serial}"),
            None => format!("position-{}", port.positions.first()?),
        };
        let key = format!("{:04x}-{:04x}-{what}", usb.vid, usb.pid);
        Some(Seen { path: state.join("ports").join(crate::flash_cache::file_name(&key)) })
    }

    /// Who answered last.
    pub fn read(&self) -> Option<Identity> {
        serde_json::from_slice(&std::fs::read(&self.path).ok()?).ok()
    }

    /// Puts down who answered. The note is the old one or the new one, never half of it.
    pub fn write(&self, identity: &Identity) {
        let new = self.path.with_extension(format!("new-{}", std::process::id()));
        let written = (|| {
            std::fs::create_dir_all(self.path.parent().unwrap_or(Path::new(".")))?;
            std::fs::File::create(&new)?.write_all(&serde_json::to_vec(identity)?)?;
            std::fs::rename(&new, &self.path)
        })();
        if let Err(error) = written {
            tracing::warn!(path = %self.path.display(), %error, "the chip's note is not written");
            let _ = std::fs::remove_file(&new);
        }
    }

    /// Puts down who answered on a port.
    pub fn note(state: &Path, path: &Path, found: &[FoundPort], identity: &Identity) {
        let port = found.iter().find(|port| port.port == path);
        if let Some(seen) = port.and_then(|port| Seen::of(state, port, found)) {
            seen.write(identity);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::discover::Usb;

    #[test]
    fn a_chip_is_known_again_on_its_own_adapter_only() {
        let state = tempfile::tempdir().unwrap();
        let port = |serial: Option<&str>, position: Option<&str>| FoundPort {
            port: "/dev/ttyUSB0".into(),
            usb: Some(Usb {
                vid: 1,
                pid: 2,
                serial: serial.map(str::to_owned),
                product: None,
                interface: None,
            }),
            by_id: None,
            positions: position.map(str::to_owned).into_iter().collect(),
            no_access: None,
        };
        let of = |ports: &[FoundPort]| Seen::of(state.path(), &ports[0], ports);
        let alone = of(&[port(Some("../1"), Some("p"))]).unwrap();
        let identity = Identity { chip: "esp8266".into(), mac: hilrig_core::mac::Mac([1; 6]) };
        assert_eq!(alone.read(), None);
        alone.write(&identity);
        assert!(alone.path.starts_with(state.path().join("ports")), "{:?}", alone.path);
        // Plugged in elsewhere it is the same adapter.
        let moved = of(&[port(Some("../1"), Some("q")), port(Some("2"), None)]).unwrap();
        assert_eq!(moved.read(), Some(identity));
        std::fs::write(&alone.path, "{").unwrap();
        assert_eq!(alone.read(), None);
        let doubled = |position| of(&[port(Some("1"), Some(position)), port(Some("1"), None)]);
        assert_ne!(doubled("p").unwrap().path, doubled("q").unwrap().path);
        assert!(of(&[port(None, None)]).is_none());
    }
}
