//! The topics that a board's boot log names. They come from a board, so nothing is subscribed to or
//! published on before it was looked at: a broker ends the connection of a client that asks for what is
//! no topic.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;

use crate::instead::shortened;
use crate::session::boot_log::Booted;
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

/// The topic of this name in a mode's boot log, if it is one that can be subscribed to and published on.
pub fn of(mode: &Booted, name: &str) -> Result<String, Stop> {
    let topic = mode.groups.get(name).map_or("", String::as_str);
    let wrong = match mode.altered.iter().any(|altered| altered == name) {
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
    use std::collections::BTreeMap;

    use super::*;

    fn booted(topic: &str, altered: bool) -> Booted {
        Booted {
            build: None,
            groups: BTreeMap::from([("tx_topic".to_owned(), topic.to_owned())]),
            altered: if altered { vec!["tx_topic".to_owned()] } else { Vec::new() },
            line: 1,
        }
    }

    #[test]
    fn what_is_no_topic_is_refused_before_it_is_used() {
        for good in ["a", "mqtt_tx_18fe344964e3", "/a//b/", "größe/°", " a b ", "a$b"] {
            assert_eq!(of(&booted(good, false), "tx_topic"), Ok(good.to_owned()));
        }
        let levels = "/".repeat(200);
        let bad = ["", "#", "a/#", "a/+/b", "a+", "$SYS/x", "$share/g/a", "a\u{fffe}", &levels];
        for bad in bad {
            let stop = of(&booted(bad, false), "tx_topic").unwrap_err();
            assert!(stop.failed().is_some_and(|why| why.contains("tx_topic")), "{bad}: {stop:?}");
        }
        let stop = of(&booted("a\\x00b", true), "tx_topic").unwrap_err();
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
