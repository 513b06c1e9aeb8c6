//! What a firmware logs and answers, read from a contract file (`firmware/contract.toml` is the
//! bundled firmware's, and the documentation of the format).
//!
//! Parsed once into checked types: every pattern compiled, every name known.

mod reader;
mod reasons;
mod written;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use regex::Regex;
use serde::Deserialize;
use toml::Spanned;

use crate::heap::{HeapPhase, HeapRead};
use crate::phase::Phase;
use crate::place::FileError;
use crate::reading;
use crate::stored::Stored;

pub use reasons::{Numbers, TlsError};

/// The schema version that this hilrig reads.
pub const SCHEMA: u32 = 1;

/// A firmware's contract.
#[derive(Clone, Debug)]
pub struct Contract {
    /// Name of the firmware, for reports.
    pub firmware: String,
    /// How its build id is found.
    pub build: Option<Build>,
    /// Boot log lines of configuration mode, in order; the last one means that the mode is up.
    pub configuration: Vec<Regex>,
    /// Boot log lines of MQTT mode, in order; the last one means that the mode is up.
    pub mqtt: Vec<Regex>,
    /// Lines about the MQTT connection.
    pub connection: Connection,
    /// Where the heap figures are.
    pub heap: Heap,
    /// Paths of the board's web server.
    pub http: Http,
    /// Form fields by what they set.
    pub settings: Settings,
    /// The two mode switches.
    pub switch: Switch,
    /// MQTT payload of a request, with `{request}` in its place.
    pub payload: String,
    /// The largest PUBLISH that the firmware accepts: the bytes after the fixed header, which are 2, the
    /// topic and the payload. It drops larger ones.
    pub largest_publish: Option<usize>,
    /// Topic of the board's last will, with `{tx_topic}` for its tx topic. The payload is the
    /// client id.
    pub will_topic: Option<String>,
    /// Requests and the replies that they must get.
    pub requests: Vec<Request>,
    /// Requests that must be refused, and the refusal.
    pub invalid: Invalid,
    /// Texts that count as a crash, in addition to those that hilrig knows.
    pub crash: Vec<String>,
    /// The layout of its settings in the flash, if they can be written there.
    pub stored: Option<Stored>,
    /// Restarts that the firmware makes by itself, by phase. They are no failure.
    pub restarts: BTreeMap<Phase, u64>,
}

/// How a build id is found.
#[derive(Clone, Debug)]
pub struct Build {
    /// In the image's bytes, group 1.
    pub in_image: regex::bytes::Regex,
    /// In the boot log, group 1.
    pub in_log: Regex,
}

/// Boot log lines about the MQTT connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// It is connected.
    pub connected: Regex,
    /// An attempt failed.
    pub failed: Regex,
    /// The broker's certificate was refused because its CA is not the stored one.
    pub refused: Regex,
    /// The firmware goes back to configuration mode by itself.
    pub given_up: Option<Regex>,
    /// The firmware has lost its network, or never joined it.
    pub offline: Option<Regex>,
    /// It asks the rig's time server for the time, before it connects.
    pub asks_time: Option<Regex>,
    /// The result of a TLS handshake: group `suite` is IANA's number of the suite in hex, `0xC02B`, and
    /// `milliseconds` its duration. The line comes after the attempt's own.
    pub tls: Option<Regex>,
    /// The handshake resumed a session. Logged after the line of `tls`; without it the handshake was a full one.
    pub resumed: Option<Regex>,
    /// Why TLS failed.
    pub error: Option<TlsError>,
    /// What the group `rc` of `failed` means.
    pub rc: Numbers,
}

/// Where the heap figures are.
#[derive(Clone, Debug)]
pub struct Heap {
    /// A boot log line with groups `phase`, `lowest`, and optionally `free`, `lowest_ever`, `largest`,
    /// `fragmentation`, `failed`.
    pub line: Option<Regex>,
    /// Fields of a reply.
    pub reply: Option<HeapReply>,
    /// A variable of the firmware, read from its memory where a debug probe is attached.
    pub symbol: Option<HeapSymbol>,
    /// Who allocated the heap.
    pub callers: Option<CallerLines>,
}

/// How the boot log of a heap-tracing image shows who allocated the heap.
#[derive(Clone, Debug)]
pub struct CallerLines {
    /// A boot log line with groups `phase`, `lowest`, `callers`, and optionally `heap`.
    pub line: Regex,
    /// One caller in the group `callers`: groups `bytes`, `blocks`, and `address` (hex), without which it
    /// is the sum of all others.
    pub each: Regex,
    /// Functions that allocate on behalf of their callers.
    pub wrappers: Vec<String>,
}

