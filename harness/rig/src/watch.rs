//! Searches for all lines that a run may wait for, in one pass over the stream.
//!
//! All patterns are active all the time: a crash is found whatever the run waits for, and a line
//! that comes early is not lost. One expression made of all patterns runs over each block of lines;
//! only a line that it matches is checked pattern by pattern. So a flood of lines that match no
//! pattern costs one search.
//!
//! The same search finds the signs of crashes. The decoder (hilrig-decode) classifies them, because it sees the lines
//! near them. It depends on core only, so it is used here as a library.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use hilrig_core::contract::Contract;
use hilrig_core::line::{LineBlocks, trim_end};
use hilrig_core::text;
use hilrig_decode::{Finding, LiveDecoder, LoopRule, SIGNS};
use regex::bytes::{Regex, RegexBuilder, RegexSet};

/// The meaning of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// The build id.
    Build,
    /// Line `n` of the boot log in configuration mode.
    Configuration(usize),
    /// Line `n` of the boot log in MQTT mode.
    Mqtt(usize),
    /// Connected to the broker.
    Connected,
    /// An attempt to connect failed.
    AttemptFailed,
    /// The broker's certificate was refused.
    Refused,
    /// The firmware gives up and returns to configuration mode.
    GivenUp,
    /// No network.
    Offline,
    /// The board requests the time.
    AsksTime,
    /// Why TLS failed.
    TlsError,
    /// Heap figures.
    Heap,
    /// Who allocated the heap.
    Callers,
    /// A crash by the contract, in addition to those that the decoder knows.
    Crash,
    /// May be part of a crash, or shows the decoder that the board is up. Never passed to the caller.
    Sign,
}

/// A line that matches a pattern.
#[derive(Clone, Debug)]
pub struct Hit {
    /// Its meaning.
    pub says: Says,
    /// Line of the boot log, counted from 1.
    pub line: u64,
    /// When its last byte arrived.
    pub at: Instant,
    /// The line as printable text.
    pub text: String,
    /// The pattern's named groups.
    pub groups: BTreeMap<String, String>,
    /// Named groups whose text is not byte for byte that of the line: it was made printable, or cut.
    pub altered: Vec<String>,
    /// The pattern's first group, named or not.
    pub first: Option<String>,
}

/// The patterns of a run, compiled once for all boards: they take more memory than everything else
/// that the rig keeps for a board.
pub struct Patterns {
    /// Finds a line that any of them matches.
    any: Regex,
    /// Finds which patterns match.
    which: RegexSet,
    /// Each pattern, for its groups.
    each: Vec<(Says, Regex)>,
    /// The lines that show that a mode is up: no boot loop has one.
    up: regex::Regex,
    /// The line with the build id.
    build: Option<regex::Regex>,
    /// Number of lines in the boot logs of configuration mode and MQTT mode.
    lines: [usize; 2],
}

/// The active patterns on one board's stream.
pub struct Watch {
    patterns: Rc<Patterns>,
    blocks: LineBlocks,
    line: u64,
    crashes: LiveDecoder,
}

/// A pattern that compiles alone but not together with the others.
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
        patterns.extend(connection.offline.iter().map(|p| (Says::Offline, p.as_str())));
        patterns.extend(connection.asks_time.iter().map(|p| (Says::AsksTime, p.as_str())));
        patterns.extend(connection.error.iter().map(|e| (Says::TlsError, e.line.as_str())));
        patterns.extend(contract.heap.line.iter().map(|p| (Says::Heap, p.as_str())));
        patterns.extend(contract.heap.callers.iter().map(|c| (Says::Callers, c.line.as_str())));
        patterns.extend(contract.crash.iter().map(|p| (Says::Crash, p.as_str())));
        patterns.extend(SIGNS.map(|sign| (Says::Sign, sign)));
        let up = [contract.configuration.last(), contract.mqtt.last()];
        let up: Vec<&str> = up.into_iter().flatten().map(regex::Regex::as_str).collect();
        patterns.extend(up.iter().map(|up| (Says::Sign, *up)));
        patterns.extend(contract.build.iter().map(|build| (Says::Sign, build.in_log.as_str())));
        let up = up.iter().map(|up| format!("(?:{})", unnamed(up))).collect::<Vec<_>>().join("|");
        let up = regex::Regex::new(&up)?;

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
        let lines = [contract.configuration.len(), contract.mqtt.len()];
        let build = contract.build.as_ref().map(|build| build.in_log.clone());
        Ok(Patterns { any, which, each, up, build, lines })
    }

    /// Number of lines in the boot logs of configuration mode and MQTT mode.
    pub fn lines(&self) -> [usize; 2] {
        self.lines
    }
}

