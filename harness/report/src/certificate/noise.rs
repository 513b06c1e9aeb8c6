//! How much of a difference between two certificates is noise.
//!
//! Measured on virtual boards with Mosquitto, five times the whole matrix: the lowest free heap of a case
//! differs by up to 168 B, where the broker's bytes come one at a time by up to 1,700 B (it depends on how many
//! pieces wait at a time); an ECDSA handshake by up to 8 bytes on the wire.

use hilrig_core::certify::{Case, CaseResult, Cost, Line, Range, Spread};

/// Of a heap figure, bytes: as for a heap that is followed from commit to commit.
pub(crate) const HEAP: u64 = 256;
/// The same where the line carries one byte at a time.
const HEAP_BYTE_BY_BYTE: u64 = 2048;
/// Of a handshake's bytes on the wire: an ECDSA signature alone differs by some.
pub(crate) const HANDSHAKE: u64 = 64;
/// So many repetitions show the noise of a case; fewer can miss it.
const SHOWN_BY: u32 = 5;

/// A cost in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CostFigure {
    Handshake,
    Connected,
    AfterMessage,
    HandshakeBytes,
}

/// How a figure of a case compares with that of another certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CostChange {
    /// Within the noise.
    Same,
    Lower,
    Higher,
}

impl CostFigure {
    pub const ALL: [CostFigure; 4] = [
        CostFigure::Handshake,
        CostFigure::Connected,
        CostFigure::AfterMessage,
        CostFigure::HandshakeBytes,
    ];

    pub fn words(self) -> &'static str {
        match self {
            CostFigure::Handshake => "free in the handshake, B",
            CostFigure::Connected => "free while connected, B",
            CostFigure::AfterMessage => "free after the message, B",
            CostFigure::HandshakeBytes => "handshake, B",
        }
    }

    /// Less of it is worse.
    pub fn is_heap(self) -> bool {
        self != CostFigure::HandshakeBytes
    }

    /// What the case measured, over its repetitions where there are some.
    pub fn of(self, case: &CaseResult) -> Option<Range<u64>> {
        let once = |of: fn(&Cost) -> Option<u64>| Range::of(of(&case.cost));
        let spread = case.repetitions.map(|repetitions| repetitions.spread);
        let over = |of: fn(&Spread) -> Option<Range<u64>>| spread.as_ref().and_then(of);
        match self {
            CostFigure::Handshake => over(|s| s.heap_handshake).or(once(|c| c.heap_handshake)),
            CostFigure::Connected => over(|s| s.heap_connected).or(once(|c| c.heap_connected)),
            CostFigure::AfterMessage => {
                over(|s| s.heap_after_message).or(once(|c| c.heap_after_message))
            }
            CostFigure::HandshakeBytes => {
                over(|s| s.handshake_bytes).or(once(|c| c.handshake_bytes))
            }
        }
    }

    /// The noise of the case where it was not measured by repetitions.
    fn noise(self, id: &str) -> u64 {
        match (self, Case::named(id).map(|case| case.line)) {
            (CostFigure::HandshakeBytes, _) => HANDSHAKE,
            (_, Some(Line::ByteByByte)) => HEAP_BYTE_BY_BYTE,
            _ => HEAP,
        }
    }

    /// How `now` compares with `before`. What both reach is the same; between what they do not, the gap must be
    /// larger than the noise: the wider of the two, and at least the usual one.
    pub fn change(self, id: &str, before: Range<u64>, now: Range<u64>) -> CostChange {
        let widest = (before.highest - before.lowest).max(now.highest - now.lowest);
        let usual = match before.measured.max(now.measured) >= SHOWN_BY {
            true if self.is_heap() => HEAP,
            true => HANDSHAKE,
            false => self.noise(id),
        };
        let noise = widest.max(usual);
        if now.highest.saturating_add(noise) < before.lowest {
            CostChange::Lower
        } else if before.highest.saturating_add(noise) < now.lowest {
            CostChange::Higher
        } else {
            CostChange::Same
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(lowest: u64, highest: u64, measured: u32) -> Range<u64> {
        Range { lowest, highest, measured }
    }

    #[test]
    fn the_usual_noise_counts_until_repetitions_show_it() {
        let one = |figure: u64| range(figure, figure, 1);
        let change = |id, before, now| CostFigure::Handshake.change(id, before, now);
        assert_eq!(change("control", one(20_000), one(19_744)), CostChange::Same);
        assert_eq!(change("control", one(20_000), one(19_743)), CostChange::Lower);
        assert_eq!(change("control", one(19_743), one(20_000)), CostChange::Higher);
        assert_eq!(change("byte-by-byte", one(20_000), one(18_000)), CostChange::Same);
        assert_eq!(change("byte-by-byte", one(20_000), one(17_951)), CostChange::Lower);
        // Five repetitions that differ by little count more than the usual noise, four do not.
        let five = range(20_000, 20_100, 5);
        assert_eq!(change("byte-by-byte", five, one(19_743)), CostChange::Lower);
        assert_eq!(change("byte-by-byte", range(20_000, 20_100, 4), one(19_743)), CostChange::Same);
        // So do those that differ by more.
        let wide = range(20_000, 23_000, 5);
        assert_eq!(change("control", wide, one(17_000)), CostChange::Same);
        assert_eq!(change("control", wide, one(16_999)), CostChange::Lower);
    }
}
