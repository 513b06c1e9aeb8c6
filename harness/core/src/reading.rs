//! Reads a TOML file into its type, and reports all errors at once.
//!
//! serde stops at the first error. So that error is collected, its entry is removed from the tree (or added,
//! where it is missing), and the rest is read again.

use std::ops::Range;
use std::path::Path;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use crate::place::{FileError, line_of, short_of};

/// The most errors of one file that are reported.
const MOST: usize = 50;

/// The most of a name or a line in a message, characters.
const SHOWN: usize = 120;

/// Placeholders for a missing key, so that the rest can be read; tried in this order.
const PLACEHOLDERS: [&str; 7] = ["\"x\"", "1", "\"1 s\"", "\"1 B\"", "{}", "[]", "true"];

/// The result of reading a file.
pub(crate) struct Reading<T> {
    /// The contents; with errors, only for finding further errors.
    pub value: Option<T>,
    /// The errors, in the order of the lines.
    pub errors: Vec<FileError>,
    /// Tables that were changed, by the line of their header: further errors in them are not the file's.
    pub changed: Vec<usize>,
}

/// The contents of a file without an error.
///
/// # Errors
/// All errors in it.
pub fn whole<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, FileError> {
    let Reading { value, errors, .. } = read(path, text);
    match (FileError::all(errors), value) {
        (Some(errors), _) => Err(errors),
        (None, Some(value)) => Ok(value),
        (None, None) => Err(FileError::whole(path, "it cannot be read")),
    }
}

/// Reads a file's text.
pub(crate) fn read<T: DeserializeOwned>(path: &Path, text: &str) -> Reading<T> {
    let mut reading = Reading { value: None, errors: Vec::new(), changed: Vec::new() };
    let (mut root, syntax) = DeTable::parse_recoverable(text);
    if !syntax.is_empty() {
        let errors = syntax.iter().take(MOST);
        reading.errors = errors.map(|error| FileError::toml(path, text, error)).collect();
        reading.errors.sort_by_key(FileError::line);
        return reading;
    }
    let mut placed = 0;
    let mut tries = 0;
    while reading.errors.len() < MOST {
        let error = match T::deserialize(Deserializer::from(root.clone())) {
            Ok(value) => {
                reading.value = Some(value);
                break;
            }
            Err(error) => error,
        };
        let problem = SerdeError::of(error.message());
        let span = error.span().unwrap_or(0..0);
        // A placeholder of the wrong type is no error of the file.
        if span.start > text.len() {
            tries += 1;
            let choice = problem.names.first().filter(|_| problem.kind == Kind::Variant);
            let next = match choice {
                Some(name) => format!("\"{name}\""),
                None => match PLACEHOLDERS.get(tries) {
                    Some(next) => (*next).to_owned(),
                    None => break,
                },
            };
            if tries > 2 * PLACEHOLDERS.len() || !replace(root.get_mut(), &span, &next) {
                break;
            }
            continue;
        }
        let mut way = Vec::new();
        let found = match problem.kind {
            Kind::Missing => {
                placed += 1;
                tries = 0;
                let at = text.len() + placed;
                put_in(root.get_mut(), &span, &problem.name, at..at, &mut way)
            }
            _ => take_out(root.get_mut(), &span, &problem, &mut way),
        };
        let line = line_of(text, span.start);
        let header = header_of(text, line);
        // A required key that was removed is reported already, and so is a misspelt one.
        let again = problem.kind == Kind::Missing && {
            let (key, meant) =
                (format!("`{}`", way.join(".")), format!("did you mean `{}`?", problem.name));
            reading.errors.iter().any(|error| {
                let same_table = error.line().is_some_and(|at| header_of(text, at) == header);
                let words = error.to_string();
                same_table && (words.contains(&key) || words.contains(&meant))
            })
        };
        if !again {
            let message = problem.words(&way);
            reading.errors.push(FileError::shown_at(path, text, span, message));
        }
        if problem.kind != Kind::Field {
            reading.changed.push(header);
        }
        if !found {
            break;
        }
    }
    reading.errors.sort_by_key(FileError::line);
    reading
}