impl Watch {
    /// Activates the patterns at the start of a stream.
    pub fn new(patterns: Rc<Patterns>) -> Watch {
        let crashes = LiveDecoder::new(LoopRule { up: patterns.up.clone(), ..LoopRule::default() });
        let crashes = match &patterns.build {
            Some(build) => crashes.with_build(build.clone()),
            None => crashes,
        };
        Watch { patterns, blocks: LineBlocks::default(), line: 0, crashes }
    }

    /// Takes bytes that arrived at `at`, and reports every hit in them: the meaning of the line,
    /// and a function that returns the whole hit, which costs more than the search. Crashes, starts
    /// and findings about several of them go to `found` when they are complete.
    pub fn feed(
        &mut self,
        at: Instant,
        bytes: &[u8],
        mut hit: impl FnMut(Says, &dyn Fn() -> Option<Hit>),
        mut found: impl FnMut(Finding),
    ) {
        let Watch { patterns, blocks, line, crashes } = self;
        let Patterns { any, which, each, .. } = &**patterns;
        blocks.feed(bytes, |block| {
            // The positions up to which lines are counted, and up to which the decoder has them.
            let (mut counted, mut decoded) = (0, (0, *line + 1));
            let mut from = 0;
            while let Some(match_) = any.find_at(block, from) {
                let start = memchr::memrchr(b'\n', &block[..match_.start()]).map_or(0, |n| n + 1);
                let end = memchr::memchr(b'\n', &block[match_.start()..])
                    .map_or(block.len(), |n| match_.start() + n + 1);
                *line += memchr::memchr_iter(b'\n', &block[counted..start]).count() as u64;
                counted = start;
                let text = trim_end(&block[start..end]);
                let whole = block[..end].ends_with(b"\n");
                let number = *line + 1;
                let matches = which.matches(text);
                let says = || matches.iter().map(|index| &each[index]);
                if says().any(|(says, _)| *says == Says::Sign) {
                    crashes.plain(decoded.1, &block[decoded.0..start], &mut found);
                    crashes.sign(number, &block[start..end], &mut found);
                    decoded = (end, number + 1);
                }
                // Within a dump that the decoder knows, the contract's patterns add nothing.
                let known = crashes.open().is_some();
                let said = says().filter(|(says, _)| match says {
                    Says::Sign => false,
                    Says::Crash => !known,
                    _ => true,
                });
                for (says, pattern) in said {
                    hit(*says, &|| {
                        let captures = pattern.captures(text)?;
                        Some(Hit {
                            says: *says,
                            line: number,
                            at,
                            text: text::printable(text),
                            groups: groups(pattern, &captures),
                            altered: altered(pattern, &captures, whole),
                            first: captures.get(1).map(|group| text::escaped(group.as_bytes())),
                        })
                    });
                }
                from = end.max(from + 1);
                if from >= block.len() {
                    break;
                }
            }
            crashes.plain(decoded.1, &block[decoded.0..], &mut found);
            *line += memchr::memchr_iter(b'\n', &block[counted..]).count() as u64;
        });
    }

    /// The crash whose dump is not complete yet.
    pub fn open_crash(&self) -> Option<&Finding> {
        self.crashes.open()
    }

    /// The rig is about to reset the board: the next start shows no fault of the firmware.
    pub fn reset_asked(&mut self) {
        self.crashes.reset_asked();
    }

    /// The end of the stream: an open crash is complete.
    pub fn finish(&mut self, found: impl FnMut(Finding)) {
        self.crashes.finish(found);
    }

    /// Lines seen so far.
    pub fn lines(&self) -> u64 {
        self.line
    }

    /// The text of the last line, which has no end yet.
    pub fn unfinished(&self) -> String {
        text::printable(self.blocks.rest())
    }
}

/// The pattern with its named groups made unnamed, because two patterns may use the same name.
fn unnamed(pattern: &str) -> String {
    let name = Regex::new(r"\(\?P?<[A-Za-z_][A-Za-z0-9_.\[\]]*>").expect("a fixed pattern");
    String::from_utf8_lossy(&name.replace_all(pattern.as_bytes(), &b"(?:"[..])).into_owned()
}

fn groups(pattern: &Regex, captures: &regex::bytes::Captures<'_>) -> BTreeMap<String, String> {
    let named = pattern.capture_names().flatten();
    named
        .filter_map(|name| Some((name.to_owned(), text::escaped(captures.name(name)?.as_bytes()))))
        .collect()
}

