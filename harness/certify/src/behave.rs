//! The MQTT behaviours: what the rig checks alone, and what the board itself does.

use std::time::Duration;

use hilrig_core::certify::case::Behaviour;
use hilrig_core::text;
use hilrig_core::units::Span;

use super::behaviour::{self, Missed, Question};
use super::bench::CaseBroker;
use super::on_board::{BoardCases, OnBoard};
use hilrig::BrokerEndpoint;
use hilrig::Stop;
use hilrig::mqtt::{self, NoMessage};
use hilrig::session::mqtt_mode::Online;

/// Clients of a storm in addition to the board.
pub(super) const CROWD: usize = 50;
/// Number of rounds in which they all connect.
pub(super) const ROUNDS: usize = 3;
/// MQTT 3.1.1 (3.1.2.10) defines when a silent client expires; brokers check periodically. Mosquitto's clock has
/// whole seconds, and it checks when more than 5 of them have passed (keepalive.c of 2.0): 6 s, 1 s until more than
/// 1.5 keep-alives have passed, 1 s for both roundings. RabbitMQ checks every 1.5 keep-alives and disconnects at the
/// third check at the latest (rabbit_heartbeat): 6 s with the requested keep-alive of 2 s.
const LOOKS_WITHIN: Duration = Duration::from_secs(8);

