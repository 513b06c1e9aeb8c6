//! `hilrig decode`.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use hilrig::load;
use hilrig_core::contract::Contract;
use hilrig_core::crash::Crash;
use hilrig_core::exit;
use hilrig_core::plural::counted;
use hilrig_decode::{Decoder, Finding, Firmware, Kind, LoopRule};
use hilrig_report::input;
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
    let contract = args.contract.as_deref().map(contract).transpose()?;
    let build = contract.as_ref().and_then(|contract| contract.build.as_ref());
    let in_image = build.map(|build| &build.in_image);
    let firmware = args.elf.as_deref().map(|elf| load::firmware_by(elf, in_image)).transpose()?;
    let mut log = open(&args.log)?;
    let mut decoder = Decoder::new(rule(args.up.as_deref(), contract.as_ref())?);
    if let Some(build) = build {
        decoder = decoder.with_build(build.in_log.clone());
    }
    // A board that crashes early prints its build at the next start only.
    if firmware.as_ref().is_some_and(Firmware::names_build) {
        decoder = decoder.with_late_build();
    }
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

fn rule(up: Option<&str>, contract: Option<&Contract>) -> Result<LoopRule, Failure> {
    let rule = LoopRule::default();
    // The names of groups may be in each of the lines.
    let names = Regex::new(r"\(\?P?<\w+>").map_err(Failure::internal)?;
    let last = |lines: &[Regex]| {
        lines.last().map(|line| names.replace_all(line.as_str(), "(?:").into_owned())
    };
    let by_contract = contract.map(|contract| {
        let up = [last(&contract.configuration), last(&contract.mqtt)];
        up.into_iter().flatten().map(|up| format!("(?:{up})")).collect::<Vec<_>>().join("|")
    });
    let up = up.map(str::to_owned).or(by_contract).filter(|up| !up.is_empty());
    match up {
        None => Ok(rule),
        Some(up) => Regex::new(&up)
            .map(|up| LoopRule { up, ..rule })
            .map_err(|error| Failure::usage(format!("--up is no regular expression: {error}"))),
    }
}

fn contract(path: &Path) -> Result<Contract, Failure> {
    let text = input::read_text(path, input::TEXT_MOST)
        .map_err(|error| unreadable("contract", path, &error))?;
    Contract::parse(path, &text).map_err(Failure::usage)
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
