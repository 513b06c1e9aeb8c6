//! The certificate of a broker: written, read back, and refused where it was changed.

use hilrig_core::certify::certificate::{CERTIFICATE_SCHEMA, Certificate, Outcome, Verdict};
use hilrig_core::certify::matrix::CASES;
use hilrig_core::certify::outside::NEEDS_ALLOW_LOAD;
use hilrig_core::certify::{Case, CaseResult, Reason, Tally};
use hilrig_report::certificate::{
    ComparisonKind, Difference, Meaning, differences, differences_markdown, markdown,
};
use hilrig_report::{
    CERTIFICATE, CERTIFICATE_TEXT, CertificateError, CertificateFiles, RunModel, certificates_in,
    read_certificate, replay, seal,
};
use proptest::prelude::*;

use crate::sample::{certificate as sample, certified, certify};

fn certificate() -> Certificate {
    RunModel::of(&certified().events).certificate("mosquitto").unwrap()
}

/// What comes of reading these bytes.
fn read(bytes: &[u8]) -> Result<Certificate, CertificateError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    read_certificate(file.path())
}

/// The words of the error, without the file's path.
fn refused(bytes: &[u8]) -> String {
    let error = read(bytes).expect_err("it was taken");
    let path = match &error {
        CertificateError::File { path, .. }
        | CertificateError::None { path }
        | CertificateError::Large { path }
        | CertificateError::Cut { path, .. }
        | CertificateError::Foreign { path, .. }
        | CertificateError::Schema { path, .. }
        | CertificateError::Key { path, .. }
        | CertificateError::Edited { path, .. } => path.display().to_string(),
    };
    error.to_string().replace(&path, "FILE")
}

#[test]
fn the_certificates_of_a_run_are_read_back_as_they_were_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut stream = certified();
    certify(&mut stream, "broker.example:8883");
    replay(&stream.events, &mut CertificateFiles::new(dir.path().into())).unwrap();
    let found = certificates_in(dir.path()).unwrap();
    let names: Vec<&str> = found.iter().map(|(_, found)| found.name.as_str()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    let path = dir.path().join("mosquitto").join(CERTIFICATE);
    let mut expected = certificate();
    let text = seal(&mut expected);
    assert_eq!(read_certificate(&path).unwrap(), expected);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    let text = std::fs::read_to_string(path.with_file_name(CERTIFICATE_TEXT)).unwrap();
    assert!(text.contains(&expected.digest));

    let none = tempfile::tempdir().unwrap();
    assert!(matches!(certificates_in(none.path()), Err(CertificateError::None { .. })));
}

#[test]
fn a_certification_that_was_cut_short_leaves_no_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let mut events = certified().events;
    events.retain(|event| !matches!(event.what, hilrig_core::event::What::CertifyEnded(_)));
    replay(&events, &mut CertificateFiles::new(dir.path().into())).unwrap();
    assert!(matches!(certificates_in(dir.path()), Err(CertificateError::None { .. })));
}

#[test]
fn the_certificate_as_markdown() {
    let mut certificate = certificate();
    seal(&mut certificate);
    insta::assert_snapshot!(markdown(&certificate));
}

