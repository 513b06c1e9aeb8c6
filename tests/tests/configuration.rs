//! A configuration that cannot be used is refused before anything is touched, with its place named.

use hilrig_core::exit;
use hilrig_tests::artifacts;
use hilrig_tests::redact;
use hilrig_tests::sandbox::{Configuration, Sandbox, path_text};

/// Runs with this text as the configuration; it must be refused.
#[track_caller]
fn refused(text: &str) -> String {
    let bench = Sandbox::new();
    bench.write("runner-config.toml", text);
    let ended = bench.run(&["run"]).with_code(exit::USAGE);
    assert_eq!(ended.stdout, "", "{ended}");
    bench.must_be_untouched();
    redact::output(&ended.stderr, &bench.path(""))
}

/// The configuration of a bench with some more lines.
fn with(lines: &str) -> String {
    format!("{}\n{lines}\n", Configuration::new().text())
}

/// The line that has `part`, counted from 1.
fn line_of(text: &str, part: &str) -> usize {
    text.lines().position(|line| line.contains(part)).expect("it is there") + 1
}

#[track_caller]
fn refused_at(text: &str, part: &str, says: &[&str]) {
    let said = refused(text);
    let place = format!("error: runner-config.toml:{}: ", line_of(text, part));
    assert!(said.starts_with(&place), "{said}does not begin with {place}");
    for words in says {
        assert!(said.contains(words), "`{words}` is not in: {said}");
    }
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    refused_at(
        &with("[record]\nfolder = \"x\""),
        "folder",
        &["unknown key `folder`", "folder = \"x\""],
    );
    refused_at(&with("[nonsense]"), "[nonsense]", &["unknown key `nonsense`"]);
    let text = Configuration::new().text().replace("[deadlines]", "[deadlines]\nbout = \"1 s\"");
    refused_at(&text, "bout", &["unknown key `bout`", "`boot`"]);
    refused_at(&with("[heap.floor]\nhandshakes = \"1 KiB\""), "handshakes", &["handshakes"]);
}

#[test]
fn a_wrong_type_is_named_with_its_line() {
    refused_at(&with("[record]\ndirectory = 7"), "directory", &["directory = 7", "string"]);
    let text = Configuration::new().text().replace("kind = \"process\"", "kind = \"cloud\"");
    refused_at(&text, "cloud", &["cloud", "`auto`"]);
    let text = Configuration::new().text().replace("schema = 1", "schema = \"1\"");
    refused_at(&text, "schema", &["schema"]);
}

#[test]
fn a_wrong_unit_is_named_with_its_line() {
    let deadline = |value: &str| {
        let mut configuration = Configuration::new();
        configuration.set("deadlines.boot", value);
        configuration.text()
    };
    for value in ["10", "10 sec", "ten s", "-1 s", "10 KiB", ""] {
        refused_at(&deadline(value), "boot = ", &["10 s"]);
    }
    for value in ["\"20 kb\"", "\"20\"", "20480", "\"-1 KiB\"", "\"99999999999999 MiB\""] {
        let text = with(&format!("[heap.floor]\npage = {value}"));
        refused_at(&text, "page = ", &["KiB"]);
    }
}

#[test]
fn a_rate_that_no_line_has_is_named_with_its_line() {
    let board =
        "[[board]]\nname = \"x\"\nkind = \"esp8266\"\nport = \"/dev/null\"\nrig = \"192.0.2.1\"";
    for key in ["baud", "rom_baud", "flash_baud"] {
        for rate in [0, 110, 5_000_001] {
            let text = with(&format!("{board}\n{key} = {rate}"));
            refused_at(
                &text,
                &format!("{key} = {rate}"),
                &[&format!("`{key}`"), "from 300 to 5000000 baud"],
            );
        }
    }
}

#[test]
fn values_that_do_not_fit_together_are_named() {
    let mut configuration = Configuration::new();
    configuration.set("deadlines.connect", "6 min");
    refused_at(&configuration.text(), "connect =", &["nest", "`connect`", "`board`"]);
    let text = Configuration::new().text().replace("schema = 1", "schema = 2");
    refused_at(&text, "schema = 2", &["schema 2", "reads 1"]);
    refused_at(&with("[[board]]\nname = \"a/b\"\nkind = \"virtual\""), "a/b", &["name"]);
    let twice = "[[board]]\nname = \"x\"\nkind = \"virtual\"\n";
    let said = refused(&with(&twice.repeat(2)));
    assert!(said.contains("two boards are named `x`"), "{said}");
    let said = refused(&with("[[board]]\nname = \"x\"\nkind = \"virtual\"\nport = \"/dev/null\""));
    assert!(said.contains("`control`"), "{said}");
    let said = refused(&with("[[board]]\nname = \"x\"\nkind = \"esp8266\"\nport = \"/dev/null\""));
    assert!(said.contains("`rig` is missing"), "{said}");
}

