//! Looks for all the lines that a run may be waiting for, in one pass over the stream.
//!
//! All patterns are armed all the time: a crash is seen whatever is awaited, and a line that comes
//! early is not lost. One expression made of all of them runs over each block of lines; only a
//! line in which it matches is looked at pattern by pattern. So a flood of lines that nobody waits
//! for costs one search.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use hilrig_core::contract::Contract;
use hilrig_core::line::{LineBlocks, trim_end};
use hilrig_core::text;
use regex::bytes::{Regex, RegexBuilder, RegexSet};

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// The build id.
    Build,
    /// Line `n` of configuration mode's boot log.
    Configuration(usize),
    /// Line `n` of MQTT mode's boot log.
    Mqtt(usize),
    /// Connected to the broker.
    Connected,
    /// An attempt to connect failed.
    AttemptFailed,
    /// The broker's certificate was refused.
    Refused,
    /// Back to configuration mode by itself.
    GivenUp,
    /// Heap figures.
    Heap,
    /// A crash.
    Crash,
}

/// A line that says something.
#[derive(Clone, Debug)]
pub struct Hit {
    /// What.
    pub says: Says,
    /// Line of the boot log, counted from 1.
    pub line: u64,
    /// When its last byte was there.
    pub at: Instant,
    /// The line as printable text.
    pub text: String,
    /// The pattern's named groups.
    pub groups: BTreeMap<String, String>,
    /// The pattern's first group, named or not.
    pub first: Option<String>,
}

/// The patterns of a run, compiled once for all of its boards: compiled, they weigh more than
/// everything else that the rig keeps of a board.
pub struct Patterns {
    /// Finds a line that any of them matches.
    any: Regex,
    /// Tells which do.
    which: RegexSet,
    /// Each of them, for its groups.
    each: Vec<(Says, Regex)>,
}

/// The armed patterns over one board's stream.
pub struct Watch {
    patterns: Rc<Patterns>,
    blocks: LineBlocks,
    line: u64,
}

