//! Who is to blame at a broker that hilrig does not run: the board is asked, whatever the rig's own client thinks of the
//! broker's certificate, and a rule of the broker is neither the board's refusal nor the bench's trouble.

use std::path::PathBuf;

use hilrig_tests::outside_broker::{self, mosquitto};
use hilrig_tests::running::RunningProgram;
use hilrig_tests::sandbox::{Configuration, Sandbox};
use rustix::process::Signal;
use serde_json::Value;

/// A CA, and the request of a broker for a certificate.
fn authority(bench: &Sandbox) {
    outside_broker::authority(bench, "ca");
    outside_broker::request(bench, "broker", "-newkey rsa:2048", "localhost");
    bench.write("extensions", "subjectAltName=DNS:localhost\n");
}

/// The broker's certificate by the CA, with these further arguments.
fn sign(bench: &Sandbox, further: &str) {
    outside_broker::sign(bench, "ca", "broker", further);
}

/// The certification of one case, its exit code, and what came of it.
fn certified(bench: &Sandbox, name: &str, port: u16, case: &str, further: &[&str]) -> (i32, Value) {
    let record = bench.path(name);
    let broker = format!("localhost:{port}");
    let mut arguments = vec!["certify", "--virtual", "1", "--case", case, "--broker", &broker];
    arguments.extend(["--ca", "ca.pem", "--record", record.to_str().unwrap()]);
    arguments.extend(further);
    let ended = bench.run(&arguments);
    let folders = std::fs::read_dir(&record).unwrap().flatten().map(|entry| entry.path());
    let certificate: Option<PathBuf> =
        folders.map(|path| path.join("certificate.json")).find(|path| path.is_file());
    let certificate = certificate.unwrap_or_else(|| panic!("no certificate: {ended}"));
    let text = std::fs::read_to_string(certificate).unwrap();
    let certificate: Value = serde_json::from_str(&text).unwrap();
    let code = ended.status.code().unwrap_or_else(|| panic!("{ended}"));
    (code, certificate)
}

#[test]
fn the_board_judges_a_certificate_that_the_rig_s_own_client_does_not_take() {
    let bench = Sandbox::new();
    authority(&bench);
    for (kind, further, code, outcome, reason) in [
        ("expired", "-days -1 -extfile extensions", 100, "refused", "out_of_date"),
        // rustls takes no certificate of X.509 version 1; the rig's own side goes through openssl.
        ("v1", "-days 2", 0, "connected", ""),
    ] {
        sign(&bench, further);
        let (running, port) = mosquitto(&bench, "broker", "allow_anonymous true");
        let (came, certificate) = certified(&bench, kind, port, "control", &[]);
        let case = &certificate["cases"][0];
        assert_eq!(case["outcome"], outcome, "{kind}: {case:#}");
        assert_eq!(case["reason"].as_str().unwrap_or_default(), reason, "{kind}: {case:#}");
        assert_eq!(came, code, "{kind}: {case:#}");
        let tls = certificate["broker"]["tls"].as_str().unwrap();
        assert!(tls.contains("do not check the certificate"), "{kind}: {tls}");
        running.signal(Signal::TERM);
        running.ended();
        bench.nothing_may_be_left();
    }
}

#[test]
fn making_keys_does_not_count_against_the_broker() {
    let bench = Sandbox::new();
    // Two keys: 4 s in all, of the broker's 3.
    let openssl = "case \"$1\" in genpkey) sleep 2;; esac\nPATH=${PATH#*:} exec openssl \"$@\"";
    std::fs::create_dir(bench.path("bin")).unwrap();
    bench.script("bin/openssl", openssl);
    bench.configure(Configuration::new().set("deadlines.broker", "3 s"));
    let mut command = bench.hilrig(&["certify", "--virtual", "1", "--case", "control"]);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", bench.path("bin").display()));
    RunningProgram::start(command).ended().with_code(0).showing("control: passed");
    bench.nothing_may_be_left();
}

#[test]
fn a_rule_of_the_broker_is_neither_the_board_s_refusal_nor_the_bench_s_trouble() {
    let bench = Sandbox::new();
    // That no reply comes is what is waited for.
    bench.configure(Configuration::new().set("deadlines.reply", "8 s"));
    authority(&bench);
    sign(&bench, "-days 2 -extfile extensions");
    let password = bench.write("password", "secret word\n");
    // As `mosquitto_passwd` reads it: plain, until -U hashes it.
    bench.write("passwords", "bench:secret word\n");
    let hashed = bench.command("mosquitto_passwd").args(["-U", "passwords"]).status();
    assert!(hashed.expect("mosquitto is installed").success());
    bench.write("list.acl", "user bench\ntopic readwrite bench/#\n");
    let login = "allow_anonymous false\npassword_file passwords\n";
    for (kind, lines, rule) in [
        ("access-list", format!("{login}acl_file list.acl"), "access list"),
        (
            "user-name",
            format!("{login}use_username_as_clientid true"),
            "takes the user name for the client id",
        ),
    ] {
        let (running, port) = mosquitto(&bench, "broker", &lines);
        let further = ["--user", "bench", "--password-file", password.to_str().unwrap()];
        let (code, certificate) = certified(&bench, kind, port, "control", &further);
        let case = &certificate["cases"][0];
        assert_eq!(
            (&case["outcome"], &case["reason"]),
            (&"connected".into(), &"broker_rule".into()),
            "{case:#}"
        );
        assert!(case["why"].as_str().unwrap().contains(rule), "{kind}: {case:#}");
        assert_eq!((code, &case["verdict"]), (100, &"not_held".into()), "{case:#}");
        running.signal(Signal::TERM);
        running.ended();
        bench.nothing_may_be_left();
    }
}
