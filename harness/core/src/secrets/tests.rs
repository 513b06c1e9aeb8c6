use super::*;
use proptest::prelude::*;

fn cut<'a>(secrets: &Secrets, text: &'a str) -> Cow<'a, str> {
    match secrets.mask_bytes(text.as_bytes(), Ends::Cut) {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(text) => Cow::Owned(String::from_utf8(text).unwrap()),
    }
}

#[test]
fn secrets_are_masked_and_an_empty_one_is_none() {
    let secrets = Secrets::new(["hunter2".into(), String::new(), "hunter2hunter2".into()]);
    assert_eq!(secrets.mask("pw hunter2hunter2, hunter2"), "pw ***, ***");
    assert!(matches!(secrets.mask("nothing"), Cow::Borrowed("nothing")));
    assert!(Secrets::new([String::new()]).is_empty());
}

#[test]
fn each_encoding_that_a_board_or_the_rig_writes_is_found() {
    let secret = "a b\"<&\\/'%+\u{fc}\u{1f600}";
    let secrets = Secrets::new([secret.into()]);
    for written in [
        secret,
        "a%20b%22%3C%26%5C%2F%27%25%2B%C3%BC%F0%9F%98%80",
        "a+b%22%3c%26%5c%2f%27%25%2b%c3%bc%f0%9f%98%80",
        "a b\\\"<&\\\\/'%+\u{fc}\u{1f600}",
        "a b\\\"\\u003C\\u0026\\\\\\/'%+\\u00fc\\ud83d\\ude00",
        "a b&quot;&lt;&amp;\\/&#39;%+&#252;&#x1F600;",
        "a b\"&lt;&amp;\\/&apos;%+\\xc3\\xbc\\xf0\\x9f\\x98\\x80",
        "a b\"<&\\\r\r\n/'%\n+\u{fc}\u{1f600}",
        &STANDARD.encode(secret),
    ] {
        assert_eq!(secrets.mask(&format!("psk={written};")), "psk=***;", "{written}");
    }
}

#[test]
fn the_value_of_basic_authentication_is_found() {
    let secrets = Secrets::default().and_login("rig", "hunter2");
    assert_eq!(secrets.mask("Authorization: Basic cmlnOmh1bnRlcjI="), "Authorization: Basic ***");
    assert_eq!(secrets.mask("hunter2"), "***");
    assert!(Secrets::default().and_login("rig", "").is_empty());
}

#[test]
fn a_part_at_an_end_that_was_cut_is_masked() {
    let secrets = Secrets::new(["correct horse".into()]);
    assert_eq!(cut(&secrets, "psk correct ho"), "psk ***");
    assert_eq!(cut(&secrets, "ect horse, up"), "***, up");
    assert_eq!(cut(&secrets, "a horse, 20"), "a horse, 20");
    assert_eq!(cut(&secrets, "5%63%74%20%68orse, up"), "***, up");
    assert_eq!(cut(&secrets, "rrect+hor"), "***");
    assert_eq!(cut(&secrets, "the cor"), "the cor", "as any word may begin");
    assert_eq!(secrets.mask("psk correct ho"), "psk correct ho", "a whole text has no part of it");
}

#[test]
fn no_text_takes_long() {
    let secrets = Secrets::new(["\\".repeat(64), "&".repeat(64) + "x"]);
    let text = "\\".repeat(500) + &"&".repeat(500);
    assert!(secrets.mask(&text).len() < text.len());
}

/// A character in any of its forms.
fn written(secret: &str, choices: &[prop::sample::Index]) -> Vec<u8> {
    let chars = secret.chars().zip(choices.iter().cycle());
    chars.flat_map(|(c, choice)| choice.get(&forms(c)).clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn however_it_is_written_it_is_masked_whole(
        secret in "[ -~\u{a0}-\u{2ff}\u{202e}\u{1f600}]{1,20}",
        choices in prop::collection::vec(any::<prop::sample::Index>(), 1..20),
        before in "[\u{400}-\u{44f}]{0,10}", after in "[\u{400}-\u{44f}]{0,10}",
    ) {
        let written = written(&secret, &choices);
        let text = [before.as_bytes(), &written, after.as_bytes()].concat();
        let masked = Secrets::new([secret]).mask_bytes(&text, Ends::Whole).into_owned();
        let inner = &masked[before.len()..masked.len() - after.len()];
        prop_assert_eq!(inner, b"***", "{:?}", String::from_utf8_lossy(&masked));
    }

    #[test]
    fn wherever_a_text_is_cut_no_four_characters_are_left(
        secret in "[a-z]{5,20}", at in any::<prop::sample::Index>(), piece in any::<prop::sample::Index>(),
        choices in prop::collection::vec(any::<prop::sample::Index>(), 1..20),
    ) {
        let text = [b"PSK: ".as_slice(), &written(&secret, &choices), b" UP"].concat();
        let (from, to) = (at.index(text.len()), piece.index(text.len() + 1));
        let (from, to) = (from.min(to), from.max(to));
        let shown = Secrets::new([secret.clone()]).mask_bytes(&text[from..to], Ends::Cut).into_owned();
        for part in secret.as_bytes().windows(PART) {
            for form in [part.to_vec(), part.iter().flat_map(|b| format!("%{b:02x}").into_bytes()).collect()] {
                let there = shown.windows(form.len()).any(|window| window == form);
                prop_assert!(!there, "{:?}", String::from_utf8_lossy(&shown));
            }
        }
    }
}
