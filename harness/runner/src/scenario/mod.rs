//! Scenarios beside the main path: a step many times over, the free heap after each, and whether it
//! falls.

mod handshake;
mod page;
mod payload;
mod reconnect;
mod soak;
mod steps;

use std::time::{Duration, Instant};

use hilrig_core::check::CheckOutcome;
use hilrig_core::contract::Request;
use hilrig_core::event::What;
use hilrig_core::heap::HeapSample;
use hilrig_core::scenario::{Asked, SETTLES, Scenario};

use crate::boot::Booted;
use crate::configuration::{invalid, mismatch};
use crate::judge;
use crate::log::{Log, Mark};
use crate::online::Online;
use crate::path::Path;
use crate::run::Broker;
use crate::walk::Stop;

use steps::Steps;

/// A heap that is lower than it was is asked for again after this time, then after twice as long each
/// time.
const AGAIN: Duration = Duration::from_millis(20);
/// The longest time between two of them.
const AGAIN_MOST: Duration = Duration::from_millis(500);

impl Path<'_> {
    /// The scenarios that want the web server.
    pub(crate) async fn scenarios_of_configuration_mode(
        &self,
        booted: &Booted,
    ) -> Result<(), Stop> {
        for asked in self.scenarios(|scenario| scenario == Scenario::Page) {
            let steps = Steps::new(asked);
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
            let steps = Steps::new(asked);
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

    /// One scenario as a phase, and its check.
    async fn scenario(
        &self,
        steps: &Steps,
        work: impl Future<Output = Result<(), Stop>>,
    ) -> Result<(), Stop> {
        let scenario = steps.asked.scenario;
        self.walk
            .phase(scenario.phase(), async {
                let done = work.await;
                match &done {
                    Ok(()) => {
                        let check = steps.check();
                        self.walk.tell(What::Scenario(steps.found(check.outcome)));
                        self.walk.check(check);
                    }
                    Err(stop) => {
                        // Whether it was the board is found out later.
                        if stop.failed().is_some() {
                            let found = steps.found(CheckOutcome::NotHeld);
                            self.walk.scenario_failed(scenario, found, steps.in_step());
                        }
                    }
                }
                done
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
        steps.done(self.walk, format!("the request {}", request.request), free);
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
        let mut free = self.heap_over_mqtt(online, broker).await?;
        let mut again = AGAIN;
        while free.is_some_and(|free| steps.below_last(free)) && since.elapsed() < SETTLES {
            self.walk.waiting(tokio::time::sleep(again)).await;
            again = (again * 2).min(AGAIN_MOST);
            free = free.max(self.heap_over_mqtt(online, broker).await?);
        }
        Ok(free)
    }

    /// The heap figures over MQTT; `None` where the firmware tells none in a reply.
    async fn heap_over_mqtt(
        &self,
        online: &mut Online,
        broker: &Broker,
    ) -> Result<Option<u64>, Stop> {
        let contract = &self.bench.plan.contract;
        let Some(request) = contract.heap_request() else { return Ok(None) };
        let (reply, _) = self.request_untold(online, broker, request).await?;
        if let Some(wrong) = mismatch(request, &reply) {
            return Err(Stop::Failed(wrong));
        }
        self.free_heap(&reply)
    }

    /// Notes the heap figures of a reply, and gives the free heap of that moment. Of the other phases'
    /// only what is new: a soak would fill the record with what it knows.
    fn free_heap(&self, reply: &[u8]) -> Result<Option<u64>, Stop> {
        let Some(fields) = &self.bench.plan.contract.heap.reply else { return Ok(None) };
        let samples = judge::heap_of_reply(fields, reply).map_err(Stop::Failed)?;
        let free = samples.last().and_then(|sample| sample.free);
        let lows = self.walk.lows();
        let new = |sample: &HeapSample| {
            let lowest = lows.get(sample.phase).map(|low| low.lowest_free);
            sample.free.is_some() || lowest.is_none_or(|lowest| sample.lowest_free < lowest)
        };
        samples.into_iter().filter(new).for_each(|sample| self.walk.heap(sample));
        Ok(free)
    }
}
