//! The run as a picture that is updated in place: a line for each board at work.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use hilrig_core::event::{Event, What};
use hilrig_core::plural::counted;
use hilrig_core::verdict::Verdict;

use super::progress::ScenarioProgress;
use super::style::TerminalStyle;
use super::{crash, table, words};
use crate::model::RunModel;
use crate::reporters::Reporter;

/// How often spinners and times move.
const TICK: Duration = Duration::from_millis(100);
/// Columns that a line with a bar needs beside the board's name.
const BAR_LINE: usize = 44;

/// A line for each board at work, verdicts above them, and the table at the end.
pub struct Live<W> {
    out: W,
    looks: TerminalStyle,
    record: Option<PathBuf>,
    run: RunModel,
    names: usize,
    lines: MultiProgress,
    whole: Option<ProgressBar>,
    boards: BTreeMap<String, ProgressBar>,
    ticker: Option<Ticker>,
    progress: ScenarioProgress,
}

impl<W: Write + Send> Live<W> {
    /// Draws on `target`; the table goes to `out`, which is the same terminal. `record` is named
    /// at the end.
    pub fn new(
        target: ProgressDrawTarget,
        out: W,
        looks: TerminalStyle,
        record: Option<PathBuf>,
    ) -> Live<W> {
        Live {
            out,
            looks,
            record,
            run: RunModel::default(),
            names: 0,
            lines: MultiProgress::with_draw_target(target),
            whole: None,
            boards: BTreeMap::new(),
            ticker: None,
            progress: ScenarioProgress::default(),
        }
    }

    fn start(&mut self) {
        self.names = words::name_columns(self.run.boards.iter().map(|board| board.name.as_str()));
        let whole =
            self.lines.add(ProgressBar::new_spinner().with_style(style("{spinner} {wide_msg}")));
        self.ticker = Ticker::start(&whole).ok();
        self.whole = Some(whole);
    }

