//! What follows from several lines: boot loops and signs of a brownout.

use std::collections::VecDeque;

use regex::Regex;

use crate::finding::{EvidenceLine, Finding, Kind, evidence};
use crate::start::RomStart;

/// Lines in front of a start in which garbage counts as its sign.
const GARBAGE_BEFORE: u64 = 3;

/// What makes a boot loop.
#[derive(Clone, Debug)]
pub struct LoopRule {
    /// Crashes and resets by a watchdog in a row; 0 is taken as 1.
    pub starts: usize,
    /// The most lines of the firmware's own text between one and the next.
    pub lines: u64,
    /// A line that means that the firmware came up, so it is in no loop.
    pub up: Regex,
}

impl Default for LoopRule {
    fn default() -> LoopRule {
        LoopRule {
            starts: 3,
            lines: 60,
            // The bundled firmware, and the one that it imitates: `ESP8266 Mode: ... Running`.
            up: Regex::new(r"\bMode: .*\bRunning\b").expect("a constant pattern compiles"),
        }
    }
}

/// Keeps what the judgements need of a log: bounded, however long it is.
#[derive(Debug)]
pub struct Judge {
    rule: LoopRule,
    falls: Repeats,
    loop_reported: bool,
    fatal: Repeats,
    fatal_reported: bool,
    /// Lines of the firmware's own text since the last start or crash.
    quiet: u64,
    run: RunOf,
}

/// The last few of something that repeats.
#[derive(Debug, Default)]
struct Repeats(VecDeque<EvidenceLine>);

impl Repeats {
    fn push(&mut self, evidence: EvidenceLine, most: usize) -> bool {
        if self.0.len() >= most.max(1) {
            self.0.pop_front();
        }
        self.0.push_back(evidence);
        self.0.len() >= most.max(1)
    }
}

/// What was seen since the last start.
#[derive(Debug, Default)]
struct RunOf {
    started: bool,
    crashed: bool,
    spoke: bool,
    garbage: Option<EvidenceLine>,
}

impl Judge {
    /// Judges by `rule`.
    pub fn new(rule: LoopRule) -> Judge {
        Judge {
            rule,
            falls: Repeats::default(),
            loop_reported: false,
            fatal: Repeats::default(),
            fatal_reported: false,
            quiet: 0,
            run: RunOf::default(),
        }
    }

    /// A line that is neither crash text nor a start. `text` is cleaned.
    pub fn line(&mut self, number: u64, text: &str, garbage: bool) {
        if garbage {
            // Text in front of it shows that the log was read at the right rate.
            if self.run.spoke {
                self.run.garbage = Some(evidence(number, "bytes that are no text"));
            }
            return;
        }
        self.quiet += 1;
        if self.rule.up.is_match(text) {
            self.came_up();
        }
        self.run.spoke |= text.len() >= 8 && !is_rom_text(text);
    }

    /// Lines of text that were not read.
    pub fn pass(&mut self, lines: u64) {
        self.quiet += lines;
        self.run.spoke |= lines > 0;
    }

    /// The next start is the rig's own doing.
    pub fn reset_asked(&mut self) {
        self.came_up();
        self.run = RunOf::default();
    }

    fn came_up(&mut self) {
        self.falls.0.clear();
        self.loop_reported = false;
        self.fatal.0.clear();
        self.fatal_reported = false;
    }

    fn next(&mut self) {
        if self.quiet > self.rule.lines {
            self.came_up();
        }
        self.quiet = 0;
    }

    /// The ROM started at line `number`; `explained` where a crash came before it.
    pub fn start(&mut self, number: u64, start: &RomStart, explained: bool) -> Vec<Finding> {
        self.next();
        let mut found = Vec::new();
        let evidence = evidence(number, &start.to_string());
        if start.from_outside() {
            // The board was switched on, or it slept: no failing firmware started it.
            self.came_up();
        }
        let run = std::mem::replace(&mut self.run, RunOf { started: true, ..RunOf::default() });
        let unprompted = run.started && !run.crashed && !explained && start.cause() == 2;
        if let (true, Some(garbage)) = (unprompted && !start.in_loader(), run.garbage)
            && number.saturating_sub(garbage.line) <= GARBAGE_BEFORE
        {
            let mut finding = Finding::new(Kind::Brownout, number);
            finding.evidence = vec![garbage, evidence];
            found.push(finding);
        }
        found
    }

    /// The board went down at line `number`.
    pub fn fall(&mut self, number: u64, finding: &Finding) -> Vec<Finding> {
        self.next();
        let mut found = Vec::new();
        self.run.crashed = true;
        let evidence = evidence(number, &finding.words());
        // The SDK's own handler, again and again, at an instruction that is none: code is read
        // from a flash chip whose supply gives way.
        let fatal = finding.fatal && finding.cause == Some(0);
        if fatal && self.fatal.push(evidence.clone(), self.rule.starts) && !self.fatal_reported {
            self.fatal_reported = true;
            let mut sign = Finding::new(Kind::Brownout, number);
            sign.evidence = self.fatal.0.iter().cloned().collect();
            found.push(sign);
        }
        if self.falls.push(evidence, self.rule.starts) {
            found.extend(self.report_loop(number));
        }
        found
    }

    fn report_loop(&mut self, number: u64) -> Option<Finding> {
        if std::mem::replace(&mut self.loop_reported, true) {
            return None;
        }
        let mut finding = Finding::new(Kind::BootLoop, number);
        finding.evidence = self.falls.0.iter().cloned().collect();
        Some(finding)
    }
}

/// What the ROM prints while it loads: it comes at each start, at the ROM's rate.
pub fn is_rom_text(text: &str) -> bool {
    let rom = [
        "load 0x",
        "tail ",
        "chksum 0x",
        "csum 0x",
        "~ld",
        "ets ",
        "ets_main.c",
        "wdt reset",
        "csum err",
        "ho 0 tail ",
        "ESP-ROM:",
        "Build:",
        "configsip:",
        "SPIWP:",
        "clk_drv:",
        "mode:",
        "load:0x",
        "entry 0x",
        "Saved PC:0x",
        "flash read err",
        "invalid header: 0x",
        "waiting for download",
        "boot: ",
    ];
    if text.starts_with("Build: ") {
        return false;
    }
    let version = text
        .strip_prefix('v')
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    version || rom.iter().any(|rom| text.starts_with(rom))
}
