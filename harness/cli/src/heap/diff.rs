//! `hilrig heap diff`.

use std::collections::BTreeMap;
use std::path::Path;

use hilrig_core::exit;
use hilrig_report::heap::{Baseline, Boots, Entry, Key, compare};

use super::{boots, table};
use crate::args;
use crate::error::{Failure, print};

/// Puts two records or baselines side by side. What they differ by is no failure: `check` judges.
pub fn diff(args: &args::HeapDiff) -> Result<u8, Failure> {
    let (before, now) = (entries(&args.before)?, entries(&args.after)?);
    let common: Vec<&Key> = before.keys().filter(|key| now.contains_key(key)).collect();
    if common.is_empty() {
        let list = |of: &BTreeMap<Key, Entry>| {
            of.keys().map(|key| format!("  {key}\n")).collect::<String>()
        };
        return Err(Failure::usage(format!(
            "nothing in common can be compared. {} has:\n{}{} has:\n{}",
            args.before.display(),
            list(&before),
            args.after.display(),
            list(&now)
        )));
    }
    let mut text = String::new();
    for key in common {
        let comparison = compare(&before[key].figures, &now[key].figures);
        text.push_str(&table::comparison(key, ["before", "after"], &comparison));
    }
    print(&text)?;
    Ok(exit::PASSED)
}

fn entries(path: &Path) -> Result<BTreeMap<Key, Entry>, Failure> {
    if path.extension().is_some_and(|extension| extension == "toml") {
        return Ok(Baseline::read(path).map_err(Failure::usage)?.entries);
    }
    let run = boots::recorded(path)?;
    Ok(Boots::of([&run]).into_iter().map(|(key, boots)| (key, Entry::of(&boots))).collect())
}
