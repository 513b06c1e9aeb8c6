//! `events.jsonl`: one event a line, and the way back.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write};
use std::path::{Path, PathBuf};

use hilrig_core::event::{Event, SCHEMA, What};
use hilrig_core::text::{plain_json, printable};

use crate::reporters::Reporter;

/// The longest line that is read, bytes: the certificate of a whole matrix has a tenth of it.
const LINE_MOST: u64 = 16 << 20;

/// Writes events as they come. Each line goes out in one write, so that a run that is killed
/// leaves whole lines.
pub struct EventsFile<W: Write + Send = File> {
    name: String,
    out: W,
    line: Vec<u8>,
}

impl EventsFile {
    /// A new file.
    ///
    /// # Errors
    /// There is one of this name, or none can be made.
    pub fn create(path: &Path) -> io::Result<EventsFile> {
        let out = OpenOptions::new().append(true).create_new(true).open(path)?;
        Ok(EventsFile::to(path.display().to_string(), out))
    }
}

impl<W: Write + Send> EventsFile<W> {
    /// Writes to `out`, which is called `name` in messages and must not buffer.
    pub fn to(name: impl Into<String>, out: W) -> EventsFile<W> {
        EventsFile { name: name.into(), out, line: Vec::new() }
    }
}

impl<W: Write + Send> Reporter for EventsFile<W> {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, event)?;
        if !self.line.is_ascii() {
            let plain = plain_json(&String::from_utf8_lossy(&self.line)).into_owned();
            self.line = plain.into_bytes();
        }
        self.line.push(b'\n');
        self.out.write_all(&self.line)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A stream that was read back.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The events, in their order.
    pub events: Vec<Event>,
    /// The last line, where it is torn: the run was killed in the middle of writing it, or the
    /// disk was full.
    pub torn: Option<Torn>,
}

/// A last line that is not whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// Its number, counted from 1.
    pub line: usize,
    /// What there is of it, as printable text.
    pub text: String,
}

/// A recorded stream cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("reading {}: {error}. Name the events.jsonl of a run's record", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What came instead.
        error: io::Error,
    },
    /// A line that is not the last is no event.
    #[error("{} line {line} is no event: {error}. The file was changed, or is no events.jsonl", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line's number, counted from 1.
        line: usize,
        /// What is wrong with it.
        error: serde_json::Error,
    },
    /// The stream was written by a newer hilrig.
    #[error(
        "{} has events of schema {found}, and this hilrig reads {SCHEMA}. Read it with the version that wrote it, or a later one",
        path.display()
    )]
    Schema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u32,
    },
}

/// Reads a recorded stream.
///
/// # Errors
/// The file cannot be read, is of a newer schema, or a line other than a torn last one is no event.
pub fn read_events(path: &Path) -> Result<Recorded, ReadError> {
    let mut events = Vec::new();
    let torn = for_each_event(path, |event| events.push(event))?;
    Ok(Recorded { events, torn })
}

/// Reads a recorded stream event by event: that of a long run is larger than its summary. Gives the
/// last line where it is torn.
///
/// # Errors
/// As [`read_events`].
pub fn for_each_event(path: &Path, mut take: impl FnMut(Event)) -> Result<Option<Torn>, ReadError> {
    let failed = |error| ReadError::File { path: path.into(), error };
    let mut input = BufReader::new(crate::input::open(path, u64::MAX).map_err(failed)?);
    let mut torn = None;
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        if (&mut input).take(LINE_MOST + 1).read_until(b'\n', &mut text).map_err(failed)? == 0 {
            break;
        }
        if text.len() as u64 > LINE_MOST {
            let found = format!("line {line} is longer than {LINE_MOST} bytes, and no event is");
            return Err(failed(io::Error::new(io::ErrorKind::InvalidData, found)));
        }
        match serde_json::from_slice::<Event>(&text) {
            Ok(event) => {
                if let What::RunStarted(run) = &event.what
                    && run.schema > SCHEMA
                {
                    return Err(ReadError::Schema { path: path.into(), found: run.schema });
                }
                take(event);
            }
            // Only what has no line end can be torn: each line is written in one piece.
            Err(_) if !text.ends_with(b"\n") => {
                torn = Some(Torn { line, text: printable(&text) });
            }
            Err(error) => return Err(ReadError::Line { path: path.into(), line, error }),
        }
    }
    Ok(torn)
}
