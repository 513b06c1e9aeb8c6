//! Heap figures: bytes, and the fragmentation in percent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The phases of a firmware for which there are heap figures.
///
/// They are the firmware's phases, not the rig's: `handshake` ends with MQTT's CONNACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeapPhase {
    /// From reset to the network being up.
    Boot,
    /// Configuration mode after the boot: page, form, certificates, requests.
    Page,
    /// Until MQTT is connected: the TLS handshake and its preparation.
    Handshake,
    /// Connected to the broker.
    Connected,
}

impl HeapPhase {
    /// Every phase, in the order of a board's run.
    pub const ALL: [HeapPhase; 4] =
        [HeapPhase::Boot, HeapPhase::Page, HeapPhase::Handshake, HeapPhase::Connected];

    /// The name, as in the contract, the configuration and the reports.
    pub fn name(self) -> &'static str {
        match self {
            HeapPhase::Boot => "boot",
            HeapPhase::Page => "page",
            HeapPhase::Handshake => "handshake",
            HeapPhase::Connected => "connected",
        }
    }

    /// The phase of this name.
    pub fn from_name(name: &str) -> Option<HeapPhase> {
        HeapPhase::ALL.into_iter().find(|phase| phase.name() == name)
    }
}

/// Where a sample was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeapSource {
    /// A line of the boot log.
    Log,
    /// A field of a reply.
    Reply,
}

/// How much of its stack the firmware has used since the reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StackUse {
    /// The most that was used, bytes.
    pub used: u64,
    /// Size, bytes.
    pub size: u64,
}

/// One set of heap figures. A figure that the board did not report is `None`, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeapSample {
    /// The firmware's phase that the figures are for.
    pub phase: HeapPhase,
    /// Lowest free heap in that phase, bytes.
    pub lowest_free: u64,
    /// Free heap at the moment of the sample, bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub free: Option<u64>,
    /// Lowest free heap since the reset, bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lowest_ever: Option<u64>,
    /// Largest free block, bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub largest: Option<u64>,
    /// Fragmentation of the free heap at the moment of the sample, percent, as the ESP8266's Arduino core
    /// computes it: 100 * (1 - sqrt(sum of hole^2) / sum of holes). See [`percent`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fragmentation: Option<u64>,
    /// Allocations that failed since the reset.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failures: Option<u64>,
    /// The stack's high-water mark.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stack: Option<StackUse>,
    /// Where it was read.
    pub source: HeapSource,
}

impl HeapSample {
    /// The figures of a boot log line, from the named groups of the contract's heap line. `None`
    /// where phase or lowest are missing or wrong.
    pub fn of_line<'a>(group: impl Fn(&str) -> Option<&'a str>) -> Option<HeapSample> {
        let figure = |name: &str| group(name)?.parse().ok();
        Some(HeapSample {
            phase: HeapPhase::from_name(group("phase")?)?,
            lowest_free: figure("lowest")?,
            free: figure("free"),
            lowest_ever: figure("lowest_ever"),
            largest: figure("largest"),
            fragmentation: figure("fragmentation").and_then(percent),
            failures: figure("failed"),
            stack: figure("stack")
                .zip(figure("stack_size"))
                .map(|(used, size)| StackUse { used, size }),
            source: HeapSource::Log,
        })
    }
}

/// A percentage of a board's report; `None` where it is none.
pub fn percent(figure: u64) -> Option<u64> {
    (figure <= 100).then_some(figure)
}

/// Heap figures that the rig read from the memory of a running board, by a debug probe. They are of one
/// moment and of no phase of the firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeapRead {
    /// Free heap, bytes.
    pub free: u64,
    /// Lowest free heap since the reset, bytes.
    pub lowest_ever: u64,
    /// Allocations that failed since the reset.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failures: Option<u64>,
}

