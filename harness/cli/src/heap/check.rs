//! `hilrig heap check`.

use hilrig_core::exit;
use hilrig_core::plural::counted;
use hilrig_core::verdict::Verdict;
use hilrig_report::heap::{Baseline, CallerChanges, Gate, Scope, SideBySide};

use super::boots::{self, Lines};
use super::table;
use crate::args::{self, HeapFormat};
use crate::error::{Failure, print};

/// In `--only`: what these boots measure, whatever that is.
const MEASURED: &str = "measured";

/// Holds these boots against the baseline. Exit code 100 where a board has less heap than was accepted, where
/// it did not pass by itself (a floor among its checks), or where nobody measured what the baseline has; 120
/// where the bench is to blame that there is nothing to judge.
pub async fn check(args: &args::HeapCheck) -> Result<u8, Failure> {
    let file = boots::baseline_file(&args.boots);
    let baseline = Baseline::read(&file).map_err(Failure::usage)?;
    let lines = if args.format == HeapFormat::Text { Lines::Out } else { Lines::Err };
    let made = boots::runs(&args.boots, lines).await?;
    let (measured, only): (Vec<&String>, Vec<&String>) =
        args.only.iter().partition(|only| *only == MEASURED);
    let scope = Scope {
        kinds: args.boots.kind.iter().cloned().collect(),
        only: only.into_iter().cloned().collect(),
        only_measured: !measured.is_empty(),
    };
    let count = made.runs.len();
    let gate = Gate::judge(&baseline, &made.runs, &scope, made.cut_short)
        .map_err(|none| Failure::usage(format!("{} {none}", file.display())))?;
    let callers = CallerChanges::new();
    let shown = SideBySide {
        command: "check",
        before: (file.display().to_string(), Vec::new()),
        after: (counted(count, "run"), Vec::new()),
        compared: &gate.compared,
        callers: &callers,
        gate: Some(&gate),
    };
    print(&match args.format {
        HeapFormat::Text => text(&gate),
        HeapFormat::Json => shown.json().map_err(Failure::internal)?,
        HeapFormat::Junit => shown.junit().map_err(Failure::internal)?,
        HeapFormat::Markdown => shown.markdown(),
    })?;
    Ok(exit::of(gate.verdict))
}

fn text(gate: &Gate) -> String {
    let mut text = String::new();
    for of in &gate.compared {
        text.push_str(&table::comparison(&of.key, ["accepted", "now"], &of.comparison));
        // Not judged: what it costs the heap shows in the phases.
        let [accepted, now] = &of.sections;
        text.push_str(&table::static_memory(["accepted", "now"], accepted, now));
    }
    for line in gate.lines() {
        text.push_str(&format!("{line}\n"));
    }
    text.push_str(match (gate.verdict, gate.better()) {
        (Verdict::Failed, _) => "failed: the heap is not what was accepted\n",
        (Verdict::Passed, true) => {
            "passed; more is free than was accepted: `hilrig heap accept` keeps it\n"
        }
        (Verdict::Passed, false) => "passed\n",
        _ => "rig fault: too little was measured to judge the heap\n",
    });
    text
}
