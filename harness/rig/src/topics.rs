//! The topics in a board's boot log. They come from a board, so they are checked before the rig subscribes or
//! publishes: a broker closes the connection of a client that sends an invalid topic.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;

use crate::instead::shortened;
use crate::stop::Stop;

/// Levels of a topic that brokers take (Mosquitto: 200 separators).
const MOST_LEVELS: usize = 200;

/// The topics of all boards of a pool.
#[derive(Debug, Default)]
pub struct Topics(Rc<RefCell<HashSet<String>>>);

/// The topics of one board. Dropped: another board may have them.
#[derive(Debug)]
pub struct ReservedTopics {
    all: Rc<RefCell<HashSet<String>>>,
    mine: Vec<String>,
}

impl Topics {
    /// Reserves topics for one board.
    ///
    /// # Errors
    /// Another board has one of them.
    pub fn reserve(&self, topics: [&str; 2]) -> Result<ReservedTopics, String> {
        let mut all = self.0.borrow_mut();
        if let Some(topic) = topics.iter().find(|topic| all.contains(**topic)) {
            return Err(format!(
                "another board of this run has the topic `{}`; two boards with one MAC address or one configured topic cannot be told apart",
                shortened(topic)
            ));
        }
        all.extend(topics.map(str::to_owned));
        Ok(ReservedTopics { all: self.0.clone(), mine: topics.map(str::to_owned).to_vec() })
    }
}

impl Drop for ReservedTopics {
    fn drop(&mut self) {
        let mut all = self.all.borrow_mut();
        for topic in &self.mine {
            all.remove(topic);
        }
    }
}

/// The topic that a board's boot log reports as `name`, if it can be subscribed to and published on. `altered`: the text
/// is not byte for byte what the board sent.
pub(crate) fn checked(name: &str, topic: &str, altered: bool) -> Result<String, Stop> {
    let wrong = match altered {
        true => Some("holds bytes that no topic may have, or is longer than 2,048 bytes"),
        false => wrong(topic),
    };
    match wrong {
        None => Ok(topic.to_owned()),
        Some(_) if topic.is_empty() => Err(Stop::Failed(format!("the boot log names no {name}"))),
        Some(wrong) => {
            let topic = shortened(topic);
            Err(Stop::Failed(format!(
                "the boot log's {name} `{topic}` is no MQTT topic: it {wrong}"
            )))
        }
    }
}

/// What is wrong with a topic, if anything is. Control characters are gone already.
fn wrong(topic: &str) -> Option<&'static str> {
    match topic {
        "" => Some("is empty"),
        _ if topic.contains(['+', '#']) => Some("has a wildcard (`+` or `#`)"),
        _ if topic.starts_with('$') => Some("begins with `$`: such topics are the broker's own"),
        _ if topic.contains(is_noncharacter) => Some("holds characters that no text may have"),
        _ if topic.matches('/').count() >= MOST_LEVELS => Some("has more than 200 levels"),
        _ => None,
    }
}

/// Unicode's noncharacters, which brokers may refuse (MQTT 3.1.1, 1.5.3).
fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xFFFE == 0xFFFE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_topic_is_refused_before_it_is_used() {
        for good in ["a", "mqtt_tx_18fe344964e3", "/a//b/", "größe/°", " a b ", "a$b"] {
            assert_eq!(checked("tx_topic", good, false), Ok(good.to_owned()));
        }
        let levels = "/".repeat(200);
        let bad = ["", "#", "a/#", "a/+/b", "a+", "$SYS/x", "$share/g/a", "a\u{fffe}", &levels];
        for bad in bad {
            let stop = checked("tx_topic", bad, false).unwrap_err();
            assert!(stop.failed().is_some_and(|why| why.contains("tx_topic")), "{bad}: {stop:?}");
        }
        let stop = checked("tx_topic", "a\\x00b", true).unwrap_err();
        assert!(stop.failed().is_some_and(|why| why.contains("bytes that no topic")), "{stop:?}");
    }

    #[test]
    fn two_boards_never_share_a_topic_and_a_board_that_left_has_none() {
        let all = Topics::default();
        let first = all.reserve(["rx1", "tx1"]).unwrap();
        assert!(all.reserve(["rx2", "tx1"]).unwrap_err().contains("`tx1`"));
        assert!(all.reserve(["rx1", "tx2"]).unwrap_err().contains("`rx1`"));
        let second = all.reserve(["rx2", "tx2"]).unwrap();
        drop(first);
        assert!(all.reserve(["rx1", "tx1"]).is_ok());
        drop(second);
    }
}
