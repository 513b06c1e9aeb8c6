//! A storm of all boards of a certification: everybody is cut off at once, and must be back.
//!
//! The board that has the case leads; the others, which are free by then, join it over its relay.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hilrig_core::board::Board;
use hilrig_core::certify::{Case, Cost};
use hilrig_core::plural::counted;
use hilrig_core::units::Span;
use tokio::sync::Notify;

use super::behave::{CROWD, ROUNDS, missed};
use super::behaviour;
use super::bench::{CaseBroker, Trust};
use super::case::{Met, OnBoard, Share, lows, not_ready, topic};
use super::settings::given;
use crate::BrokerEndpoint;
use crate::journal::Stop;
use crate::log::Log;
use crate::main_path::Path;
use crate::pool::Broker;
use crate::restarts::{self, Restarts};
use crate::session::boot_log::{Booted, Mode};
use crate::session::mqtt_mode::Online;

/// A storm, for those who join it.
pub(crate) struct Storm {
    pub case: &'static Case,
    pub endpoint: BrokerEndpoint,
    pub trust: Trust,
    /// Of the leader's relay.
    pub port: u16,
    at: RefCell<At>,
    news: Notify,
}

/// How far it is.
#[derive(Default)]
struct At {
    /// Boards that joined.
    joined: Vec<String>,
    /// 0 until everybody is connected for the first time.
    round: usize,
    /// Boards that are there, of those that joined.
    there: usize,
    longest: Duration,
    lowest: Cost,
    /// The first board that failed, by its name, and how.
    failed: Option<Stop>,
    over: bool,
}

impl Storm {
    /// Waits until `found` finds something.
    async fn until<T>(&self, mut found: impl FnMut(&At) -> Option<T>) -> T {
        loop {
            let news = self.news.notified();
            if let Some(found) = found(&self.at.borrow()) {
                return found;
            }
            news.await;
        }
    }

    fn tell(&self, change: impl FnOnce(&mut At)) {
        change(&mut self.at.borrow_mut());
        self.news.notify_waiters();
    }

    /// A board takes part, if it is not too late for that.
    pub(super) fn join(&self, name: &str) -> bool {
        let may = {
            let at = self.at.borrow();
            at.round == 0 && at.failed.is_none()
        };
        if may {
            self.tell(|at| at.joined.push(name.to_owned()));
        }
        may
    }

    /// A board that takes part is lost.
    pub(super) fn fail(&self, name: &str, stop: &Stop) {
        let stop = match stop {
            Stop::Failed(why) => Stop::Failed(format!("{name}: {why}")),
            // The leader is another board, which lives.
            Stop::Crashed(why) => Stop::Failed(format!("{name}: {why}")),
            Stop::Rig(why) | Stop::Silent(why) | Stop::Interrupted(why) => {
                Stop::Rig(format!("{name}: {why}"))
            }
        };
        self.tell(|at| _ = at.failed.get_or_insert(stop));
    }

    /// A board's work ended, whether or not it takes part.
    pub(super) fn gone(&self, name: &str, why: &str) {
        let joined = self.at.borrow().joined.iter().any(|joined| joined == name);
        match joined {
            true => self.fail(name, &Stop::Rig(why.to_owned())),
            false => self.news.notify_waiters(),
        }
    }

    /// The leader needs nobody any more.
    pub(super) async fn over(&self) {
        self.until(|at| at.over.then_some(())).await;
    }

    /// A board that joined is there, with these lows so far.
    fn is_there(&self, after: Duration, cost: &Cost) {
        self.tell(|at| {
            at.there += 1;
            at.longest = at.longest.max(after);
            at.lowest = lower(&at.lowest, cost);
        });
    }

    /// All that joined are there.
    async fn all_there(&self) -> Result<(), Stop> {
        let all = |at: &At| match &at.failed {
            Some(failed) => Some(Err(failed.clone())),
            None => (at.there == at.joined.len()).then_some(Ok(())),
        };
        self.until(all).await
    }
}

/// Ends a storm, however its leader ends.
struct Lead<'a>(&'a Share<'a>, Rc<Storm>);

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        self.0.all.storm_over();
        self.1.tell(|at| at.over = true);
    }
}

