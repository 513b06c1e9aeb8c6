//! Mosquitto in a container. Without a Docker engine these are skipped and say so; with
//! HILRIG_REQUIRE_ENGINE=1 that is a failure.

mod common;

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use common::{
    PATIENCE, Plan, containers, engine, fails, give_free, listener, plan, serves_tls, start,
    try_start,
};
use hilrig_broker::{BrokerError, BrokerKind, Certificates, SERVER_NAME};
use testcontainers::bollard::query_parameters::{
    KillContainerOptionsBuilder, RemoveContainerOptionsBuilder,
};

fn container_plan(name: &str, dir: &tempfile::TempDir) -> Plan {
    plan(BrokerKind::Container, name, dir.path())
}

/// The addresses of this machine at which a port is listened at (proc_pid_net(5)).
fn listens_at(port: u16) -> Vec<String> {
    const LISTEN: &str = "0A";
    let tables =
        ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap());
    let sockets = tables.iter().flat_map(|table| table.lines().skip(1));
    let listening = sockets.filter_map(|socket| {
        let mut fields = socket.split_whitespace().skip(1);
        let (address, at) = fields.next()?.split_once(':')?;
        let state = fields.nth(1)?;
        (state == LISTEN && u16::from_str_radix(at, 16) == Ok(port)).then_some(address)
    });
    let words = |address: &str| match u32::from_str_radix(address, 16) {
        // Four bytes in the order of this machine.
        Ok(address) => Ipv4Addr::from(address.to_ne_bytes()).to_string(),
        Err(_) => address.to_owned(),
    };
    listening.map(words).collect()
}

#[tokio::test]
async fn it_serves_tls_to_whom_it_should_and_leaves_nothing() {
    let Some(engine) = engine().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let plan = container_plan("serves", &dir);
    let run = plan.run.clone();
    let mut broker = start(plan).await;
    let facts = broker.instance.facts().clone();
    assert_eq!((facts.kind, facts.name.as_str()), ("container", "mosquitto"));
    assert!(facts.version.as_ref().unwrap().starts_with("2."), "{facts:?}");
    assert!(facts.from.contains("mosquitto:"), "{facts:?}");
    let stranger = Certificates::new(SERVER_NAME).unwrap();
    serves_tls(&broker, stranger.ca_der()).await;

    for port in [broker.instance.port(), broker.impostor_port()] {
        assert_eq!(listens_at(port), ["127.0.0.1"], "published to the world");
    }
    broker.instance.stop().await;
    assert_eq!(containers(&engine, &run).await, [""; 0]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "keys are left");
    broker.instance.stop().await;
}

#[tokio::test]
async fn dropping_it_removes_it() {
    let Some(engine) = engine().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let plan = container_plan("drop", &dir);
    let run = plan.run.clone();
    let broker = start(plan).await;
    assert_eq!(containers(&engine, &run).await.len(), 1);
    drop(broker);
    assert_eq!(containers(&engine, &run).await, [""; 0]);
}

#[tokio::test]
async fn giving_up_its_start_takes_it_back() {
    let Some(engine) = engine().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let plan = container_plan("given-up", &dir);
    let run = plan.run.clone();
    {
        let mut starting = Box::pin(try_start(plan));
        // Given up when the engine has made the container, which is not ready yet.
        loop {
            tokio::select! {
                biased;
                made = containers(&engine, &run) => if !made.is_empty() { break },
                _ = &mut starting => break,
            }
        }
    }
    assert_eq!(containers(&engine, &run).await, [""; 0]);
}

#[tokio::test]
async fn killed_or_removed_in_the_middle_is_told() {
    let Some(engine) = engine().await else { return };
    let dir = tempfile::tempdir().unwrap();
    for remove in [false, true] {
        let plan = container_plan("killed", &dir);
        let run = plan.run.clone();
        let mut broker = start(plan).await;
        let gone = broker.instance.gone();
        let id = &containers(&engine, &run).await[0];
        if remove {
            let options = RemoveContainerOptionsBuilder::new().force(true).build();
            engine.remove_container(id, Some(options)).await.unwrap();
        } else {
            let options = KillContainerOptionsBuilder::new().signal("KILL").build();
            engine.kill_container(id, Some(options)).await.unwrap();
        }
        let found = tokio::time::timeout(PATIENCE, gone).await.expect("it was not told");
        assert!(found.contains("container"), "{found}");
        broker.instance.stop().await;
        assert_eq!(containers(&engine, &run).await, [""; 0]);
    }
}

#[tokio::test]
async fn a_fixed_port_is_used_and_one_that_is_taken_is_named() {
    let Some(engine) = engine().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let listener = listener();
    let port = listener.local_addr().unwrap().port();
    let mut plan = container_plan("fixed", &dir);
    plan.port = Some(port);
    match fails(plan.clone()).await {
        BrokerError::PortTaken { port: told, .. } => assert_eq!(told, port),
        error => panic!("{error}"),
    }
    assert_eq!(containers(&engine, &plan.run).await, [""; 0]);
    give_free(listener).await;
    let broker = start(plan).await;
    assert_eq!(broker.instance.port(), port);
}

#[tokio::test]
async fn without_an_image_both_ways_to_one_are_told() {
    let Some(engine) = engine().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut plan = container_plan("no-image", &dir);
    plan.software = plan.software.with_image("localhost:9/nothing:1");
    plan.software = plan.software.with_program(Path::new("mosquitto-that-is-not-there"));
    let run = plan.run.clone();
    let error = fails(plan).await;
    assert!(matches!(error, BrokerError::NoContainer { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("localhost:9/nothing:1"), "{text}");
    assert!(text.contains("mosquitto-that-is-not-there"), "{text}");
    assert_eq!(containers(&engine, &run).await, [""; 0]);
}
