//! The path of one board, from the lock to the switch back. It reads top to bottom; what a phase
//! hands on is a type, so that none can be skipped.

pub mod mqtt_mode;

use std::cell::OnceCell;
use std::time::Duration;

use hilrig_core::board::{Board, ConsoleSink};
use hilrig_core::check::Check;
use hilrig_core::event::What;
use hilrig_core::image::Image;
use hilrig_core::phase::Phase;
use hilrig_core::plural::counted;
use hilrig_core::text;
use hilrig_core::units::Span;

use crate::alarms::Alarm;
use crate::callers;
use crate::crashes::{self, Elf};
use crate::http;
use crate::journal::{Journal, Stop};
use crate::log::{Feed, Log, Missed};
use crate::pool::judge;
use crate::pool::{Bench, Broker};
use crate::restart_barrier::Participant;
use crate::restarts;
use crate::session::boot_log::{Booted, Mode};
use crate::session::wire::Wire;
use crate::watch::{Hit, Says};

/// Everything that the phases of one board share.
pub struct Path<'a> {
    /// The bench.
    pub bench: &'a Bench<'a>,
    /// The image for this board.
    pub image: &'a Image,
    /// Its ELF file.
    pub elf: Option<&'a Elf>,
    /// The chip's ROM speaks before any firmware does, so that silence is never the firmware's.
    pub has_rom: bool,
    /// The notes.
    pub journal: &'a Journal<'a>,
    /// The boot log, once there is one. It outlives the path, for what is judged at its end.
    pub log: &'a OnceCell<Log>,
    /// The wire to the broker, from the first time that the board is to connect.
    pub wire: &'a OnceCell<Wire>,
    /// The board's number in this run, which tells its MQTT client from the others'.
    pub number: usize,
    /// Where it meets the other boards.
    pub participant: &'a Participant<'a>,
}

