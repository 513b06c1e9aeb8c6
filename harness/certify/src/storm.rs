//! A storm of all boards of a certification: all are disconnected at once and must reconnect.
//!
//! The board that has the case leads. The others, which are free by then, join it over its relay.

use std::rc::Rc;
use std::time::{Duration, Instant};

use hilrig_core::certify::Cost;
use hilrig_core::plural::counted;
use hilrig_core::units::Span;

use super::behave::{CROWD, ROUNDS, missed};
use super::behaviour;
use super::bench::CaseBroker;
use super::board_side::{Attempt, not_ready};
use super::on_board::{BoardCases, OnBoard, lows};
use super::settings::board_setup;
use super::storm_state::{Storm, lower};
use hilrig::Session;
use hilrig::Stop;
use hilrig::session::boot_log::Mode;
use hilrig::session::mqtt_mode::Online;

/// Guard that ends a storm however its leader ends.
struct Lead<'a>(&'a BoardCases<'a>, Rc<Storm>);

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        self.0.all.storm_over();
        self.1.change(|at| at.over = true);
    }
}

impl BoardCases<'_> {
    /// Leads it, with every free board. Returns what was found and the lowest heap of any board.
    pub(super) async fn storm(
        &self,
        on: &OnBoard<'_>,
        broker: &mut dyn CaseBroker,
        online: &mut Online,
        port: u16,
    ) -> Result<(String, Cost), Stop> {
        let storm =
            Rc::new(Storm::new(on.case, broker.endpoint().clone(), broker.trust().clone(), port));
        let lead = Lead(self, storm.clone());
        self.all.storm_comes(&storm);
        storm.until(|at| (at.joined.len() >= self.all.others()).then_some(())).await;
        storm.all_there().await?;
        let tag = self.tag(on);
        let endpoint = online.link().endpoint.clone();
        let question = self.question(on, &endpoint, &tag);
        let mut crowd = behaviour::crowd(&question).await.map_err(missed)?;
        let mut longest = crowd.longest();
        for round in 1..=ROUNDS {
            let since = Instant::now();
            storm.change(|at| (at.round, at.there) = (round, 0));
            drop(crowd);
            let own = async {
                self.cut(on, broker, online).await?;
                let after = since.elapsed();
                self.alive(on, online).await?;
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
        let at = storm.now();
        let names: Vec<&str> = [self.work.name.as_str()]
            .into_iter()
            .chain(at.joined.iter().map(String::as_str))
            .collect();
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

    /// Joins another board's storm. That board reports the result.
    pub(super) async fn in_storm(&self, session: &Session<'_>, storm: &Storm) -> Result<(), Stop> {
        let on = OnBoard { session, case: storm.case, mark: session.mark() };
        session.journal.reset_lows();
        let deadline = session.plan().deadlines.board;
        let restarts = session.restarts();
        let part = tokio::select! {
            part = tokio::time::timeout(deadline, self.take_part(&on, storm)) => part,
            why = session.restarted_after(restarts) => Ok(Err(Stop::Failed(why))),
        };
        let late = || Stop::Failed(format!("it was not through within {}", Span(deadline)));
        let Err(stop) = part.unwrap_or_else(|_| Err(late())) else { return Ok(()) };
        storm.fail(&self.work.name, &stop);
        // The leader's relay ends with the leader.
        storm.over().await;
        self.recover(&on, &stop).await
    }

    /// The same, up to the first error. The board is in configuration mode at the start and at the end.
    async fn take_part(&self, on: &OnBoard<'_>, storm: &Storm) -> Result<(), Stop> {
        let setup = board_setup(on.session.contract(), on.case, &storm.trust);
        let setup = setup.map_err(Stop::Rig)?;
        on.session.time.set(setup.time);
        self.hand_over(on, &setup).await?;
        self.switch(on, &storm.endpoint, &setup, storm.port).await?;
        let mode = on.session.wait_for_mode(on.mark, Mode::Mqtt).await.map_err(not_ready)?;
        if let Attempt::Refused { said, .. } = self.attempt(on).await? {
            return Err(Stop::Failed(format!("it did not connect: `{said}`")));
        }
        let (rx, tx) = (mode.topic("rx_topic")?, mode.topic("tx_topic")?);
        let rounds = async |online: &mut Online| {
            storm.is_there(Duration::ZERO, &lows(on));
            for round in 1..=ROUNDS {
                let mark = on.session.mark();
                let over = storm.until(|at| match at.round >= round {
                    true => Some(false),
                    false => at.over.then_some(true),
                });
                // The storm's leader is lost.
                if over.await {
                    break;
                }
                let since = Instant::now();
                on.session.wait_until_connected(mark).await?;
                let after = since.elapsed();
                online.reconnected();
                self.alive(on, online).await?;
                storm.is_there(after, &lows(on));
            }
            Ok(())
        };
        self.online(on, &storm.endpoint, rx, tx, rounds).await
    }
}
