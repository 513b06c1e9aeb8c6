//! Which build an ELF is of, by what it holds itself.

use std::fmt::Write as _;

use hilrig_core::text::printable;
use regex::bytes::Regex;
use sha2::{Digest, Sha256};

/// What comes before the build id in the bytes of the bundled firmware, and of one that does
/// as it does.
const MARK: &[u8] = b"HILRIG_BUILD=";
/// The longest id, bytes.
const LONGEST: usize = 64;
/// Ids of one file that are looked at.
const MOST: usize = 4;

/// What names the build of an ELF.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildIdentity {
    /// Build ids in the file: one, or none.
    pub builds: Vec<String>,
    /// SHA-256 of the file, hex. ESP-IDF prints its first digits.
    pub sha256: String,
}

impl BuildIdentity {
    /// That of an ELF. `in_image` finds its build ids (group 1), where the firmware's contract has such a pattern.
    pub fn of(elf: &[u8], in_image: Option<&Regex>) -> BuildIdentity {
        let mut builds = Vec::new();
        if let Some(in_image) = in_image {
            for id in in_image.captures_iter(elf).filter_map(|found| found.get(1)) {
                let id = printable(id.as_bytes());
                if !builds.contains(&id) && builds.len() < MOST {
                    builds.push(id);
                }
            }
            return BuildIdentity { builds, sha256: sha256(elf) };
        }
        for at in memchr::memmem::find_iter(elf, MARK) {
            let rest = &elf[at + MARK.len()..];
            let named =
                |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+');
            let end = rest.iter().take(LONGEST + 1).position(|b| !named(b)).unwrap_or(rest.len());
            let id = String::from_utf8_lossy(&rest[..end.min(LONGEST)]).into_owned();
            if (4..=LONGEST).contains(&end) && !builds.contains(&id) && builds.len() < MOST {
                builds.push(id);
            }
        }
        BuildIdentity { builds, sha256: sha256(elf) }
    }
}

fn sha256(elf: &[u8]) -> String {
    let mut digits = String::new();
    for byte in Sha256::digest(elf) {
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_and_the_digest_are_found_in_the_bytes() {
        let elf = b"\x7fELF..HILRIG_BUILD=0123456789abcdef\0..HILRIG_BUILD=0123456789abcdef\0HILRIG_BUILD=\0FW-12ab";
        let found = BuildIdentity::of(elf, None);
        assert_eq!(found.builds, ["0123456789abcdef"]);
        let own = Regex::new("FW-([0-9a-f]{4})").unwrap();
        assert_eq!(BuildIdentity::of(elf, Some(&own)).builds, ["12ab"]);
        let empty = BuildIdentity::of(b"", None);
        assert!(empty.builds.is_empty() && empty.sha256.starts_with("e3b0c442"));
    }
}
