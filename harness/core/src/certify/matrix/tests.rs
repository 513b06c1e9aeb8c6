use std::collections::BTreeSet;

use super::*;

#[test]
fn every_row_has_a_case_and_every_id_is_one_of_its_own() {
    let rows: BTreeSet<u8> = CASES.iter().map(|case| case.row).collect();
    assert_eq!(rows, (0..=25).collect());
    let ids: BTreeSet<&str> = CASES.iter().map(|case| case.id).collect();
    assert_eq!(ids.len(), CASES.len());
    for case in CASES {
        assert!(!case.title.is_empty() && !case.proves.is_empty() && !case.seen.is_empty());
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(case.id.chars().all(plain), "{}", case.id);
    }
}

#[test]
fn a_broker_outside_is_asked_only_what_needs_nothing_of_its_own() {
    for id in ["control", "mfln-512", "other-name", "client-certificate", "mqtt-broker-restart"] {
        let fits = Case::named(id).unwrap().fits_any_broker();
        assert_eq!(fits, matches!(id, "control" | "mfln-512"), "{id}");
    }
}
