//! Which chip answered on which adapter, kept from run to run: to know a board again without
//! resetting it is worth a note, and never more than that. Who flashes asks the chip.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::ask::Identity;
use crate::discover::FoundPort;

/// The note of one adapter at one place.
#[derive(Debug)]
pub struct Seen {
    path: PathBuf,
}

impl Seen {
    /// The note of a port under the folder `state`; none for a port that nothing tells from the
    /// next one plugged in.
    pub fn of(state: &Path, port: &FoundPort) -> Option<Seen> {
        let usb = port.usb.as_ref()?;
        let position = port.positions.first();
        if usb.serial.is_none() && position.is_none() {
            return None;
        }
        let text = |value: Option<&String>| value.map_or("", String::as_str).to_owned();
        let (serial, position) = (text(usb.serial.as_ref()), text(position));
        let key = format!("{:04x}-{:04x}-{serial}-{position}", usb.vid, usb.pid);
        Some(Seen { path: state.join("ports").join(crate::record::file_name(&key)) })
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
        if let Some(seen) = port.and_then(|port| Seen::of(state, port)) {
            seen.write(identity);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::Usb;

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
        let one = Seen::of(state.path(), &port(Some("../1"), Some("p"))).unwrap();
        let identity = Identity { chip: "esp8266".into(), mac: hilrig_core::mac::Mac([1; 6]) };
        assert_eq!(one.read(), None);
        one.write(&identity);
        assert_eq!(one.read(), Some(identity));
        assert!(one.path.starts_with(state.path().join("ports")), "{:?}", one.path);
        std::fs::write(&one.path, "{").unwrap();
        assert_eq!(one.read(), None);
        let other = Seen::of(state.path(), &port(Some("../1"), Some("q"))).unwrap();
        assert_ne!(one.path, other.path);
        assert!(Seen::of(state.path(), &port(None, None)).is_none());
    }
}