impl Path<'_> {
    /// Walks the board along its path. One that gives no sign of life is switched off and on and
    /// begins anew; only once, for what a power cycle can mend it mends at once.
    pub async fn journal(
        &self,
        board: &mut dyn Board,
        record: &mut dyn ConsoleSink,
    ) -> Result<(), Stop> {
        let (events, name) = (self.bench.events.clone(), board.name().to_owned());
        board.set_notes(Box::new(move |text| {
            events.board(&name, What::Note { text: text.to_owned() });
        }));
        match self.whole_path(board, record).await {
            Err(Stop::Silent(why)) => {
                self.power_cycle(board, why).await?;
                match self.whole_path(board, record).await {
                    Err(Stop::Silent(why)) => {
                        Err(Stop::Rig(format!("{why}. A power cycle did not help")))
                    }
                    done => done,
                }
            }
            done => done,
        }
    }

    async fn power_cycle(&self, board: &mut dyn Board, why: String) -> Result<(), Stop> {
        let Some(line) = board.power() else {
            return Err(Stop::Rig(format!(
                "{why}. It has no power line ([board.power]), so it could not be switched off and on"
            )));
        };
        self.journal.end(Some(&Stop::Silent(why.clone())));
        self.journal.emit(What::Note {
            text: format!("no sign of life, so it is switched off and on by {line}"),
        });
        // What a supply says that comes and goes is no sign of a brownout when the rig does it.
        if let Some(log) = self.log.get() {
            self.reset_asked(log);
        }
        self.journal.forget_restarts();
        self.journal
            .waiting(board.power_cycle())
            .await
            .map_err(|fault| Stop::Rig(format!("{why}. It was to be switched off and on: {fault}")))
    }

    async fn whole_path(
        &self,
        board: &mut dyn Board,
        record: &mut dyn ConsoleSink,
    ) -> Result<(), Stop> {
        let journal = self.journal;
        journal.phase(Phase::Lock, self.lock(board)).await?;
        let kept =
            journal.phase(Phase::Flash, self.flash(board, self.bench.plan.force_flash)).await?;
        self.only_one_of_its_mac(board)?;
        match self.through_modes(board, record).await {
            Err(stop @ (Stop::Failed(_) | Stop::Crashed(_)))
                if kept && !self.journal.has("boot_log.configuration") =>
            {
                // What ran is not the firmware under test, so nothing is said of that yet.
                journal.end(Some(&stop));
                journal.emit(What::Note {
                    text: format!(
                        "flashed anew, for the board was not found as the last run left it: {}",
                        stop.failed().unwrap_or_default()
                    ),
                });
                journal.forget_restarts();
                journal.phase(Phase::Flash, self.flash(board, true)).await?;
                self.through_modes(board, record).await
            }
            done => done,
        }
    }

    async fn through_modes(
        &self,
        board: &mut dyn Board,
        record: &mut dyn ConsoleSink,
    ) -> Result<(), Stop> {
        let log = self.log.get_or_init(|| Log::new(self.bench.patterns.clone(), self.has_rom));
        log.console_opened();
        let mut console = board.console().await?;
        let mut on_hit = |hit: &Hit| self.hit(hit);
        let allowed =
            |phase| self.bench.plan.contract.restarts.get(&phase).copied().unwrap_or_default();
        let mut on_restart = |restart| self.journal.restart(restart, allowed);
        let mut feed = Feed { log, record, on_hit: &mut on_hit, on_restart: &mut on_restart };
        let modes = async {
            tokio::select! {
                done = self.modes(board, log) => done,
                // A certification judges its cases one by one.
                stop = restarts::restarted(self.journal, log), if self.bench.share.is_none() => Err(stop),
            }
        };
        let modes = async {
            let done = modes.await;
            // The dump of a crash, or the start that explains what failed, may be on its way.
            if let Err(Stop::Failed(_) | Stop::Crashed(_)) = done {
                self.journal.waiting(self.explained(log)).await;
                self.journal.waiting(log.settle()).await;
            }
            done
        };
        tokio::select! {
            done = modes => done,
            // From here on a port that goes away took its board with it in the middle of something.
            fault = console.read_into(&mut feed) => Err(Stop::Rig(fault.to_string())),
            never = crashes::tell_all(self.journal, log, self.elf) => match never {},
            never = callers::tell_all(self.journal, log, self.elf, self.bench.wrappers()) => match never {},
        }
    }

    async fn modes(&self, board: &mut dyn Board, log: &Log) -> Result<(), Stop> {
        let journal = self.journal;
        let booted = journal.phase(Phase::Boot, self.boot(board, log)).await?;
        if let Some(share) = self.bench.share {
            return share.cases(self, board, log, booted).await;
        }
        self.read_heap(board).await?;
        let broker = journal.phase(Phase::Configuration, self.configure(&booted)).await?;
        self.read_heap(board).await?;
        self.scenarios_of_configuration_mode(&booted).await?;
        let booted = journal.phase(Phase::Refusal, self.refuse(booted, log, &broker)).await?;
        self.read_heap(board).await?;
        self.mqtt_mode(board, booted, log, &broker).await
    }

    /// The heap's figures from the board's memory, where a debug probe can read them.
    pub(crate) async fn read_heap(&self, board: &mut dyn Board) -> Result<(), Stop> {
        if let Some(symbol) = &self.bench.plan.contract.heap.symbol
            && let Some(read) = board.read_heap(self.image, symbol).await?
        {
            self.journal.heap_read(read);
        }
        Ok(())
    }

    async fn lock(&self, board: &mut dyn Board) -> Result<(), Stop> {
        let lock = board.lock(&self.bench.plan.reason, self.bench.plan.deadlines.lock);
        Ok(self.journal.waiting(lock).await?)
    }

    /// A board's chip answers with its MAC address when it is flashed. Two of one address would get each
    /// other's messages.
    fn only_one_of_its_mac(&self, board: &dyn Board) -> Result<(), Stop> {
        let Some(mac) = board.facts().mac else { return Ok(()) };
        let mut macs = self.bench.macs.borrow_mut();
        match macs.get(&mac) {
            Some(other) if other != board.name() => Err(Stop::Rig(format!(
                "its chip has the MAC address {mac}, and so has that of the board `{other}` of this run. Run them one after the other"
            ))),
            _ => {
                macs.insert(mac, board.name().to_owned());
                Ok(())
            }
        }
    }

    /// Whether the image was on the board already.
    async fn flash(&self, board: &mut dyn Board, force: bool) -> Result<bool, Stop> {
        let events = self.bench.events.clone();
        let name = board.name().to_owned();
        let progress =
            move |written, total| events.board(&name, What::FlashProgress { written, total });
        let deadline = self.bench.plan.deadlines.flash;
        let flash = board.flash(self.image, force, Box::new(progress));
        let flashed = self.journal.waiting(tokio::time::timeout(deadline, flash)).await;
        let flashed = flashed.map_err(|_| {
            Stop::Rig(format!(
                "flashing {} bytes was not done within {}",
                self.image.bytes.len(),
                Span(deadline)
            ))
        })??;
        self.journal.emit(What::Flashed {
            bytes: flashed.bytes,
            seconds: flashed.time.as_secs_f64(),
            kept: flashed.kept,
            verified: flashed.verified,
            baud: flashed.baud,
        });
        Ok(flashed.kept)
    }

    /// Reset, and the boot log up to configuration mode.
    async fn boot(&self, board: &mut dyn Board, log: &Log) -> Result<Booted, Stop> {
        self.step("boot_log.configuration");
        self.journal.doing("waited for the boot log of configuration mode");
        let mark = log.mark();
        self.reset_asked(log);
        self.journal.waiting(board.reset()).await?;
        let reach = board.reach();
        let booted = match self.boot_log(log, mark, Mode::Configuration).await {
            Err(Stop::Failed(why)) if self.has_rom && log.silent_since(mark) => {
                return Err(Stop::Silent(format!(
                    "{why}, and neither did its ROM. Look at its power, its serial lines and its reset wiring"
                )));
            }
            other => other?,
        };
        let build = booted.build.as_deref();
        board.confirm_build(self.image, build);
        if let (Some(wanted), Some(_)) = (&self.image.build, &self.bench.plan.contract.build)
            && build != Some(wanted)
        {
            let told = build.unwrap_or("none");
            return Err(Stop::Failed(format!(
                "the board runs build {told}, and {wanted} was to be flashed"
            )));
        }
        self.held(
            "boot_log.configuration",
            counted(self.bench.plan.contract.configuration.len(), "line"),
            booted.line,
        );
        let http = match reach.http {
            Some(address) => address,
            None => booted.http_by_log().map_err(Stop::Failed)?,
        };
        self.journal.reached(http);
        Ok(Booted { http: Some(http), rig: Some(reach.rig), ..booted })
    }

    /// Configuration mode: page, requests, CA.
    async fn configure(&self, booted: &Booted) -> Result<Broker, Stop> {
        let contract = &self.bench.plan.contract;
        let http = self.http(booted)?;
        self.page(http).await?;
        self.requests_over_http(http).await?;
        self.step("configuration.ca");
        self.journal.doing("waited for the broker");
        let broker = self.journal.waiting(self.bench.broker()).await.map_err(Stop::Rig)?;
        if let Some(ca) = &contract.http.ca {
            self.journal.doing("sent the CA certificate over HTTP");
            let answer = self.journal.waiting(http::post(
                http,
                ca,
                broker.endpoint.ca_der.clone(),
                self.reply_deadline(),
            ));
            let answer = answer.await.map_err(|why| self.no_answer(http, why))?;
            if answer.status != 200 {
                return Err(Stop::Failed(format!(
                    "the CA certificate was not accepted: {} `{}`",
                    answer.status,
                    text::printable(&answer.body)
                )));
            }
            let id = "configuration.ca";
            self.journal.check(Check::of(id, judge::title(id), true, "accepted"));
        }
        Ok(broker)
    }

    // -- what the phases are made of --

    /// The rig is about to start the board anew.
    pub(crate) fn reset_asked(&self, log: &Log) {
        if !log.reset_asked(self.image.build.as_deref()) {
            self.journal.forget_crashes();
        }
    }

    /// The check of the step that begins: where the step fails, the check does.
    pub(crate) fn step(&self, id: &'static str) {
        self.journal.step(id, judge::title(id));
    }

    pub(crate) fn reply(&self, over: &str, request: &str, reply: &[u8], seconds: f64) {
        let reply = text::printable(reply);
        self.journal.emit(What::Reply {
            over: over.into(),
            request: request.into(),
            reply,
            seconds,
        });
    }

    pub(crate) fn heap_of(&self, request: &str, reply: &[u8], wrong: &mut Vec<String>) {
        let Some(fields) = &self.bench.plan.contract.heap.reply else { return };
        if fields.request != request {
            return;
        }
        match judge::heap_of_reply(fields, reply) {
            Ok(samples) => samples.into_iter().for_each(|sample| self.journal.heap(sample)),
            Err(why) => wrong.push(format!("{request}: {why}")),
        }
    }

    /// What a missed line means.
    pub(crate) fn missed(&self, missed: Missed, what: &str, deadline: Duration) -> Stop {
        Stop::Failed(match missed {
            Missed::Alarm(Alarm { line, words, in_loader: true }) => {
                return Stop::Rig(format!(
                    "the board restarted into its serial loader and stays there, line {line} of its boot log: {words}. After flashing it wants a pulse on EN (or its power cut) before it can restart by itself; else look for what holds GPIO0 low"
                ));
            }
            Missed::Alarm(Alarm { line, words, .. }) => {
                return Stop::Crashed(format!(
                    "the board crashed, line {line} of its boot log: {words}"
                ));
            }
            Missed::Silence => {
                format!("waited {} for {what}; the board said nothing at all", Span(deadline))
            }
            Missed::Deadline(instead) => format!("waited {} for {what}; {instead}", Span(deadline)),
        })
    }

    fn hit(&self, hit: &Hit) {
        match hit.says {
            Says::Connected => {
                let arrived = self.wire.get().map(Wire::connections);
                self.journal.connects(arrived, self.time_requests());
            }
            Says::AttemptFailed => self.journal.attempt_failed(),
            Says::AsksTime => self.journal.asks_time(hit.line),
            Says::Offline => self.journal.offline(hit.line, &hit.text),
            _ => {}
        }
        match hit.says {
            Says::Heap => match judge::heap_of_line(hit) {
                Some(sample) => self.journal.heap(sample),
                None => self.journal.emit(What::Note {
                    text: format!("heap figures that cannot be read: `{}`", hit.text),
                }),
            },
            Says::Callers => match judge::callers_of_line(hit, &self.bench.plan.contract) {
                Some(callers) => self.journal.callers(callers),
                None => self.journal.emit(What::Note {
                    text: format!("holders of the heap that cannot be read: `{}`", hit.text),
                }),
            },
            // A line of both modes' logs is told once, and so is one that says why a broker was refused.
            Says::Mqtt(_) if self.in_both(hit) => {}
            Says::TlsError if self.bench.plan.contract.connection.refused.is_match(&hit.text) => {}
            _ => self.journal.emit(What::LogLine { line: hit.line, text: hit.text.clone() }),
        }
    }

    fn in_both(&self, hit: &Hit) -> bool {
        self.bench.plan.contract.configuration.iter().any(|line| line.is_match(&hit.text))
    }

    pub(crate) fn held(&self, id: &str, found: impl Into<String>, line: u64) {
        self.journal.check(Check::of(id, judge::title(id), true, found).at_line(line));
    }

    pub(crate) fn all_of(&self, id: &str, asked: usize, wrong: Vec<String>) {
        let found = match wrong.first() {
            None => format!("{asked} of {asked}"),
            Some(first) => format!("{} of {asked} wrong, the first: {first}", wrong.len()),
        };
        self.journal.check(Check::of(id, judge::title(id), wrong.is_empty(), found));
    }

    /// Requests for the time that arrived from the board so far.
    pub(crate) fn time_requests(&self) -> u64 {
        let board = self.journal.web_server();
        board.map_or(0, |http| self.bench.time_requests(http.ip()))
    }

    pub(crate) fn reply_deadline(&self) -> Duration {
        self.bench.plan.deadlines.reply
    }
}
