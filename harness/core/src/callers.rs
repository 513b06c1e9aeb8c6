//! Who allocated the heap: the places in the firmware's code that had allocated it at the moment of the
//! lowest free heap.

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::crash::Hex;
use crate::heap::HeapPhase;

/// At most this many callers of a line are read.
const MOST: usize = 64;

/// The callers that had memory allocated at the moment of a phase's lowest free heap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeapCallers {
    /// The firmware's phase.
    pub phase: HeapPhase,
    /// Free at that moment, bytes.
    pub lowest_free: u64,
    /// Free before the first allocation, bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub heap: Option<u64>,
    /// In the order of the log.
    pub callers: Vec<HeapCaller>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeapCaller {
    /// Where its call returns to, `0x402149b8`; none for the sum of all others.
    pub address: Option<Hex>,
    /// Allocated, with the allocator's overhead, bytes.
    pub bytes: u64,
    /// Number of blocks.
    pub blocks: u64,
    /// The function, by the ELF: the innermost that is no wrapper of an allocator.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub function: Option<String>,
    /// Its source file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file: Option<String>,
    /// The line of the call.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub line: Option<u32>,
}

impl HeapCallers {
    /// Reads a line, by the named groups of the contract's line and its pattern for each caller. `None`
    /// where a figure is no number.
    pub fn of_line<'a>(
        group: impl Fn(&str) -> Option<&'a str>,
        each: &Regex,
    ) -> Option<HeapCallers> {
        let callers = each.captures_iter(group("callers")?).take(MOST).map(|caller| {
            let figure = |name: &str| caller.name(name)?.as_str().parse().ok();
            let address = match caller.name("address") {
                None => None,
                Some(hex) => Some(Hex(u32::from_str_radix(hex.as_str(), 16).ok()?)),
            };
            Some(HeapCaller {
                address,
                bytes: figure("bytes")?,
                blocks: figure("blocks")?,
                function: None,
                file: None,
                line: None,
            })
        });
        Some(HeapCallers {
            phase: HeapPhase::from_name(group("phase")?)?,
            lowest_free: group("lowest")?.parse().ok()?,
            heap: match group("heap") {
                None => None,
                Some(heap) => Some(heap.parse().ok()?),
            },
            callers: callers
                .filter(|caller| caller.as_ref().is_none_or(|caller| caller.blocks > 0))
                .collect::<Option<_>>()?,
        })
    }

    /// Bytes of all callers in the log.
    pub fn logged(&self) -> u64 {
        self.callers.iter().fold(0, |sum, caller| sum.saturating_add(caller.bytes))
    }

    /// Allocated bytes that no caller in the log has; none where there are no such bytes, or where the
    /// total is not known.
    pub fn not_logged(&self) -> Option<u64> {
        let taken = self.heap?.checked_sub(self.lowest_free)?;
        taken.checked_sub(self.logged()).filter(|missing| *missing > 0)
    }
}

impl HeapCaller {
    /// The function, the address where that is not known, or a word for all others.
    pub fn name(&self) -> String {
        match (&self.function, self.address) {
            (Some(function), _) => function.clone(),
            (None, Some(address)) => address.to_string(),
            (None, None) => "(others)".into(),
        }
    }

    /// Where it is in the source, `tls.c:115`.
    pub fn place(&self) -> Option<String> {
        let file = self.file.as_deref()?;
        let file = file.rsplit('/').next().unwrap_or(file);
        Some(self.line.map_or(file.to_owned(), |line| format!("{file}:{line}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EACH: &str = r"(?:0x(?P<address>[0-9a-f]{8})|others) (?P<bytes>\d+) B in (?P<blocks>\d+)";

    fn of(phase: &str, lowest: &str, callers: &str) -> Option<HeapCallers> {
        let group = |name: &str| match name {
            "phase" => Some(phase),
            "lowest" => Some(lowest),
            "heap" => Some("51920"),
            "callers" => Some(callers),
            _ => None,
        };
        HeapCallers::of_line(group, &Regex::new(EACH).unwrap())
    }

    #[test]
    fn a_line_tells_callers_and_what_is_missing() {
        let callers = of(
            "handshake",
            "51000",
            "0x402149b8 600 B in 1, 0x40214960 300 B in 2, others 16 B in 1",
        )
        .unwrap();
        assert_eq!(callers.callers.len(), 3);
        let none = of("boot", "51000", "0x402149b8 8 B in 1, others 0 B in 0").unwrap();
        assert_eq!((none.callers.len(), none.logged()), (1, 8));
        assert_eq!(callers.callers[0].name(), "0x402149b8");
        assert_eq!((callers.callers[1].bytes, callers.callers[1].blocks), (300, 2));
        assert_eq!(callers.callers[2].name(), "(others)");
        assert_eq!((callers.logged(), callers.not_logged()), (916, Some(4)));
    }

    #[test]
    fn figures_that_are_none_make_the_line_none() {
        let many = "99999999999999999999";
        assert_eq!(of("night", "1", "others 1 B in 1"), None);
        assert_eq!(of("boot", many, "others 1 B in 1"), None);
        assert_eq!(of("boot", "1", &format!("others {many} B in 1")), None);
        let flood = "others 1 B in 1,".repeat(10_000);
        assert_eq!(of("boot", "1", &flood).unwrap().callers.len(), MOST);
        let huge = format!("others {0} B in 1, others {0} B in 1", u64::MAX);
        assert_eq!(of("boot", "1", &huge).unwrap().not_logged(), None);
    }
}
