//! Heap figures as the firmware reports them: in a line of the boot log, or in a reply.

use hilrig_core::callers::HeapCallers;
use hilrig_core::contract::{Contract, HeapReply};
use hilrig_core::heap::{HeapSample, HeapSource, percent};

use crate::watch::Hit;

/// The heap figures of a boot log line.
pub fn of_line(hit: &Hit) -> Option<HeapSample> {
    HeapSample::of_line(|name| hit.groups.get(name).map(String::as_str))
}

/// Who allocated the heap, by a boot log line.
pub fn callers_of_line(hit: &Hit, contract: &Contract) -> Option<HeapCallers> {
    let each = &contract.heap.callers.as_ref()?.each;
    HeapCallers::of_line(|name| hit.groups.get(name).map(String::as_str), each)
}

/// The heap figures of a reply, or what is wrong with it.
pub fn of_reply(fields: &HeapReply, reply: &[u8]) -> Result<Vec<HeapSample>, String> {
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
        // The reply lacks the phases that the board was not in since its reset.
        if !object.contains_key(field) {
            continue;
        }
        // Free heap and largest block are the present ones, and the last phase is the present one.
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
