//! Whether what costs heap is found, and whether nothing else is: images with a known regression, and
//! runs without one.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use hilrig_report::{EVENTS, RunModel, read_events};

use crate::place;
use crate::table::Table;

/// Boots of one `hilrig heap check`, its default.
const BOOTS: usize = 5;
/// Reconnects of the run that looks for a leak.
const RECONNECTS: &str = "20";

/// A planted regression that `hilrig heap check` is to find: its image, what it does, and where the
/// check must name it.
const PLANTED: [(&str, &str, &str, &str); 3] = [
    ("LARGER_CA", "a buffer 512 B larger while a CA is taken", "page", "lowest free"),
    ("LARGER_BUFFER", "a buffer 512 B larger in the handshake", "handshake", "lowest free"),
    ("ONE_MORE_FRAGMENT", "one more fragment from the handshake on", "handshake", "largest block"),
];

const NOTE: &str =
    "each of 5 boots against a baseline of 5; named: every figure that the check names";
const LEAK_NOTE: &str = "hilrig run --scenario reconnect --count 20: slope and its 99 % interval";

/// The table; `quiet` is the number of checks of the firmware against itself.
pub fn regressions(hilrig: &Path, quiet: usize) -> Result<Table, String> {
    let folder = tempfile::tempdir().map_err(|error| format!("making a folder: {error}"))?;
    let bench = RunFolder { hilrig, folder: folder.path() };
    let sound = place::firmware("firmware.bin")?;
    bench.configure(&sound)?;
    bench.run(&["heap", "accept"], &[0])?;

    let head = ["", "runs", "where it is", "named", "found"];
    let mut table = Table::new("Heap regressions, planted and none", &head);
    for (fault, what, phase, figure) in PLANTED {
        bench.configure(&place::fault(fault)?)?;
        let named = bench.check()?;
        let found = named.iter().any(|(p, f)| (p.as_str(), f.as_str()) == (phase, figure));
        let words: Vec<String> = named.iter().map(|(p, f)| format!("{p} {f}")).collect();
        let words = if words.is_empty() { "nothing".into() } else { words.join(", ") };
        let cells = [what, &BOOTS.to_string(), &format!("{phase} {figure}"), &words, yes(found)];
        table.cells(cells.map(String::from).into(), NOTE);
    }

    bench.configure(&place::fault("LEAK_ON_RECONNECT")?)?;
    let (passed, words) = bench.leak()?;
    let cells = ["a leak of 64 B a reconnect", RECONNECTS, "reconnect", &words, yes(!passed)];
    table.cells(cells.map(String::from).into(), LEAK_NOTE);

    bench.configure(&sound)?;
    let (passed, words) = bench.leak()?;
    let alarm = if passed { "no alarm" } else { "FALSE ALARM" };
    let cells = ["no leak", RECONNECTS, "-", &words, alarm];
    table.cells(cells.map(String::from).into(), LEAK_NOTE);

    let mut alarms = 0;
    for _ in 0..quiet {
        alarms += usize::from(!bench.check()?.is_empty());
    }
    let runs = (quiet * BOOTS).to_string();
    let cells = [
        "no regression",
        &runs,
        "-",
        &format!("{alarms} of {quiet} checks"),
        if alarms == 0 { "no alarm" } else { "FALSE ALARM" },
    ];
    table.cells(cells.map(String::from).into(), NOTE);
    Ok(table)
}

fn yes(found: bool) -> &'static str {
    if found { "yes" } else { "NO" }
}

struct RunFolder<'a> {
    hilrig: &'a Path,
    folder: &'a Path,
}

impl RunFolder<'_> {
    fn configure(&self, image: &Path) -> Result<(), String> {
        let shown = |path: PathBuf| path.display().to_string();
        let text = format!(
            "schema = 1\n[firmware]\ncontract = {:?}\n[firmware.virtual]\nimage = {:?}\n[broker]\nkind = \"process\"\n\
             [virtual]\nboot_rom = {:?}\n",
            shown(place::workspace().join("firmware/contract.toml")),
            shown(image.to_owned()),
            shown(place::firmware("bootrom.elf")?),
        );
        let file = self.folder.join("runner-config.toml");
        std::fs::write(&file, text).map_err(|error| format!("writing {}: {error}", file.display()))
    }

    /// The figures that a check names.
    fn check(&self) -> Result<Vec<(String, String)>, String> {
        let output = self.run(&["heap", "check"], &[0, 100])?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let worse = said.lines().filter(|line| {
            ["LESS FREE", "MORE STACK", "NOT MEASURED"].iter().any(|end| line.ends_with(end))
        });
        // Columns are two spaces apart, words one.
        let named = worse.filter_map(|line| {
            let mut columns = line.split("  ").filter(|column| !column.is_empty());
            Some((columns.next()?.to_owned(), columns.next()?.trim().to_owned()))
        });
        Ok(named.collect())
    }

    /// Whether the scenario's check passed, and what it found.
    fn leak(&self) -> Result<(bool, String), String> {
        let arguments = ["run", "--scenario", "reconnect", "--count", RECONNECTS];
        self.run(&arguments, &[0, 100])?;
        let events = self.folder.join("hilrig-records/latest").join(EVENTS);
        let run = RunModel::of(&read_events(&events).map_err(|error| error.to_string())?.events);
        let mut checks = run.boards.iter().flat_map(|board| &board.checks);
        let check = checks.find(|check| check.id == "scenario.reconnect");
        let check = check.ok_or("the run has no check scenario.reconnect")?;
        let found = check.found.clone().unwrap_or_default();
        let slope = found.split([';', ',']).find(|part| part.contains("a reconnect"));
        Ok((check.held(), slope.unwrap_or(&found).trim().to_owned()))
    }

    fn run(&self, arguments: &[&str], codes: &[i32]) -> Result<Output, String> {
        let mut command = Command::new(self.hilrig);
        command.args(arguments).current_dir(self.folder).stdin(Stdio::null());
        let output = command.output().map_err(|error| format!("running hilrig: {error}"))?;
        match output.status.code() {
            Some(code) if codes.contains(&code) => Ok(output),
            _ => Err(format!(
                "hilrig {} ended with {}: {}",
                arguments.join(" "),
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            )),
        }
    }
}