/// The line of the header of the table that `line` is in; 0 for what comes before the first.
pub(crate) fn header_of(text: &str, line: usize) -> usize {
    let lines = text.lines().take(line).enumerate();
    lines.filter(|(_, text)| text.trim_start().starts_with('[')).last().map_or(0, |(at, _)| at + 1)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// An unknown key.
    Field,
    /// A key that is missing.
    Missing,
    /// A word that is not one of several.
    Variant,
    /// Any other value.
    Value,
}

/// An error of serde, in parts.
struct SerdeError {
    kind: Kind,
    /// The key or the word.
    name: String,
    /// What is expected.
    names: Vec<String>,
    /// The original text.
    text: String,
}

impl SerdeError {
    fn of(text: &str) -> SerdeError {
        let (kind, rest) = [
            ("unknown field `", Kind::Field),
            ("missing field `", Kind::Missing),
            ("unknown variant `", Kind::Variant),
        ]
        .into_iter()
        .find_map(|(start, kind)| Some((kind, text.strip_prefix(start)?)))
        .unwrap_or((Kind::Value, ""));
        // The key itself may have backticks; the expected words do not.
        let (name, expected) = match rest.rsplit_once("`, expected ") {
            Some(parts) => parts,
            None => (rest.split_once('`').map_or(rest, |(name, _)| name), ""),
        };
        let names = expected.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect();
        SerdeError { kind, name: name.to_owned(), names, text: text.to_owned() }
    }

    /// In words; `way` leads to the key.
    fn words(&self, way: &[String]) -> String {
        let way = short(&way.join("."));
        let name = short(&self.name);
        let near = nearest(&self.name, &self.names)
            .map(|near| format!("; did you mean `{near}`?"))
            .unwrap_or_else(|| ".".into());
        let names =
            self.names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        match self.kind {
            Kind::Field if names.is_empty() => format!("unknown key `{name}` (`{way}`)"),
            Kind::Field => {
                format!("unknown key `{name}` (`{way}`){near} The keys here are {names}")
            }
            Kind::Missing => format!("`{way}` is missing"),
            Kind::Variant => {
                format!("`{way}`: `{name}` is not one of its values{near} They are {names}")
            }
            Kind::Value => match self.text.split_once(", expected ") {
                Some((found, expected)) => {
                    let found = found
                        .trim_start_matches("invalid type: ")
                        .trim_start_matches("invalid value: ");
                    let expected = match expected {
                        "u8" | "u16" | "u32" | "u64" | "usize" => {
                            "a whole number that is not negative"
                        }
                        "i8" | "i16" | "i32" | "i64" => "a whole number",
                        other => other,
                    };
                    format!("`{way}`: found {}, expected {expected}", short(found))
                }
                None => format!("`{way}`: {}", short_of(&self.text, 4 * SHOWN)),
            },
        }
    }
}

/// The name that was probably meant.
fn nearest<'a>(name: &str, names: &'a [String]) -> Option<&'a str> {
    let most = (name.chars().count() / 3).clamp(1, 4);
    let near = |other: &&'a String| {
        (name.len() < 4 * SHOWN).then(|| strsim::damerau_levenshtein(name, other))
    };
    let found = names.iter().filter_map(|other| Some((near(&other)?, other))).min()?;
    (found.0 <= most).then_some(found.1.as_str())
}

fn short(text: &str) -> String {
    short_of(text, SHOWN)
}

/// Removes the entry at `span`, and returns the path to it in `way`.
fn take_out(
    table: &mut DeTable<'_>,
    span: &Range<usize>,
    problem: &SerdeError,
    way: &mut Vec<String>,
) -> bool {
    let is_it = |key: &Spanned<std::borrow::Cow<'_, str>>, value: &Spanned<DeValue<'_>>| {
        let key_is = key.span() == *span;
        match problem.kind {
            Kind::Field => key_is && key.get_ref() == problem.name.as_str(),
            _ => value.span() == *span || key_is || has_element(value.get_ref(), span),
        }
    };
    let key = table.iter().find(|(key, value)| is_it(key, value)).map(|(key, _)| key.clone());
    if let Some(key) = key {
        way.push(key.get_ref().to_string());
        return table.remove(key.get_ref().as_ref()).is_some();
    }
    for (key, value) in table.iter_mut() {
        way.push(key.get_ref().to_string());
        if within(value.get_mut(), &mut |table, way| take_out(table, span, problem, way), way) {
            return true;
        }
        way.pop();
    }
    false
}

