//! A board in MQTT mode: requests and their replies.

use std::time::{Duration, Instant};

use hilrig_core::contract::Request;
use hilrig_core::text;
use hilrig_core::units::Span;
use regex::Regex;

use crate::broker_link::BrokerLink;
use crate::mqtt::{Message, NoMessage, Subscription};
use crate::session::Session;
use crate::stop::Stop;
use crate::topics::ReservedTopics;

/// A board logs that it is connected, and subscribes after that. What is published in between is lost. So the
/// first request is repeated until it is answered: after this time, then after twice as long each time.
const AGAIN: Duration = Duration::from_millis(50);
/// The longest time between two repetitions.
const AGAIN_MOST: Duration = Duration::from_secs(1);

/// A board in MQTT mode, and the rig's connection to the broker that both use.
pub struct Online {
    link: BrokerLink,
    rx_topic: String,
    replies: Subscription,
    /// The board has answered, so it has subscribed.
    heard: bool,
    late: Late,
    /// A refusal that may come for a message that was no request, and whether it came.
    refusal: Option<Regex>,
    refused: bool,
    /// Its topics, which no other board of the pool may have.
    _reserved: Option<ReservedTopics>,
}

impl Online {
    /// A board that accepts requests on `rx_topic` and replies to `replies`.
    pub fn new(link: BrokerLink, rx_topic: String, replies: Subscription) -> Online {
        Online {
            link,
            rx_topic,
            replies,
            heard: false,
            late: Late::default(),
            refusal: None,
            refused: false,
            _reserved: None,
        }
    }

    /// The same, with its topics reserved among the boards of the pool.
    #[must_use]
    pub(crate) fn reserving(self, reserved: ReservedTopics) -> Online {
        Online { _reserved: Some(reserved), ..self }
    }

    /// The rig's connection to the broker.
    pub fn link(&self) -> &BrokerLink {
        &self.link
    }

    /// The topic on which the board accepts requests.
    pub fn topic(&self) -> &str {
        &self.rx_topic
    }

    /// The topic that its replies come on.
    pub fn replies_topic(&self) -> &str {
        self.replies.topic()
    }

    /// Waits for the next message of the board, whatever it contains.
    ///
    /// # Errors
    /// None came within `deadline`.
    pub async fn next_message(&mut self, deadline: Duration) -> Result<(), String> {
        let answer = self.replies.next(deadline).await;
        answer.map(drop).map_err(|_| format!("no answer within {}", Span(deadline)))
    }

    /// The board has connected again, and subscribes after that.
    pub fn reconnected(&mut self) {
        self.heard = false;
    }

    /// Publishes a message to the board.
    ///
    /// # Errors
    /// The rig's connection broke: a rig fault.
    pub async fn publish(&self, payload: Vec<u8>) -> Result<(), Stop> {
        self.link.mqtt.publish(&self.rx_topic, payload).await.map_err(Stop::Rig)
    }

    /// Such a refusal, for an earlier message, may come before the next reply.
    pub fn may_be_refused(&mut self, refusal: Option<Regex>) {
        (self.refusal, self.refused) = (refusal, false);
    }

    /// Whether it came.
    pub fn was_refused(&mut self) -> bool {
        self.refusal = None;
        self.refused
    }

    fn is_refusal(&mut self, message: &Message) -> bool {
        let text = String::from_utf8_lossy(&message.payload);
        let is = self.refusal.take_if(|refusal| refusal.is_match(&text)).is_some();
        self.refused |= is;
        is
    }
}

/// Replies to a first request's repetitions that may still come. Messages keep their order, so none comes after
/// the reply to another request.
#[derive(Default)]
struct Late(Option<(Regex, usize)>);

impl Late {
    /// A request was answered that had been repeated so many times.
    fn repeated(&mut self, reply: &Regex, times: usize, answer: &[u8]) {
        // The same request again: its answer may be a late one of before, and its own be late now.
        let answer = String::from_utf8_lossy(answer);
        let before = self.0.take().filter(|(reply, _)| reply.is_match(&answer));
        let more = times + before.map_or(0, |(_, more)| more);
        self.0 = (more > 0).then(|| (reply.clone(), more));
    }

