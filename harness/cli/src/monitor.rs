//! `hilrig monitor`.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use hilrig::attach::{self, Rates};
use hilrig::load;
use hilrig_core::board::ConsoleSink;
use hilrig_core::line::{LineBlocks, trim_end};
use hilrig_core::{exit, text};
use hilrig_decode::{Classifier, Decoder, Finding, Firmware, Sighting};

use crate::args;
use crate::error::{Failure, note};
use crate::signals;

/// Prints a board's log until it is stopped.
pub async fn monitor(args: args::Monitor) -> Result<u8, Failure> {
    let rates = Rates { console: args.baud, ..Rates::default() };
    let (mut board, kind) = attach::named(&args.config.config, &args.which.name(), rates)?;
    // Without a configuration no heap figures are marked.
    let (mut heap, mut firmware) = (None, None);
    if args.config.config.exists() {
        let config = load::config(&args.config.config)?;
        heap = load::contract(&config)?.heap.line;
        if args.which.board.is_some() {
            firmware = load::of_kind(&config, kind)?;
        }
    }
    board.set_notes(Box::new(note));
    let stop = signals::stop_request()?;
    board.lock("reading its console", Duration::ZERO).await.map_err(Failure::rig)?;
    let mut console = match board.console().await {
        Ok(console) => console,
        Err(fault) => {
            board.release().await;
            return Err(Failure::rig(fault));
        }
    };
    let mut shown = Shown::new(Classifier::new(heap), firmware);
    let reset = async {
        match args.reset {
            true => board.reset().await,
            false => Ok(()),
        }
    };
    let read = async {
        tokio::select! {
            fault = console.read_into(&mut shown) => Err(fault),
            _ = stop.requested() => Ok(()),
        }
    };
    let (reset, read) = tokio::join!(reset, read);
    shown.finish();
    // The console has the port open, and the next run may open it at once.
    drop(console);
    board.release().await;
    reset.and(read).map(|()| exit::PASSED).map_err(Failure::rig)
}

struct Shown {
    classifier: Classifier,
    /// Decodes whole crashes, if there is an ELF file.
    decoder: Decoder,
    firmware: Option<Firmware>,
    blocks: LineBlocks,
    start: Instant,
}

impl Shown {
    fn new(classifier: Classifier, firmware: Option<Firmware>) -> Shown {
        let (decoder, blocks) = (Decoder::default(), LineBlocks::default());
        Shown { classifier, decoder, firmware, blocks, start: Instant::now() }
    }

    fn crash(finding: &Finding, firmware: &Firmware) {
        if finding.kind.is_crash() {
            let style = Style::new().fg_color(Some(AnsiColor::Red.into()));
            let _ =
                writeln!(anstream::stdout(), "{style}{}{style:#}", finding.decoded(Some(firmware)));
        }
    }

    fn line(classifier: &Classifier, seconds: f64, line: &[u8]) {
        let line = trim_end(line);
        let words = text::printable(line);
        let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
        let (style, mark) = match classifier.look(line) {
            None => (Style::new(), String::new()),
            Some(Sighting::Heap(sample)) => (
                colour(AnsiColor::Cyan),
                format!("  <- heap, {}: lowest {} B", sample.phase.name(), sample.lowest_free),
            ),
            Some(Sighting::Crash(crash)) => {
                (colour(AnsiColor::Red).bold(), format!("  <- {crash}"))
            }
            Some(Sighting::Start(start)) => (colour(AnsiColor::Yellow), format!("  <- {start}")),
        };
        // A closed pipe ends the program soon.
        let _ = writeln!(anstream::stdout(), "[{seconds:11.6}] {style}{words}{style:#}{mark}");
    }

    fn finish(self) {
        if !self.blocks.rest().is_empty() {
            Shown::line(&self.classifier, self.start.elapsed().as_secs_f64(), self.blocks.rest());
        }
        if let Some(firmware) = &self.firmware {
            self.decoder.finish(|finding| Shown::crash(&finding, firmware));
        }
    }
}

impl ConsoleSink for Shown {
    fn chunk(&mut self, at: Instant, bytes: &[u8]) {
        let seconds = at.saturating_duration_since(self.start).as_secs_f64();
        let Shown { classifier, decoder, firmware, blocks, .. } = self;
        blocks.feed(bytes, |block| {
            for line in block.split_inclusive(|byte| *byte == b'\n') {
                Shown::line(classifier, seconds, line);
                if let Some(firmware) = firmware {
                    decoder.feed(line, |finding| Shown::crash(&finding, firmware));
                }
            }
        });
    }
}
