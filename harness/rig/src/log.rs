//! A board's boot log during a run: one side feeds it from the console, the other waits for lines
//! in it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hilrig_core::board::ConsoleSink;
use hilrig_core::secrets::Ends;
use hilrig_core::start::ChipStart;
use hilrig_core::text;
use hilrig_decode::Finding;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::alarms::{Alarm, Alarms};
use crate::instead::{is_no_text, no_whole_image, shortened};
use crate::starts::{Restart, Starts};
use crate::watch::{Hit, Patterns, Says, Watch};

/// Hits that are kept from one mark to the next. A board that logs more in one step is out of control; further hits
/// are only counted.
const MOST_HITS: usize = 10_000;

/// Hits before a mark that are kept: a step of a scenario has a few, and there are many steps.
const KEPT_HITS: usize = 1000;

/// The last bytes that are kept, to report what came instead of the expected line.
const TAIL: usize = 600;

/// A dump is printed without a pause; at 115200 baud this is a thousand characters.
const QUIET: Duration = Duration::from_millis(100);
/// The maximum wait for a dump.
const SETTLED: Duration = Duration::from_secs(1);

/// The boot log.
pub struct Log {
    inner: RefCell<Inner>,
    news: Notify,
}

struct Inner {
    watch: Watch,
    hits: VecDeque<Hit>,
    /// Number of older hits that were dropped.
    forgotten: usize,
    /// Hits since the last mark.
    fresh: usize,
    dropped: u64,
    /// The console was opened at least once.
    begun: bool,
    /// The build id that was logged last.
    build: Option<String>,
    alarms: Alarms,
    starts: Starts,
    /// Number of restarts passed to the caller.
    restarts: u64,
    tail: VecDeque<u8>,
    bytes: u64,
    /// Number of bytes before the last mark.
    marked: u64,
}

/// A position in the log. Earlier lines are ignored.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    hits: usize,
    alarms: u64,
    bytes: u64,
}

/// The result of a wait.
#[derive(Debug)]
pub struct Found<T> {
    /// The answer.
    pub answer: T,
    /// When the deciding line arrived, to separate the board's time from the rig's.
    pub at: Instant,
    /// The position after the deciding line.
    pub mark: Mark,
}

/// The wait failed.
#[derive(Debug)]
pub enum Missed {
    /// The deadline passed without a single byte.
    Silence,
    /// The deadline passed. What came instead, as text.
    Deadline(String),
    /// The board crashed, or its chip stays in its loader.
    Alarm(Alarm),
}

impl Log {
    /// An empty log with active patterns. `has_rom`: the chip has a ROM that prints.
    pub fn new(patterns: Rc<Patterns>, has_rom: bool) -> Log {
        let starts = Starts::new(has_rom, patterns.lines());
        let inner = Inner {
            watch: Watch::new(patterns),
            hits: VecDeque::new(),
            forgotten: 0,
            fresh: 0,
            dropped: 0,
            begun: false,
            build: None,
            alarms: Alarms::default(),
            starts,
            restarts: 0,
            tail: VecDeque::with_capacity(TAIL),
            bytes: 0,
            marked: 0,
        };
        Log { inner: RefCell::new(inner), news: Notify::new() }
    }

    /// The current end of the log.
    pub fn mark(&self) -> Mark {
        let inner = &mut *self.inner.borrow_mut();
        // A scenario takes hours: old hits are dropped.
        let old = inner.hits.len().saturating_sub(KEPT_HITS);
        inner.hits.drain(..old);
        inner.forgotten += old;
        inner.fresh = 0;
        inner.marked = inner.bytes;
        Mark { hits: inner.end(), alarms: inner.alarms.count(), bytes: inner.bytes }
    }

    /// Waits until `judge`, called with each hit after `from` in order, returns an answer. A crash
    /// ends the wait at once.
    pub async fn wait<T>(
        &self,
        from: Mark,
        deadline: Duration,
        mut judge: impl FnMut(&Hit) -> Option<T>,
    ) -> Result<Found<T>, Missed> {
        let mut next = from.hits;
        let search = async {
            loop {
                // Registered before the check, so that a notification in between wakes it.
                let news = self.news.notified();
                let alarm = self.inner.borrow().alarms.after(from.alarms);
                while let Some(hit) = self.hit(next) {
                    if alarm.as_ref().is_some_and(|alarm| alarm.line <= hit.line) {
                        break;
                    }
                    next += 1;
                    if let Some(answer) = judge(&hit) {
                        let mark = Mark { hits: next, ..self.mark_before(hit.line) };
                        return Ok(Found { answer, at: hit.at, mark });
                    }
                }
                if let Some(alarm) = alarm {
                    return Err(Missed::Alarm(alarm));
                }
                news.await;
            }
        };
        match tokio::time::timeout(deadline, search).await {
            Ok(found) => found,
            Err(_) => Err(self.missed(from)),
        }
    }

