//! A board in MQTT mode: requests and their replies.

use std::time::{Duration, Instant};

use hilrig_core::contract::Request;
use hilrig_core::text;
use hilrig_core::units::Span;
use regex::Regex;

use crate::journal::Stop;
use crate::main_path::Path;
use crate::mqtt::{Message, NoMessage, Subscription};
use crate::pool::Broker;
use crate::topics::Taken;

/// A board says that it is connected, and subscribes then; what is published in between, the broker
/// gives to nobody. So the first request is repeated until it is answered: after this time, then
/// after twice as long each time.
const AGAIN: Duration = Duration::from_millis(50);
/// The longest time between two repetitions.
const AGAIN_MOST: Duration = Duration::from_secs(1);

/// MQTT mode, connected to the run's broker.
pub struct Online {
    rx_topic: String,
    replies: Subscription,
    /// The board has answered, so it has subscribed.
    heard: bool,
    late: Late,
    /// What may come for a message that was no request, and whether it came.
    refusal: Option<Regex>,
    refused: bool,
    /// Its topics, which no other board of the run may have.
    _taken: Option<Taken>,
}

impl Online {
    /// Connected, with nothing asked yet.
    pub fn new(rx_topic: String, replies: Subscription) -> Online {
        Online {
            rx_topic,
            replies,
            heard: false,
            late: Late::default(),
            refusal: None,
            refused: false,
            _taken: None,
        }
    }

    /// The same with the topics that it has among the boards of the run.
    #[must_use]
    pub fn taking(self, taken: Taken) -> Online {
        Online { _taken: Some(taken), ..self }
    }

    /// The topic that the board takes requests on.
    pub fn topic(&self) -> &str {
        &self.rx_topic
    }

    /// The topic that its replies come on.
    pub fn replies_topic(&self) -> &str {
        self.replies.topic()
    }

    /// Waits for the next message of the board's, whatever it says.
    pub async fn answered(&mut self, deadline: Duration) -> Result<(), String> {
        let answer = self.replies.next(deadline).await;
        answer.map(drop).map_err(|_| format!("no answer within {}", Span(deadline)))
    }

    /// The board has connected anew, and subscribes then.
    pub fn reconnected(&mut self) {
        self.heard = false;
    }

    /// Publishes something to the board.
    pub async fn publish(&self, broker: &Broker, payload: Vec<u8>) -> Result<(), String> {
        broker.mqtt.publish(&self.rx_topic, payload).await
    }

    /// Before the next reply such a refusal may come, of what was published before.
    pub fn may_be_refused(&mut self, refusal: Option<Regex>) {
        (self.refusal, self.refused) = (refusal, false);
    }

    /// Whether it came.
    pub fn was_refused(&mut self) -> bool {
        self.refusal = None;
        self.refused
    }

    fn is_refusal(&mut self, message: &Message) -> bool {
        let said = String::from_utf8_lossy(&message.payload);
        let is = self.refusal.take_if(|refusal| refusal.is_match(&said)).is_some();
        self.refused |= is;
        is
    }
}

/// Replies to a first request's repetitions that may come still. Messages keep their order, so none comes
/// behind the reply to another request.
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

impl Path<'_> {
    /// Asks over MQTT and waits for the reply.
    pub(crate) async fn request(
        &self,
        online: &mut Online,
        broker: &Broker,
        request: &Request,
    ) -> Result<Vec<u8>, Stop> {
        let (reply, seconds) = self.request_untold(online, broker, request).await?;
        self.reply("mqtt", &request.request, &reply, seconds);
        Ok(reply)
    }

    /// The same without telling of it; the reply, and the seconds that it took.
    pub(crate) async fn request_untold(
        &self,
        online: &mut Online,
        broker: &Broker,
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
        let payload = self.bench.plan.contract.payload.replace("{request}", name);
        let deadline = self.reply_deadline();
        let first = Instant::now();
        let mut again = AGAIN;
        let mut repeated = 0;
        let mut asked = first;
        broker.mqtt.publish(&online.rx_topic, payload.as_str()).await.map_err(Stop::Rig)?;
        let message = loop {
            let left = deadline.saturating_sub(first.elapsed());
            let wait = if online.heard { left } else { left.min(again) };
            match online.replies.next(wait).await {
                Ok(message) => {
                    let said = String::from_utf8_lossy(&message.payload);
                    if request.reply.is_match(&said)
                        || !online.late.takes(&message.payload) && !online.is_refusal(&message)
                    {
                        break message;
                    }
                }
                Err(NoMessage::Deadline) if first.elapsed() < deadline => {
                    repeated += 1;
                    again = (again * 2).min(AGAIN_MOST);
                    asked = Instant::now();
                    broker
                        .mqtt
                        .publish(&online.rx_topic, payload.as_str())
                        .await
                        .map_err(Stop::Rig)?;
                }
                Err(NoMessage::Deadline) => {
                    return Err(Stop::Failed(format!(
                        "no reply to {name} over MQTT within {}",
                        Span(deadline)
                    )));
                }
                // The broker itself says best what became of it.
                Err(NoMessage::Lost(_)) => return Err(Stop::Rig(self.bench.broker_gone().await)),
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
    fn a_late_reply_is_known_behind_the_same_request_and_not_behind_another() {
        let [heap, led] = [r"^heap \d+$", "^on$"].map(|reply| Regex::new(reply).unwrap());
        let mut late = Late::default();
        assert!(!late.takes(b"heap 1"));
        // Asked three times, answered once; the second answer was taken for that to the next request.
        late.repeated(&heap, 2, b"heap 1");
        assert!(!late.takes(b"on"));
        late.repeated(&heap, 0, b"heap 2");
        assert!(late.takes(b"heap 3") && late.takes(b"heap 4") && !late.takes(b"heap 5"));
        late.repeated(&heap, 1, b"heap 6");
        late.repeated(&led, 0, b"on");
        assert!(!late.takes(b"heap 7"), "behind the reply to another request");
    }
}
