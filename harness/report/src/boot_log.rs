//! A board's boot log: as it came, and with times for people.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use hilrig_core::board::ConsoleSink;
use hilrig_core::mask::Mask;
use hilrig_core::text::Secrets;

use crate::record::{BOOT_LOG, Record, TIMED_LOG};
use crate::reporters::ReporterFault;
use crate::timed::TimedPrinter;

/// The most that is kept of one log, bytes. A board that floods the line for hours must not fill
/// the bench's disk.
pub const KEPT_BYTES: u64 = 64 << 20;

/// Writes a board's boot logs, with secrets masked, as the bytes come. Nothing is buffered from
/// chunk to chunk but what could be the beginning of a secret or of a character, so that a run
/// that is killed leaves the log of all that it read.
pub struct BootLog {
    logs: Logs,
    mask: Mask,
    start: Instant,
    /// When the last chunk came, seconds from the start.
    last: f64,
    came: u64,
    fault: Option<ReporterFault>,
    finished: bool,
}

/// How long a boot log got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootLogSizes {
    /// Bytes that came from the board.
    pub came: u64,
    /// Bytes of these that the raw log holds.
    pub kept: u64,
}

impl BootLog {
    /// The logs of this board in the record. Times count from `start`, the run's.
    ///
    /// # Errors
    /// The board's folder or a file in it cannot be made, or is there already.
    pub fn create(
        record: &Record,
        board: &str,
        secrets: &Secrets,
        start: Instant,
    ) -> Result<BootLog, ReporterFault> {
        BootLog::create_bounded(record, board, secrets, start, KEPT_BYTES)
    }

    /// The same, with at most `most` bytes kept of each log.
    ///
    /// # Errors
    /// As [`BootLog::create`].
    pub fn create_bounded(
        record: &Record,
        board: &str,
        secrets: &Secrets,
        start: Instant,
        most: u64,
    ) -> Result<BootLog, ReporterFault> {
        let folder = record.board(board);
        std::fs::create_dir_all(&folder).map_err(|e| fault(&folder, &e))?;
        Ok(BootLog::to(
            BoundedFile::create(folder.join(BOOT_LOG), most)?,
            BoundedFile::create(folder.join(TIMED_LOG), most)?,
            secrets,
            start,
        ))
    }

    fn to(raw: BoundedFile, timed: BoundedFile, secrets: &Secrets, start: Instant) -> BootLog {
        BootLog {
            logs: Logs { raw, timed, printer: TimedPrinter::default(), text: Vec::new() },
            mask: Mask::new(secrets.clone()),
            start,
            last: 0.0,
            came: 0,
            fault: None,
            finished: false,
        }
    }

    /// What stopped the writing, if anything did. The board is still read then.
    pub fn fault(&self) -> Option<&ReporterFault> {
        self.fault.as_ref()
    }

    /// Ends both logs.
    ///
    /// # Errors
    /// A log could not be written whole.
    pub fn finish(mut self) -> Result<BootLogSizes, ReporterFault> {
        self.end();
        match self.fault.take() {
            Some(fault) => Err(fault),
            None => Ok(BootLogSizes { came: self.came, kept: self.logs.raw.kept }),
        }
    }

    fn end(&mut self) {
        if std::mem::replace(&mut self.finished, true) || self.fault.is_some() {
            return;
        }
        let rest = self.mask.finish();
        let mut ended = self.logs.write(self.last, &rest);
        if ended.is_ok() {
            ended = self.logs.end(self.last);
        }
        self.fault = ended.err();
    }
}

impl ConsoleSink for BootLog {
    fn chunk(&mut self, at: Instant, bytes: &[u8]) {
        self.came += bytes.len() as u64;
        self.last = at.saturating_duration_since(self.start).as_secs_f64();
        if self.fault.is_none()
            && let Err(fault) = self.logs.write(self.last, self.mask.feed(bytes))
        {
            tracing::warn!("{fault}");
            self.fault = Some(fault);
        }
    }

    fn fault(&self) -> Option<String> {
        self.fault.as_ref().map(ToString::to_string)
    }
}

impl Drop for BootLog {
    /// A run that ends early still leaves whole logs.
    fn drop(&mut self) {
        self.end();
    }
}

/// Both files of a board.
struct Logs {
    raw: BoundedFile,
    timed: BoundedFile,
    printer: TimedPrinter,
    text: Vec<u8>,
}

impl Logs {
    fn write(&mut self, seconds: f64, bytes: &[u8]) -> Result<(), ReporterFault> {
        self.raw.write(bytes)?;
        if self.timed.lost > 0 {
            // What is not kept need not be made printable either: a flood stays cheap.
            self.timed.lost += bytes.len() as u64;
            return Ok(());
        }
        self.text.clear();
        self.printer.feed(seconds, bytes, &mut self.text);
        self.timed.write(&self.text)
    }

    fn end(&mut self, seconds: f64) -> Result<(), ReporterFault> {
        self.text.clear();
        self.printer.finish(seconds, &mut self.text);
        if self.timed.lost == 0 {
            self.timed.write(&self.text)?;
        }
        self.raw.end()?;
        self.timed.end()
    }
}

/// A file of which so much is kept.
struct BoundedFile {
    path: PathBuf,
    out: Box<dyn Write + Send>,
    kept: u64,
    most: u64,
    lost: u64,
}

