//! Mosquitto as a process. These need the machine's Mosquitto (`apt-get install mosquitto`).

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{
    PATIENCE, fails, give_free, listener, mosquittos, plan, serves_tls, start, try_start,
};
use hilrig_broker::{BrokerError, BrokerKind, Certificates, SERVER_NAME};
use rustix::process::{Signal, kill_process};

fn nothing_left(dir: &Path) {
    assert_eq!(mosquittos(dir), []);
    assert_eq!(fs::read_dir(dir).unwrap().count(), 0, "files are left in {}", dir.display());
}

/// A script in place of Mosquitto.
fn script(dir: &Path, text: &str) -> PathBuf {
    let path = dir.join("script");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path
}

#[tokio::test]
async fn it_serves_tls_to_whom_it_should_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut broker = start(plan(BrokerKind::Process, "serves", dir.path())).await;
    assert_eq!(broker.notes, [""; 0]);
    let facts = broker.instance.facts().clone();
    assert_eq!((facts.kind, facts.name.as_str()), ("process", "mosquitto"));
    assert!(facts.version.as_ref().unwrap().starts_with("2."), "{facts:?}");
    assert!((14000..20000).contains(&facts.port), "{facts:?}");
    for file in fs::read_dir(dir.path().join("broker")).unwrap().flatten() {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
    let stranger = Certificates::new(SERVER_NAME).unwrap();
    serves_tls(&broker, stranger.ca_der()).await;
    broker.instance.stop().await;
    nothing_left(dir.path());
    assert!(broker.instance.log().contains("terminating"), "{}", broker.instance.log());
    broker.instance.stop().await;
}

#[tokio::test]
async fn it_can_be_started_anew_at_the_same_place() {
    let dir = tempfile::tempdir().unwrap();
    let mut broker = start(plan(BrokerKind::Process, "restart", dir.path())).await;
    let stranger = Certificates::new(SERVER_NAME).unwrap();
    for _ in 0..2 {
        let before = (broker.instance.port(), broker.impostor_port(), mosquittos(dir.path()));
        broker.instance.restart().await.unwrap();
        assert_eq!((broker.instance.port(), broker.impostor_port()), (before.0, before.1));
        let now = mosquittos(dir.path());
        assert!(now.len() == 1 && now != before.2, "{now:?}, before {:?}", before.2);
        // The same certificates and login.
        serves_tls(&broker, stranger.ca_der()).await;
    }
    broker.instance.stop().await;
    nothing_left(dir.path());
}

#[tokio::test]
async fn dropping_it_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(plan(BrokerKind::Process, "drop", dir.path())).await;
    assert_eq!(mosquittos(dir.path()).len(), 1);
    drop(broker);
    nothing_left(dir.path());
}

#[tokio::test]
async fn giving_up_its_start_takes_it_back() {
    let dir = tempfile::tempdir().unwrap();
    let starting = try_start(plan(BrokerKind::Process, "given-up", dir.path()));
    // Polled once, so that its thread is on the way.
    tokio::select! {
        biased;
        _ = starting => panic!("it cannot be ready at once"),
        () = std::future::ready(()) => {}
    }
    nothing_left(dir.path());
}

/// Whether a process runs; one that has ended and was not waited for does not.
fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

#[tokio::test]
async fn what_a_script_in_place_of_it_started_is_ended_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let scripts = tempfile::tempdir().unwrap();
    let pids = scripts.path().join("pids");
    // In a session of its own, without the mark in its environment, and the broker itself as a child.
    let text = format!(
        "for start in setsid 'env -i'; do $start sleep 600 & echo $! >> {0}; done\n\
         PATH=$PATH:/usr/sbin mosquitto \"$@\" & echo $! >> {0}\nwait",
        pids.display()
    );
    let mut plan = plan(BrokerKind::Process, "script", dir.path());
    plan.software = plan.software.with_program(&script(scripts.path(), &text));
    let mut broker = start(plan).await;
    let started = fs::read_to_string(&pids).unwrap();
    let started: Vec<&str> = started.lines().collect();
    assert!(started.len() == 3 && started.iter().all(|pid| runs(pid)), "{started:?}");
    broker.instance.stop().await;
    let left: Vec<&&str> = started.iter().filter(|pid| runs(pid)).collect();
    assert!(left.is_empty(), "{left:?} of {started:?} run still");
    nothing_left(dir.path());
}

#[tokio::test]
async fn it_inherits_nothing_that_it_does_not_need() {
    let dir = tempfile::tempdir().unwrap();
    // What the test's own environment has stands for what a user's has.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some(), "cargo sets it");
    let mut broker = start(plan(BrokerKind::Process, "environment", dir.path())).await;
    let [pid] = mosquittos(dir.path())[..] else { panic!("there should be one") };
    let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).unwrap();
    let environment = String::from_utf8_lossy(&environment).into_owned();
    let names: Vec<&str> =
        environment.split('\0').filter_map(|one| Some(one.split_once('=')?.0)).collect();
    let allowed = [
        "PATH",
        "LD_LIBRARY_PATH",
        "LANG",
        "LC_ALL",
        "TZ",
        "TMPDIR",
        "OPENSSL_CONF",
        "OPENSSL_MODULES",
        "HOME",
        "HILRIG_BROKER_DIR",
    ];
    assert!(names.iter().all(|name| allowed.contains(name)), "{names:?}");
    broker.instance.stop().await;
}

