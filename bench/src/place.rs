//! Where things are, and what they are measured on.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace.
pub fn workspace() -> &'static Path {
    let bench = Path::new(env!("CARGO_MANIFEST_DIR"));
    bench.parent().unwrap_or(bench)
}

/// A file that `make firmware` builds.
pub fn firmware(name: &str) -> Result<PathBuf, String> {
    let path = workspace().join("firmware/build/virtual").join(name);
    match path.is_file() {
        true => Ok(path),
        false => Err(format!("there is no {}; `make firmware` builds it", path.display())),
    }
}

/// An image with a known fault, which `make faults` builds.
pub fn fault(name: &str) -> Result<PathBuf, String> {
    let path = workspace().join("firmware/build/faults").join(name).join("firmware.bin");
    match path.is_file() {
        true => Ok(path),
        false => Err(format!("there is no {}; `make faults` builds it", path.display())),
    }
}

/// The binary that people run, built as they build it, so that nothing old is measured.
pub fn hilrig() -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--quiet", "--package", "hilrig-cli"])
        .current_dir(workspace())
        .status()
        .map_err(|error| format!("running cargo to build hilrig: {error}"))?;
    let own = std::env::current_exe().map_err(|error| format!("finding hilrig: {error}"))?;
    let hilrig = own.with_file_name("hilrig");
    match built.success() && hilrig.is_file() {
        true => Ok(hilrig),
        false => Err(format!(
            "hilrig was not built as {}; run this by `cargo run --release --package hilrig-bench`",
            hilrig.display()
        )),
    }
}

/// The machine in a line.
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let name = name.map_or("an unknown CPU", |(_, name)| name);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?");
    format!("{cores} cores, {name}, Linux {}, load at the start {load}", kernel.trim())
}