/// The same broker after an upgrade that did it no good.
fn upgraded() -> Certificate {
    let mut now = certificate();
    now.broker.version = "2.1.0".into();
    now.tls_library = Some("OpenSSL 3.5.0".into());
    let case = |now: &mut Certificate, id: &str| {
        now.cases.iter().position(|case| case.id == id).unwrap_or_else(|| panic!("no case {id}"))
    };
    // It loses heap, renegotiates no less, and ignores MFLN from now on.
    let at = case(&mut now, "control");
    now.cases[at].cost.heap_handshake = Some(22_480 - 257);
    now.cases[at].cost.heap_connected = Some(39_960 - 256);
    now.cases[at].cost.handshake_bytes = Some(1650 + 65);
    let at = case(&mut now, "mfln-512");
    now.cases[at].evidence.wire[0].largest_from_broker = 4096;
    now.cases[at].cost.heap_after_message = None;
    let at = case(&mut now, "tls13-only");
    now.cases[at].verdict = Verdict::NotHeld;
    now.cases[at].outcome = Outcome::Connected;
    now.cases[at].reason = None;
    let at = case(&mut now, "client-certificate-missing");
    now.cases[at].verdict = Verdict::Held;
    now.cases[at].outcome = Outcome::Refused;
    now.cases[at].reason = Some(Reason::CertificateWanted);
    let at = case(&mut now, "mfln-asked");
    now.cases[at].outcome = Outcome::Broken;
    now.cases[at].verdict = Verdict::NotRun;
    now.cases[at].why = Some("nothing answered".into());
    now.cases.push(sample::case("mqtt-qos", Outcome::Connected, Verdict::Held));
    now
}

#[test]
fn what_an_upgrade_changed_is_reported_the_worst_first() {
    let (before, now) = (certificate(), upgraded());
    let found = differences(&before, &now);
    assert!(!found.holds());
    insta::assert_snapshot!(differences_markdown(&before, &now, &found));
    // The other way round it is the better what was worse, but for a figure that was not measured.
    let back = differences(&now, &before);
    let of = |all: &[Difference], meaning| all.iter().filter(|d| d.meaning == meaning).count();
    let (worse, better) =
        (of(&found.differences, Meaning::Worse), of(&back.differences, Meaning::Better));
    assert_eq!((worse, better), (6, 5), "{back:?}");
}

#[test]
fn a_certificate_beside_itself_differs_in_nothing() {
    let certificate = certificate();
    let found = differences(&certificate, &certificate);
    assert!(found.holds() && found.differences.is_empty(), "{found:?}");
}

#[test]
fn what_a_broker_sends_is_no_markup() {
    let hostile = "`| @all </details> [x](http://y) |`";
    let mut certificate = certificate();
    certificate.broker.version = hostile.into();
    for case in &mut certificate.cases {
        case.id = hostile.into();
        case.expected = hostile.into();
        case.why = Some(hostile.into());
        case.evidence.found = hostile.into();
    }
    let text = markdown(&certificate);
    // It is code each time, between two backticks, for it has single ones of its own.
    let spans: Vec<&str> = text.split("``").collect();
    let outside = spans.iter().step_by(2).any(|text| text.contains('@') || text.contains("http"));
    assert!(!outside && spans.len() > 40, "{text}");
}

#[test]
fn what_was_changed_is_refused_and_the_place_is_named() {
    let text = seal(&mut certificate());
    let edit = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        refused(text.replacen(from, to, 1).as_bytes())
    };
    let digest = certificate_digest(&text);
    let edited = edit("\"outcome\": \"refused\"", "\"outcome\": \"connected\"");
    assert!(edited.starts_with("FILE was changed since it was written"), "{edited}");
    assert!(edited.contains(&format!("its digest is {digest}, and its contents have ")));
    assert!(edit("22480", "22481").contains("was changed"));
    assert!(edit(&digest, &"0".repeat(64)).contains(&format!("its digest is {}", "0".repeat(64))));
    assert!(edit("  \"tally\"", " \"tally\"").contains("was changed"), "a blank");
    let key = edit("\"fatal\": true", "\"fatal\": true, \"trust\": 1");
    assert!(key.contains("`cases[1].evidence.wire[0].alerts[0].trust` is no key"), "{key}");
    let key = edit("\"software\"", "\"name\": 1, \"software\"");
    assert!(key.contains("`broker.name` is no key"), "{key}");
    let schema = edit("\"schema\": 1", "\"schema\": 2");
    assert!(schema.contains(&format!("schema 2, and this hilrig reads {CERTIFICATE_SCHEMA}")));
    let missing = edit("\"seed\": 42,\n", "");
    assert!(missing.contains("missing field `seed` at line "), "{missing}");
    let cut = refused(&text.as_bytes()[..text.len() / 2]);
    assert!(cut.contains("FILE stops at line "), "{cut}");
    assert!(refused(b"").contains("stops at line 1"));
    assert!(refused(b"\xff\xfe").contains("is no certificate"));
    assert!(refused(&vec![b' '; (16 << 20) + 1]).contains("is larger than"));
}