/// A pattern that is fine alone but not beside the others.
#[derive(Debug, thiserror::Error)]
#[error(
    "the contract's log patterns cannot be armed together: {0}. Make the longest of them simpler."
)]
pub struct TooComplex(#[from] regex::Error);

impl Patterns {
    /// Every pattern of the contract.
    pub fn new(contract: &Contract) -> Result<Patterns, TooComplex> {
        let mut patterns: Vec<(Says, &str)> = Vec::new();
        patterns.extend(contract.build.iter().map(|b| (Says::Build, b.in_log.as_str())));
        let lines = contract.configuration.iter().enumerate();
        patterns.extend(lines.map(|(n, line)| (Says::Configuration(n), line.as_str())));
        let lines = contract.mqtt.iter().enumerate();
        patterns.extend(lines.map(|(n, line)| (Says::Mqtt(n), line.as_str())));
        let connection = &contract.connection;
        patterns.push((Says::Connected, connection.connected.as_str()));
        patterns.push((Says::AttemptFailed, connection.failed.as_str()));
        patterns.push((Says::Refused, connection.refused.as_str()));
        patterns.extend(connection.given_up.iter().map(|p| (Says::GivenUp, p.as_str())));
        patterns.extend(contract.heap.line.iter().map(|p| (Says::Heap, p.as_str())));
        patterns.extend(contract.crash.iter().map(|p| (Says::Crash, p.as_str())));

        let mut any: Vec<String> =
            patterns.iter().map(|(_, p)| format!("(?:{})", unnamed(p))).collect();
        any.sort();
        any.dedup();
        let any = RegexBuilder::new(&any.join("|")).multi_line(true).crlf(true).build()?;
        let which = RegexSet::new(patterns.iter().map(|(_, pattern)| pattern))?;
        let each = patterns
            .into_iter()
            .map(|(says, pattern)| Ok((says, Regex::new(pattern)?)))
            .collect::<Result<_, regex::Error>>()?;
        Ok(Patterns { any, which, each })
    }
}

impl Watch {
    /// Arms the patterns at the beginning of a stream.
    pub fn new(patterns: Rc<Patterns>) -> Watch {
        Watch { patterns, blocks: LineBlocks::default(), line: 0 }
    }

    /// Takes bytes that were there at `at`, and tells every hit in them: what the line says, and a
    /// way to have the whole of it, which costs more than finding it.
    pub fn feed(
        &mut self,
        at: Instant,
        bytes: &[u8],
        mut hit: impl FnMut(Says, &dyn Fn() -> Option<Hit>),
    ) {
        let Watch { patterns, blocks, line } = self;
        let Patterns { any, which, each } = &**patterns;
        blocks.feed(bytes, |block| {
            let mut counted = 0;
            let mut from = 0;
            while let Some(found) = any.find_at(block, from) {
                let start = memchr::memrchr(b'\n', &block[..found.start()]).map_or(0, |n| n + 1);
                let end = memchr::memchr(b'\n', &block[found.start()..])
                    .map_or(block.len(), |n| found.start() + n + 1);
                *line += memchr::memchr_iter(b'\n', &block[counted..start]).count() as u64;
                counted = start;
                let text = trim_end(&block[start..end]);
                let number = *line + 1;
                for (says, pattern) in which.matches(text).iter().map(|index| &each[index]) {
                    hit(*says, &|| {
                        let captures = pattern.captures(text)?;
                        Some(Hit {
                            says: *says,
                            line: number,
                            at,
                            text: text::printable(text),
                            groups: groups(pattern, &captures),
                            first: captures.get(1).map(|group| text::printable(group.as_bytes())),
                        })
                    });
                }
                from = end.max(from + 1);
                if from >= block.len() {
                    break;
                }
            }
            *line += memchr::memchr_iter(b'\n', &block[counted..]).count() as u64;
        });
    }

    /// Lines seen so far.
    pub fn lines(&self) -> u64 {
        self.line
    }

    /// What stands on the line that has no end yet.
    pub fn unfinished(&self) -> String {
        text::printable(self.blocks.rest())
    }
}

/// A pattern whose named groups are plain ones, because two patterns may name a group alike.
fn unnamed(pattern: &str) -> String {
    let name = Regex::new(r"\(\?P?<[A-Za-z_][A-Za-z0-9_.\[\]]*>").expect("a fixed pattern");
    String::from_utf8_lossy(&name.replace_all(pattern.as_bytes(), &b"(?:"[..])).into_owned()
}

fn groups(pattern: &Regex, captures: &regex::bytes::Captures<'_>) -> BTreeMap<String, String> {
    let named = pattern.capture_names().flatten();
    named
        .filter_map(|name| {
            Some((name.to_owned(), text::printable(captures.name(name)?.as_bytes())))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use proptest::prelude::*;

    fn watch() -> Watch {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../firmware/contract.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        Watch::new(Rc::new(Patterns::new(&Contract::parse(&path, &text).unwrap()).unwrap()))
    }

    fn hits(watch: &mut Watch, chunks: &[&[u8]]) -> Vec<(Says, u64, String)> {
        let mut out = Vec::new();
        for chunk in chunks {
            watch.feed(Instant::now(), chunk, |says, hit| {
                let hit = hit().unwrap();
                out.push((says, hit.line, hit.text));
            });
        }
        out
    }

    #[test]
    fn lines_are_found_and_counted_wherever_the_stream_is_cut() {
        let log = b"noise\r\nESP8266 IP: 10.0.2.15\r\nx\r\n\r\nESP8266 WebServer Port: 9705\r\nException (29):\r\n";
        for cut in 0..log.len() {
            let mut watch = watch();
            let found = hits(&mut watch, &[&log[..cut], &log[cut..]]);
            let ip = found.iter().find(|(_, _, text)| text == "ESP8266 IP: 10.0.2.15").unwrap();
            assert_eq!(ip.1, 2, "cut at {cut}");
            let port = found.iter().find(|(_, _, text)| text.starts_with("ESP8266 Web")).unwrap();
            assert_eq!(port.1, 5, "cut at {cut}");
            assert!(
                found.iter().any(|(says, line, _)| *says == Says::Crash && *line == 6),
                "cut at {cut}"
            );
            assert_eq!(watch.lines(), 6);
        }
    }

    #[test]
    fn groups_are_handed_out() {
        let mut watch = watch();
        let mut ip = None;
        watch.feed(Instant::now(), b"ESP8266 IP: 192.168.0.133\n", |_, hit| {
            ip = ip.take().or(hit().unwrap().groups.get("ip").cloned());
        });
        assert_eq!(ip.as_deref(), Some("192.168.0.133"));
    }

    #[test]
    fn no_bytes_make_it_panic() {
        // One watch for all cases: arming it costs more than a case.
        let watch = std::cell::RefCell::new(watch());
        proptest!(|(chunk: Vec<u8>)| {
            watch.borrow_mut().feed(Instant::now(), &chunk, |_, hit| drop(hit()));
        });
    }
}
