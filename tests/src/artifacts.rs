//! What was built before the tests.

use std::path::{Path, PathBuf};

use crate::skip::skipped;

fn built(path: PathBuf, command: &str) -> PathBuf {
    assert!(
        path.is_file(),
        "there is no {}, which this test runs. Build it with `{command}`; `make test` does so first",
        path.display()
    );
    path
}

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn firmware_file(path: &str, command: &str) -> PathBuf {
    let path = built(in_repository(path), command);
    path.canonicalize().expect("the file is there")
}

/// The binary `hilrig`, from the same build as this test.
pub fn hilrig() -> PathBuf {
    // target/debug/deps/path-0123456789abcdef
    let test = std::env::current_exe().expect("a test knows its own executable");
    let folder = test.parent().and_then(Path::parent).expect("a test lies in deps/");
    built(folder.join("hilrig"), "cargo build -p hilrig-cli")
}

/// An example of the library `hilrig`, from the same build as this test.
pub fn example(name: &str) -> PathBuf {
    let folder = hilrig().with_file_name("examples");
    built(folder.join(name), "cargo build -p hilrig --examples")
}

/// The virtual board's firmware.
pub fn firmware() -> PathBuf {
    firmware_file("firmware/build/virtual/firmware.bin", "make firmware")
}

/// The same with a fault built in.
pub fn faulty_firmware(fault: &str) -> PathBuf {
    firmware_file(&format!("firmware/build/faults/{fault}/firmware.bin"), "make faults")
}

/// The firmware that keeps who holds the heap.
pub fn callers_firmware() -> PathBuf {
    firmware_file("firmware/build/callers/firmware.bin", "make firmware")
}

/// The same with a fault built in.
pub fn callers_faulty_firmware(fault: &str) -> PathBuf {
    firmware_file(&format!("firmware/build/callers-faults/{fault}/firmware.bin"), "make faults")
}

/// The firmware as an ELF file, which no board boots.
pub fn firmware_elf() -> PathBuf {
    firmware_file("firmware/build/virtual/firmware.elf", "make firmware")
}

/// BearSSL's own command line, from the sources that the firmware is built of.
pub fn brssl() -> PathBuf {
    firmware_file("firmware/build/host-tests/brssl", "make -C firmware brssl")
}

/// The LM3S6965's firmware.
pub fn arm_firmware() -> PathBuf {
    firmware_file("firmware/build/lm3s6965/firmware.elf", "make firmware-arm")
}

/// The same with a fault built in.
pub fn faulty_arm_firmware(fault: &str) -> PathBuf {
    let path = format!("firmware/build/lm3s6965-faults/{fault}/firmware.elf");
    firmware_file(&path, "make faults")
}

/// The replacement for the chip's boot ROM.
pub fn boot_rom() -> PathBuf {
    firmware_file("firmware/build/virtual/bootrom.elf", "make firmware")
}

/// The contract: what the firmware prints and replies.
pub fn contract() -> PathBuf {
    in_repository("firmware/contract.toml")
        .canonicalize()
        .expect("the contract is in the repository")
}

/// The vendor's own tool: `esptool` or `esptool.py` on PATH, or as HILRIG_ESPTOOL names it.
pub fn esptool() -> Option<PathBuf> {
    let named = std::env::var_os("HILRIG_ESPTOOL").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = named.or_else(|| {
        let folders = std::env::split_paths(&path);
        let names = folders.flat_map(|dir| ["esptool", "esptool.py"].map(|name| dir.join(name)));
        names.into_iter().find(|tool| tool.is_file())
    });
    if found.is_none() {
        skipped("no esptool on PATH, and HILRIG_ESPTOOL names none (`pip install esptool`)");
    }
    found
}
