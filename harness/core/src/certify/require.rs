//! Requirements of a certification in addition to the matrix's expectations: cases that are otherwise only
//! reported, and limits on their cost for a board.

use std::fmt;
use std::time::Duration;

use super::matrix::CASES;
use super::{Act, Case};
use crate::units::{Bytes, Span};

/// One requirement, such as `mfln` or `heap >= 36 KiB`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// These cases must succeed; written as one name.
    Cases {
        /// A case's id, or a short name for several.
        name: String,
        /// The ids, in the matrix's order.
        ids: Vec<&'static str>,
    },
    /// A limit on a cost of the recommended profile.
    Figure(Figure),
}

/// A limit on a measured value of the profile's case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Minimum of the lowest free heap, bytes.
    Heap(u64),
    /// Maximum duration of the handshake.
    HandshakeSeconds(Duration),
    /// Maximum size of the handshake on the wire, bytes.
    HandshakeBytes(u64),
}

/// A short name and its cases.
type Group = (&'static str, fn(&Case) -> bool);

/// Short names for several cases. None of them is a case id.
const GROUPS: &[Group] = &[
    ("alpn", |case| case.row == 21),
    ("dates", |case| matches!(case.row, 13 | 14)),
    ("mfln", |case| case.row == 7),
    ("mqtt", |case| case.row == 0),
    ("old-suites", |case| case.row == 3),
    ("pin", |case| matches!(case.id, "leaf-pinned" | "wrong-pin")),
    ("rotation", |case| case.row == 15),
    ("sni", |case| case.row == 20),
];

/// The values that can be limited, and the syntax of each.
const FIGURES: [(&str, &str); 3] = [
    ("heap", "heap>=36KiB"),
    ("handshake_seconds", "handshake_seconds<=2s"),
    ("handshake_bytes", "handshake_bytes<=6KiB"),
];

impl Requirement {
    /// Parses one requirement: a case's id, a short name, or a value with its limit.
    ///
    /// # Errors
    /// What is wrong, what is available, and the closest name.
    pub fn parse(text: &str) -> Result<Requirement, String> {
        let text = text.trim();
        match text.find(['<', '>', '=']) {
            Some(at) => figure(text, at).map(Requirement::Figure),
            None => cases(text),
        }
    }

    /// Parses a comma-separated list and reports every error.
    ///
    /// # Errors
    /// As [`Requirement::parse`], for each invalid requirement.
    pub fn parse_all(text: &str) -> Result<Vec<Requirement>, Vec<String>> {
        let (mut all, mut wrong) = (Vec::new(), Vec::new());
        for one in text.split(',') {
            match Requirement::parse(one) {
                Ok(one) => all.push(one),
                Err(found) => wrong.push(found),
            }
        }
        if wrong.is_empty() { Ok(all) } else { Err(wrong) }
    }

    /// Whether both concern the same thing, so the later one replaces the earlier.
    pub fn is_about_same(&self, other: &Requirement) -> bool {
        match (self, other) {
            (Requirement::Cases { ids, .. }, Requirement::Cases { ids: others, .. }) => {
                ids == others
            }
            (Requirement::Figure(one), Requirement::Figure(other)) => one.name() == other.name(),
            _ => false,
        }
    }
}

impl Figure {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Figure::Heap(_) => FIGURES[0].0,
            Figure::HandshakeSeconds(_) => FIGURES[1].0,
            Figure::HandshakeBytes(_) => FIGURES[2].0,
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Requirement::Cases { name, .. } => f.write_str(name),
            Requirement::Figure(figure) => {
                let name = figure.name();
                match figure {
                    Figure::Heap(bytes) => write!(f, "{name} >= {}", Bytes(*bytes)),
                    Figure::HandshakeSeconds(time) => write!(f, "{name} <= {}", Span(*time)),
                    Figure::HandshakeBytes(bytes) => write!(f, "{name} <= {}", Bytes(*bytes)),
                }
            }
        }
    }
}

fn figure(text: &str, at: usize) -> Result<Figure, String> {
    let (name, rest) = text.split_at(at);
    let name = name.trim();
    let operator = if rest[1..].starts_with('=') { &rest[..2] } else { &rest[..1] };
    let value = &rest[operator.len()..];
    let wrong = |found: String| format!("`{text}`: {found}");
    let names = FIGURES.map(|(name, _)| name);
    let Some((name, example)) = FIGURES.iter().find(|(known, _)| *known == name) else {
        let there_are = names.join(", ");
        return Err(wrong(format!(
            "no figure `{name}`; there are {there_are}{}",
            did_you_mean(name, names.into_iter())
        )));
    };
    let wanted = if *name == "heap" { ">=" } else { "<=" };
    if operator != wanted {
        return Err(wrong(format!("the limit of {name} is written with {wanted}: {example}")));
    }
    match *name {
        "handshake_seconds" => {
            Span::parse(value).map(|time| Figure::HandshakeSeconds(time.0)).map_err(wrong)
        }
        name => {
            let bytes = Bytes::parse(value).map_err(wrong)?.0;
            Ok(if name == "heap" { Figure::Heap(bytes) } else { Figure::HandshakeBytes(bytes) })
        }
    }
}

