//! A virtual board's folder: its lock, its persistent state, its identity for the firmware.
//!
//! | File | What |
//! | --- | --- |
//! | `flash.bin` | the flash, 4 MiB, byte for byte |
//! | `board.json` | MAC address and how often the board was powered on |
//! | `identity.bin` | what the firmware reads from RTC memory: MAC address and a random seed |
//! | `lock` | locked while the board runs; has the process id |
//! | `control` | the control socket, while the board runs |
//! | `port` | a link to the serial port, while the board runs |

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use hilrig_core::mac::Mac;
use hilrig_file::WholeFile;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::VirtualError;

/// A board's persistent state, without its flash.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    mac: Mac,
    power_ons: u64,
}

/// A board's folder, locked by this process.
#[derive(Debug)]
pub struct StateDir {
    dir: PathBuf,
    record: Record,
    /// The lock, while it is open.
    _lock: File,
}

impl StateDir {
    /// Creates the folder where it is missing, locks it and reads the board's state. A new board has the given
    /// MAC, or one of the vendor `oui` that is derived from the seed; an old one keeps its own.
    pub fn open(
        dir: &Path,
        mac: Option<Mac>,
        oui: [u8; 3],
        seed: u64,
    ) -> Result<StateDir, VirtualError> {
        // QEMU and links use the folder from elsewhere.
        let dir = made(dir)?;
        only_files(&dir)?;
        let lock = take_lock(&dir)?;
        let path = dir.join("board.json");
        let known = match fs::read(&path) {
            Ok(json) => Some(serde_json::from_slice::<Record>(&json).map_err(|error| {
                VirtualError::Folder {
                    path: path.clone(),
                    found: error.to_string(),
                    help: "Delete it: the board then gets a new MAC address.",
                }
            })?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                return Err(VirtualError::io(format!("reading {}", path.display()))(error));
            }
        };
        let power_ons = known.as_ref().map_or(0, |known| known.power_ons);
        let mac = match (mac, known.map(|known| known.mac)) {
            (Some(given), Some(has)) if given != has => {
                return Err(VirtualError::OtherMac { dir, has, given });
            }
            (given, has) => has.or(given).unwrap_or_else(|| derived_mac(oui, seed)),
        };
        // The first byte's lowest bit marks an address of a group.
        if mac.0[0] & 1 != 0 || mac.0[..3] == [0; 3] {
            return Err(VirtualError::Mac(mac));
        }
        let state = StateDir { dir, record: Record { mac, power_ons }, _lock: lock };
        state.save()?;
        Ok(state)
    }

    /// The folder, absolute.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// The board's MAC address.
    pub fn mac(&self) -> Mac {
        self.record.mac
    }

    /// How often it was powered on.
    pub fn power_ons(&self) -> u64 {
        self.record.power_ons
    }

    /// Counts a power-on.
    pub fn count_power_on(&mut self) -> Result<(), VirtualError> {
        self.record.power_ons += 1;
        self.save()
    }

    /// Counts a power-on and writes its identity for the firmware, with a seed that is derived from the board's
    /// own and differs from those of earlier power-ons.
    pub fn power_on(&mut self, seed: u64) -> Result<PathBuf, VirtualError> {
        self.count_power_on()?;
        let path = self.dir.join("identity.bin");
        fs::write(&path, identity(self.record.mac, seed, self.record.power_ons))
            .map_err(VirtualError::io(format!("writing {}", path.display())))?;
        Ok(path)
    }

    fn save(&self) -> Result<(), VirtualError> {
        let path = self.dir.join("board.json");
        let json = serde_json::to_vec(&self.record).map_err(std::io::Error::from);
        json.and_then(|json| WholeFile::new(path.clone()).write(&json))
            .map_err(VirtualError::io(format!("writing {}", path.display())))
    }
}

/// The default seed of a board: each folder has its own, and it stays the same. Creates the folder where
/// it is missing.
pub fn seed_of(dir: &Path) -> Result<u64, VirtualError> {
    let dir = made(dir)?;
    let digest = Sha256::new().chain_update(b"state").chain_update(dir.as_os_str().as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest.finalize()[..8]);
    Ok(u64::from_le_bytes(first))
}

/// The folder, absolute and without links.
fn made(dir: &Path) -> Result<PathBuf, VirtualError> {
    fs::create_dir_all(dir)
        .map_err(VirtualError::io(format!("creating the folder {}", dir.display())))?;
    dir.canonicalize().map_err(VirtualError::io(format!("finding the folder {}", dir.display())))
}

/// The most that `board.json` has, bytes.
const MOST_JSON: u64 = 4096;

/// A board's state is in regular files: the open of a named pipe would wait for its other end.
fn only_files(dir: &Path) -> Result<(), VirtualError> {
    for name in ["board.json", "flash.bin", "identity.bin", "eeprom.bin", "lock"] {
        let path = dir.join(name);
        let Ok(meta) = path.metadata() else { continue };
        let found = match meta.is_file() {
            false => "it is no regular file".to_owned(),
            true if name == "board.json" && meta.len() > MOST_JSON => {
                format!("it has {} bytes, more than {MOST_JSON}", meta.len())
            }
            true => continue,
        };
        let help = "Delete it, or name another folder with --state.";
        return Err(VirtualError::Folder { path, found, help });
    }
    Ok(())
}

