//! What a run goes by is read and refused through the public API, before a board is touched.

use std::fs;
use std::path::{Path, PathBuf};

use hilrig::attach::{BoardName, Rates, named};
use hilrig::load::{self, BoardSelection, RunInputs, ScenarioSelection};
use hilrig::recorded::RunId;
use hilrig::{Error, RunRequest, StopRequest, run_recorded};
use hilrig_core::config::{BoardKind, Config};
use hilrig_core::exit;
use hilrig_core::scenario::{Length, Scenario};
use hilrig_core::units::Span;

const CONTRACT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../firmware/contract.toml");

/// A folder with a configuration of the bundled contract, these further lines, and no image.
struct Sandbox {
    folder: tempfile::TempDir,
}

impl Sandbox {
    fn new(more: &str) -> Sandbox {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "schema = 1\n[firmware]\ncontract = \"{CONTRACT}\"\n[firmware.virtual]\nimage = \"none.bin\"\n{more}"
        );
        fs::write(folder.path().join("runner-config.toml"), text).unwrap();
        Sandbox { folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("runner-config.toml")
    }

    fn config(&self) -> Config {
        load::config(&self.file()).unwrap()
    }
}

#[track_caller]
fn refused<T>(result: Result<T, Error>, says: &[&str]) {
    let Err(error) = result else { panic!("it was not refused") };
    assert_eq!(error.exit_code(), exit::USAGE, "{error}");
    for part in says {
        assert!(error.message().contains(part), "{part}: {error}");
    }
}

const TWO_BOARDS: &str =
    "[[board]]\nname = \"a\"\nkind = \"virtual\"\n[[board]]\nname = \"b\"\nkind = \"virtual\"\n";

#[test]
fn a_missing_configuration_says_how_to_get_one() {
    let missing = Path::new("no-such-folder/runner-config.toml");
    refused(load::config(missing), &["no-such-folder/runner-config.toml", "hilrig init"]);
}

#[test]
fn a_port_that_depends_on_plugging_order_is_refused() {
    let bench = Sandbox::new(
        "[firmware.esp8266]\nimage = \"none.bin\"\n[[board]]\nname = \"desk\"\nkind = \"esp8266\"\nport = \"/dev/ttyUSB77\"\nhttp = \"192.0.2.1:80\"\nrig = \"192.0.2.2\"\n",
    );
    refused(load::config(&bench.file()), &["board `desk`", "order of plugging", "usb_serial"]);
}

#[test]
fn boards_are_selected_by_name_or_replaced_by_virtual_ones() {
    let config = Sandbox::new(TWO_BOARDS).config();
    let names = |selection: &BoardSelection| -> Vec<String> {
        let chosen = load::choose(&config, selection).unwrap();
        chosen.into_iter().map(|board| board.name).collect()
    };
    assert_eq!(names(&BoardSelection::default()), ["a", "b"]);
    assert_eq!(names(&BoardSelection::named("b")), ["b"]);
    assert_eq!(names(&BoardSelection::virtual_boards(1)), ["virtual-1"]);
    let unknown = load::choose(&config, &BoardSelection::named("c"));
    refused(unknown, &["named `c`", "there are: a, b"]);
}

#[test]
fn a_board_that_only_exists_in_a_run_cannot_be_named() {
    let bench = Sandbox::new(TWO_BOARDS);
    let name = BoardName::Configured("a".into());
    let board = named(&bench.file(), &name, Rates::default()).map(|(_, kind)| kind);
    refused(board, &["board `a`", "hilrig virtual-board"]);
}

#[test]
fn a_missing_image_or_contract_is_named_with_its_key() {
    let bench = Sandbox::new("");
    let config = bench.config();
    let contract = load::contract(&config).unwrap();
    let image = load::image(&config, &contract, BoardKind::Virtual);
    refused(image, &["firmware.virtual.image", "none.bin", "make firmware"]);
    let image = load::image(&config, &contract, BoardKind::Lm3s6965);
    refused(image, &["[firmware.lm3s6965]"]);

    let text = fs::read_to_string(bench.file()).unwrap().replace(CONTRACT, "none.toml");
    fs::write(bench.file(), text).unwrap();
    refused(load::contract(&bench.config()), &["firmware.contract", "none.toml"]);
}

#[test]
fn a_missing_heap_tracing_image_is_named_with_its_key() {
    let bench = Sandbox::new("");
    let inputs = RunInputs::read(bench.config(), &BoardSelection::default(), true);
    refused(inputs.map(drop), &["`firmware.virtual.callers`", "heap-tracing image"]);
}

#[test]
fn an_unreadable_baseline_is_refused_before_there_is_a_record() {
    let bench = Sandbox::new("");
    fs::write(bench.folder.path().join("heap-baseline.toml"), "garbage").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let run = runtime.block_on(async {
        run_recorded(&RunRequest::new(bench.file()), &StopRequest::never()).await
    });
    refused(run.map(|finished| finished.code), &["heap-baseline.toml"]);
    assert!(!bench.folder.path().join("hilrig-records").exists());
}

#[test]
fn each_scenario_runs_once_with_the_requested_length() {
    let config = Sandbox::new("").config();
    let contract = load::contract(&config).unwrap();
    let selection = ScenarioSelection {
        scenarios: vec![Scenario::Page, Scenario::Soak, Scenario::Page],
        steps: Some(7),
        soak: Some(Span::parse("3 s").unwrap()),
    };
    let asked = load::scenarios(&selection, &config, &contract).unwrap();
    let lengths: Vec<Length> = asked.iter().map(|asked| asked.length).collect();
    assert!(
        matches!(lengths[..], [Length::Steps(7), Length::For(time)] if time.as_secs() == 3),
        "{lengths:?}"
    );
}

#[test]
fn a_scenario_that_the_contract_does_not_describe_is_refused() {
    let config = Sandbox::new("").config();
    let mut contract = load::contract(&config).unwrap();
    contract.largest_publish = None;
    let selection =
        ScenarioSelection { scenarios: vec![Scenario::Payload], ..ScenarioSelection::default() };
    let asked = load::scenarios(&selection, &config, &contract);
    refused(asked.map(drop), &["contract.toml", "payload", "mqtt.largest_publish"]);
}

#[test]
fn a_secret_that_is_not_set_is_named_with_its_variable() {
    let bench = Sandbox::new("[firmware.secrets]\npassword = \"HILRIG_TEST_NO_SUCH_VARIABLE\"\n");
    let settings = load::settings(&bench.config());
    refused(settings, &["firmware.secrets.password", "HILRIG_TEST_NO_SUCH_VARIABLE"]);
}

#[test]
fn run_ids_sort_by_time_and_differ() {
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = [(); 2].map(|()| RunId::new(folder.path()));
    assert_ne!(one.as_str(), other.as_str());
    assert_eq!(one.as_str().len(), "20261122-101112-0123abcd".len());
}
