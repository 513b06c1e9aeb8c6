//! Lines that name the cause of a crash: of a new one, or of the one that was announced before.

use super::message::PanicMessage;
use super::open::OpenCrash;
use super::{At, DecoderState, DumpPart, OnFinding};
use crate::crash_line::{CrashLine, Registers};
use crate::finding::{Finding, Kind, Role};

/// Other lines that may come between two lines that name one crash, where the second one always
/// has a first: the other core may write meanwhile.
const APART: u32 = 2;

/// Other lines that may come between two lines of NuttX that name one crash: its version, the state of the
/// stacks.
const APART_NUTTX: u32 = 24;

/// Zephyr's numbers of fatal errors that say more than that there was one.
const STACK_CHECK: u32 = 2;
const OOPS: u32 = 3;
const PANIC: u32 = 4;

impl DecoderState {
    /// A line that names a cause: of a new crash, or what the crash is that was announced before.
    pub(super) fn cause(&mut self, number: u64, said: CrashLine, found: OnFinding<'_>) {
        let Some(kind) = kind(&said) else { return };
        let announced = self
            .open
            .as_ref()
            .is_some_and(|open| open.other <= apart(&said) && is_more_of(open, kind, &said));
        if !announced {
            self.next(Finding::new(kind, number), found);
        }
        if let Some(open) = &mut self.open {
            open.name(kind, said, announced);
            open.other = 0;
        }
    }

    /// A line of registers: of the crash that is open, or of one whose first lines are lost.
    pub(super) fn registers(
        &mut self,
        at: At,
        registers: Registers,
        named: bool,
        found: OnFinding<'_>,
    ) {
        // A second set belongs to a second crash, whose first line was lost.
        let again = |open: &OpenCrash| {
            open.is_empty()
                || open.place == DumpPart::After
                || (registers.epc1.is_some()
                    && open.finding.registers.epc1.is_some()
                    // A fault of Rust has its place on its line, and then all registers.
                    && !(open.fault && open.place == DumpPart::Cause && open.other <= 1))
        };
        let other_core = self.open.as_ref().is_some_and(OpenCrash::is_of_other_core);
        if (registers.is_whole() || named) && !other_core && self.open.as_ref().is_none_or(again) {
            if !at.first && self.mentioned.is_none() {
                // Registers after other text and no exception before them: it is a quotation.
                return;
            }
            let mentioned = self.mentioned.take();
            let line = mentioned.map_or(at.line, |mentioned| mentioned.line);
            let mut finding = Finding::new(Kind::Exception, line);
            finding.cause = mentioned.map(|mentioned| mentioned.cause);
            let esp8266 = named || registers.epc2.is_some();
            // The line in front, which names the cause, is missing.
            finding.cut = !esp8266;
            self.next(finding, found);
            if let Some(open) = self.open.as_mut().filter(|_| !esp8266) {
                open.guru =
                    registers.others.contains_key("ps") || registers.others.contains_key("gp");
                open.fault = !open.guru;
            }
        }
        // A mark without rows, and registers after other text: it is text about dumps.
        let quoted = |open: &OpenCrash| !at.first && open.is_empty();
        if let Some(open) = self.open.as_mut().filter(|open| !open.over && !quoted(open)) {
            open.registers(&registers);
        }
    }

    /// Opens the next crash. If nothing is between it and the one before, it may be that one,
    /// printed again.
    pub(super) fn next(&mut self, finding: Finding, found: OnFinding<'_>) {
        let close = self.open.as_ref().is_some_and(|open| open.other == 0 && !open.is_empty());
        let before = match close {
            true => {
                let mut open = self.open.take();
                let earlier = open.as_mut().and_then(|open| open.before.take());
                let last = open.map(OpenCrash::finish);
                self.settle(earlier, last, found)
            }
            false => {
                self.close(None, found);
                None
            }
        };
        self.open(finding);
        if let Some(open) = &mut self.open {
            open.before = before;
        }
    }
}

