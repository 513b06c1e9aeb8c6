//! The queue of open cases, grouped by the broker set-up they need.
//!
//! A board with a broker continues with the cases that fit that broker. Then it takes a group that no board has
//! started, and finally it helps the group with the most work left. So a broker with a slow start is started once for
//! all of its cases, as far as that saves time. Within a group the long cases run first, so none of them runs alone
//! at the end.

use std::collections::VecDeque;
use std::time::Duration;

use hilrig_core::certify::case::Behaviour;
use hilrig_core::certify::{Act, BrokerTls, Case, Line};

/// Approximate time of a case on a board, without deliberate waits.
const A_CASE: Duration = Duration::from_secs(3);

/// The broker that a case needs: which of the certified brokers, and its set-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Its index among the certified brokers.
    pub broker: usize,
    /// Its set-up.
    pub tls: BrokerTls,
}

/// An open case, and its index in the requested matrix.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// The broker's index among the certified brokers.
    pub broker: usize,
    /// The case's index among the requested cases.
    pub place: usize,
    /// The case.
    pub case: &'static Case,
}

struct Group {
    need: Need,
    left: VecDeque<Task>,
    /// Number of boards with such a broker.
    holders: usize,
}

/// The queue.
#[derive(Default)]
pub struct Queue {
    groups: Vec<Group>,
    /// Cases for all boards together, run when everything else is done.
    last: VecDeque<Task>,
    /// A board is setting up a broker for the first of them.
    last_taken: bool,
}

impl Queue {
    /// Inserts a case after those with the same need and the same duration. The very first case stays first: it is the
    /// control, which shows that the bench works.
    pub fn push(&mut self, task: Task) {
        let need = need(&task);
        match self.groups.iter_mut().find(|group| group.need == need) {
            Some(group) => {
                let before =
                    |other: &Task| other.place == 0 || takes(other.case) >= takes(task.case);
                group.left.insert(group.left.partition_point(before), task);
            }
            None => {
                self.groups.push(Group { need, left: VecDeque::from([task]), holders: 0 });
            }
        }
    }

    /// Inserts a case for all boards together.
    pub fn push_last(&mut self, task: Task) {
        self.last.push_back(task);
    }

    /// Number of cases left for all boards together.
    pub fn last_left(&self) -> usize {
        self.last.len()
    }

    /// The broker that the first of these needs, unless a board is already setting it up. Only when all else is done.
    pub fn last_need(&mut self) -> Option<Need> {
        let need = need(self.last.front()?);
        (!std::mem::replace(&mut self.last_taken, true)).then_some(need)
    }

    /// The first of these, if this broker fits it. Only when all else is done.
    pub fn same_last(&mut self, held: &Need) -> Option<Task> {
        let task = self.last.pop_front_if(|task| need(task) == *held)?;
        self.last_taken = false;
        Some(task)
    }

    /// The next case for the current broker.
    pub fn same(&mut self, need: &Need) -> Option<Task> {
        let group = self.groups.iter_mut().find(|group| group.need == *need)?;
        group.left.pop_front()
    }

    /// The broker that a board without one should set up; `starts` is how long a broker takes to start.
    pub fn other(&mut self, starts: Duration) -> Option<Need> {
        let first =
            self.groups.iter().position(|group| group.holders == 0 && !group.left.is_empty());
        let left =
            |group: &Group| -> Duration { group.left.iter().map(|task| takes(task.case)).sum() };
        let group = match first {
            Some(first) => &mut self.groups[first],
            None => self
                .groups
                .iter_mut()
                .filter(|group| group.left.len() > 1)
                .max_by_key(|group| left(group))
                .filter(|group| left(group) / 2 > starts)?,
        };
        group.holders += 1;
        Some(group.need)
    }

    /// Removes and returns all cases left with this need, because there is no such broker.
    pub fn give_up(&mut self, need: &Need) -> Vec<Task> {
        let group = self.groups.iter_mut().find(|group| group.need == *need);
        let mut all: Vec<_> = group.map(|group| group.left.drain(..).collect()).unwrap_or_default();
        while let Some(task) = self.same_last(need) {
            all.push(task);
        }
        all
    }

    /// Removes and returns all cases left for this broker.
    pub fn give_up_broker(&mut self, broker: usize) -> Vec<Task> {
        let groups = self.groups.iter_mut().filter(|group| group.need.broker == broker);
        let mut all: Vec<_> = groups.flat_map(|group| group.left.drain(..)).collect();
        let (gone, kept): (VecDeque<_>, VecDeque<_>) =
            self.last.drain(..).partition(|task| task.broker == broker);
        self.last = kept;
        all.extend(gone);
        all
    }

