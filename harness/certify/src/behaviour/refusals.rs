//! Refusal checks: what a broker refuses, and how.

use hilrig_core::units::Bytes;
use rumqttc::{ConnectReturnCode, Packet, QoS};

use super::client::{As, Came, Granted, connect, let_in, number, tls_of};
use super::{Missed, Question};

/// The smallest payload tested, bytes.
const LEAST: usize = 1024;

/// The largest payload tested, bytes.
const MOST: usize = 256 * 1024;

/// The last message of a series: anything that has not arrived before it is lost.
const MARKER: &[u8] = b"the last one";

/// The largest message that the broker accepts and forwards: powers of two up to 256 KiB, and what it does with one
/// that it does not.
pub(super) async fn payload_limit(question: &Question<'_>) -> Result<String, Missed> {
    let topic = format!("{}/large", question.tag);
    let mut subscriber = let_in(question, As::id(&format!("{}s", question.tag))).await?;
    subscriber.must_subscribe(&topic).await?;
    let mut publisher = let_in(question, As::id(&format!("{}p", question.tag))).await?;
    let mut passed = None;
    let mut size = LEAST;
    while size <= MOST {
        let told = |how: &str| {
            let passed = passed.map_or("none".into(), |size| Bytes(size).to_string());
            Ok(format!(
                "the largest payload that goes through: {passed}; of {}: {how}",
                Bytes(size as u64)
            ))
        };
        // The marker arrives instead of a dropped message.
        let sent = publisher.publish(&topic, &vec![b'x'; size]).await;
        let marked = match sent {
            Ok(()) => publisher.publish(&topic, MARKER).await,
            broke => broke,
        };
        let came = match marked {
            // The broker may disconnect the publisher while the subscriber gets nothing.
            Ok(()) => tokio::select! {
                biased;
                came = subscriber.next() => came,
                came = publisher.receive() => {
                    return told(&format!("the publisher is dropped, {}", came.told(question.deadline)));
                }
            },
            Err(found) => return told(&format!("the publisher is dropped, {found}")),
        };
        match came {
            Came::Packet(Packet::Publish(message)) if message.payload.len() == size => {}
            Came::Packet(Packet::Publish(message)) if message.payload == MARKER => {
                return told("it is dropped without a word");
            }
            other => {
                return told(&format!("to the subscriber came {}", other.told(question.deadline)));
            }
        }
        match subscriber.next().await {
            Came::Packet(Packet::Publish(message)) if message.payload == MARKER => {}
            other => {
                return told(&format!("behind it came {}", other.told(question.deadline)));
            }
        }
        passed = Some(size as u64);
        size *= 2;
    }
    Ok(format!("payloads go through up to {}; more was not tried", Bytes(MOST as u64)))
}

/// A wrong password is refused with return code 4 or 5 (MQTT 3.1.1, 3.2.2.3).
pub(super) async fn wrong_password(question: &Question<'_>) -> Result<String, Missed> {
    let Some((_, right)) = &question.endpoint.credentials else {
        return Err(Missed::NotRun("the broker was set up without users".into()));
    };
    let id = format!("{}w", question.tag);
    // The control: the right password is accepted.
    let_in(question, As::id(&id)).await?.disconnect().await;
    let wrong = format!("{right}x");
    let wanted = As { password: Some(&wrong), ..As::id(&id) };
    match connect(question, tls_of(question)?, wanted).await {
        Ok((
            _,
            code @ (ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized),
        )) => Ok(format!("a wrong password is refused with return code {}", number(code))),
        Ok((_, ConnectReturnCode::Success)) => {
            Err(Missed::NotHeld("a wrong password is let in".into()))
        }
        Ok((_, code)) => Err(Missed::NotHeld(format!(
            "a wrong password is refused with return code {}, which says something else",
            number(code)
        ))),
        Err(found) => Err(Missed::NotHeld(format!("to a wrong password came {found}"))),
    }
}

/// A forbidden publish or subscribe is refused, dropped, or ends the connection.
pub(super) async fn no_permission(question: &Question<'_>) -> Result<String, Missed> {
    let Some(forbidden) = question.forbidden else {
        return Err(Missed::NotRun("no topic is known that its user may not use".into()));
    };
    let told = |came: &Came| came.told(question.deadline);
    let mut subscriber = let_in(question, As::id(&format!("{}s", question.tag))).await?;
    // Subscribe to the marker first: a client that tries something forbidden may lose its connection.
    let allowed = format!("{}/allowed", question.tag);
    subscriber.must_subscribe(&allowed).await?;
    let granted = subscriber.subscribe(forbidden, QoS::AtMostOnce).await;
    let subscribing = match &granted {
        Ok(Granted::Qos(_)) => "is granted".into(),
        Ok(Granted::Refused) => "is refused (0x80)".into(),
        Err(came) => format!("brings {}", told(came)),
    };

    let mut publisher = let_in(question, As::id(&format!("{}p", question.tag))).await?;
    let acknowledged = publisher.publish_acknowledged(forbidden, b"forbidden", false).await;
    let publishing = match &acknowledged {
        Ok(()) => "is acknowledged".into(),
        Err(came) => format!("brings {}", told(came)),
    };
    let mut found = format!("subscribing {subscribing}; publishing {publishing}");
    if matches!(granted, Ok(Granted::Qos(_))) {
        // The first message to arrive shows whether it is forwarded: it, or a message on an allowed topic.
        let mut other = let_in(question, As::id(&format!("{}m", question.tag))).await?;
        let marked = other.publish(&allowed, MARKER).await;
        marked.map_err(|found| Missed::Broken(format!("publishing on `{allowed}`: {found}")))?;
        match subscriber.next().await {
            Came::Packet(Packet::Publish(message)) if message.payload == MARKER => {
                found.push_str("; the message is passed on to nobody");
            }
            Came::Packet(Packet::Publish(message)) if message.payload == "forbidden" => {
                return Err(Missed::NotHeld(format!("{found}; the message is passed on")));
            }
            came => found.push_str(&format!("; then came {}", told(&came))),
        }
    }
    Ok(found)
}
