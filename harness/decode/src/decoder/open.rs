//! A crash whose lines are still coming.

use crate::crash_line::{CrashLine, Registers, backtrace_entry, call_entry, cortex_register};
use crate::decoder::message::PanicMessage;
use crate::finding::{Address, Finding, Kind, Role};
use crate::stack::{self, StackChip, StackRow};

/// Words of a stack dump that are kept because they may be addresses of code. A stack of 4 KiB
/// (the Arduino core's) has 1,024 words, and few of them are.
pub const MOST_WORDS: usize = 512;

/// Lines of other text after the mark of a stack that has no rows.
const NO_ROWS: u32 = 3;

/// Digits of what is a damaged word of a stack rather than something else.
const NEAR_WORD: usize = 5;

/// The longest name of a task, characters.
const MOST_NAME: usize = 64;

const OTHER_CORE: &str = "the dump of the other core is left out";
const CORRUPTED: &str = "the backtrace is corrupted after its last entry";
const CONTINUES: &str = "the backtrace has more entries than the chip prints";
const PAINTED: &str =
    "the stack has nothing in it but what it was filled with at the start: its frames are lost";

/// A crash whose lines are still coming.
#[derive(Debug)]
pub struct OpenCrash {
    pub finding: Finding,
    pub place: DumpPart,
    /// Lines of other text since the last one of the crash.
    pub other: u32,
    /// The message of a panic that is still to come.
    pub message: PanicMessage,
    /// The crash before it, if it may be this one, printed again.
    pub before: Option<Box<Finding>>,
    /// The firmware, or the next line after the dump, shows that the dump is over.
    pub ended: bool,
    /// Nothing more of it comes.
    pub over: bool,
    /// In the words of ESP-IDF, whose dumps end with a backtrace or a stack.
    pub guru: bool,
    /// In the words of Zephyr or of a bare handler, which name one crash several times.
    pub fault: bool,
    /// In the words of NuttX, which prints the fault, an assertion and the registers one after the other.
    pub nuttx: bool,
    /// The task watchdog of ESP-IDF said why.
    pub task_watchdog: bool,
    /// A word of the stack that the end of a line cut in two, and that line.
    half: (u64, String),
    /// Rows of the stack so far, and whether one of their words was used.
    rows: u32,
    used: bool,
    chip: StackChip,
    /// Register dumps so far: the second one is of the other core.
    dumps: u32,
    /// Registers or a backtrace were seen.
    details: bool,
}

/// How far a dump has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DumpPart {
    Cause,
    Stack,
    Backtrace,
    After,
}

impl OpenCrash {
    pub fn new(finding: Finding) -> OpenCrash {
        OpenCrash {
            finding,
            place: DumpPart::Cause,
            other: 0,
            message: PanicMessage::None,
            before: None,
            ended: false,
            over: false,
            guru: false,
            fault: false,
            nuttx: false,
            task_watchdog: false,
            half: (0, String::new()),
            rows: 0,
            used: false,
            chip: StackChip::default(),
            dumps: 0,
            details: false,
        }
    }

    /// A mark without rows: it is text about stack dumps.
    pub fn is_empty(&self) -> bool {
        self.finding.kind == Kind::StackDump && self.rows == 0
    }

    /// Whether what comes now is of the core that did not crash.
    pub fn is_of_other_core(&self) -> bool {
        self.dumps > 1
    }

    /// Takes the registers of a line.
    pub fn registers(&mut self, registers: &Registers) {
        self.other = 0;
        if self.dumps > 1 {
            self.finding.add_note(OTHER_CORE);
            return;
        }
        self.details = true;
        let before = self.finding.registers.clone();
        self.finding.registers.fill(registers);
        let now = &self.finding.registers;
        let new = [
            (Role::Epc1, now.epc1, before.epc1),
            (Role::Epc2, now.epc2, before.epc2),
            (Role::Epc3, now.epc3, before.epc3),
            (Role::Depc, now.depc, before.depc),
            (Role::Ra, named(now), named(&before)),
        ];
        for (role, value, known) in new {
            if known.is_none() {
                self.add(role, value.filter(|value| *value != 0));
            }
        }
    }