impl BoundedFile {
    fn create(path: PathBuf, most: u64) -> Result<BoundedFile, ReporterFault> {
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let out: Box<dyn Write + Send> = Box::new(file.map_err(|e| fault(&path, &e))?);
        Ok(BoundedFile { path, out, kept: 0, most, lost: 0 })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), ReporterFault> {
        let room = usize::try_from(self.most - self.kept).unwrap_or(usize::MAX);
        let (bytes, lost) = bytes.split_at(bytes.len().min(room));
        self.lost += lost.len() as u64;
        if bytes.is_empty() {
            return Ok(());
        }
        self.out.write_all(bytes).map_err(|e| fault(&self.path, &e))?;
        self.kept += bytes.len() as u64;
        Ok(())
    }

    /// Notes how much is missing, if anything is.
    fn end(&mut self) -> Result<(), ReporterFault> {
        let BoundedFile { lost, most, .. } = *self;
        if lost > 0 {
            let last = format!("\n[hilrig: {lost} bytes more are not kept, {most} are the most]\n");
            self.out.write_all(last.as_bytes()).map_err(|e| fault(&self.path, &e))?;
        }
        Ok(())
    }
}

fn fault(path: &Path, error: &io::Error) -> ReporterFault {
    ReporterFault { reporter: path.display().to_string(), found: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn logs(most: u64, secrets: &[&str], chunks: &[&[u8]]) -> (String, String, BootLogSizes) {
        let dir = tempfile::tempdir().unwrap();
        let record = Record::create(dir.path(), "run").unwrap();
        let secrets = Secrets::new(secrets.iter().map(|s| (*s).to_owned()));
        let start = Instant::now();
        let mut log = BootLog::create_bounded(&record, "v/1", &secrets, start, most).unwrap();
        for (n, chunk) in chunks.iter().enumerate() {
            log.chunk(start + Duration::from_millis(100 * n as u64), chunk);
        }
        let sizes = log.finish().unwrap();
        let read = |name| {
            let bytes = std::fs::read(record.board("v/1").join(name)).unwrap();
            String::from_utf8(bytes).unwrap()
        };
        (read(BOOT_LOG), read(TIMED_LOG), sizes)
    }

    #[test]
    fn both_logs_hold_what_came_and_neither_holds_a_secret() {
        let chunks: [&[u8]; 3] = [b"\x1b[2Jpsk hun", b"ter2\r\n", b"up\r\n"];
        let (raw, timed, sizes) = logs(KEPT_BYTES, &["hunter2"], &chunks);
        assert_eq!(raw, "\x1b[2Jpsk *******\r\nup\r\n");
        assert_eq!(timed, "[   0.000000] \\x1b[2Jpsk *******\n[   0.200000] up\n");
        assert_eq!(sizes, BootLogSizes { came: 21, kept: 21 });
    }

    #[test]
    fn a_flood_is_bounded_and_the_log_notes_what_it_lacks() {
        let flood = [b'x'; 1000];
        let (raw, timed, sizes) = logs(1500, &[], &[&flood, &flood, &flood]);
        assert_eq!(
            raw.len(),
            1500 + "\n[hilrig: 1500 bytes more are not kept, 1500 are the most]\n".len()
        );
        assert!(raw.ends_with("\n[hilrig: 1500 bytes more are not kept, 1500 are the most]\n"));
        assert!(timed.ends_with("bytes more are not kept, 1500 are the most]\n"), "{timed}");
        assert_eq!(sizes, BootLogSizes { came: 3000, kept: 1500 });
    }

    #[test]
    fn what_was_read_is_in_the_file_before_the_log_ends() {
        let dir = tempfile::tempdir().unwrap();
        let record = Record::create(dir.path(), "run").unwrap();
        let start = Instant::now();
        let mut log = BootLog::create(&record, "v1", &Secrets::default(), start).unwrap();
        log.chunk(start, b"prompt> ");
        assert_eq!(std::fs::read(record.board("v1").join(BOOT_LOG)).unwrap(), b"prompt> ");
        assert_eq!(
            std::fs::read(record.board("v1").join(TIMED_LOG)).unwrap(),
            b"[   0.000000] prompt> "
        );
        drop(log);
        assert!(std::fs::read(record.board("v1").join(TIMED_LOG)).unwrap().ends_with(b"\n"));
        let again = BootLog::create(&record, "v1", &Secrets::default(), start);
        assert!(again.is_err_and(|e| e.reporter.ends_with(BOOT_LOG)));
    }

    #[test]
    fn a_full_disk_is_remembered_and_the_board_is_still_read() {
        let full = || {
            let path = PathBuf::from("/dev/full");
            let out = Box::new(OpenOptions::new().write(true).open(&path).unwrap());
            BoundedFile { path, out, kept: 0, most: KEPT_BYTES, lost: 0 }
        };
        let start = Instant::now();
        let mut log = BootLog::to(full(), full(), &Secrets::default(), start);
        log.chunk(start, b"a\n");
        log.chunk(start, b"b\n");
        let fault = log.fault().unwrap().to_string();
        assert!(fault.starts_with("writing /dev/full: No space left on device"), "{fault}");
        assert_eq!(log.came, 4);
        assert!(log.finish().is_err());
    }
}
