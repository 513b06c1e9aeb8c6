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
    assert_eq!(config.firmware[&BoardKind::Virtual].image.path, Path::new("bench/f.bin"));
    assert_eq!(config.broker.kind, BrokerKind::Auto);
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let error = refused("[broker]\nimge = \"x\"\n");
    assert!(error.starts_with("bench/runner-config.toml:7: unknown key `imge`"), "{error}");
    assert!(error.contains("imge = \"x\"") && error.contains("mean `image`?"), "{error}");
}

#[test]
fn a_wrong_type_and_a_wrong_unit_are_named_with_their_line() {
    let error = refused("[virtual]\nboards = \"two\"\n");
    assert!(
        error.contains(":7: `virtual.boards`: found string \"two\", expected a whole number"),
        "{error}"
    );
    let error = refused("[deadlines]\nboot = 10\n");
    assert!(error.contains(":7:") && error.contains("a time with its unit"), "{error}");
    let error = refused("[heap.floor]\nhandshake = \"20 KB\"\n");
    assert!(error.contains(":7:") && error.contains("`20 KB` is no size"), "{error}");
    let error = refused("[heap.floor]\nhandshak = \"20 KiB\"\n");
    assert!(error.contains(":7:") && error.contains("handshak"), "{error}");
}

#[test]
fn all_errors_of_a_file_are_reported_at_once() {
    let error = refused(
        "[broker]\nimge = \"x\"\nport = 0\n[deadlines]\nboot = \"10\"\nconnect = \"5 min\"\n[[board]]\nname = \"a\"\nkind = \"virtual\"\n[[board]]\nname = \"a\"\nkind = \"virtual\"\n[[board]]\nname = \"/\"\nkind = \"virtual\"\n[[board]]\nname = \"b\"\nkind = \"virtal\"\n[[board]]\nkind = \"virtual\"\n[[board]]\nname = \"c\"\nkind = \"esp8266\"\nport = \"p\"\nrig = \"10.0.0.1\"\n",
    );
    let places: Vec<&str> = error.lines().filter(|line| line.starts_with("bench/")).collect();
    let says = [
        (":7: ", "did you mean `image`"),
        (":8: ", "port 0"),
        (":10: ", "`10` is no time"),
        (":15: ", "two boards are named `a`"),
        (":19: ", "a board's name"),
        (":23: ", "did you mean `virtual`"),
        (":24: ", "`board.name` is missing"),
        (":26: ", "no [firmware.esp8266]"),
    ];
    assert_eq!(places.len(), says.len(), "{error}");
    for (place, (line, words)) in places.iter().zip(says) {
        assert!(place.contains(line) && place.contains(words), "{line}{words}: {error}");
    }
}

#[test]
fn a_missing_file_is_named_with_key_and_line() {
    let config = parse(LEAST).unwrap();
    let error =
        config.firmware[&BoardKind::Virtual].image.needed(&config.path, "Build it.").to_string();
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
    assert!(error.contains("no key says which port it is on"), "{error}");
    let error = refused("[[board]]\nname = \"../a\"\nkind = \"virtual\"\n");
    assert!(error.contains(":7: a board's name"), "{error}");
    let error = refused(
        "[[board]]\nname = \"a\"\nkind = \"virtual\"\n[[board]]\nname = \"a\"\nkind = \"virtual\"\n",
    );
    assert!(error.contains("two boards are named `a`"), "{error}");
    let two = "[[board]]\nname = \"a\"\nkind = \"virtual\"\nport = \"p\"\ncontrol = \"c\"\n[[board]]\nname = \"b\"\nkind = \"virtual\"\nport = \"p\"\ncontrol = \"d\"\n";
    assert!(refused(two).contains("on the same port"));
}

const ESP: &str = "[firmware.esp8266]\nimage = \"e.bin\"\n";

fn esp(keys: &str) -> String {
    format!("{ESP}[[board]]\nname = \"a\"\nkind = \"esp8266\"\nrig = \"10.0.0.1\"\n{keys}")
}

#[test]
fn a_board_is_named_by_what_stays() {
    let text = format!("{LEAST}{}", esp("usb_serial = \"0001\"\nposition = \"usb-1\"\n"));
    let Attached::Serial { port, lines } = parse(&text).unwrap().boards[0].attached.clone() else {
        panic!("not on a serial port")
    };
    assert_eq!(port.usb_serial.as_deref(), Some("0001"));
    assert_eq!(port.position.as_deref(), Some("usb-1"));
    assert_eq!((port.path, lines), (None, LinesKind::DtrRts));
    parse(&format!("{LEAST}{}", esp("mac = \"18:fe:34:a2:66:29\"\n"))).unwrap();
    let twice = esp("usb_serial = \"0001\"\n") + &esp("usb_serial = \"0001\"\n")[ESP.len()..];
    let twice = twice.replacen("name = \"a\"", "name = \"b\"", 1);
    assert!(refused(&twice).contains("`b` and `a` are on the same port"));
}

#[test]
fn keys_of_another_kind_of_board_are_refused() {
    let error = refused(&esp("port = \"p\"\nchip = \"STM32\"\n"));
    assert!(error.contains("`chip` is for boards of the kind \"probe\""), "{error}");
    let error = refused("[[board]]\nname = \"a\"\nkind = \"virtual\"\nposition = \"x\"\n");
    assert!(error.contains(":9: board `a`: `position` is for boards on a USB"), "{error}");
    let arm = "[firmware.probe]\nimage = \"a.elf\"\n[[board]]\nname = \"a\"\nkind = \"probe\"\n";
    assert!(refused(arm).contains("`chip` is missing"));
}