/// The figures of one phase, over all of its samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeapLow {
    /// The lowest free heap of any sample of the phase, bytes.
    pub lowest_free: u64,
    /// The smallest of the phase's largest free blocks, bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub largest: Option<u64>,
    /// The highest fragmentation in the phase, percent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fragmentation: Option<u64>,
    /// The highest count of failed allocations in the phase.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failures: Option<u64>,
    /// The highest of the stack's high-water marks in the phase.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stack: Option<StackUse>,
    /// Number of samples.
    pub samples: u64,
}

/// The lowest figures of a board, phase by phase. A phase without a sample has no entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HeapLows(BTreeMap<HeapPhase, HeapLow>);

impl HeapLows {
    /// Adds a sample.
    pub fn add(&mut self, sample: &HeapSample) {
        let low = self.0.entry(sample.phase).or_insert(HeapLow {
            lowest_free: sample.lowest_free,
            largest: sample.largest,
            fragmentation: sample.fragmentation,
            failures: sample.failures,
            stack: sample.stack,
            samples: 0,
        });
        low.lowest_free = low.lowest_free.min(sample.lowest_free);
        low.largest = [low.largest, sample.largest].into_iter().flatten().min();
        low.fragmentation = low.fragmentation.max(sample.fragmentation);
        low.failures = low.failures.max(sample.failures);
        low.stack = low.stack.max(sample.stack);
        low.samples += 1;
    }

    /// Whether the sample makes any of the figures worse.
    pub fn worse_by(&self, sample: &HeapSample) -> bool {
        let Some(before) = self.get(sample.phase) else { return true };
        let mut with = HeapLows([(sample.phase, *before)].into());
        with.add(sample);
        let after =
            with.get(sample.phase).map(|after| HeapLow { samples: before.samples, ..*after });
        after.as_ref() != Some(before)
    }

    /// The phase's figures, or `None` where it was not measured.
    pub fn get(&self, phase: HeapPhase) -> Option<&HeapLow> {
        self.0.get(&phase)
    }

    /// Measured phases in order.
    pub fn iter(&self) -> impl Iterator<Item = (HeapPhase, &HeapLow)> {
        self.0.iter().map(|(phase, low)| (*phase, low))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(lowest_free: u64, largest: Option<u64>, fragmentation: Option<u64>) -> HeapSample {
        HeapSample {
            phase: HeapPhase::Page,
            lowest_free,
            free: None,
            lowest_ever: None,
            largest,
            fragmentation,
            failures: None,
            stack: None,
            source: HeapSource::Log,
        }
    }

    #[test]
    fn a_line_tells_a_percentage_or_none() {
        let of = |fragmentation: &'static str| {
            HeapSample::of_line(|name| match name {
                "phase" => Some("page"),
                "lowest" => Some("400"),
                "fragmentation" => Some(fragmentation),
                _ => None,
            })
        };
        assert_eq!(of("12").unwrap().fragmentation, Some(12));
        assert_eq!(of("101").unwrap().fragmentation, None);
    }

    #[test]
    fn lows_keep_the_worst_and_never_make_a_zero_of_what_was_not_told() {
        let mut lows = HeapLows::default();
        assert!(lows.get(HeapPhase::Page).is_none());
        lows.add(&sample(500, None, Some(7)));
        lows.add(&sample(400, Some(300), None));
        lows.add(&sample(450, Some(350), Some(3)));
        let low = lows.get(HeapPhase::Page).unwrap();
        assert_eq!((low.lowest_free, low.largest, low.failures), (400, Some(300), None));
        assert_eq!((low.fragmentation, low.samples), (Some(7), 3));
        assert!(!lows.worse_by(&sample(400, Some(300), Some(7))));
        for worse in [(399, Some(300), Some(7)), (400, Some(299), None), (900, None, Some(8))] {
            assert!(lows.worse_by(&sample(worse.0, worse.1, worse.2)), "{worse:?}");
        }
        assert!(lows.get(HeapPhase::Boot).is_none());
    }
}
