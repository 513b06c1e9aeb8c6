//! Record overhead of a cipher suite, by its number in IANA's registry of TLS cipher suites.

/// TLS 1.2: the highest version whose handshake is in the clear.
pub(crate) const TLS_1_2: u16 = 0x0303;

/// Tag length of GCM, CCM and Poly1305, bytes (RFC 5116, 5.1; RFC 8439, 2.8).
const TAG: u16 = 16;

/// Minimum overhead of an encrypted record over its content, bytes. Exact for the AEAD ciphers of TLS 1.2.
/// Assumes the minimum padding for CBC (RFC 5246, 6.2.3.2: one byte) and none for TLS 1.3 (RFC 8446, 5.4).
/// 0 for an unknown suite. In these cases the computed content length is an upper bound.
pub(crate) fn adds(version: u16, suite: u16) -> u16 {
    match suite {
        // TLS 1.3 adds the content type (RFC 8446, 5.2). TLS_AES_128_CCM_8_SHA256 has half a tag.
        0x1305 => 1 + 8,
        0x1301..=0x1304 => 1 + TAG,
        // ChaCha20-Poly1305 has no nonce in the record (RFC 7905, 2).
        0xcca8..=0xccae => TAG,
        // GCM: 8-byte explicit nonce in the record (RFC 5288, 3; RFC 5289; RFC 5487; RFC 8442).
        0x009c..=0x00ad | 0xc02b..=0xc032 | 0xd001 | 0xd002 => 8 + TAG,
        // ARIA and Camellia in GCM (RFC 6209, RFC 6367).
        0xc050..=0xc05d | 0xc06a..=0xc06f | 0xc07a..=0xc08d => 8 + TAG,
        // CCM: the same nonce (RFC 6655, 3; RFC 7251). CCM_8 has half a tag.
        0xc09c..=0xc09f | 0xc0a4..=0xc0a7 | 0xc0ac | 0xc0ad => 8 + TAG,
        0xc0a0..=0xc0a3 | 0xc0a8..=0xc0ab | 0xc0ae | 0xc0af => 8 + TAG / 2,
        _ => cbc(suite).map_or(0, |(block, mac)| {
            // The initialisation vector is in the record since TLS 1.1.
            let vector = if version >= 0x0302 { block } else { 0 };
            vector + mac + 1
        }),
    }
}

/// Block and MAC size of the CBC suites that small devices support, bytes (RFC 5246, appendix C; RFC 4492;
/// RFC 5289).
fn cbc(suite: u16) -> Option<(u16, u16)> {
    const TRIPLE_DES: u16 = 8;
    const AES: u16 = 16;
    const SHA_1: u16 = 20;
    const SHA_256: u16 = 32;
    const SHA_384: u16 = 48;
    Some(match suite {
        0x000a | 0x000d | 0x0010 | 0x0013 | 0x0016 | 0x001b => (TRIPLE_DES, SHA_1),
        0xc003 | 0xc008 | 0xc00d | 0xc012 | 0xc017 => (TRIPLE_DES, SHA_1),
        0x002f..=0x003a => (AES, SHA_1),
        0xc004 | 0xc005 | 0xc009 | 0xc00a | 0xc00e | 0xc00f => (AES, SHA_1),
        0xc013 | 0xc014 | 0xc018 | 0xc019 => (AES, SHA_1),
        0x003c..=0x0040 | 0x0067..=0x006d => (AES, SHA_256),
        0xc023 | 0xc025 | 0xc027 | 0xc029 => (AES, SHA_256),
        0xc024 | 0xc026 | 0xc028 | 0xc02a => (AES, SHA_384),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_kind_adds_is_what_its_rfc_says() {
        // ECDHE-RSA-AES128-GCM-SHA256, ECDHE-ECDSA-CHACHA20-POLY1305, AES128-CCM8.
        assert_eq!(adds(TLS_1_2, 0xc02f), 24);
        assert_eq!(adds(TLS_1_2, 0xcca9), 16);
        assert_eq!(adds(TLS_1_2, 0xc0a0), 16);
        // AES128-SHA, AES128-SHA256, ECDHE-RSA-AES256-SHA384, DES-CBC3-SHA.
        assert_eq!(adds(TLS_1_2, 0x002f), 16 + 20 + 1);
        assert_eq!(adds(0x0301, 0x002f), 20 + 1);
        assert_eq!(adds(TLS_1_2, 0x003c), 16 + 32 + 1);
        assert_eq!(adds(TLS_1_2, 0xc028), 16 + 48 + 1);
        assert_eq!(adds(TLS_1_2, 0x000a), 8 + 20 + 1);
        assert_eq!(adds(0x0304, 0x1301), 17);
        assert_eq!(adds(TLS_1_2, 0xffff), 0);
    }
}
