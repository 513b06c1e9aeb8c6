//! `hilrig certify` at a broker that hilrig does not run: how it is reached, what it is asked, and what is reported of a
//! refusal.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;

use hilrig_tests::outside_broker::{authority, free_port, issue, mosquitto};
use hilrig_tests::sandbox::Sandbox;
use rustix::process::Signal;
use serde_json::Value;

/// The only certificate of this record.
fn certificate(record: &Path) -> Value {
    let folders = std::fs::read_dir(record).unwrap().flatten();
    let mut files = folders.map(|entry| entry.path().join("certificate.json"));
    let file = files.find(|file| file.is_file()).expect("the record has a certificate");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

fn case<'a>(certificate: &'a Value, id: &str) -> &'a Value {
    let cases = certificate["cases"].as_array().unwrap();
    cases.iter().find(|case| case["id"] == id).unwrap_or_else(|| panic!("no case {id}"))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

#[test]
fn a_client_certificate_a_bundle_of_cas_and_what_load_needs_to_be_allowed() {
    let bench = Sandbox::new();
    authority(&bench, "other");
    authority(&bench, "root");
    issue(&bench, "root", "broker", "DNS:localhost");
    issue(&bench, "root", "client", "DNS:client");
    let bundle = [bench.path("other.pem"), bench.path("root.pem")]
        .map(|file| std::fs::read_to_string(file).unwrap())
        .concat();
    let bundle = bench.write("bundle.pem", bundle);
    let further = format!(
        "allow_anonymous true\ncafile {}\nrequire_certificate true",
        bench.path("root.pem").display()
    );
    let (running, port) = mosquitto(&bench, "broker", &further);
    let broker = format!("localhost:{port}");
    let run = |name: &str, more: &[&str]| {
        let record = bench.path(name);
        let mut arguments = vec!["certify", "--virtual", "1", "--broker", &broker];
        arguments.extend(["--ca", bundle.to_str().unwrap(), "--record", record.to_str().unwrap()]);
        arguments.extend(more);
        (bench.run(&arguments), record)
    };

    let (certificate_file, key) = (bench.path("client.pem"), bench.path("client.key"));
    let own = ["--client-cert", certificate_file.to_str().unwrap(), "--client-key"];
    let own = [&own[..], &[key.to_str().unwrap()]].concat();
    let cases = ["--case", "control", "--case", "client-certificate", "--case", "stalled"];
    let (ended, record) = run("with", &[&own[..], &cases].concat());
    ended.with_code(0);
    let with = certificate(&record);
    assert_eq!(text(case(&with, "control"), "verdict"), "held");
    let own_case = case(&with, "client-certificate");
    assert_eq!(text(own_case, "verdict"), "held", "{own_case:#}");
    assert!(own_case["evidence"]["wire"][0]["board_certificates"].is_array(), "{own_case:#}");
    let stalled = case(&with, "stalled");
    assert_eq!(text(stalled, "outcome"), "not_run");
    assert!(text(stalled, "why").contains("--allow-load"), "{stalled:#}");

    // Without one, the control reports what is required, and nothing further is asked.
    let cases = ["--case", "control", "--case", "mfln-512", "--case", "cbc"];
    let (ended, record) = run("without", &cases);
    let wanted =
        "the broker wants a client certificate. Give one with --client-cert and --client-key";
    ended.with_code(100).showing(wanted);
    let without = certificate(&record);
    assert_eq!(text(case(&without, "control"), "verdict"), "not_held");
    for id in ["mfln-512", "cbc"] {
        assert_eq!(text(case(&without, id), "why"), "the control was refused");
    }
    // A key that is another one's is found before anything is touched.
    let key = bench.path("broker.key");
    let own = ["--client-cert", certificate_file.to_str().unwrap(), "--client-key"];
    let (ended, _) = run("wrong-key", &[&own[..], &[key.to_str().unwrap()]].concat());
    ended.with_code(2).saying("it is no key for --client-cert");
    running.signal(Signal::TERM);
    running.ended();
    bench.nothing_may_be_left();
}

