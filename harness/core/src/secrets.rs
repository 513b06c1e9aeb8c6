//! Values that must not be shown, and how they are found in a text.
//!
//! A board gets its secrets percent-encoded and prints them in any form: plain, in JSON, in a page's HTML.
//! So each character of a secret is found in each of these forms, also with a line end in between. A text
//! is masked before it is cut (a long line, the beginning of a reply). A text that was cut before is
//! masked at its [`Ends::Cut`] as well, where a part of a secret may be.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// The replacement of a secret.
const SHOWN: &str = "***";

/// This many characters of a secret at a text's end count as a part of it. Fewer may be the beginning of
/// any word.
const PART: usize = 4;

/// Line ends that are skipped between two characters of a secret: `\r\r\n`, and one more.
const MOST_LINE_ENDS: usize = 4;

/// Values that must not be in any log, event or report.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    values: BTreeSet<String>,
    found: Vec<Secret>,
    /// The possible first bytes of a secret.
    first: Option<Box<[bool; 256]>>,
}

/// How a text ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// It is whole.
    Whole,
    /// It may be a piece of a longer one.
    Cut,
}

/// A character's forms.
type Forms = Vec<Vec<u8>>;

/// One value.
#[derive(Clone, Debug)]
struct Secret(Vec<Forms>);

/// The result of a search for a secret at a place.
#[derive(Clone, Copy, Debug, Default)]
struct Looked {
    /// Where it ends, if it is there.
    end: Option<usize>,
    /// The text ends within it, after this many characters.
    within: Option<usize>,
}

impl Secrets {
    /// Empty values are dropped: they would match everywhere.
    pub fn new(values: impl IntoIterator<Item = String>) -> Secrets {
        let mut secrets = Secrets::default();
        secrets.add(values);
        secrets
    }

    /// The same with a login, which HTTP's Basic authentication encodes as a whole.
    #[must_use]
    pub fn and_login(mut self, user: &str, password: &str) -> Secrets {
        if !password.is_empty() {
            let pair = format!("{user}:{password}");
            let encoded = [STANDARD.encode(&pair), STANDARD_NO_PAD.encode(&pair)];
            self.add([password.to_owned()]);
            self.insert(encoded);
        }
        self
    }

    fn add(&mut self, values: impl IntoIterator<Item = String>) {
        for value in values.into_iter().filter(|value| !value.is_empty()) {
            // The encoded form of a short value may be any word.
            if value.len() >= PART {
                let encoded = [
                    STANDARD.encode(&value),
                    STANDARD_NO_PAD.encode(&value),
                    URL_SAFE_NO_PAD.encode(&value),
                ];
                self.insert(encoded);
            }
            self.insert([value]);
        }
    }

    fn insert(&mut self, values: impl IntoIterator<Item = String>) {
        for value in values {
            if value.is_empty() || !self.values.insert(value.clone()) {
                continue;
            }
            let secret = Secret(value.chars().map(forms).collect());
            let first = self.first.get_or_insert_with(|| Box::new([false; 256]));
            for form in secret.0.iter().take(1).flatten() {
                first[usize::from(form[0])] = true;
                first[usize::from(form[0].to_ascii_uppercase())] = true;
            }
            self.found.push(secret);
        }
    }

    /// Whether there are no secrets.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// `text` with every secret replaced.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.mask_bytes(text.as_bytes(), Ends::Whole) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(masked) => Cow::Owned(String::from_utf8_lossy(&masked).into_owned()),
        }
    }

    /// The same for bytes, which may be a piece of a longer text.
    pub fn mask_bytes<'a>(&self, text: &'a [u8], ends: Ends) -> Cow<'a, [u8]> {
        let mut places = Vec::new();
        let part = self.find(text, &mut places);
        if ends == Ends::Cut {
            places.extend(part.filter(|part| part.characters >= PART).map(|p| (p.at, text.len())));
            places.extend(self.rest_of_one(text).map(|end| (0, end)));
        }
        if places.is_empty() {
            return Cow::Borrowed(text);
        }
        places.sort_unstable();
        let mut masked = Vec::with_capacity(text.len());
        // The end of the masked part so far.
        let mut upto = None;
        for (from, to) in places {
            if upto.is_none_or(|upto| from > upto) {
                masked.extend_from_slice(&text[upto.unwrap_or(0)..from]);
                masked.extend_from_slice(SHOWN.as_bytes());
            }
            upto = upto.max(Some(to));
        }
        masked.extend_from_slice(&text[upto.unwrap_or(0)..]);
        Cow::Owned(masked)
    }

    /// All places of all secrets, overlapping ones included, and the beginning of the first one that the text
    /// cuts at its end.
    pub(crate) fn find(&self, text: &[u8], places: &mut Vec<(usize, usize)>) -> Option<Part> {
        let first = self.first.as_deref()?;
        let mut part: Option<Part> = None;
        let mut at = 0;
        while let Some(next) = text[at..].iter().position(|byte| first[usize::from(*byte)]) {
            at += next;
            for secret in &self.found {
                let Looked { end, within } = secret.at(text, at, 0);
                if let Some(end) = end {
                    match places.last_mut() {
                        // A flood of one letter may match at each byte.
                        Some(last) if (last.0..=last.1).contains(&at) => last.1 = last.1.max(end),
                        _ => places.push((at, end)),
                    }
                }
                if let Some(characters) = within {
                    let more = |part: &Part| part.at == at && part.characters < characters;
                    if part.as_ref().is_none_or(more) {
                        part = Some(Part { at, characters });
                    }
                }
            }
            at += 1;
        }
        part
    }

    /// The end of a partial secret at the beginning of `text`, which may be all of it.
    fn rest_of_one(&self, text: &[u8]) -> Option<usize> {
        let mut end = None;
        for secret in &self.found {
            for from in 1..=secret.0.len().saturating_sub(PART) {
                // The form of the previous character may be cut, too: `8` of `%68`.
                let before = secret.0[from - 1].iter().flat_map(|form| {
                    (1..form.len()).filter(move |n| text.starts_with(&form[form.len() - n..]))
                });
                for at in before.chain([0]) {
                    let looked = secret.at(text, at, from);
                    let whole = looked.within.filter(|n| *n >= PART).map(|_| text.len());
                    end = end.max(looked.end.max(whole));
                }
            }
        }
        end
    }
}

