//! QEMU for this board: its arguments, and the EEPROM with the firmware's settings.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use hilrig_core::mac::Mac;
use hilrig_file::WholeFile;
use sha2::{Digest, Sha512};

use crate::error::VirtualError;
use crate::process::{Launch, NotStarted, QemuProcess, chardev, nic, with_path};

/// An AT24C128, bytes.
const EEPROM_SIZE: usize = 16 * 1024;
/// Where the firmware reads its random seed of 64 bytes; the machine has no entropy of its own.
const EEPROM_SEED: usize = 8192;

/// What QEMU needs at power-on.
#[derive(Clone, Copy, Debug)]
pub struct ArmMachine<'a> {
    /// The QEMU to run.
    pub qemu: &'a Path,
    /// The board's folder, for messages.
    pub dir: &'a Path,
    /// 256 KiB.
    pub flash: &'a Path,
    /// 16 KiB.
    pub eeprom: &'a Path,
    /// The chip's MAC address.
    pub mac: Mac,
    /// Address of the board's web server.
    pub http: SocketAddr,
}

/// A running QEMU with a stopped CPU, and the sockets for a probe.
#[derive(Debug)]
pub struct Started {
    /// The process.
    pub process: QemuProcess,
    /// To its gdbstub.
    pub gdb: UnixStream,
    /// To its qtest server.
    pub qtest: UnixStream,
}

/// Powers the board on. Returns when QEMU has created the machine.
pub async fn start(machine: &ArmMachine<'_>) -> Result<Started, NotStarted> {
    let tried = || VirtualError::io(format!("making sockets for {}", machine.qemu.display()));
    let (gdb, gdb_theirs) = UnixStream::pair().map_err(tried())?;
    let (qtest, qtest_theirs) = UnixStream::pair().map_err(tried())?;
    let eeprom = "at24c-eeprom,bus=i2c,address=0x50,drive=eeprom,rom-size=";
    let options: [(&str, OsString); 11] = [
        ("-M", "lm3s6965evb".into()),
        // Nothing reads the UART, and an unread one would stop the board.
        ("-serial", "null".into()),
        ("-chardev", chardev("gdb", gdb_theirs.as_fd()).into()),
        ("-gdb", "chardev:gdb".into()),
        ("-chardev", chardev("qtest", qtest_theirs.as_fd()).into()),
        ("-qtest", "chardev:qtest".into()),
        ("-qtest-log", "none".into()),
        ("-nic", format!("{},mac={}", nic(machine.http), machine.mac).into()),
        ("-drive", with_path("if=none,id=eeprom,format=raw,file=", machine.eeprom, "")),
        ("-device", format!("{eeprom}{EEPROM_SIZE}").into()),
        // Not by `-kernel`, which needs an image: a blank flash is none.
        ("-device", with_path("loader,force-raw=on,addr=0,file=", machine.flash, "")),
    ];
    let mut arguments = vec!["-S".into()];
    for (option, value) in options {
        arguments.extend([option.into(), value]);
    }
    let process = QemuProcess::start(Launch {
        qemu: machine.qemu,
        dir: machine.dir,
        arguments,
        inherited: vec![gdb_theirs.into(), qtest_theirs.into()],
        serial: None,
    });
    Ok(Started { process: process.await?, gdb, qtest })
}

/// The EEPROM's file; a new one is blank except for the seed of the firmware's random numbers. The firmware
/// replaces it by the next seed, so that each start has another one.
pub fn eeprom(dir: &Path, mac: Mac, seed: u64) -> Result<PathBuf, VirtualError> {
    let path = dir.join("eeprom.bin");
    let tried = || VirtualError::io(format!("making {}", path.display()));
    match std::fs::metadata(&path) {
        Ok(file) if file.len() == EEPROM_SIZE as u64 => return Ok(path),
        Ok(file) => {
            return Err(VirtualError::Folder {
                path,
                found: format!(
                    "an EEPROM of {} bytes, where the board has {EEPROM_SIZE}",
                    file.len()
                ),
                help: "Delete it: the board then starts with its default settings.",
            });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(tried()(error)),
    }
    let mut bytes = vec![0xFF; EEPROM_SIZE];
    let random = Sha512::new()
        .chain_update(b"eeprom")
        .chain_update(mac.0)
        .chain_update(seed.to_le_bytes())
        .finalize();
    bytes[EEPROM_SEED..EEPROM_SEED + random.len()].copy_from_slice(&random);
    WholeFile::new(path.clone()).write(&bytes).map_err(tried())?;
    Ok(path)
}