    /// The same without a deadline, for a line that may never come.
    pub async fn comes<T>(
        &self,
        from: Mark,
        judge: impl FnMut(&Hit) -> Option<T>,
    ) -> Result<Found<T>, Missed> {
        self.wait(from, Duration::MAX, judge).await
    }

    /// The first answer of `judge` to the hits after `from` that are in the log already.
    pub fn so_far<T>(&self, from: Mark, judge: impl FnMut(&Hit) -> Option<T>) -> Option<T> {
        let inner = self.inner.borrow();
        let first = from.hits.saturating_sub(inner.forgotten);
        inner.hits.iter().skip(first).find_map(judge)
    }

    fn hit(&self, index: usize) -> Option<Hit> {
        let inner = self.inner.borrow();
        inner.hits.get(index.saturating_sub(inner.forgotten)).cloned()
    }

    fn mark_before(&self, line: u64) -> Mark {
        let inner = self.inner.borrow();
        Mark { hits: inner.end(), alarms: inner.alarms.before(line), bytes: inner.bytes }
    }

    /// Waits until nothing has come for [`QUIET`], so that the record has the whole dump of a
    /// crash. A board in a boot loop is never quiet, so the wait is short.
    pub async fn settle(&self) {
        let settled = async {
            let mut before = None;
            while before != Some(self.inner.borrow().bytes) {
                before = Some(self.inner.borrow().bytes);
                tokio::time::sleep(QUIET).await;
            }
        };
        let _ = tokio::time::timeout(SETTLED, settled).await;
    }

    /// Whether no byte came since.
    pub fn silent_since(&self, mark: Mark) -> bool {
        self.inner.borrow().bytes == mark.bytes
    }

    /// The rig is about to reset the board. Earlier lines count only if they are from the build
    /// under test, by the build id in the log.
    ///
    /// Returns whether earlier lines count.
    pub fn reset_asked(&self, build: Option<&str>) -> bool {
        let mut inner = self.inner.borrow_mut();
        let same = build.is_some() && inner.build.as_deref() == build;
        if !same {
            let lines = inner.watch.lines();
            inner.alarms.forget(lines);
        }
        inner.watch.reset_asked();
        inner.starts.reset_asked();
        same
    }

    /// The rig sends a request after which the firmware restarts once.
    pub fn switch_asked(&self) {
        self.inner.borrow_mut().starts.switch_asked();
    }

    /// The rig makes the firmware give up connecting, once.
    pub fn gives_up(&self) {
        self.inner.borrow_mut().starts.gives_up();
    }

    /// The console was opened. Starts that were in the port's buffer do not count.
    pub fn console_opened(&self) {
        let inner = &mut *self.inner.borrow_mut();
        inner.begun = true;
        inner.starts.console_opened();
    }

    /// Whether the console was ever opened.
    pub fn has_begun(&self) -> bool {
        self.inner.borrow().begun
    }

    /// Whether no byte came since the last mark, where the last wait began.
    pub fn ends_in_silence(&self) -> bool {
        let inner = self.inner.borrow();
        inner.bytes == inner.marked
    }

    /// Crashes of the firmware under test so far.
    pub fn crashes(&self) -> u64 {
        self.inner.borrow().alarms.crashes()
    }

    /// The end of the log: a crash whose dump was incomplete is complete now.
    pub fn finish(&self) {
        let Inner { watch, alarms, .. } = &mut *self.inner.borrow_mut();
        watch.finish(|finding| alarms.found(finding));
    }

    /// Removes and returns the oldest start of the chip that is not reported yet.
    pub fn take_start(&self) -> Option<ChipStart> {
        self.inner.borrow_mut().alarms.take_start()
    }

    /// The oldest crash that is not [removed](Log::take_crash) yet.
    pub fn next_crash(&self) -> Option<Finding> {
        self.inner.borrow().alarms.next().cloned()
    }

    /// Removes this crash.
    pub fn take_crash(&self, told: &Finding) {
        self.inner.borrow_mut().alarms.take(told);
    }

