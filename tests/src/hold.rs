//! Keeps a run in a phase for as long as a test likes: something that the run waits for in that
//! phase never comes. So what is done to the run there does not depend on who is quicker.

use hilrig_core::phase::Phase;

use crate::artifacts;
use crate::sandbox::{Configuration, Sandbox, path_text};

/// The phases that a run can be kept in: every one that waits for something other than the flash.
pub const HOLDABLE: [Phase; 6] = [
    Phase::Boot,
    Phase::Configuration,
    Phase::Refusal,
    Phase::Switch,
    Phase::Mqtt,
    Phase::SwitchBack,
];

/// Makes a run on this sandbox stay in `phase` until a deadline of minutes passes.
pub fn in_phase(sandbox: &Sandbox, configuration: &mut Configuration, phase: Phase) {
    for key in ["boot", "reply", "connect", "broker"] {
        configuration.set(&format!("deadlines.{key}"), "4 min");
    }
    match phase {
        Phase::Boot => contract(
            sandbox,
            configuration,
            &[(
                "'^(?:ESP8266|LM3S6965) Mode: Web Server Running [-–] Type = SDK API$'",
                "'^never$'",
            )],
        ),
        Phase::Configuration => {
            // A broker that starts and never answers.
            let program = sandbox.script("mosquitto-that-hangs", "exec sleep 600");
            configuration.set("broker.executable", path_text(&program));
        }
        Phase::Refusal => contract(
            sandbox,
            configuration,
            &[("refused = '^TLS error 62: '", "refused = '^never$'"), GIVEN_UP],
        ),
        Phase::Switch => contract(
            sandbox,
            configuration,
            &[(
                r"connected = '^Attempting MQTT connection\.\.\.connected$'",
                "connected = '^never$'",
            )],
        ),
        Phase::Mqtt => {
            configuration.image(&artifacts::faulty_firmware("SILENT_MQTT"));
        }
        // A request that the board answers, and that changes no mode.
        Phase::SwitchBack => contract(
            sandbox,
            configuration,
            &[(
                "to_configuration = { request = \"HttpOn\", reply = 'HTTP Server Restored and MQTT Disabled' }",
                "to_configuration = { request = \"LedOn\", reply = 'LED is now ON' }",
            )],
        ),
        _ => panic!("{phase:?} has nothing to wait for"),
    }
}

const GIVEN_UP: (&str, &str) = (
    r"given_up = '^MQTT given up after \d+ attempts, HTTP Server Restored$'",
    "given_up = '^never$'",
);

/// Has the run use the bundled contract with some texts replaced.
pub fn contract(sandbox: &Sandbox, configuration: &mut Configuration, edits: &[(&str, &str)]) {
    let path = artifacts::contract();
    let mut text = std::fs::read_to_string(&path).expect("the contract can be read");
    for (from, to) in edits {
        assert_eq!(text.matches(from).count(), 1, "the contract has `{from}` once");
        text = text.replace(from, to);
    }
    let path = sandbox.write("contract.toml", text);
    configuration.set("firmware.contract", path_text(&path));
}
