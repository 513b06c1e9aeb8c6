//! What a run leaves that was killed with SIGKILL, and what becomes of it. The run is this test
//! program once more: `a_run` with a plan in its environment.

mod common;

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use common::{PATIENCE, containers, engine, mosquittos, plan, run_id, try_start};
use futures_util::StreamExt;
use hilrig_broker::{BrokerKind, RunDir, sweep};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{PidfdFlags, pidfd_open};
use testcontainers::bollard::Docker;
use testcontainers::bollard::query_parameters::WaitContainerOptionsBuilder;

const KIND: &str = "HILRIG_TEST_KIND";
const RUN: &str = "HILRIG_TEST_RUN";
const EXECUTABLE: &str = "HILRIG_TEST_EXECUTABLE";

/// The run that gets killed: prints `RUNS <facts as JSON>`, or `FAILED <why>`, its notes before that,
/// and stays.
#[tokio::test]
#[ignore = "not a test: the other tests of this file start it"]
#[allow(clippy::print_stdout, reason = "how it talks to the test that started it")]
async fn a_run() {
    let (Ok(kind), Ok(run)) = (std::env::var(KIND), std::env::var(RUN)) else { return };
    let kind = match kind.as_str() {
        "process" => BrokerKind::Process,
        "container" => BrokerKind::Container,
        _ => BrokerKind::Auto,
    };
    let dir = RunDir::create(&run).unwrap();
    let mut plan = plan(kind, "killed", dir.path());
    plan.run = run;
    if let Ok(executable) = std::env::var(EXECUTABLE) {
        plan.software = plan.software.with_program(Path::new(&executable));
    }
    match try_start(plan).await {
        Ok(broker) => {
            broker.notes.iter().for_each(|note| println!("NOTE {note}"));
            println!("RUNS {:?}", broker.instance.facts());
            std::future::pending::<()>().await;
        }
        Err(error) => println!("FAILED {error}"),
    }
}

struct Run {
    child: Child,
    lines: BufReader<ChildStdout>,
    id: String,
}

impl Run {
    fn start(kind: &str, environment: &[(&str, &str)]) -> Run {
        let id = run_id(kind);
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "a_run", "--ignored", "--nocapture"])
            .env(KIND, kind)
            .env(RUN, &id)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Run { child, lines, id }
    }

    /// What it printed until it ran or failed.
    fn says(&mut self) -> String {
        let mut said = String::new();
        loop {
            let from = said.len();
            assert_ne!(self.lines.read_line(&mut said).unwrap(), 0, "it ended: {said}");
            // The test harness has not ended its line when the first of these comes.
            if said[from..].contains("RUNS ") || said[from..].contains("FAILED ") {
                return said;
            }
        }
    }

    fn dir(&self) -> PathBuf {
        std::env::temp_dir().join(format!("hilrig-{}", self.id))
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        assert_eq!(self.child.wait().unwrap().signal(), Some(9));
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(self.dir());
    }
}

/// Nothing is left of a run on the engine. Another test's sweep may be at it at the same time, so
/// that this one's has found it being removed: then its end is waited for.
async fn nothing_on(engine: &Docker, run: &str) {
    for id in containers(engine, run).await {
        let options = WaitContainerOptionsBuilder::new().condition("removed").build();
        let removed = async {
            let mut answers = Box::pin(engine.wait_container(&id, Some(options)));
            while answers.next().await.is_some() {}
        };
        tokio::time::timeout(Duration::from_secs(5), removed).await.expect("it is not removed");
    }
    assert_eq!(containers(engine, run).await, [""; 0]);
}

#[tokio::test]
async fn a_killed_runs_broker_process_dies_with_it_and_its_folder_is_swept() {
    let mut run = Run::start("process", &[]);
    assert!(run.says().contains("RUNS "));
    let [mosquitto] = mosquittos(&run.dir())[..] else { panic!("there should be one") };
    let mosquitto = pidfd_open(mosquitto, PidfdFlags::empty()).unwrap();

    sweep(&mut |_| {}).await;
    assert!(run.dir().exists(), "the folder of a run that goes on is not swept");

    run.kill();
    let end = rustix::event::Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
    let ended = poll(&mut [PollFd::new(&mosquitto, PollFlags::IN)], Some(&end)).unwrap();
    assert_eq!(ended, 1, "mosquitto outlived its run");
    assert!(run.dir().join("broker").exists(), "there is something to sweep");
    sweep(&mut |_| {}).await;
    assert!(!run.dir().exists());
}

