//! The cases that are still to be done, by what the broker must be for them.
//!
//! A board that has a broker goes on with the cases that it fits; then it takes those that nobody has
//! begun with, and at last it helps out where another has the most left. So a broker that takes long to
//! start is started once for all of its cases, as far as that saves anything. Of the cases with the same need
//! the long ones come first, so that none of them is under way alone at the end.

use std::collections::VecDeque;
use std::time::Duration;

use hilrig_core::certify::case::Behaviour;
use hilrig_core::certify::{Act, BrokerTls, Case, Line};

/// What a case takes a board, about, beside what it waits for on purpose.
const A_CASE: Duration = Duration::from_secs(3);

/// What a broker must be: which one of those that are certified, and how it is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Its place among those that are certified.
    pub broker: usize,
    /// Its set-up.
    pub tls: BrokerTls,
}

/// A case that is to be done, and its place in the matrix that was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// The broker's place among those that are certified.
    pub broker: usize,
    /// The case's place among those that were asked for.
    pub place: usize,
    /// The case.
    pub case: &'static Case,
}

struct Group {
    need: Need,
    left: VecDeque<Task>,
    /// Boards that have such a broker.
    holders: usize,
}

/// The queue.
#[derive(Default)]
pub struct Queue {
    groups: Vec<Group>,
    /// Cases for all boards together, when everything else is done.
    last: VecDeque<Task>,
    /// A board sets a broker up for the first of them.
    last_taken: bool,
}

impl Queue {
    /// Puts one in, behind those with the same need that take as long. The first of all stays the first: it is
    /// the control, which shows that the bench works.
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

    /// Puts one in that is for all boards together.
    pub fn push_last(&mut self, task: Task) {
        self.last.push_back(task);
    }

    /// How many are left of those.
    pub fn last_left(&self) -> usize {
        self.last.len()
    }

    /// What the first of those needs, unless a board is about it. Only when all else is done.
    pub fn last_need(&mut self) -> Option<Need> {
        let need = need(self.last.front()?);
        (!std::mem::replace(&mut self.last_taken, true)).then_some(need)
    }

    /// The first of those, if this broker is one for it. Only when all else is done.
    pub fn same_last(&mut self, held: &Need) -> Option<Task> {
        let task = self.last.pop_front_if(|task| need(task) == *held)?;
        self.last_taken = false;
        Some(task)
    }

    /// The next case that goes with the broker that is there already.
    pub fn same(&mut self, need: &Need) -> Option<Task> {
        let group = self.groups.iter_mut().find(|group| group.need == *need)?;
        group.left.pop_front()
    }

    /// What a board that has no broker any more is to set up; `starts` is how long a broker takes to start.
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

    /// Everything that is left with this need, because there is no such broker.
    pub fn give_up(&mut self, need: &Need) -> Vec<Task> {
        let group = self.groups.iter_mut().find(|group| group.need == *need);
        let mut all: Vec<_> = group.map(|group| group.left.drain(..).collect()).unwrap_or_default();
        while let Some(task) = self.same_last(need) {
            all.push(task);
        }
        all
    }

    /// Everything that is left with this broker.
    pub fn give_up_broker(&mut self, broker: usize) -> Vec<Task> {
        let groups = self.groups.iter_mut().filter(|group| group.need.broker == broker);
        let mut all: Vec<_> = groups.flat_map(|group| group.left.drain(..)).collect();
        let (gone, kept): (VecDeque<_>, VecDeque<_>) =
            self.last.drain(..).partition(|task| task.broker == broker);
        self.last = kept;
        all.extend(gone);
        all
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> Vec<Task> {
        let groups = self.groups.iter_mut().flat_map(|group| group.left.drain(..));
        groups.chain(self.last.drain(..)).collect()
    }

    /// A board has such a broker no more.
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

/// What a case takes a board, about: what the order goes by, and what helping out is held against.
fn takes(case: &Case) -> Duration {
    let waits = match case.act {
        // As long as the rig looks on.
        Act::Stall => Duration::from_secs(20),
        // A second each: the board waits before it tries again.
        Act::Reconnects(times) => Duration::from_secs(times.into()),
        // 1.5 times the keep-alive and more.
        Act::Mqtt(Behaviour::KeepAlive) => Duration::from_secs(6),
        _ => Duration::ZERO,
    };
    let line = match case.line {
        // TCP, TLS and MQTT, and each piece of it.
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
        // Who was about it has gone.
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
