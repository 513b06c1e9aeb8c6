//! What is asked of a broker at MQTT's level, held against a Mosquitto of its own.

use std::time::Duration;

use hilrig_broker::{Broker, BrokerKind, BrokerPlan, Login};
use hilrig_core::certify::case::Behaviour;
use hilrig_runner::BrokerEndpoint;
use hilrig_runner::certify::behaviour::{Missed, Question, ask};

/// For anything that is waited for; far more than it takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A Mosquitto as a run has it, with its folder.
async fn mosquitto(name: &str) -> (Broker, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let plan = BrokerPlan {
        kind: BrokerKind::Process,
        image: String::new(),
        executable: "mosquitto".into(),
        listen: std::net::Ipv4Addr::LOCALHOST,
        port: None,
        run: format!("test-{name}-{}", std::process::id()),
        dir: dir.path().into(),
        server_name: hilrig_broker::SERVER_NAME.into(),
        login: Login::random().unwrap(),
        deadline: PATIENCE,
    };
    (Broker::start(plan, &mut |_| {}).await.unwrap(), dir)
}

fn endpoint(broker: &Broker) -> BrokerEndpoint {
    let (user, password) = broker.credentials();
    BrokerEndpoint {
        host: "127.0.0.1".into(),
        port: broker.port(),
        impostor_port: broker.impostor_port(),
        ca_der: broker.ca_der().to_vec(),
        server_name: broker.server_name().into(),
        credentials: Some((user.into(), password.into())),
        client_certificate: None,
    }
}

fn question<'a>(endpoint: &'a BrokerEndpoint, tag: &'a str) -> Question<'a> {
    Question { endpoint, tag, forbidden: None, crowd: 20, rounds: 3, deadline: PATIENCE }
}

#[tokio::test]
async fn mosquitto_does_what_a_device_relies_on() {
    let (broker, _dir) = mosquitto("behaviour").await;
    let endpoint = endpoint(&broker);
    for (tag, behaviour, found) in [
        ("a", Behaviour::Retained, "marked as retained; when it was removed, it came no more"),
        ("b", Behaviour::Qos, "arrived as such, and QoS 1 was acknowledged"),
        ("c", Behaviour::Takeover, "the second stays"),
        ("d", Behaviour::Will, "that of one that took its leave did not"),
        ("e", Behaviour::WrongPassword, "with return code 5"),
        // The run's own Mosquitto takes packets of 64 KiB at most.
        (
            "f",
            Behaviour::PayloadLimit,
            "goes through: 32768 B; of 65536 B: the publisher is dropped",
        ),
        ("g", Behaviour::ReconnectStorm, "20 clients at once, 3 times: 60 CONNACKs"),
        ("h", Behaviour::KeepAlive, "one that pinged was not"),
    ] {
        let said = ask(behaviour, &question(&endpoint, tag)).await.unwrap();
        assert!(said.contains(found), "{behaviour:?}: {said}");
    }
    for behaviour in [Behaviour::NoPermission, Behaviour::BrokerRestart] {
        let missed = ask(behaviour, &question(&endpoint, "n")).await;
        assert!(matches!(missed, Err(Missed::NotRun(_))), "{behaviour:?}: {missed:?}");
    }
    // Nothing of it is a secret.
    assert!(!broker.log().contains(broker.credentials().1));
}

#[tokio::test]
async fn a_broker_that_is_gone_is_the_benchs_trouble() {
    let (mut broker, _dir) = mosquitto("gone").await;
    let endpoint = endpoint(&broker);
    broker.stop().await;
    let missed = ask(Behaviour::Retained, &question(&endpoint, "g")).await;
    let Err(Missed::Broken(found)) = missed else { panic!("{missed:?}") };
    assert!(found.starts_with("connecting `gp` to the broker at 127.0.0.1:"), "{found}");
    assert!(found.contains("refused"), "{found}");
}
