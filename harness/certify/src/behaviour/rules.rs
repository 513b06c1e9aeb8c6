//! Broker rules that block the rig from a connected board: access lists, connection limits, client ids. A failure
//! because of such a rule is neither a refusal by the device nor a fault of the bench.
//!
//! Checked after a failure, while no board is connected: two clients with the board's own user repeat what the rig
//! and the board do.

use std::time::Duration;

use hilrig_core::text::printable;
use rumqttc::{ConnectReturnCode, Packet, QoS};

use super::Question;
use super::client::{As, Came, Client, Granted, connect, number, tls_of};

/// Timeout for a message that may never arrive.
const TO_COME: Duration = Duration::from_secs(5);

/// Delay between two attempts to connect.
const AGAIN: Duration = Duration::from_millis(50);

/// The payload published: not a request of any firmware.
const MARKER: &[u8] = b"hilrig: is this delivered?";

/// What to check.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The client id that the rig had.
    pub id: &'a str,
    /// The board's request topic and reply topic.
    pub topics: [&'a str; 2],
    /// A topic of the rig's own clients, if the case uses them.
    pub own_topic: Option<&'a str>,
    /// Messages with QoS 1, including retained ones.
    pub retained: bool,
}

/// The rule that explains a failure, as text, if there is one.
pub async fn rule(question: &Question<'_>, asked: &Asked<'_>) -> Option<String> {
    let tls = tls_of(question).ok()?;
    // A broker needs a moment to detect that the board is gone; until then its connection limit counts the board.
    let let_in = async {
        loop {
            match connect(question, tls.clone(), As::id(asked.id)).await {
                Err(_) => tokio::time::sleep(AGAIN).await,
                answered => return answered,
            }
        }
    };
    let mut first = match tokio::time::timeout(question.deadline.min(TO_COME), let_in).await {
        Ok(Ok((first, ConnectReturnCode::Success))) => first,
        Ok(Ok((_, code))) => return Some(refused_id(asked.id, number(code))),
        // Whether this is a rule is unknown: the broker may be gone.
        Ok(Err(_)) | Err(_) => return None,
    };
    let other = format!("{}r", question.tag);
    let mut second = match connect(question, tls, As::id(&other)).await {
        Ok((second, ConnectReturnCode::Success)) => second,
        Ok((_, code @ (ConnectReturnCode::BadClientId | ConnectReturnCode::NotAuthorized))) => {
            let alone = drop_and_try(question, first, &other).await;
            return Some(match alone {
                true => second_refused(&format!("with return code {}", number(code))),
                false => refused_id(&other, number(code)),
            });
        }
        Ok((_, code)) => {
            return Some(second_refused(&format!("with return code {}", number(code))));
        }
        Err(found) => match first.ping().await {
            Ok(()) => return Some(second_refused(&format!("({found})"))),
            Err(_) => return None,
        },
    };
    if let Err(Came::Closed(_)) = first.ping().await {
        return Some(format!(
            "the broker drops a client when another one with the same user comes, though their client ids differ (`{}` \
             and `{other}`): it takes the user name for the client id, or allows a user one connection",
            asked.id
        ));
    }
    for topic in asked.topics.into_iter().chain(asked.own_topic) {
        if let Some(rule) = about(question, topic, &mut first, &mut second).await {
            return Some(rule);
        }
    }
    match asked.own_topic {
        Some(topic) if asked.retained => kept(topic, &mut first).await,
        _ => None,
    }
}

/// Whether the broker refuses a board for its client id: it accepts another id with the same user and refuses this one.
pub async fn rule_for_id(question: &Question<'_>, id: &str) -> Option<String> {
    let tls = tls_of(question).ok()?;
    let other = format!("{}c", question.tag);
    match connect(question, tls.clone(), As::id(&other)).await {
        Ok((client, ConnectReturnCode::Success)) => client.disconnect().await,
        _ => return None,
    }
    let how = match connect(question, tls, As::id(id)).await {
        Ok((client, ConnectReturnCode::Success)) => {
            client.disconnect().await;
            return None;
        }
        Ok((_, code)) => format!("with return code {}", number(code)),
        Err(found) => format!("({found})"),
    };
    Some(format!(
        "the broker refuses the board's client id `{}` {how}, and lets `{other}` in with the same user and password: it has a \
         rule for client ids",
        printable(id.as_bytes())
    ))
}

/// Bytes sent on the wire by the board and the broker, when the rig's requests began and when the rig gave up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// From the board.
    pub from_board: u64,
    /// From the broker.
    pub from_broker: u64,
}

