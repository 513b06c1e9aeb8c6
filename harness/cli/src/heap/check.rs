//! `hilrig heap check`.

use hilrig::heap;
use hilrig_core::exit;
use hilrig_core::plural::counted;
use hilrig_core::verdict::Verdict;
use hilrig_report::heap::{CallerChanges, Gate, SideBySide, comparison_table, static_memory_table};

use crate::args::{self, HeapFormat};
use crate::error::{Failure, print};
use crate::signals;

/// Compares these boots with the baseline. Exit code 100 if a board has less heap than was accepted, if
/// it did not pass by itself (a floor among its checks), or if nobody measured what the baseline has; 120
/// if there is nothing to judge because of the bench.
pub async fn check(args: &args::HeapCheck) -> Result<u8, Failure> {
    let notices = super::notices(args.format);
    let stop = signals::stop_request()?;
    let checked = heap::check(&args.boots.request(), &args.only, &stop, &notices).await?;
    let gate = &checked.gate;
    let callers = CallerChanges::new();
    let shown = SideBySide {
        command: "check",
        before: (checked.file.display().to_string(), Vec::new()),
        after: (counted(checked.runs, "run"), Vec::new()),
        compared: &gate.compared,
        callers: &callers,
        gate: Some(gate),
    };
    print(&match args.format {
        HeapFormat::Text => text(gate),
        HeapFormat::Json => shown.json().map_err(Failure::internal)?,
        HeapFormat::Junit => shown.junit().map_err(Failure::internal)?,
        HeapFormat::Markdown => shown.markdown(),
    })?;
    Ok(exit::of(gate.verdict))
}

fn text(gate: &Gate) -> String {
    let mut text = String::new();
    for of in &gate.compared {
        text.push_str(&comparison_table(&of.key, ["accepted", "now"], &of.comparison));
        // Not judged: what it costs the heap shows in the phases.
        let [accepted, now] = &of.sections;
        text.push_str(&static_memory_table(["accepted", "now"], accepted, now));
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