impl BoardCases<'_> {
    /// Runs it and returns what was found.
    pub(super) async fn behave(
        &self,
        on: &OnBoard<'_>,
        behaviour: Behaviour,
        broker: &mut dyn CaseBroker,
        online: &mut Online,
    ) -> Result<String, Stop> {
        let forbidden = broker.forbidden().map(str::to_owned);
        let endpoint = online.link().endpoint.clone();
        let alone = self.alone(on, behaviour, &endpoint, forbidden.as_deref());
        let (alone, board) = match behaviour {
            // All in parallel.
            Behaviour::ReconnectStorm => {
                let (alone, back) = tokio::join!(alone, self.cut(on, broker, online));
                back?;
                (alone?, "the board came back in it")
            }
            // The board is idle meanwhile.
            Behaviour::KeepAlive => {
                let mark = on.session.log.mark();
                let alone = tokio::select! {
                    alone = alone => alone?,
                    lost = self.lost(on, mark) => return Err(lost),
                };
                (alone, "the board was left alone")
            }
            Behaviour::BrokerRestart => (String::new(), "the board came back by itself"),
            Behaviour::Retained => (alone.await?, self.retained(on, broker, online).await?),
            Behaviour::Takeover => (alone.await?, self.takeover(on, online).await?),
            Behaviour::Will => (alone.await?, self.will(on, broker, online).await?),
            Behaviour::Qos
            | Behaviour::PayloadLimit
            | Behaviour::WrongPassword
            | Behaviour::NoPermission => (alone.await?, "the board lives beside it"),
        };
        self.alive(on, online).await?;
        Ok(match alone.is_empty() {
            true => board.into(),
            false => format!("{alone}; {board}"),
        })
    }

    /// Runs the check that the rig does alone.
    pub(super) async fn alone(
        &self,
        on: &OnBoard<'_>,
        behaviour: Behaviour,
        endpoint: &BrokerEndpoint,
        forbidden: Option<&str>,
    ) -> Result<String, Stop> {
        if behaviour == Behaviour::BrokerRestart {
            return Ok(String::new());
        }
        let tag = self.tag(on);
        let question = Question { forbidden, ..self.question(on, endpoint, &tag) };
        match behaviour::ask(behaviour, &question).await {
            Ok(found) => Ok(found),
            Err(Missed::NotRun(why)) => Ok(format!("not asked by the rig alone: {why}")),
            Err(other) => Err(missed(other)),
        }
    }

    /// Prefix of the rig's own client ids.
    pub(super) fn tag(&self, on: &OnBoard<'_>) -> String {
        format!("h{:x}b{}", on.session.plan().seed & 0xff_ffff, on.session.number())
    }

    pub(super) fn question<'q>(
        &self,
        on: &OnBoard<'_>,
        endpoint: &'q BrokerEndpoint,
        tag: &'q str,
    ) -> Question<'q> {
        Question {
            endpoint,
            tag,
            forbidden: None,
            crowd: CROWD,
            rounds: ROUNDS,
            deadline: on.session.reply_deadline(),
            looks_within: LOOKS_WITHIN,
        }
    }

    /// A retained request for the board, which the board must ignore when it reconnects.
    async fn retained(
        &self,
        on: &OnBoard<'_>,
        broker: &mut dyn CaseBroker,
        online: &mut Online,
    ) -> Result<&'static str, Stop> {
        let contract = on.session.contract();
        let asked = contract.heap_request().map(|request| &request.request);
        let Some(other) = contract.requests.iter().find(|one| Some(&one.request) != asked) else {
            return Ok("the board has no second request to tell it by");
        };
        let payload = contract.payload.replace("{request}", &other.request);
        // The board receives this one as a live message and replies.
        let mqtt = online.link().mqtt.clone();
        mqtt.retain(online.topic(), payload.into_bytes()).await.map_err(Stop::Rig)?;
        let comes_anew = async {
            online.next_message(on.session.reply_deadline()).await.map_err(Stop::Failed)?;
            self.cut(on, broker, online).await?;
            self.alive(on, online).await
        };
        let alive = comes_anew.await;
        // Removed whatever the result: the broker may not be the rig's own.
        mqtt.retain(online.topic(), Vec::new()).await.map_err(Stop::Rig)?;
        // The message that removes it is a message, too.
        online.may_be_refused(contract.invalid.reply.clone());
        alive.map(|_| "the board did not do what was kept for it")
    }

    async fn takeover(&self, on: &OnBoard<'_>, online: &mut Online) -> Result<&'static str, Stop> {
        let mark = on.session.log.mark();
        let deadline = on.session.plan().deadlines.connect;
        let id = on.session.client_id();
        let take_over = mqtt::take_over(&online.link().endpoint, &id, deadline);
        on.session.journal.waiting(take_over).await.map_err(Stop::Rig)?;
        on.session.wait_until_connected(mark).await?;
        online.reconnected();
        Ok("the board was thrown out by a second client of its id, and came back")
    }

    async fn will(
        &self,
        on: &OnBoard<'_>,
        broker: &mut dyn CaseBroker,
        online: &mut Online,
    ) -> Result<&'static str, Stop> {
        let Some(topic) = &on.session.contract().will_topic else {
            return Ok("where the board's will goes is not told (contract: mqtt.will_topic)");
        };
        let topic = topic.replace("{tx_topic}", online.replies_topic());
        let deadline = on.session.reply_deadline();
        let wills = online.link().mqtt.subscribe(&topic, deadline).await;
        let mut wills = wills.map_err(Stop::Rig)?;
        self.cut(on, broker, online).await?;
        match wills.next(deadline).await {
            Ok(will) if will.payload == on.session.client_id().into_bytes() => {
                Ok("the board's own will was published")
            }
            Ok(will) => Err(Stop::Failed(format!(
                "the board's will is `{}`, and its client id was left with the broker",
                text::printable(&will.payload)
            ))),
            Err(NoMessage::Deadline) => Err(Stop::Failed(format!(
                "the board was lost, and its will was not published within {}",
                Span(deadline)
            ))),
            Err(NoMessage::Lost(found)) => Err(Stop::Rig(found)),
        }
    }
}

/// The case result for a behaviour that was not found.
pub(super) fn missed(missed: Missed) -> Stop {
    match missed {
        Missed::NotHeld(found) => Stop::Failed(found),
        Missed::NotRun(why) | Missed::Broken(why) => Stop::Rig(why),
    }
}
