//! Scenarios beside the main path: a step many times over, the free heap after each, and whether it
//! falls.

mod handshake;
mod page;
mod payload;
mod reconnect;
mod soak;
mod steps;

use std::rc::Rc;
use std::time::{Duration, Instant};

use hilrig_core::check::{Check, CheckOutcome};
use hilrig_core::contract::Request;
use hilrig_core::event::What;
use hilrig_core::heap::HeapSample;
use hilrig_core::scenario::{Asked, SETTLES, Scenario};

use crate::journal::{Journal, Stop};
use crate::log::{Log, Mark};
use crate::main_path::Path;
use crate::pool::Broker;
use crate::pool::judge;
use crate::session::boot_log::Booted;
use crate::session::configuration_mode::{invalid, mismatch};
use crate::session::mqtt_mode::Online;

pub(crate) use steps::Steps;

/// A heap that is lower than it was is asked for again after this time, then after twice as long each
/// time.
const AGAIN: Duration = Duration::from_millis(20);
/// The longest time between two of them.
const AGAIN_MOST: Duration = Duration::from_millis(500);

/// The step of the scenario under way did not work, where there is one: its check fails. Gives the check's id.
pub(crate) fn failed(journal: &Journal<'_>, why: &str) -> Option<String> {
    let steps = journal.take_scenario()?;
    let scenario = steps.asked.scenario;
    let found = format!("{}: {why}", steps.in_step());
    judged(journal, &steps, Check::of(scenario.check(), scenario.title(), false, found), None);
    Some(scenario.check())
}

/// The path ended in the scenario under way, where there is one, by something else than its own step. Where the
/// bench or somebody stopped it, it is judged by what was measured; a crash or a restart is a check of its own.
pub(crate) fn stopped(journal: &Journal<'_>, stop: &Stop) {
    let Some(steps) = journal.take_scenario() else { return };
    match stop {
        Stop::Failed(_) | Stop::Crashed(_) => {
            journal.emit(What::Scenario(steps.found(CheckOutcome::NotHeld, None)));
        }
        Stop::Rig(why) | Stop::Silent(why) | Stop::Interrupted(why) => {
            judged(journal, &steps, steps.check(true), Some(why.clone()));
        }
    }
}

fn judged(journal: &Journal<'_>, steps: &Steps, check: Check, stopped: Option<String>) {
    journal.emit(What::Scenario(steps.found(check.outcome, stopped)));
    journal.check(check);
}

