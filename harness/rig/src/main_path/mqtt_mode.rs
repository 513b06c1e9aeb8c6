//! What the phases do on the way to MQTT mode, in it, and back.

use std::time::Instant;

use hilrig_core::board::Board;
use hilrig_core::check::Check;
use hilrig_core::phase::Phase;
use hilrig_core::plural::counted;
use tokio::sync::oneshot;

use crate::journal::Stop;
use crate::log::{Found, Log, Mark};
use crate::main_path::Path;
use crate::mqtt;
use crate::pool::judge;
use crate::pool::{Broker, TO_TELL};
use crate::session::boot_log::{Booted, Mode};
use crate::session::configuration_mode::{Target, invalid, mismatch};
use crate::session::mqtt_mode::Online;
use crate::session::wire::Wire;
use crate::topics;
use crate::watch::{Hit, Says};

impl Path<'_> {
    /// Switch, MQTT mode and switch back, with a connection of the rig's own for this board alone: what a
    /// board makes the broker do to it, no other board sees.
    pub(crate) async fn mqtt_mode(
        &self,
        board: &mut dyn Board,
        booted: Booted,
        log: &Log,
        broker: &Broker,
    ) -> Result<(), Stop> {
        let journal = self.journal;
        let deadline = self.bench.plan.deadlines.broker;
        let client_id = format!("hilrig-rig-{}", self.number);
        let (hand, handed) = oneshot::channel::<mqtt::Driver>();
        let work = async {
            let (own, online) = journal
                .phase(Phase::Switch, async {
                    let connect = mqtt::connect(&broker.endpoint, &client_id, deadline);
                    let (mqtt, driver) = journal.waiting(connect).await.map_err(Stop::Rig)?;
                    let _ = hand.send(driver);
                    let own = Broker { endpoint: broker.endpoint.clone(), mqtt };
                    let online = self.switch(booted, log, &own).await?;
                    Ok((own, online))
                })
                .await?;
            self.read_heap(board).await?;
            let online = journal.phase(Phase::Mqtt, self.ask(online, &own)).await?;
            let online = self.scenarios_of_mqtt_mode(online, log, &own).await?;
            self.read_heap(board).await?;
            journal.phase(Phase::SwitchBack, self.switch_back(online, log, &own)).await?;
            self.read_heap(board).await
        };
        let drive = async {
            match handed.await {
                Ok(mut driver) => driver.serve(&broker.endpoint, &client_id, deadline).await,
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            done = work => done,
            found = drive => Err(self.connection_broke(&found).await),
        }
    }

    /// The rig's connection for this board broke. The broker itself says best what became of it.
    async fn connection_broke(&self, found: &str) -> Stop {
        match tokio::time::timeout(TO_TELL, self.bench.broker_gone()).await {
            Ok(gone) => Stop::Rig(gone),
            Err(_) => Stop::Rig(format!("the rig's connection to the broker broke: {found}")),
        }
    }

    /// A broker with a certificate of another CA: the board must refuse it, say so, and come back.
    pub(crate) async fn refuse(
        &self,
        booted: Booted,
        log: &Log,
        broker: &Broker,
    ) -> Result<Booted, Stop> {
        let contract = &self.bench.plan.contract;
        self.step("refusal");
        let Some(_) = &contract.connection.given_up else {
            let why = "the firmware never gives up, so it could not be had back (contract: connection.given_up)";
            self.journal.check(Check::not_measured("refusal", judge::title("refusal"), why));
            return Ok(booted);
        };
        let mark = log.mark();
        log.gives_up();
        let port = match self.wire(broker).await? {
            Some(wire) => wire.impostor_port(),
            None => broker.endpoint.impostor_port,
        };
        self.to_mqtt(&booted, &target(broker, port, 1)).await?;
        self.boot_log(log, mark, Mode::Mqtt).await?;
        let verdict = self.connection(log, mark, |hit| match hit.says {
            Says::Refused => Some(Ok((hit.line, hit.text.clone()))),
            Says::Connected => Some(Err("it connected to it".to_owned())),
            Says::GivenUp => {
                Some(Err("it gave up without saying that it refused the certificate".to_owned()))
            }
            _ => None,
        });
        let found = match verdict.await? {
            Found { answer: Err(why), .. } => {
                return Err(Stop::Failed(format!(
                    "a broker whose certificate another CA signed: {why}"
                )));
            }
            Found { answer: Ok(found), mark, .. } => (found, mark),
        };
        let ((line, said), mark) = found;
        self.held("refusal", format!("`{said}`"), line);
        let back = self.boot_log(log, mark, Mode::Configuration).await?;
        Ok(Booted { http: booted.http, rig: booted.rig, ..back })
    }

    /// The wire that the board is to connect over; none where it connects to the broker itself.
    async fn wire(&self, broker: &Broker) -> Result<Option<&Wire>, Stop> {
        let plan = self.bench.plan;
        if self.wire.get().is_none() && !plan.broker_port_is_fixed {
            let wire = Wire::start(plan.listen, &broker.endpoint).await.map_err(Stop::Rig)?;
            let _ = self.wire.set(wire);
        }
        let wire = self.wire.get();
        self.journal.connects(wire.map(Wire::connections), self.time_requests());
        Ok(wire)
    }

    /// The switch to MQTT mode, up to the connection.
    async fn switch(&self, booted: Booted, log: &Log, broker: &Broker) -> Result<Online, Stop> {
        self.step("boot_log.mqtt");
        let mark = log.mark();
        let port = match self.wire(broker).await? {
            Some(wire) => wire.port(),
            None => broker.endpoint.port,
        };
        let target = target(broker, port, self.attempts());
        self.to_mqtt(&booted, &target).await?;
        let mode = self.boot_log(log, mark, Mode::Mqtt).await?;
        let (rx_topic, tx_topic) = (topics::of(&mode, "rx_topic")?, topics::of(&mode, "tx_topic")?);
        if rx_topic == tx_topic {
            return Err(Stop::Failed(format!(
                "the boot log names one topic for both directions, `{rx_topic}`: the board would hear itself"
            )));
        }
        self.held("boot_log.mqtt", counted(self.bench.plan.contract.mqtt.len(), "line"), mode.line);
        self.step("connection");
        let taken = self.bench.topics.take([&rx_topic, &tx_topic]).map_err(Stop::Rig)?;
        let deadline = self.reply_deadline();
        let replies = self.journal.waiting(broker.mqtt.subscribe(&tx_topic, deadline)).await;
        let replies = match replies {
            Ok(replies) => replies,
            Err(found) => return Err(self.not_subscribed(broker, &tx_topic, &found).await),
        };
        let line = self.connected(log, mark).await?;
        self.held("connection", "connected", line);
        Ok(Online::new(rx_topic, replies).taking(taken))
    }

    /// The broker did not take the subscription to the board's topic. Where it takes a new connection, it
    /// is the topic that it did not like.
    async fn not_subscribed(&self, broker: &Broker, topic: &str, found: &str) -> Stop {
        if let Ok(gone) = tokio::time::timeout(TO_TELL, self.bench.broker_gone()).await {
            return Stop::Rig(gone);
        }
        let deadline = self.bench.plan.deadlines.broker;
        let id = format!("hilrig-proof-{}", self.number);
        match mqtt::answers(&broker.endpoint, &id, deadline).await {
            Ok(()) => Stop::Failed(format!(
                "the broker takes no subscription to the board's topic `{topic}`: {found}"
            )),
            Err(dead) => Stop::Rig(format!("{found}; the broker does not answer: {dead}")),
        }
    }

    /// Requests over MQTT and their replies.
    async fn ask(&self, mut online: Online, broker: &Broker) -> Result<Online, Stop> {
        let contract = &self.bench.plan.contract;
        self.step("mqtt.requests");
        let mut wrong = Vec::new();
        for request in &contract.requests {
            let reply = self.request(&mut online, broker, request).await?;
            wrong.extend(mismatch(request, &reply));
            self.heap_of(&request.request, &reply, &mut wrong);
        }
        self.all_of("mqtt.requests", contract.requests.len(), wrong);

        self.step("mqtt.invalid");
        let mut wrong = Vec::new();
        for request in invalid(contract) {
            let reply = self.request(&mut online, broker, &request).await?;
            wrong.extend(mismatch(&request, &reply));
        }
        self.all_of("mqtt.invalid", contract.invalid.requests.len(), wrong);
        Ok(online)
    }

    /// The switch back to configuration mode.
    async fn switch_back(
        &self,
        mut online: Online,
        log: &Log,
        broker: &Broker,
    ) -> Result<(), Stop> {
        self.step("switch_back");
        let request = &self.bench.plan.contract.switch.to_configuration;
        let mark = log.mark();
        log.switch_asked();
        let reply = self.request(&mut online, broker, request).await?;
        if let Some(wrong) = mismatch(request, &reply) {
            return Err(Stop::Failed(wrong));
        }
        let booted = self.boot_log(log, mark, Mode::Configuration).await?;
        self.held("switch_back", "configuration mode is up", booted.line);
        Ok(())
    }

    /// Attempts to connect before the board gives up: a broker that is restarted is gone for longer.
    fn attempts(&self) -> u32 {
        let plan = &self.bench.plan;
        match plan.scenarios.iter().any(|asked| asked.scenario.restarts_broker()) {
            true => u32::from(u16::MAX),
            false => 3,
        }
    }

    /// Waits until the log says that the board is connected to the broker; the line that does.
    pub(crate) async fn connected(&self, log: &Log, mark: Mark) -> Result<u64, Stop> {
        let connected = self.connection(log, mark, |hit| match hit.says {
            Says::Connected => Some(Ok(hit.line)),
            Says::GivenUp => Some(Err(hit.text.clone())),
            _ => None,
        });
        connected.await?.answer.map_err(|why| {
            Stop::Failed(format!("the board did not connect to the broker: `{why}`"))
        })
    }

    /// Waits for what the log says of the connection.
    pub(crate) async fn connection<T>(
        &self,
        log: &Log,
        mark: Mark,
        judge: impl FnMut(&Hit) -> Option<T>,
    ) -> Result<Found<T>, Stop> {
        self.journal.doing("waited for the board to connect to the broker");
        let deadline = self.bench.plan.deadlines.connect;
        let since = Instant::now();
        match log.wait(mark, deadline, judge).await {
            Ok(found) => {
                self.journal.waited(since, found.at);
                Ok(found)
            }
            Err(missed) => Err(self.missed(
                missed,
                "the board to say how its connection to the broker went",
                deadline,
            )),
        }
    }
}

fn target(broker: &Broker, port: u16, attempts: u32) -> Target<'_> {
    Target { endpoint: &broker.endpoint, port, attempts, first: &[] }
}
