//! A run: many boards at once, one broker, one time server, and an end that always comes.

pub mod halt;
pub mod judge;
pub(crate) mod network;
pub mod proof;

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hilrig_core::board::{Board, ConsoleSink};
use hilrig_core::config::{BoardKind, Deadlines};
use hilrig_core::contract::Contract;
use hilrig_core::event::{Events, What};
use hilrig_core::exit;
use hilrig_core::heap::HeapPhase;
use hilrig_core::image::Image;
use hilrig_core::mac::Mac;
use hilrig_core::phase::Phase;
use hilrig_core::scenario::Asked;
use hilrig_core::units::Span;
use hilrig_core::verdict::Verdict;
use tokio::sync::watch;

use crate::BrokerEndpoint;
use crate::callers;
use crate::certify::Share;
use crate::crashes::{self, Elf};
use crate::journal::{Journal, Stop};
use crate::log::Log;
use crate::main_path::Path;
use crate::mqtt::{self, Mqtt};
use crate::pool::halt::{Halt, in_phase};
use crate::restart_barrier::{Participant, RestartBarrier};
use crate::restarts;
use crate::run_broker::RunBroker;
use crate::session::wire::Wire;
use crate::time_server::TimeServer;
use crate::topics::Topics;
use crate::watch::Patterns;

/// How long a broker whose connection broke has to say that it ended, and how.
pub(crate) const TO_TELL: Duration = Duration::from_secs(1);

/// The rig's own id at the broker.
const CLIENT_ID: &str = "hilrig-rig";

/// What a run is to do.
pub struct Plan {
    /// What the firmware says and answers.
    pub contract: Contract,
    /// The image for each kind of board.
    pub images: BTreeMap<BoardKind, Image>,
    /// Their ELF files, for the addresses in crashes.
    pub elves: BTreeMap<BoardKind, Elf>,
    /// Further form fields, values of secrets among them.
    pub settings: BTreeMap<String, String>,
    /// Lowest free heap that a phase must keep, bytes, on each kind of board.
    pub floors: BTreeMap<BoardKind, BTreeMap<HeapPhase, u64>>,
    /// What the boards are put through beside the main path.
    pub scenarios: Vec<Asked>,
    /// What everything random comes from.
    pub seed: u64,
    /// How long anything may take; the board and the run without the scenarios.
    pub deadlines: Deadlines,
    /// Flash even what is on the board already.
    pub force_flash: bool,
    /// What the boards are held for, told to those who wait for them.
    pub reason: String,
    /// Where the rig's own services listen for boards: the time server, and the relays to the broker.
    pub listen: IpAddr,
    /// The broker's port is fixed, and boards connect to it directly. Else they connect through a relay,
    /// which sees what of them arrives.
    pub broker_port_is_fixed: bool,
}

impl Plan {
    /// The longest that a board's scenarios can take, which its deadline and the run's grow by.
    fn scenarios_take(&self) -> Duration {
        self.scenarios.iter().map(|asked| asked.longest(&self.deadlines)).sum()
    }
}

/// A board of the run, with the place that its boot log goes to.
pub struct Member {
    /// The board.
    pub board: Box<dyn Board>,
    /// Its kind.
    pub kind: BoardKind,
    /// Takes the raw boot log.
    pub record: Box<dyn ConsoleSink>,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOutcome {
    /// Over all boards.
    pub verdict: Verdict,
    /// Why it ended early.
    pub why: Option<String>,
}

/// What the boards of a run share.
pub struct Bench<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Where events go.
    pub events: &'a Events,
    /// The contract's log patterns.
    pub patterns: Rc<Patterns>,
    /// Port of the time server.
    pub time_port: u16,
    /// The cases of a certification that a board takes in place of the path.
    pub(crate) share: Option<&'a Share<'a>>,
    /// How long a board may take.
    pub(crate) board_deadline: Duration,
    /// The topics of its boards.
    pub(crate) topics: Topics,
    /// The MAC addresses that its boards were found to have.
    pub(crate) macs: RefCell<BTreeMap<Mac, String>>,
    broker: watch::Receiver<BrokerState>,
    /// The time server that its boards share, where they do.
    time_server: Option<&'a TimeServer>,
}

/// A broker that is ready, with the rig's own connection to it.
#[derive(Clone)]
pub struct Broker {
    /// Where it is.
    pub endpoint: Rc<BrokerEndpoint>,
    /// The rig's connection.
    pub mqtt: Mqtt,
}

