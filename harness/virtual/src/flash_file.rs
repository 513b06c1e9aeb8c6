//! The flash as a file, which the loader writes and QEMU boots from.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use hilrig_file::WholeFile;

use crate::chip::{Nor, SECTOR};
use crate::error::VirtualError;

/// Erased flash, as much as one write erases.
static ERASED: [u8; 64 * 1024] = [0xFF; 64 * 1024];

/// The flash file. Writes survive the process, not the machine: nothing is synced to the disk.
#[derive(Debug)]
pub struct FlashFile {
    file: File,
    path: PathBuf,
}

impl FlashFile {
    /// Opens the file, or creates an erased one of `size` bytes.
    pub fn open(path: &Path, size: u32) -> Result<FlashFile, VirtualError> {
        let tried = || format!("opening the flash file {}", path.display());
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => WholeFile::new(path.into())
                .write_with(|file| erase(file, 0, u64::from(size)))
                .map_err(VirtualError::io(tried()))?,
            Err(error) => return Err(VirtualError::io(tried())(error)),
        };
        let length = file.metadata().map_err(VirtualError::io(tried()))?.len();
        if length != u64::from(size) {
            return Err(VirtualError::Folder {
                path: path.into(),
                found: format!("a flash of {length} bytes, where the board has {size}"),
                help: "Delete it: the board then starts with an erased flash.",
            });
        }
        Ok(FlashFile { file, path: path.into() })
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes data, without regard to the previous contents.
    pub fn write(&self, address: u32, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, u64::from(address)).map_err(|error| self.logged(error))
    }

    /// Whether the flash is blank where the ROM expects an image.
    pub fn is_blank(&self) -> io::Result<bool> {
        let mut header = [0; 8];
        self.file.read_exact_at(&mut header, 0)?;
        Ok(header == [0xFF; 8])
    }
}

fn erase(file: &File, mut at: u64, end: u64) -> io::Result<()> {
    while at < end {
        let length = (end - at).min(ERASED.len() as u64);
        file.write_all_at(&ERASED[..length as usize], at)?;
        at += length;
    }
    Ok(())
}

impl Nor for FlashFile {
    fn erase(&mut self, sectors: Range<u32>) -> io::Result<()> {
        let byte = |sector: u32| u64::from(sector) * u64::from(SECTOR);
        erase(&self.file, byte(sectors.start), byte(sectors.end))
            .map_err(|error| self.logged(error))
    }

    fn program(&mut self, address: u32, data: &[u8]) -> io::Result<()> {
        let mut old = [0; SECTOR as usize];
        let mut at = u64::from(address);
        for piece in data.chunks(old.len()) {
            let old = &mut old[..piece.len()];
            self.file
                .read_exact_at(old, at)
                .and_then(|()| {
                    for (old, new) in old.iter_mut().zip(piece) {
                        *old &= new;
                    }
                    self.file.write_all_at(old, at)
                })
                .map_err(|error| self.logged(error))?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    fn read(&self, address: u32, data: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(data, u64::from(address)).map_err(|error| self.logged(error))
    }
}

impl FlashFile {
    /// The client only gets the ROM's error code, so the reason is logged here.
    fn logged(&self, error: io::Error) -> io::Error {
        tracing::error!(file = %self.path.display(), %error, "the flash file failed");
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_flash_is_erased_and_behaves_like_nor() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("flash.bin");
        let mut flash = FlashFile::open(&path, 1 << 20).unwrap();
        assert!(flash.is_blank().unwrap());
        assert!(std::fs::read(&path).unwrap().iter().all(|byte| *byte == 0xFF));
        flash.program(4090, &[0xF0; 12]).unwrap();
        flash.program(4090, &[0x3C; 12]).unwrap();
        let mut read = [0; 14];
        flash.read(4089, &mut read).unwrap();
        assert_eq!(read, [0xFF, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 0xFF]);
        flash.program(0, &[0xE9]).unwrap();
        drop(flash);
        let mut flash = FlashFile::open(&path, 1 << 20).unwrap();
        assert!(!flash.is_blank().unwrap());
        flash.erase(0..2).unwrap();
        assert!(flash.is_blank().unwrap());
        assert!(std::fs::read(&path).unwrap().iter().all(|byte| *byte == 0xFF));
    }

    #[test]
    fn a_file_of_another_size_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("flash.bin");
        std::fs::write(&path, b"short").unwrap();
        let error = FlashFile::open(&path, 1 << 20).unwrap_err().to_string();
        assert!(error.contains("5 bytes") && error.contains("1048576"), "{error}");
    }
}
