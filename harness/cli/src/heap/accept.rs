//! `hilrig heap accept`.

use hilrig_core::verdict::Verdict;
use hilrig_report::heap::{Baseline, BaselineError, Boots, Entry};

use super::{boots, table};
use crate::args;
use crate::error::{Failure, print};

/// Writes the figures of these boots into the baseline; what it holds of other boards stays.
pub async fn accept(args: &args::HeapBoots) -> Result<u8, Failure> {
    let file = boots::baseline_file(args);
    // A file that cannot be read is not written over.
    let mut baseline = match Baseline::read(&file) {
        Ok(baseline) => baseline,
        Err(BaselineError::Missing { .. }) => Baseline::default(),
        Err(error) => return Err(Failure::usage(error)),
    };
    let runs = boots::runs(args).await?;
    let failed =
        runs.iter().flat_map(|run| &run.boards).find(|b| b.verdict() != Some(Verdict::Passed));
    if let Some(board) = failed {
        let why = board.end.as_ref().and_then(|end| end.why.as_deref());
        return Err(Failure::usage(format!(
            "nothing is accepted: `{}` did not pass ({})",
            board.name,
            why.unwrap_or("no verdict")
        )));
    }
    let mut text = String::new();
    for (key, boots) in Boots::of(&runs) {
        let entry = Entry::of(&boots);
        text.push_str(&table::figures(&key, &entry));
        baseline.entries.insert(key, entry);
    }
    if text.is_empty() {
        return Err(Failure::usage("nothing is accepted: no board told a heap figure"));
    }
    baseline.write(&file).map_err(Failure::rig)?;
    print(&format!("{text}accepted into {}; commit it\n", file.display()))
}
