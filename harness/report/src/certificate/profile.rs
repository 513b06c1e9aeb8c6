//! The profile to use: of the settings that were shown to work, the ones with the most heap left.

use hilrig_core::certify::certificate::{Outcome, Profile, Verdict};
use hilrig_core::certify::{
    Act, Case, CaseResult, Clock, Cost, Expected, Identity, Line, Trust, WireSeen,
};
use hilrig_core::event::BrokerFacts;

use super::cipher_suite::CipherSuite;
use super::noise;

/// A board that takes whole records asks for no smaller ones, bytes.
const WHOLE_RECORD: u16 = 16_384;

/// The profile of these cases at this broker, or none if no case showed one.
///
/// Only settings as in the field count: the board trusts a root and checks name and date, nothing is in
/// between, and the wire shows that both kept to what they agreed on. Suites without forward
/// secrecy are not recommended, whatever they leave free (RFC 9325, 4.1). Of those within
/// [`noise::HEAP`] of the most free heap, the safest is taken, then the first.
pub fn profile(cases: &[CaseResult], broker: &BrokerFacts) -> Option<Profile> {
    let shown: Vec<Candidate> = cases.iter().filter_map(Candidate::of).collect();
    let most = shown.iter().map(|shown| shown.lowest_free).max()?;
    let mut best: Option<&Candidate> = None;
    for shown in shown.iter().filter(|shown| shown.lowest_free.saturating_add(noise::HEAP) >= most)
    {
        if best.is_none_or(|best| shown.safety() > best.safety()) {
            best = Some(shown);
        }
    }
    best.map(|best| Profile {
        case: best.case.id.into(),
        record: best.case.board.record,
        suite: best.suite.0,
        certificate: match broker.kind.as_str() {
            "container" | "process" => identity_words(best.case.broker.identity).into(),
            _ => "the broker's own".into(),
        },
        lowest_free: best.lowest_free,
    })
}

/// The lowest of the heap figures, where the handshake's is there.
pub(crate) fn lowest_free(cost: &Cost) -> Option<u64> {
    let others = [cost.heap_connected, cost.heap_after_message];
    let handshake = cost.heap_handshake?;
    Some(others.into_iter().flatten().fold(handshake, u64::min))
}

/// Whether the broker confirmed the records that the board asked for, and kept to them; `None` where
/// none were asked for, or no handshake got so far.
pub(crate) fn kept_records(wire: &[WireSeen]) -> Option<RecordsKept> {
    let mut kept = None;
    for seen in wire {
        let (Some(offered), Some(taken)) = (&seen.offered, &seen.taken) else { continue };
        let Some(asked) = offered.max_fragment else { continue };
        let this = match taken.max_fragment {
            Some(confirmed) if confirmed != asked => RecordsKept::Other,
            Some(_) if seen.largest_from_broker > u32::from(asked) => RecordsKept::Ignored,
            Some(_) => RecordsKept::Yes,
            None => RecordsKept::NotTaken,
        };
        kept = kept.max(Some(this));
    }
    kept
}

/// What a broker did with the records that it was asked for (MFLN), from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RecordsKept {
    /// It confirmed them and sent no larger one.
    Yes,
    /// It did not confirm them.
    NotTaken,
    /// It confirmed another size.
    Other,
    /// It confirmed them and sent larger ones.
    Ignored,
}

impl RecordsKept {
    pub fn words(self) -> &'static str {
        match self {
            RecordsKept::Yes => "kept",
            RecordsKept::NotTaken => "not taken",
            RecordsKept::Other => "another size taken",
            RecordsKept::Ignored => "taken, but ignored",
        }
    }
}

/// A case that shows settings that work.
struct Candidate {
    case: &'static Case,
    suite: CipherSuite,
    lowest_free: u64,
}

impl Candidate {
    fn of(result: &CaseResult) -> Option<Candidate> {
        let case = Case::named(&result.id)?;
        let connected = result.outcome == Outcome::Connected
            && result.verdict != Verdict::NotHeld
            && result.reason.is_none();
        let in_the_field = case.board.trust == Trust::Root
            && case.broker.front.is_none()
            && !matches!(case.expected, Expected::MustRefuse(_))
            && case.clock == Clock::Now
            && case.line == Line::Clean
            && matches!(case.act, Act::Connect | Act::LargeMessage(_));
        let seen = result.evidence.wire.iter().rfind(|seen| seen.finished)?;
        let suite = CipherSuite(seen.taken.as_ref()?.suite);
        let kept = match case.board.record {
            WHOLE_RECORD => true,
            _ => kept_records(&result.evidence.wire) == Some(RecordsKept::Yes),
        };
        (connected && in_the_field && kept && suite.forward_secret()).then_some(())?;
        Some(Candidate { case, suite, lowest_free: lowest_free(&result.cost)? })
    }

