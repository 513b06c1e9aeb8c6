//! A stream of bytes in, findings out.

mod cause;
mod headless;
mod late_build;
mod message;
mod open;
mod pieces;
mod reprint;
mod starts;

use std::borrow::Cow;

use hilrig_core::crash::Panic;
use hilrig_core::text::printable;
use regex::Regex;

use crate::clean::Garbage;
use crate::crash_line::{CrashLine, without_logger};
use crate::encoding::Encoding;
use crate::finding::{Finding, Kind};
use crate::judge::{Judge, LoopRule, is_rom_text};
use crate::lines::{self, LineSplitter};
use crate::prefix::{CleanLine, Prefixes};
use crate::start::RomStart;
use headless::Headless;
use late_build::LateBuild;
use open::{DumpPart, OpenCrash};
use pieces::{build, mentioned_exception, pieces};
use reprint::Reprint;
use starts::SPOKEN;

/// Other lines that may come between two lines of one crash, or between a crash and the start
/// that follows it.
const PATIENCE: u32 = 40;

/// Lines after a `CUT HERE` line in which any `Panic ...` is one.
const CUT_HERE_HOLDS: u32 = 3;

/// Reads a log as it comes. Memory is bounded whatever comes, and how the stream is cut into
/// chunks changes nothing.
#[derive(Debug)]
pub struct Decoder {
    lines: LineSplitter,
    encoding: Encoding,
    state: DecoderState,
    late: LateBuild,
}

impl Decoder {
    /// Boot loops are judged by `rule`.
    pub fn new(rule: LoopRule) -> Decoder {
        Decoder {
            lines: LineSplitter::default(),
            encoding: Encoding::default(),
            state: DecoderState::new(rule),
            late: LateBuild::default(),
        }
    }

    /// The same, with the pattern of the line that names the build (group 1) by the firmware's contract. Without
    /// it, that is the bundled firmware's `Build: 0123456789abcdef`.
    #[must_use]
    pub fn with_build(mut self, in_log: Regex) -> Decoder {
        self.state.build_line = Some(in_log);
        self
    }

    /// The same, where findings may wait for a build that the log names only after them: of a firmware that
    /// crashes before it prints its build, the next start does.
    #[must_use]
    pub fn with_late_build(mut self) -> Decoder {
        self.late = LateBuild::waiting();
        self
    }

    /// Takes a chunk; what it completes is handed to `found`. A crash is complete when its chip
    /// has started again, or [`finish`](Decoder::finish) is called, or [`PATIENCE`] lines of other
    /// text have come.
    pub fn feed(&mut self, chunk: &[u8], mut found: impl FnMut(Finding)) {
        let Decoder { lines, encoding, state, late } = self;
        lines.feed(chunk, |number, line| {
            read(state, encoding, number, line, &mut |finding| late.finding(finding, &mut found));
            late.line(state.build.as_ref(), &mut found);
        });
    }

    /// The stream has ended. Returns how many lines it had.
    pub fn finish(mut self, mut found: impl FnMut(Finding)) -> u64 {
        let Decoder { lines, encoding, state, late } = &mut self;
        let mut waiting = |finding| late.finding(finding, &mut found);
        lines.finish(|number, line| read(state, encoding, number, line, &mut waiting));
        state.end(&mut waiting);
        late.end(state.build.as_ref(), &mut found);
        lines.count()
    }
}

fn read(
    state: &mut DecoderState,
    encoding: &mut Encoding,
    number: u64,
    line: &[u8],
    found: OnFinding<'_>,
) {
    match encoding.utf8(line) {
        Cow::Borrowed(line) => state.line(number, line, found),
        Cow::Owned(text) => {
            lines::within(&text).for_each(|line| state.line(number, line, found));
        }
    }
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder::new(LoopRule::default())
    }
}