    fn board(&mut self, name: &str, what: &What) -> io::Result<()> {
        match what {
            What::BoardStarted(facts) => {
                // With all its words before it is added: adding draws it.
                let bar = ProgressBar::new_spinner()
                    .with_style(steps())
                    .with_prefix(words::fit(&words::clean(name), self.names))
                    .with_message(words::board(facts));
                let bar = self.lines.add(bar);
                if let Some(ticker) = &self.ticker {
                    ticker.add(&bar);
                }
                self.boards.insert(name.to_owned(), bar);
            }
            What::PhaseStarted { phase } => {
                if let Some(bar) = self.boards.get(name) {
                    bar.set_style(steps());
                    bar.set_message(phase.words());
                }
            }
            What::CaseStarted { id, .. } => {
                if let Some(bar) = self.boards.get(name) {
                    bar.set_style(steps());
                    bar.set_message(words::clean(&format!("case {id}")));
                }
            }
            What::Step { .. } => {
                if let (Some(bar), Some(message)) =
                    (self.boards.get(name), self.progress.words(name, self.run.at))
                {
                    bar.set_message(message);
                }
            }
            What::FlashProgress { written, total } => {
                let wide = self.looks.width.is_none_or(|width| width >= self.names + BAR_LINE);
                if let Some(bar) = self.boards.get(name) {
                    if bar.length() != Some(*total) {
                        bar.set_length(*total);
                        bar.set_style(if wide { flash() } else { narrow_flash() });
                    }
                    bar.set_position(*written);
                }
            }
            What::Crash(crash) if self.crashes(name) <= crash::MOST_LINES => {
                let name = words::fit(&words::clean(name), self.names);
                let message = self.looks.bad(&crash::in_a_line(crash));
                self.lines.println(format!("{name}  {message}"))?;
            }
            What::BoardEnded { .. } => {
                if let Some(bar) = self.boards.remove(name) {
                    bar.finish_and_clear();
                    self.lines.remove(&bar);
                }
                if let Some(end) = self.run.board(name).and_then(|board| board.end.as_ref()) {
                    let name = words::fit(&words::clean(name), self.names);
                    let message = words::end(end, self.looks, 4);
                    self.lines.println(format!("{name}  {message}"))?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn crashes(&self, name: &str) -> usize {
        self.run.board(name).map_or(0, |board| board.crashes.len())
    }

    fn show_whole(&self) {
        let Some(whole) = &self.whole else { return };
        let ended = self.run.boards.iter().filter(|board| board.end.is_some()).count();
        let mut message = format!("{ended} of {} done", words::boards(self.run.boards.len()));
        for verdict in [Verdict::Failed, Verdict::RigFault, Verdict::Skipped] {
            let count = self.run.count(verdict);
            if count > 0 {
                message += &format!(", {count} {}", verdict.word());
            }
        }
        for certification in self.run.certifications.iter().filter(|of| of.ended.is_none()) {
            let broker = words::clean(&certification.broker);
            let (cases, of) = (certification.cases.len(), certification.expected);
            message += &format!(", {broker}: {cases} of {}", counted(of, "case"));
        }
        whole.set_message(message);
    }

    fn clear(&mut self) -> io::Result<()> {
        self.ticker = None;
        for bar in self.boards.values().chain(&self.whole) {
            bar.finish_and_clear();
        }
        self.boards.clear();
        self.whole = None;
        self.lines.clear()
    }
}

impl<W: Write + Send> Reporter for Live<W> {
    fn name(&self) -> String {
        "terminal".into()
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.run.add(event);
        self.progress.add(event);
        match (&event.board, &event.what) {
            (_, What::CaseEnded(ended)) => {
                let message = words::case(&ended.broker, &ended.result, self.looks);
                self.lines.println(message)?;
            }
            (Some(name), what) => self.board(name, what)?,
            (None, What::RunStarted(run)) => {
                self.lines.println(words::run(run))?;
                self.start();
            }
            (None, What::BrokerReady(broker)) => self.lines.println(words::broker(broker))?,
            (None, What::BrokerLost { found }) => {
                let message = format!("broker lost: {}", words::clean(found));
                self.lines.println(self.looks.bad(&message))?;
            }
            _ => {}
        }
        if matches!(
            event.what,
            What::RunStarted(_)
                | What::BoardEnded { .. }
                | What::CertifyStarted(_)
                | What::CaseEnded(_)
        ) {
            self.show_whole();
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.clear()?;
        self.out.write_all(table::end(&self.run, self.looks, self.record.as_deref()).as_bytes())?;
        self.out.flush()
    }
}

impl<W> Drop for Live<W> {
    /// However a run ends, the terminal is left as it should be.
    fn drop(&mut self) {
        self.ticker = None;
        let _ = self.lines.clear();
    }
}

fn steps() -> ProgressStyle {
    style("{spinner} {prefix}  {elapsed:>4}  {wide_msg}")
}

fn flash() -> ProgressStyle {
    style("{spinner} {prefix}  {elapsed:>4}  {msg} [{bar:20}] {percent:>3} %").progress_chars("=> ")
}

fn narrow_flash() -> ProgressStyle {
    style("{spinner} {prefix}  {elapsed:>4}  {msg} {percent} %")
}

fn style(template: &str) -> ProgressStyle {
    // The templates are above, and a test draws each; a mistake in one still leaves a line.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// One thread that moves the spinners of all boards; indicatif's own ticks would take one each.
struct Ticker {
    bars: Arc<Mutex<Vec<ProgressBar>>>,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    fn start(first: &ProgressBar) -> io::Result<Ticker> {
        let bars = Arc::new(Mutex::new(vec![first.clone()]));
        let (stop, stopped) = mpsc::channel::<()>();
        let ticked = Arc::clone(&bars);
        let thread = std::thread::Builder::new().name("spinner".into()).spawn(move || {
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                let mut bars = ticked.lock().unwrap_or_else(PoisonError::into_inner);
                bars.retain(|bar| !bar.is_finished());
                for bar in bars.iter() {
                    bar.tick();
                }
            }
        })?;
        Ok(Ticker { bars, stop: Some(stop), thread: Some(thread) })
    }

    fn add(&self, bar: &ProgressBar) {
        self.bars.lock().unwrap_or_else(PoisonError::into_inner).push(bar.clone());
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
