//! The shape of what a tool puts in front of each line: what stays from line to line, and what varies.
//!
//! Words and punctuation stay. Numbers, dates and times vary, also in their length, and so do blanks:
//! a counter goes from 9 to 10, a name is padded, a time has milliseconds in one line and none in the
//! next.

/// The longest prefix, bytes. The names of a job and a step in front of a time are well below it.
const LONGEST: usize = 256;

/// The longest word that may be another in the next line of the same prefix (Nov and Dec, I and E, AM
/// and PM), characters; and one in capital letters (a level).
const SHORT: usize = 5;
const SHORT_IN_CAPITALS: usize = 8;

/// Steps of one comparison: a board may send what has endless ways to be read as numbers.
const MOST_STEPS: u32 = 512;

/// What it costs, in steps, to look at what follows a prefix.
const LOOK: u32 = 32;

/// A prefix, as the lines of one log share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixShape {
    tokens: Vec<Token>,
    /// A blank follows.
    spaced: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// A word, each run of digits in it as one `0`.
    Word(String),
    /// A number, decimal or hexadecimal.
    Number {
        /// Of digits alone.
        decimal: bool,
    },
    /// Numbers with punctuation between them: a date, a time, a fraction.
    Numbers,
    Sign(char),
}

/// How much of a line must be as in the sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    Exact,
    /// Short words may differ.
    Loose,
}

impl PrefixShape {
    /// The shape of `prefix`; none of a text that is too long to be one.
    pub fn of(prefix: &str) -> Option<PrefixShape> {
        if prefix.len() > LONGEST {
            return None;
        }
        let (mut tokens, mut at) = (Vec::new(), 0);
        while let Some(c) = prefix[at..].chars().next() {
            if c.is_whitespace() {
                at += c.len_utf8();
            } else if is_of_word(c) {
                let run = word(&prefix[at..]);
                let token = match (is_number(run), numbers(&prefix[at..]).last().copied()) {
                    (false, _) | (_, None) => Token::Word(collapsed(run)),
                    (true, Some(all)) if all > run.len() => {
                        at += all - run.len();
                        Token::Numbers
                    }
                    (true, _) => Token::Number { decimal: is_decimal(run) },
                };
                tokens.push(token);
                at += run.len();
            } else {
                // GitLab marks with it that a line goes on.
                let number = matches!(tokens.last(), Some(Token::Number { .. } | Token::Numbers));
                let goes_on = c == '+' && number && prefix[..at].ends_with(is_of_word);
                if !goes_on {
                    tokens.push(Token::Sign(c));
                }
                at += c.len_utf8();
            }
        }
        Some(PrefixShape { tokens, spaced: prefix.ends_with(char::is_whitespace) })
    }

    /// Whether it is nothing but blanks.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Whether it has a word or a number.
    pub fn has_words(&self) -> bool {
        self.tokens.iter().any(|token| !matches!(token, Token::Sign(_)))
    }

    /// Where in `text` what follows the prefix may begin, the likeliest first: several places where a
    /// number is followed by another. Ends with the first that `wanted` takes.
    pub fn end(
        &self,
        text: &str,
        how: Match,
        mut wanted: impl FnMut(usize) -> bool,
    ) -> Option<usize> {
        // Without a number the words are all that there is to recognise it by.
        let numbered =
            self.tokens.iter().any(|token| !matches!(token, Token::Word(_) | Token::Sign(_)));
        let how = if numbered { how } else { Match::Exact };
        let mut walk = Walk { shape: self, text, how, steps: MOST_STEPS, wanted: &mut wanted };
        walk.from(&self.tokens, 0)
    }
}

/// A comparison.
struct Walk<'a> {
    shape: &'a PrefixShape,
    text: &'a str,
    how: Match,
    steps: u32,
    wanted: &'a mut dyn FnMut(usize) -> bool,
}

