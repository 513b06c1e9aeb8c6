//! MQTT mode: the switch, requests over MQTT, and the switch back.

use hilrig_core::phase::Phase;
use hilrig_core::plural::counted;
use tokio::sync::oneshot;

use crate::broker_link::{BrokerLink, TO_REPORT};
use crate::check_spec::CheckSpec;
use crate::mqtt;
use crate::replies::{invalid, mismatch};
use crate::scenario;
use crate::session::Session;
use crate::session::boot_log::Mode;
use crate::session::mqtt_mode::Online;
use crate::session::switch::Target;
use crate::stop::Stop;

const BOOTED: CheckSpec =
    CheckSpec::new("boot_log.mqtt", "the boot log's lines of MQTT mode, in order");
const CONNECTION: CheckSpec =
    CheckSpec::new("connection", "the board connects to the broker over TLS");
const REQUESTS: CheckSpec = CheckSpec::new("mqtt.requests", "requests over MQTT get their replies");
const INVALID: CheckSpec = CheckSpec::new("mqtt.invalid", "wrong requests are refused");
const SWITCH_BACK: CheckSpec =
    CheckSpec::new("switch_back", "the switch back leads to configuration mode");

/// The checks of these phases.
pub(super) const CHECKS: &[CheckSpec] = &[BOOTED, CONNECTION, REQUESTS, INVALID, SWITCH_BACK];

/// Attempts to connect before the board gives up.
const ATTEMPTS: u32 = 3;
/// The same if a scenario restarts the broker, which is down for longer than that.
const ATTEMPTS_OVER_RESTARTS: u32 = u16::MAX as u32;

/// The rig has a separate connection for this board: if the broker closes it because of this board, no other board is
/// affected.
pub(super) async fn run(session: &Session<'_>, broker: &BrokerLink) -> Result<(), Stop> {
    let deadline = session.plan().deadlines.broker;
    let client_id = format!("hilrig-rig-{}", session.number());
    let (hand_over, driver) = oneshot::channel::<mqtt::Driver>();
    let work = async {
        let switched = session.phase(Phase::Switch, async {
            let connect = mqtt::connect(&broker.endpoint, &client_id, deadline);
            let (mqtt, driver) = session.journal.waiting(connect).await.map_err(Stop::Rig)?;
            let _ = hand_over.send(driver);
            switch(session, BrokerLink { endpoint: broker.endpoint.clone(), mqtt }).await
        });
        let mut online = switched.await?;
        // Keeps the connection until all is done.
        let _link = online.link().clone();
        session.read_heap().await?;
        session.phase(Phase::Mqtt, requests(session, &mut online)).await?;
        scenario::in_mqtt_mode(session, &mut online).await?;
        session.read_heap().await?;
        session.phase(Phase::SwitchBack, switch_back(session, online)).await?;
        session.read_heap().await
    };
    let drive = async {
        match driver.await {
            Ok(mut driver) => driver.serve(&broker.endpoint, &client_id, deadline).await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        done = work => done,
        found = drive => Err(connection_broke(session, &found).await),
    }
}

/// The rig's connection for this board broke. The broker itself reports the reason.
async fn connection_broke(session: &Session<'_>, found: &str) -> Stop {
    match tokio::time::timeout(TO_REPORT, session.shared.broker.gone()).await {
        Ok(gone) => Stop::Rig(gone),
        Err(_) => Stop::Rig(format!("the rig's connection to the broker broke: {found}")),
    }
}

/// The switch to MQTT mode, up to the connection.
async fn switch(session: &Session<'_>, link: BrokerLink) -> Result<Online, Stop> {
    session.step(&BOOTED);
    let mark = session.mark();
    let port = session.ports_of(&link).await?.broker;
    let attempts = match scenario::restart_the_broker(session.plan()) {
        true => ATTEMPTS_OVER_RESTARTS,
        false => ATTEMPTS,
    };
    let target = Target { endpoint: &link.endpoint, port, attempts, fields: &[] };
    session.to_mqtt(&target).await?;
    let mode = session.wait_for_mode(mark, Mode::Mqtt).await?;
    let (rx_topic, tx_topic) = (mode.topic("rx_topic")?, mode.topic("tx_topic")?);
    if rx_topic == tx_topic {
        return Err(Stop::Failed(format!(
            "the boot log names one topic for both directions, `{rx_topic}`: the board would hear itself"
        )));
    }
    session.passed(&BOOTED, counted(session.contract().mqtt.len(), "line"), mode.line);
    session.step(&CONNECTION);
    let reserved = session.shared.topics.reserve([&rx_topic, &tx_topic]).map_err(Stop::Rig)?;
    let subscribe = link.mqtt.subscribe(&tx_topic, session.reply_deadline());
    let replies = match session.journal.waiting(subscribe).await {
        Ok(replies) => replies,
        Err(found) => return Err(not_subscribed(session, &link, &tx_topic, &found).await),
    };
    let line = session.wait_until_connected(mark).await?;
    session.passed(&CONNECTION, "connected", line);
    Ok(Online::new(link, rx_topic, replies).reserving(reserved))
}

/// The broker did not accept the subscription to the board's topic. If it accepts a new connection, the topic is to
/// blame.
async fn not_subscribed(
    session: &Session<'_>,
    link: &BrokerLink,
    topic: &str,
    found: &str,
) -> Stop {
    if let Ok(gone) = tokio::time::timeout(TO_REPORT, session.shared.broker.gone()).await {
        return Stop::Rig(gone);
    }
    let deadline = session.plan().deadlines.broker;
    let id = format!("hilrig-proof-{}", session.number());
    match mqtt::answers(&link.endpoint, &id, deadline).await {
        Ok(()) => Stop::Failed(format!(
            "the broker takes no subscription to the board's topic `{topic}`: {found}"
        )),
        Err(dead) => Stop::Rig(format!("{found}; the broker does not answer: {dead}")),
    }
}

/// Requests over MQTT and their replies.
async fn requests(session: &Session<'_>, online: &mut Online) -> Result<(), Stop> {
    let contract = session.contract();
    session.step(&REQUESTS);
    let mut wrong = Vec::new();
    for request in &contract.requests {
        let reply = session.mqtt_request(online, request).await?;
        wrong.extend(mismatch(request, &reply));
        wrong.extend(session.note_heap(&request.request, &reply).err());
    }
    session.all_of(&REQUESTS, contract.requests.len(), &wrong);

    session.step(&INVALID);
    let mut wrong = Vec::new();
    for request in invalid(contract) {
        let reply = session.mqtt_request(online, &request).await?;
        wrong.extend(mismatch(&request, &reply));
    }
    session.all_of(&INVALID, contract.invalid.requests.len(), &wrong);
    Ok(())
}

/// The switch back to configuration mode.
async fn switch_back(session: &Session<'_>, mut online: Online) -> Result<(), Stop> {
    session.step(&SWITCH_BACK);
    let booted = session.to_configuration(&mut online).await?;
    session.passed(&SWITCH_BACK, "configuration mode is up", booted.line);
    Ok(())
}
