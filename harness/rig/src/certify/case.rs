//! One case on one board, from its set-up to what came of it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use hilrig_core::board::Board;
use hilrig_core::certify::case::Behaviour;
use hilrig_core::certify::certificate::Verdict;
use hilrig_core::certify::{Act, Case, CaseResult, Cost, Expected, Outcome, Reason, matrix};
use hilrig_core::heap::HeapPhase;
use hilrig_core::text;
use hilrig_core::units::Span;

use super::bench::CaseBroker;
use super::judge::{self, Came};
use super::queue::{Need, Task};
use super::ruled::{ByRule, carried};
use super::run::{Next, Shared};
use super::settings::{Given, given};
use super::storm::Storm;
use crate::BrokerEndpoint;
use crate::crashes;
use crate::http;
use crate::journal::{Journal, Stop};
use crate::log::{Log, Mark};
use crate::main_path::Path;
use crate::mqtt;
use crate::pool::Broker;
use crate::restarts::{self, Restarts};
use crate::session::boot_log::{Booted, Mode};
use crate::session::configuration_mode::{Target, mismatch};
use crate::session::mqtt_mode::Online;
use crate::time_server::TimeServer;
use crate::topics;
use crate::watch::Says;

/// Attempts of a board that is to come back by itself.
const COMES_BACK: u32 = 5;
/// The same over a restart of the broker. They are a second apart.
const OUTLASTS_RESTART: u32 = 60;

/// One board's share in a certification: the cases that it takes, one after the other.
pub(crate) struct Share<'a> {
    /// What all boards share.
    pub(super) all: &'a Shared<'a>,
    /// The board's name.
    pub(super) name: String,
    /// The time server of this board alone.
    pub(super) time: TimeServer,
    /// The broker that it has, and the case in its hands.
    pub(super) now: RefCell<Now>,
}

/// What a board is at.
#[derive(Default)]
pub(super) struct Now {
    pub need: Option<Need>,
    pub task: Option<(Task, Instant)>,
    /// The rule of the broker that the case failed by.
    pub rule: Option<ByRule>,
    /// The board was connected and asked, and the first reply did not come.
    pub unheard: bool,
}

/// A broker that is set up for this board.
struct Held {
    need: Need,
    broker: Box<dyn CaseBroker>,
}

/// What came of connecting.
pub(super) enum Met {
    Connected { line: u64, said: String },
    Refused { reason: Option<Reason>, line: u64, said: String, mark: Mark },
}

/// Everything that a case needs of its board.
pub(super) struct OnBoard<'a> {
    pub path: &'a Path<'a>,
    pub log: &'a Log,
    pub case: &'static Case,
    /// Behind this nothing of an earlier case stands in the log.
    pub mark: Mark,
}

