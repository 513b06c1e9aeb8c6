//! Which build an ELF is of, by what it holds itself.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// What stands in front of the build id in the bytes of the bundled firmware, and of one that does
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
    pub fn of(elf: &[u8]) -> BuildIdentity {
        let mut builds = Vec::new();
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
        let mut sha256 = String::new();
        for byte in Sha256::digest(elf) {
            let _ = write!(sha256, "{byte:02x}");
        }
        BuildIdentity { builds, sha256 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_and_the_digest_are_found_in_the_bytes() {
        let found = BuildIdentity::of(b"\x7fELF..HILRIG_BUILD=0123456789abcdef\0..HILRIG_BUILD=0123456789abcdef\0HILRIG_BUILD=\0");
        assert_eq!(found.builds, ["0123456789abcdef"]);
        let empty = BuildIdentity::of(b"");
        assert!(empty.builds.is_empty() && empty.sha256.starts_with("e3b0c442"));
    }
}
