//! Scenarios: a step many times over, the free heap after each, and whether the heap falls. Each scenario is one file,
//! which declares and runs it; the table below lists them.

mod entry;
mod handshake;
mod heap;
pub(crate) mod judge;
mod page;
mod payload;
mod reconnect;
mod soak;
pub mod spec;
pub mod steps;

use std::rc::Rc;
use std::time::Duration;

use hilrig_core::config::Deadlines;
use hilrig_core::scenario::{Length, Scenario, ScenarioRun};

use self::entry::{Run, ScenarioEntry};
use self::judge::judged;
use self::spec::ScenarioSpec;
use self::steps::Steps;
use crate::check_spec::CheckSpec;
use crate::plan::Plan;
use crate::session::Session;
use crate::session::mqtt_mode::Online;
use crate::stop::Stop;

/// Every scenario.
static SCENARIOS: [&ScenarioEntry; 5] =
    [&handshake::HANDSHAKE, &page::PAGE, &payload::PAYLOAD, &reconnect::RECONNECT, &soak::SOAK];

/// What each scenario declares.
pub fn all() -> impl Iterator<Item = &'static ScenarioSpec> {
    SCENARIOS.iter().map(|entry| &entry.spec)
}

/// What a scenario declares.
pub fn spec(scenario: Scenario) -> &'static ScenarioSpec {
    &entry(scenario).spec
}

fn entry(scenario: Scenario) -> &'static ScenarioEntry {
    // A test shows that each has one.
    SCENARIOS.iter().find(|entry| entry.spec.name == scenario).unwrap_or(&SCENARIOS[0])
}

/// The longest that a scenario of this length can take: a step that takes longer than its own deadlines has failed.
/// The board's deadline and the run's grow by it, so that deadlines nest.
pub fn longest(asked: &ScenarioRun, deadlines: &Deadlines) -> Duration {
    let step = (spec(asked.scenario).step_takes)(deadlines);
    match asked.length {
        Length::Steps(steps) => step * steps + step,
        Length::For(time) => time + step * 2,
    }
}

/// The longest that all scenarios of a plan can take on one board.
pub(crate) fn longest_of(plan: &Plan) -> Duration {
    plan.scenarios.iter().map(|asked| longest(asked, &plan.deadlines)).sum()
}

/// The checks of a plan's scenarios.
pub(crate) fn checks(plan: &Plan) -> Vec<CheckSpec> {
    plan.scenarios.iter().map(|asked| spec(asked.scenario).check.clone()).collect()
}

/// Whether one of a plan's scenarios restarts the broker.
pub(crate) fn restart_the_broker(plan: &Plan) -> bool {
    plan.scenarios.iter().any(|asked| spec(asked.scenario).restarts_broker)
}

/// Runs the plan's scenarios that need the web server.
pub(crate) async fn in_configuration_mode(session: &Session<'_>) -> Result<(), Stop> {
    for asked in &session.plan().scenarios {
        let entry = entry(asked.scenario);
        if let Run::InConfigurationMode(run) = entry.run {
            let steps = Rc::new(Steps::new(&entry.spec, asked.length));
            one(session, &steps, run(session, &steps)).await?;
        }
    }
    Ok(())
}

/// Runs the plan's scenarios that need the board connected to the broker.
pub(crate) async fn in_mqtt_mode(session: &Session<'_>, online: &mut Online) -> Result<(), Stop> {
    for asked in &session.plan().scenarios {
        let entry = entry(asked.scenario);
        if let Run::InMqttMode(run) = entry.run {
            let steps = Rc::new(Steps::new(&entry.spec, asked.length));
            one(session, &steps, run(session, &steps, online)).await?;
        }
    }
    Ok(())
}

/// One scenario as a phase, and its check. A scenario that fails is judged when the cause is known:
/// [`judge::stopped`].
async fn one(
    session: &Session<'_>,
    steps: &Rc<Steps>,
    work: impl Future<Output = Result<(), Stop>>,
) -> Result<(), Stop> {
    session
        .phase(steps.spec().name.phase(), async {
            session.scenario.replace(Some(steps.clone()));
            work.await?;
            session.scenario.take();
            judged(session, steps, steps.check(false), None);
            Ok(())
        })
        .await
}

#[cfg(test)]
mod tests {
    use hilrig_core::scenario::FEWEST_STEPS;

    use super::*;

    #[test]
    fn each_name_has_one_scenario_and_its_check() {
        let names: Vec<Scenario> = all().map(|spec| spec.name).collect();
        assert_eq!(names, Scenario::ALL);
        for spec in all() {
            assert_eq!(spec.check.id, spec.name.check());
        }
    }

    #[test]
    fn deadlines_nest_with_scenarios_between_them() {
        let second = Duration::from_secs(1);
        let deadlines = Deadlines {
            lock: second,
            flash: second,
            boot: second,
            reply: second * 5,
            connect: second * 20,
            broker: second * 30,
            board: second * 180,
            run: second * 600,
        };
        for scenario in Scenario::ALL {
            for steps in [FEWEST_STEPS, 20, 100_000] {
                let asked = ScenarioRun { scenario, length: Length::Steps(steps) };
                // A step waits at least for a reply, and that wait is not cut short.
                assert!(longest(&asked, &deadlines) > deadlines.reply * 2 * steps, "{asked}");
            }
            let asked = ScenarioRun { scenario, length: Length::For(second * 600) };
            assert!(longest(&asked, &deadlines) > second * 600, "{asked}");
        }
        let soak = ScenarioRun { scenario: Scenario::Soak, length: Length::For(second * 600) };
        // A restart that begins at the last moment.
        assert!(longest(&soak, &deadlines) >= second * (600 + 30 + 20 + 5));
    }
}