/// The beginning of a secret at a text's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Where it begins.
    pub at: usize,
    /// Number of its characters in the text.
    pub characters: usize,
}

impl Secret {
    /// Searches the secret from its character `from` on at the place `at`. All readings of the text are
    /// followed at once, so the time is bounded for any text.
    fn at(&self, text: &[u8], at: usize, from: usize) -> Looked {
        let mut looked = Looked::default();
        let can_begin = |form: &Vec<u8>| !matches!(begins(&text[at..], form), Begins::Otherwise);
        if !self.0[from].iter().any(can_begin) {
            return looked;
        }
        let mut places = vec![at];
        let mut next = Vec::new();
        for (number, forms) in self.0[from..].iter().enumerate() {
            for place in &places {
                let line_ends = match number {
                    0 => 0,
                    _ => line_ends(&text[*place..]),
                };
                for place in [*place, *place + line_ends] {
                    for form in forms {
                        match begins(&text[place..], form) {
                            Begins::With if !next.contains(&(place + form.len())) => {
                                next.push(place + form.len());
                            }
                            Begins::With | Begins::Otherwise => {}
                            Begins::Short => looked.within = Some(number),
                        }
                    }
                    if line_ends == 0 {
                        break;
                    }
                }
            }
            places.clear();
            std::mem::swap(&mut places, &mut next);
            if places.is_empty() {
                return looked;
            }
        }
        looked.end = places.into_iter().max();
        looked
    }
}

fn line_ends(text: &[u8]) -> usize {
    text.iter().take(MOST_LINE_ENDS).take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
}

enum Begins {
    With,
    Otherwise,
    /// The text ends before that can be known.
    Short,
}

fn begins(text: &[u8], form: &[u8]) -> Begins {
    // Only an escape has more than one byte and begins like this; its letters may have either case.
    let escape = form.len() > 1 && matches!(form[0], b'%' | b'\\' | b'&');
    let same = |(a, b): (&u8, &u8)| a == b || (escape && a.eq_ignore_ascii_case(b));
    match text.iter().zip(form).all(same) {
        false => Begins::Otherwise,
        true if text.len() < form.len() => Begins::Short,
        true => Begins::With,
    }
}

/// The forms of a character in the output of the rig and of boards: plain, percent-encoded, escaped as in
/// JSON, as this program escapes unprintable characters, and as in HTML and XML.
fn forms(c: char) -> Forms {
    let mut buffer = [0; 4];
    let raw = c.encode_utf8(&mut buffer).as_bytes().to_vec();
    let each = |start: &str| raw.iter().map(|b| format!("{start}{b:02x}")).collect::<String>();
    let mut units = [0; 2];
    let units = c.encode_utf16(&mut units);
    let mut forms = vec![
        each("%"),
        each("\\x"),
        units.iter().map(|unit| format!("\\u{unit:04x}")).collect(),
        format!("&#{};", u32::from(c)),
        format!("&#{:03};", u32::from(c)),
        format!("&#x{:x};", u32::from(c)),
        format!("&#x{:02x};", u32::from(c)),
    ];
    let named: &[&str] = match c {
        ' ' => &["+"],
        '"' => &["\\\"", "&quot;"],
        '\\' => &["\\\\"],
        '/' => &["\\/"],
        '\'' => &["&apos;", "\\'"],
        '&' => &["&amp;"],
        '<' => &["&lt;"],
        '>' => &["&gt;"],
        '\t' => &["\\t"],
        '\n' => &["\\n", "\r\n"],
        '\r' => &["\\r"],
        _ => &[],
    };
    forms.extend(named.iter().map(|form| (*form).to_owned()));
    let mut forms: Forms = forms.into_iter().map(String::into_bytes).collect();
    forms.push(raw);
    forms.sort();
    forms.dedup();
    forms
}

/// The secrets of this process: each text from outside is masked before it is cut, in any part of the
/// program.
static HIDDEN: RwLock<Option<Arc<Secrets>>> = RwLock::new(None);

/// Adds secrets that are masked from now on.
pub fn hide(secrets: &Secrets) {
    let mut hidden = HIDDEN.write().unwrap_or_else(PoisonError::into_inner);
    let mut all = hidden.as_deref().cloned().unwrap_or_default();
    all.insert(secrets.values.iter().cloned());
    *hidden = Some(Arc::new(all));
}

/// The secrets so far, if there are any.
pub fn hidden() -> Option<Arc<Secrets>> {
    HIDDEN.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// `text` with the secrets masked.
pub fn without_hidden(text: &str) -> Cow<'_, str> {
    match hidden() {
        None => Cow::Borrowed(text),
        Some(secrets) => match secrets.mask(text) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(masked) => Cow::Owned(masked),
        },
    }
}

#[cfg(test)]
mod tests;
