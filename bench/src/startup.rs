//! How long hilrig takes to begin, and to say that it cannot.

use std::path::Path;
use std::process::Command;

use crate::figures::{Figures, Unit};
use crate::process::measured;
use crate::table::{Against, Table, TableRow};

/// Seconds.
const AIM: f64 = 0.020;

/// `hilrig --version`, and runs that end with their configuration.
pub fn startup(hilrig: &Path, runs: usize) -> Result<Table, String> {
    let dir = tempfile::tempdir().map_err(|error| format!("making a folder: {error}"))?;
    let unknown = dir.path().join("unknown-key.toml");
    let text = std::fs::read_to_string(crate::place::workspace().join("runner-config.toml"));
    let text = text.map_err(|error| format!("reading runner-config.toml: {error}"))?;
    std::fs::write(&unknown, format!("{text}\n[unknown]\nkey = 1\n"))
        .map_err(|error| format!("writing {}: {error}", unknown.display()))?;
    let missing = dir.path().join("missing.toml");

    let times = |code: i32, command: &dyn Fn() -> Command| -> Result<Figures, String> {
        (0..runs)
            .map(|_| {
                let usage = measured(&mut command()).map_err(|error| error.to_string())?;
                match usage.code == Some(code) {
                    true => Ok(usage.wall),
                    false => Err(format!("exit code {:?}: {}", usage.code, usage.stderr)),
                }
            })
            .collect()
    };
    let floor = times(0, &|| Command::new("true"))?.median();
    let run = |config: &Path| {
        let mut command = Command::new(hilrig);
        command.arg("run").arg("--config").arg(config);
        command
    };
    let mut table = Table::of_rows("Start-up");
    let mut row = |what, figures: Figures| {
        table.row(TableRow {
            what,
            figures,
            unit: Unit::Seconds,
            aim: Against::Below(AIM),
            floor: Some(floor),
            note: "floor: the program `true`, started and waited for alike",
        });
    };
    row(
        "hilrig --version",
        times(0, &|| {
            let mut command = Command::new(hilrig);
            command.arg("--version");
            command
        })?,
    );
    row("a run with an unknown key", times(2, &|| run(&unknown))?);
    row("a run without a configuration", times(2, &|| run(&missing))?);
    Ok(table)
}