    /// Takes a line that adds to a dump; whether it was one.
    pub fn detail(&mut self, number: u64, line: &CrashLine) -> bool {
        match line {
            CrashLine::StackEnds => {
                self.drop_half();
                self.place = DumpPart::After;
            }
            CrashLine::FailedAllocation { caller, bytes } => {
                if let Some(caller) = caller {
                    self.finding.failed_alloc = Some((*caller, *bytes));
                }
                self.add(Role::FailedAlloc, *caller);
            }
            CrashLine::Backtrace { addresses, end } => {
                if self.dumps > 1 {
                    self.finding.add_note(OTHER_CORE);
                } else {
                    addresses.iter().for_each(|at| self.add(Role::Backtrace, Some(*at)));
                    match end {
                        Some("CORRUPTED") => self.finding.add_note(CORRUPTED),
                        Some(_) => self.finding.add_note(CONTINUES),
                        None => {}
                    }
                }
                self.details = true;
                self.ended = true;
                self.place = DumpPart::After;
            }
            CrashLine::BacktraceBegins => {
                self.ended = true;
                self.place = DumpPart::Backtrace;
            }
            CrashLine::StackMemory => {
                self.chip = StackChip::Riscv;
                self.place = DumpPart::Stack;
            }
            CrashLine::Detail { what } => self.finding.add_detail(what),
            CrashLine::Task { name, at } => {
                let task = self.finding.task.get_or_insert_with(|| name.clone());
                // Zephyr names the thread by its address first.
                if task.starts_with("0x") {
                    task.clone_from(name);
                }
                self.add(Role::Caller, *at);
                if self.finding.said.as_deref() == Some("Stack protection fault") {
                    self.finding.kind = Kind::StackOverflow;
                    self.finding.said = None;
                }
            }
            CrashLine::RegisterDump => self.dumps += 1,
            CrashLine::ElfSha256(digits) => {
                self.finding.elf_sha256 = Some(digits.clone());
                self.ended();
            }
            CrashLine::Ended => self.ended(),
            _ => return false,
        }
        let _ = number;
        self.message = PanicMessage::None;
        self.other = 0;
        true
    }

    /// The lines of the dump itself are over; a backtrace may still come.
    fn ended(&mut self) {
        self.drop_half();
        self.ended = true;
        if self.place == DumpPart::Stack {
            self.place = DumpPart::After;
        }
    }

    /// `Rebooting...`: nothing more of this crash comes.
    pub fn over(&mut self) {
        self.ended();
        self.over = true;
        self.place = DumpPart::After;
    }

    /// Whether `text` is part of a stack dump or of a backtrace, and takes it.
    pub fn dump(&mut self, number: u64, text: &str) -> bool {
        // Rust's handler of exceptions prints them without a head, after the registers.
        let bare = self.fault && self.details && self.place == DumpPart::Cause;
        if bare && matches!(backtrace_entry(text), Some(Ok(_))) {
            self.place = DumpPart::Backtrace;
        }
        if self.place == DumpPart::Backtrace {
            match backtrace_entry(text) {
                Some(Ok(address)) => self.add(Role::Backtrace, Some(address)),
                Some(Err(damaged)) => self.finding.add_damaged(number, &damaged),
                None => return false,
            }
            self.other = 0;
            return true;
        }
        if self.task_watchdog && self.place == DumpPart::Cause && self.late_task(text) {
            self.other = 0;
            return true;
        }
        if let Some(address) = call_entry(text).filter(|_| self.fault) {
            self.add(Role::Ra, Some(address));
            self.other = 0;
            return true;
        }
        if let Some(found) = cortex_register(text).filter(|_| self.fault) {
            self.registers(&found);
            return true;
        }
        let head = stack::head(text);
        if head.is_some() {
            self.other = 0;
        }
        let text = head.unwrap_or(text);
        let in_stack = self.place == DumpPart::Stack;
        let row = stack::row(if in_stack { &self.half.1 } else { "" }, text)
            // Without the mark in front, only whole rows count.
            .filter(|row| in_stack || (self.place == DumpPart::Cause && row.is_whole()))
            // A few digits right after the mark are no half of a word.
            .filter(|row| self.rows > 0 || row.address.is_some() || !row.words.is_empty());
        let Some(row) = row else { return head.is_some() };
        self.place = DumpPart::Stack;
        self.row(number, row);
        true
    }

