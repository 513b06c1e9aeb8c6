//! Which chip answered on which adapter, kept from run to run, so that a board is recognized without
//! a reset. It is only a hint: flashing always asks the chip.

use std::path::{Path, PathBuf};

use hilrig_file::WholeFile;

use crate::esp::identify::ChipIdentity;
use crate::identity::discover::{FoundPort, has_alone};

/// The entry of one adapter at one position.
#[derive(Debug)]
pub struct PortCache {
    path: PathBuf,
}

impl PortCache {
    /// The entry of a port, one of those in `found`, under the folder `state`. The key is the adapter's
    /// serial number, or its position where several or none have that; none where there is neither.
    pub fn of(state: &Path, port: &FoundPort, found: &[FoundPort]) -> Option<PortCache> {
        let usb = port.usb.as_ref()?;
        let what = match usb.serial.as_ref().filter(|serial| has_alone(found, serial)) {
            Some(serial) => format!("serial-{serial}"),
            None => format!("position-{}", port.positions.first()?),
        };
        let key = format!("{:04x}-{:04x}-{what}", usb.vid, usb.pid);
        Some(PortCache { path: state.join("ports").join(crate::flash_cache::file_name(&key)) })
    }

    /// The chip that answered last.
    pub fn read(&self) -> Option<ChipIdentity> {
        serde_json::from_slice(&std::fs::read(&self.path).ok()?).ok()
    }

    /// Stores the chip that answered.
    pub fn write(&self, identity: &ChipIdentity) {
        let written = (|| {
            std::fs::create_dir_all(self.path.parent().unwrap_or(Path::new(".")))?;
            WholeFile::new(self.path.clone()).write(&serde_json::to_vec(identity)?)
        })();
        if let Err(error) = written {
            tracing::warn!(path = %self.path.display(), %error, "cannot write the cache of chips by port");
        }
    }

    /// Stores the chip that answered on a port.
    pub fn note(state: &Path, path: &Path, found: &[FoundPort], identity: &ChipIdentity) {
        let port = found.iter().find(|port| port.port == path);
        if let Some(seen) = port.and_then(|port| PortCache::of(state, port, found)) {
            seen.write(identity);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::usb::Usb;

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
        let of = |ports: &[FoundPort]| PortCache::of(state.path(), &ports[0], ports);
        let alone = of(&[port(Some("../1"), Some("p"))]).unwrap();
        let identity = ChipIdentity { chip: "esp8266".into(), mac: hilrig_core::mac::Mac([1; 6]) };
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
