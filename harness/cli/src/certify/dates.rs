//! From when to when a certificate is valid (RFC 5280, 4.1.2.5), read from its DER.

use time::{Date, Month, PrimitiveDateTime, Time};

/// First and last second, since 1970; `None` of what is no certificate.
pub fn validity(certificate: &[u8]) -> Option<(i64, i64)> {
    let (0x30, certificate, _) = element(certificate)? else { return None };
    let (0x30, body, _) = element(certificate)? else { return None };
    let mut rest = body;
    // The version, which may be missing, then number, algorithm and issuer.
    if element(rest)?.0 == 0xa0 {
        rest = element(rest)?.2;
    }
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (0x30, validity, _) = element(rest)? else { return None };
    let (tag, from, rest) = element(validity)?;
    let (until_tag, until, _) = element(rest)?;
    Some((moment(tag, from)?, moment(until_tag, until)?))
}

/// The first element: its tag, what is in it, and what is behind it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// UTCTime (`260102030405Z`) or GeneralizedTime (`20260102030405Z`).
fn moment(tag: u8, text: &[u8]) -> Option<i64> {
    let digits = text.strip_suffix(b"Z")?;
    let two = |at: usize| -> Option<u8> {
        let (tens, ones) = (digits.get(at)?, digits.get(at + 1)?);
        (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| (tens - b'0') * 10 + ones - b'0')
    };
    let (year, at) = match (tag, digits.len()) {
        (0x17, 12) => (i32::from(two(0)?) + if two(0)? < 50 { 2000 } else { 1900 }, 2),
        (0x18, 14) => (i32::from(two(0)?) * 100 + i32::from(two(2)?), 4),
        _ => return None,
    };
    let month = Month::try_from(two(at)?).ok()?;
    let date = Date::from_calendar_date(year, month, two(at + 2)?).ok()?;
    let time = Time::from_hms(two(at + 4)?, two(at + 6)?, two(at + 8)?).ok()?;
    Some(PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp())
}

#[cfg(test)]
mod tests {
    use hilrig_broker::Certificates;
    use time::OffsetDateTime;

    use super::*;

    #[test]
    fn the_dates_are_those_that_it_was_made_with() {
        let certificates = Certificates::new("broker.hilrig.test").unwrap();
        let (from, until) = validity(certificates.ca_der()).unwrap();
        let now = OffsetDateTime::now_utc().unix_timestamp();
        // A day before to two days after, as the broker's own certificates are (broker/src/pki/run_certificates.rs).
        assert!((now - 86_400 - 60..=now - 86_400).contains(&from), "{from} {now}");
        assert_eq!(until - from, 3 * 86_400);
    }

    #[test]
    fn both_forms_of_a_moment_are_read() {
        assert_eq!(moment(0x17, b"700101000001Z"), Some(1));
        assert_eq!(moment(0x18, b"20360207062816Z"), Some(2_085_978_496));
        for wrong in [&b"7001010000Z"[..], b"701301000000Z", b"70010100000xZ", b""] {
            assert_eq!(moment(0x17, wrong), None);
        }
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let certificates = Certificates::new("broker.hilrig.test").unwrap();
        let whole = certificates.ca_der();
        for at in 0..whole.len().min(300) {
            let _ = validity(&whole[..at]);
            for bits in [0x00, 0x7f, 0x84, 0xff] {
                let mut wrong = whole.to_vec();
                wrong[at] = bits;
                let _ = validity(&wrong);
            }
        }
    }
}