#[tokio::test]
async fn killed_in_the_middle_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut broker = start(plan(BrokerKind::Process, "killed", dir.path())).await;
    let gone = broker.instance.gone();
    let [pid] = mosquittos(dir.path())[..] else { panic!("there should be one") };
    kill_process(pid, Signal::KILL).unwrap();
    let found = tokio::time::timeout(PATIENCE, gone).await.expect("it was not told");
    assert!(found.contains("signal: 9"), "{found}");
    broker.instance.stop().await;
    nothing_left(dir.path());
}

#[tokio::test]
async fn stopping_it_is_not_told_as_a_loss() {
    let dir = tempfile::tempdir().unwrap();
    let mut broker = start(plan(BrokerKind::Process, "stopped", dir.path())).await;
    let gone = broker.instance.gone();
    broker.instance.stop().await;
    tokio::select! {
        biased;
        found = gone => panic!("told as a loss: {found}"),
        () = std::future::ready(()) => {}
    }
}

#[tokio::test]
async fn two_at_once_do_not_get_into_each_others_way() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut same_start = plan(BrokerKind::Process, "two", two.path());
    let first = plan(BrokerKind::Process, "two", one.path());
    same_start.run.clone_from(&first.run);
    let (a, b) = tokio::join!(start(first), start(same_start));
    let ports = [a.instance.port(), a.impostor_port(), b.instance.port(), b.impostor_port()];
    let mut different = ports.to_vec();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), 4, "{ports:?}");
}

#[tokio::test]
async fn a_fixed_port_is_used_and_one_that_is_taken_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let listener = listener();
    let port = listener.local_addr().unwrap().port();
    let mut fixed = plan(BrokerKind::Process, "fixed", dir.path());
    fixed.port = Some(port);
    let error = fails(fixed.clone()).await;
    assert!(matches!(error, BrokerError::PortTaken { port: p, .. } if p == port), "{error}");
    let text = error.to_string();
    assert!(text.contains(&format!("port {port}")), "{text}");
    assert!(text.contains("another program listens there"), "{text}");
    nothing_left(dir.path());

    give_free(listener).await;
    let broker = start(fixed).await;
    assert_eq!(broker.instance.port(), port);
}

#[tokio::test]
async fn an_executable_that_is_none_is_told_with_what_mends_it() {
    let dir = tempfile::tempdir().unwrap();
    let tools = tempfile::tempdir().unwrap();
    let mut bad = plan(BrokerKind::Process, "bad", dir.path());

    bad.software = bad.software.with_program(Path::new("mosquitto-that-is-not-there"));
    let text = fails(bad.clone()).await.to_string();
    assert!(text.contains("mosquitto-that-is-not-there"), "{text}");
    assert!(text.contains("apt-get install mosquitto"), "{text}");

    bad.software = bad.software.with_program(&tools.path().join("nothing"));
    assert!(fails(bad.clone()).await.to_string().contains("there is no file"));

    let text = tools.path().join("text");
    fs::write(&text, "no program").unwrap();
    bad.software = bad.software.with_program(&text);
    let error = fails(bad.clone()).await;
    assert!(
        matches!(&error, BrokerError::Bench { what, .. } if what.starts_with("run ")),
        "{error}"
    );
    assert!(error.to_string().contains(&text.display().to_string()), "{error}");

    bad.software = bad
        .software
        .with_program(&script(tools.path(), "echo 'Error: no such option' >&2; exit 3"));
    let text = fails(bad.clone()).await.to_string();
    assert!(text.contains("exit status: 3"), "{text}");
    assert!(text.contains("Error: no such option"), "its log is told: {text}");
    nothing_left(dir.path());
}

#[tokio::test]
async fn saying_that_it_runs_is_not_enough() {
    let dir = tempfile::tempdir().unwrap();
    let tools = tempfile::tempdir().unwrap();
    let mut liar = plan(BrokerKind::Process, "liar", dir.path());
    liar.software = liar.software.with_program(&script(
        tools.path(),
        "echo 'mosquitto version 9 running' >&2; exec sleep 60",
    ));
    liar.deadline = Duration::from_secs(1);
    let error = fails(liar).await;
    assert!(matches!(error, BrokerError::NeverReady { .. }), "{error}");
    assert!(error.to_string().contains("nobody listens"), "{error}");
    nothing_left(dir.path());
}

#[tokio::test]
async fn a_silent_one_is_given_up_at_the_deadline() {
    let dir = tempfile::tempdir().unwrap();
    let tools = tempfile::tempdir().unwrap();
    let mut silent = plan(BrokerKind::Process, "silent", dir.path());
    silent.software = silent.software.with_program(&script(tools.path(), "exec sleep 60"));
    silent.deadline = Duration::from_millis(200);
    let error = fails(silent).await;
    assert!(error.to_string().contains("waited 0.2 s for it to say that it is up"), "{error}");
    nothing_left(dir.path());
}

#[tokio::test]
async fn one_that_will_not_end_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let tools = tempfile::tempdir().unwrap();
    let mut stubborn = plan(BrokerKind::Process, "stubborn", dir.path());
    stubborn.software = stubborn.software.with_program(&script(
        tools.path(),
        "trap '' TERM; PATH=$PATH:/usr/sbin; mosquitto \"$@\" & while :; do wait; done",
    ));
    let mut broker = start(stubborn).await;
    broker.instance.stop().await;
    let script = tools.path().to_string_lossy().into_owned();
    assert_eq!(mosquittos(Path::new(&script)), []);
    // What the script started is not ours to know; it is ended here.
    for pid in mosquittos(dir.path()) {
        kill_process(pid, Signal::KILL).unwrap();
    }
}