    /// Wakes on news in the log: a line that matches a pattern, or a crash. News after this call counts.
    pub fn news(&self) -> Notified<'_> {
        self.news.notified()
    }

    fn missed(&self, from: Mark) -> Missed {
        let inner = self.inner.borrow();
        let new = inner.bytes - from.bytes;
        if new == 0 {
            return Missed::Silence;
        }
        let mut words = format!("the board sent {new} bytes");
        if inner.dropped > 0 {
            words
                .push_str(&format!(", among them {} more lines than can be minded", inner.dropped));
        }
        let tail: Vec<u8> = inner
            .tail
            .iter()
            .copied()
            .skip(inner.tail.len().saturating_sub(new as usize))
            .collect();
        let shown = text::hidden().map_or_else(
            || tail.clone(),
            |hidden| hidden.mask_bytes(&tail, Ends::Cut).into_owned(),
        );
        let lines: Vec<String> = shown
            .split(|byte| *byte == b'\n')
            .map(|line| text::printable(hilrig_core::line::trim_end(line)))
            .filter(|line| !line.is_empty())
            .collect();
        let last = lines
            .iter()
            .skip(lines.len().saturating_sub(4))
            .map(|line| format!("`{}`", shortened(line)));
        words.push_str(", the last: ");
        words.push_str(&last.collect::<Vec<_>>().join(", "));
        if no_whole_image(&tail) {
            words.push_str(
                ". The chip's ROM finds no whole image in its flash: what is there was written in part",
            );
        } else if is_no_text(&tail) {
            words.push_str(". Much of it is no text: is `baud` right?");
        }
        Missed::Deadline(words)
    }
}

impl Inner {
    /// The index of the next hit.
    fn end(&self) -> usize {
        self.forgotten + self.hits.len()
    }
}

/// Feeds a [`Log`] and its record.
pub struct Feed<'a> {
    /// The log.
    pub log: &'a Log,
    /// Where the raw bytes go.
    pub record: &'a mut dyn ConsoleSink,
    /// Called with each hit.
    pub on_hit: &'a mut dyn FnMut(&Hit),
    /// Called with each start that the rig did not request.
    pub on_restart: &'a mut dyn FnMut(Restart),
}

impl ConsoleSink for Feed<'_> {
    fn chunk(&mut self, at: Instant, bytes: &[u8]) {
        self.record.chunk(at, bytes);
        let inner = &mut *self.log.inner.borrow_mut();
        inner.bytes += bytes.len() as u64;
        let new = &bytes[bytes.len().saturating_sub(TAIL)..];
        let room = TAIL - new.len();
        let stale = inner.tail.len().saturating_sub(room);
        inner.tail.drain(..stale);
        inner.tail.extend(new);
        let noted = |fresh, restarts, alarms: &Alarms| {
            (fresh, restarts, alarms.count(), alarms.waiting(), alarms.starts_waiting())
        };
        let before = noted(inner.fresh, inner.restarts, &inner.alarms);
        let Inner { watch, hits, fresh, dropped, build, alarms, starts, restarts, .. } = inner;
        let alarms = RefCell::new(alarms);
        let starts = RefCell::new(starts);
        let on_restart = RefCell::new(|restart| {
            *restarts += 1;
            (self.on_restart)(restart);
        });
        let restarted = |restart: Option<Restart>| {
            restart.into_iter().for_each(|restart| on_restart.borrow_mut()(restart));
        };
        watch.feed(
            at,
            bytes,
            |says, hit| {
                if says == Says::Crash {
                    alarms.borrow_mut().by_contract(hit);
                    starts.borrow_mut().crashed();
                }
                let line = || hit().map_or(0, |hit| hit.line);
                restarted(starts.borrow_mut().says(says, line));
                if *fresh >= MOST_HITS {
                    *dropped += 1;
                    return;
                }
                let Some(hit) = hit() else { return };
                (self.on_hit)(&hit);
                if says == Says::Build {
                    build.clone_from(&hit.first);
                }
                hits.push_back(hit);
                *fresh += 1;
            },
            |finding| {
                restarted(starts.borrow_mut().found(&finding));
                alarms.borrow_mut().found(finding);
            },
        );
        let alarms = alarms.into_inner();
        if let Some(open) = watch.open_crash() {
            alarms.opened(open);
        }
        if noted(*fresh, *restarts, alarms) != before {
            self.log.news.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests;