    /// Whether the message is one of them.
    fn takes(&mut self, message: &[u8]) -> bool {
        match &mut self.0 {
            Some((reply, more))
                if *more > 0 && reply.is_match(&String::from_utf8_lossy(message)) =>
            {
                *more -= 1;
                true
            }
            _ => false,
        }
    }
}

impl Session<'_> {
    /// A request of the contract over MQTT, and the reply to it. Both are reported as an event.
    ///
    /// # Errors
    /// No reply within the reply deadline, or a message without a request: the board fails. The connection to the
    /// broker broke: a rig fault.
    pub async fn mqtt_request(
        &self,
        online: &mut Online,
        request: &Request,
    ) -> Result<Vec<u8>, Stop> {
        let (reply, seconds) = self.mqtt_request_quiet(online, request).await?;
        self.emit_reply("mqtt", &request.request, &reply, seconds);
        Ok(reply)
    }

    /// The same without an event. Gives the reply and the seconds that it took.
    pub(crate) async fn mqtt_request_quiet(
        &self,
        online: &mut Online,
        request: &Request,
    ) -> Result<(Vec<u8>, f64), Stop> {
        while let Some(message) = online.replies.unasked() {
            if !online.late.takes(&message.payload) && !online.is_refusal(&message) {
                return Err(Stop::Failed(format!(
                    "a message that nobody asked for: `{}`",
                    text::printable(&message.payload)
                )));
            }
        }
        let name = &request.request;
        self.journal.doing(format!("requested {name} over MQTT"));
        let payload = self.contract().payload.replace("{request}", name).into_bytes();
        let deadline = self.reply_deadline();
        let first = Instant::now();
        let mut again = AGAIN;
        let mut repeated = 0;
        let mut asked = first;
        online.publish(payload.clone()).await?;
        let message = loop {
            let left = deadline.saturating_sub(first.elapsed());
            let wait = if online.heard { left } else { left.min(again) };
            match online.replies.next(wait).await {
                Ok(message) => {
                    let text = String::from_utf8_lossy(&message.payload);
                    if request.reply.is_match(&text)
                        || !online.late.takes(&message.payload) && !online.is_refusal(&message)
                    {
                        break message;
                    }
                }
                Err(NoMessage::Deadline) if first.elapsed() < deadline => {
                    repeated += 1;
                    again = (again * 2).min(AGAIN_MOST);
                    asked = Instant::now();
                    online.publish(payload.clone()).await?;
                }
                Err(NoMessage::Deadline) => {
                    return Err(Stop::Failed(format!(
                        "no reply to {name} over MQTT within {}",
                        Span(deadline)
                    )));
                }
                // The broker reports the reason itself.
                Err(NoMessage::Lost(_)) => return Err(Stop::Rig(self.shared.broker.gone().await)),
            }
        };
        online.late.repeated(&request.reply, repeated, &message.payload);
        online.heard = true;
        self.journal.waited(first, message.at);
        let seconds = message.at.saturating_duration_since(asked).as_secs_f64();
        Ok((message.payload, seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_reply_is_known_after_the_same_request_and_not_after_another() {
        let [heap, led] = [r"^heap \d+$", "^on$"].map(|reply| Regex::new(reply).unwrap());
        let mut late = Late::default();
        assert!(!late.takes(b"heap 1"));
        // Three requests, one answer; the second answer was taken for that to the next request.
        late.repeated(&heap, 2, b"heap 1");
        assert!(!late.takes(b"on"));
        late.repeated(&heap, 0, b"heap 2");
        assert!(late.takes(b"heap 3") && late.takes(b"heap 4") && !late.takes(b"heap 5"));
        late.repeated(&heap, 1, b"heap 6");
        late.repeated(&led, 0, b"on");
        assert!(!late.takes(b"heap 7"), "after the reply to another request");
    }
}