/// Whether one of an array's values is at `span`: the whole array is removed with it.
fn has_element(value: &DeValue<'_>, span: &Range<usize>) -> bool {
    let is_it = |one: &Spanned<DeValue<'_>>| one.span() == *span && !one.get_ref().is_table();
    value.as_array().is_some_and(|array| array.iter().any(is_it))
}

/// Continues in the tables of a value.
fn within(
    value: &mut DeValue<'_>,
    look: &mut dyn FnMut(&mut DeTable<'_>, &mut Vec<String>) -> bool,
    way: &mut Vec<String>,
) -> bool {
    match value {
        DeValue::Table(table) => look(table, way),
        DeValue::Array(array) => array.iter_mut().any(|one| within(one.get_mut(), look, way)),
        _ => false,
    }
}

/// Adds a placeholder for the missing key `name` to the table at `span`, and the path to it to `way`.
fn put_in(
    table: &mut DeTable<'_>,
    span: &Range<usize>,
    name: &str,
    at: Range<usize>,
    way: &mut Vec<String>,
) -> bool {
    fn deeper(
        table: &mut DeTable<'_>,
        span: &Range<usize>,
        put: &mut dyn FnMut(&mut DeTable<'_>),
        way: &mut Vec<String>,
    ) -> bool {
        for (key, value) in table.iter_mut() {
            way.push(key.get_ref().to_string());
            if of_value(value, span, put, way) {
                return true;
            }
            way.pop();
        }
        false
    }
    fn of_value(
        value: &mut Spanned<DeValue<'_>>,
        span: &Range<usize>,
        put: &mut dyn FnMut(&mut DeTable<'_>),
        way: &mut Vec<String>,
    ) -> bool {
        let here = value.span() == *span;
        match value.get_mut() {
            DeValue::Table(table) if here => {
                put(table);
                true
            }
            DeValue::Table(table) => deeper(table, span, put, way),
            DeValue::Array(array) => {
                for one in array.iter_mut() {
                    if of_value(one, span, put, way) {
                        return true;
                    }
                }
                false
            }
            _ => false,
        }
    }
    let mut put = |table: &mut DeTable<'_>| {
        if let Ok(value) = DeValue::parse(PLACEHOLDERS[0]) {
            let key = Spanned::new(at.clone(), name.to_owned().into());
            table.insert(key, Spanned::new(at.clone(), value.into_inner()));
        }
    };
    if !deeper(table, span, &mut put, way) {
        put(table);
    }
    way.push(name.to_owned());
    true
}

/// Replaces the placeholder at `span`.
fn replace(table: &mut DeTable<'_>, span: &Range<usize>, by: &str) -> bool {
    table.iter_mut().any(|(_, value)| replace_in(value, span, by))
}

fn replace_in(value: &mut Spanned<DeValue<'_>>, span: &Range<usize>, by: &str) -> bool {
    if value.span() == *span {
        // A placeholder is one of the fixed texts, or a word.
        let fixed = PLACEHOLDERS.iter().find(|one| **one == by);
        let owned = match fixed.map(|one| DeValue::parse(one)) {
            Some(Ok(value)) => value.into_inner(),
            Some(Err(_)) => return false,
            None => DeValue::String(by.trim_matches('"').to_owned().into()),
        };
        *value = Spanned::new(span.clone(), owned);
        return true;
    }
    match value.get_mut() {
        DeValue::Table(table) => replace(table, span, by),
        DeValue::Array(array) => array.iter_mut().any(|one| replace_in(one, span, by)),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