impl Share<'_> {
    /// Leads it, with every board that is free; what was found, and the lowest heap of any board.
    pub(super) async fn storm(
        &self,
        on: &OnBoard<'_>,
        broker: &mut dyn CaseBroker,
        online: &mut Online,
        rig: &Broker,
        port: u16,
    ) -> Result<(String, Cost), Stop> {
        let storm = Rc::new(Storm {
            case: on.case,
            endpoint: broker.endpoint().clone(),
            trust: broker.trust().clone(),
            port,
            at: RefCell::default(),
            news: Notify::new(),
        });
        let lead = Lead(self, storm.clone());
        self.all.storm_comes(&storm);
        storm.until(|at| (at.joined.len() >= self.all.others()).then_some(())).await;
        storm.all_there().await?;
        let tag = self.tag(on);
        let question = self.question(on, &rig.endpoint, &tag);
        let mut crowd = behaviour::crowd(&question).await.map_err(missed)?;
        let mut longest = crowd.longest();
        for round in 1..=ROUNDS {
            let since = Instant::now();
            storm.tell(|at| (at.round, at.there) = (round, 0));
            drop(crowd);
            let own = async {
                self.cut(on, broker, online).await?;
                let after = since.elapsed();
                self.alive(on, online, rig).await?;
                storm.all_there().await?;
                Ok::<_, Stop>(after)
            };
            let again = async { behaviour::crowd(&question).await.map_err(missed) };
            let (own, again) = tokio::try_join!(own, again)?;
            crowd = again;
            longest = longest.max(own).max(crowd.longest());
        }
        drop(crowd);
        let without = behaviour::without_password(&question).await;
        let without = without.map(|found| format!("; {found}")).unwrap_or_default();
        let at = storm.at.borrow();
        let names: Vec<&str> =
            [self.name.as_str()].into_iter().chain(at.joined.iter().map(String::as_str)).collect();
        let found = format!(
            "{} ({}) and {CROWD} clients were cut off at once, {ROUNDS} times, and all came back, the last after {}{without}",
            counted(names.len(), "board"),
            names.join(", "),
            behaviour::seconds(longest.max(at.longest))
        );
        let cost = lower(&at.lowest, &lows(on));
        drop(at);
        drop(lead);
        Ok((found, cost))
    }

    /// Takes part in another board's storm. What came of it is told by that board.
    pub(super) async fn in_storm(
        &self,
        path: &Path<'_>,
        board: &mut dyn Board,
        log: &Log,
        booted: &mut Booted,
        storm: &Storm,
    ) -> Result<(), Stop> {
        let on = OnBoard { path, log, case: storm.case, mark: log.mark() };
        path.journal.reset_lows();
        let deadline = path.bench.plan.deadlines.board;
        let restarts = path.journal.restarts(Restarts::count);
        let part = tokio::select! {
            part = tokio::time::timeout(deadline, self.take_part(&on, storm, booted)) => part,
            why = restarts::one_more_than(restarts, path.journal, log) => Ok(Err(Stop::Failed(why))),
        };
        let late = || Stop::Failed(format!("it was not through within {}", Span(deadline)));
        let Err(stop) = part.unwrap_or_else(|_| Err(late())) else { return Ok(()) };
        storm.fail(&self.name, &stop);
        // With the leader its relay goes, too.
        storm.over().await;
        let back = self.recover(&on, board, &stop).await?;
        *booted = Booted { http: booted.http, rig: booted.rig, ..back };
        Ok(())
    }

    /// The same, up to where it goes wrong. The board is in configuration mode, and is left so.
    async fn take_part(
        &self,
        on: &OnBoard<'_>,
        storm: &Storm,
        booted: &mut Booted,
    ) -> Result<(), Stop> {
        let given =
            given(&on.path.bench.plan.contract, on.case, &storm.trust).map_err(Stop::Rig)?;
        self.time.tell(given.time);
        self.hand_over(on, booted, &given).await?;
        self.switch(on, booted, &storm.endpoint, &given, storm.port).await?;
        let topics = on.path.boot_log(on.log, on.mark, Mode::Mqtt).await.map_err(not_ready)?;
        if let Met::Refused { said, .. } = self.meet(on).await? {
            return Err(Stop::Failed(format!("it did not connect: `{said}`")));
        }
        let (rx, tx) = (topic(&topics, "rx_topic")?, topic(&topics, "tx_topic")?);
        let rounds = async |online: &mut Online, rig: &Broker| {
            storm.is_there(Duration::ZERO, &lows(on));
            for round in 1..=ROUNDS {
                let mark = on.log.mark();
                let over = storm.until(|at| match at.round >= round {
                    true => Some(false),
                    false => at.over.then_some(true),
                });
                // What led it is lost.
                if over.await {
                    break;
                }
                let since = Instant::now();
                on.path.connected(on.log, mark).await?;
                let after = since.elapsed();
                online.reconnected();
                self.alive(on, online, rig).await?;
                storm.is_there(after, &lows(on));
            }
            Ok(())
        };
        let ((), back) = self.online(on, &storm.endpoint, rx, tx, rounds).await?;
        *booted = Booted { http: booted.http, rig: booted.rig, ..back };
        Ok(())
    }
}

/// The lower of two, each.
fn lower(one: &Cost, other: &Cost) -> Cost {
    let lower = |one: Option<u64>, other: Option<u64>| one.into_iter().chain(other).min();
    Cost {
        heap_handshake: lower(one.heap_handshake, other.heap_handshake),
        heap_connected: lower(one.heap_connected, other.heap_connected),
        ..Cost::default()
    }
}