#[derive(Clone)]
enum BrokerState {
    Starting,
    Ready(Broker),
    Gone(String),
}

impl<'a> Bench<'a> {
    /// What one board of a certification needs. Its brokers come with the cases.
    pub(crate) fn for_cases(
        plan: &'a Plan,
        events: &'a Events,
        patterns: Rc<Patterns>,
        time_port: u16,
        share: &'a Share<'a>,
        board_deadline: Duration,
    ) -> Bench<'a> {
        // Without its sender nobody finds a broker in it, and none that is gone.
        let (_, broker) = watch::channel(BrokerState::Starting);
        Bench {
            plan,
            events,
            patterns,
            time_port,
            share: Some(share),
            board_deadline,
            topics: Topics::default(),
            macs: RefCell::default(),
            broker,
            time_server: None,
        }
    }

    /// The broker, once it is ready.
    pub async fn broker(&self) -> Result<Broker, String> {
        let mut state = self.broker.clone();
        let state = state.wait_for(|state| !matches!(state, BrokerState::Starting)).await;
        match state.as_deref() {
            Ok(BrokerState::Ready(broker)) => Ok(broker.clone()),
            Ok(BrokerState::Gone(found)) => Err(found.clone()),
            _ => Err("the broker was never started".into()),
        }
    }

    /// The broker, if it is ready.
    pub(crate) fn ready_broker(&self) -> Option<Broker> {
        match &*self.broker.borrow() {
            BrokerState::Ready(broker) => Some(broker.clone()),
            BrokerState::Starting | BrokerState::Gone(_) => None,
        }
    }

    /// Requests for the time that arrived from this address so far.
    pub(crate) fn time_requests(&self, address: IpAddr) -> u64 {
        self.time_server.map_or(0, |server| server.requests_from(address))
    }

    /// The firmware's functions that allocate on behalf of others.
    pub(crate) fn wrappers(&self) -> &[String] {
        self.plan.contract.heap.callers.as_ref().map_or(&[], |callers| &callers.wrappers)
    }

    /// Resolves when the broker is gone.
    pub(crate) async fn broker_gone(&self) -> String {
        let mut state = self.broker.clone();
        match state.wait_for(|state| matches!(state, BrokerState::Gone(_))).await.as_deref() {
            Ok(BrokerState::Gone(found)) => found.clone(),
            _ => std::future::pending().await,
        }
    }
}

/// Runs the plan on every member. `stop` resolves, with the reason, when the run is to end early;
/// `record_fault` tells why the record is not whole, if it is not: a verdict that cannot be shown
/// to anybody is none.
pub async fn run(
    plan: &Plan,
    members: Vec<Member>,
    broker: &mut RunBroker,
    events: &Events,
    stop: impl Future<Output = String>,
    record_fault: impl Fn() -> Option<String>,
) -> RunOutcome {
    let time_server = TimeServer::bind(plan.listen)
        .await
        .map_err(|error| format!("binding the time server on {}: {error}", plan.listen));
    let patterns = Patterns::new(&plan.contract).map_err(|error| error.to_string());
    let mut outcome = match time_server.and_then(|time_server| Ok((time_server, patterns?))) {
        Ok((time_server, patterns)) => {
            let patterns = Rc::new(patterns);
            with_services(plan, members, broker, events, stop, &time_server, patterns).await
        }
        Err(why) => RunOutcome { verdict: Verdict::RigFault, why: Some(why) },
    };
    broker.stop().await;
    if let (Verdict::Passed, Some(fault)) = (outcome.verdict, record_fault()) {
        outcome = RunOutcome { verdict: Verdict::RigFault, why: Some(fault) };
    }
    events.run(What::RunEnded {
        verdict: outcome.verdict,
        exit_code: exit::of(outcome.verdict),
        seconds: events.start().elapsed().as_secs_f64(),
        why: outcome.why.clone(),
    });
    outcome
}

