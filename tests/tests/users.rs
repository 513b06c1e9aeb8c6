//! No user needs to be root: the path runs as an ordinary user.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};

use hilrig_core::exit;
use hilrig_core::verdict::Verdict;
use hilrig_tests::artifacts;
use hilrig_tests::machine::IsolatedMachine;
use hilrig_tests::record::Record;
use hilrig_tests::running::RunningProgram;
use hilrig_tests::sandbox::{Configuration, Sandbox, path_text};
use hilrig_tests::skip::skipped;
use hilrig_tests::usb::Adapter;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// `nobody` on Debian, as its base-passwd package sets it.
const NOBODY: u32 = 65534;

/// Copies a file to where another user can read it: a checkout may lie in a folder that is closed.
fn open_to_all(bench: &Sandbox, file: &Path, mode: u32) -> String {
    let name = file.file_name().unwrap();
    let copy = bench.path("home").join(name);
    std::fs::copy(file, &copy).unwrap();
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(mode)).unwrap();
    path_text(&copy)
}

#[test]
fn a_port_without_permission_is_reported_with_the_udev_rule_that_grants_it() {
    let bench = Sandbox::new();
    let Some(machine) = IsolatedMachine::new(&bench) else { return };
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let pty = PathBuf::from(ptsname(&master, Vec::new()).unwrap().into_string().unwrap());
    std::fs::set_permissions(&pty, std::fs::Permissions::from_mode(0o000)).unwrap();
    machine.usb.plug(&Adapter { serial: Some("A7"), ..Adapter::cp210x("ttyUSB0", "1") }, &pty);
    let desk = toml::toml! {
        name = "desk" kind = "esp8266" rig = "10.0.0.1" usb_serial = "A7"
    };
    let mut configuration = Configuration::new();
    let image = open_to_all(&bench, &artifacts::firmware(), 0o644);
    configuration.set("firmware.esp8266.image", image.as_str()).board(desk);
    bench.configure(&configuration);
    let hilrig = open_to_all(&bench, &artifacts::hilrig(), 0o755);
    for folder in ["", "home", "tmp"] {
        let all = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(bench.path(folder), all).unwrap();
    }
    let run = |arguments: &[&str]| {
        let all = [&[hilrig.as_str()], arguments].concat();
        RunningProgram::start(machine.command_of_ordinary_user(&all)).ended()
    };
    let rule = "SUBSYSTEM==\"tty\", ATTRS{idVendor}==\"10c4\", ATTRS{idProduct}==\"ea60\", GROUP=";
    let told = run(&["flash", "--board", "desk", image.as_str()]).with_code(exit::RIG_FAULT);
    told.saying("permission denied").saying(rule).saying("tools/60-hilrig.rules");
    run(&["boards"]).with_code(exit::PASSED).showing(rule);
    run(&["doctor"]).showing("ttyUSB0").showing(rule);
    bench.nothing_may_be_left();
}

#[test]
fn an_ordinary_user_runs_the_whole_path() {
    if !rustix::process::geteuid().is_root() {
        // Then every test of these suites is this one.
        skipped("not root, so all of the tests run as an ordinary user anyway");
        return;
    }
    let bench = Sandbox::new();
    let mut configuration = Configuration::new();
    configuration
        .set("firmware.contract", open_to_all(&bench, &artifacts::contract(), 0o644))
        .set("firmware.virtual.image", open_to_all(&bench, &artifacts::firmware(), 0o644))
        .set("virtual.boot_rom", open_to_all(&bench, &artifacts::boot_rom(), 0o644));
    bench.configure(&configuration);
    let hilrig = open_to_all(&bench, &artifacts::hilrig(), 0o755);
    // Root was here first, as on a bench that was set up by root.
    let all = std::fs::Permissions::from_mode(0o1777);
    std::fs::set_permissions(bench.path("tmp"), all).unwrap();
    bench.run(&["run", "--record", "roots-own"]).with_code(exit::PASSED);
    for folder in ["", "home"] {
        chown(bench.path(folder), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let as_nobody = |arguments: &[&str]| {
        let mut command = bench.command(&hilrig);
        command.args(arguments).uid(NOBODY).gid(NOBODY);
        RunningProgram::start(command).ended()
    };
    as_nobody(&["run", "--record", "out"]).with_code(exit::PASSED);
    let record = Record::open(&bench.path("out"));
    record.must_be_whole();
    assert_eq!(record.verdict("virtual-1").0, Verdict::Passed);
    bench.nothing_may_be_left();

    // A folder that is not theirs is reported before anything begins.
    std::fs::create_dir(bench.path("roots")).unwrap();
    as_nobody(&["run", "--record", "roots/out"]).with_code(exit::USAGE).saying("roots/out");
    bench.nothing_may_be_left();
}