impl OpenCrash {
    /// Takes what a line reports of the cause.
    fn name(&mut self, kind: Kind, said: CrashLine, announced: bool) {
        self.guru |= matches!(said, CrashLine::Guru { .. });
        self.nuttx |= matches!(said, CrashLine::Nuttx { .. });
        self.fault |=
            self.nuttx || matches!(said, CrashLine::Fault { .. } | CrashLine::Zephyr { .. });
        if let CrashLine::Fault { registers, .. } | CrashLine::Nuttx { registers, .. } = &said {
            self.registers(registers);
        }
        self.message = PanicMessage::None;
        let finding = &mut self.finding;
        if announced {
            finding.kind = more_exact(finding, kind);
        }
        match said {
            CrashLine::Exception { cause, fatal } => {
                finding.cause = finding.cause.or(Some(cause));
                finding.fatal |= fatal;
            }
            CrashLine::StackSmashed { at } | CrashLine::Abort { at } => self.add(Role::Caller, at),
            CrashLine::Canary { task, cut } => {
                self.guru = true;
                finding.task = task.or(finding.task.take());
                finding.cut |= cut;
                finding.said = None;
            }
            CrashLine::StackOverflow { task, at, cut } => {
                finding.task = task.or(finding.task.take());
                finding.cut |= cut;
                finding.said = None;
                at.into_iter().for_each(|at| self.add(Role::Caller, at));
            }
            CrashLine::Guru { what } | CrashLine::Fault { what, .. } => match finding.kind {
                Kind::Exception if finding.said.is_none() => {
                    finding.cut |= self.guru && what.is_empty();
                    finding.said = Some(what).filter(|what| self.guru || !what.is_empty());
                }
                Kind::Exception if finding.said.as_deref() != Some(&what) => {
                    finding.add_detail(&what);
                }
                _ => {}
            },
            CrashLine::Zephyr { what, .. } => match finding.kind {
                Kind::Exception if finding.said.is_none() => finding.said = Some(what),
                _ => finding.add_detail(&what),
            },
            CrashLine::Nuttx { what, panic, task, .. } => {
                finding.task = finding.task.take().or(task);
                finding.panic = finding.panic.take().or_else(|| panic.map(|panic| *panic));
                if finding.kind == Kind::Exception && finding.said.is_none() && !what.is_empty() {
                    finding.said = Some(what);
                }
            }
            CrashLine::TaskWatchdog => {
                self.task_watchdog = true;
                finding.said = Some("the task watchdog was not reset in time".to_owned());
            }
            CrashLine::Panic { text, panic, task } => {
                finding.task = finding.task.take().or(task);
                let open = panic.message.is_none() && text.is_empty();
                if finding.kind == Kind::Panic || finding.kind == Kind::UnhandledException {
                    if open {
                        self.message = PanicMessage::Lines(0);
                    }
                    match &mut finding.panic {
                        // A banner comes first, and the place after it.
                        Some(known) if known.file.is_none() && known.message.is_none() => {
                            *known = *panic;
                        }
                        Some(_) => {}
                        None => finding.panic = Some(*panic),
                    }
                }
                match &finding.said {
                    None if !text.is_empty() => finding.said = Some(text),
                    Some(said) if !text.is_empty() && *said != text => finding.add_detail(&text),
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

fn kind(said: &CrashLine) -> Option<Kind> {
    Some(match said {
        CrashLine::Exception { .. } | CrashLine::Guru { .. } | CrashLine::Fault { .. } => {
            Kind::Exception
        }
        CrashLine::Nuttx { what, .. } if what.is_empty() => Kind::Panic,
        CrashLine::Nuttx { .. } => Kind::Exception,
        CrashLine::Zephyr { reason, .. } => match *reason {
            STACK_CHECK => Kind::StackOverflow,
            OOPS | PANIC => Kind::Panic,
            _ => Kind::Exception,
        },
        CrashLine::SoftWatchdog | CrashLine::TaskWatchdog => Kind::SoftWatchdog,
        CrashLine::StackSmashed { .. } => Kind::StackSmashed,
        CrashLine::StackOverflow { .. } | CrashLine::Canary { .. } => Kind::StackOverflow,
        CrashLine::Abort { .. } => Kind::Abort,
        CrashLine::UserException => Kind::UserException,
        CrashLine::Panic { .. } => Kind::Panic,
        CrashLine::UnhandledException => Kind::UnhandledException,
        CrashLine::Brownout => Kind::Brownout,
        _ => return None,
    })
}

/// Other lines that may come before one that adds to the crash that is open.
fn apart(said: &CrashLine) -> u32 {
    match said {
        CrashLine::Nuttx { .. } => APART_NUTTX,
        CrashLine::Abort { .. } | CrashLine::Canary { .. } | CrashLine::Zephyr { .. } => APART,
        CrashLine::Guru { what } if what == "abort" => APART,
        _ => 0,
    }
}

/// Whether a line adds to the crash that is open, rather than begins a new one.
fn is_more_of(open: &OpenCrash, kind: Kind, said: &CrashLine) -> bool {
    if matches!(said, CrashLine::Zephyr { .. }) && open.fault {
        // It comes last, after registers and traces.
        return !open.over;
    }
    if matches!(said, CrashLine::Nuttx { .. }) {
        return open.nuttx && !open.over;
    }
    if open.place != DumpPart::Cause {
        return false;
    }
    let first = &open.finding;
    let fault = matches!(said, CrashLine::Fault { .. } | CrashLine::Zephyr { .. });
    let gives_up = kind == Kind::Abort || matches!(said, CrashLine::Guru { .. });
    match first.kind {
        Kind::UserException => kind != Kind::UserException,
        // The core prints the registers of what it noticed under the head of an exception.
        Kind::StackSmashed | Kind::StackOverflow | Kind::SoftWatchdog => {
            gives_up || (kind == Kind::Exception && first.cause.is_none())
        }
        Kind::Abort => matches!(said, CrashLine::Guru { .. }),
        // A banner and its place; a heap that is corrupt and the assertion that found it; a thread
        // of std that panics, and then aborts.
        Kind::Panic => {
            let unnamed = first.said.is_none()
                && open.finding.panic.as_ref().is_none_or(|panic| panic.file.is_none());
            let corrupt = first.said.as_deref().is_some_and(|s| s.starts_with("CORRUPT HEAP"));
            gives_up || fault || (kind == Kind::Panic && (unnamed || corrupt || open.fault))
        }
        Kind::UnhandledException => gives_up,
        Kind::Exception => {
            let reason = matches!(said, CrashLine::Canary { .. });
            (open.guru && reason) || (open.fault && (fault || kind == Kind::Panic))
        }
        _ => false,
    }
}

/// The more exact one of two kinds that name one crash.
fn more_exact(first: &Finding, then: Kind) -> Kind {
    match (first.kind, then) {
        (Kind::UserException, then) => then,
        (Kind::Exception, Kind::StackOverflow) => then,
        // Zephyr panics on purpose, without a fault in front.
        (Kind::Exception, Kind::Panic) if first.said.is_none() => then,
        // What ends in `abort()` is one, and the watchdog's text is the reason.
        (Kind::SoftWatchdog, Kind::Abort) => then,
        (first, _) => first,
    }
}
