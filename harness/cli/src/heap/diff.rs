//! `hilrig heap diff`.

use std::collections::BTreeMap;
use std::path::Path;

use hilrig_core::exit;
use hilrig_report::heap::{CallerChanges, Entry, Key, KeyComparison, SideBySide, compare_callers};

use super::measure::measure;
use super::sides::{Named, Side, Sources};
use super::table;
use crate::args::{self, HeapFormat};
use crate::error::{Failure, print};

/// Puts two runs, commits or files side by side. What they differ by is no failure: `check` judges.
pub async fn diff(args: &args::HeapDiff) -> Result<u8, Failure> {
    let [before, now] = sides(args).await?;
    let mut text = head("before", &args.before, &before);
    text.push_str(&head("after", &args.after, &now));
    let common: Vec<&Key> =
        before.entries.keys().filter(|key| now.entries.contains_key(key)).collect();
    if common.is_empty() {
        let list = |of: &BTreeMap<Key, Entry>| {
            of.keys().map(|key| format!("  {key}\n")).collect::<String>()
        };
        return Err(Failure::usage(format!(
            "nothing in common can be compared. {} has:\n{}{} has:\n{}taken from\n{text}",
            args.before.display(),
            list(&before.entries),
            args.after.display(),
            list(&now.entries)
        )));
    }
    let compared: Vec<KeyComparison> = common
        .iter()
        .map(|key| KeyComparison::of((*key).clone(), &before.entries[*key], &now.entries[*key]))
        .collect();
    let changes = |key: &&Key| {
        let (before, now) = (before.callers.get(*key)?, now.callers.get(*key)?);
        Some(((*key).clone(), compare_callers(before, now)))
    };
    let callers: CallerChanges = common.iter().filter_map(changes).collect();
    let side = |argument: &Path, side: &Side| (argument.display().to_string(), side.from.clone());
    let shown = SideBySide {
        command: "diff",
        before: side(&args.before, &before),
        after: side(&args.after, &now),
        compared: &compared,
        callers: &callers,
        gate: None,
    };
    print(&match args.format {
        HeapFormat::Text => text + &tables(&compared, &callers),
        HeapFormat::Json => shown.json().map_err(Failure::internal)?,
        HeapFormat::Junit => shown.junit().map_err(Failure::internal)?,
        HeapFormat::Markdown => shown.markdown(),
    })?;
    Ok(exit::PASSED)
}

fn tables(compared: &[KeyComparison], callers: &CallerChanges) -> String {
    let mut text = String::from("\n");
    for of in compared {
        let names = ["before", "after"];
        text.push_str(&table::comparison(&of.key, names, &of.comparison));
        let [before, after] = &of.sections;
        text.push_str(&table::static_memory(names, before, after));
        if let Some(changes) = callers.get(&of.key) {
            text.push_str(&table::caller_changes(changes));
        }
    }
    text
}

/// Finds both before anything is measured: a slip in the second costs no boots of the first.
async fn sides(args: &args::HeapDiff) -> Result<[Side; 2], Failure> {
    let arguments = [&args.before, &args.after];
    let Some(sources) = sources(args, arguments).await? else {
        return Ok([Side::of_file(&args.before)?, Side::of_file(&args.after)?]);
    };
    let mut found = Vec::new();
    for argument in arguments {
        let (named, others) = sources.named(argument).await?;
        let side = sources.side(&named).await.map_err(|failure| {
            let told = [&[failure.message().to_owned()], &*others].concat().join("; ");
            failure.reworded(told)
        });
        let mut side = side?;
        side.from.extend(others);
        found.push((argument, named, side));
    }
    let tell = |(_, named, side): &(_, Named, Side)| {
        matches!(named, Named::Commit(_)) || !side.callers.is_empty()
    };
    let callers = args.measure && found.iter().all(tell);
    let mut sides = Vec::new();
    for (argument, named, mut side) in found {
        if let Named::Commit(hash) = &named {
            if args.measure {
                measure(args, &sources, hash, &mut side, callers).await?;
            } else if side.entries.is_empty() {
                return Err(Failure::usage(format!(
                    "`{}` (commit {}) has no heap figures: {}. `hilrig heap diff {} {} --measure` builds it and boots it, in a working tree of its own",
                    argument.display(),
                    &hash[..12],
                    side.from.join("; "),
                    args.before.display(),
                    args.after.display()
                )));
            }
            side.from.insert(0, format!("commit {}", &hash[..12]));
        }
        sides.push(side);
    }
    sides.try_into().map_err(|_| Failure::internal("a diff has two sides"))
}

/// What runs and commits are found by. Two files need no configuration.
async fn sources(
    args: &args::HeapDiff,
    all: [&std::path::PathBuf; 2],
) -> Result<Option<Sources>, Failure> {
    match (Sources::of(&args.config.config).await, all.iter().find(|path| !path.exists())) {
        (Ok(sources), _) => Ok(Some(sources)),
        (Err(_), None) => Ok(None),
        (Err(failure), Some(path)) => {
            let why = format!(
                "`{}` is no file or folder; runs and commits are found by the configuration, and {}",
                path.display(),
                failure.message()
            );
            Err(failure.reworded(why))
        }
    }
}

/// What was taken from where.
fn head(name: &str, argument: &Path, side: &Side) -> String {
    let from: String = side.from.iter().map(|from| format!("  {from}\n")).collect();
    format!("{name}: {}\n{from}", argument.display())
}
