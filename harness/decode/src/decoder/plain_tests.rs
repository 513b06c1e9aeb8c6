//! A line without a mark takes a short way through the decoder. Each line that takes it in any test of
//! this crate is checked: no reader has anything to read in it.

use super::Decoder;
use super::pieces::{build, mentioned_exception, next_mark};
use crate::crash_line::{CrashLine, without_logger};
use crate::finding::Finding;
use crate::marks;
use crate::prefix::Prefixes;
use crate::stack;
use crate::start::RomStart;

/// Fails where a reader takes `text` for more than text while no crash is open.
pub fn assert_that_nothing_reads(text: &str) {
    for text in [Some(text), without_logger(text)].into_iter().flatten() {
        let opens = CrashLine::read(text.as_bytes()).is_some_and(|line| {
            let begins = matches!(
                line,
                CrashLine::StackBegins | CrashLine::StackEnds | CrashLine::ElfSha256(_)
            );
            let registers = matches!(&line, CrashLine::Registers(found) if found.is_whole());
            line.is_crash() || begins || registers
        });
        assert!(!opens, "{text}");
        let row = stack::row("", text).is_some_and(|row| row.address.is_some());
        assert!(!row && !stack::bounds(text), "{text}");
        assert!(build(text).is_none() && mentioned_exception(text).is_none(), "{text}");
        assert!(next_mark(text).is_none() && RomStart::read(text.as_bytes()).is_none(), "{text}");
        let others = ["CUT HERE FOR EXCEPTION DECODER", "esp_core_dump", "stack>>>", "Panic "];
        assert!(!others.iter().any(|other| text.contains(other)), "{text}");
    }
    assert_eq!(marks::find_any(text).filter(|mark| mark.cause), None, "{text}");
}

#[test]
fn what_a_reader_reads_does_not_take_the_short_way() {
    let dumps = crate::prefix::tests::dumps();
    let lines = dumps.iter().flat_map(|dump| dump.lines());
    let (mut plain, mut all) = (0, 0);
    for line in lines {
        let mut prefixes = Prefixes::default();
        prefixes.push(1, line.as_bytes());
        prefixes.end();
        let line = prefixes.next().unwrap();
        all += 1;
        if line.plain {
            assert_that_nothing_reads(&line.text);
            plain += 1;
        }
    }
    assert!(plain > 20 && all - plain > 60, "{plain} of {all}");
}

#[test]
fn plain_lines_count_as_the_firmwares_own_text_and_end_a_run_of_rows() {
    let decode = |log: &str| {
        let mut all: Vec<Finding> = Vec::new();
        let mut decoder = Decoder::default();
        decoder.feed(log.as_bytes(), |finding| all.push(finding));
        decoder.finish(|finding| all.push(finding));
        all.len()
    };
    let row = |at: u32| format!("{at:08x}:  3fff2450 00000000 3ffefe60 4020ff4f\n");
    let rows = [row(0x3fff_ff60), row(0x3fff_ff70), row(0x3fff_ff80)];
    assert_eq!(decode(&rows.concat()), 1);
    assert_eq!(decode(&rows.join("all is well\n")), 0);
    // Bounds of a stack stay known over two lines of text, not over four.
    let bounds = "sp: 3ffffe00 end: 3fffffd0 offset: 0190\n";
    for (lines, found) in [(2, 1), (4, 0)] {
        let text = "all is well\n".repeat(lines);
        assert_eq!(decode(&format!("{bounds}{text}{}", rows[0])), found, "{lines}");
    }
}

#[test]
fn a_sentence_that_ends_in_the_mark_of_a_stack_is_no_dump() {
    for rest in ["follows.", "is below", "dead", "the rest:", "3ffe", "follows. <", "address:", "<"]
    {
        let log =
            format!("The dump of the board, >>>stack>>> {rest}\nall is well\n>>>stack>>> {rest}\n");
        let mut decoder = Decoder::default();
        decoder.feed(log.as_bytes(), |finding| panic!("{log}{finding:?}"));
        decoder.finish(|finding| panic!("{log}{finding:?}"));
    }
}
