//! Cipher suites by their numbers (IANA's registry of TLS parameters), in the names that brokers'
//! configurations have (OpenSSL's).

use std::fmt;

/// The suites that a device of this class can have (BearSSL's), and those of TLS 1.3.
const SUITES: &[(u16, &str)] = &[
    (0x000a, "DES-CBC3-SHA"),
    (0x002f, "AES128-SHA"),
    (0x0035, "AES256-SHA"),
    (0x003c, "AES128-SHA256"),
    (0x003d, "AES256-SHA256"),
    (0x009c, "AES128-GCM-SHA256"),
    (0x009d, "AES256-GCM-SHA384"),
    (0x1301, "TLS_AES_128_GCM_SHA256"),
    (0x1302, "TLS_AES_256_GCM_SHA384"),
    (0x1303, "TLS_CHACHA20_POLY1305_SHA256"),
    (0xc008, "ECDHE-ECDSA-DES-CBC3-SHA"),
    (0xc009, "ECDHE-ECDSA-AES128-SHA"),
    (0xc00a, "ECDHE-ECDSA-AES256-SHA"),
    (0xc012, "ECDHE-RSA-DES-CBC3-SHA"),
    (0xc013, "ECDHE-RSA-AES128-SHA"),
    (0xc014, "ECDHE-RSA-AES256-SHA"),
    (0xc023, "ECDHE-ECDSA-AES128-SHA256"),
    (0xc024, "ECDHE-ECDSA-AES256-SHA384"),
    (0xc027, "ECDHE-RSA-AES128-SHA256"),
    (0xc028, "ECDHE-RSA-AES256-SHA384"),
    (0xc02b, "ECDHE-ECDSA-AES128-GCM-SHA256"),
    (0xc02c, "ECDHE-ECDSA-AES256-GCM-SHA384"),
    (0xc02f, "ECDHE-RSA-AES128-GCM-SHA256"),
    (0xc030, "ECDHE-RSA-AES256-GCM-SHA384"),
    (0xc09c, "AES128-CCM"),
    (0xc09d, "AES256-CCM"),
    (0xc0a0, "AES128-CCM8"),
    (0xc0a1, "AES256-CCM8"),
    (0xc0ac, "ECDHE-ECDSA-AES128-CCM"),
    (0xc0ad, "ECDHE-ECDSA-AES256-CCM"),
    (0xc0ae, "ECDHE-ECDSA-AES128-CCM8"),
    (0xc0af, "ECDHE-ECDSA-AES256-CCM8"),
    (0xcca8, "ECDHE-RSA-CHACHA20-POLY1305"),
    (0xcca9, "ECDHE-ECDSA-CHACHA20-POLY1305"),
];

/// A cipher suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CipherSuite(pub u16);

impl CipherSuite {
    pub fn name(self) -> Option<&'static str> {
        SUITES.iter().find(|(number, _)| *number == self.0).map(|(_, name)| *name)
    }

    /// What was sent stays secret when the broker's key gets known later.
    pub fn forward_secret(self) -> bool {
        self.name().is_some_and(|name| name.starts_with("ECDHE-") || name.starts_with("TLS_"))
    }

    /// It is authenticated encryption, as RFC 9325 (4.2) wants it.
    pub fn authenticated(self) -> bool {
        self.name()
            .is_some_and(|name| ["GCM", "CCM", "POLY"].iter().any(|mode| name.contains(mode)))
    }
}

impl fmt::Display for CipherSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} (0x{:04X})", self.0),
            None => write!(f, "0x{:04X}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_are_found_by_name_and_number() {
        assert_eq!(CipherSuite(0xc02f).to_string(), "ECDHE-RSA-AES128-GCM-SHA256 (0xC02F)");
        assert_eq!(CipherSuite(0xfafa).to_string(), "0xFAFA");
        assert!(SUITES.is_sorted_by_key(|(number, _)| *number));
    }

    #[test]
    fn what_is_not_known_is_not_trusted() {
        let has =
            |number| (CipherSuite(number).forward_secret(), CipherSuite(number).authenticated());
        assert_eq!(has(0xcca9), (true, true));
        assert_eq!(has(0xc013), (true, false));
        assert_eq!(has(0x009c), (false, true));
        assert_eq!(has(0xfafa), (false, false));
    }
}