fn certificate_digest(text: &str) -> String {
    text.rsplit('"').nth(1).unwrap().to_owned()
}

/// The ways of docs/reference/certificate.md, with the tools that they are for.
#[test]
fn the_digest_can_be_made_again_with_other_tools() {
    const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/certificate.md");
    let docs = std::fs::read_to_string(DOCS).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let text = seal(&mut certificate());
    std::fs::write(dir.path().join(CERTIFICATE), &text).unwrap();
    let (_, section) = docs.split_once("## The digest").unwrap();
    let block = |language: &str| {
        let (_, rest) = section.split_once(&format!("```{language}\n")).unwrap();
        rest.split("```").next().unwrap().to_owned()
    };
    let told = |program: &str, script: String| {
        let ran = std::process::Command::new(program)
            .args(["-c", &script])
            .current_dir(dir.path())
            .output();
        match ran {
            Ok(ran) => Some(String::from_utf8_lossy(&ran.stdout).trim().to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => panic!("{program}: {error}"),
        }
    };
    let digest = certificate_digest(&text);
    let shell = told("sh", block("sh")).expect("there is a shell");
    assert!(shell.starts_with(&digest), "{shell}");
    if let Some(python) = told("python3", block("python")) {
        assert_eq!(python, "True");
        let edited = text.replacen("held", "Held", 1);
        std::fs::write(dir.path().join(CERTIFICATE), edited).unwrap();
        assert_eq!(told("python3", block("python")).unwrap(), "False");
    }
}

/// The matrix as the table in docs/reference/certification-cases.md, which is made of it.
#[test]
fn the_matrix_is_documented_as_it_is() {
    const DOCS: &str =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/certification-cases.md");
    let mut table = String::from(
        "| Row | Case | What it is | What it proves | Expected | Seen |\n\
         | ---: | --- | --- | --- | --- | --- |\n",
    );
    for case in CASES {
        let row = if case.row == 0 { "–".into() } else { case.row.to_string() };
        let Case { id, title, proves, expected, seen, .. } = case;
        table += &format!("| {row} | `{id}` | {title} | {proves} | {expected} | {seen} |\n");
    }
    let docs = std::fs::read_to_string(DOCS).unwrap();
    assert!(
        docs.contains(&table),
        "docs/reference/certification-cases.md is to have this table:\n{table}"
    );
}

/// A certificate of the matrix's cases that connect, each as often as there are heap figures.
fn repeated(runs: &[u64]) -> Certificate {
    let mut certificate = certificate();
    certificate.cases = CASES
        .iter()
        .map(|case| {
            let all: Vec<CaseResult> = runs
                .iter()
                .map(|heap| {
                    let mut one = sample::case(case.id, Outcome::Connected, Verdict::Held);
                    one.cost.heap_handshake = Some(*heap);
                    one.cost.heap_connected = Some(*heap + 9000);
                    // The less heap, the more bytes: both get worse together.
                    one.cost.handshake_bytes = Some(100_000 - *heap);
                    one.cost.handshake_seconds = Some(*heap as f64 / 1e5);
                    one
                })
                .collect();
            CaseResult::of_repetitions(&all).unwrap()
        })
        .collect();
    certificate.tally = Tally::of(&certificate.cases);
    certificate.repeat = u32::try_from(runs.len()).unwrap();
    certificate
}

#[test]
fn repetitions_are_read_back_and_shown() {
    let mut certificate = repeated(&[22_000, 23_600, 22_400]);
    let text = seal(&mut certificate);
    assert_eq!(read(text.as_bytes()).unwrap(), certificate);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["repeat"], 3);
    let repetitions = &json["cases"][0]["repetitions"];
    assert_eq!(repetitions["spread"]["heap_handshake"]["highest"], 23_600);
    assert_eq!((&repetitions["runs"], &repetitions["unstable"]), (&3.into(), &false.into()));
    assert!(markdown(&certificate).contains("- `control`: 3 passed of 3 runs\n"));
    // What was run once has none of the new keys, so that an older hilrig reads it.
    let text = seal(&mut self::certificate());
    assert!(!text.contains("repeat") && !text.contains("policy"), "{text}");
}

