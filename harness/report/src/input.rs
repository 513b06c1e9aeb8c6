//! Reading a file that a user names.
//!
//! What is there under the name may be anything: a named pipe without a writer, a device that never
//! ends, a sparse file of gigabytes. So nothing is opened in a way that waits, only regular files are
//! read, and each input has a size that no such file exceeds.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;

/// The most of a text that a person writes: a configuration, a contract, a baseline, a password.
pub const TEXT_MOST: u64 = 1 << 20;
/// The most of an image. An ELF file with debug information is one, too.
pub const IMAGE_MOST: u64 = 512 << 20;

/// How long a pipe that has a writer may take to be written.
const PIPE: Duration = Duration::from_secs(10);

/// Opens a regular file of at most `most` bytes. This does not wait.
///
/// # Errors
/// There is none, it is no regular file, or it is larger.
pub fn open(path: &Path, most: u64) -> io::Result<File> {
    let (file, metadata) = open_any(path)?;
    if !metadata.is_file() {
        return Err(wrong(format!("it is {}, and not a regular file", what(&metadata))));
    }
    fits(metadata.len(), most)?;
    Ok(file)
}

/// Reads such a file.
///
/// # Errors
/// As [`open`], or reading fails.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    bounded(open(path, most)?, most)
}

/// Reads such a file as text.
///
/// # Errors
/// As [`read`], or it is no UTF-8.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    text(read(path, most)?)
}

/// Reads such a file or what is written into a pipe (`/dev/stdin`, `<(command)`), within a deadline.
///
/// # Errors
/// As [`read`], or there is no writer.
pub fn read_or_pipe(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let (mut file, metadata) = open_any(path)?;
    if !metadata.file_type().is_fifo() {
        drop(file);
        return read(path, most);
    }
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    let end = Instant::now() + PIPE;
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(bytes),
            Ok(n) => bytes.extend_from_slice(&chunk[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let left = end.saturating_duration_since(Instant::now());
                let mut waits = [PollFd::from_borrowed_fd(file.as_fd(), PollFlags::IN)];
                let left = Timespec::try_from(left).map_err(io::Error::other)?;
                if poll(&mut waits, Some(&left))? == 0 {
                    let message =
                        format!("nothing was written into the pipe within {} s", PIPE.as_secs());
                    return Err(io::Error::new(io::ErrorKind::TimedOut, message));
                }
            }
            Err(error) => return Err(error),
        }
        fits(bytes.len() as u64, most)?;
    }
}

/// What is under the name is a regular file, or nothing at all.
///
/// # Errors
/// It is something else.
pub fn regular_or_none(path: &Path) -> io::Result<()> {
    match std::fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => {
            Err(wrong(format!("it is {}, and not a regular file", what(&metadata))))
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn open_any(path: &Path) -> io::Result<(File, Metadata)> {
    // Looked at first: opening a device can do something (a tape winds, a modem's line drops).
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() && !metadata.file_type().is_fifo() {
        return Err(wrong(format!("it is {}, and not a regular file", what(&metadata))));
    }
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)?;
    // What was opened counts, whatever was there before.
    let metadata = file.metadata()?;
    Ok((file, metadata))
}

fn bounded(file: File, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    fits(bytes.len() as u64, most)?;
    Ok(bytes)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        wrong(format!("it is no UTF-8 text (byte {} is none)", at + 1))
    })
}

fn fits(size: u64, most: u64) -> io::Result<()> {
    match size > most {
        true => Err(wrong(format!("it is larger than {most} bytes, the most that is read of one"))),
        false => Ok(()),
    }
}

fn wrong(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

fn what(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    match () {
        () if kind.is_dir() => "a folder",
        () if kind.is_fifo() => "a named pipe",
        () if kind.is_socket() => "a socket",
        () if kind.is_char_device() || kind.is_block_device() => "a device",
        () => "something else",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn refused(path: &Path) -> String {
        read(path, 100).unwrap_err().to_string()
    }

    fn pipe(path: &Path) {
        rustix::fs::mkfifoat(
            rustix::fs::CWD,
            path,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        )
        .unwrap();
    }

    #[test]
    fn only_a_regular_file_of_a_bounded_size_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "x").unwrap();
        assert_eq!(read(&path, 1).unwrap(), b"x");
        assert_eq!(read(&path, 0).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert!(refused(folder.path()).contains("a folder"));
        assert!(refused(Path::new("/dev/zero")).contains("a device"));
        assert_eq!(read(&folder.path().join("no"), 1).unwrap_err().kind(), io::ErrorKind::NotFound);
        let socket = folder.path().join("socket");
        let _listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(refused(&socket).contains("a socket"));
        let fifo = folder.path().join("pipe");
        pipe(&fifo);
        assert!(refused(&fifo).contains("a named pipe"));
        assert!(regular_or_none(&fifo).is_err() && regular_or_none(&path).is_ok());
        File::create(&path).unwrap().set_len(5 << 30).unwrap();
        assert!(refused(&path).contains("larger than 100 bytes"));
        std::fs::write(&path, b"ab\xff").unwrap();
        assert!(read_text(&path, 9).unwrap_err().to_string().contains("byte 3"));
    }

    #[test]
    fn a_file_that_has_no_size_is_read_and_bounded() {
        let status = Path::new("/proc/self/status");
        assert!(!read(status, 1 << 20).unwrap().is_empty());
        assert!(refused(status).contains("larger than 100 bytes"));
    }

    #[test]
    fn a_pipe_is_read_where_it_may_be_one_and_without_a_writer_it_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("pipe");
        pipe(&fifo);
        assert!(read_or_pipe(&fifo, 100).unwrap().is_empty());
        // Opened for both, so that this side does not wait either.
        let mut writer = OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
        let path = fifo.clone();
        let reader = std::thread::spawn(move || read_or_pipe(&path, 100));
        writer.write_all(b"secret\n").unwrap();
        // It ends for the reader when the last writer is gone; what is written stays until it is read.
        while !reader.is_finished() {
            match rustix::io::ioctl_fionread(&writer).unwrap() {
                0 => break,
                _ => std::thread::yield_now(),
            }
        }
        drop(writer);
        assert_eq!(reader.join().unwrap().unwrap(), b"secret\n");
        let mut writer = OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
        writer.write_all(&[b'x'; 200]).unwrap();
        assert!(read_or_pipe(&fifo, 100).unwrap_err().to_string().contains("larger than 100"));
    }
}
