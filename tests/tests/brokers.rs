//! `hilrig run` with each broker that has a description, on a virtual board. A broker that is not installed is
//! skipped with the reason; with HILRIG_REQUIRE_BROKERS=1 that is a failure.

use hilrig_broker::BrokerDescription;
use hilrig_core::check::CheckOutcome;
use hilrig_core::exit;
use hilrig_core::phase::Phase;
use hilrig_tests::sandbox::{Configuration, Sandbox};
use hilrig_tests::skip::skipped;

/// The main path and a restart of the broker pass with it.
fn a_run_passes_with(name: &str) {
    if let Err(missing) = BrokerDescription::named(name).unwrap().find() {
        let required = std::env::var("HILRIG_REQUIRE_BROKERS").is_ok_and(|value| value == "1");
        assert!(!required, "HILRIG_REQUIRE_BROKERS=1, but {missing}");
        return skipped(&missing.to_string());
    }
    let bench = Sandbox::new();
    let mut configuration = Configuration::new();
    configuration.set("broker.kind", "process").set("deadlines.broker", "4 min");
    bench.configure(&configuration);
    let mut command =
        bench.hilrig(&["run", "--broker", name, "--scenario", "reconnect", "--count", "9"]);
    command.env("PATH", format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default()));
    hilrig_tests::running::RunningProgram::start(command).ended().with_code(exit::PASSED);
    let record = bench.record();
    record.must_be_whole();
    assert_eq!(record.summary()["broker"]["software"], name);
    let phases = record.phases("virtual-1");
    assert!(Phase::ALL.iter().all(|phase| phases.contains(phase)), "{phases:?}");
    assert_eq!(record.check("virtual-1", "refusal").outcome, CheckOutcome::Held);
    assert_eq!(record.checks_that("virtual-1", CheckOutcome::NotHeld), [""; 0]);
    bench.nothing_may_be_left();
}

#[test]
fn a_run_passes_with_mosquitto() {
    a_run_passes_with("mosquitto");
}

#[test]
fn a_run_passes_with_nats() {
    a_run_passes_with("nats");
}

#[test]
fn a_run_passes_with_rabbitmq() {
    a_run_passes_with("rabbitmq");
}

#[test]
fn a_run_passes_with_activemq() {
    a_run_passes_with("activemq");
}

#[test]
fn a_run_passes_with_amqtt() {
    a_run_passes_with("amqtt");
}

#[test]
fn a_run_passes_with_aedes() {
    a_run_passes_with("aedes");
}

#[test]
fn a_run_passes_with_rumqttd() {
    a_run_passes_with("rumqttd");
}

#[test]
fn the_configuration_names_the_broker_and_an_unknown_one_is_refused() {
    let bench = Sandbox::new();
    let mut configuration = Configuration::new();
    configuration.set("broker.software", "no-such-broker");
    bench.configure(&configuration);
    let ended = bench.run(&["run"]).with_code(exit::USAGE);
    ended.saying("broker.software: there is no broker `no-such-broker`; there are mosquitto,");
    bench.must_be_untouched();

    // What the command line names comes before it.
    bench.run(&["run", "--broker", "mosquitto"]).with_code(exit::PASSED);
    assert_eq!(bench.record().summary()["broker"]["software"], "mosquitto");

    configuration.set("broker.software", "aedes").set("broker.image", "any:1");
    bench.configure(&configuration);
    let ended = bench.run(&["run"]).with_code(exit::USAGE);
    ended.saying("broker.image: Aedes is always a process of this machine");
}
