//! A board's boot log on the page: the lines that a check refers to, with the lines around them,
//! and the beginning and end of the rest.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use maud::{Markup, html};

use crate::input;

/// Lines shown from the beginning, and from the end.
const ENDS: u64 = 600;
/// Lines shown on either side of a line that a check speaks of.
const AROUND: u64 = 20;
/// Of a longer line the beginning is shown, bytes.
const MOST: usize = 1024;

/// A line that is shown.
#[derive(Debug, PartialEq)]
struct Line {
    number: u64,
    text: String,
}

/// The log in `file`, its lines marked with what is said of them. `name` makes the lines' anchors.
pub(super) fn boot_log(
    file: &Path,
    name: &str,
    marks: &BTreeMap<u64, Vec<LineMark<'_>>>,
) -> io::Result<Markup> {
    let (lines, count) = chosen(BufReader::new(input::open(file, u64::MAX)?), marks)?;
    let mut last = 0;
    Ok(html! {
        @if lines.is_empty() {
            p { "The board sent nothing." }
        } @else {
            // A region that scrolls must be reachable with the keyboard.
            pre.log tabindex="0" role="region" aria-label={ "boot log of " (name) } {
                @for line in &lines {
                    @let left_out = line.number - std::mem::replace(&mut last, line.number) - 1;
                    @if left_out > 0 {
                        span.gap { "… " (left_out) " lines are in the record\n" }
                    }
                    @match marks.get(&line.number) {
                        Some(marks) => {
                            @let bad = marks.iter().any(|mark| mark.bad);
                            span.line.bad[bad].marked[!bad] id={ (name) "-line-" (line.number) } {
                                b { (line.number) } (line.text) "\n"
                                @for mark in marks {
                                    span.mark { "↑ " (mark.words) "\n" }
                                }
                            }
                        },
                        None => span.line { b { (line.number) } (line.text) "\n" },
                    }
                }
            }
            p.small { (count) " lines; the times are seconds from the run's start." }
        }
    })
}

/// What is said of a line.
#[derive(Debug)]
pub(super) struct LineMark<'a> {
    pub words: &'a str,
    pub bad: bool,
}

/// The lines to show, and how many there are in all.
fn chosen<T>(mut log: impl BufRead, marks: &BTreeMap<u64, T>) -> io::Result<(Vec<Line>, u64)> {
    let mut shown = Vec::new();
    let mut tail: VecDeque<Line> = VecDeque::new();
    let mut number = 0u64;
    while let Some(text) = next_line(&mut log)? {
        number += 1;
        let near = number.saturating_sub(AROUND)..=number + AROUND;
        let line = Line { number, text };
        if number <= ENDS || marks.range(near).next().is_some() {
            shown.push(line);
        } else {
            if tail.len() as u64 == ENDS {
                tail.pop_front();
            }
            tail.push_back(line);
        }
    }
    shown.extend(tail.into_iter().filter(|line| line.number + ENDS > number));
    shown.sort_by_key(|line| line.number);
    Ok((shown, number))
}

/// The next line without its end; a long one cut.
fn next_line(log: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    if log.take(MOST as u64).read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    } else {
        let cut = log.skip_until(b'\n')?;
        if cut > 1 {
            bytes.extend_from_slice(format!("… ({cut} bytes more)").as_bytes());
        }
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: u64, marked: &[u64]) -> Vec<u64> {
        let log: String = (1..=count).map(|n| format!("{n}\n")).collect();
        let marks = marked.iter().map(|n| (*n, ())).collect();
        let (lines, all) = chosen(log.as_bytes(), &marks).unwrap();
        assert_eq!(all, count);
        assert!(lines.iter().all(|line| line.text == line.number.to_string()));
        lines.iter().map(|line| line.number).collect()
    }

    #[test]
    fn a_short_log_is_there_whole() {
        assert_eq!(numbers(2 * ENDS, &[]), Vec::from_iter(1..=2 * ENDS));
        assert!(numbers(0, &[]).is_empty());
    }

    #[test]
    fn a_long_log_keeps_its_ends_and_what_is_marked() {
        let mut expected = Vec::from_iter(1..=ENDS);
        expected.extend(5000 - AROUND..=5000 + AROUND);
        expected.extend(10_000 - ENDS + 1..=10_000);
        assert_eq!(numbers(10_000, &[1, 5000, 10_000]), expected);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let long = "x".repeat(5000);
        let (lines, _) =
            chosen(format!("{long}\nb").as_bytes(), &BTreeMap::<u64, ()>::new()).unwrap();
        assert!(lines[0].text.len() < MOST + 40 && lines[0].text.ends_with("bytes more)"));
        assert_eq!(lines[1], Line { number: 2, text: "b".into() });
    }
}