/// What is known of a log by the lines so far.
#[derive(Debug)]
pub struct DecoderState {
    prefixes: Prefixes,
    /// Findings of lines that were still waiting for their prefix when they were needed.
    late: Vec<Finding>,
    judge: Judge,
    open: Option<OpenCrash>,
    /// Lines since the last `CUT HERE`.
    cut_here: u32,
    /// `... Exception (28):` after other text on its line. Only registers on one of the next
    /// lines make a crash of it.
    mentioned: Option<Mentioned>,
    /// Lines since a start by the hardware watchdog.
    watchdog_start: u32,
    /// Lines of the firmware's own text since the last crash, if there was one.
    spoke: Option<u32>,
    /// Rows of a stack in front of which no crash was seen.
    headless: Headless,
    /// Of the last crash: whether the next dump is the same one again.
    reprint: Reprint,
    /// The build and the digest of the ELF that the log named last.
    build: Option<String>,
    elf_sha256: Option<String>,
    /// The line that names the build, where the contract has one.
    pub build_line: Option<Regex>,
}

/// Where a piece of text is.
#[derive(Clone, Copy, Debug)]
struct At {
    line: u64,
    /// At the beginning of its line.
    first: bool,
}

/// An exception after other text.
#[derive(Clone, Copy, Debug)]
struct Mentioned {
    line: u64,
    cause: u32,
    age: u32,
}

pub type OnFinding<'a> = &'a mut dyn FnMut(Finding);

impl DecoderState {
    pub fn new(rule: LoopRule) -> DecoderState {
        DecoderState {
            prefixes: Prefixes::default(),
            late: Vec::new(),
            judge: Judge::new(rule),
            open: None,
            cut_here: u32::MAX,
            mentioned: None,
            watchdog_start: u32::MAX,
            spoke: None,
            headless: Headless::default(),
            reprint: Reprint::default(),
            build: None,
            elf_sha256: None,
            build_line: None,
        }
    }

    /// The crash whose lines are still coming, as far as it is certain that it is one.
    pub fn coming(&self) -> Option<&Finding> {
        // A mark without rows may be text about stack dumps.
        let open = self.open.as_ref().filter(|open| !open.is_empty())?;
        Some(open.before.as_deref().unwrap_or(&open.finding))
    }

    /// Whether a next line may belong to a crash.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The rig is about to reset the board: the start that follows shows nothing of the firmware.
    pub fn reset_asked(&mut self) {
        // Lines that wait came before it.
        let mut late = std::mem::take(&mut self.late);
        self.prefixes.end();
        self.decided(&mut |finding| late.push(finding));
        self.late = late;
        self.judge.reset_asked();
    }

    /// Passes over lines of the firmware's own text that are of no interest.
    pub fn pass(&mut self, lines: u64) {
        self.prefixes.pass(lines);
        self.judge.pass(lines);
        let more = u32::try_from(lines).unwrap_or(u32::MAX);
        self.count(more);
        if lines > 0 {
            self.mentioned = None;
            self.headless = Headless::default();
            self.spoke = self.spoke.map(|spoke| spoke.saturating_add(more));
        }
    }

    fn count(&mut self, lines: u32) {
        self.cut_here = self.cut_here.saturating_add(lines);
        self.watchdog_start = self.watchdog_start.saturating_add(lines);
    }

    /// Takes a line, and reads what is decided by it of what tools put on the lines.
    pub fn line(&mut self, number: u64, raw: &[u8], found: OnFinding<'_>) {
        self.prefixes.push(number, raw);
        self.decided(found);
    }

    /// No line follows: what is open is complete.
    pub fn end(&mut self, found: OnFinding<'_>) {
        self.prefixes.end();
        self.decided(found);
        self.close(None, found);
    }

    fn decided(&mut self, found: OnFinding<'_>) {
        self.late.drain(..).for_each(&mut *found);
        while let Some(line) = self.prefixes.next() {
            self.read(&line, found);
        }
    }

    fn read(&mut self, line: &CleanLine, found: OnFinding<'_>) {
        // A tool may put a blank line after each line: they mean nothing.
        if !line.text.is_empty() {
            self.count(1);
            self.mentioned =
                self.mentioned.take().filter(|mentioned| mentioned.age < 2).map(|mut m| {
                    m.age += 1;
                    m
                });
        }
        let garbage = Garbage::of(&line.raw);
        if line.plain && self.open.is_none() {
            // Most lines of a log: none of the readers has anything to read in them.
            self.plain(line.number, &line.text, &garbage);
            return;
        }
        for (at, piece) in pieces(&line.text).enumerate() {
            self.piece(At { line: line.number, first: at == 0 }, piece, &garbage, found);
        }
    }