async fn with_services(
    plan: &Plan,
    members: Vec<Member>,
    broker: &mut RunBroker,
    events: &Events,
    stop: impl Future<Output = String>,
    time_server: &TimeServer,
    patterns: Rc<Patterns>,
) -> RunOutcome {
    let (broker_state, broker_watch) = watch::channel(BrokerState::Starting);
    let (halt, halted) = watch::channel(None::<Halt>);
    let barrier = RestartBarrier::default();
    let bench = Bench {
        plan,
        events,
        patterns,
        time_port: time_server.port(),
        share: None,
        board_deadline: plan.deadlines.board + plan.scenarios_take(),
        topics: Topics::default(),
        macs: RefCell::default(),
        broker: broker_watch,
        time_server: Some(time_server),
    };
    let mut boards: FuturesUnordered<_> = members
        .into_iter()
        .enumerate()
        .map(|(number, member)| one_board(&bench, number, barrier.join(), member, halted.clone()))
        .collect();
    let broker = serve_broker(plan, broker, events, &barrier, &broker_state);
    let times = time_server.serve();
    let run_deadline = plan.deadlines.run + plan.scenarios_take();
    let deadline = tokio::time::sleep(run_deadline);
    tokio::pin!(broker, times, deadline, stop);

    let mut verdicts = Vec::new();
    let mut why = None;
    let mut interrupted = false;
    let mut end_early = |reason: Halt| {
        if why.is_none() {
            why = Some(reason.why().to_owned());
            interrupted = matches!(reason, Halt::Interrupted(_));
            let _ = halt.send(Some(reason));
        }
    };
    let (mut served, mut timed, mut stopped, mut late) = (true, true, true, true);
    loop {
        tokio::select! {
            ended = boards.next() => match ended {
                Some(verdict) => verdicts.push(verdict),
                None => break,
            },
            () = &mut broker, if served => served = false,
            error = &mut times, if timed => {
                timed = false;
                end_early(Halt::Fault(format!("the time server broke down: {error}")));
            }
            reason = &mut stop, if stopped => {
                stopped = false;
                end_early(Halt::Interrupted(reason));
            }
            () = &mut deadline, if late => {
                late = false;
                let why = format!("the run's deadline of {} passed", Span(run_deadline));
                end_early(Halt::Fault(why));
            }
        }
    }
    let verdict = match Verdict::of_run(verdicts) {
        // It judged less than it was asked for.
        Verdict::Passed | Verdict::Skipped if interrupted => Verdict::RigFault,
        verdict => verdict,
    };
    RunOutcome { verdict, why }
}

/// Starts the broker, keeps the rig's connection to it going, and tells when either is gone.
async fn serve_broker(
    plan: &Plan,
    broker: &mut RunBroker,
    events: &Events,
    barrier: &RestartBarrier,
    state: &watch::Sender<BrokerState>,
) {
    let found = match start_broker(plan, broker, events).await {
        Err(found) => found,
        Ok((ready, mut driver)) => {
            let endpoint = ready.endpoint.clone();
            let _ = state.send(BrokerState::Ready(ready));
            let found = loop {
                tokio::select! {
                    found = broker.gone() => break found,
                    found = driver.run() => {
                        // A broker that ended breaks the connection first, and then tells why.
                        break match tokio::time::timeout(TO_TELL, broker.gone()).await {
                            Ok(found) => found,
                            Err(_) => format!("the rig's connection to the broker broke: {found}"),
                        };
                    }
                    () = barrier.all_waiting() => {
                        match restart_broker(plan, broker, &endpoint, &mut driver).await {
                            Ok(()) => barrier.release(),
                            Err(found) => break format!("restarting it: {found}"),
                        }
                    }
                }
            };
            driver.give_up(&found);
            events.run(What::BrokerLost { found: found.clone() });
            format!("the broker is gone: {found}")
        }
    };
    let _ = state.send(BrokerState::Gone(found));
}

/// The boards all wait for it, so that nobody asks anything of the broker meanwhile.
async fn restart_broker(
    plan: &Plan,
    broker: &mut RunBroker,
    endpoint: &BrokerEndpoint,
    driver: &mut mqtt::Driver,
) -> Result<(), String> {
    let deadline = plan.deadlines.broker;
    let restarted = tokio::time::timeout(deadline, broker.restart()).await;
    restarted.map_err(|_| format!("the broker was not ready within {}", Span(deadline)))??;
    driver.renew(endpoint, CLIENT_ID, deadline).await
}

async fn start_broker(
    plan: &Plan,
    broker: &mut RunBroker,
    events: &Events,
) -> Result<(Broker, mqtt::Driver), String> {
    let deadline = plan.deadlines.broker;
    let started = tokio::time::timeout(deadline, broker.start()).await;
    let (endpoint, facts) =
        started.map_err(|_| format!("the broker was not ready within {}", Span(deadline)))??;
    let (mqtt, driver) = mqtt::connect(&endpoint, CLIENT_ID, deadline).await?;
    events.run(What::BrokerReady(facts));
    Ok((Broker { endpoint: Rc::new(endpoint), mqtt }, driver))
}

