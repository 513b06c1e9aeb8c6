//! A stream of bytes in, findings out.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use crate::clean::Garbage;
use crate::crash_line::{CrashLine, Registers};
use crate::encoding::Encoding;
use crate::finding::{Address, Finding, Kind, Role};
use crate::judge::{Judge, LoopRule};
use crate::lines::{self, Lines};
use crate::prefix::{Line, Prefixes};
use crate::scan::Scan;
use crate::stack::{self, Row};
use crate::start::RomStart;

/// Other lines that may stand between two lines of one crash, or between a crash and the start
/// that follows it.
const PATIENCE: u32 = 40;

/// Words of a stack dump that are kept because they may be addresses of code. A stack of 4 KiB
/// (the Arduino core's) has 1,024 words, and few of them are.
const MOST_WORDS: usize = 512;

/// Lines behind a `CUT HERE` line in which any `Panic ...` is one.
const CUT_HERE_HOLDS: u32 = 3;

/// Reads a log as it comes. Memory is bounded whatever comes, and how the stream is cut into
/// chunks changes nothing.
#[derive(Debug)]
pub struct Decoder {
    lines: Lines,
    encoding: Encoding,
    state: State,
}

impl Decoder {
    /// Boot loops are judged by `rule`.
    pub fn new(rule: LoopRule) -> Decoder {
        Decoder { lines: Lines::default(), encoding: Encoding::default(), state: State::new(rule) }
    }

    /// Takes a chunk; what it completes is handed to `found`. A crash is complete when its chip
    /// has started again, or [`finish`](Decoder::finish) is called, or [`PATIENCE`] lines of other
    /// text have come.
    pub fn feed(&mut self, chunk: &[u8], mut found: impl FnMut(Finding)) {
        let Decoder { lines, encoding, state } = self;
        lines.feed(chunk, |number, line| read(state, encoding, number, line, &mut found));
    }

    /// The stream has ended. Returns how many lines it had.
    pub fn finish(mut self, mut found: impl FnMut(Finding)) -> u64 {
        let Decoder { lines, encoding, state } = &mut self;
        lines.finish(|number, line| read(state, encoding, number, line, &mut found));
        state.end(&mut found);
        lines.count()
    }
}

fn read(state: &mut State, encoding: &mut Encoding, number: u64, line: &[u8], found: Found<'_>) {
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
pub struct State {
    prefixes: Prefixes,
    /// Findings of lines that were still waiting for their prefix when they were needed.
    late: Vec<Finding>,
    judge: Judge,
    open: Option<Open>,
    /// Lines since the last `CUT HERE`.
    cut_here: u32,
    /// `... Exception (28):` behind other text on its line. Only registers on one of the next
    /// lines make a crash of it.
    mentioned: Option<Mentioned>,
    /// Lines since a start by the hardware watchdog.
    watchdog_start: u32,
}

/// Where a piece of text stood.
#[derive(Clone, Copy, Debug)]
struct At {
    line: u64,
    /// At the beginning of its line.
    first: bool,
}

/// An exception that stood behind other text.
#[derive(Clone, Copy, Debug)]
struct Mentioned {
    line: u64,
    cause: u32,
    age: u32,
}

/// A crash whose lines are still coming.
#[derive(Debug)]
struct Open {
    finding: Finding,
    place: Place,
    /// Lines of other text since the last one of the crash.
    other: u32,
    /// A word of the stack that the end of a line cut in two.
    half: String,
}

/// How far a dump has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Cause,
    Stack,
    Behind,
}

pub type Found<'a> = &'a mut dyn FnMut(Finding);

impl State {
    pub fn new(rule: LoopRule) -> State {
        State {
            prefixes: Prefixes::default(),
            late: Vec::new(),
            judge: Judge::new(rule),
            open: None,
            cut_here: u32::MAX,
            mentioned: None,
            watchdog_start: u32::MAX,
        }
    }

    /// The crash whose lines are still coming, as far as it is certain that it is one.
    pub fn coming(&self) -> Option<&Finding> {
        let finding = &self.open.as_ref()?.finding;
        // A mark without rows may be somebody's words about stack dumps.
        (finding.kind != Kind::StackDump || !finding.addresses.is_empty()).then_some(finding)
    }

