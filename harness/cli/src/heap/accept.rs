//! `hilrig heap accept`.

use hilrig_report::heap::{
    Baseline, BaselineError, Boots, Entry, Scope, UnmeasuredBoot, UnmeasuredBoots, unmeasured_boots,
};

use super::boots::{self, Lines};
use super::table;
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
    let made = boots::runs(args, Lines::Out).await?;
    made.enough()?;
    let scope = Scope { kinds: args.kind.iter().cloned().collect(), ..Scope::default() };
    let UnmeasuredBoots { failed, left_out } = unmeasured_boots(&made.runs, &scope);
    if let Some(UnmeasuredBoot { run, board, why, .. }) = failed.first() {
        return Err(Failure::usage(format!(
            "nothing is accepted: `{board}` of run {run} did not pass ({why})"
        )));
    }
    for UnmeasuredBoot { run, board, why, .. } in left_out {
        print(&format!("`{board}` of run {run} is left out: {why}\n"))?;
    }
    let runs = made.runs;
    let mut text = String::new();
    for (key, boots) in Boots::of(&runs).into_iter().filter(|(key, _)| scope.has(key)) {
        let entry = Entry::of(&boots);
        text.push_str(&table::figures(&key, &entry));
        baseline.entries.insert(key, entry);
    }
    if text.is_empty() {
        return Err(Failure::usage("nothing is accepted: no board reported a heap figure"));
    }
    baseline.write(&file).map_err(Failure::rig)?;
    print(&format!("{text}accepted into {}; commit it\n", file.display()))
}
