//! The checks that are judged once the path is over, and the verdict.

use hilrig_core::callers::HeapCallers;
use hilrig_core::check::Check;
use hilrig_core::config::BoardKind;
use hilrig_core::contract::{Contract, HeapReply};
use hilrig_core::heap::{HeapSample, HeapSource, percent};
use hilrig_core::plural::counted;
use hilrig_core::verdict::Verdict;

use crate::crashes;
use crate::journal::{Journal, Stop};
use crate::log::Log;
use crate::pool::Plan;
use crate::restarts;
use crate::scenario;
use crate::watch::Hit;

/// The checks that a whole path makes, so that one which was not reached is not forgotten.
pub const PATH_CHECKS: [(&str, &str); 10] = [
    ("boot_log.configuration", "the boot log's lines of configuration mode, in order"),
    ("configuration.page", "the configuration page has its form"),
    ("configuration.requests", "requests over HTTP get their replies"),
    ("configuration.ca", "the CA certificate is accepted"),
    ("refusal", "a broker whose certificate another CA signed is refused, and the log says so"),
    ("boot_log.mqtt", "the boot log's lines of MQTT mode, in order"),
    ("connection", "the board connects to the broker over TLS"),
    ("mqtt.requests", "requests over MQTT get their replies"),
    ("mqtt.invalid", "wrong requests are refused"),
    ("switch_back", "the switch back leads to configuration mode"),
];

/// The title of one of them.
pub fn title(id: &str) -> &'static str {
    PATH_CHECKS.iter().find(|(known, _)| *known == id).map_or("", |(_, title)| title)
}

/// Judges what needs the whole path: crashes, heap floors, and what was not reached.
pub fn at_the_end(
    journal: &Journal<'_>,
    log: Option<&Log>,
    plan: &Plan,
    kind: BoardKind,
    stop: Option<&Stop>,
) {
    let failed = match stop {
        Some(Stop::Failed(why)) => failed_step(journal, why),
        Some(Stop::Crashed(_)) => Some("crash".to_owned()),
        _ => None,
    };
    let why = match (stop, &failed) {
        (None, _) => "the run did not get to it".to_owned(),
        (_, Some(id)) => format!("not reached: the check {id} failed"),
        (Some(Stop::Failed(_) | Stop::Crashed(_)), None) => {
            "not reached: the board failed before".to_owned()
        }
        (Some(Stop::Rig(_) | Stop::Silent(_)), _) => "not reached: the rig could not go on".into(),
        (Some(Stop::Interrupted(_)), _) => "not reached: the run was interrupted".into(),
    };
    if let Some(stop) = stop {
        scenario::stopped(journal, stop);
    }
    for (id, title) in PATH_CHECKS {
        let has_step = id != "configuration.ca" || plan.contract.http.ca.is_some();
        if has_step && !journal.has(id) {
            journal.check(Check::skipped(id, title, &why));
        }
    }
    for scenario in plan.scenarios.iter().map(|asked| asked.scenario) {
        if !journal.has(&scenario.check()) {
            journal.check(Check::skipped(scenario.check(), scenario.title(), &why));
        }
    }

    journal.check(crashes::check(journal, log, &why));
    journal.check(restarts::check(journal, log, &why));

    if let (held @ 1.., wrong) = journal.heap_reads() {
        let title = "heap figures in memory agree with those that the firmware tells";
        let found = wrong.as_ref().map_or_else(|| format!("{held} of {held}"), String::clone);
        journal.check(Check::of("heap.memory", title, wrong.is_none(), found));
    }

    let lows = journal.lows();
    for (phase, floor) in plan.floors.get(&kind).into_iter().flatten() {
        let id = format!("heap.{}", phase.name());
        let title = format!("lowest free heap, {}: at least {floor} B", phase.name());
        journal.check(match lows.get(*phase) {
            None if stop.is_some() => Check::skipped(id, title, &why),
            None => Check::not_measured(id, title, "the board told no figure for this phase"),
            Some(low) => {
                let found = format!("{} B in {}", low.lowest_free, counted(low.samples, "sample"));
                Check::of(id, title, low.lowest_free >= *floor, found)
            }
        });
    }
}

