//! Session checks: when a broker ends a session, and what it does then.

use std::time::{Duration, Instant};

use hilrig_core::units::Span;
use rumqttc::{ConnectReturnCode, Packet};

use super::client::{As, Came, connect, let_in, number, tls_of};
use super::{Missed, Question};

/// The requested keep-alive.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// A client that is silent for 1.5 times its keep-alive is disconnected (MQTT 3.1.1, 3.1.2.10) at the broker's next
/// check; one that pings is not.
pub(super) async fn keep_alive(question: &Question<'_>) -> Result<String, Missed> {
    let (silent_id, pinging_id) = (format!("{}s", question.tag), format!("{}p", question.tag));
    let short = |id| As { keep_alive: KEEP_ALIVE, ..As::id(id) };
    let mut pinging = let_in(question, short(&pinging_id)).await?;
    let mut silent = let_in(question, short(&silent_id)).await?;
    let since = Instant::now();
    let due = KEEP_ALIVE.mul_f64(1.5);
    let latest = due + question.looks_within + question.deadline;
    let pings = async {
        let mut often = tokio::time::interval(KEEP_ALIVE / 2);
        loop {
            often.tick().await;
            if let Err(came) = pinging.ping().await {
                return came.told(question.deadline);
            }
        }
    };
    let dropped = tokio::select! {
        came = silent.next_within(latest) => came,
        found = pings => {
            return Err(Missed::NotHeld(format!(
                "a client with a keep-alive of {} that pinged each second was not left alone: {found}",
                Span(KEEP_ALIVE)
            )));
        }
    };
    let after = since.elapsed();
    let silence = format!("a client that was silent, with a keep-alive of {},", Span(KEEP_ALIVE));
    match dropped {
        Came::Closed(_) if after < KEEP_ALIVE => Err(Missed::NotHeld(format!(
            "{silence} was dropped after {}, which is too early",
            seconds(after)
        ))),
        Came::Closed(_) => match pinging.ping().await {
            Ok(()) => Ok(format!(
                "{silence} was dropped after {} (due from {} on); one that pinged was not",
                seconds(after),
                Span(due)
            )),
            Err(came) => Err(Missed::NotHeld(format!(
                "{silence} was dropped, and one that pinged with it: {}",
                came.told(question.deadline)
            ))),
        },
        other => Err(Missed::NotHeld(format!("{silence} was not dropped: {}", other.told(latest)))),
    }
}

/// A second client with the same id takes over the session (MQTT 3.1.1, 3.1.4-2).
pub(super) async fn takeover(question: &Question<'_>) -> Result<String, Missed> {
    let id = format!("{}x", question.tag);
    let mut first = let_in(question, As::id(&id)).await?;
    let since = Instant::now();
    let mut second = match connect(question, tls_of(question)?, As::id(&id)).await {
        Ok((second, ConnectReturnCode::Success)) => second,
        Ok((_, code)) => {
            return Err(Missed::NotHeld(format!(
                "the second client of one id was refused with return code {}",
                number(code)
            )));
        }
        Err(found) => {
            return Err(Missed::NotHeld(format!(
                "the second client of one id was refused: {found}"
            )));
        }
    };
    let first_left = first.next().await;
    let after = since.elapsed();
    let second_stays = second.ping().await;
    let told = |came: &Came| came.told(question.deadline);
    match (first_left, second_stays) {
        (Came::Closed(_), Ok(())) => Ok(format!(
            "the first client of one id was dropped {} after the second came; the second stays",
            seconds(after)
        )),
        (Came::Closed(_), Err(came)) => {
            Err(Missed::NotHeld(format!("both clients of one id were dropped: {}", told(&came))))
        }
        (other, Ok(())) => Err(Missed::NotHeld(format!(
            "both clients of one id stay; to the first came {}",
            told(&other)
        ))),
        (other, Err(came)) => Err(Missed::NotHeld(format!(
            "the second client of one id was let in, then {}; to the first came {}",
            told(&came),
            told(&other)
        ))),
    }
}

/// The will of a client that loses its connection is published, that of a client that disconnects is not (MQTT
/// 3.1.1, 3.1.2.5).
pub(super) async fn will(question: &Question<'_>) -> Result<String, Missed> {
    let topic = format!("{}/will", question.tag);
    let mut heir = let_in(question, As::id(&format!("{}h", question.tag))).await?;
    heir.must_subscribe(&topic).await?;

    let id = format!("{}w", question.tag);
    let with_will = |will| As { will: Some((topic.as_str(), will)), ..As::id(&id) };
    let lost = let_in(question, with_will("lost")).await?;
    let since = Instant::now();
    drop(lost);
    match heir.next().await {
        Came::Packet(Packet::Publish(message)) if message.payload == "lost" => {}
        other => {
            return Err(Missed::NotHeld(format!(
                "a connection was cut without a DISCONNECT; instead of the will came {}",
                other.told(question.deadline)
            )));
        }
    }
    let after = since.elapsed();

    // The first message is the will, if there is one: it is sent before the connection ends.
    let_in(question, with_will("left")).await?.disconnect().await;
    let mut last = let_in(question, As::id(&format!("{}m", question.tag))).await?;
    let marked = last.publish(&topic, b"the last one").await;
    marked.map_err(|found| Missed::Broken(format!("publishing on `{topic}`: {found}")))?;
    match heir.next().await {
        Came::Packet(Packet::Publish(message)) if message.payload == "the last one" => Ok(format!(
            "the will of a client that was lost came {} after its connection was cut; that of one that took its leave did not",
            seconds(after)
        )),
        other => Err(Missed::NotHeld(format!(
            "a client took its leave with a DISCONNECT, and still came {}",
            other.told(question.deadline)
        ))),
    }
}

/// Human-readable text.
pub(crate) fn seconds(span: Duration) -> String {
    format!("{:.2} s", span.as_secs_f64())
}