/// `whole` is false for a line that was passed on in pieces.
fn altered(pattern: &Regex, captures: &regex::bytes::Captures<'_>, whole: bool) -> Vec<String> {
    let named = pattern.capture_names().flatten();
    named
        .filter(|name| {
            let group = captures.name(name).map_or(&b""[..], |group| group.as_bytes());
            !whole || text::escaped(group).as_bytes() != group
        })
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use hilrig_decode::Kind;
    use proptest::prelude::*;

    thread_local! {
        // Compiling them costs more than a case of any test.
        static PATTERNS: Rc<Patterns> = {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../firmware/contract.toml");
            let text = std::fs::read_to_string(&path).unwrap();
            Rc::new(Patterns::new(&Contract::parse(&path, &text).unwrap()).unwrap())
        };
    }

    fn watch() -> Watch {
        PATTERNS.with(|patterns| Watch::new(patterns.clone()))
    }

    fn hits(watch: &mut Watch, chunks: &[&[u8]]) -> Vec<(Says, u64, String)> {
        let mut out = Vec::new();
        for chunk in chunks {
            watch.feed(
                Instant::now(),
                chunk,
                |says, hit| {
                    let hit = hit().unwrap();
                    out.push((says, hit.line, hit.text));
                },
                |_| {},
            );
        }
        out
    }

    #[test]
    fn lines_are_found_and_counted_wherever_the_stream_is_cut() {
        let log = b"noise\r\nESP8266 IP: 10.0.2.15\r\nx\r\n\r\nESP8266 WebServer Port: 9705\r\nHardFault: CFSR=0x00000082\r\n";
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
    fn a_crash_is_found_wherever_the_stream_is_cut_and_told_once() {
        let log = b"all is well\r\nException (29):\r\nepc1=0x4022c07b epc2=0x0 epc3=0x0 excvaddr=0x0 depc=0x0\r\nPanic is over\r\n ets Jan  8 2013,rst cause:2, boot mode:(3,6)\r\n";
        for cut in 0..log.len() {
            let mut watch = watch();
            let mut found = Vec::new();
            for chunk in [&log[..cut], &log[cut..]] {
                // The contract's own `^Panic ` is within the dump.
                let hit = |says, _: &dyn Fn() -> Option<Hit>| assert_ne!(says, Says::Crash);
                watch.feed(Instant::now(), chunk, hit, |finding| found.push(finding));
            }
            let kinds: Vec<_> = found.iter().map(|finding| (finding.kind, finding.line)).collect();
            assert_eq!(kinds, [(Kind::Exception, 2), (Kind::Start, 5)], "cut at {cut}");
        }
    }

    #[test]
    fn a_firmware_that_puts_something_in_front_of_its_lines_hides_no_crash() {
        let lines = "joined\n\nException (29):\n\
            epc1=0x4022c07b epc2=0x00000000 epc3=0x00000000 excvaddr=0x00000000 depc=0x00000000\n\
            \n>>>stack>>>\n\nctx: cont\nsp: 3ffffe00 end: 3fffffd0 offset: 0190\n\
            3fffff90:  3fff2450 00000000 3ffefe60 4020ff4f  \n<<<stack<<<\nsetup\n";
        let prefixes: [fn(usize) -> String; 4] = [
            |n| format!("00:00:0{}.234-025 RSL: ", n % 10),
            |n| format!("I ({}) app: ", 95 + n),
            |n| format!("[00:00:00.{:03},000] <err> os: ", 7 * n),
            |n| format!("#{n} node-7 | "),
        ];
        for prefix in prefixes {
            let lines = lines.lines().enumerate();
            let log: String = lines.map(|(n, line)| format!("{}{line}\r\n", prefix(n))).collect();
            let mut watch = watch();
            let mut found = Vec::new();
            for chunk in log.as_bytes().chunks(11) {
                watch.feed(Instant::now(), chunk, |_, _| {}, |finding| found.push(finding));
            }
            // The crash is known before its dump is complete.
            let open = watch.open_crash().expect("a crash");
            assert_eq!((open.kind, open.line), (Kind::Exception, 3), "{log}");
            watch.finish(|finding| found.push(finding));
            let [crash] = &found[..] else { panic!("{found:#?}") };
            assert_eq!(
                (crash.cause, crash.cut, crash.addresses.len()),
                (Some(29), false, 2),
                "{log}"
            );
        }
    }

    #[test]
    fn groups_are_handed_out() {
        let mut watch = watch();
        let mut ip = None;
        watch.feed(
            Instant::now(),
            b"ESP8266 IP: 192.168.0.133\n",
            |_, hit| {
                ip = ip.take().or(hit().unwrap().groups.get("ip").cloned());
            },
            |_| {},
        );
        assert_eq!(ip.as_deref(), Some("192.168.0.133"));
    }

    #[test]
    fn no_bytes_make_it_panic() {
        // One watch for all cases: arming it costs more than a case.
        let watch = std::cell::RefCell::new(watch());
        proptest!(|(chunk: Vec<u8>)| {
            watch.borrow_mut().feed(Instant::now(), &chunk, |_, hit| drop(hit()), |_| {});
        });
    }
}