#[test]
fn a_power_line_is_one_of_four() {
    let power = |keys: &str| esp(&format!("port = \"p\"\n[board.power]\n{keys}"));
    let line = |keys: &str| {
        let config = parse(&format!("{LEAST}{}", power(keys))).unwrap();
        config.boards[0].power.clone().unwrap()
    };
    let hub = line("hub = \"1-1\"\nport = 2\noff_time = \"3 s\"\n");
    assert_eq!(hub.line, PowerLine::Hub { hub: "1-1".into(), port: 2 });
    assert_eq!(hub.off_time, Duration::from_secs(3));
    let tasmota = line("tasmota = \"http://10.0.0.2\"\n").line;
    assert_eq!(tasmota, PowerLine::Tasmota { url: "http://10.0.0.2".into(), relay: 1 });
    assert!(refused(&power("hub = \"1-1\"\n")).contains("a power line is one of"));
    let both = refused(&power("hub = \"1-1\"\nport = 2\non = \"x\"\noff = \"y\"\n"));
    assert!(both.contains("a power line is one of"), "{both}");
}

#[test]
fn a_power_line_is_one_thing_and_holds_no_password() {
    let board = |name: &str, power: &str| {
        format!(
            "[[board]]\nname = \"{name}\"\nkind = \"virtual\"\nport = \"{name}\"\ncontrol = \"c\"\n[board.power]\n{power}\n"
        )
    };
    let tasmota = "tasmota = \"http://relay\"";
    let login = format!("{tasmota}\nuser = \"admin\"\npassword_env = \"RELAY\"");
    let config = parse(&format!("{LEAST}{}", board("a", &login))).unwrap();
    let power = config.boards[0].power.as_ref().unwrap();
    assert_eq!(power.password_env.as_deref(), Some("RELAY"));
    assert_eq!(power.off_time, Duration::from_secs(2));
    for (power, says) in [
        ("hub = \"1-1\"", "a power line is one of"),
        ("hub = \"1-1\"\nport = 0", "counted from 1"),
        ("tasmota = \"https://relay\"", "begins with `http://`"),
        ("tasmota = \"http://admin:pw@relay\"", "holds no password"),
        ("tasmota = \"http://relay\"\nuser = \"admin\"", "belong together"),
        ("on = \"a\"\noff = \"b\"\nuser = \"u\"\npassword_env = \"P\"", "are for relays"),
    ] {
        let error = refused(&board("a", power));
        assert!(error.contains(says), "{error}");
        assert!(!error.contains("admin:pw"), "{error}");
    }
    let error = refused(&(board("a", tasmota) + &board("b", tasmota)));
    assert!(error.contains("`a` and `b` have the same power line"), "{error}");
}

#[test]
fn what_a_certification_requires_is_read_and_every_wrong_name_is_named_with_its_line() {
    let config = parse(&format!(
        "{LEAST}[certify.require]\ncases = [\"mfln\", \"resumption\"]\nheap = \"36 KiB\"\nhandshake_seconds = \"2 s\"\n",
    ))
    .unwrap();
    let require: Vec<String> = config.require.iter().map(ToString::to_string).collect();
    assert_eq!(require, ["mfln", "resumption", "heap >= 36864 B", "handshake_seconds <= 2 s"]);
    assert!(parse(LEAST).unwrap().require.is_empty());

    let names = "\"mfl\",\n\"heap>=1KiB\",\n\"resumtion\"";
    let error = refused(&format!("[certify.require]\ncases = [\n{names}\n]\n"));
    for found in [
        "bench/runner-config.toml:8: `certify.require.cases`:\n",
        "line 8: `mfl` is no case and no short name of cases (did you mean `mfln`?)",
        "line 9: `heap>=1KiB` is no case; write it as the key `heap`",
        "line 10: `resumtion` is no case and no short name of cases (did you mean `resumption`?)",
    ] {
        assert!(error.contains(found), "{found}: {error}");
    }
    assert!(refused("[certify.require]\nheap = \"36 KB\"\n").contains("is no size"));
    assert!(refused("[certify.require]\nheep = \"36 KiB\"\n").contains("heep"));
}

#[test]
fn a_kind_has_floors_of_its_own_beside_those_of_all() {
    let own = "[firmware.esp8266]\nimage = \"e.bin\"\nfloor = { handshake = \"12 KiB\" }\n\
               [heap.floor]\nboot = \"40 KiB\"\nhandshake = \"36 KiB\"\n";
    let config = parse(&format!("{LEAST}{own}")).unwrap();
    let of = |kind, phase| config.floors_of(kind)[&phase];
    assert_eq!(of(BoardKind::Virtual, HeapPhase::Handshake), 36 * 1024);
    assert_eq!(of(BoardKind::Esp8266, HeapPhase::Handshake), 12 * 1024);
    assert_eq!(of(BoardKind::Esp8266, HeapPhase::Boot), 40 * 1024);
}

#[test]
fn a_wrong_floor_of_a_kind_is_named_with_its_line() {
    let error =
        refused("[firmware.esp8266]\nimage = \"e.bin\"\nfloor = { handshak = \"1 KiB\" }\n");
    assert!(error.contains(":8:") && error.contains("handshak"), "{error}");
    let error = refused("[firmware.esp8266]\nimage = \"e.bin\"\nfloor = { boot = \"1 KB\" }\n");
    assert!(error.contains(":8:") && error.contains("`1 KB` is no size"), "{error}");
}
