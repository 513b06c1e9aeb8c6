//! Mosquitto in a container. Without a Docker engine these are skipped and say so; with
//! HILRIG_REQUIRE_ENGINE=1 that is a failure.

mod common;

use std::fs;

use common::{PATIENCE, containers, engine, give_free, listener, plan, serves_tls, start};
use hilrig_broker::{Broker, BrokerError, BrokerKind, BrokerPlan, Certificates};
use testcontainers::bollard::query_parameters::{
    KillContainerOptionsBuilder, RemoveContainerOptionsBuilder,
};

fn container_plan(name: &str, dir: &tempfile::TempDir) -> BrokerPlan {
    plan(BrokerKind::Container, name, dir.path())
}

#[tokio::test]
async fn it_serves_tls_to_whom_it_should_and_leaves_nothing() {
    let Some(engine) = engine().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let plan = container_plan("serves", &dir);
    let run = plan.run.clone();
    let (mut broker, _) = start(plan).await;
    let facts = broker.facts();
    assert_eq!((facts.kind.as_str(), facts.software.as_str()), ("container", "mosquitto"));
    assert!(facts.version.starts_with("2."), "{facts:?}");
    assert!(facts.from.contains("mosquitto:"), "{facts:?}");
    let stranger = Certificates::new(broker.server_name()).unwrap();
    serves_tls(&broker, stranger.ca_der()).await;

    let ids = containers(&engine, &run).await;
    let inspected = engine.inspect_container(&ids[0], None).await.unwrap();
    let ports = inspected.network_settings.unwrap().ports.unwrap();
    for binding in ports.values().flatten().flatten() {
        assert_eq!(binding.host_ip.as_deref(), Some("127.0.0.1"), "published to the world");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "keys are left");

    broker.stop().await;
    assert_eq!(containers(&engine, &run).await, [""; 0]);
    broker.stop().await;
}

#[tokio::test]
async fn dropping_it_removes_it() {
    let Some(engine) = engine().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let plan = container_plan("drop", &dir);
    let run = plan.run.clone();
    let (broker, _) = start(plan).await;
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
        let mut notes = |_| {};
        let mut starting = Box::pin(Broker::start(plan, &mut notes));
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
        let (mut broker, _) = start(plan).await;
        let gone = broker.gone();
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
        broker.stop().await;
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
    match Broker::start(plan.clone(), &mut |_| {}).await {
        Err(BrokerError::PortTaken { port: told, .. }) => assert_eq!(told, port),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it started on a port that is taken"),
    }
    assert_eq!(containers(&engine, &plan.run).await, [""; 0]);
    give_free(listener).await;
    let (broker, _) = start(plan).await;
    assert_eq!(broker.port(), port);
}

#[tokio::test]
async fn without_an_image_both_ways_to_one_are_told() {
    let Some(engine) = engine().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut plan = container_plan("no-image", &dir);
    plan.image = "localhost:9/nothing:1".into();
    plan.executable = "mosquitto-that-is-not-there".into();
    let run = plan.run.clone();
    match Broker::start(plan, &mut |_| {}).await {
        Err(error @ BrokerError::NoImage { .. }) => {
            let text = error.to_string();
            assert!(text.contains("localhost:9/nothing:1"), "{text}");
            assert!(text.contains("mosquitto-that-is-not-there"), "{text}");
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it started without an image"),
    }
    assert_eq!(containers(&engine, &run).await, [""; 0]);
}
