//! State shared by the boards of a certification: the queue of cases, and the results.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use hilrig_core::certify::case::Behaviour;
use hilrig_core::certify::certificate::{Device, Verdict as CaseVerdict};
use hilrig_core::certify::{
    Act, Case, CaseEnded, CaseResult, CertifyEnded, CertifyStarted, Outcome,
};
use hilrig_core::event::{BrokerFacts, Events, What};
use hilrig_core::units::Span;
use hilrig_core::verdict::Verdict;
use tokio::sync::Notify;

use super::bench::{CaseBroker, CertifyBench, NotSetUp, Seen};
use super::judge::{self, Came};
use super::queue::{Need, Queue, Task};
use super::storm_state::Storm;
use super::work::BoardWork;
use hilrig::{Member, Plan};

/// What to certify.
pub struct Certification<'a> {
    /// As for a run.
    pub plan: &'a Plan,
    /// The brokers, in order.
    pub brokers: &'a [&'a dyn CertifyBench],
    /// The cases, in matrix order.
    pub cases: &'a [&'static Case],
    /// Number of runs per case, at least one.
    pub repeat: u32,
    /// Requirements in addition to the matrix's expectations, as written.
    pub require: &'a [String],
    /// Destination of events.
    pub events: &'a Events,
}

/// State shared by all boards of a certification.
pub(super) struct Shared<'a> {
    what: &'a Certification<'a>,
    device: Device,
    queue: RefCell<Queue>,
    brokers: RefCell<Vec<OfBroker>>,
    /// Number of cases to run.
    cases: u32,
    /// Number of cases without a result yet.
    open: Cell<u32>,
    /// Longest start time of a broker so far.
    starts: Cell<Duration>,
    /// Why a broker was given up, for the first such broker.
    pub(super) refused: RefCell<Option<String>>,
    /// The first case that failed because of the bench, as text.
    pub(super) broken: RefCell<Option<String>>,
    /// Number of boards whose work has not ended.
    alive: Cell<usize>,
    /// The storm that boards may join.
    storm: RefCell<Option<Rc<Storm>>>,
    news: Notify,
}

/// What a board without a broker does next.
pub(super) enum Next {
    SetUp(Need),
    Join(Rc<Storm>),
    Nothing,
}

/// What is known of a broker so far.
#[derive(Default)]
struct OfBroker {
    told: bool,
    facts: Option<(BrokerFacts, Option<String>)>,
    /// For each case, why it cannot be run with this broker, if it cannot.
    cannot: Vec<Option<String>>,
    /// The result of each repetition of each case.
    results: Vec<Option<(CaseVerdict, Outcome)>>,
}