    /// Whether a next line may belong to a crash.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The rig is about to reset the board: the start that follows tells nothing of the firmware.
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
        self.cut_here = self.cut_here.saturating_add(more);
        self.watchdog_start = self.watchdog_start.saturating_add(more);
        if lines > 0 {
            self.mentioned = None;
        }
    }

    /// Takes a line, and reads what is decided by it of what tools put on the lines.
    pub fn line(&mut self, number: u64, raw: &[u8], found: Found<'_>) {
        self.prefixes.push(number, raw);
        self.decided(found);
    }

    /// No line follows: what is open is complete.
    pub fn end(&mut self, found: Found<'_>) {
        self.prefixes.end();
        self.decided(found);
        self.close(None, found);
    }

    fn decided(&mut self, found: Found<'_>) {
        self.late.drain(..).for_each(&mut *found);
        while let Some(line) = self.prefixes.next() {
            self.read(&line, found);
        }
    }

    fn read(&mut self, line: &Line, found: Found<'_>) {
        // A tool may put a blank line after each line: they tell nothing.
        if !line.text.is_empty() {
            self.cut_here = self.cut_here.saturating_add(1);
            self.watchdog_start = self.watchdog_start.saturating_add(1);
            self.mentioned =
                self.mentioned.take().filter(|mentioned| mentioned.age < 2).map(|mut m| {
                    m.age += 1;
                    m
                });
        }
        let garbage = Garbage::of(&line.raw);
        for (at, piece) in pieces(&line.text).enumerate() {
            self.piece(At { line: line.number, first: at == 0 }, piece, &garbage, found);
        }
    }

    fn piece(&mut self, at: At, text: &str, garbage: &Garbage<'_>, found: Found<'_>) {
        if let Some(start) = RomStart::read(text.as_bytes()) {
            self.start(at.line, start, found);
        } else if let Some(said) = self.crash_line(text) {
            self.crash(at, said, found);
        } else if text.contains("CUT HERE FOR EXCEPTION DECODER") {
            self.cut_here = 0;
            self.heard();
        } else if !self.dump(text) {
            self.other(at.line, text, garbage, found);
        }
    }

    fn crash_line(&self, text: &str) -> Option<CrashLine> {
        // A page may take the `>>>` in front for a quotation.
        if text.trim() == "stack>>>" {
            return Some(CrashLine::StackBegins);
        }
        CrashLine::read(text.as_bytes()).or_else(|| {
            let text = text.trim().strip_prefix("Panic ")?;
            (self.cut_here <= CUT_HERE_HOLDS)
                .then(|| CrashLine::Panic { text: hilrig_core::text::printable(text.as_bytes()) })
        })
    }

    fn heard(&mut self) {
        if let Some(open) = &mut self.open {
            open.other = 0;
        }
    }

    fn other(&mut self, number: u64, text: &str, garbage: &Garbage<'_>, found: Found<'_>) {
        if let Some(cause) = mentioned_exception(text) {
            self.mentioned = Some(Mentioned { line: number, cause, age: 0 });
        }
        if text.trim().is_empty() && !garbage.outweighs(text) {
            return;
        }
        if let Some(open) = &mut self.open {
            open.other += 1;
            if open.other > PATIENCE {
                self.close(None, found);
            }
        }
        if !text.trim().is_empty() {
            self.judge.line(number, text, garbage.outweighs(text));
        }
    }

    fn start(&mut self, number: u64, start: RomStart, found: Found<'_>) {
        let explained = self.open.is_some();
        self.close(Some(&start), found);
        let fell = !explained && (start.by_watchdog() || start.by_brownout());
        if start.by_watchdog() {
            self.watchdog_start = 0;
        }
        let kind = match (fell, start.by_brownout()) {
            (false, _) => Kind::Start,
            (true, true) => Kind::Brownout,
            (true, false) => Kind::HardwareWatchdog,
        };
        let mut finding = Finding::new(kind, number);
        finding.start = Some(start.clone());
        let mut judged = Vec::new();
        if fell {
            judged.extend(self.judge.fall(number, &finding));
        }
        judged.extend(self.judge.start(number, &start, explained || fell));
        found(finding);
        judged.into_iter().for_each(found);
    }

    fn crash(&mut self, at: At, said: CrashLine, found: Found<'_>) {
        let number = at.line;
        match said {
            CrashLine::Registers(registers) => self.registers(at, registers, found),
            CrashLine::StackBegins => {
                self.detail(number, found);
                if let Some(open) = &mut self.open {
                    // One dump, two stacks: a crash inside TLS has `ctx: bearssl` and `ctx: cont`.
                    open.place = Place::Stack;
                }
            }
            CrashLine::StackEnds => {
                if let Some(open) = &mut self.open {
                    open.place = Place::Behind;
                    open.half.clear();
                    open.other = 0;
                }
            }
            CrashLine::FailedAllocation { caller, bytes } => {
                if let Some(open) = &mut self.open {
                    open.finding.failed_alloc = Some((caller, bytes));
                    add(&mut open.finding, Role::FailedAlloc, Some(caller));
                    open.other = 0;
                }
            }
            CrashLine::Backtrace(addresses) => {
                // Without a cause in front (`esp_backtrace_print`) it tells of no crash.
                if let Some(open) = &mut self.open {
                    for address in addresses {
                        add(&mut open.finding, Role::Backtrace, Some(address));
                    }
                    open.place = Place::Behind;
                    open.other = 0;
                }
            }
            CrashLine::HardwareWatchdog if self.watchdog_start <= CUT_HERE_HOLDS => {
                // The ROM's second word on a start that was told already.
            }
            CrashLine::HardwareWatchdog => {
                self.close(None, found);
                self.open(Finding::new(Kind::HardwareWatchdog, number));
            }
            said => self.cause(number, said, found),
        }
    }

    /// A line that names a cause: of a new crash, or what the crash is that was announced before.
    fn cause(&mut self, number: u64, said: CrashLine, found: Found<'_>) {
        let (kind, cause, fatal) = match &said {
            CrashLine::Exception { cause, fatal } => (Kind::Exception, Some(*cause), *fatal),
            CrashLine::SoftWatchdog => (Kind::SoftWatchdog, None, false),
            CrashLine::StackSmashed { .. } => (Kind::StackSmashed, None, false),
            CrashLine::StackOverflow => (Kind::StackOverflow, None, false),
            CrashLine::Abort { .. } => (Kind::Abort, None, false),
            CrashLine::UserException => (Kind::UserException, None, false),
            CrashLine::Panic { .. } => (Kind::Panic, None, false),
            CrashLine::UnhandledException => (Kind::UnhandledException, None, false),
            CrashLine::Guru { .. } => (Kind::Exception, None, false),
            CrashLine::Brownout => (Kind::Brownout, None, false),
            _ => return,
        };
        let at_cause = self.open.take_if(|open| {
            open.place == Place::Cause && announces(open.finding.kind, kind, &open.finding)
        });
        let mut finding = match at_cause {
            Some(mut open) => {
                if open.finding.kind == Kind::UserException {
                    open.finding.kind = kind;
                }
                open.finding
            }
            None => {
                self.close(None, found);
                Finding::new(kind, number)
            }
        };
        finding.cause = finding.cause.or(cause);
        finding.fatal |= fatal;
        match said {
            CrashLine::StackSmashed { at } | CrashLine::Abort { at } => {
                add(&mut finding, Role::Caller, at);
            }
            CrashLine::Panic { text } | CrashLine::Guru { what: text } => finding.said = Some(text),
            _ => {}
        }
        self.open(finding);
    }

    fn open(&mut self, finding: Finding) {
        self.open = Some(Open { finding, place: Place::Cause, other: 0, half: String::new() });
    }

    fn registers(&mut self, at: At, registers: Registers, found: Found<'_>) {
        // A second set belongs to a second crash, whose first line was lost.
        let again = |open: &Open| {
            open.place == Place::Behind
                || registers.epc1.is_some() && open.finding.registers.epc1.is_some()
        };
        if registers.is_whole() && self.open.as_ref().is_none_or(again) {
            if !at.first && self.mentioned.is_none() {
                // Registers behind other text and no exception before them: somebody quotes them.
                return;
            }
            self.close(None, found);
            let mentioned = self.mentioned.take();
            let line = mentioned.map_or(at.line, |mentioned| mentioned.line);
            let mut finding = Finding::new(Kind::Exception, line);
            finding.cause = mentioned.map(|mentioned| mentioned.cause);
            self.open(finding);
        }
        let Some(open) = &mut self.open else { return };
        if !at.first && open.finding.kind == Kind::StackDump && open.finding.addresses.is_empty() {
            // A mark without rows, and registers behind other text: somebody writes about dumps.
            return;
        }
        let before = open.finding.registers;
        open.finding.registers.fill(registers);
        open.other = 0;
        for (role, value, known) in [
            (Role::Epc1, registers.epc1, before.epc1),
            (Role::Epc2, registers.epc2, before.epc2),
            (Role::Epc3, registers.epc3, before.epc3),
            (Role::Depc, registers.depc, before.depc),
        ] {
            if known.is_none() {
                add(&mut open.finding, role, value.filter(|value| *value != 0));
            }
        }
    }

    /// A detail that only a crash has: where its first lines are missing, it is one of its own.
    fn detail(&mut self, number: u64, found: Found<'_>) {
        if self.open.as_ref().is_some_and(|open| open.place == Place::Behind) {
            self.close(None, found);
        }
        if self.open.is_none() {
            let mut finding = Finding::new(Kind::StackDump, number);
            finding.cut = true;
            self.open(finding);
        }
        self.heard();
    }

    /// Whether `text` is part of a stack dump, and takes it.
    fn dump(&mut self, text: &str) -> bool {
        let Some(open) = &mut self.open else { return false };
        let head = stack::head(text);
        if head.is_some() {
            open.other = 0;
        }
        let text = head.unwrap_or(text);
        if open.place != Place::Stack {
            return head.is_some();
        }
        let Some(Row { words, half }) = stack::row(&open.half, text) else {
            return head.is_some();
        };
        open.half = half;
        open.other = 0;
        for word in words {
            if stack::may_be_code(word) {
                match open.finding.addresses.len() < MOST_WORDS {
                    true => add(&mut open.finding, Role::Stack, Some(word)),
                    false => open.finding.cut = true,
                }
            }
        }
        true
    }

    pub fn close(&mut self, start: Option<&RomStart>, found: Found<'_>) {
        let Some(Open { mut finding, place, .. }) = self.open.take() else { return };
        if finding.kind == Kind::StackDump && finding.addresses.is_empty() {
            // A mark without rows: somebody wrote about stack dumps.
            return;
        }
        // The SDK's handler prints no stack; the core's always does.
        let arduino = finding.kind == Kind::Exception && !finding.fatal && finding.said.is_none();
        finding.cut |= place == Place::Stack || (arduino && place == Place::Cause);
        finding.start = start.cloned();
        let judged = self.judge.fall(finding.line, &finding);
        found(finding);
        judged.into_iter().for_each(found);
    }
}