impl Share<'_> {
    /// Takes cases until none is left. The board is in configuration mode, and is left so.
    pub(crate) async fn cases(
        &self,
        path: &Path<'_>,
        board: &mut dyn Board,
        log: &Log,
        booted: Booted,
    ) -> Result<(), Stop> {
        tokio::select! {
            done = self.one_by_one(path, board, log, booted) => done,
            error = self.time.serve() => {
                Err(Stop::Rig(format!("the board's time server broke down: {error}")))
            }
        }
    }

    async fn one_by_one(
        &self,
        path: &Path<'_>,
        board: &mut dyn Board,
        log: &Log,
        mut booted: Booted,
    ) -> Result<(), Stop> {
        let mut held: Option<Held> = None;
        let done = loop {
            let task = match self.next(&mut held).await {
                Ok(Some(task)) => task,
                Ok(None) => break Ok(()),
                Err(storm) => match self.in_storm(path, board, log, &mut booted, &storm).await {
                    Ok(()) => continue,
                    Err(stop) => break Err(stop),
                },
            };
            let Some(Held { broker, .. }) = &mut held else { break Ok(()) };
            let on = OnBoard { path, log, case: task.case, mark: log.mark() };
            self.all.began(self, task);
            path.journal.reset_lows();
            let (came, stop) = self.until_over(&on, broker.as_mut(), &mut booted).await;
            let gone = broker.gone().await;
            let came = match &gone {
                Some(found) => Came::broken(format!("the broker is gone: {found}")),
                None => came,
            };
            let mut result = self.result(&on, came, broker.as_ref()).await;
            let first = on.case.id == matrix::CASES[0].id && result.verdict == Verdict::NotHeld;
            let no_way_on =
                result.outcome == Outcome::Refused || result.reason == Some(Reason::BrokerRule);
            let refused = match first && no_way_on {
                true => broker.why_refused(&result).await,
                false => None,
            };
            if let Some(why) = refused.as_ref().filter(|why| result.evidence.found != **why) {
                result.evidence.found = format!("{}: {why}", result.evidence.found);
            }
            self.all.ended(self, result);
            if let Some(why) = refused {
                self.all.refused(task.broker, &why);
            }
            if let Some(stop) = stop {
                broker.hang_up().await;
                match self.recover(&on, board, &stop).await {
                    Ok(back) => booted = Booted { http: booted.http, rig: booted.rig, ..back },
                    Err(stop) => break Err(stop),
                }
            }
            if gone.is_some() {
                self.give_back(&mut held).await;
            }
        };
        self.give_back(&mut held).await;
        done
    }

    /// The case, up to its end, its deadline or a restart of the board that nobody asked for.
    async fn until_over(
        &self,
        on: &OnBoard<'_>,
        broker: &mut dyn CaseBroker,
        booted: &mut Booted,
    ) -> (Came, Option<Stop>) {
        let OnBoard { path, log, .. } = on;
        let restarts = path.journal.restarts(Restarts::count);
        let deadline = path.bench.plan.deadlines.board;
        let done = tokio::select! {
            done = tokio::time::timeout(deadline, self.case(on, broker, booted)) => done,
            why = restarts::one_more_than(restarts, path.journal, log) => Ok(Err(Stop::Failed(why))),
        };
        let stop = match done {
            Ok(Ok(came)) => return (came, None),
            Ok(Err(stop)) => stop,
            Err(_) => Stop::Failed(format!("the case was not through within {}", Span(deadline))),
        };
        if let Stop::Failed(_) = stop {
            // The start that explains it may be on its way.
            path.journal.waiting(log.settle()).await;
        }
        let came = match path.journal.restarts(|all| all.words_after(restarts)) {
            Some(why) => Came::died(why),
            None => self.stopped(on, &stop).await,
        };
        (came, Some(stop))
    }

    /// The board's work is over: what it had in its hands is told.
    pub(crate) fn ended(&self, journal: &Journal<'_>, log: Option<&Log>, stop: Option<&Stop>) {
        let why = stop.map(|stop| match stop {
            Stop::Failed(why)
            | Stop::Crashed(why)
            | Stop::Rig(why)
            | Stop::Silent(why)
            | Stop::Interrupted(why) => why,
        });
        self.all.board_ended(self, why.map(String::as_str));
        let why = why.map_or("the certification ended", String::as_str);
        journal.check(crashes::check(journal, log, why));
        journal.check(restarts::check(journal, log, why));
    }

    /// The next case, and a broker for it; or the storm that the board has joined.
    async fn next(&self, held: &mut Option<Held>) -> Result<Option<Task>, Rc<Storm>> {
        loop {
            if let Some(Held { need, .. }) = held {
                if let Some(task) = self.all.same(need) {
                    return Ok(Some(task));
                }
                self.give_back(held).await;
            }
            let need = match self.all.other(&self.name).await {
                Next::SetUp(need) => need,
                Next::Join(storm) => return Err(storm),
                Next::Nothing => return Ok(None),
            };
            self.now.borrow_mut().need = Some(need);
            match self.all.set_up(&need).await {
                Ok(broker) => *held = Some(Held { need, broker }),
                Err(not) => {
                    self.all.without_broker(&need, &not);
                    self.all.leave(self);
                }
            }
        }
    }

    async fn give_back(&self, held: &mut Option<Held>) {
        if let Some(Held { broker, .. }) = held.take() {
            broker.stop().await;
        }
        self.all.leave(self);
    }

    /// The case itself. The board is back in configuration mode where this is `Ok`.
    async fn case(
        &self,
        on: &OnBoard<'_>,
        broker: &mut dyn CaseBroker,
        booted: &mut Booted,
    ) -> Result<Came, Stop> {
        match on.case.act {
            Act::AskForMfln => return judge::measured(broker.ask_for_mfln().await),
            Act::Stall => return judge::measured(broker.stall().await),
            _ => {}
        }
        let given = match given(&on.path.bench.plan.contract, on.case, broker.trust()) {
            Ok(given) => given,
            Err(why) => return Ok(Came::not_run(why)),
        };
        let port = broker.begin(on.case.line).await.map_err(Stop::Rig)?;
        self.time.tell(given.time);
        self.hand_over(on, booted, &given).await?;
        self.switch(on, booted, broker.endpoint(), &given, port).await?;
        let topics = on.path.boot_log(on.log, on.mark, Mode::Mqtt).await.map_err(not_ready)?;
        match self.meet(on).await? {
            Met::Refused { reason, line, said, mark } => {
                let mut found = "it did not connect".to_owned();
                // Only then has the board accepted the broker, and the rig may show it the right password.
                if on.case.act == Act::Mqtt(Behaviour::WrongPassword)
                    && reason == Some(Reason::BadLogin)
                {
                    let alone = self.alone(on, Behaviour::WrongPassword, broker.endpoint(), None);
                    found = alone.await?;
                }
                let back = on.path.boot_log(on.log, mark, Mode::Configuration).await?;
                *booted = Booted { http: booted.http, rig: booted.rig, ..back };
                let cost =
                    Cost { heap_handshake: low(on, HeapPhase::Handshake), ..Cost::default() };
                let why = self.rule_for_its_id(on, broker, reason).await;
                let reason = if why.is_some() { Some(Reason::BrokerRule) } else { reason };
                Ok(Came { reason, why, cost, found, ..Came::refused(said, line) })
            }
            // Nothing more is asked of a connection that must not be.
            Met::Connected { line, said } if must_not_connect(on.case) => {
                self.leave_broker(on, broker, booted).await?;
                Ok(Came::connected("it connected", said, line))
            }
            Met::Connected { line, said } => {
                if on.case.act == Act::Mqtt(Behaviour::BrokerRestart) {
                    let mark = on.log.mark();
                    broker.restart().await.map_err(Stop::Rig)?;
                    on.path.connected(on.log, mark).await?;
                }
                let (rx, tx) = (topic(&topics, "rx_topic")?, topic(&topics, "tx_topic")?);
                let endpoint = broker.endpoint().clone();
                let before = carried(broker);
                let act = async |online: &mut Online, rig: &Broker| match on.case.act {
                    Act::Mqtt(Behaviour::ReconnectStorm) if self.all.others() > 0 => {
                        self.storm(on, broker, online, rig, port).await
                    }
                    _ => self.with_cost(on, broker, online, rig).await,
                };
                let done = self.online(on, &endpoint, rx.clone(), tx.clone(), act).await;
                let ((found, cost), back) = match done {
                    Ok(done) => done,
                    Err(stop) => {
                        let by = (before, line, said);
                        self.look_for_rule(on, broker, [&rx, &tx], &stop, by).await;
                        return Err(stop);
                    }
                };
                *booted = Booted { http: booted.http, rig: booted.rig, ..back };
                Ok(Came { cost, ..Came::connected(&found, said, line) })
            }
        }
    }

    /// CA and client certificate.
    pub(super) async fn hand_over(
        &self,
        on: &OnBoard<'_>,
        booted: &Booted,
        given: &Given,
    ) -> Result<(), Stop> {
        let names = &on.path.bench.plan.contract.http;
        let board = on.path.http(booted)?;
        let deadline = on.path.reply_deadline();
        let taken = |what: &str, answer: Result<http::Answer, String>| match answer {
            Ok(answer) if answer.status == 200 => Ok(()),
            Ok(answer) => Err(Stop::Failed(format!(
                "{what} was not taken: {} `{}`",
                answer.status,
                text::printable(&answer.body)
            ))),
            Err(why) => Err(not_ready(Stop::Failed(why))),
        };
        if let Some(ca) = &names.ca {
            let answer = http::post(board, ca, given.ca.clone(), deadline);
            taken("the CA certificate", on.path.journal.waiting(answer).await)?;
        }
        match (&names.certificate, &given.certificate) {
            (Some(path), Some(pem)) => {
                let answer = http::post(board, path, pem.clone().into_bytes(), deadline);
                taken("the client certificate", on.path.journal.waiting(answer).await)
            }
            (Some(path), None) => {
                let answer = http::delete(board, path, deadline);
                taken("that there is no client certificate", on.path.journal.waiting(answer).await)
            }
            (None, _) => Ok(()),
        }
    }

    /// Settings and the switch.
    pub(super) async fn switch(
        &self,
        on: &OnBoard<'_>,
        booted: &Booted,
        endpoint: &BrokerEndpoint,
        given: &Given,
        port: u16,
    ) -> Result<(), Stop> {
        let mut endpoint = endpoint.clone();
        if on.case.act == Act::Mqtt(Behaviour::WrongPassword) {
            endpoint.credentials = endpoint.credentials.map(|(user, _)| (user, "not-it".into()));
        }
        let attempts = match on.case.act {
            Act::Mqtt(Behaviour::BrokerRestart) => OUTLASTS_RESTART,
            Act::Reconnects(_) | Act::Resume | Act::Mqtt(_) if !must_not_connect(on.case) => {
                COMES_BACK
            }
            _ => 1,
        };
        let target = Target { endpoint: &endpoint, port, attempts, first: &given.fields };
        on.path.to_mqtt(booted, &target).await.map_err(not_ready)
    }

    /// Waits until the board has connected, or has given up.
    pub(super) async fn meet(&self, on: &OnBoard<'_>) -> Result<Met, Stop> {
        let connection = &on.path.bench.plan.contract.connection;
        let mut why: Option<(Option<Reason>, u64, String)> = None;
        let found = on.path.connection(on.log, on.mark, |hit| {
            match hit.says {
                Says::TlsError => {
                    let reason = judge::tls_reason(connection, hit);
                    if why.as_ref().is_none_or(|(reason, ..)| reason.is_none()) {
                        why = Some((reason, hit.line, hit.text.clone()));
                    }
                }
                Says::AttemptFailed => {
                    let reason = judge::rc_reason(connection, hit);
                    why.get_or_insert((reason, hit.line, hit.text.clone()));
                }
                Says::Connected => return Some((true, hit.line, hit.text.clone())),
                Says::GivenUp => return Some((false, hit.line, hit.text.clone())),
                _ => {}
            }
            None
        });
        let found = found.await?;
        let (connected, line, said) = found.answer;
        if connected {
            return Ok(Met::Connected { line, said });
        }
        let (reason, line, said) = why.unwrap_or((None, line, said));
        Ok(Met::Refused { reason, line, said, mark: found.mark })
    }

    /// Connected: the rig connects, too, and `work` is done. Then the board is asked back.
    pub(super) async fn online<T>(
        &self,
        on: &OnBoard<'_>,
        endpoint: &BrokerEndpoint,
        rx_topic: String,
        tx_topic: String,
        work: impl AsyncFnOnce(&mut Online, &Broker) -> Result<T, Stop>,
    ) -> Result<(T, Booted), Stop> {
        let deadline = on.path.bench.plan.deadlines.connect;
        let id = rig_id(on);
        let (mqtt, mut driver) = mqtt::connect(endpoint, &id, deadline).await.map_err(Stop::Rig)?;
        let rig = Broker { endpoint: endpoint.clone().into(), mqtt };
        let work = async {
            let replies = rig.mqtt.subscribe(&tx_topic, on.path.reply_deadline()).await;
            let mut online = Online::new(rx_topic, replies.map_err(Stop::Rig)?);
            let alive = self.alive(on, &mut online, &rig).await;
            self.now.borrow_mut().unheard = alive.is_err();
            alive?;
            let done = work(&mut online, &rig).await?;
            Ok((done, self.ask_back(on, &mut online, &rig).await?))
        };
        tokio::select! {
            done = work => done,
            found = driver.run() => {
                Err(Stop::Rig(format!("the rig's connection to the broker broke: {found}")))
            }
        }
    }

    /// What the case is about, and what it costs.
    async fn with_cost(
        &self,
        on: &OnBoard<'_>,
        broker: &mut dyn CaseBroker,
        online: &mut Online,
        rig: &Broker,
    ) -> Result<(String, Cost), Stop> {
        let mut cost = lows(on);
        let found = self.act(on, broker, online, rig).await?;
        if let Act::LargeMessage(_) = on.case.act {
            cost.heap_after_message = low(on, HeapPhase::Connected);
        }
        Ok((found, cost))
    }

    async fn ask_back(
        &self,
        on: &OnBoard<'_>,
        online: &mut Online,
        rig: &Broker,
    ) -> Result<Booted, Stop> {
        let switch = &on.path.bench.plan.contract.switch.to_configuration;
        let mark = on.log.mark();
        on.log.switch_asked();
        let reply = on.path.request(online, rig, switch).await?;
        if let Some(wrong) = mismatch(switch, &reply) {
            return Err(Stop::Failed(wrong));
        }
        on.path.boot_log(on.log, mark, Mode::Configuration).await
    }

    /// The board connected where it must not: it is brought back without the broker.
    async fn leave_broker(
        &self,
        on: &OnBoard<'_>,
        broker: &mut dyn CaseBroker,
        booted: &mut Booted,
    ) -> Result<(), Stop> {
        let mark = on.log.mark();
        broker.hang_up().await;
        let back = self.given_up(on, mark).await?;
        *booted = Booted { http: booted.http, rig: booted.rig, ..back };
        Ok(())
    }

    /// After trouble: reset, and with nobody to connect to the board gives up and comes back.
    pub(super) async fn recover(
        &self,
        on: &OnBoard<'_>,
        board: &mut dyn Board,
        stop: &Stop,
    ) -> Result<Booted, Stop> {
        if let Stop::Silent(_) = stop {
            return Err(stop.clone());
        }
        let lost = |after: Stop| match after {
            Stop::Failed(why) | Stop::Crashed(why) => Stop::Rig(format!(
                "the board did not come back to configuration mode after the case {}: {why}",
                on.case.id
            )),
            rig => rig,
        };
        let mark = on.log.mark();
        on.path.reset_asked(on.log);
        on.path.journal.waiting(board.reset()).await?;
        self.given_up(on, mark).await.map_err(lost)
    }

    /// Waits until the board, which reaches no broker any more, is back in configuration mode.
    async fn given_up(&self, on: &OnBoard<'_>, mark: Mark) -> Result<Booted, Stop> {
        let deadlines = &on.path.bench.plan.deadlines;
        let deadline = deadlines.boot + deadlines.connect;
        on.path.boot_log_within(on.log, mark, Mode::Configuration, deadline, true).await
    }

    /// What a case comes to that did not get to its end.
    async fn stopped(&self, on: &OnBoard<'_>, stop: &Stop) -> Came {
        if let Some(ByRule { rule, line, said }) = self.now.borrow_mut().rule.take() {
            return Came::by_rule(rule, said, line);
        }
        match stop {
            Stop::Crashed(why) => Came::died(why.clone()),
            Stop::Rig(why) | Stop::Silent(why) | Stop::Interrupted(why) => {
                Came::broken(why.clone())
            }
            Stop::Failed(why) => {
                let connection = &on.path.bench.plan.contract.connection;
                let error = on.log.so_far(on.mark, |hit| match hit.says {
                    Says::TlsError => {
                        Some((judge::tls_reason(connection, hit), hit.line, hit.text.clone()))
                    }
                    _ => None,
                });
                let mut came = Came::failed(why.clone());
                if let Some((reason, line, said)) = error {
                    (came.reason, came.said) = (reason, Some((line, said)));
                }
                came
            }
        }
    }

    /// The case's place in the certificate, with what the wire saw and what other clients met.
    async fn result(&self, on: &OnBoard<'_>, came: Came, broker: &dyn CaseBroker) -> CaseResult {
        let ran = !matches!(came.outcome, Outcome::NotRun | Outcome::Measured);
        let seen = if ran { broker.seen() } else { Default::default() };
        let clients = match came.outcome {
            Outcome::NotRun => Vec::new(),
            _ => broker.other_clients(on.case).await,
        };
        let board = (came.outcome != Outcome::Measured).then_some(self.name.as_str());
        judge::result(on.case, came, seen, clients, board)
    }
}

/// The client id of the rig's own connection beside the board.
pub(super) fn rig_id(on: &OnBoard<'_>) -> String {
    format!("hilrig-rig-{}", on.path.number)
}

/// What goes wrong before the board is with its broker says nothing of either.
pub(super) fn not_ready(stop: Stop) -> Stop {
    match stop {
        Stop::Failed(why) => {
            Stop::Rig(format!("the board could not be set up for the case: {why}"))
        }
        other => other,
    }
}

fn must_not_connect(case: &Case) -> bool {
    matches!(case.expected, Expected::MustRefuse(_)) && !matches!(case.act, Act::LargeMessage(_))
}

pub(super) fn topic(booted: &Booted, name: &str) -> Result<String, Stop> {
    topics::of(booted, name)
}

fn low(on: &OnBoard<'_>, phase: HeapPhase) -> Option<u64> {
    on.path.journal.lows().get(phase).map(|low| low.lowest_free)
}

/// The lowest free heap so far, in the handshake and connected.
pub(super) fn lows(on: &OnBoard<'_>) -> Cost {
    Cost {
        heap_handshake: low(on, HeapPhase::Handshake),
        heap_connected: low(on, HeapPhase::Connected),
        ..Cost::default()
    }
}
