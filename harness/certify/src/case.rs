//! Runs the cases of a certification on one board, one after another.

use std::rc::Rc;
use std::time::Duration;

use async_trait::async_trait;
use hilrig_core::certify::case::Behaviour;
use hilrig_core::certify::certificate::Verdict;
use hilrig_core::certify::{Act, CaseResult, Cost, Outcome, Reason, matrix};
use hilrig_core::heap::HeapPhase;
use hilrig_core::units::Span;

use super::bench::CaseBroker;
use super::board_side::{Attempt, must_not_connect, not_ready};
use super::judge::{self, Came};
use super::on_board::{BoardCases, OnBoard, low, lows, rig_id};
use super::queue::{Need, Task};
use super::ruled::carried;
use super::settings::board_setup;
use super::shared::Next;
use super::storm_state::Storm;
use super::work::ByRule;
use hilrig::BrokerEndpoint;
use hilrig::BrokerLink;
use hilrig::Plan;
use hilrig::Session;
use hilrig::Stop;
use hilrig::mqtt;
use hilrig::session::boot_log::Mode;
use hilrig::session::mqtt_mode::Online;
use hilrig::watch::Says;
use hilrig::{Ended, Job};

/// The broker set up for this board.
struct SetUpBroker {
    need: Need,
    broker: Box<dyn CaseBroker>,
}

#[async_trait(?Send)]
impl Job for BoardCases<'_> {
    fn deadline(&self, plan: &Plan) -> Duration {
        plan.deadlines.board * (1 + self.all.cases())
    }

    /// The board is in configuration mode after each case.
    async fn run(&self, session: &Session<'_>) -> Result<(), Stop> {
        session.bring_up().await?;
        let mut set_up: Option<SetUpBroker> = None;
        let done = self.one_by_one(session, &mut set_up).await;
        self.give_back(&mut set_up).await;
        done
    }

    fn judge(&self, _session: &Session<'_>, ended: &Ended<'_>) {
        self.all.board_ended(&self.work, ended.stop.map(Stop::why));
    }
}