    /// More is safer: an authenticated cipher, then a stronger key (NIST SP 800-57, table 2: P-256 has
    /// 128 bits, RSA-2048 has 112), then a client that shows who it is.
    fn safety(&self) -> (bool, u8, bool) {
        let key = match self.case.broker.identity {
            Identity::Rsa4096 => 2,
            Identity::Ecdsa256 | Identity::DeepEc => 1,
            _ => 0,
        };
        (self.suite.authenticated(), key, self.case.broker.client_certificate)
    }
}

fn identity_words(identity: Identity) -> &'static str {
    match identity {
        Identity::Ecdsa256 => "EC P-256",
        Identity::DeepEc => "EC, under five intermediates",
        Identity::Rsa4096 => "RSA-4096",
        Identity::LongChain => "RSA-2048, under three intermediates",
        Identity::Intermediate | Identity::RotatedIntermediate => "RSA-2048, under an intermediate",
        _ => "RSA-2048",
    }
}

#[cfg(test)]
mod tests {
    use hilrig_core::certify::wire::{Offered, Taken};

    use super::*;
    use crate::certificate::sample::{broker, case};

    fn shown(id: &str, suite: u16, lowest: u64) -> CaseResult {
        let mut result = case(id, Outcome::Connected, Verdict::Reported);
        let board = Case::named(id).unwrap().board;
        let asked = (board.record < WHOLE_RECORD).then_some(board.record);
        result.cost.heap_handshake = Some(lowest);
        result.cost.heap_connected = Some(lowest + 9000);
        result.evidence.wire = vec![WireSeen {
            offered: Some(Offered { max_fragment: asked, ..Offered::default() }),
            taken: Some(Taken { suite, max_fragment: asked, ..Taken::default() }),
            finished: true,
            largest_from_broker: u32::from(board.record),
            ..WireSeen::default()
        }];
        result
    }

    fn chosen(cases: &[CaseResult]) -> Option<String> {
        profile(cases, &broker()).map(|profile| profile.case)
    }

    #[test]
    fn the_most_heap_wins_and_noise_does_not() {
        let control = shown("control", 0xc02f, 22_000);
        let small = shown("mfln-512", 0xc02f, 37_000);
        assert_eq!(chosen(&[control.clone(), small.clone()]).unwrap(), "mfln-512");
        let ec = shown("ecdsa", 0xc02b, 37_000 - 256);
        assert_eq!(chosen(&[control.clone(), small.clone(), ec]).unwrap(), "ecdsa");
        let ec = shown("ecdsa", 0xc02b, 37_000 - 257);
        assert_eq!(chosen(&[small.clone(), ec]).unwrap(), "mfln-512");
        let more = shown("mfln-1024", 0xc02f, 37_000);
        assert_eq!(chosen(&[small, more]).unwrap(), "mfln-512", "the first");
        assert_eq!(chosen(&[]), None);
    }

    #[test]
    fn what_was_not_kept_to_is_no_profile() {
        let control = shown("control", 0xc02f, 22_000);
        let small = |change: fn(&mut WireSeen)| {
            let mut small = shown("mfln-512", 0xc02f, 37_000);
            change(&mut small.evidence.wire[0]);
            chosen(&[control.clone(), small]).unwrap()
        };
        assert_eq!(small(|_| ()), "mfln-512");
        assert_eq!(small(|seen| seen.largest_from_broker = 513), "control");
        assert_eq!(small(|seen| seen.taken.as_mut().unwrap().max_fragment = None), "control");
        assert_eq!(small(|seen| seen.finished = false), "control");
    }

    #[test]
    fn a_profile_weakens_neither_verification_nor_secrecy() {
        for id in [
            "leaf-pinned",
            "two-leaves-pin",
            "wrong-pin",
            "clock-1970",
            "sha1",
            "other-ca",
            "other-name",
            "sni-required",
            "slow-line",
            "reconnects",
            "mqtt-qos",
        ] {
            assert_eq!(chosen(&[shown(id, 0xc02f, 50_000)]), None, "{id}");
        }
        assert_eq!(chosen(&[shown("static-rsa", 0x009c, 50_000)]), None);
        let mut not_held = shown("control", 0xc02f, 50_000);
        not_held.verdict = Verdict::NotHeld;
        assert_eq!(chosen(&[not_held]), None);
        let mut not_measured = shown("control", 0xc02f, 50_000);
        not_measured.cost.heap_handshake = None;
        assert_eq!(chosen(&[not_measured]), None);
    }

    #[test]
    fn an_authenticated_cipher_goes_before_a_larger_key() {
        let cbc = shown("rsa-4096", 0xc013, 30_000);
        assert_eq!(chosen(&[cbc, shown("control", 0xc02f, 30_000)]).unwrap(), "control");
    }
}