fn take_lock(dir: &Path) -> Result<File, VirtualError> {
    let path = dir.join("lock");
    let tried = || format!("locking {}", path.display());
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(VirtualError::io(tried()))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut text = String::new();
            let process = file.take(32).read_to_string(&mut text).ok();
            let process = process.and_then(|_| text.trim().parse().ok());
            return Err(VirtualError::Locked { dir: dir.into(), process });
        }
        Err(error) => return Err(VirtualError::errno(tried())(error)),
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(VirtualError::io(tried()))?;
    Ok(file)
}

/// The default MAC address of a board, derived from its seed.
fn derived_mac([a, b, c]: [u8; 3], seed: u64) -> Mac {
    let digest = Sha256::new().chain_update(b"mac").chain_update(seed.to_le_bytes()).finalize();
    Mac([a, b, c, digest[0], digest[1], digest[2]])
}

/// 64 bytes: `HRID`, the MAC address, 2 zeros, a seed of 32 bytes, zeros.
fn identity(mac: Mac, seed: u64, power_on: u64) -> [u8; 64] {
    let mut bytes = [0; 64];
    bytes[..4].copy_from_slice(b"HRID");
    bytes[4..10].copy_from_slice(&mac.0);
    let seed = Sha256::new()
        .chain_update(seed.to_le_bytes())
        .chain_update(power_on.to_le_bytes())
        .finalize();
    bytes[12..44].copy_from_slice(&seed);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUI: [u8; 3] = [0x18, 0xFE, 0x34];

    #[test]
    fn a_board_keeps_its_mac_and_no_two_power_ons_share_a_seed() {
        let dir = tempfile::tempdir().unwrap();
        let mut board = StateDir::open(dir.path(), None, OUI, 7).unwrap();
        let mac = board.mac();
        let first = fs::read(board.power_on(7).unwrap()).unwrap();
        drop(board);
        let mut board = StateDir::open(dir.path(), None, OUI, 8).unwrap();
        assert_eq!(board.mac(), mac);
        let second = fs::read(board.power_on(7).unwrap()).unwrap();
        assert_eq!(board.power_ons(), 2);
        assert_eq!((first.len(), &first[..4], &first[4..10]), (64, b"HRID".as_slice(), &mac.0[..]));
        assert_ne!(first[12..44], second[12..44]);
        drop(board);
        let error = StateDir::open(dir.path(), Some(Mac([2, 0, 0, 0, 0, 1])), OUI, 7).unwrap_err();
        assert!(error.to_string().contains(&format!("has the MAC address {mac}")), "{error}");
        assert_eq!(StateDir::open(dir.path(), Some(mac), OUI, 9).unwrap().mac(), mac);
    }

    #[test]
    fn each_folder_has_a_seed_of_its_own_that_stays() {
        let dir = tempfile::tempdir().unwrap();
        let seed = |name: &str| seed_of(&dir.path().join(name)).unwrap();
        let (a, b) = (seed("a"), seed("b"));
        assert_ne!(derived_mac(OUI, a), derived_mac(OUI, b));
        assert_eq!(seed("a"), a);
        // Another path of the same folder.
        std::os::unix::fs::symlink(dir.path().join("a"), dir.path().join("c")).unwrap();
        assert_eq!(seed("c"), a);
        assert_eq!(seed("./b/../a"), a);
    }

    #[test]
    fn a_new_board_has_the_mac_it_is_given_unless_it_is_none() {
        let dir = tempfile::tempdir().unwrap();
        for wrong in [[0xFF; 6], [0, 0, 0, 1, 2, 3]] {
            let error =
                StateDir::open(dir.path(), Some(Mac(wrong)), OUI, 7).unwrap_err().to_string();
            assert!(error.contains("vendor's prefix"), "{error}");
        }
        let given = Mac([2, 0, 0, 0, 0, 1]);
        assert_eq!(StateDir::open(dir.path(), Some(given), OUI, 7).unwrap().mac(), given);
    }

    #[test]
    fn the_second_process_sees_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let _first = StateDir::open(dir.path(), None, OUI, 1).unwrap();
        let error = StateDir::open(dir.path(), None, OUI, 1).unwrap_err().to_string();
        assert!(error.contains(&format!("as process {}.", std::process::id())), "{error}");
    }

    #[test]
    fn what_is_no_regular_file_is_refused_and_not_opened() {
        for name in ["board.json", "flash.bin", "lock"] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(name);
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            let fifo = rustix::fs::FileType::Fifo;
            rustix::fs::mknodat(rustix::fs::CWD, &path, fifo, mode, 0).unwrap();
            let error = StateDir::open(dir.path(), None, OUI, 1).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("no regular file"), "{error}");
        }
        let dir = tempfile::tempdir().unwrap();
        fs::File::create(dir.path().join("board.json")).unwrap().set_len(5 << 30).unwrap();
        let error = StateDir::open(dir.path(), None, OUI, 1).unwrap_err().to_string();
        assert!(error.contains("board.json") && error.contains("more than"), "{error}");
    }

    #[test]
    fn a_spoilt_record_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("board.json"), "{").unwrap();
        let error = StateDir::open(dir.path(), None, OUI, 1).unwrap_err().to_string();
        assert!(error.contains("board.json") && error.contains("Delete it"), "{error}");
    }
}
