//! What is asked of a broker at MQTT's level, held against a Mosquitto of its own, and against a broker
//! that misbehaves.

mod fake_broker;

use std::time::Duration;

use fake_broker::Fault;
use hilrig_broker::{
    BrokerDescription, Certificates, FORBIDDEN, Instance, InstancePlan, Location, Login, Material,
    SERVER_NAME,
};

use hilrig::BrokerEndpoint;
use hilrig_certify::behaviour::{Asked, Missed, Question, ask, rule, rule_for_id};
use hilrig_core::certify::BrokerTls;
use hilrig_core::certify::case::Behaviour;

/// For anything that is waited for; far more than it takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A Mosquitto with its endpoint and its folder.
async fn mosquitto() -> (Instance, BrokerEndpoint, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let certificates = Certificates::new(SERVER_NAME).unwrap();
    let order = InstancePlan {
        dir: dir.path().join("b"),
        tls: BrokerTls::USUAL,
        material: Material::from(&certificates),
        impostor: None,
        login: Login::random().unwrap(),
        listen: std::net::Ipv4Addr::LOCALHOST,
        port: None,
        deadline: PATIENCE,
    };
    let software = BrokerDescription::named("mosquitto").unwrap();
    let broker = Instance::start(software, Location::Process, order).await.unwrap();
    let login = broker.login().unwrap().clone();
    let endpoint = BrokerEndpoint {
        host: "127.0.0.1".into(),
        port: broker.port(),
        impostor_port: 0,
        ca_der: certificates.ca_der().to_vec(),
        second_ca_der: None,
        leaves: Vec::new(),
        plain: None,
        server_name: SERVER_NAME.into(),
        credentials: Some((login.user, login.password)),
        client_certificate: None,
    };
    (broker, endpoint, dir)
}

fn question<'a>(endpoint: &'a BrokerEndpoint, tag: &'a str) -> Question<'a> {
    Question {
        endpoint,
        tag,
        forbidden: None,
        crowd: 20,
        rounds: 3,
        deadline: PATIENCE,
        looks_within: Duration::ZERO,
    }
}

#[tokio::test]
async fn mosquitto_does_what_a_device_relies_on() {
    let (broker, endpoint, _dir) = mosquitto().await;
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
    assert!(!broker.log().contains(&broker.login().unwrap().password));
}

#[tokio::test]
async fn a_broker_that_is_gone_is_the_benchs_trouble() {
    let (mut broker, endpoint, _dir) = mosquitto().await;
    broker.stop().await;
    let missed = ask(Behaviour::Retained, &question(&endpoint, "g")).await;
    let Err(Missed::Broken(found)) = missed else { panic!("{missed:?}") };
    assert!(found.starts_with("connecting `ge` to the broker at 127.0.0.1:"), "{found}");
    assert!(found.contains("refused"), "{found}");
}

#[tokio::test]
async fn what_mosquitto_does_to_who_may_not_is_told() {
    let (mut broker, endpoint, _dir) = mosquitto().await;
    let forbidden = format!("{FORBIDDEN}/any");
    let asked = Question { forbidden: Some(&forbidden), ..question(&endpoint, "p") };
    // Mosquitto tells neither: it grants the subscription, and acknowledges what it then drops.
    assert_eq!(
        ask(Behaviour::NoPermission, &asked).await.unwrap(),
        "subscribing is granted; publishing is acknowledged; the message is passed on to nobody"
    );
    let allowed = Question { forbidden: Some("a/topic"), ..question(&endpoint, "q") };
    let missed = ask(Behaviour::NoPermission, &allowed).await;
    let Err(Missed::NotHeld(found)) = missed else { panic!("{missed:?}") };
    assert!(found.ends_with("the message is passed on"), "{found}");
    broker.stop().await;
}

