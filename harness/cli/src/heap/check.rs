//! `hilrig heap check`.

use hilrig_core::exit;
use hilrig_core::verdict::Verdict;
use hilrig_report::RunModel;
use hilrig_report::heap::{Baseline, Boots, compare};

use super::{boots, table};
use crate::args;
use crate::error::{Failure, print};

/// Compares these boots with the baseline. Exit code 100 where a board has less heap than was
/// accepted, or did not pass by itself (a floor among its checks).
pub async fn check(args: &args::HeapBoots) -> Result<u8, Failure> {
    let file = boots::baseline_file(args);
    let baseline = Baseline::read(&file).map_err(Failure::usage)?;
    let runs = boots::runs(args).await?;
    let all = Boots::of(&runs);
    // Before anything is judged: figures of another board say nothing.
    if let Some(key) = all.keys().find(|key| !baseline.entries.contains_key(key)) {
        let known: Vec<_> = baseline.entries.keys().map(|key| format!("  {key}")).collect();
        return Err(Failure::usage(format!(
            "{} has no figures for these boots: {key}. It has:\n{}\n`hilrig heap accept` adds them",
            file.display(),
            known.join("\n")
        )));
    }
    let mut text = String::new();
    let mut holds = !all.is_empty();
    let mut better = false;
    for (key, boots) in &all {
        let Some(entry) = baseline.entries.get(key) else { continue };
        let comparison = compare(&entry.figures, &boots.figures());
        text.push_str(&table::comparison(key, ["accepted", "now"], &comparison));
        // Not judged: what it costs the heap shows in the phases.
        text.push_str(&table::static_memory(["accepted", "now"], &entry.sections, &boots.sections));
        holds &= comparison.holds();
        better |= comparison.better();
    }
    for failure in failures(&runs) {
        text.push_str(&failure);
        holds = false;
    }
    text.push_str(match (holds, better) {
        (false, _) => "failed: the heap is not what was accepted\n",
        (true, true) => "passed; more is free than was accepted: `hilrig heap accept` keeps it\n",
        (true, false) => "passed\n",
    });
    print(&text)?;
    Ok(if holds { exit::PASSED } else { exit::BOARD_FAILED })
}

/// Boards that did not pass by themselves: a floor, a crash, a reply.
fn failures(runs: &[RunModel]) -> impl Iterator<Item = String> {
    let boards = runs.iter().flat_map(|run| run.boards.iter().map(move |board| (run, board)));
    boards.filter(|(_, board)| board.verdict() != Some(Verdict::Passed)).map(|(run, board)| {
        let id = run.started.as_ref().map_or("", |started| started.run.as_str());
        let why = board.end.as_ref().and_then(|end| end.why.as_deref());
        format!("`{}` of run {id} did not pass: {}\n", board.name, why.unwrap_or("no verdict"))
    })
}
