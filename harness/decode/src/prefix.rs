//! Finds out what tools put on each line of a log, by what the lines of one dump have in common.
//!
//! A line of a dump is recognised anywhere in its line. What is in front of it may be a
//! prefix, what follows may be a suffix. They are where another line of the same dump has them too,
//! and what remains of that line is a line of a dump as a whole. So text that speaks of crashes is
//! none: no second line has its words in front of registers or rows of a stack.
//!
//! The first line of a dump waits for the others: at most [`AHEAD`] lines, and only where it is not
//! at the beginning of its line.

use std::collections::VecDeque;

use crate::clean;
use crate::marks::{self, CrashMark};
use crate::shape::{Match, PrefixShape, collapsed};

/// Lines after one with crash text after other text that are read before it is decided on. A blank
/// line may follow each line.
const AHEAD: usize = 16;

/// Lines in front of it that are looked at. Where a board is watched, this many are kept.
pub const BACK: usize = 6;

/// Lines without crash text over which a prefix stays known.
const STAYS: u32 = 64;

/// The longest suffix, bytes.
const LONGEST_SUFFIX: usize = 128;

/// A line without what tools put on it.
#[derive(Debug)]
pub struct CleanLine {
    /// Its number.
    pub number: u64,
    /// As it came.
    pub raw: Vec<u8>,
    /// What the board printed.
    pub text: String,
    /// There is no mark in it.
    pub plain: bool,
}

/// Takes lines in and hands them on without their prefixes.
#[derive(Debug, Default)]
pub struct Prefixes {
    /// What is on the lines of the last dump, and lines since.
    known: Option<(Around, u32)>,
    /// The last lines that were handed on.
    before: VecDeque<String>,
    waiting: VecDeque<Waiting>,
    /// So many of those that wait do not wait any more.
    decided: usize,
}

/// A line that is not handed on yet.
#[derive(Debug)]
struct Waiting {
    number: u64,
    raw: Vec<u8>,
    text: String,
    /// A remark at its end is off, and the suffix with it.
    remark: bool,
    plain: bool,
    sample: Option<Sample>,
}

/// What is around the text of a line.
#[derive(Clone, Debug)]
struct Around {
    prefix: PrefixShape,
    suffix: String,
}

/// A line of a dump with something in front of it or after it.
#[derive(Debug)]
struct Sample {
    prefix: PrefixShape,
    /// None where it is not certain where the line's own text ends.
    suffix: Option<String>,
    text: String,
    cause: bool,
    quoted: bool,
    /// It is not recognised unless what is in front of it is taken off.
    waits: bool,
}

impl Prefixes {
    /// Takes a line; [`next`](Prefixes::next) hands on what is decided by it.
    pub fn push(&mut self, number: u64, raw: &[u8]) {
        let (text, remark) = clean::text_and_remark(raw);
        let plain = !marks::may_be_in(&text);
        let mark = if plain { None } else { marks::find_any(&text) };
        let sample = mark.and_then(|mark| Sample::of(&text, mark));
        let known =
            self.known.as_ref().is_some_and(|(around, _)| around.content(&text, remark).is_some());
        if !known {
            if let Some(around) = self.learn(&text, sample.as_ref()) {
                self.known = Some((around, 0));
            } else if sample.is_none() && mark.is_some_and(|mark| !mark.start_of_rom) {
                // A dump without a prefix: those that wait for theirs have none.
                self.decided = self.waiting.len();
            }
        }
        self.waiting.push_back(Waiting { number, raw: raw.to_vec(), text, remark, plain, sample });
    }

    /// No line follows that could decide on those that wait.
    pub fn end(&mut self) {
        self.decided = self.waiting.len();
    }

    /// Lines passed by that were not looked at.
    pub fn pass(&mut self, lines: u64) {
        if let Some((_, age)) = &mut self.known {
            *age = age.saturating_add(u32::try_from(lines).unwrap_or(u32::MAX));
        }
        self.forget();
    }

    /// The next line that is decided on.
    pub fn next(&mut self) -> Option<CleanLine> {
        let first = self.waiting.front()?;
        let waits = first.sample.as_ref().is_some_and(|sample| sample.waits);
        let mut text = self.content(&first.text, first.remark);
        if text.is_none() && waits {
            if self.decided == 0 && self.waiting.len() <= AHEAD {
                return None;
            }
            if let Some(around) = self.neighbours(first) {
                self.known = Some((around, 0));
                text = self.content(&first.text, first.remark);
            }
        }
        let first = self.waiting.pop_front()?;
        self.decided = self.decided.saturating_sub(1);
        if let Some((_, age)) = &mut self.known {
            *age = if text.is_some() && first.sample.is_some() { 0 } else { *age + 1 };
        }
        self.forget();
        let text = text.unwrap_or_else(|| clean::without_prefixes(&first.text).to_owned());
        if !first.text.is_empty() {
            if self.before.len() == BACK {
                self.before.pop_front();
            }
            self.before.push_back(first.text);
        }
        Some(CleanLine { number: first.number, raw: first.raw, text, plain: first.plain })
    }

    fn forget(&mut self) {
        self.known.take_if(|(_, age)| *age > STAYS);
    }

    fn content(&self, text: &str, remark: bool) -> Option<String> {
        let content = self.known.as_ref()?.0.content(text, remark)?;
        Some(clean::without_prefixes(content).to_owned())
    }

