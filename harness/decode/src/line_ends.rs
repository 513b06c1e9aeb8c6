//! Tests: a log gives the same findings whatever ends its lines, and in whatever encoding it is.

use crate::{Decoder, Finding, Kind};

const CRASH: &str = "\
Mode: station, joined

--------------- CUT HERE FOR EXCEPTION DECODER ---------------

Exception (29):
epc1=0x40203a1d epc2=0x00000000 epc3=0x00000000 excvaddr=0x00000000 depc=0x00000000

>>>stack>>>

ctx: cont
sp: 3ffffe00 end: 3fffffd0 offset: 0190
3fffff90:  3fff2450 00000000 3ffefe60 4020ff4f  
3fffffa0:  feefeffe feefeffe 3ffe3fd0 4020115d  
<<<stack<<<

--------------- CUT HERE FOR EXCEPTION DECODER ---------------

 ets Jan  8 2013,rst cause:2, boot mode:(3,6)

load 0x4010f000, len 3456, room 16 
Mode: station, joining at 21 \u{b0}C \u{2192} 22 \u{b0}C
";

const WATCHDOG: &str = "\
Mode: station, joined and at work for a long time

 ets Jan  8 2013,rst cause:4, boot mode:(3,6)

wdt reset
load 0x4010f000, len 3456, room 16 
Mode: station, joining
";

fn decode(log: &[u8]) -> (Vec<Finding>, u64) {
    let mut all = Vec::new();
    let mut decoder = Decoder::default();
    // In chunks that divide no line end evenly.
    for chunk in log.chunks(7) {
        decoder.feed(chunk, |finding| all.push(finding));
    }
    let lines = decoder.finish(|finding| all.push(finding));
    (all, lines)
}

fn kinds(log: &str) -> Vec<Kind> {
    decode(log.as_bytes()).0.iter().map(|finding| finding.kind).collect()
}

#[test]
fn every_line_end_gives_the_same_findings_at_the_same_lines() {
    for log in [CRASH, WATCHDOG, &CRASH.repeat(3), &WATCHDOG.repeat(2)] {
        let right = decode(log.as_bytes());
        assert!(!right.0.is_empty());
        for end in ["\r\n", "\r\r\n", "\r", "\u{85}", "\u{2028}", "\u{2029}"] {
            assert_eq!(decode(log.replace('\n', end).as_bytes()), right, "{end:?}");
        }
        // LF and CR in turn: numbered by their LF, and nothing is lost.
        let ends = log.split_inclusive('\n').enumerate();
        let mixed: String = ends
            .map(|(n, line)| if n % 2 == 0 { line.to_owned() } else { line.replace('\n', "\r") })
            .collect();
        let found = decode(mixed.as_bytes()).0;
        assert_eq!(without_lines(found), without_lines(right.0));
    }
}

#[test]
fn utf16_gives_the_same_findings_with_and_without_its_mark() {
    for end in ["\n", "\r\n"] {
        let right = decode(CRASH.as_bytes());
        for mark in ["", "\u{feff}"] {
            // Also where the crash is in the first line.
            for from in ["Mode:", "Exception (29)"] {
                let log = CRASH[CRASH.find(from).unwrap()..].replace('\n', end);
                let right = if from == "Mode:" { right.clone() } else { decode(log.as_bytes()) };
                let log = format!("{mark}{log}");
                let units = || log.encode_utf16();
                let little: Vec<u8> = units().flat_map(u16::to_le_bytes).collect();
                let big: Vec<u8> = units().flat_map(u16::to_be_bytes).collect();
                assert_eq!(decode(&little), right, "little end first, {mark:?} {end:?}");
                assert_eq!(decode(&big), right, "big end first, {mark:?} {end:?}");
                assert_eq!(decode(log.as_bytes()), right, "UTF-8, {mark:?} {end:?}");
            }
        }
    }
}

#[test]
fn a_blank_line_after_each_line_changes_nothing() {
    for log in [CRASH, WATCHDOG, &CRASH.repeat(3), &WATCHDOG.repeat(2)] {
        let right = without_lines(decode(log.as_bytes()).0);
        for blank in ["\n\n", "\r\n\r\n", "\n\n\n", "\n\r", "\n \n"] {
            let log = log.replace('\n', blank);
            assert_eq!(without_lines(decode(log.as_bytes()).0), right, "{blank:?}");
        }
    }
    assert_eq!(kinds(&WATCHDOG.replace('\n', "\n\n")), [Kind::HardwareWatchdog]);
}

#[test]
fn noise_that_looks_like_a_byte_order_mark_hides_nothing() {
    for noise in [&b"\xff\xfe"[..], b"\xfe\xff", b"\xff\xfe\x00\x12", b"\x00\x00\xff\xfe\x00"] {
        let log = [noise, b"\n", CRASH.as_bytes()].concat();
        let found = decode(&log).0;
        let kinds: Vec<Kind> = found.iter().map(|finding| finding.kind).collect();
        assert_eq!(kinds, [Kind::Exception, Kind::Start], "{noise:?}");
        assert!(!found[0].cut);
    }
}

fn without_lines(mut findings: Vec<Finding>) -> Vec<Finding> {
    for finding in &mut findings {
        finding.line = 0;
        finding.evidence.iter_mut().for_each(|evidence| evidence.line = 0);
    }
    findings
}
