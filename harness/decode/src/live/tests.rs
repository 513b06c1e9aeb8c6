use std::sync::LazyLock;

use proptest::prelude::*;
use regex::bytes::RegexSet;

use super::*;
use crate::decoder::Decoder;
use crate::decoder::tests::{REGISTERS, line};
use crate::finding::Kind;
use crate::signs::SIGNS;

static ANY: LazyLock<RegexSet> = LazyLock::new(|| {
    let up = LoopRule::default().up;
    // What a web page makes of a sign comes from no board, and the other tests' lines have it.
    let page = [r"stack(?:&gt;|\\>|\\u003)", up.as_str()];
    RegexSet::new(SIGNS.into_iter().chain(page)).unwrap()
});

/// As the runner does: text without a sign comes in blocks, a line with one by itself.
fn live(live: &mut LiveDecoder, log: &[u8], findings: &mut Vec<Finding>) {
    let mut block = (1, Vec::new());
    for (number, line) in (1..).zip(log.split_inclusive(|byte| *byte == b'\n')) {
        if ANY.is_match(line) {
            live.plain(block.0, &block.1, |finding| findings.push(finding));
            live.sign(number, line, |finding| findings.push(finding));
            block = (number + 1, Vec::new());
        } else {
            block.1.extend_from_slice(line);
        }
    }
    live.plain(block.0, &block.1, |finding| findings.push(finding));
}

pub fn all_of(log: &[u8]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut decoder = LiveDecoder::new(LoopRule::default());
    live(&mut decoder, log, &mut findings);
    decoder.finish(|finding| findings.push(finding));
    findings
}

fn crash() -> String {
    format!("Exception (29):\n{REGISTERS}\n\n>>>stack>>>\n3ffffdd0:  40201f20 0 0 0\n<<<stack<<<\n")
}

#[test]
fn a_crash_is_known_by_its_first_line_and_complete_when_the_chip_starts() {
    let mut decoder = LiveDecoder::new(LoopRule::default());
    let mut findings = Vec::new();
    live(&mut decoder, b"all is well\nException (29):\n", &mut findings);
    assert_eq!(
        decoder.open().map(|finding| (finding.kind, finding.line)),
        Some((Kind::Exception, 2))
    );
    assert_eq!(findings, []);
    let log = format!("{}ets Jan  8 2013,rst cause:2, boot mode:(3,6)\n", crash());
    let found = all_of(log.as_bytes());
    assert_eq!(found.iter().map(|f| f.kind).collect::<Vec<_>>(), [Kind::Exception, Kind::Start]);
    assert!(found[0].start.is_some() && found[0].addresses.len() == 2);
}

#[test]
fn text_about_a_stack_dump_is_no_open_crash() {
    let mut decoder = LiveDecoder::new(LoopRule::default());
    decoder.sign(1, b">>>stack>>>\n", |_| panic!("nothing to find"));
    assert_eq!(decoder.open(), None);
    decoder.plain(2, b"is what you look for\n", |_| panic!("nothing to find"));
    decoder.finish(|_| panic!("nothing to find"));
}

#[test]
fn text_far_from_a_sign_is_not_decoded_and_what_is_kept_of_it_is_bounded() {
    let mut decoder = LiveDecoder::new(LoopRule::default());
    let flood = b"all is well, nothing of interest here\n".repeat(10_000);
    decoder.plain(1, &flood, |_| panic!("nothing to find"));
    assert_eq!((decoder.next, decoder.before.len()), (1, BEFORE));
    decoder.plain(10_001, &vec![b'x'; 100_000], |_| panic!("nothing to find"));
    assert!(decoder.before.iter().map(Vec::len).sum::<usize>() <= BEFORE * MOST);
}

#[test]
fn a_reset_that_the_rig_asks_for_is_no_sign_of_a_brownout() {
    let start = " ets Jan  8 2013,rst cause:2, boot mode:(3,6)\n";
    let log = format!(
        "{start}the firmware speaks here\n\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\n"
    );
    for asked in [false, true] {
        let mut decoder = LiveDecoder::new(LoopRule::default());
        let mut findings = Vec::new();
        live(&mut decoder, log.as_bytes(), &mut findings);
        if asked {
            decoder.reset_asked();
        }
        decoder.sign(4, start.as_bytes(), |finding| findings.push(finding));
        let signs = findings.iter().filter(|finding| finding.kind == Kind::Brownout).count();
        assert_eq!(signs, usize::from(!asked), "{findings:#?}");
    }
}

proptest! {
    /// With stretches of text in between, over which the decoder sleeps.
    #[test]
    fn what_is_near_signs_is_all_that_a_decoder_finds(
        lines in prop::collection::vec(prop_oneof![
            8 => line(),
            // Well over a boot loop's bound: passed over, empty lines count as others do.
            1 => (100usize..150).prop_map(|n| b"all is well, nothing of interest here\n".repeat(n)),
        ], 0..40)
    ) {
        let mut log = lines.join(&b'\n');
        log.push(b'\n');
        let mut whole = Vec::new();
        let mut decoder = Decoder::default();
        decoder.feed(&log, |finding| whole.push(finding));
        decoder.finish(|finding| whole.push(finding));
        prop_assert_eq!(all_of(&log), whole, "{}", String::from_utf8_lossy(&log));
    }
}