impl Walk<'_> {
    fn take_steps(&mut self, steps: u32) -> Option<()> {
        self.steps = self.steps.checked_sub(steps)?;
        Some(())
    }

    fn end(&mut self, at: usize) -> Option<usize> {
        self.take_steps(LOOK)?;
        (self.wanted)(at).then_some(at)
    }

    /// Where the prefix ends, if `tokens` are what is left of it at `at`.
    fn from(&mut self, tokens: &[Token], at: usize) -> Option<usize> {
        self.take_steps(1)?;
        let text = self.text;
        let Some((token, further)) = tokens.split_first() else {
            let follows = text[at..].chars().next();
            let apart = !self.shape.spaced
                || self.shape.is_empty()
                || text[..at].ends_with('+')
                || follows.is_none_or(char::is_whitespace);
            return if apart { self.end(at) } else { None };
        };
        let at = text.len() - text[at..].trim_start().len();
        let rest = &text[at..];
        let sign = |token: &Token| matches!(token, Token::Sign(_));
        if rest.is_empty() && at > 0 && tokens.iter().all(sign) {
            // A line of nothing else, whose last signs were taken for a part of its end.
            return self.end(at);
        }
        match token {
            Token::Sign(sign) => {
                // `grep -n` has `:` in lines that match and `-` in those around them.
                let same = match sign {
                    ':' | '-' => rest.starts_with([':', '-']),
                    sign => rest.starts_with(*sign),
                };
                if same { self.from(further, at + sign.len_utf8()) } else { None }
            }
            Token::Word(sample) => {
                let run = word(rest);
                let same = !run.is_empty()
                    && (collapsed(run) == *sample
                        || self.how == Match::Loose && are_alike(sample, run));
                if same { self.from(further, at + run.len()) } else { None }
            }
            Token::Number { decimal } => {
                let run = word(rest);
                if !is_number(run) {
                    return None;
                }
                let digits = run.bytes().take_while(u8::is_ascii_digit).count();
                let short = (*decimal && digits > 0 && digits < run.len()).then_some(digits);
                let mut ends = short.into_iter().chain([run.len()]);
                ends.find_map(|end| self.from(further, at + passing_plus(rest, end)))
            }
            Token::Numbers => {
                let mut ends = numbers(rest).into_iter().rev();
                ends.find_map(|end| self.from(further, at + passing_plus(rest, end)))
            }
        }
    }
}

/// `text` by what stays of it from line to line: without blanks, each number as one `0`.
pub fn collapsed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !c.is_whitespace()) {
        match c.is_ascii_digit() {
            true if out.ends_with('0') => {}
            true => out.push('0'),
            false => out.push(c),
        }
    }
    out
}

