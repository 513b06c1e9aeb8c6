use super::*;

const LEAST: &str =
    "schema = 1\n[firmware]\ncontract = \"c.toml\"\n[firmware.virtual]\nimage = \"f.bin\"\n";

fn parse(text: &str) -> Result<Config, FileError> {
    Config::parse(Path::new("bench/runner-config.toml"), text)
}

fn refused(more: &str) -> String {
    parse(&format!("{LEAST}{more}")).unwrap_err().to_string()
}

#[test]
fn the_least_configuration_is_one_virtual_board() {
    let config = parse(LEAST).unwrap();
    assert_eq!(config.virtual_.boards, 1);
    assert_eq!(config.firmware[&BoardKind::Virtual].path, Path::new("bench/f.bin"));
    assert_eq!(config.broker.kind, BrokerKind::Auto);
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let error = refused("[broker]\nimge = \"x\"\n");
    assert!(error.starts_with("bench/runner-config.toml:7: unknown field `imge`"), "{error}");
    assert!(error.contains("imge = \"x\""), "{error}");
}

#[test]
fn a_wrong_type_and_a_wrong_unit_are_named_with_their_line() {
    let error = refused("[virtual]\nboards = \"two\"\n");
    assert!(error.contains(":7: invalid type"), "{error}");
    let error = refused("[deadlines]\nboot = 10\n");
    assert!(error.contains(":7:") && error.contains("a time with its unit"), "{error}");
    let error = refused("[heap.floor]\nhandshake = \"20 KB\"\n");
    assert!(error.contains(":7:") && error.contains("`20 KB` is no size"), "{error}");
    let error = refused("[heap.floor]\nhandshak = \"20 KiB\"\n");
    assert!(error.contains(":7:") && error.contains("handshak"), "{error}");
}

#[test]
fn a_missing_file_is_named_with_key_and_line() {
    let config = parse(LEAST).unwrap();
    let error = config.firmware[&BoardKind::Virtual].needed(&config.path, "Build it.").to_string();
    assert!(
        error.contains(":5: `firmware.virtual.image`: there is no file bench/f.bin"),
        "{error}"
    );
    let error = config.virtual_.boot_rom.needed(&config.path, "Build it.").to_string();
    assert!(error.contains("runner-config.toml: `virtual.boot_rom`"), "{error}");
}

#[test]
fn deadlines_nest() {
    let error = refused("[deadlines]\nboard = \"5 s\"\n");
    assert!(
        error.contains(":7: deadlines nest: `flash` (60 s) must be shorter than `board` (5 s)"),
        "{error}"
    );
    let error = refused("[deadlines]\nrun = \"3 min\"\n");
    assert!(error.contains("`board` (180 s) must be shorter than `run` (180 s)"), "{error}");
}

#[test]
fn boards_are_checked() {
    let esp = "[firmware.esp8266]\nimage = \"e.bin\"\n";
    let error =
        refused("[[board]]\nname = \"a\"\nkind = \"esp8266\"\nport = \"p\"\nrig = \"10.0.0.1\"\n");
    assert!(error.contains("no [firmware.esp8266]"), "{error}");
    let error = refused(&format!("{esp}[[board]]\nname = \"a\"\nkind = \"esp8266\"\n"));
    assert!(error.contains("`port` is missing"), "{error}");
    let error = refused("[[board]]\nname = \"../a\"\nkind = \"virtual\"\n");
    assert!(error.contains(":7: a board's name"), "{error}");
    let error = refused(
        "[[board]]\nname = \"a\"\nkind = \"virtual\"\n[[board]]\nname = \"a\"\nkind = \"virtual\"\n",
    );
    assert!(error.contains("two boards are named `a`"), "{error}");
    let two = "[[board]]\nname = \"a\"\nkind = \"virtual\"\nport = \"p\"\ncontrol = \"c\"\n[[board]]\nname = \"b\"\nkind = \"virtual\"\nport = \"p\"\ncontrol = \"d\"\n";
    assert!(refused(two).contains("on the same port"));
}
