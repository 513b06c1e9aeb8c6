//! Message checks: retained messages and delivery.

use rumqttc::{Packet, PubAck, Publish, QoS};

use super::client::{As, Came, Client, Granted, let_in};
use super::{Missed, Question};

/// The last message of a series: anything that has not arrived before it is lost.
const MARKER: &[u8] = b"the last one";

/// A retained message is delivered to an existing subscriber as a normal message, and to a later subscriber marked
/// as retained, until it is removed (MQTT 3.1.1, 3.3.1.3).
pub(super) async fn retained(question: &Question<'_>) -> Result<String, Missed> {
    let topic = format!("{}/retained", question.tag);
    let mut before = let_in(question, As::id(&format!("{}e", question.tag))).await?;
    before.must_subscribe(&topic).await?;
    let mut publisher = let_in(question, As::id(&format!("{}p", question.tag))).await?;
    publish_retained(&mut publisher, question, &topic, b"kept").await?;
    // Now the broker has the message: what the later subscriber gets was retained, not forwarded.
    let at_once = match before.next().await {
        Came::Packet(Packet::Publish(Publish { retain, payload, .. })) if payload == "kept" => {
            Ok(retain)
        }
        other => Err(other.told(question.deadline)),
    };

    let mut subscriber = let_in(question, As::id(&format!("{}a", question.tag))).await?;
    subscriber.must_subscribe(&topic).await?;
    let kept = match subscriber.next().await {
        Came::Packet(Packet::Publish(Publish { retain, payload, .. })) if payload == "kept" => {
            Ok(retain)
        }
        other => Err(other.told(question.deadline)),
    };
    // Removed whatever the result.
    publish_retained(&mut publisher, question, &topic, b"").await?;
    match at_once {
        Ok(false) => {}
        Ok(true) => {
            return Err(Missed::NotHeld(
                "a retained message came to a subscriber that was there before, marked as retained, which says that it is an old one".into(),
            ));
        }
        Err(came) => {
            return Err(Missed::NotHeld(format!(
                "a retained message was published and acknowledged; to a subscriber that was there before came {came}"
            )));
        }
    }
    match kept {
        Ok(true) => {}
        Ok(false) => {
            return Err(Missed::NotHeld(
                "a retained message came to a later subscriber, but not marked as retained".into(),
            ));
        }
        Err(came) => {
            return Err(Missed::NotHeld(format!(
                "a retained message was published and acknowledged; to a later subscriber came {came}"
            )));
        }
    }
    let mut later = let_in(question, As::id(&format!("{}b", question.tag))).await?;
    later.must_subscribe(&topic).await?;
    publish(&mut publisher, &topic, MARKER).await?;
    match later.next().await {
        Came::Packet(Packet::Publish(message)) if message.payload == MARKER => Ok(
            "a retained message came to a subscriber that was there before, as any other, and to a later one, marked as retained; when it was removed, it came no more".into(),
        ),
        other => Err(Missed::NotHeld(format!(
            "a retained message was removed, and a later subscriber still got {}",
            other.told(question.deadline)
        ))),
    }
}

async fn publish_retained(
    client: &mut Client,
    question: &Question<'_>,
    topic: &str,
    payload: &[u8],
) -> Result<(), Missed> {
    let sent = client.publish_acknowledged(topic, payload, true).await;
    sent.map_err(|came| {
        let came = came.told(question.deadline);
        Missed::NotHeld(format!("to a retained message of QoS 1 came {came} instead of a PUBACK"))
    })
}

async fn publish(client: &mut Client, topic: &str, payload: &[u8]) -> Result<(), Missed> {
    let sent = client.publish(topic, payload).await;
    sent.map_err(|found| Missed::Broken(format!("publishing on `{topic}`: {found}")))
}

/// QoS 0 and 1 arrive, and 1 is acknowledged (MQTT 3.1.1, 4.3).
pub(super) async fn qos(question: &Question<'_>) -> Result<String, Missed> {
    let topic = format!("{}/qos", question.tag);
    let told = |came: Came| came.told(question.deadline);
    let mut subscriber = let_in(question, As::id(&format!("{}s", question.tag))).await?;
    match subscriber.subscribe(&topic, QoS::AtLeastOnce).await {
        Ok(Granted::Qos(QoS::AtLeastOnce)) => {}
        Ok(Granted::Qos(granted)) => {
            return Err(Missed::NotHeld(format!(
                "a subscription of QoS 1 was granted as QoS {}",
                granted as u8
            )));
        }
        Ok(Granted::Refused) => {
            return Err(Missed::NotHeld("a subscription was refused (0x80)".into()));
        }
        Err(came) => {
            return Err(Missed::NotHeld(format!("subscribing with QoS 1: {}", told(came))));
        }
    }
    let mut publisher = let_in(question, As::id(&format!("{}p", question.tag))).await?;
    publish(&mut publisher, &topic, b"zero").await?;
    arrives(&mut subscriber, question, b"zero", QoS::AtMostOnce).await?;
    if let Err(came) = publisher.publish_acknowledged(&topic, b"one", false).await {
        let came = told(came);
        return Err(Missed::NotHeld(format!(
            "to a message of QoS 1 came {came} instead of a PUBACK"
        )));
    }
    let pkid = arrives(&mut subscriber, question, b"one", QoS::AtLeastOnce).await?;
    let acknowledged = subscriber.send(Packet::PubAck(PubAck { pkid })).await;
    acknowledged.map_err(|found| Missed::NotHeld(format!("acknowledging QoS 1: {found}")))?;
    // It is still there behind the acknowledgement.
    match subscriber.ping().await {
        Ok(()) => Ok("messages of QoS 0 and 1 arrived as such, and QoS 1 was acknowledged".into()),
        Err(came) => {
            Err(Missed::NotHeld(format!("behind the acknowledgement of QoS 1 came {}", told(came))))
        }
    }
}

/// Waits for a message and returns its packet identifier.
async fn arrives(
    subscriber: &mut Client,
    question: &Question<'_>,
    payload: &[u8],
    qos: QoS,
) -> Result<u16, Missed> {
    match subscriber.next().await {
        Came::Packet(Packet::Publish(message)) if message.payload == payload => {
            if message.qos == qos {
                return Ok(message.pkid);
            }
            Err(Missed::NotHeld(format!(
                "a message of QoS {} came as one of QoS {}",
                qos as u8, message.qos as u8
            )))
        }
        other => Err(Missed::NotHeld(format!(
            "a message of QoS {} was published; to its subscriber came {}",
            qos as u8,
            other.told(question.deadline)
        ))),
    }
}