#[test]
fn what_is_no_toml_is_named_with_its_line() {
    refused_at(&with("[recor"), "[recor", &["[recor"]);
    let bench = Sandbox::new();
    bench.write("runner-config.toml", b"schema = \xff\n");
    bench.run(&["run"]).with_code(exit::USAGE).saying("runner-config.toml").saying("UTF-8");
    bench.must_be_untouched();
}

#[test]
fn a_missing_file_is_named_with_its_key() {
    let bench = Sandbox::new();
    let missing = |key: &str| {
        let mut configuration = Configuration::new();
        configuration.set(key, "nowhere/file");
        bench.configure(&configuration);
        let name = key.rsplit('.').next().unwrap();
        let line = line_of(&configuration.text(), &format!("{name} = \"nowhere/file\""));
        bench
            .run(&["run"])
            .with_code(exit::USAGE)
            .saying(&format!("runner-config.toml:{line}: `{key}`: there is no file nowhere/file"));
        bench.must_be_untouched();
    };
    missing("firmware.contract");
    missing("firmware.virtual.image");
    missing("virtual.boot_rom");

    bench
        .run(&["run", "--config", "none.toml"])
        .with_code(exit::USAGE)
        .saying("none.toml")
        .saying("hilrig init");
    bench.must_be_untouched();
}

#[test]
fn a_secret_that_is_not_set_is_named() {
    let bench = Sandbox::new();
    let mut configuration = Configuration::new();
    configuration.set("firmware.secrets.password", "HILRIG_TEST_NO_SUCH_VARIABLE");
    bench.configure(&configuration);
    bench
        .run(&["run"])
        .with_code(exit::USAGE)
        .saying("firmware.secrets.password")
        .saying("HILRIG_TEST_NO_SUCH_VARIABLE");
    bench.must_be_untouched();
}

#[test]
fn a_wrong_contract_is_named_with_its_line() {
    let contract = std::fs::read_to_string(artifacts::contract()).unwrap();
    let refused = |from: &str, to: &str, place: &str, says: &str| {
        assert!(contract.contains(from), "the contract has `{from}`");
        let text = contract.replacen(from, to, 1);
        let bench = Sandbox::new();
        bench.write("contract.toml", &text);
        let mut configuration = Configuration::new();
        configuration.set("firmware.contract", "contract.toml");
        bench.configure(&configuration);
        let line = line_of(&text, place);
        bench
            .run(&["run"])
            .with_code(exit::USAGE)
            .saying(&format!("contract.toml:{line}: "))
            .saying(says);
        bench.must_be_untouched();
    };
    refused("[http]", "[http]\npages = \"/x\"", "pages =", "pages");
    refused("payload = \"/?request={request}\"", "payload = 7", "payload =", "payload = 7");
    refused("connected = '^Attempting", "connected = '^(Attempting", "connected =", "unclosed");
    refused("(?P<ip>", "(?P<address>", "lines = [", "the group (?P<ip>...)");
}

#[test]
fn a_file_that_is_no_firmware_is_reported_as_what_it_is() {
    let image = std::fs::read(artifacts::firmware()).unwrap();
    let mut flipped = image.clone();
    // In the first segment's data: header 8, segment header 8.
    flipped[20] ^= 0x10;
    let elf = std::fs::read(artifacts::firmware_elf()).unwrap();
    let cases: [(&str, &[u8], &str); 8] = [
        ("empty", b"", "the file is empty"),
        ("header", &image[..5], "it ends at byte 5, inside the header"),
        ("truncated", &image[..image.len() / 1000], "it ends at byte"),
        ("flipped", &flipped, "the checksum is"),
        ("elf", &elf, "it is an ELF file"),
        ("page", b"<!DOCTYPE html>", "its first byte is 0x3c, not the magic 0xe9"),
        ("esp32", &[0xE9; 64], "the header has a count of 233 segments"),
        ("large", &vec![0xE9; 2 << 20], "do not fit the 1 MiB"),
    ];
    let bench = Sandbox::new();
    for (name, bytes, says) in cases {
        let file = bench.write(&format!("{name}.bin"), bytes);
        bench.configure(Configuration::new().image(&file));
        bench
            .run(&["run"])
            .with_code(exit::USAGE)
            .saying(&format!("{} is no firmware image for an ESP8266: ", path_text(&file)))
            .saying(says);
        bench.must_be_untouched();
    }
}

#[test]
fn a_wrong_command_line_is_refused() {
    let bench = Sandbox::new();
    let cases: [(&[&str], &str); 7] = [
        (&[], "Usage: hilrig <COMMAND>"),
        (&["walk"], "unrecognized subcommand 'walk'"),
        (&["run", "--virtual", "0"], "invalid value '0'"),
        (&["run", "--seed", "-1"], "-1"),
        (&["run", "--virtual", "2", "--board", "x"], "cannot be used with"),
        (&["run", "--broker", "cloud"], "possible values: auto, container, process"),
        (&["run", "--board", "x"], "is named `x`; there are: none"),
    ];
    for (arguments, says) in cases {
        bench.run(arguments).with_code(exit::USAGE).saying(says);
        bench.must_be_untouched();
    }
}
