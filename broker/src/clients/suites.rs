//! The cipher suites that the bundled firmware offers (firmware/core), for the rig's clients.

use hilrig_core::certify::Suites;

/// One suite.
pub(super) struct Suite {
    /// Its IANA number.
    pub number: u16,
    /// OpenSSL's name for it.
    pub openssl: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    EcdsaAead,
    EcdheAead,
    EcdsaCbc,
    EcdheCbc,
    RsaAead,
    RsaCbc,
}

const fn suite(number: u16, kind: Kind, openssl: &'static str) -> Suite {
    Suite { number, openssl, kind }
}

/// All suites, the best first, in the firmware's order.
const SUITES: [Suite; 11] = [
    suite(0xcca9, Kind::EcdsaAead, "ECDHE-ECDSA-CHACHA20-POLY1305"),
    suite(0xcca8, Kind::EcdheAead, "ECDHE-RSA-CHACHA20-POLY1305"),
    suite(0xc02b, Kind::EcdsaAead, "ECDHE-ECDSA-AES128-GCM-SHA256"),
    suite(0xc02f, Kind::EcdheAead, "ECDHE-RSA-AES128-GCM-SHA256"),
    suite(0xc02c, Kind::EcdsaAead, "ECDHE-ECDSA-AES256-GCM-SHA384"),
    suite(0xc030, Kind::EcdheAead, "ECDHE-RSA-AES256-GCM-SHA384"),
    suite(0xc023, Kind::EcdsaCbc, "ECDHE-ECDSA-AES128-SHA256"),
    suite(0xc027, Kind::EcdheCbc, "ECDHE-RSA-AES128-SHA256"),
    suite(0x009c, Kind::RsaAead, "AES128-GCM-SHA256"),
    suite(0x009d, Kind::RsaAead, "AES256-GCM-SHA384"),
    suite(0x003c, Kind::RsaCbc, "AES128-SHA256"),
];

/// The suites that a board offers.
pub(super) fn offered(suites: Suites) -> impl Iterator<Item = &'static Suite> {
    use Kind::*;
    SUITES.iter().filter(move |suite| match suites {
        Suites::All => true,
        Suites::Aead => matches!(suite.kind, EcdsaAead | EcdheAead),
        Suites::Cbc => matches!(suite.kind, EcdsaCbc | EcdheCbc | RsaCbc),
        Suites::StaticRsa => matches!(suite.kind, RsaAead | RsaCbc),
        Suites::Rsa => !matches!(suite.kind, EcdsaAead | EcdsaCbc),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_what_the_firmware_takes_it_for() {
        let numbers = |suites| offered(suites).map(|suite| suite.number).collect::<Vec<_>>();
        assert_eq!(numbers(Suites::All).len(), 11);
        assert_eq!(numbers(Suites::Aead), [0xcca9, 0xcca8, 0xc02b, 0xc02f, 0xc02c, 0xc030]);
        assert_eq!(numbers(Suites::Cbc), [0xc023, 0xc027, 0x003c]);
        assert_eq!(numbers(Suites::StaticRsa), [0x009c, 0x009d, 0x003c]);
        assert_eq!(numbers(Suites::Rsa), [0xcca8, 0xc02f, 0xc030, 0xc027, 0x009c, 0x009d, 0x003c]);
    }
}
