use super::*;
use proptest::prelude::*;

fn mask(secrets: &[&str], chunks: &[&[u8]]) -> Vec<u8> {
    let secrets = Secrets::new(secrets.iter().map(|s| (*s).to_owned()));
    let mut mask = Mask::new(secrets);
    let mut out = Vec::new();
    for chunk in chunks {
        out.extend_from_slice(mask.feed(chunk));
    }
    out.extend_from_slice(&mask.finish());
    out
}

#[test]
fn a_secret_across_chunks_is_masked_and_its_length_stays() {
    let out = mask(&["hunter2"], &[b"psk hun", b"te", b"r2\r\nhunter3"]);
    assert_eq!(out, b"psk *******\r\nhunter3");
}

#[test]
fn what_stands_there_is_shown_at_once() {
    let mut mask = Mask::new(Secrets::new(["hunter2".into()]));
    assert_eq!(mask.feed(b"prompt> "), b"prompt> ");
    assert_eq!(mask.feed(b"hunter2> h"), b"*******> ");
    assert_eq!(mask.feed(b"i"), b"hi");
}

#[test]
fn a_secret_that_ends_in_the_beginning_of_another_is_masked() {
    assert_eq!(mask(&["abc", "bcd"], &[b"xab", b"c", b"x"]), b"x***x");
    assert_eq!(mask(&["abc", "bcd"], &[b"xab", b"c", b"dx"]), b"x****x");
    assert_eq!(mask(&["ab", "abab"], &[b"ab", b"-ab", b"ab"]), b"**-****");
    assert_eq!(mask(&["bb"], &[b"bb", b"", b"c"]), b"**c");
}

#[test]
fn a_secret_with_a_line_end_in_it_is_masked_and_the_line_end_stays() {
    assert_eq!(mask(&["hunter2"], &[b"psk hun\r", b"\nter2\r\n"]), b"psk ***\r\n****\r\n");
}

#[test]
fn a_beginning_at_the_very_end_is_not_shown() {
    assert_eq!(mask(&["hunter2"], &[b"psk hunter"]), b"psk ******");
}

/// What the mask must come to, with no chunks and no wit.
fn plainly(secrets: &[String], text: &[u8]) -> Vec<u8> {
    let mut out = text.to_vec();
    for secret in secrets.iter().filter(|s| !s.is_empty()) {
        let secret = secret.as_bytes();
        for at in 0..text.len() {
            if text[at..].starts_with(secret) {
                out[at..at + secret.len()].fill(b'*');
            }
        }
    }
    let held = (1..=text.len()).rev().find(|n| {
        let end = &text[text.len() - n..];
        secrets.iter().any(|s| s.len() > *n && s.as_bytes().starts_with(end))
    });
    let length = out.len();
    out[length - held.unwrap_or(0)..].fill(b'*');
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    // Two letters only, so that secrets repeat, overlap and contain one another.
    #[test]
    fn however_the_stream_is_cut_the_same_bytes_are_masked(
        secrets in prop::collection::vec("[ab]{0,5}", 0..4),
        chunks in prop::collection::vec("[abc]{0,9}", 0..8),
    ) {
        let names: Vec<&str> = secrets.iter().map(String::as_str).collect();
        let views: Vec<&[u8]> = chunks.iter().map(|c| c.as_bytes()).collect();
        prop_assert_eq!(mask(&names, &views), plainly(&secrets, chunks.concat().as_bytes()));
    }

    #[test]
    fn an_encoded_secret_is_masked_however_the_stream_is_cut(
        secret in "[a-z&%\\\\ +\"]{1,12}", size in 1usize..9, percent: bool, before in "[a-z]{0,9}\n",
    ) {
        let encoded: String = match percent {
            true => secret.bytes().map(|byte| format!("%{byte:02X}")).collect(),
            false => serde_json::to_string(&secret).unwrap().trim_matches('"').to_owned(),
        };
        prop_assume!(!encoded.ends_with('\\') || percent);
        let text = format!("{before}{encoded}\n");
        let chunks: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
        let out = mask(&[&secret], &chunks);
        prop_assert_eq!(&out, &mask(&[&secret], &[text.as_bytes()]));
        prop_assert_eq!(out.len(), text.len());
        let inner = &out[before.len()..before.len() + encoded.len()];
        prop_assert!(inner.iter().all(|byte| *byte == b'*'), "{:?}", String::from_utf8_lossy(&out));
    }
}