impl BoardCases<'_> {
    async fn one_by_one(
        &self,
        session: &Session<'_>,
        set_up: &mut Option<SetUpBroker>,
    ) -> Result<(), Stop> {
        loop {
            let task = match self.next(set_up).await {
                Ok(Some(task)) => task,
                Ok(None) => return Ok(()),
                Err(storm) => {
                    self.in_storm(session, &storm).await?;
                    continue;
                }
            };
            let Some(SetUpBroker { broker, .. }) = set_up else { return Ok(()) };
            let on = OnBoard { session, case: task.case, mark: session.mark() };
            let gone = self.one_case(&on, task, broker.as_mut()).await?;
            if gone {
                self.give_back(set_up).await;
            }
        }
    }

    /// Runs one case and reports its result. Returns whether the broker is gone.
    async fn one_case(
        &self,
        on: &OnBoard<'_>,
        task: Task,
        broker: &mut dyn CaseBroker,
    ) -> Result<bool, Stop> {
        self.all.began(&self.work, task);
        on.session.journal.reset_lows();
        let (came, stop) = self.until_over(on, broker).await;
        if stop.is_some() {
            // A board that crashed restarts and must not reach the broker again.
            broker.hang_up().await;
        }
        let gone = broker.gone().await;
        let came = match &gone {
            Some(found) => Came::broken(format!("the broker is gone: {found}")),
            None => came,
        };
        let mut result = self.result(on, came, broker).await;
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
        self.all.ended(&self.work, result);
        if let Some(why) = refused {
            self.all.refused(task.broker, &why);
        }
        if let Some(stop) = stop {
            self.recover(on, &stop).await?;
        }
        Ok(gone.is_some())
    }

    /// Runs the case until its end, its deadline or an unexpected restart of the board.
    async fn until_over(
        &self,
        on: &OnBoard<'_>,
        broker: &mut dyn CaseBroker,
    ) -> (Came, Option<Stop>) {
        let session = on.session;
        let restarts = session.restarts();
        let deadline = session.plan().deadlines.board;
        let done = tokio::select! {
            done = tokio::time::timeout(deadline, self.case(on, broker)) => done,
            why = session.restarted_after(restarts) => Ok(Err(Stop::Failed(why))),
        };
        let stop = match done {
            Ok(Ok(came)) => return (came, None),
            Ok(Err(stop)) => stop,
            Err(_) => Stop::Failed(format!("the case was not through within {}", Span(deadline))),
        };
        if let Stop::Failed(_) = stop {
            // The boot message that explains the failure may still arrive.
            session.settle_log().await;
        }
        let came = match session.restart_after(restarts) {
            Some(why) => Came::died(why),
            None => self.stopped(on, &stop).await,
        };
        (came, Some(stop))
    }

    /// The next case and a broker for it, or the storm that the board joined.
    async fn next(&self, set_up: &mut Option<SetUpBroker>) -> Result<Option<Task>, Rc<Storm>> {
        loop {
            if let Some(SetUpBroker { need, .. }) = set_up {
                if let Some(task) = self.all.same(need) {
                    return Ok(Some(task));
                }
                self.give_back(set_up).await;
            }
            let need = match self.all.other(&self.work.name).await {
                Next::SetUp(need) => need,
                Next::Join(storm) => return Err(storm),
                Next::Nothing => return Ok(None),
            };
            self.work.need.set(Some(need));
            match self.all.set_up(&need).await {
                Ok(broker) => *set_up = Some(SetUpBroker { need, broker }),
                Err(not) => {
                    self.all.without_broker(&need, &not);
                    self.all.leave(&self.work);
                }
            }
        }
    }

    async fn give_back(&self, set_up: &mut Option<SetUpBroker>) {
        if let Some(SetUpBroker { broker, .. }) = set_up.take() {
            broker.stop().await;
        }
        self.all.leave(&self.work);
    }

    /// Runs the case itself. The board is back in configuration mode if this is `Ok`.
    async fn case(&self, on: &OnBoard<'_>, broker: &mut dyn CaseBroker) -> Result<Came, Stop> {
        match on.case.act {
            Act::AskForMfln => return judge::measured(broker.ask_for_mfln().await),
            Act::Stall => return judge::measured(broker.stall().await),
            _ => {}
        }
        let setup = match board_setup(on.session.contract(), on.case, broker.trust()) {
            Ok(setup) => setup,
            Err(why) => return Ok(Came::not_run(why)),
        };
        let port = broker.begin(on.case.line).await.map_err(Stop::Rig)?;
        on.session.time.set(setup.time);
        self.hand_over(on, &setup).await?;
        self.switch(on, broker.endpoint(), &setup, port).await?;
        let mode = on.session.wait_for_mode(on.mark, Mode::Mqtt).await.map_err(not_ready)?;
        match self.attempt(on).await? {
            Attempt::Refused { reason, line, said, mark } => {
                let mut found = "it did not connect".to_owned();
                // Only now has the board accepted the broker, so the rig may send it the right password.
                if on.case.act == Act::Mqtt(Behaviour::WrongPassword)
                    && reason == Some(Reason::BadLogin)
                {
                    let alone = self.alone(on, Behaviour::WrongPassword, broker.endpoint(), None);
                    found = alone.await?;
                }
                on.session.wait_for_mode(mark, Mode::Configuration).await?;
                let cost =
                    Cost { heap_handshake: low(on, HeapPhase::Handshake), ..Cost::default() };
                let why = self.rule_for_its_id(on, broker, reason).await;
                let reason = if why.is_some() { Some(Reason::BrokerRule) } else { reason };
                Ok(Came { reason, why, cost, found, ..Came::refused(said, line) })
            }
            // A connection that must not exist is not tested further.
            Attempt::Connected { line, said } if must_not_connect(on.case) => {
                self.leave_broker(on, broker).await?;
                Ok(Came::connected("it connected", said, line))
            }
            Attempt::Connected { line, said } => {
                if on.case.act == Act::Mqtt(Behaviour::BrokerRestart) {
                    let mark = on.session.log.mark();
                    broker.restart().await.map_err(Stop::Rig)?;
                    on.session.wait_until_connected(mark).await?;
                }
                let (rx, tx) = (mode.topic("rx_topic")?, mode.topic("tx_topic")?);
                let endpoint = broker.endpoint().clone();
                let before = carried(broker);
                let act = async |online: &mut Online| match on.case.act {
                    Act::Mqtt(Behaviour::ReconnectStorm) if self.all.others() > 0 => {
                        self.storm(on, broker, online, port).await
                    }
                    _ => self.with_cost(on, broker, online).await,
                };
                let done = self.online(on, &endpoint, rx.clone(), tx.clone(), act).await;
                let (found, cost) = match done {
                    Ok(done) => done,
                    Err(stop) => {
                        let by = (before, line, said);
                        self.look_for_rule(on, broker, [&rx, &tx], &stop, by).await;
                        return Err(stop);
                    }
                };
                Ok(Came { cost, ..Came::connected(&found, said, line) })
            }
        }
    }

    /// With the board connected, connects the rig as well and does `work`. Then the board switches back.
    pub(super) async fn online<T>(
        &self,
        on: &OnBoard<'_>,
        endpoint: &BrokerEndpoint,
        rx_topic: String,
        tx_topic: String,
        work: impl AsyncFnOnce(&mut Online) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        let deadline = on.session.plan().deadlines.connect;
        let id = rig_id(on);
        let (mqtt, mut driver) = mqtt::connect(endpoint, &id, deadline).await.map_err(Stop::Rig)?;
        let link = BrokerLink { endpoint: endpoint.clone().into(), mqtt };
        let work = async {
            let replies = link.mqtt.subscribe(&tx_topic, on.session.reply_deadline()).await;
            let mut online = Online::new(link, rx_topic, replies.map_err(Stop::Rig)?);
            let alive = self.alive(on, &mut online).await;
            self.work.unheard.set(alive.is_err());
            alive?;
            let done = work(&mut online).await?;
            on.session.to_configuration(&mut online).await?;
            Ok(done)
        };
        tokio::select! {
            done = work => done,
            found = driver.run() => {
                Err(Stop::Rig(format!("the rig's connection to the broker broke: {found}")))
            }
        }
    }

    /// The action of the case and its cost.
    async fn with_cost(
        &self,
        on: &OnBoard<'_>,
        broker: &mut dyn CaseBroker,
        online: &mut Online,
    ) -> Result<(String, Cost), Stop> {
        let mut cost = lows(on);
        let found = self.act(on, broker, online).await?;
        if let Act::LargeMessage(_) = on.case.act {
            cost.heap_after_message = low(on, HeapPhase::Connected);
        }
        Ok((found, cost))
    }

    /// The result of a case that did not finish.
    async fn stopped(&self, on: &OnBoard<'_>, stop: &Stop) -> Came {
        if let Some(ByRule { rule, line, said }) = self.work.rule.take() {
            return Came::by_rule(rule, said, line);
        }
        match stop {
            Stop::Crashed(why) => Came::died(why.clone()),
            Stop::Rig(why) | Stop::Silent(why) | Stop::Interrupted(why) => {
                Came::broken(why.clone())
            }
            Stop::Failed(why) => {
                let connection = &on.session.contract().connection;
                let error = on.session.log.so_far(on.mark, |hit| match hit.says {
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

    /// The case's entry in the certificate, with the wire evidence and the results of other clients.
    async fn result(&self, on: &OnBoard<'_>, came: Came, broker: &dyn CaseBroker) -> CaseResult {
        let ran = !matches!(came.outcome, Outcome::NotRun | Outcome::Measured);
        let seen = if ran { broker.seen() } else { Default::default() };
        let clients = match came.outcome {
            Outcome::NotRun => Vec::new(),
            _ => broker.other_clients(on.case).await,
        };
        let board = (came.outcome != Outcome::Measured).then_some(self.work.name.as_str());
        judge::result(on.case, came, seen, clients, board)
    }
}