/// One board from its start to its verdict, whatever happens to the run.
pub(crate) async fn one_board(
    bench: &Bench<'_>,
    number: usize,
    participant: Participant<'_>,
    mut member: Member,
    mut halted: watch::Receiver<Option<Halt>>,
) -> Verdict {
    let since = Instant::now();
    let name = member.board.name().to_owned();
    let journal = Journal::new(&name, bench.events);
    journal.emit(What::BoardStarted(member.board.facts()));
    let log: OnceCell<Log> = OnceCell::new();
    let wire: OnceCell<Wire> = OnceCell::new();
    let elf = bench.plan.elves.get(&member.kind);
    let stop = match bench.plan.images.get(&member.kind) {
        None => Some(Stop::Rig(format!(
            "there is no image for a board of the kind {}",
            member.kind.name()
        ))),
        Some(image) => {
            // Behind a debug probe nothing but the firmware speaks.
            let has_rom = !member.kind.has_probe();
            let path = Path {
                bench,
                image,
                elf,
                has_rom,
                journal: &journal,
                log: &log,
                wire: &wire,
                number,
                participant: &participant,
            };
            let deadline = bench.board_deadline;
            tokio::select! {
                done = path.journal(&mut *member.board, &mut *member.record) => done.err(),
                halt = halted.wait_for(Option::is_some) => {
                    let halt = halt.ok().and_then(|halt| halt.clone());
                    Some(halt.map_or_else(|| Stop::Rig("the run ended".into()), |halt| halt.stop(&journal)))
                }
                found = bench.broker_gone() => Some(Stop::Rig(in_phase(&journal, &found))),
                () = tokio::time::sleep(deadline) => {
                    let why = format!("the board was not through within {}", Span(deadline));
                    let why = in_phase(&journal, &why);
                    Some(match journal.now_in() {
                        // It did not get to anything: somebody else had it, or its power was cut.
                        None | Some(Phase::Lock) => Stop::Rig(why),
                        Some(_) if journal.waits_for_others() => Stop::Rig(format!(
                            "{why}; it waited for the other boards, to have the broker restarted"
                        )),
                        Some(_) => Stop::Failed(why),
                    })
                }
            }
        }
    };
    drop(participant);
    let stop = match stop {
        Some(Stop::Failed(why)) => {
            let board = &mut *member.board;
            let dead = proof::dead(bench, board, &journal, log.get(), wire.get(), number);
            // Whoever ends the run does not wait for a proof.
            let dead = tokio::select! {
                dead = dead => dead,
                _ = halted.wait_for(Option::is_some) => None,
            };
            Some(match dead {
                Some(dead) => Stop::Rig(in_phase(&journal, &format!("{dead}. Seen as: {why}"))),
                None => {
                    if let Some(text) = network::seen(bench, &journal, wire.get()) {
                        journal.emit(What::Note { text });
                    }
                    match member.board.stuck().await {
                        None => Stop::Failed(why),
                        Some(stuck) => {
                            journal.emit(What::Note { text: stuck.clone() });
                            Stop::Failed(format!("{why}; {stuck}"))
                        }
                    }
                }
            })
        }
        other => other,
    };
    if let Some(log) = log.get() {
        log.finish();
        crashes::tell(&journal, log, elf).await;
        callers::tell(&journal, elf, bench.wrappers()).await;
    }
    let stop = stop.map(|stop| crashes::reason(&journal, restarts::reason(&journal, stop)));
    journal.end(stop.as_ref());
    match bench.share {
        None => judge::at_the_end(&journal, log.get(), bench.plan, member.kind, stop.as_ref()),
        Some(share) => share.ended(&journal, log.get(), stop.as_ref()),
    }
    member.board.release().await;
    let (verdict, why) = match (judge::verdict(&journal, stop), member.record.fault()) {
        ((Verdict::Passed, _), Some(fault)) => (Verdict::RigFault, Some(fault)),
        (judged, _) => judged,
    };
    journal.emit(What::BoardEnded { verdict, seconds: since.elapsed().as_secs_f64(), why });
    verdict
}