fn cases(name: &str) -> Result<Requirement, String> {
    let of = |wanted: &dyn Fn(&Case) -> bool| -> Vec<&'static str> {
        CASES.iter().filter(|case| wanted(case)).map(|case| case.id).collect()
    };
    let mut ids = of(&|case| case.id == name);
    if ids.is_empty() {
        ids = match GROUPS.iter().find(|(group, _)| *group == name) {
            Some((_, group)) => of(group),
            // For MQTT cases the first word of the id is optional.
            None => of(&|case| case.id.strip_prefix("mqtt-") == Some(name)),
        };
    }
    if let Some(id) = ids.iter().find(|id| Case::named(id).is_some_and(measures_alone)) {
        return Err(format!(
            "`{id}` measures the broker without a board, and has nothing to pass; require a case with a board"
        ));
    }
    if ids.is_empty() {
        let groups: Vec<&str> = GROUPS.iter().map(|(group, _)| *group).collect();
        let figures: Vec<&str> = FIGURES.iter().map(|(_, example)| *example).collect();
        let known = CASES.iter().map(|case| case.id).chain(groups.iter().copied());
        let known = known.chain(FIGURES.iter().map(|(figure, _)| *figure));
        let found = match name {
            "" => "a name is missing between two commas".into(),
            name => format!("`{name}` is no case and no short name of cases"),
        };
        return Err(format!(
            "{found}{}; there are the ids of `hilrig certify --list`, the short names {}, and limits such as {}",
            did_you_mean(name, known),
            groups.join(", "),
            figures.join(", "),
        ));
    }
    Ok(Requirement::Cases { name: name.into(), ids })
}

/// Whether the rig runs it alone and reports what it measured.
fn measures_alone(case: &Case) -> bool {
    matches!(case.act, Act::AskForMfln | Act::Stall)
}

/// The known name closest to the input, if one is close.
fn did_you_mean<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> String {
    // A name much longer than any known one matches none of them and would be slow to compare.
    if written.len() > 64 {
        return String::new();
    }
    let near = known.map(|name| (strsim::damerau_levenshtein(written, name), name)).min();
    match near {
        Some((steps, name)) if steps * 3 <= name.len().max(3) => {
            format!(" (did you mean `{name}`?)")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids(text: &str) -> Vec<&'static str> {
        match Requirement::parse(text).unwrap() {
            Requirement::Cases { ids, .. } => ids,
            figure => panic!("{figure:?}"),
        }
    }

    #[test]
    fn names_stand_for_cases_and_figures_have_their_limits() {
        assert_eq!(ids("mfln"), ["mfln-512", "mfln-1024", "mfln-2048", "mfln-4096"]);
        assert_eq!(ids("resumption"), ["resumption"]);
        assert_eq!(ids(" retained "), ["mqtt-retained"]);
        let figure = |text: &str| match Requirement::parse(text).unwrap() {
            Requirement::Figure(figure) => figure,
            cases => panic!("{cases:?}"),
        };
        assert_eq!(figure("heap>=36KiB"), Figure::Heap(36 * 1024));
        assert_eq!(figure("heap >= 36 KiB"), Figure::Heap(36 * 1024));
        let two = Figure::HandshakeSeconds(Duration::from_secs(2));
        assert_eq!(figure("handshake_seconds<=2 s"), two);
        assert_eq!(figure("handshake_bytes<=6000 B"), Figure::HandshakeBytes(6000));
        assert_eq!(Requirement::Figure(Figure::Heap(36_864)).to_string(), "heap >= 36864 B");
    }

    #[test]
    fn every_short_name_has_cases_and_is_no_id() {
        for (name, _) in GROUPS {
            assert!(!ids(name).is_empty(), "{name}");
            assert_eq!(Case::named(name), None, "{name}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_found_at_once_with_what_comes_closest() {
        let wrong = Requirement::parse_all(
            "mfl,control,resumtion,,heap<=1KiB,heap>=36,heep>=1KiB,handshake_seconds<=2",
        );
        let wrong = wrong.unwrap_err();
        let contains = [
            "did you mean `mfln`",
            "did you mean `resumption`",
            "a name is missing",
            "is written with >=",
            "`heap>=36`: `36` is no size",
            "did you mean `heap`",
            "is no time",
        ];
        assert_eq!(wrong.len(), contains.len(), "{wrong:#?}");
        for (wrong, contains) in wrong.iter().zip(contains) {
            assert!(wrong.contains(contains), "{contains}: {wrong}");
        }
        assert!(Requirement::parse("stalled").unwrap_err().contains("without a board"));
        assert!(!Requirement::parse("something").unwrap_err().contains("did you mean"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            let _ = Requirement::parse_all(&text);
        }

        #[test]
        fn what_is_printed_is_read_back(bytes in 0..u64::MAX, millis in 1..100_000_u64, case in 0..CASES.len()) {
            prop_assume!(!measures_alone(&CASES[case]));
            let id = CASES[case].id;
            for one in [
                Requirement::Cases { name: id.into(), ids: vec![id] },
                Requirement::Figure(Figure::Heap(bytes)),
                Requirement::Figure(Figure::HandshakeBytes(bytes)),
                Requirement::Figure(Figure::HandshakeSeconds(Duration::from_millis(millis))),
            ] {
                let again = Requirement::parse(&one.to_string());
                prop_assert_eq!(again, Ok(one));
            }
        }
    }
}
