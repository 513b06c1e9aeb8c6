//! Chips of the ESP32 family, end to end: the binary flashes them on a port that answers as their
//! ROM does, and that port is compared with Espressif's own tool.

#[path = "../../harness/boards/tests/esp32_rom/mod.rs"]
mod esp32_rom;
#[path = "../../harness/boards/tests/rom/mod.rs"]
mod rom;

use std::path::{Path, PathBuf};
use std::time::Duration;

use esp32_rom::elf::{self, RISCV, XTENSA};
use esp32_rom::{DATA, Esp32Chip, Esp32Rom, Esp32Trick, Kind, MAC, OLD};
use hilrig_core::exit;
use hilrig_tests::artifacts::esptool;
use hilrig_tests::running::{EndedProgram, RunningProgram};
use hilrig_tests::sandbox::{Configuration, Sandbox, path_text};
use rustix::process::Signal;

/// The board as a configuration has it.
fn board(rom: &Esp32Rom, kind: &str) -> toml::Table {
    let mut board = toml::Table::new();
    for (key, value) in [
        ("name", "c3"),
        ("kind", kind),
        ("port", path_text(&rom.port).as_str()),
        ("lines", "none"),
        ("rig", "127.0.0.1"),
    ] {
        board.insert(key.into(), value.into());
    }
    board
}

fn firmware(bench: &Sandbox, machine: u16, text: usize) -> PathBuf {
    bench.write("firmware.elf", elf::firmware(machine, text, 1))
}

/// What Espressif's tool makes of the ELF file, for the revisions of the chip that `header` names:
/// espflash takes them from its second-stage loader, the tool from its arguments.
fn elf2image(bench: &Sandbox, tool: &Path, chip: &str, header: &[u8]) -> Vec<u8> {
    let half = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]).to_string();
    let mut command = bench.command(tool);
    command.args(["--chip", chip, "elf2image", "--flash-mode", "dio", "--flash-freq", "40m"]);
    command.args(["--flash-size", "4MB", "--elf-sha256-offset", "0xb0"]);
    command.args(["--min-rev", &header[14].to_string()]);
    command.args(["--min-rev-full", &half(15), "--max-rev-full", &half(17)]);
    command.args(["--output", "theirs.bin", "firmware.elf"]);
    RunningProgram::start(command).ended().with_code(0);
    std::fs::read(bench.path("theirs.bin")).unwrap()
}

fn flash(bench: &Sandbox, rom: &Esp32Rom, kind: &str) -> EndedProgram {
    let port = path_text(&rom.port);
    bench.run(&["flash", "--port", &port, "--kind", kind, "firmware.elf"])
}

#[test]
fn a_board_of_the_configuration_is_flashed_from_an_elf_file() {
    let bench = Sandbox::new();
    let rom = Esp32Rom::start(Kind::Esp32c3, Esp32Trick::None);
    let mut configuration = Configuration::new();
    let elf = firmware(&bench, RISCV, 20_000);
    configuration.set("firmware.esp32c3.image", path_text(&elf));
    let mut board = board(&rom, "esp32c3");
    board.insert("mac".into(), MAC.into());
    configuration.board(board);
    bench.configure(&configuration);
    let ended = bench.run(&["flash", "--board", "c3"]).with_code(exit::PASSED);
    assert!(ended.stdout.contains("flashed "), "{ended}");
    let chip = rom.off();
    assert!(chip.complaints.is_empty(), "{:?}", chip.complaints);
    let code = elf::noise(20_000, 1);
    assert!(chip.flash.windows(code.len()).any(|window| window == code));
    bench.nothing_may_be_left();
}

