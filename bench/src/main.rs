//! What `make bench` runs: how fast hilrig is, as tables with ratios. Nothing here passes or fails;
//! a figure is printed beside its aim, and people judge.
//!
//!     cargo run --release --package hilrig-bench -- [--runs N] [TABLE...]
//!
//! Tables: `run`, `many`, `startup`, `flash`, `line`, `reader`, `crowd`,
//! `wire`, `qemu`, `discovery`, `heap`, `certify`; without a name, all of them.

mod board;
mod certify;
mod crowd;
mod discovery;
mod figures;
mod flashing;
mod line_rate;
mod noise;
mod paced;
mod place;
mod process;
mod pty;
mod qemu;
mod reader;
mod regressions;
mod run;
mod startup;
mod table;
mod whole_run;
mod wire;

use std::io::Write as _;
use std::process::ExitCode;

use crate::figures::Figures;
use crate::table::Table;

const TABLES: [&str; 12] = [
    "run",
    "many",
    "startup",
    "flash",
    "line",
    "reader",
    "crowd",
    "wire",
    "qemu",
    "discovery",
    "heap",
    "certify",
];
/// Of a whole run of one board; quicker things are measured more often, slower ones less.
const RUNS: usize = 5;

struct Wanted {
    tables: Vec<String>,
    runs: usize,
}

fn wanted() -> Result<Wanted, String> {
    let mut wanted = Wanted { tables: Vec::new(), runs: RUNS };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        if arg == "--runs" {
            let runs = args.next().and_then(|runs| runs.parse().ok()).filter(|runs| *runs > 0);
            wanted.runs = runs.ok_or("--runs needs a number above 0")?;
        } else if TABLES.contains(&arg.as_str()) {
            wanted.tables.push(arg);
        } else {
            return Err(format!("there is no table `{arg}`; there are: {}", TABLES.join(", ")));
        }
    }
    Ok(wanted)
}

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(crowd::FEED) {
        return match crowd::feed() {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    let wanted = match wanted() {
        Ok(wanted) => wanted,
        Err(error) => {
            say(&format!("hilrig-bench: {error}\n"));
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let measured = runtime
        .map_err(|error| format!("starting the runtime: {error}"))
        .and_then(|runtime| runtime.block_on(measure(&wanted)));
    match measured {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("hilrig-bench: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Prints each table when it is there. False when one could not be measured.
async fn measure(wanted: &Wanted) -> Result<bool, String> {
    let wants = |table: &str| wanted.tables.is_empty() || wanted.tables.iter().any(|t| t == table);
    let runs = wanted.runs;
    say(&format!("Machine: {}\n", place::machine()));
    let runs_it = ["run", "many", "startup", "qemu", "heap", "certify"].into_iter().any(wants);
    let hilrig = if runs_it { place::hilrig()? } else { Default::default() };
    let contract = run::contract()?;
    let mut all = true;
    let mut print_tables = |name: &str, tables: Result<Vec<Table>, String>| match tables {
        Ok(tables) => tables.iter().for_each(|table| say(&table.text())),
        Err(why) => {
            all = false;
            say(&format!("\n{name}: not measured: {why}\n"));
        }
    };

    let mut one_board = Vec::new();
    if wants("run") || wants("many") || wants("qemu") {
        let measured = whole_run::one(&hilrig, "process", runs).map(|(tables, runs)| {
            one_board = runs;
            tables
        });
        print_tables("run of one board, broker: process", measured);
    }
    if wants("run") {
        let measured = whole_run::one(&hilrig, "container", runs).map(|(tables, _)| tables);
        print_tables("run of one board, broker: container", measured);
    }
    if wants("many") {
        let measured = whole_run::many(&hilrig, &contract, &one_board, runs.div_ceil(2));
        print_tables("many boards", measured.map(|table| vec![table]));
    }
    if wants("startup") {
        let measured = startup::startup(&hilrig, 4 * runs + 1);
        print_tables("start-up", measured.map(|table| vec![table]));
    }
    if wants("discovery") {
        print_tables("discovery", discovery::discovery(20 * runs + 1).map(|table| vec![table]));
    }
    if wants("flash") {
        print_tables("flashing", flashing::flashing(2 * runs + 1).await.map(|table| vec![table]));
    }
    if wants("line") {
        let measured = line_rate::line_rate(runs.div_ceil(3)).await;
        print_tables("flashing over a line", measured.map(|table| vec![table]));
    }
    if wants("reader") {
        print_tables("reader", reader::reader(&contract, runs).await.map(|table| vec![table]));
    }
    if wants("crowd") {
        let measured = crowd::crowd(&contract, runs.div_ceil(2)).await;
        print_tables("many boards' logs", measured.map(|table| vec![table]));
    }
    if wants("wire") {
        print_tables("the line to the broker", wire::wire(runs).map(|table| vec![table]));
    }
    if wants("qemu") {
        let handshakes: Figures =
            one_board.iter().flat_map(|run| run.handshakes(&contract)).collect();
        let measured = qemu::qemu(&contract, handshakes, 2 * runs + 1).await;
        print_tables("QEMU", measured.map(|table| vec![table]));
    }
    if wants("heap") {
        // 100 runs without a regression by default.
        let measured = regressions::regressions(&hilrig, 4 * runs);
        print_tables("heap regressions", measured.map(|table| vec![table]));
    }
    if wants("certify") {
        let measured = certify::certify(&hilrig, &contract, runs.div_ceil(2));
        print_tables("certification", measured.map(|table| vec![table]));
    }
    Ok(all)
}

fn say(text: &str) {
    // The reader may be gone; then there is nothing left to do.
    let _ = std::io::stdout().write_all(text.as_bytes());
}
