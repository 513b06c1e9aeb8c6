//! `hilrig decode`.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use hilrig::load;
use hilrig_core::crash::Crash;
use hilrig_core::exit;
use hilrig_core::plural::counted;
use hilrig_decode::{Decoder, Finding, Firmware, Kind, LoopRule};
use regex::Regex;
use serde::Serialize;

use crate::args;
use crate::error::{Failure, print};

/// Version of the JSON lines.
const SCHEMA: u32 = 1;

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;

/// Decodes a recorded log.
pub fn decode(args: &args::Decode) -> Result<u8, Failure> {
    let firmware = args.elf.as_deref().map(load::firmware).transpose()?;
    let mut log = open(&args.log)?;
    let mut decoder = Decoder::new(rule(args.up.as_deref())?);
    let mut shown = Shown { firmware, json: args.json, starts: 0, told: 0, failed: None };
    let mut chunk = vec![0; CHUNK];
    while shown.failed.is_none() {
        match log.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => decoder.feed(&chunk[..n], |finding| shown.finding(&finding)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable("log", &args.log, &error)),
        }
    }
    let lines = decoder.finish(|finding| shown.finding(&finding));
    shown.end(lines)
}

fn rule(up: Option<&str>) -> Result<LoopRule, Failure> {
    let rule = LoopRule::default();
    match up {
        None => Ok(rule),
        Some(up) => Regex::new(up)
            .map(|up| LoopRule { up, ..rule })
            .map_err(|error| Failure::usage(format!("--up is no regular expression: {error}"))),
    }
}

fn open(log: &Path) -> Result<Box<dyn Read>, Failure> {
    if log == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    match File::open(log) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => Err(unreadable("log", log, &error)),
    }
}

fn unreadable(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("reading the {what} {}: {error}", path.display()))
}

/// A line of the JSON form (docs/reference/decode.md).
#[derive(Serialize)]
struct Line<'a> {
    schema: u32,
    #[serde(flatten)]
    crash: &'a Crash,
}

struct Shown {
    firmware: Option<Firmware>,
    json: bool,
    starts: u64,
    told: u64,
    /// Why the output ended early, if it did.
    failed: Option<Failure>,
}

impl Shown {
    fn finding(&mut self, finding: &Finding) {
        let is_start = finding.kind == Kind::Start;
        self.starts += u64::from(is_start);
        self.told += u64::from(!is_start);
        if self.failed.is_some() || (is_start && !self.json) {
            return;
        }
        let crash = finding.decoded(self.firmware.as_ref());
        let text = match self.json {
            true => {
                let line = Line { schema: SCHEMA, crash: &crash };
                serde_json::to_string(&line).map(|line| line + "\n").map_err(Failure::internal)
            }
            false => Ok(format!("{crash}\n")),
        };
        self.say(text);
    }

    fn say(&mut self, text: Result<String, Failure>) {
        self.failed = text.and_then(|text| print(&text)).err();
    }

    fn end(mut self, lines: u64) -> Result<u8, Failure> {
        if !self.json && self.failed.is_none() {
            let starts = match self.starts {
                0 => String::new(),
                1 => ", 1 start".to_owned(),
                n => format!(", {n} starts"),
            };
            let told = match self.told {
                0 => "no crash found".to_owned(),
                1 => "1 finding".to_owned(),
                n => format!("{n} findings"),
            };
            self.say(Ok(format!("{told} in {}{starts}\n", counted(lines, "line"))));
        }
        self.failed.map_or(Ok(exit::PASSED), Err)
    }
}