impl Path<'_> {
    /// The scenarios that want the web server.
    pub(crate) async fn scenarios_of_configuration_mode(
        &self,
        booted: &Booted,
    ) -> Result<(), Stop> {
        for asked in self.scenarios(|scenario| scenario == Scenario::Page) {
            let steps = Rc::new(Steps::new(asked));
            let work = self.page_under_load(&steps, booted);
            self.scenario(&steps, work).await?;
        }
        Ok(())
    }

    /// The scenarios that want the board connected to the broker.
    pub(crate) async fn scenarios_of_mqtt_mode(
        &self,
        mut online: Online,
        log: &Log,
        broker: &Broker,
    ) -> Result<Online, Stop> {
        for asked in self.scenarios(|scenario| scenario != Scenario::Page) {
            let steps = Rc::new(Steps::new(asked));
            let work = async {
                match asked.scenario {
                    Scenario::Handshake => self.handshakes(&steps, &mut online, log, broker).await,
                    Scenario::Payload => self.payloads(&steps, &mut online, broker).await,
                    Scenario::Reconnect => self.reconnects(&steps, &mut online, log, broker).await,
                    Scenario::Soak => self.soak(&steps, &mut online, log, broker).await,
                    Scenario::Page => Ok(()),
                }
            };
            self.scenario(&steps, work).await?;
        }
        Ok(online)
    }

    fn scenarios(&self, of: impl Fn(Scenario) -> bool) -> impl Iterator<Item = Asked> {
        self.bench.plan.scenarios.iter().copied().filter(move |asked| of(asked.scenario))
    }

    /// One scenario as a phase, and its check. One that did not get to its end is judged when it is known
    /// whose fault that was: [`stopped`].
    async fn scenario(
        &self,
        steps: &Rc<Steps>,
        work: impl Future<Output = Result<(), Stop>>,
    ) -> Result<(), Stop> {
        self.journal
            .phase(steps.asked.scenario.phase(), async {
                self.journal.scenario_begins(steps.clone());
                work.await?;
                self.journal.take_scenario();
                judged(self.journal, steps, steps.check(false), None);
                Ok(())
            })
            .await
    }

    /// A request of the contract as a step.
    async fn one_request(
        &self,
        steps: &Steps,
        request: &Request,
        online: &mut Online,
        broker: &Broker,
    ) -> Result<(), Stop> {
        let reply = self.request(online, broker, request).await?;
        if let Some(wrong) = mismatch(request, &reply) {
            return Err(Stop::Failed(wrong));
        }
        let free = self.settled_heap(steps, online, broker).await?;
        steps.done(self.journal, format!("the request {}", request.request), free);
        Ok(())
    }

    /// The board has lost its connection, and connects anew. Gives the free heap of then.
    async fn again_online(
        &self,
        steps: &Steps,
        online: &mut Online,
        log: &Log,
        broker: &Broker,
        mark: Mark,
    ) -> Result<Option<u64>, Stop> {
        self.connected(log, mark).await?;
        online.reconnected();
        steps.reconnected();
        // The first request is repeated until it is answered, and further answers to it come late. A
        // refusal is not taken for the answer to what is asked next.
        if let Some(knock) = invalid(&self.bench.plan.contract).next() {
            let (reply, _) = self.request_untold(online, broker, &knock).await?;
            if let Some(wrong) = mismatch(&knock, &reply) {
                return Err(Stop::Failed(wrong));
            }
        }
        self.settled_heap(steps, online, broker).await
    }

    /// The free heap after a step: the highest of as many answers as it takes to be no lower than after
    /// the step before, for at most [`SETTLES`], because what is on its way only ever lowers it.
    async fn settled_heap(
        &self,
        steps: &Steps,
        online: &mut Online,
        broker: &Broker,
    ) -> Result<Option<u64>, Stop> {
        let since = Instant::now();
        let mut settled = self.heap_reply(online, broker).await?;
        let mut again = AGAIN;
        while settled.is_some_and(|now| steps.below_last(now.free)) && since.elapsed() < SETTLES {
            self.journal.waiting(tokio::time::sleep(again)).await;
            again = (again * 2).min(AGAIN_MOST);
            let next = self.heap_reply(online, broker).await?;
            let free = |now: &Option<OfNow>| now.map(|now| now.free);
            settled = if free(&next) > free(&settled) { next } else { settled };
        }
        Ok(self.counts(settled))
    }

    /// The free heap over MQTT; `None` where the firmware reports none in a reply.
    async fn heap_over_mqtt(
        &self,
        online: &mut Online,
        broker: &Broker,
    ) -> Result<Option<u64>, Stop> {
        Ok(self.counts(self.heap_reply(online, broker).await?))
    }

    async fn heap_reply(
        &self,
        online: &mut Online,
        broker: &Broker,
    ) -> Result<Option<OfNow>, Stop> {
        let contract = &self.bench.plan.contract;
        let Some(request) = contract.heap_request() else { return Ok(None) };
        let (reply, _) = self.request_untold(online, broker, request).await?;
        if let Some(wrong) = mismatch(request, &reply) {
            return Err(Stop::Failed(wrong));
        }
        self.of_now(&reply)
    }

    /// The sample of now in a reply. What makes a phase's figures worse is noted at once; a reply that only
    /// repeats what is known is noted where it [counts](Path::counts): a soak would fill the record with it.
    fn of_now(&self, reply: &[u8]) -> Result<Option<OfNow>, Stop> {
        let Some(fields) = &self.bench.plan.contract.heap.reply else { return Ok(None) };
        let mut of_now = None;
        for sample in judge::heap_of_reply(fields, reply).map_err(Stop::Failed)? {
            let noted = self.journal.lows().worse_by(&sample);
            if noted {
                self.journal.heap(sample);
            }
            of_now = sample.free.map(|free| OfNow { free, sample, noted }).or(of_now);
        }
        Ok(of_now)
    }

    /// The reply counts as that after a step: it is noted, if it was not before, and if it is not what was
    /// noted last.
    fn counts(&self, of_now: Option<OfNow>) -> Option<u64> {
        let OfNow { free, sample, noted } = of_now?;
        if !noted && !self.journal.knows(&sample) {
            self.journal.heap(sample);
        }
        Some(free)
    }
}

/// The heap at the moment of a reply.
#[derive(Clone, Copy)]
struct OfNow {
    free: u64,
    sample: HeapSample,
    noted: bool,
}