#[test]
fn a_partial_run_compares_what_both_have() {
    let (whole, mut part) = (certificate(), certificate());
    part.cases.retain(|case| case.id == "control");
    part.profile = None;
    for (before, now) in [(&whole, &part), (&part, &whole)] {
        let found = differences(before, now);
        assert!(found.holds(), "{found:?}");
        assert_eq!(found.cases, 1);
        assert_eq!(found.only_before.len() + found.only_now.len(), whole.cases.len() - 1);
    }
    // What both have counts as ever.
    part.cases[0].cost.heap_handshake = Some(1000);
    assert!(!differences(&whole, &part).holds());
    // What was left out because nobody allowed it is no worse; what was stopped is.
    let mut now = certificate();
    let control = &mut now.cases[0];
    (control.outcome, control.verdict) = (Outcome::NotRun, Verdict::NotRun);
    control.why = Some(NEEDS_ALLOW_LOAD.into());
    assert!(differences(&whole, &now).holds());
    now.cases[0].why = Some("stopped by SIGINT".into());
    assert!(!differences(&whole, &now).holds());
}

#[test]
fn two_brokers_are_compared_and_neither_is_a_regression() {
    let (before, mut now) = (certificate(), upgraded());
    assert_eq!(differences(&before, &now).compared, ComparisonKind::Upgrade);
    now.broker.software = "nats-server".into();
    let found = differences(&before, &now);
    assert!(found.holds() && found.compared == ComparisonKind::Brokers);
    assert!(found.differences.iter().any(|one| one.meaning == Meaning::Worse));
    let text = differences_markdown(&before, &now, &found);
    assert!(text.contains("Two brokers: a comparison, not a regression"), "{text}");
    assert!(!text.contains('❌'), "{text}");
    let mut now = upgraded();
    now.device.kind = "esp8266".into();
    assert_eq!(differences(&before, &now).compared, ComparisonKind::Devices);
    assert!(differences(&before, &now).holds());
    assert_eq!(differences(&before, &certificate()).compared, ComparisonKind::Same);
}

#[test]
fn a_verdict_that_flips_is_shown_as_unstable_everywhere() {
    let mut certificate = certificate();
    let held = sample::case("control", Outcome::Connected, Verdict::Held);
    let not = sample::case("control", Outcome::Refused, Verdict::NotHeld);
    certificate.cases[0] = CaseResult::of_repetitions(&[held.clone(), not, held]).unwrap();
    assert!(markdown(&certificate).contains("❌ unstable, refused"), "{}", markdown(&certificate));
    let text = hilrig_report::certificate_text(None, &certificate);
    assert!(text.contains("unstable: 2 passed, 1 failed of 3 runs"), "{text}");
    assert!(text.lines().any(|line| line.starts_with("control") && line.contains("unstable")));
    let page = hilrig_report::certificate_page(&certificate);
    assert!(page.contains("unstable"), "{page}");
    // It was stable before: that is worse.
    let found = differences(&self::certificate(), &certificate);
    assert!(!found.holds());
}