/// The variable with the heap's figures.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeapSymbol {
    /// Its symbol in the firmware's ELF.
    pub name: String,
    /// Free now.
    pub free: SymbolFigure,
    /// Lowest since the reset.
    pub lowest_ever: SymbolFigure,
    /// Failed allocations.
    pub failed: Option<SymbolFigure>,
}

/// An unsigned number in memory, in the chip's byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenFigure")]
pub struct SymbolFigure {
    /// Bytes from the symbol's start.
    pub offset: u32,
    /// Width, bytes: 1, 2 or 4.
    pub width: u32,
    /// Size of what it counts, bytes: 1 for bytes.
    pub unit: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFigure {
    offset: u32,
    width: u32,
    unit: Option<u32>,
}

impl TryFrom<WrittenFigure> for SymbolFigure {
    type Error = String;

    fn try_from(raw: WrittenFigure) -> Result<SymbolFigure, String> {
        // A debug probe reads a whole word at once: a figure inside one is never seen half changed.
        if !matches!(raw.width, 1 | 2 | 4) || raw.offset % 4 + raw.width > 4 {
            return Err("a figure is 1, 2 or 4 bytes wide and lies within one word of 4".into());
        }
        if raw.offset >= HeapSymbol::MOST {
            return Err(format!("`offset` is below {}", HeapSymbol::MOST));
        }
        Ok(SymbolFigure {
            offset: raw.offset,
            width: raw.width,
            unit: u64::from(raw.unit.unwrap_or(1).max(1)),
        })
    }
}

impl HeapSymbol {
    /// Bytes of the variable that may be read at most.
    pub const MOST: u32 = 1024;

    /// How many words of 4 bytes hold all figures.
    pub fn words(&self) -> usize {
        let ends = [Some(self.free), Some(self.lowest_ever), self.failed];
        let end = ends.into_iter().flatten().map(|figure| figure.offset + figure.width).max();
        end.unwrap_or(0).div_ceil(4) as usize
    }

    /// The figures in the variable's words; `None` where these are too few.
    pub fn figures(&self, words: &[u32]) -> Option<HeapRead> {
        let value = |figure: SymbolFigure| -> Option<u64> {
            let word = words.get(figure.offset as usize / 4)?.to_le_bytes();
            let at = figure.offset as usize % 4;
            let bytes = word.get(at..at + figure.width as usize)?;
            let number = bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
            Some(number * figure.unit)
        };
        Some(HeapRead {
            free: value(self.free)?,
            lowest_ever: value(self.lowest_ever)?,
            failures: match self.failed {
                Some(failed) => Some(value(failed)?),
                None => None,
            },
        })
    }
}

/// Heap fields of a reply that is a JSON object.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeapReply {
    /// The request whose reply it is.
    pub request: String,
    /// Free now.
    pub free: Option<String>,
    /// Lowest since the reset.
    pub lowest_ever: Option<String>,
    /// Largest block.
    pub largest: Option<String>,
    /// Fragmentation, percent.
    pub fragmentation: Option<String>,
    /// Failed allocations.
    pub failed: Option<String>,
    /// Lowest free heap a phase.
    #[serde(default)]
    pub phases: BTreeMap<HeapPhase, String>,
}

/// Paths of the board's web server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// The configuration page, which is also where its form goes.
    pub page: String,
    /// A request, `{request}` stands for it.
    pub request: String,
    /// Where the CA certificate is POSTed, if the firmware accepts one.
    pub ca: Option<String>,
    /// Where the client's own certificate and its key are POSTed together, as PEM, if the firmware accepts
    /// them; DELETE removes them.
    pub certificate: Option<String>,
    /// Number of simultaneous connections that are answered; further ones may be refused.
    pub at_once: Option<usize>,
}

/// Names of the form fields. Fields that a firmware does not have are left out.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Value of a ticked check box.
    pub on: String,
    /// The submit button, where the form needs it.
    pub save: Option<String>,
    /// Broker's name, for SNI and the certificate check.
    pub broker_name: String,
    /// Broker's address, where it is a field of its own.
    pub broker_address: Option<String>,
    /// Broker's port.
    pub broker_port: String,
    /// Broker user.
    pub broker_user: Option<String>,
    /// Broker password.
    pub broker_password: Option<String>,
    /// Check box: user and password are used.
    pub use_password: Option<String>,
    /// Check box: TLS.
    pub tls: String,
    /// Check box: MQTT.
    pub mqtt: String,
    /// MQTT client id.
    pub client_id: Option<String>,
    /// Time server's address.
    pub time_server: Option<String>,
    /// Time server's port.
    pub time_port: Option<String>,
    /// Seconds between attempts to connect.
    pub retry_seconds: Option<String>,
    /// Attempts before the firmware gives up.
    pub retry_attempts: Option<String>,
    /// Check box: the client has a last will.
    pub will: Option<String>,
    /// The largest TLS record that is accepted, bytes: 512, 1024, 2048, 4096 or 16384.
    pub tls_record: Option<String>,
    /// Which cipher suites are offered: `all`, `aead`, `cbc`, `static-rsa`, `rsa`.
    pub tls_suites: Option<String>,
    /// The application protocol that is offered (ALPN).
    pub tls_alpn: Option<String>,
    /// SHA-256 of the broker's certificate, 64 hex digits, in place of the check against a CA.
    pub tls_pin: Option<String>,
    /// Check box: TLS sessions are resumed.
    pub tls_resume: Option<String>,
}

