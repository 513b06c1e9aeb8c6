//! From the contract as written to the contract as used: patterns compiled, groups and slots checked.

use std::cell::RefCell;
use std::path::Path;

use regex::Regex;
use toml::Spanned;

use super::{
    Build, CallerLines, Connection, Contract, Heap, Invalid, Request, Switch, TlsError, written,
};
use crate::place::FileError;
use crate::stored::Stored;

/// Checks the contract as written. Errors are collected, and a pattern that matches nothing takes the
/// place of a wrong one, so that all errors are reported at once.
pub(super) struct Reader<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
    pub(super) errors: RefCell<Vec<FileError>>,
}

impl Reader<'_> {
    pub(super) fn contract(&self, raw: written::WrittenContract) -> Contract {
        Contract {
            firmware: raw.firmware,
            build: raw.build.map(|build| self.build(build)),
            configuration: self.lines(raw.modes.configuration.lines, &["ip", "http_port"]),
            mqtt: self.lines(raw.modes.mqtt.lines, &["rx_topic", "tx_topic"]),
            connection: Connection {
                connected: self.pattern(&raw.connection.connected),
                failed: self.pattern(&raw.connection.failed),
                refused: self.pattern(&raw.connection.refused),
                given_up: raw.connection.given_up.map(|p| self.pattern(&p)),
                offline: raw.connection.offline.map(|p| self.pattern(&p)),
                asks_time: raw.connection.asks_time.map(|p| self.pattern(&p)),
                tls: raw.connection.tls.map(|p| self.with_groups(&p, &["suite", "milliseconds"])),
                resumed: raw.connection.resumed.map(|p| self.pattern(&p)),
                error: raw.connection.error.map(|error| self.tls_error(error)),
                rc: raw.connection.rc,
            },
            heap: match raw.heap {
                None => Heap { line: None, reply: None, symbol: None, callers: None },
                Some(heap) => Heap {
                    line: heap.line.map(|p| self.with_groups(&p, &["phase", "lowest"])),
                    reply: heap.reply,
                    symbol: heap.symbol,
                    callers: heap.callers.map(|callers| self.callers(callers)),
                },
            },
            stored: raw.stored.map(|stored| self.stored(stored)),
            restarts: raw.restarts.map(|restarts| restarts.allowed).unwrap_or_default(),
            http: raw.http,
            settings: raw.settings,
            switch: Switch {
                to_mqtt: self.switch(raw.switch.to_mqtt),
                to_configuration: self.switch(raw.switch.to_configuration),
            },
            payload: raw.mqtt.payload,
            largest_publish: raw.mqtt.largest_publish,
            will_topic: raw.mqtt.will_topic,
            requests: raw
                .requests
                .into_iter()
                .map(|r| Request { request: r.name + &r.query, reply: self.reply(&r.reply) })
                .collect(),
            invalid: match raw.invalid {
                None => Invalid { requests: Vec::new(), reply: None },
                Some(i) => Invalid { requests: i.requests, reply: Some(self.reply(&i.reply)) },
            },
            crash: raw
                .crash
                .into_iter()
                .flat_map(|crash| crash.patterns)
                .map(|p| self.pattern(&p).as_str().to_owned())
                .collect(),
        }
    }

    fn wrong<T>(&self, at: &Spanned<T>, message: String) {
        self.errors.borrow_mut().push(FileError::at_span(self.path, self.text, at.span(), message));
    }

    fn stored(&self, stored: Spanned<Stored>) -> Stored {
        if let Err(why) = stored.get_ref().check() {
            self.wrong(&stored, format!("[stored]: {why}"));
        }
        stored.into_inner()
    }

    fn pattern(&self, pattern: &written::Pattern) -> Regex {
        self.compiled(pattern).unwrap_or_else(nothing)
    }

    /// None where it is no regular expression; the error is collected.
    fn compiled(&self, pattern: &written::Pattern) -> Option<Regex> {
        let compiled = Regex::new(pattern.get_ref());
        compiled.map_err(|error| self.no_pattern(pattern, &error)).ok()
    }

    fn no_pattern(&self, pattern: &written::Pattern, error: &regex::Error) {
        self.wrong(pattern, format!("no regular expression: {error}"));
    }

    /// A reply is matched as a whole. A pattern that matches inside another answer would accept that
    /// answer.
    fn reply(&self, pattern: &written::Pattern) -> Regex {
        let whole = format!(r"\A(?:{})\z", self.pattern(pattern).as_str());
        Regex::new(&whole).expect("a pattern in a group is a pattern")
    }

    fn build(&self, build: written::WrittenBuild) -> Build {
        let in_image = regex::bytes::Regex::new(build.in_image.get_ref());
        let in_image = in_image.map_err(|error| self.no_pattern(&build.in_image, &error)).ok();
        let in_log = self.compiled(&build.in_log);
        let groups = [
            (in_image.as_ref().map(regex::bytes::Regex::captures_len), &build.in_image),
            (in_log.as_ref().map(Regex::captures_len), &build.in_log),
        ];
        for (count, at) in groups {
            if count.is_some_and(|count| count < 2) {
                self.wrong(at, "the pattern has no group ( ) for the build id".into());
            }
        }
        let no_bytes = || regex::bytes::Regex::new(NOTHING).expect("a constant pattern compiles");
        Build {
            in_image: in_image.unwrap_or_else(no_bytes),
            in_log: in_log.unwrap_or_else(nothing),
        }
    }

    /// The lines of a mode, which together need the named groups that a run reads.
    fn lines(&self, lines: Spanned<Vec<written::Pattern>>, needed: &[&str]) -> Vec<Regex> {
        let compiled: Vec<Option<Regex>> =
            lines.get_ref().iter().map(|line| self.compiled(line)).collect();
        if compiled.is_empty() {
            self.wrong(&lines, "a mode needs at least one line that means that it is up".into());
        }
        // A line with a wrong pattern may be the one with the group.
        let whole = !compiled.is_empty() && compiled.iter().all(Option::is_some);
        let found: Vec<Regex> = compiled.into_iter().flatten().collect();
        for name in needed.iter().filter(|_| whole) {
            let has = |line: &&Regex| line.capture_names().flatten().any(|n| n == *name);
            let count = found.iter().filter(has).count();
            if count != 1 {
                self.wrong(
                    &lines,
                    format!("one line must have the group (?P<{name}>...); {count} do"),
                );
            }
        }
        found
    }

    fn with_groups(&self, pattern: &written::Pattern, needed: &[&str]) -> Regex {
        let Some(regex) = self.compiled(pattern) else { return nothing() };
        for needed in needed {
            if !regex.capture_names().flatten().any(|name| name == *needed) {
                self.wrong(pattern, format!("this line must have the group (?P<{needed}>...)"));
            }
        }
        regex
    }

    fn tls_error(&self, error: written::WrittenTlsError) -> TlsError {
        let line = self.with_groups(&error.line, &["number"]);
        TlsError { line, alerts: error.alerts, reasons: error.reasons }
    }

    fn callers(&self, callers: written::WrittenCallers) -> CallerLines {
        CallerLines {
            line: self.with_groups(&callers.line, &["phase", "lowest", "callers"]),
            each: self.with_groups(&callers.each, &["address", "bytes", "blocks"]),
            wrappers: callers.wrappers,
        }
    }

    fn switch(&self, switch: written::WrittenSwitchRequest) -> Request {
        Request { request: switch.request, reply: self.reply(&switch.reply) }
    }
}

/// A pattern that matches nothing.
const NOTHING: &str = r"[^\s\S]";

/// Replaces a wrong pattern; the contract is refused anyway.
fn nothing() -> Regex {
    Regex::new(NOTHING).expect("a constant pattern compiles")
}