/// The check of the step that failed, noted as failed with what was expected and what came. Its id, or
/// that of the check that says more: a restart is no step's failure.
fn failed_step(journal: &Journal<'_>, why: &str) -> Option<String> {
    let step = journal.take_step();
    if journal.restarts(|restarts| restarts.count()) > 0 {
        return Some(restarts::ID.into());
    }
    if let Some(id) = scenario::failed(journal, why) {
        return Some(id);
    }
    let step = step?;
    journal.check(Check::of(&step.id, step.title, false, why));
    Some(step.id)
}

/// The verdict on a board, and why it is not `passed`.
///
/// A check that was measured and did not hold is the board's failure even where the bench gave up
/// later; one that the bench could not get to is not.
pub fn verdict(journal: &Journal<'_>, stop: Option<Stop>) -> (Verdict, Option<String>) {
    match stop {
        Some(Stop::Rig(why) | Stop::Silent(why)) => match journal.first_measured_failure() {
            Some(failure) => (Verdict::Failed, Some(format!("{failure} (and the rig: {why})"))),
            None => (Verdict::RigFault, Some(why)),
        },
        Some(Stop::Interrupted(why)) => match journal.first_measured_failure() {
            Some(failure) => (Verdict::Failed, Some(format!("{failure} (and then: {why})"))),
            None => (Verdict::Skipped, Some(why)),
        },
        Some(Stop::Failed(why) | Stop::Crashed(why)) => (Verdict::Failed, Some(why)),
        None => match journal.first_not_held() {
            Some(check) => (Verdict::Failed, Some(check)),
            None => (Verdict::Passed, None),
        },
    }
}

/// The heap figures of a boot log line.
pub fn heap_of_line(hit: &Hit) -> Option<HeapSample> {
    HeapSample::of_line(|name| hit.groups.get(name).map(String::as_str))
}

/// Who held the heap, by a boot log line.
pub fn callers_of_line(hit: &Hit, contract: &Contract) -> Option<HeapCallers> {
    let each = &contract.heap.callers.as_ref()?.each;
    HeapCallers::of_line(|name| hit.groups.get(name).map(String::as_str), each)
}

/// The heap figures of a reply, or what is wrong with it.
pub fn heap_of_reply(fields: &HeapReply, reply: &[u8]) -> Result<Vec<HeapSample>, String> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(reply)
        .map_err(|error| format!("the reply is no JSON object: {error}"))?;
    let figure = |field: &String| -> Result<u64, String> {
        let value = object.get(field).ok_or_else(|| format!("the reply has no `{field}`"))?;
        let figure = match value {
            serde_json::Value::String(text) => text.parse().ok(),
            serde_json::Value::Number(number) => number.as_u64(),
            _ => None,
        };
        figure.ok_or_else(|| format!("`{field}` is no number of bytes"))
    };
    let optional = |field: &Option<String>| field.as_ref().map(figure).transpose();
    let (free, largest) = (optional(&fields.free)?, optional(&fields.largest)?);
    let fragmentation = optional(&fields.fragmentation)?.and_then(percent);
    let (lowest_ever, failures) = (optional(&fields.lowest_ever)?, optional(&fields.failed)?);
    let mut samples = Vec::new();
    for (phase, field) in &fields.phases {
        // A phase that the board has not been in since its reset is not in the reply.
        if !object.contains_key(field) {
            continue;
        }
        // Free heap and largest block are those of now, and now is the last phase that is told.
        samples.push(HeapSample {
            phase: *phase,
            lowest_free: figure(field)?,
            free: None,
            lowest_ever: None,
            largest: None,
            fragmentation: None,
            failures,
            stack: None,
            source: HeapSource::Reply,
        });
    }
    if let Some(last) = samples.last_mut() {
        (last.free, last.largest, last.lowest_ever) = (free, largest, lowest_ever);
        last.fragmentation = fragmentation;
    }
    Ok(samples)
}