/// The two mode switches.
#[derive(Clone, Debug)]
pub struct Switch {
    /// The request over HTTP.
    pub to_mqtt: Request,
    /// The request over MQTT.
    pub to_configuration: Request,
}

/// A request and the reply that it must get.
#[derive(Clone, Debug)]
pub struct Request {
    /// Name with query, as it is sent: `BlinkLed&nblink=3`.
    pub request: String,
    /// The whole reply must match.
    pub reply: Regex,
}

/// Requests that the firmware must refuse.
#[derive(Clone, Debug)]
pub struct Invalid {
    /// The wrong requests.
    pub requests: Vec<String>,
    /// How each is answered.
    pub reply: Option<Regex>,
}

impl Contract {
    /// The request whose reply tells the free heap of that moment.
    pub fn heap_request(&self) -> Option<&Request> {
        let fields = self.heap.reply.as_ref().filter(|fields| fields.free.is_some())?;
        self.requests.iter().find(|request| request.request == fields.request)
    }

    /// Reads and checks a contract.
    pub fn parse(path: &Path, text: &str) -> Result<Contract, FileError> {
        let raw: written::WrittenContract = reading::whole(path, text)?;
        if *raw.schema.get_ref() != SCHEMA {
            let message = format!(
                "schema {} is not one that this hilrig reads; it reads {SCHEMA}",
                raw.schema.get_ref()
            );
            return Err(FileError::at_span(path, text, raw.schema.span(), message));
        }
        let reader = reader::Reader { path, text, errors: RefCell::default() };
        let contract = reader.contract(raw);
        let mut errors = reader.errors.into_inner();
        errors.sort_by_key(FileError::line);
        FileError::all(errors).map_or(Ok(contract), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong_with_a_contract_is_reported_at_once() {
        let bundled = concat!(env!("CARGO_MANIFEST_DIR"), "/../../firmware/contract.toml");
        let text = std::fs::read_to_string(bundled).unwrap();
        let path = Path::new("contract.toml");
        assert!(Contract::parse(path, &text).is_ok());
        let mut wrong = text.clone();
        for (from, to) in [
            ("(?P<ip>", "("),
            ("given_up = '^", "given_up = '^("),
            ("(?P<rx_topic>", "(?P<rx"),
            ("(?P<lowest>", "(?P<low>"),
        ] {
            assert!(wrong.contains(from), "{from}");
            wrong = wrong.replacen(from, to, 1);
        }
        let error = Contract::parse(path, &wrong).unwrap_err().to_string();
        for part in ["(?P<ip>...)", "(?P<lowest>...)", "no regular expression"] {
            assert!(error.contains(part), "`{part}` is not in: {error}");
        }
        assert_eq!(error.matches("contract.toml:").count(), 4, "{error}");
    }

    fn symbol(text: &str) -> Result<HeapSymbol, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn figures_come_out_of_the_words_of_a_variable_in_bytes() {
        let symbol = symbol(
            r#"name = "heap"
            free = { offset = 6, width = 2, unit = 8 }
            lowest_ever = { offset = 8, width = 2, unit = 8 }
            failed = { offset = 12, width = 4 }"#,
        )
        .unwrap();
        assert_eq!(symbol.words(), 4);
        let words = [0x2000_0100, 0x1A00_1BFF, 0x19F0_19E8, 3];
        let read = symbol.figures(&words).unwrap();
        assert_eq!(read, HeapRead { free: 0xD000, lowest_ever: 0xCF40, failures: Some(3) });
        assert_eq!(symbol.figures(&words[..3]), None);
    }

    #[test]
    fn a_figure_that_is_read_in_two_pieces_is_none() {
        for figure in ["offset = 3, width = 2", "offset = 0, width = 3", "offset = 2, width = 4"] {
            let text = format!("name = \"h\"\nfree = {{ {figure} }}\nlowest_ever = {{ {figure} }}");
            assert!(symbol(&text).unwrap_err().contains("within one word"), "{figure}");
        }
        let far = "name = \"h\"\nfree = { offset = 4096, width = 4 }\nlowest_ever = { offset = 0, width = 4 }";
        assert!(symbol(far).unwrap_err().contains("below 1024"));
    }
}