#[tokio::test]
async fn a_broker_that_does_otherwise_is_told_so() {
    // Some of it is that nothing comes.
    const LONG: Duration = Duration::from_secs(5);
    let cases = [
        (Fault::None, Behaviour::KeepAlive, "was not dropped: nothing within 8 s"),
        (Fault::DropsWhoPings, Behaviour::KeepAlive, "was not left alone: it closed"),
        (
            Fault::None,
            Behaviour::Takeover,
            "both clients of one id stay; to the first came nothing",
        ),
        (Fault::RefusesSecond, Behaviour::Takeover, "was refused with return code 2"),
        (Fault::None, Behaviour::Retained, "to a later subscriber came nothing within 5 s"),
        (Fault::ForgetsMark, Behaviour::Retained, "but not marked as retained"),
        (Fault::MarksAtOnce, Behaviour::Retained, "there before, marked as retained"),
        (
            Fault::NeverAcknowledges,
            Behaviour::Retained,
            "came nothing within 5 s instead of a PUBACK",
        ),
        (Fault::None, Behaviour::Will, "instead of the will came nothing"),
        (Fault::GrantsQos0, Behaviour::Qos, "QoS 1 was granted as QoS 0"),
        (Fault::NeverAcknowledges, Behaviour::Qos, "came nothing within 5 s instead of a PUBACK"),
        (Fault::None, Behaviour::WrongPassword, "a wrong password is let in"),
        (
            Fault::ClosesAtWrongPassword,
            Behaviour::WrongPassword,
            "it closed the connection instead of a CONNACK",
        ),
        (
            Fault::ForgetsSome,
            Behaviour::ReconnectStorm,
            "of 20 clients at once 2 were not let in within 5 s; the first of them: nothing within 5 s instead of a CONNACK (round 1 of 3)",
        ),
    ];
    let all = cases.map(async |(fault, behaviour, expected)| {
        let fake = fake_broker::start(fault).await;
        let question = Question { deadline: LONG, ..question(&fake.endpoint, "t") };
        let missed = ask(behaviour, &question).await;
        let Err(Missed::NotHeld(found)) = missed else { panic!("{fault:?}: {missed:?}") };
        assert!(found.contains(expected), "{fault:?}, {behaviour:?}: {found}");
    });
    futures_util::future::join_all(all).await;

    let fake = fake_broker::start(Fault::DropsLarge).await;
    let found = ask(Behaviour::PayloadLimit, &question(&fake.endpoint, "l")).await.unwrap();
    assert_eq!(
        found,
        "the largest payload that goes through: 8192 B; of 16384 B: it is dropped without a word"
    );
    let fake = fake_broker::start(Fault::None).await;
    let found = ask(Behaviour::PayloadLimit, &question(&fake.endpoint, "m")).await.unwrap();
    assert_eq!(found, "payloads go through up to 262144 B; more was not tried");

    let fake = fake_broker::start(Fault::Garbage).await;
    let missed = ask(Behaviour::Qos, &question(&fake.endpoint, "g")).await;
    let Err(Missed::Broken(found)) = missed else { panic!("{missed:?}") };
    assert!(found.contains("it sent what is no packet of MQTT"), "{found}");
    assert!(!found.contains('\x1b'), "{found}");
}

#[tokio::test]
async fn a_rule_of_a_broker_is_found_and_named() {
    let asked =
        Asked { id: "hilrig-rig-0", topics: ["rx", "tx"], own_topic: Some("own"), retained: true };
    let cases = [
        (Fault::OneSession, "takes the user name for the client id"),
        (Fault::OneConnection, "it limits the connections"),
        (Fault::RefusesId, "refuses the client id `hilrig-rig-0` with return code 2"),
        (Fault::DropsRequests, "does not deliver what this user publishes on `rx`"),
        (Fault::DropsReplies, "does not deliver what this user publishes on `tx`"),
        (Fault::RefusesSubscription, "refuses a subscription to `rx` (SUBACK 0x80)"),
        (Fault::ClosesWhoPublishes, "closes the connection of a client that publishes on `rx`"),
        (
            Fault::ClosesWhoRetains,
            "closes the connection of a client that publishes a retained message",
        ),
    ];
    let all = cases.map(async |(fault, expected)| {
        let fake = fake_broker::start(fault).await;
        let question =
            Question { deadline: Duration::from_secs(5), ..question(&fake.endpoint, "t") };
        let found = rule(&question, &asked).await.unwrap_or_else(|| panic!("{fault:?}: no rule"));
        assert!(found.contains(expected), "{fault:?}: {found}");
    });
    futures_util::future::join_all(all).await;
    // Of a board whose id is refused, whether another is let in tells it from a wrong password.
    let fake = fake_broker::start(Fault::RefusesId).await;
    let found = rule_for_id(&question(&fake.endpoint, "t"), "hilrig-rig-7").await;
    assert!(found.is_some_and(|found| {
        found.contains("refuses the board's client id `hilrig-rig-7` with return code 2")
    }));
    assert_eq!(rule_for_id(&question(&fake.endpoint, "t"), "another").await, None);
    let fake = fake_broker::start(Fault::None).await;
    assert_eq!(rule(&question(&fake.endpoint, "n"), &asked).await, None);
}