/// The word that `text` begins with, if it does.
fn word(text: &str) -> &str {
    let end = text.find(|c| !is_of_word(c)).unwrap_or(text.len());
    &text[..end]
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_decimal(run: &str) -> bool {
    !run.is_empty() && run.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_hex(run: &str) -> bool {
    !run.is_empty() && run.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether a word is a number: it begins with a digit, or is a hexadecimal one with a digit in it.
fn is_number(run: &str) -> bool {
    let digit = |run: &str| run.bytes().any(|byte| byte.is_ascii_digit());
    run.starts_with(|c: char| c.is_ascii_digit()) || is_hex(run) && digit(run)
}

/// Where numbers with punctuation between them may end that `text` begins with, the shortest first.
/// No later part of a date, a time or a fraction begins with `0x`: an address that follows
/// without a blank is not one more of them.
fn numbers(text: &str) -> Vec<usize> {
    let first = word(text);
    if !is_number(first) {
        return Vec::new();
    }
    let mut ends = vec![first.len()];
    let mut at = first.len();
    while text[at..].starts_with([':', '.', ',', '-', '/', '+']) {
        let run = word(&text[at + 1..]);
        if run.starts_with("0x") || !(is_number(run) || is_hex(run)) {
            break;
        }
        at += 1 + run.len();
        ends.push(at);
    }
    ends
}

fn passing_plus(text: &str, at: usize) -> usize {
    at + usize::from(text[at..].starts_with('+'))
}

/// Whether a short word may replace another: both of the same case.
fn are_alike(sample: &str, run: &str) -> bool {
    let short = |text: &str| {
        let capitals = text.chars().all(char::is_uppercase);
        let most = if capitals { SHORT_IN_CAPITALS } else { SHORT };
        text.chars().count() <= most && text.chars().all(char::is_alphabetic)
    };
    let case = |text: &str| {
        let mut chars = text.chars();
        (chars.next().is_some_and(char::is_uppercase), chars.next().map(char::is_uppercase))
    };
    let (sample_case, run_case) = (case(sample), case(run));
    short(sample)
        && short(run)
        && sample_case.0 == run_case.0
        && (sample_case.1 == run_case.1 || sample_case.1.is_none() || run_case.1.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest<'t>(sample: &str, text: &'t str, how: Match) -> Option<&'t str> {
        let end = PrefixShape::of(sample).unwrap().end(text, how, |_| true)?;
        Some(text[end..].trim_start())
    }

    #[test]
    fn the_same_prefix_is_found_whatever_its_numbers_are() {
        for (sample, line) in [
            ("[dut-0] ", "[dut-12] text"),
            ("9: ", "10: text"),
            ("[  9] ", "[10] text"),
            ("esp-1    | ", "esp-10   | text"),
            ("2026-11-30T02:14:09.1234567Z ", "2026-12-01T02:14:10Z text"),
            ("2026-11-30 02:14:09,5 [x] ", "2026-11-30 02:14:10 [x] text"),
            ("file.log:12:", "file.log:1234:text"),
            ("file-12-", "file-13-text"),
            ("2024-05-22T12:43:46.962646Z 00O ", "2024-05-22T12:43:46.962647Z 01E+text"),
            ("/dev/ttyUSB0: ", "/dev/ttyUSB10: text"),
            ("0a1b2c ", "ff00 text"),
            ("farm-3 bench[881]: ", "farm-3 bench[90321]: text"),
            ("{\"log\":\"", "{\"log\":\"text"),
            ("", "text"),
            ("esp-1 | ", "esp-1"),
        ] {
            let expected = if line.ends_with("text") { "text" } else { "" };
            assert_eq!(rest(sample, line, Match::Exact), Some(expected), "{sample:?} {line:?}");
        }
    }

    #[test]
    fn another_text_is_another_prefix() {
        for (sample, line) in [
            ("<bob> ", "<alice> text"),
            ("it was ", "it is text"),
            ("[1] ", "1 text"),
            ("Nov 30 ", "Dec 1 text"),
            ("12 ", "3fffff90: text"),
        ] {
            assert_eq!(rest(sample, line, Match::Exact), None, "{sample:?} {line:?}");
        }
        assert_eq!(rest("Nov 30 ", "Dec 1 text", Match::Loose), Some("text"));
        assert_eq!(rest("[0] <err> os: ", "[0] <inf> os: text", Match::Loose), Some("text"));
        assert_eq!(rest("[0] bench: ", "[0] server: text", Match::Loose), None);
        assert_eq!(rest("[0] ERROR: ", "[0] WARNING: text", Match::Loose), Some("text"));
        assert_eq!(rest("a.log-99-", "a.log:100:text", Match::Exact), Some("text"));
        // Nothing but a word to go by.
        assert_eq!(rest("the ", "and text", Match::Loose), None);
        assert_eq!(PrefixShape::of(&"x".repeat(LONGEST + 1)), None);
    }

    #[test]
    fn text_with_endless_ways_to_read_it_costs_no_more_than_its_bound() {
        let shape = PrefixShape::of(&"1:1 : ".repeat(40)).unwrap();
        let text = "1:".repeat(2000);
        let mut looks = 0;
        let end = shape.end(&text, Match::Loose, |_| {
            looks += 1;
            false
        });
        assert_eq!(end, None);
        assert!(looks <= MOST_STEPS / LOOK, "{looks}");
    }

    #[test]
    fn numbers_that_may_belong_to_the_text_are_left_to_it() {
        let shape = PrefixShape::of("2026-11-30 12:14:").unwrap();
        let line = "2026-11-30 12:15:3fffff90: text";
        let mut places = Vec::new();
        shape.end(line, Match::Exact, |at| {
            places.push(&line[at..]);
            false
        });
        assert_eq!(places, [" text", "3fffff90: text", "15:3fffff90: text"]);
        assert_eq!(rest("12:", "12:3fffff90:  3fff", Match::Exact), Some("3fffff90:  3fff"));
        for sign in [":", "-", ",", ".", "/", "+"] {
            let (sample, line) = (format!("12:14{sign}"), format!("12:15{sign}0x420035d7"));
            assert_eq!(rest(&sample, &line, Match::Exact), Some("0x420035d7"), "{line}");
        }
        let (sample, line) = ("12:14:0x3fff0010:", "12:15:0x3fff0020:text");
        assert_eq!(rest(sample, line, Match::Exact), Some("text"));
    }
}
