//! Debug probes that are attached.

use hilrig_core::text::printable;
use probe_rs::probe::list::{Accessibility, Lister};

use crate::identity::access::probe_help;

/// A debug probe. Its texts come from the device and are made printable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundProbe {
    /// What probe-rs calls it.
    pub name: String,
    /// Vendor id.
    pub vid: u16,
    /// Product id.
    pub pid: u16,
    /// Serial number.
    pub serial: Option<String>,
    /// Why this user cannot open it, and what to do.
    pub no_access: Option<String>,
}

impl FoundProbe {
    /// The key `probe` of the configuration: `VID:PID` or `VID:PID:SERIAL`.
    pub fn key(&self) -> String {
        let serial = self.serial.as_ref().map(|serial| format!(":{serial}")).unwrap_or_default();
        format!("{:04x}:{:04x}{serial}", self.vid, self.pid)
    }

    /// Whether the configuration's key matches this one.
    pub fn is_named(&self, key: &str) -> bool {
        let key = key.to_ascii_lowercase();
        let own = self.key().to_ascii_lowercase();
        own == key || own.strip_prefix(&key).is_some_and(|rest| rest.starts_with(':'))
    }
}

/// The attached debug probes, in a stable order.
pub fn probes() -> Vec<FoundProbe> {
    let mut found: Vec<FoundProbe> = Lister::new()
        .list_all_with_access()
        .into_iter()
        .map(|item| FoundProbe {
            name: printable(item.info.identifier.as_bytes()),
            vid: item.info.vendor_id,
            pid: item.info.product_id,
            serial: item.info.serial_number.map(|text| printable(text.as_bytes())),
            no_access: (item.accessibility == Accessibility::PermissionDenied)
                .then(|| probe_help(item.info.vendor_id, item.info.product_id)),
        })
        .collect();
    found.sort_by_key(FoundProbe::key);
    // One probe with several interfaces is one.
    found.dedup_by_key(|probe| probe.key());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_named_with_or_without_its_serial_number() {
        let probe = FoundProbe {
            name: "STLink V2-1".into(),
            vid: 0x0483,
            pid: 0x374b,
            serial: Some("0670FF49".into()),
            no_access: None,
        };
        assert_eq!(probe.key(), "0483:374b:0670FF49");
        for key in ["0483:374b", "0483:374B:0670FF49"] {
            assert!(probe.is_named(key), "{key}");
        }
        for key in ["0483:374", "0483:374b:0670", "0483:3748", ""] {
            assert!(!probe.is_named(key), "{key}");
        }
    }
}