/// Whether a crash that so far is `first` may be named more closely by a line that says `then`.
fn announces(first: Kind, then: Kind, so_far: &Finding) -> bool {
    match first {
        Kind::UserException => then != Kind::UserException,
        // The core prints the registers of what it noticed under the head of an exception.
        Kind::StackSmashed | Kind::StackOverflow | Kind::SoftWatchdog => {
            then == Kind::Exception && so_far.cause.is_none()
        }
        _ => false,
    }
}

fn add(finding: &mut Finding, role: Role, value: Option<u32>) {
    if let Some(value) = value
        && finding.addresses.len() < MOST_WORDS + 16
    {
        finding.addresses.push(Address { role, value });
    }
}

/// `text` in the pieces that were lines before a page took the line ends out.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (piece, behind) = match next_mark(text) {
            Some(at) => (&text[..at], Some(&text[at..])),
            None => (text, None),
        };
        rest = behind;
        Some(piece)
    })
}

/// Where the next piece of `text` begins: at a mark, or behind one that `text` begins with.
fn next_mark(text: &str) -> Option<usize> {
    // One search for all of them: a line that is full of one mark is not read to its end again and
    // again for the others.
    static BEGINS: LazyLock<Regex> = LazyLock::new(|| {
        let marks = r">>>stack>>>|<<<stack<<<|epc1=0x|last failed alloc call:|ctx: |Backtrace:0x";
        Regex::new(marks).expect("a constant pattern compiles")
    });
    for mark in [">>>stack>>>", "<<<stack<<<"] {
        if text.starts_with(mark) && text.len() > mark.len() {
            return Some(mark.len());
        }
    }
    let skipped = text.chars().next()?.len_utf8();
    BEGINS.find_at(text, skipped).map(|mark| mark.start())
}

/// The cause of an exception that stands at the end of `text`, behind something else.
fn mentioned_exception(text: &str) -> Option<u32> {
    let at = text.rfind("xception (")?;
    let mut scan = Scan(&text.trim_end().as_bytes()[at + "xception (".len()..]);
    let cause = scan.decimal()?;
    (scan.0 == b"):").then_some(cause)
}

#[cfg(test)]
pub mod tests;
