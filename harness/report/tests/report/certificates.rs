//! The certificate of a broker: written, read back, and refused where it was changed.

use hilrig_core::certify::certificate::{CERTIFICATE_SCHEMA, Certificate, Outcome, Verdict};
use hilrig_core::certify::matrix::CASES;
use hilrig_core::certify::{Case, Reason};
use hilrig_report::certificate::{
    Difference, Meaning, differences, differences_markdown, markdown,
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
    now.cases.remove(at);
    now.cases.push(sample::case("mqtt-qos", Outcome::Connected, Verdict::Held));
    now
}

#[test]
fn what_an_upgrade_changed_is_told_the_worst_first() {
    let (before, now) = (certificate(), upgraded());
    let found = differences(&before, &now);
    assert!(!found.holds());
    insta::assert_snapshot!(differences_markdown(&before, &now, &found));
    // The other way round it is the better what was worse, but for what is not there any more.
    let back = differences(&now, &before);
    let of = |all: &[Difference], meaning| all.iter().filter(|d| d.meaning == meaning).count();
    let (worse, better) =
        (of(&found.differences, Meaning::Worse), of(&back.differences, Meaning::Better));
    assert_eq!((worse, better), (6, 4), "{back:?}");
}

#[test]
fn a_certificate_beside_itself_differs_in_nothing() {
    let certificate = certificate();
    let found = differences(&certificate, &certificate);
    assert!(found.holds() && found.differences.is_empty(), "{found:?}");
}

#[test]
fn what_a_broker_says_is_no_markup() {
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
    assert!(edited.contains(&format!("its digest says {digest}, and what stands in it has ")));
    assert!(edit("22480", "22481").contains("was changed"));
    assert!(edit(&digest, &"0".repeat(64)).contains(&format!("says {}", "0".repeat(64))));
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

/// The ways of docs/certify.md, with the tools that they are for.
#[test]
fn the_digest_can_be_made_again_with_other_tools() {
    const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/certify.md");
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

/// The matrix as the table in docs/certify.md, which is made of it.
#[test]
fn the_matrix_is_documented_as_it_is() {
    const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/certify.md");
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
    assert!(docs.contains(&table), "docs/certify.md is to have this table:\n{table}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

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