    /// What the task watchdog of ESP-IDF lists: the tasks that were late, and those that ran.
    fn late_task(&mut self, text: &str) -> bool {
        let text = text.rsplit_once("task_wdt: ").map_or(text, |(_, text)| text).trim();
        if let Some(task) = text.strip_prefix("- ") {
            let named = task.split_once(" (").map_or(task, |(name, _)| name);
            let named: String = named.chars().take(MOST_NAME).collect();
            let task = hilrig_core::text::printable(named.as_bytes());
            self.finding.task.get_or_insert(task);
            return true;
        }
        text == "Aborting."
            || text.starts_with("Tasks currently running")
            || text.strip_prefix("CPU ").is_some_and(|rest| rest.chars().nth(1) == Some(':'))
    }

    /// Takes a row of the stack.
    pub fn row(&mut self, number: u64, row: StackRow) {
        if !row.joined {
            self.drop_half();
        }
        self.half = (number, row.half);
        self.other = 0;
        self.rows += u32::from(row.address.is_some() || !row.words.is_empty());
        self.chip = row.address.and_then(StackChip::of).unwrap_or(self.chip);
        for damaged in &row.damaged {
            self.finding.add_damaged(number, damaged);
            self.used = true;
        }
        for word in row.words {
            self.used |= !stack::is_paint(word);
            if self.chip.may_be_code(word) {
                match self.finding.addresses.len() < MOST_WORDS {
                    true => self.add(Role::Stack, Some(word)),
                    false => self.finding.cut = true,
                }
            }
        }
    }

    /// What is at the end of a row and has no second half is damaged.
    fn drop_half(&mut self) {
        let (line, half) = std::mem::take(&mut self.half);
        // A few digits may be anything: a counter that a tool writes in front of a blank line.
        if half.len() >= NEAR_WORD {
            self.finding.add_damaged(line, &half);
        }
    }

    /// A line of other text; whether the crash is still open after it.
    pub fn other(&mut self, patience: u32) -> bool {
        self.other += 1;
        if self.place == DumpPart::Stack && self.rows == 0 && self.other > NO_ROWS {
            if self.is_empty() {
                return false;
            }
            self.finding.cut = true;
            self.place = DumpPart::After;
        }
        self.other <= patience
    }

    /// The finding, as far as its lines came.
    pub fn finish(mut self) -> Finding {
        let was_in_stack = self.place == DumpPart::Stack;
        if !was_in_stack {
            self.drop_half();
        }
        let mut finding = self.finding;
        // The SDK's handler prints no stack; the core's always does.
        let esp8266 = finding.kind == Kind::Exception && finding.said.is_none();
        let arduino = esp8266 && !finding.fatal && !self.fault && !self.guru;
        let esp_idf = self.guru && self.details && !self.ended;
        finding.cut |= was_in_stack || (arduino && self.place == DumpPart::Cause) || esp_idf;
        if self.rows > 0 && !self.used {
            finding.add_note(PAINTED);
        }
        // A0 is the caller of a function of the Xtensa; a backtrace has it as its second entry.
        let has = |role| finding.addresses.iter().any(|address| address.role == role);
        if !has(Role::Backtrace) && !has(Role::Ra) {
            let ra = finding.registers.return_address();
            add(&mut finding, Role::Ra, ra.filter(|ra| *ra != 0));
        }
        finding
    }

    pub fn add(&mut self, role: Role, value: Option<u32>) {
        add(&mut self.finding, role, value);
    }
}

/// Return addresses that dumps name as such.
fn named(registers: &Registers) -> Option<u32> {
    let other = |name: &&str| u32::try_from(*registers.others.get(*name)?).ok();
    ["ra", "lr", "rtn_addr"].iter().find_map(other)
}

pub fn add(finding: &mut Finding, role: Role, value: Option<u32>) {
    if let Some(value) = value
        && finding.addresses.len() < MOST_WORDS + 16
    {
        finding.addresses.push(Address { role, value });
    }
}