#[test]
fn what_was_found_stands_in_every_report() {
    let mut certificate = certificate();
    let mut code = sample::case("mqtt-wrong-password", Outcome::Refused, Verdict::Held);
    code.evidence.found = "CONNACK with return code 5".into();
    let mut limit = sample::case("mqtt-payload-limit", Outcome::Connected, Verdict::Reported);
    limit.evidence.found =
        "the largest message is 65,535 B, beyond it the connection closes".into();
    let mut resumption = sample::case("resumption", Outcome::Connected, Verdict::Reported);
    resumption.evidence.found = "the session was offered by its id, and not resumed".into();
    let found: Vec<String> =
        [&code, &limit, &resumption].iter().map(|case| case.evidence.found.clone()).collect();
    certificate.cases.extend([code, limit, resumption]);
    let text = hilrig_report::certificate_text(None, &certificate);
    let (markdown, page) = (markdown(&certificate), hilrig_report::certificate_page(&certificate));
    for found in found {
        for (shown, name) in [(&text, "terminal"), (&markdown, "Markdown"), (&page, "page")] {
            assert!(shown.contains(&found), "{found} is not in the {name}: {shown}");
        }
    }
}

/// What each case sends to a broker of the user's own, as the table in docs/reference/certification-cases.md, which is made of it.
#[test]
fn what_each_case_sends_is_documented() {
    const DOCS: &str =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/certification-cases.md");
    let mut all: Vec<(&str, bool, Vec<String>)> = Vec::new();
    let asked = |case: &&Case| case.fits_any_broker() || case.is_about_own_certificate();
    for case in CASES.iter().filter(asked) {
        let id = format!("`{}`", case.id);
        match all
            .iter_mut()
            .find(|(sends, load, _)| (*sends, *load) == (case.sends(), case.puts_load()))
        {
            Some((_, _, ids)) => ids.push(id),
            None => all.push((case.sends(), case.puts_load(), vec![id])),
        }
    }
    let mut table =
        String::from("| Cases | What they send | `--allow-load` |\n| --- | --- | --- |\n");
    for (sends, load, ids) in all {
        let load = if load { "needed" } else { "" };
        table += &format!("| {} | {sends} | {load} |\n", ids.join(", "));
    }
    let docs = std::fs::read_to_string(DOCS).unwrap();
    assert!(
        docs.contains(&table),
        "docs/reference/certification-cases.md is to have this table:\n{table}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_stays_within_the_recorded_spread_is_never_worse(
        runs in prop::collection::vec(20_000_u64..30_000, 2..8),
        again in prop::collection::vec(0.0..=1.0_f64, 1..8),
    ) {
        let (lowest, highest) = (*runs.iter().min().unwrap(), *runs.iter().max().unwrap());
        let within = |at: &f64| lowest + ((highest - lowest) as f64 * at) as u64;
        let again: Vec<u64> = again.iter().map(within).collect();
        let (before, now) = (repeated(&runs), repeated(&again));
        for (before, now) in [(&before, &now), (&now, &before)] {
            let found = differences(before, now);
            prop_assert!(found.holds() && found.differences.is_empty(), "{found:?}");
        }
    }

    #[test]
    fn what_leaves_the_spread_by_more_than_its_width_is_worse(
        runs in prop::collection::vec(20_000_u64..30_000, 2..8),
        more in 1_u64..1000,
    ) {
        let (lowest, highest) = (*runs.iter().min().unwrap(), *runs.iter().max().unwrap());
        // More than any usual noise.
        let gone = (highest - lowest).max(2048) + more;
        let now = repeated(&[lowest - gone]);
        let found = differences(&repeated(&runs), &now);
        let worse = found.differences.iter().filter(|one| one.meaning == Meaning::Worse);
        prop_assert!(worse.count() >= CASES.len(), "{found:?}");
        prop_assert!(differences(&now, &repeated(&runs)).holds());
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(read(&bytes).is_err());
    }

    #[test]
    fn one_byte_that_differs_is_found(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let text = seal(&mut certificate()).into_bytes();
        let mut changed = text.clone();
        changed[at.index(text.len())] = byte;
        prop_assert_eq!(read(&changed).is_ok(), changed == text);
    }
}