impl<'a> Shared<'a> {
    pub(super) fn new(what: &'a Certification<'a>, members: &[Member]) -> Shared<'a> {
        let mut queue = Queue::default();
        let mut brokers = Vec::new();
        let mut open = 0;
        for (broker, bench) in what.brokers.iter().enumerate() {
            brokers.push(OfBroker {
                results: vec![None; what.cases.len() * what.repeat.max(1) as usize],
                cannot: what.cases.iter().map(|case| bench.cannot(case)).collect(),
                ..OfBroker::default()
            });
            let each = what.cases.iter().enumerate().cycle();
            let all = what.cases.len() * what.repeat.max(1) as usize;
            for (place, (of, case)) in each.take(all).enumerate() {
                if brokers[broker].cannot[of].is_none() {
                    let task = Task { broker, place, case };
                    match case.act == Act::Mqtt(Behaviour::ReconnectStorm) && members.len() > 1 {
                        true => queue.push_last(task),
                        false => queue.push(task),
                    }
                    open += 1;
                }
            }
        }
        Shared {
            what,
            device: device(what.plan, members),
            queue: RefCell::new(queue),
            brokers: RefCell::new(brokers),
            cases: open,
            open: Cell::new(open),
            starts: Cell::default(),
            refused: RefCell::default(),
            broken: RefCell::default(),
            alive: Cell::new(members.len()),
            storm: RefCell::default(),
            news: Notify::new(),
        }
    }

    /// Number of cases to run.
    pub(super) fn cases(&self) -> u32 {
        self.cases
    }

    /// The next case for the current broker.
    pub(super) fn same(&self, need: &Need) -> Option<Task> {
        let last = self.only_last();
        let mut queue = self.queue.borrow_mut();
        queue.same(need).or_else(|| last.then(|| queue.same_last(need)).flatten())
    }

    /// Whether only cases for all boards together are left.
    fn only_last(&self) -> bool {
        self.queue.borrow().last_left() == self.open.get() as usize
    }

    /// What a board without a broker does next. It waits while others run the last cases, because those may fail.
    pub(super) async fn other(&self, name: &str) -> Next {
        loop {
            let news = self.news.notified();
            if let Some(need) = self.queue.borrow_mut().other(self.starts.get()) {
                return Next::SetUp(need);
            }
            if self.open.get() == 0 {
                return Next::Nothing;
            }
            if let Some(storm) = self.storm.borrow().clone().filter(|storm| storm.join(name)) {
                return Next::Join(storm);
            }
            if self.only_last()
                && let Some(need) = self.queue.borrow_mut().last_need()
            {
                return Next::SetUp(need);
            }
            news.await;
        }
    }

    /// Starts a storm led by a board; free boards join it.
    pub(super) fn storm_comes(&self, storm: &Rc<Storm>) {
        *self.storm.borrow_mut() = Some(storm.clone());
        self.news.notify_waiters();
    }

    /// Ends the storm.
    pub(super) fn storm_over(&self) {
        *self.storm.borrow_mut() = None;
    }

    /// Number of other boards besides one that is working.
    pub(super) fn others(&self) -> usize {
        self.alive.get().saturating_sub(1)
    }

    /// Sets a broker up.
    pub(super) async fn set_up(&self, need: &Need) -> Result<Box<dyn CaseBroker>, NotSetUp> {
        self.tell_start(need.broker);
        self.what.brokers[need.broker].prepare(&need.tls).await;
        let deadline = self.what.plan.deadlines.broker;
        let since = Instant::now();
        let set_up = self.what.brokers[need.broker].set_up(&need.tls);
        let broker = tokio::time::timeout(deadline, set_up).await.unwrap_or_else(|_| {
            let why = format!("the broker was not ready within {}", Span(deadline));
            Err(NotSetUp::Broken(why))
        })?;
        self.starts.set(self.starts.get().max(since.elapsed()));
        let facts = &mut self.brokers.borrow_mut()[need.broker].facts;
        if facts.is_none() {
            *facts = Some((broker.facts(), broker.tls_library()));
            self.what.events.run(What::BrokerReady(broker.facts()));
        }
        Ok(broker)
    }

    /// There is no such broker: ends all cases that need it.
    pub(super) fn without_broker(&self, need: &Need, not: &NotSetUp) {
        let tasks = self.queue.borrow_mut().give_up(need);
        for task in tasks {
            self.put(task, left_out(task.case, not));
        }
    }

    /// The control was refused: no further case runs with this broker.
    pub(super) fn refused(&self, broker: usize, why: &str) {
        let words = || format!("{}: {why}", self.name(broker));
        self.refused.borrow_mut().get_or_insert_with(words);
        let not = NotSetUp::NotRun("the control was refused".into());
        let tasks = self.queue.borrow_mut().give_up_broker(broker);
        for task in tasks {
            self.put(task, left_out(task.case, &not));
        }
    }

    /// Records that the board no longer has this broker.
    pub(super) fn leave(&self, board: &BoardWork) {
        if let Some(need) = board.need.take() {
            self.queue.borrow_mut().leave(&need);
        }
        self.news.notify_waiters();
    }

    /// Records that a board started a case.
    pub(super) fn began(&self, board: &BoardWork, task: Task) {
        board.task.set(Some((task, Instant::now())));
        let broker = self.name(task.broker);
        let what = What::CaseStarted { broker, id: task.case.id.into() };
        self.what.events.board(&board.name, what);
    }

    /// Records that the board finished the case.
    pub(super) fn ended(&self, board: &BoardWork, mut result: CaseResult) {
        if let Some((task, since)) = board.task.take() {
            result.seconds = since.elapsed().as_secs_f64();
            self.put(task, result);
        }
    }

    /// Records the end of a board's work, however it ended.
    pub(super) fn board_ended(&self, board: &BoardWork, why: Option<&str>) {
        self.alive.set(self.others());
        if let Some(storm) = self.storm.borrow().clone() {
            storm.gone(&board.name, why.unwrap_or("the board's work ended"));
        }
        let task = board.task.get();
        if let Some((task, _)) = task {
            let why = why.unwrap_or("the board's work ended").to_owned();
            let came = Came::broken(why);
            let result =
                judge::result(task.case, came, Seen::default(), Vec::new(), Some(&board.name));
            self.ended(board, result);
        }
        self.leave(board);
    }

    fn name(&self, broker: usize) -> String {
        self.what.brokers[broker].name().to_owned()
    }

    fn tell_start(&self, broker: usize) {
        let of = &mut self.brokers.borrow_mut()[broker];
        if std::mem::replace(&mut of.told, true) {
            return;
        }
        let cases = self.what.cases;
        let count = u32::try_from(cases.len()).unwrap_or(u32::MAX);
        let started = CertifyStarted {
            broker: self.name(broker),
            cases: count,
            repeat: self.what.repeat.max(1),
            require: self.what.require.to_vec(),
        };
        self.what.events.run(What::CertifyStarted(started));
        for (place, why) in of.cannot.iter().enumerate() {
            let Some(why) = why else { continue };
            let result = left_out(cases[place], &NotSetUp::NotRun(why.clone()));
            // Once for all of its repetitions: they would all report the same.
            for again in of.results.iter_mut().skip(place).step_by(cases.len()) {
                *again = Some((result.verdict, result.outcome));
            }
            self.tell(broker, result);
        }
    }

    fn put(&self, task: Task, result: CaseResult) {
        self.brokers.borrow_mut()[task.broker].results[task.place] =
            Some((result.verdict, result.outcome));
        self.open.set(self.open.get() - 1);
        if result.outcome == Outcome::Broken && result.verdict == CaseVerdict::NotRun {
            let why = result.why.as_deref().unwrap_or_default();
            let broken = || format!("{}, {}: {why}", self.name(task.broker), result.id);
            self.broken.borrow_mut().get_or_insert_with(broken);
        }
        self.tell(task.broker, result);
        self.tell_end(task.broker);
        self.news.notify_waiters();
    }

    fn tell(&self, broker: usize, result: CaseResult) {
        let ended = CaseEnded { broker: self.name(broker), result };
        self.what.events.run(What::CaseEnded(Box::new(ended)));
    }

    fn tell_end(&self, broker: usize) {
        let brokers = self.brokers.borrow();
        let of = &brokers[broker];
        if of.results.iter().any(Option::is_none) {
            return;
        }
        let name = self.name(broker);
        let (facts, tls_library) = of.facts.clone().unwrap_or_else(|| (unknown(&name), None));
        self.what.events.run(What::CertifyEnded(Box::new(CertifyEnded {
            broker: name,
            facts,
            tls_library,
            device: self.device.clone(),
        })));
    }

    /// Reports the cases that no board reached as such.
    pub(super) fn end(&self, why: Option<&str>) {
        let rest = self.queue.borrow_mut().rest();
        let not = match why {
            Some(why) => NotSetUp::NotRun(why.into()),
            None => NotSetUp::Broken("no board was left to do it".into()),
        };
        for broker in 0..self.what.brokers.len() {
            self.tell_start(broker);
        }
        for task in rest {
            self.put(task, left_out(task.case, &not));
        }
        for broker in 0..self.what.brokers.len() {
            // None of its cases can be run.
            let all_cannot = self.brokers.borrow()[broker].cannot.iter().all(Option::is_some);
            if all_cannot {
                self.tell_end(broker);
            }
        }
    }

    pub(super) fn verdict(&self, ended_early: bool) -> Verdict {
        let brokers = self.brokers.borrow();
        let results = || brokers.iter().flat_map(|of| of.results.iter().flatten());
        let broken = |(verdict, outcome): &(CaseVerdict, Outcome)| {
            *outcome == Outcome::Broken && *verdict == CaseVerdict::NotRun
        };
        match () {
            () if results().any(|(verdict, _)| *verdict == CaseVerdict::NotHeld) => Verdict::Failed,
            () if ended_early || results().any(broken) => Verdict::RigFault,
            () => Verdict::Passed,
        }
    }
}

/// The result reported for a case that no board reached.
fn left_out(case: &Case, not: &NotSetUp) -> CaseResult {
    let came = match not {
        NotSetUp::NotRun(why) => Came::not_run(why.clone()),
        NotSetUp::Broken(why) => Came::broken(why.clone()),
    };
    judge::result(case, came, Seen::default(), Vec::new(), None)
}

fn device(plan: &Plan, members: &[Member]) -> Device {
    let kinds: std::collections::BTreeSet<_> = members.iter().map(|member| member.kind).collect();
    let builds = kinds.iter().filter_map(|kind| plan.images.get(kind)?.build.clone());
    let kinds: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    Device {
        firmware: plan.contract.firmware.clone(),
        build: Some(builds.collect::<Vec<_>>().join(", ")).filter(|build| !build.is_empty()),
        kind: kinds.join(", "),
        boards: members.iter().map(|member| member.board.name().to_owned()).collect(),
    }
}

/// A broker that never answered.
fn unknown(name: &str) -> BrokerFacts {
    BrokerFacts {
        kind: "none".into(),
        software: name.into(),
        version: "unknown".into(),
        from: String::new(),
        tls: None,
        port: 0,
        seconds: 0.0,
    }
}