/// Detects a rule for the board's client id only, which does not affect other clients: from the traffic on the board's
/// line while the rig repeated its request and got no reply. A ping and its answer are below these limits.
pub fn rule_for_the_board(before: Carried, after: Carried, topics: [&str; 2]) -> Option<String> {
    const NOTHING: u64 = 200;
    const REPLIES: u64 = 400;
    let [requests, replies] = topics.map(|topic| printable(topic.as_bytes()));
    let came = after.from_broker.saturating_sub(before.from_broker);
    let went = after.from_board.saturating_sub(before.from_board);
    if came < NOTHING {
        return Some(format!(
            "the broker passes on to the board nothing of what the rig publishes on `{requests}` ({came} B came), and to other              clients it does: it has a rule for the board's client id"
        ));
    }
    (went > REPLIES).then(|| {
        format!(
            "the board answered ({went} B went to the broker), and the broker delivers nothing of it on `{replies}`, where              other clients may publish: it has a rule for the board's client id"
        )
    })
}

/// Whether a client with this id is accepted when no other is connected.
async fn drop_and_try(question: &Question<'_>, first: Client, id: &str) -> bool {
    first.disconnect().await;
    let Ok(tls) = tls_of(question) else { return false };
    matches!(connect(question, tls, As::id(id)).await, Ok((_, ConnectReturnCode::Success)))
}

fn refused_id(id: &str, code: u8) -> String {
    format!(
        "the broker refuses the client id `{}` with return code {code}, and let the board in with the same user and \
         password: it has a rule for client ids",
        printable(id.as_bytes())
    )
}

fn second_refused(how: &str) -> String {
    format!(
        "the broker refuses a second client of the same user {how} while the first one is connected: it limits the \
         connections"
    )
}

/// Whether a message that one client publishes on a topic reaches another client.
async fn about(
    question: &Question<'_>,
    topic: &str,
    from: &mut Client,
    to: &mut Client,
) -> Option<String> {
    let shown = printable(topic.as_bytes());
    match to.subscribe(topic, QoS::AtMostOnce).await {
        Ok(Granted::Qos(_)) => {}
        Ok(Granted::Refused) => {
            return Some(format!(
                "the broker refuses a subscription to `{shown}` (SUBACK 0x80): its access list does not let this user read there"
            ));
        }
        Err(Came::Closed(_)) => {
            return Some(format!(
                "the broker closes the connection of a client that subscribes to `{shown}`"
            ));
        }
        Err(_) => return None,
    }
    from.publish(topic, MARKER).await.ok()?;
    let wait = question.deadline.min(TO_COME);
    let comes = async {
        loop {
            match to.next_within(wait).await {
                // Another message on a shared topic.
                Came::Packet(Packet::Publish(message)) if message.payload != MARKER => {}
                came => return came,
            }
        }
    };
    tokio::select! {
        biased;
        came = tokio::time::timeout(wait, comes) => match came {
            Ok(Came::Packet(_)) => None,
            Ok(Came::Closed(_)) => Some(format!(
                "the broker closes the connection of a subscriber when something is published on `{shown}`"
            )),
            Ok(Came::Nothing) | Err(_) => Some(format!(
                "the broker does not deliver what this user publishes on `{shown}` to a subscriber of the same user: \
                 its access list does not let it write or read there"
            )),
        },
        came = from.receive() => match came {
            Came::Closed(_) => {
                Some(format!("the broker closes the connection of a client that publishes on `{shown}`"))
            }
            _ => None,
        },
    }
}

/// Whether messages with QoS 1 and retained messages are allowed.
async fn kept(topic: &str, from: &mut Client) -> Option<String> {
    let closes =
        |what: &str| format!("the broker closes the connection of a client that publishes {what}");
    if let Err(Came::Closed(_)) = from.publish_acknowledged(topic, MARKER, false).await {
        return Some(closes("with QoS 1"));
    }
    match from.publish_acknowledged(topic, MARKER, true).await {
        Err(Came::Closed(_)) => Some(closes("a retained message")),
        Err(_) => None,
        Ok(()) => {
            // Remove it.
            let _ = from.publish_acknowledged(topic, b"", true).await;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_for_the_board_alone_shows_in_what_its_line_carried() {
        let at = |from_board, from_broker| Carried { from_board, from_broker };
        let found = |after| rule_for_the_board(at(1_500, 2_500), after, ["rx", "tx"]);
        // A SUBACK and a PINGRESP.
        assert!(found(at(1_600, 2_566)).unwrap().contains("publishes on `rx`"));
        assert!(found(at(4_000, 3_600)).unwrap().contains("nothing of it on `tx`"));
        // The board got the request and did not answer: that is the board's fault.
        assert_eq!(found(at(1_600, 3_600)), None);
    }
}
