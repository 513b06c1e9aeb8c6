//! Durations and sizes as people write them in the configuration: a number and its unit.
//!
//! A number without a unit is refused: `deadline = 500` could mean seconds or milliseconds.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A span of time written with its unit: `"500 ms"`, `"10 s"`, `"2 min"`, `"1 h"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// A number of bytes written with its unit: `"512 B"`, `"20 KiB"`, `"1 MiB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

impl Span {
    /// Reads `10 s` and the like.
    pub fn parse(text: &str) -> Result<Span, String> {
        let (number, unit) = split(text);
        let seconds = match unit {
            "ms" => 1e-3,
            "s" => 1.0,
            "min" => 60.0,
            "h" => 3600.0,
            _ => 0.0,
        };
        let value: f64 = number.parse().unwrap_or(-1.0);
        if seconds == 0.0 || value < 0.0 {
            return Err(format!(
                "`{text}` is no time; write a number and its unit, such as \"500 ms\", \"10 s\", \"2 min\" or \"1 h\""
            ));
        }
        match Duration::try_from_secs_f64(value * seconds) {
            Ok(span) if !span.is_zero() => Ok(Span(span)),
            _ => Err(format!("`{text}` is too long a time")),
        }
    }
}

impl Bytes {
    /// Reads `20 KiB` and the like.
    pub fn parse(text: &str) -> Result<Bytes, String> {
        let (number, unit) = split(text);
        let factor = match unit {
            "B" => Some(1),
            "KiB" => Some(1024),
            "MiB" => Some(1024 * 1024),
            _ => None,
        };
        let value = number.parse::<u64>().ok().zip(factor).and_then(|(n, f)| n.checked_mul(f));
        value.map(Bytes).ok_or_else(|| {
            format!(
                "`{text}` is no size; write a whole number and its unit, such as \"512 B\", \"20 KiB\" or \"1 MiB\""
            )
        })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        if seconds < 1.0 {
            write!(f, "{} ms", self.0.as_millis())
        } else {
            write!(f, "{seconds} s")
        }
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} B", self.0)
    }
}

macro_rules! from_text {
    ($type:ident, $expecting:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<$type, D::Error> {
                struct Visitor;
                impl de::Visitor<'_> for Visitor {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$type, E> {
                        $type::parse(text).map_err(E::custom)
                    }
                }
                from.deserialize_any(Visitor)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }
    };
}

from_text!(Span, "a time with its unit in quotes, such as \"10 s\"");
from_text!(Bytes, "a size with its unit in quotes, such as \"20 KiB\"");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_and_sizes_need_their_unit() {
        assert_eq!(Span::parse("500 ms").unwrap().0, Duration::from_millis(500));
        assert_eq!(Span::parse("1.5min").unwrap().0, Duration::from_secs(90));
        for wrong in ["", "5", "s", "5 sec", "-1 s", "0 s", "1e400 h", "5 m"] {
            assert!(Span::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Bytes::parse("20 KiB").unwrap().0, 20480);
        for wrong in
            ["", "20", "20 KB", "1.5 KiB", "99999999999999999999 B", "18446744073709551615 KiB"]
        {
            assert!(Bytes::parse(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,24}") {
            let _ = Span::parse(&text);
            let _ = Bytes::parse(&text);
        }
    }
}