#[tokio::test]
async fn a_broker_that_a_script_started_outlives_a_killed_run_and_is_swept() {
    use std::os::unix::fs::PermissionsExt as _;
    let scripts = tempfile::tempdir().unwrap();
    let script = scripts.path().join("script");
    // Not in the script's place: the system ends the script with the run, and not what it started.
    std::fs::write(&script, "#!/bin/sh\nPATH=$PATH:/usr/sbin setsid mosquitto \"$@\"\nexit\n")
        .unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut run = Run::start("process", &[(EXECUTABLE, script.to_str().unwrap())]);
    let said = run.says();
    assert!(said.contains("RUNS "), "{said}");
    let dir = run.dir();
    let there = || -> Vec<_> {
        let all = mosquittos(&dir);
        all.into_iter()
            .filter(|pid| {
                let stat = std::fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero()));
                stat.is_ok_and(|name| name.trim() == "mosquitto")
            })
            .collect()
    };
    assert_eq!(there().len(), 1);
    run.kill();
    // Another test's sweep may be quicker.
    sweep(&mut |_| {}).await;
    assert_eq!(there(), [], "it runs still");
    assert!(!dir.exists());
}

#[tokio::test]
async fn a_killed_runs_container_is_swept() {
    let Some(engine) = engine().await else { return };
    let mut run = Run::start("container", &[]);
    let said = run.says();
    assert!(said.contains("RUNS "), "{said}");

    sweep(&mut |_| {}).await;
    assert_eq!(containers(&engine, &run.id).await.len(), 1, "that of a live run is not swept");

    run.kill();
    assert_eq!(containers(&engine, &run.id).await.len(), 1, "there is something to sweep");
    sweep(&mut |_| {}).await;
    nothing_on(&engine, &run.id).await;
    assert!(!run.dir().exists());
}

const NO_ENGINE: (&str, &str) = ("DOCKER_HOST", "unix:///nonexistent/docker.sock");

#[test]
fn without_an_engine_auto_means_a_process_and_says_so() {
    let started = Instant::now();
    let said = Run::start("auto", &[NO_ENGINE]).says();
    assert!(
        said.contains("NOTE Mosquitto is a process, not in a container: no Docker engine answers"),
        "{said}"
    );
    assert!(said.contains("kind: \"process\""), "{said}");
    assert!(started.elapsed() < Duration::from_secs(20), "an engine that is not there costs time");
}

#[test]
fn without_either_both_are_named_with_what_mends_them() {
    let missing = (EXECUTABLE, "mosquitto-that-is-not-there");
    let said = Run::start("auto", &[NO_ENGINE, missing]).says();
    assert!(said.contains("FAILED "), "{said}");
    for part in ["nonexistent/docker.sock", "mosquitto-that-is-not-there"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(said.contains("systemctl start docker"), "{said}");
    assert!(said.contains("apt-get install mosquitto"), "{said}");
    let said = Run::start("container", &[NO_ENGINE]).says();
    assert!(
        said.contains(
            "FAILED Mosquitto cannot be started in a container: no Docker engine answers"
        ),
        "{said}"
    );
}

#[tokio::test]
async fn with_an_engine_auto_means_a_container() {
    let Some(engine) = engine().await else { return };
    let mut run = Run::start("auto", &[]);
    let said = run.says();
    assert!(said.contains("kind: \"container\""), "{said}");
    run.kill();
    sweep(&mut |_| {}).await;
    nothing_on(&engine, &run.id).await;
}

#[tokio::test]
async fn the_status_names_what_there_is() {
    let mosquitto = hilrig_broker::BrokerDescription::named("mosquitto").unwrap();
    let status = hilrig_broker::engine_status(&mosquitto).await;
    let (path, version) = status.program.unwrap();
    let version = version.unwrap();
    assert!(path.is_file() && version.starts_with("2."), "{path:?} {version}");
    assert_eq!(engine().await.is_some(), status.engine.is_ok(), "{:?}", status.engine);
}