#[test]
fn the_wrong_chip_and_the_wrong_file_are_named_and_nothing_is_written() {
    let bench = Sandbox::new();
    let untouched = |chip: Esp32Chip| assert!(chip.flash.iter().all(|byte| *byte == OLD));
    let rom = Esp32Rom::start(Kind::Esp32s3, Esp32Trick::None);
    firmware(&bench, RISCV, 5000);
    flash(&bench, &rom, "esp32c3")
        .with_code(exit::RIG_FAULT)
        .saying("it is an esp32s3, the configuration says esp32c3")
        .saying("Nothing was written");
    // The firmware's machine is none of the named chip's: the board is not even asked.
    flash(&bench, &rom, "esp32s3").with_code(exit::USAGE).saying("Xtensa");
    untouched(rom.off());
    bench.nothing_may_be_left();
}

#[test]
fn a_flashing_that_is_interrupted_leaves_nothing() {
    let bench = Sandbox::new();
    let rom = Esp32Rom::start(Kind::Esp32c3, Esp32Trick::Late(DATA, Duration::from_millis(30)));
    firmware(&bench, RISCV, 200_000);
    let port = path_text(&rom.port);
    let running = bench.start(&["flash", "--port", &port, "--kind", "esp32c3", "firmware.elf"]);
    rom.wait_written(20);
    running.signal(Signal::INT);
    running.ended().with_code(exit::RIG_FAULT).saying("only a part of the image");
    bench.nothing_may_be_left();
    let chip = rom.off();
    assert!(chip.written >= 20 && chip.written < 200_000 / 0x400, "{}", chip.written);
}

#[test]
fn the_flash_holds_what_the_vendors_tool_makes_of_the_same_file() {
    let Some(tool) = esptool() else { return };
    for (kind, machine, name) in [(Kind::Esp32c3, RISCV, "esp32c3"), (Kind::Esp32, XTENSA, "esp32")]
    {
        let bench = Sandbox::new();
        let rom = Esp32Rom::start(kind, Esp32Trick::None);
        firmware(&bench, machine, 20_000);
        flash(&bench, &rom, name).with_code(exit::PASSED);
        let chip = rom.off();
        let theirs = elf2image(&bench, &tool, name, &chip.flash[0x10000..]);
        let ours = &chip.flash[0x10000..0x10000 + theirs.len()];
        let differing: Vec<usize> =
            (0..theirs.len()).filter(|at| ours[*at] != theirs[*at]).collect();
        assert!(theirs.len() > 20_000 && differing.is_empty(), "{name} differs at {differing:x?}");
        // The second-stage loader: one of that chip whose checksum and digest the tool finds right.
        let start = if kind == Kind::Esp32 { 0x1000 } else { 0 };
        bench.write("second.bin", &chip.flash[start..0x8000]);
        let mut command = bench.command(&tool);
        command.args(["--chip", name, "image-info", "second.bin"]);
        let info = RunningProgram::start(command).ended().with_code(0);
        info.showing("(valid)").showing("Flash size: 4MB");
    }
}

#[test]
fn the_vendors_tool_takes_the_fake_for_the_chip() {
    let Some(tool) = esptool() else { return };
    for (kind, name, words) in
        [(Kind::Esp32c3, "esp32c3", "ESP32-C3"), (Kind::Esp32, "esp32", "ESP32-D0")]
    {
        let bench = Sandbox::new();
        let rom = Esp32Rom::start(kind, Esp32Trick::None);
        let port = path_text(&rom.port);
        let run = |arguments: &[&str]| {
            let mut command = bench.command(&tool);
            command.args(["--port", &port, "--before", "no-reset", "--after", "no-reset"]);
            command.arg("--no-stub").args(arguments);
            RunningProgram::start(command).ended().with_code(0)
        };
        run(&["--chip", name, "read-mac"]).showing(words).showing(MAC);
        run(&["--chip", name, "flash-id"]).showing("4MB");
        let data = elf::noise(10_000, 3);
        bench.write("data.bin", &data);
        run(&["--chip", name, "write-flash", "0x10000", "data.bin"])
            .showing("Hash of data verified");
        let chip = rom.off();
        assert!(chip.complaints.is_empty(), "{:?}", chip.complaints);
        assert_eq!(chip.flash[0x10000..0x10000 + data.len()], data);
        assert!(chip.flash[0x10000 + 12288..].iter().all(|byte| *byte == OLD));
    }
}