    fn piece(&mut self, at: At, text: &str, garbage: &Garbage<'_>, found: OnFinding<'_>) {
        let inner = without_logger(text);
        if let Some(start) = RomStart::read(text.as_bytes()) {
            self.start(at.line, start, found);
        } else if let Some((said, text)) = self.said(text, inner) {
            self.crash(at, said, text, found);
        } else if text.contains("CUT HERE FOR EXCEPTION DECODER") {
            self.cut_here = 0;
            self.heard();
        } else if !self.dump(at.line, inner.unwrap_or(text)) {
            self.other(at.line, text, inner.unwrap_or(text), garbage, found);
        }
    }

    /// What a line reports of a crash, and the part of it that does.
    fn said<'a>(&self, text: &'a str, inner: Option<&'a str>) -> Option<(CrashLine, &'a str)> {
        let of = |text: &'a str| Some((self.crash_line(text)?, text));
        of(text).or_else(|| of(inner?))
    }

    fn crash_line(&self, text: &str) -> Option<CrashLine> {
        // A page may take the `>>>` in front for a quotation.
        if text.trim() == "stack>>>" {
            return Some(CrashLine::StackBegins);
        }
        CrashLine::read(text.as_bytes()).or_else(|| {
            let text = text.trim().strip_prefix("Panic ")?;
            (self.cut_here <= CUT_HERE_HOLDS).then(|| CrashLine::Panic {
                text: printable(text.as_bytes()),
                panic: Box::<Panic>::default(),
                task: None,
            })
        })
    }

    fn heard(&mut self) {
        if let Some(open) = &mut self.open {
            open.other = 0;
        }
    }

    fn other(
        &mut self,
        number: u64,
        text: &str,
        inner: &str,
        garbage: &Garbage<'_>,
        found: OnFinding<'_>,
    ) {
        if let Some(open) = &mut self.open
            && let Some(panic) = &mut open.finding.panic
            && open.message.take(panic, inner)
        {
            open.other = 0;
            return;
        }
        if text.trim().is_empty() && !garbage.outweighs(text) {
            return;
        }
        if let Some(cause) = mentioned_exception(text) {
            self.mentioned = Some(Mentioned { line: number, cause, age: 0 });
        }
        if text.contains("esp_core_dump") {
            self.heard();
            return;
        }
        let is_garbage = garbage.outweighs(text);
        self.speaks(text, is_garbage);
        if let Some(open) = &mut self.open
            && !open.other(PATIENCE)
        {
            self.close(None, found);
        }
        self.name_build(text);
        self.judge.line(number, text, is_garbage);
    }

    /// Keeps the build, where a line names it.
    fn name_build(&mut self, text: &str) {
        let named = match &self.build_line {
            Some(line) => line.captures(text).and_then(|found| found.get(1)).map(|id| id.as_str()),
            None => build(text),
        };
        if let Some(build) = named {
            self.build = Some(printable(build.as_bytes()));
        }
    }

    /// What [`other`](DecoderState::other) does with a line without a mark while no crash is open.
    fn plain(&mut self, number: u64, text: &str, garbage: &Garbage<'_>) {
        #[cfg(test)]
        plain_tests::assert_that_nothing_reads(text);
        self.headless.pass(text);
        if self.build_line.is_some() {
            self.name_build(text);
        }
        let is_garbage = garbage.outweighs(text);
        if is_garbage || !text.trim().is_empty() {
            self.speaks(text, is_garbage);
            self.judge.line(number, text, is_garbage);
        }
    }

    fn speaks(&mut self, text: &str, is_garbage: bool) {
        if let Some(spoke) = self.spoke
            && !is_garbage
            && !is_rom_text(text)
        {
            self.spoke = Some(spoke.saturating_add(1));
        }
    }

    fn crash(&mut self, at: At, said: CrashLine, text: &str, found: OnFinding<'_>) {
        let damaged = said.damaged(text);
        let explained = said == CrashLine::HardwareWatchdog && self.is_explained();
        let number = at.line;
        match said {
            CrashLine::Registers(registers) => {
                // Also one whose numbers are damaged.
                let named = ["epc1=0x", "epc2=0x", "epc3=0x"].iter().all(|n| text.contains(n));
                self.registers(at, registers, named, found);
            }
            CrashLine::StackBegins => {
                self.head(number, found);
                if let Some(open) = &mut self.open {
                    // One dump, two stacks: a crash inside TLS has `ctx: bearssl` and `ctx: cont`.
                    open.place = DumpPart::Stack;
                }
            }
            CrashLine::HardwareWatchdog if explained => {
                // The ROM's second word on a start or a crash that was reported already.
            }
            CrashLine::HardwareWatchdog => {
                self.close(None, found);
                self.open(Finding::new(Kind::HardwareWatchdog, number));
            }
            said if said.is_crash() => self.cause(number, said, found),
            said => {
                if let CrashLine::ElfSha256(digits) = &said
                    && self.open.is_none()
                {
                    self.elf_sha256 = Some(digits.clone());
                }
                // Without a cause in front (`esp_backtrace_print`) a detail is no crash.
                if let Some(open) = &mut self.open {
                    open.detail(number, &said);
                    if said == CrashLine::Ended {
                        open.over();
                    }
                } else if said == CrashLine::StackEnds {
                    self.headless_ends(number);
                }
            }
        }
        if let Some(open) = self.open.as_mut().filter(|open| !explained && !open.is_empty()) {
            self.spoke = Some(0);
            damaged.iter().for_each(|text| open.finding.add_damaged(number, text));
        }
    }

    /// Whether a reset by a watchdog in hardware only ends what was reported already.
    fn is_explained(&self) -> bool {
        self.watchdog_start <= CUT_HERE_HOLDS || self.spoke == Some(0)
    }

    fn open(&mut self, finding: Finding) {
        let mut finding = finding;
        finding.build.clone_from(&self.build);
        finding.elf_sha256.clone_from(&self.elf_sha256);
        self.headless = Headless::default();
        self.open = Some(OpenCrash::new(finding));
    }

    /// A detail that only a crash has: where its first lines are missing, it is one of its own.
    fn head(&mut self, number: u64, found: OnFinding<'_>) {
        if self.open.as_ref().is_some_and(|open| open.place == DumpPart::After) {
            self.close(None, found);
        }
        if self.open.is_none() {
            self.open_headless(number);
        }
        self.heard();
    }

    /// Whether `text` is part of a stack dump, and takes it.
    fn dump(&mut self, number: u64, text: &str) -> bool {
        let taken = self.open.as_mut().is_some_and(|open| open.dump(number, text));
        if taken {
            self.spoke = self.spoke.map(|_| 0);
        }
        taken || self.headless_row(number, text)
    }

    pub fn close(&mut self, start: Option<&RomStart>, found: OnFinding<'_>) {
        let Some(mut open) = self.open.take() else { return };
        if open.is_empty() {
            // It was text about stack dumps.
            if let Some(before) = open.before {
                self.emit(*before, found);
            }
            return;
        }
        let before = open.before.take();
        let mut finding = open.finish();
        finding.start = start.cloned();
        let again = start.is_none() && self.spoke.is_some_and(|spoke| spoke > SPOKEN);
        match before {
            Some(before) if Reprint::is_same(&before, &finding) => {
                self.emit(Reprint::merged(*before, finding), found);
            }
            Some(before) => {
                self.emit(*before, found);
                self.emit(finding, found);
            }
            None if again && self.reprint.is_of_last(&finding) => {}
            None => self.emit(finding, found),
        }
    }

    fn emit(&mut self, finding: Finding, found: OnFinding<'_>) {
        self.reprint.note(&finding);
        let judged = self.judge.fall(finding.line, &finding);
        found(finding);
        judged.into_iter().for_each(found);
    }
}

#[cfg(test)]
mod once_tests;
#[cfg(test)]
mod plain_tests;
#[cfg(test)]
pub mod tests;
#[cfg(test)]
mod texts_tests;
