//! A crash that is printed again: by the SDK and the core, by a firmware that saved it, by both of
//! two tools.

use super::{DecoderState, OnFinding};
use crate::crash_line::Registers;
use crate::finding::{Address, Finding, Kind, Role};

/// What of the last crash shows that a dump is of it again.
#[derive(Debug, Default)]
pub struct Reprint(Option<(Kind, Registers, Vec<Address>)>);

impl Reprint {
    /// Keeps what is needed of a crash that the chip started after.
    pub fn note(&mut self, finding: &Finding) {
        self.0 = finding
            .start
            .is_some()
            .then(|| (finding.kind, finding.registers.clone(), of_dump(finding)));
    }

    /// Whether `finding` is a dump of the last crash, word for word.
    pub fn is_of_last(&self, finding: &Finding) -> bool {
        let Some((kind, registers, addresses)) = &self.0 else { return false };
        *kind == finding.kind
            && *registers == finding.registers
            && !addresses.is_empty()
            && *addresses == of_dump(finding)
    }

    /// Whether two dumps that follow each other without a line in between are of one crash: one in
    /// the SDK's words and one in the core's, or one that has a stack, printed twice.
    pub fn is_same(first: &Finding, second: &Finding) -> bool {
        let equal = |a: Option<u32>, b: Option<u32>| a.is_none() || b.is_none() || a == b;
        let (a, b) = (&first.registers, &second.registers);
        let registers = equal(a.epc1, b.epc1)
            && equal(a.epc2, b.epc2)
            && equal(a.excvaddr, b.excvaddr)
            && equal(a.depc, b.depc);
        let (one, other) = (of_dump(first), of_dump(second));
        let twice = !one.is_empty() && one == other;
        let in_other_words = first.fatal != second.fatal && (one.is_empty() || other.is_empty());
        first.kind == second.kind
            && first.cause == second.cause
            && registers
            && (twice || in_other_words)
    }

    /// One finding of two that are of one crash.
    pub fn merged(first: Finding, second: Finding) -> Finding {
        let (line, fatal) = (first.line, first.fatal && second.fatal);
        let start = second.start.clone();
        let mut merged = match of_dump(&first).is_empty() {
            true => second,
            false => first,
        };
        (merged.line, merged.fatal, merged.start) = (line, fatal, start);
        merged
    }
}

/// The addresses of a stack or a backtrace.
fn of_dump(finding: &Finding) -> Vec<Address> {
    let of = |address: &&Address| matches!(address.role, Role::Stack | Role::Backtrace);
    finding.addresses.iter().filter(of).copied().collect()
}

impl DecoderState {
    /// Two findings that may be of one crash: what is still to be seen of it is given back.
    pub(super) fn settle(
        &mut self,
        earlier: Option<Box<Finding>>,
        last: Option<Finding>,
        found: OnFinding<'_>,
    ) -> Option<Box<Finding>> {
        let last = last?;
        match earlier {
            Some(earlier) if Reprint::is_same(&earlier, &last) => {
                Some(Box::new(Reprint::merged(*earlier, last)))
            }
            Some(earlier) => {
                self.emit(*earlier, found);
                Some(Box::new(last))
            }
            None => Some(Box::new(last)),
        }
    }
}