#[test]
fn a_broker_of_another_name_and_one_with_a_password_are_explained() {
    let bench = Sandbox::new();
    authority(&bench, "root");
    issue(&bench, "root", "broker", "DNS:broker.hilrig.test");
    bench.write("password", "not-it\n");
    let (running, port) = mosquitto(&bench, "broker", "allow_anonymous false");
    let broker = format!("127.0.0.1:{port}");
    let (ca, password) = (bench.path("root.pem"), bench.path("password"));
    let run = |name: &str, more: &[&str]| {
        let record = bench.path(name);
        let mut arguments = vec!["certify", "--virtual", "1", "--case", "control"];
        arguments.extend(["--broker", &broker, "--ca", ca.to_str().unwrap()]);
        arguments.extend(["--record", record.to_str().unwrap()]);
        arguments.extend(more);
        bench.run(&arguments).with_code(100)
    };
    run("name", &[]).showing("--name broker.hilrig.test");
    let named = ["--name", "broker.hilrig.test"];
    run("no-user", &named).showing("wants a user and a password. Give them with --user");
    let user = ["--user", "u", "--password-file", password.to_str().unwrap()];
    let ended = run("user", &[&named[..], &user].concat());
    let ended = ended.showing("refuses user and password. Check --user");
    assert!(!ended.stdout.contains("not-it") && !ended.stderr.contains("not-it"), "{ended}");
    running.signal(Signal::TERM);
    running.ended();
    bench.nothing_may_be_left();
}

#[test]
fn what_is_not_there_or_no_tls_is_one_line_and_touches_nothing() {
    let bench = Sandbox::new();
    authority(&bench, "root");
    let ca = bench.path("root.pem");
    let refused = |broker: &str, says: &str| {
        let arguments = ["certify", "--virtual", "1", "--broker", broker];
        let ended = bench.run(&[&arguments[..], &["--ca", ca.to_str().unwrap()]].concat());
        let ended = ended.with_code(120).saying(broker).saying(says);
        assert_eq!(
            (ended.stderr.trim_end().lines().count(), ended.stdout.as_str()),
            (1, ""),
            "{ended}"
        );
        bench.must_be_untouched();
    };
    let free = free_port();
    refused(&format!("localhost:{free}"), "no connection (");
    refused(&format!("broker.invalid:{free}"), "broker.invalid cannot be looked up");
    for (says, found) in [
        (&b"220 mail.example ESMTP\r\n"[..], "what it answers is not TLS: `220 mail.example"),
        (b"\x20\x02\x00\x00", "it speaks MQTT without TLS"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                // What it sends may find no reader any more.
                let _ = stream.write_all(says);
                let _ = std::io::copy(&mut stream, &mut std::io::sink());
            }
        });
        refused(&format!("127.0.0.1:{port}"), found);
    }
}

#[test]
fn what_is_required_is_judged_recorded_and_fails_the_run_and_repetitions_are_kept() {
    let bench = Sandbox::new();
    let record = bench.path("record");
    let folder = record.to_str().unwrap();
    let arguments = ["certify", "--virtual", "1", "--repeat", "2", "--record", folder];
    let require = ["--require", "mfln-1024,heap>=8KiB,resumption", "--require", "heap >= 1 MiB"];
    let cases = ["--case", "control", "--case", "mfln-1024"];
    let ended = bench.run(&[&arguments[..], &require, &cases].concat()).with_code(100);
    ended
        .showing("required heap >= 1048576 B failed: ")
        .showing("required resumption not measured: resumption was not among the cases")
        .showing("required mfln-1024 passed: mfln-1024 kept");
    let certificate = certificate(&record);
    assert_eq!(certificate["repeat"], 2);
    let policy: Vec<(&str, &str)> = certificate["policy"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (text(one, "require"), text(one, "outcome")))
        .collect();
    let expected =
        [("mfln-1024", "passed"), ("resumption", "not_measured"), ("heap >= 1048576 B", "failed")];
    assert_eq!(policy, expected);
    let control = case(&certificate, "control");
    assert_eq!(control["repetitions"]["tally"]["held"], 2, "{control:#}");
    assert_eq!(control["repetitions"]["spread"]["heap_handshake"]["measured"], 2, "{control:#}");
    bench.run(&["certify", "check", folder]).with_code(0);
    let same = bench.run(&["certify", "diff", folder, folder]).with_code(0);
    same.showing("nothing differs by more than the noise");

    // Everything that is wrong is reported at once, before anything runs.
    let wrong = ["certify", "--virtual", "1", "--require", "mfl,resumtion,heap<=1KiB"];
    bench
        .run(&wrong)
        .with_code(2)
        .saying("did you mean `mfln`?")
        .saying("did you mean `resumption`?")
        .saying("the limit of heap is written with >=");
    bench.nothing_may_be_left();
}
