//! The meaning of the numbers by which a firmware reports why a connection failed.

use std::collections::{BTreeMap, HashMap};

use regex::Regex;
use serde::Deserialize;

use crate::certify::Reason;

/// Numbers, and the reason of each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "HashMap<Reason, Vec<i32>>")]
pub struct Numbers(BTreeMap<i32, Reason>);

/// The line with the reason why TLS failed.
#[derive(Clone, Debug)]
pub struct TlsError {
    /// Its pattern, with the group `number`.
    pub line: Regex,
    /// An alert of the broker has this number plus its own.
    pub alerts: Option<u16>,
    /// What the other numbers mean.
    pub reasons: Numbers,
}

impl TryFrom<HashMap<Reason, Vec<i32>>> for Numbers {
    type Error = String;

    fn try_from(written: HashMap<Reason, Vec<i32>>) -> Result<Numbers, String> {
        let mut numbers = BTreeMap::new();
        for (reason, of) in written {
            for number in of {
                if numbers.insert(number, reason).is_some() {
                    return Err(format!("the number {number} is there twice"));
                }
            }
        }
        Ok(Numbers(numbers))
    }
}

impl Numbers {
    /// What this number means.
    pub fn reason(&self, number: i32) -> Option<Reason> {
        self.0.get(&number).copied()
    }
}

impl TlsError {
    /// What a number of the line means.
    pub fn reason(&self, number: u16) -> Reason {
        let alert = || u8::try_from(number.checked_sub(self.alerts?)?).ok();
        self.reasons
            .reason(i32::from(number))
            .or_else(|| alert().map(Reason::of_alert))
            .unwrap_or(Reason::Other(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str) -> Result<Numbers, String> {
        toml::from_str(text).map_err(|error: toml::de::Error| error.message().to_owned())
    }

    #[test]
    fn a_number_means_what_the_contract_says_or_is_an_alert() {
        let reasons = numbers("wrong_name = [56]\nnot_trusted = [58, 62]").unwrap();
        let error = TlsError { line: Regex::new("x").unwrap(), alerts: Some(256), reasons };
        assert_eq!(error.reason(62), Reason::NotTrusted);
        assert_eq!(error.reason(256 + 40), Reason::NothingInCommon);
        assert_eq!(error.reason(256 + 80), Reason::Alert(80));
        assert_eq!(error.reason(512 + 42), Reason::Other(554));
        assert_eq!(error.reason(7), Reason::Other(7));
    }

    #[test]
    fn a_number_with_two_meanings_and_a_reason_that_is_none_are_errors() {
        assert!(numbers("wrong_name = [56]\nnot_trusted = [56]").unwrap_err().contains("twice"));
        assert!(numbers("bad_mood = [1]").unwrap_err().contains("bad_mood"));
        assert!(numbers("alert = [1]").is_err());
    }
}