    /// What is around the lines of a dump, where `text` is one more of them.
    fn learn(&self, text: &str, sample: Option<&Sample>) -> Option<Around> {
        let waiting = self.waiting.iter().rev();
        let Some(sample) = sample else {
            let samples = waiting.filter_map(|line| line.sample.as_ref());
            return samples.into_iter().find_map(|sample| sample.confirmed_by(text));
        };
        let others = waiting.map(|line| &line.text).chain(self.before.iter().rev());
        others.into_iter().find_map(|other| sample.confirmed_by(other))
    }

    /// The prefix of a crash that has one line only: all lines around it have it too, and one of them
    /// has nothing else, as no words of a firmware come before a blank line.
    fn neighbours(&self, first: &Waiting) -> Option<Around> {
        let sample = first.sample.as_ref()?;
        if !sample.cause || sample.quoted || !sample.prefix.has_words() {
            return None;
        }
        if sample.suffix.as_ref().is_some_and(|suffix| !suffix.is_empty()) {
            return None;
        }
        let around = Around { prefix: sample.prefix.clone(), suffix: String::new() };
        let after = self.waiting.iter().skip(1).map(|line| &line.text);
        let others = self.before.iter().chain(after).filter(|text| !text.is_empty());
        let (mut blank, mut texts) = (0, 0);
        for other in others {
            let content =
                around.prefix.end(other, Match::Exact, |_| true).map(|end| other[end..].trim());
            match content? {
                "" => blank += 1,
                content if content == sample.text => {}
                _ => texts += 1,
            }
        }
        (blank > 0 && texts > 0).then_some(around)
    }
}

impl Around {
    /// What of `text` is within. After a remark that is off, it may be without the suffix.
    fn content<'t>(&self, text: &'t str, remark: bool) -> Option<&'t str> {
        let inner = |end: usize| {
            let rest = &text[end..];
            match rest.trim().is_empty() {
                true => Some(rest),
                false => without_suffix(rest, &self.suffix).or(remark.then_some(rest)),
            }
        };
        let is_dump = |end: usize| {
            let rest = inner(end).map(str::trim_start);
            rest.and_then(marks::find).is_some_and(|mark| mark.start == 0)
        };
        // Where numbers may be of the prefix or of the text, the text decides.
        let dump = self.prefix.end(text, Match::Loose, is_dump);
        let end =
            dump.or_else(|| self.prefix.end(text, Match::Loose, |end| inner(end).is_some()))?;
        inner(end)
    }
}

impl Sample {
    fn of(text: &str, mark: CrashMark) -> Option<Sample> {
        let plain = clean::without_prefixes(text);
        let whole =
            |mark: CrashMark| mark.start == 0 && mark.end.is_none_or(|end| end == plain.len());
        let suffix = mark.end.map(|end| collapsed(&text[end..]));
        let own = if plain.len() == text.len() { Some(mark) } else { marks::find(plain) };
        if own.is_some_and(whole)
            || suffix.as_ref().is_some_and(|suffix| suffix.len() > LONGEST_SUFFIX)
        {
            return None;
        }
        let prefix = &text[..mark.start];
        Some(Sample {
            prefix: PrefixShape::of(prefix)?,
            suffix,
            text: text[mark.start..mark.end.unwrap_or(text.len())].to_owned(),
            cause: mark.cause,
            quoted: prefix.contains('"'),
            // After a quotation mark it is not recognised as it is.
            waits: !mark.anywhere || prefix.contains(['"', '\'', '`']),
        })
    }

    /// What is around this line and `other`, where both are lines of one dump.
    fn confirmed_by(&self, other: &str) -> Option<Around> {
        [Match::Exact, Match::Loose].into_iter().find_map(|how| {
            let mut suffix = None;
            self.prefix.end(other, how, |end| {
                suffix = self.suffix_of(other[end..].trim(), how);
                suffix.is_some()
            })?;
            Some(Around { prefix: self.prefix.clone(), suffix: suffix? })
        })
    }

    fn suffix_of(&self, rest: &str, how: Match) -> Option<String> {
        let mark = marks::find(rest).filter(|mark| mark.start == 0);
        let end = mark.map_or_else(|| marks::address(rest), |mark| mark.end);
        let own = end.map(|end| collapsed(&rest[end..]));
        let suffix = match (&self.suffix, own) {
            (Some(suffix), Some(own)) if *suffix != own => return None,
            (Some(suffix), _) => suffix.clone(),
            (None, own) => own.unwrap_or_default(),
        };
        // Where only the other line shows where its text ends, this one must end in the same.
        if self.suffix.is_none() {
            without_suffix(&self.text, &suffix).filter(|_| suffix.len() <= LONGEST_SUFFIX)?;
        }
        let text = without_suffix(rest, &suffix)?;
        // Two causes are a list of them. A cause belongs to details, and where another word is in
        // front of them, to those that do not occur by chance.
        let both = match mark {
            Some(mark) if mark.cause => !self.cause,
            None if how == Match::Loose => false,
            _ => marks::is_detail(text),
        };
        (both && text.trim() != self.text).then_some(suffix)
    }
}

/// `text` without a suffix of this shape.
fn without_suffix<'t>(text: &'t str, suffix: &str) -> Option<&'t str> {
    if suffix.is_empty() {
        return Some(text);
    }
    let first = suffix.chars().next()?;
    let places = text.char_indices().rev().take(2 * LONGEST_SUFFIX);
    let at = places
        .filter(|(_, c)| *c == first || first == '0' && c.is_ascii_digit())
        .map(|(at, _)| at)
        .find(|at| collapsed(&text[*at..]) == suffix)?;
    Some(&text[..at])
}

#[cfg(test)]
pub mod tests;