    /// Removes and returns all cases left.
    pub fn rest(&mut self) -> Vec<Task> {
        let groups = self.groups.iter_mut().flat_map(|group| group.left.drain(..));
        groups.chain(self.last.drain(..)).collect()
    }

    /// Records that a board no longer has such a broker.
    pub fn leave(&mut self, need: &Need) {
        self.last_taken = false;
        if let Some(group) = self.groups.iter_mut().find(|group| group.need == *need) {
            group.holders = group.holders.saturating_sub(1);
        }
    }
}

fn need(task: &Task) -> Need {
    Need { broker: task.broker, tls: task.case.broker }
}

/// Approximate time of a case on a board: used for the order, and to decide whether helping is worth it.
fn takes(case: &Case) -> Duration {
    let waits = match case.act {
        // As long as the rig observes.
        Act::Stall => Duration::from_secs(20),
        // A second each: the board waits before it tries again.
        Act::Reconnects(times) => Duration::from_secs(times.into()),
        // More than 1.5 times the keep-alive.
        Act::Mqtt(Behaviour::KeepAlive) => Duration::from_secs(6),
        _ => Duration::ZERO,
    };
    let line = match case.line {
        // TCP, TLS and MQTT, each piece delayed.
        Line::Delay(each) => 12 * each,
        _ => Duration::ZERO,
    };
    A_CASE + waits + line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(ids: &[&str]) -> Queue {
        let mut queue = Queue::default();
        for (place, id) in ids.iter().enumerate() {
            let case = Case::named(id).unwrap();
            queue.push(Task { broker: 0, place, case });
        }
        queue
    }

    #[test]
    fn a_broker_is_set_up_once_for_all_of_its_cases() {
        let mut queue = queue(&["cbc", "tls13-only", "static-rsa", "mfln-512"]);
        let usual = queue.other(Duration::ZERO).unwrap();
        let ids: Vec<_> =
            std::iter::from_fn(|| queue.same(&usual)).map(|task| task.case.id).collect();
        assert_eq!(ids, ["cbc", "static-rsa", "mfln-512"]);
        let other = queue.other(Duration::ZERO).unwrap();
        assert_eq!(queue.give_up(&other).len(), 1);
        assert!(queue.other(Duration::ZERO).is_none() && queue.rest().is_empty());
    }

    #[test]
    fn a_long_case_is_not_left_for_the_end() {
        let mut queue = queue(&["control", "slow-line", "cbc", "stalled", "reconnects"]);
        let usual = queue.other(Duration::ZERO).unwrap();
        let ids: Vec<_> =
            std::iter::from_fn(|| queue.same(&usual)).map(|task| task.case.id).collect();
        assert_eq!(ids, ["control", "stalled", "reconnects", "slow-line", "cbc"]);
    }

    #[test]
    fn what_is_for_all_boards_is_set_up_by_one_of_them() {
        let mut queue = queue(&["tls13-only"]);
        let case = Case::named("mqtt-reconnect-storm").unwrap();
        queue.push_last(Task { broker: 0, place: 1, case });
        let other = queue.other(Duration::ZERO).unwrap();
        assert!(queue.same(&other).is_some() && queue.same_last(&other).is_none());
        let need = queue.last_need().unwrap();
        assert_eq!(queue.last_need(), None);
        // The board that was setting it up is gone.
        queue.leave(&need);
        assert_eq!(queue.last_need(), Some(need));
        assert!(queue.same(&need).is_none());
        assert_eq!(queue.same_last(&need).map(|task| task.place), Some(1));
        assert_eq!(queue.last_left(), 0);
    }

    #[test]
    fn a_board_helps_out_where_that_is_worth_a_start() {
        let mut queue = queue(&["cbc", "static-rsa", "mfln-512", "mfln-1024"]);
        let first = queue.other(Duration::from_secs(20)).unwrap();
        assert!(queue.other(Duration::from_secs(20)).is_none());
        assert_eq!(queue.other(Duration::from_millis(20)), Some(first));
        queue.leave(&first);
        assert!(queue.other(Duration::from_secs(20)).is_none());
        queue.leave(&first);
        assert_eq!(queue.other(Duration::from_secs(20)), Some(first));
        assert_eq!(queue.rest().len(), 4);
    }
}
