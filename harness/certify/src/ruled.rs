//! Checks whether a case failed because of a rule of an external broker.

use hilrig_core::certify::case::Behaviour;
use hilrig_core::certify::{Act, Reason};

use super::behaviour::{self, Asked, Carried};
use super::bench::CaseBroker;
use super::on_board::{BoardCases, OnBoard, rig_id};
use super::work::ByRule;
use hilrig::Stop;

/// [`BrokerFacts::kind`](hilrig_core::event::BrokerFacts::kind) of an external broker.
const OUTSIDE: &str = "outside";

impl BoardCases<'_> {
    /// Checks whether a failure after the board connected is caused by a rule of an external broker. Takes down the
    /// line to the board for that.
    pub(super) async fn look_for_rule(
        &self,
        on: &OnBoard<'_>,
        broker: &mut dyn CaseBroker,
        topics: [&str; 2],
        stop: &Stop,
        (before, line, said): (Carried, u64, String),
    ) {
        let unheard = self.work.unheard.take();
        let may_be = matches!(stop, Stop::Failed(_) | Stop::Rig(_));
        if !may_be || broker.facts().kind != OUTSIDE {
            return;
        }
        let after = carried(broker);
        broker.hang_up().await;
        let tag = self.tag(on);
        let question = self.question(on, broker.endpoint(), &tag);
        let own_topic = format!("{tag}/rule");
        let asked = Asked {
            id: &rig_id(on),
            topics,
            own_topic: matches!(on.case.act, Act::Mqtt(_)).then_some(own_topic.as_str()),
            retained: matches!(on.case.act, Act::Mqtt(Behaviour::Retained | Behaviour::Qos)),
        };
        let rule = on.session.journal.waiting(behaviour::rule(&question, &asked)).await;
        let for_the_board = || {
            let alone = unheard && matches!(stop, Stop::Failed(_));
            alone.then(|| behaviour::rule_for_the_board(before, after, topics)).flatten()
        };
        let rule = rule.or_else(for_the_board);
        self.work.rule.replace(rule.map(|rule| ByRule { rule, line, said }));
    }

    /// Whether the board's CONNECT was refused for its client id only.
    pub(super) async fn rule_for_its_id(
        &self,
        on: &OnBoard<'_>,
        broker: &dyn CaseBroker,
        reason: Option<Reason>,
    ) -> Option<String> {
        let may_be = matches!(reason, Some(Reason::BadLogin | Reason::BrokerRule))
            && on.case.act != Act::Mqtt(Behaviour::WrongPassword);
        if !may_be || broker.facts().kind != OUTSIDE {
            return None;
        }
        let tag = self.tag(on);
        let question = self.question(on, broker.endpoint(), &tag);
        let id = on.session.client_id();
        on.session.journal.waiting(behaviour::rule_for_id(&question, &id)).await
    }
}

/// The traffic of the board's last connection so far.
pub(super) fn carried(broker: &dyn CaseBroker) -> Carried {
    let seen = broker.seen();
    let last = seen.wire.last().map(|wire| Carried {
        from_board: wire.bytes_from_board,
        from_broker: wire.bytes_from_broker,
    });
    last.unwrap_or_default()
}
