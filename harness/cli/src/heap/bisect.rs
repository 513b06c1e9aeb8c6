//! `hilrig heap bisect`: the commit that cost the heap.

use std::collections::BTreeSet;

use hilrig_report::heap::Key;

use super::commits::{Commits, Told};
use super::worktree::{Place, Tree, git};
use crate::args;
use crate::error::{Failure, print};
use crate::load;

/// What a commit is, next to the good one.
enum Is {
    Good,
    Bad(Cost),
    /// It cannot be measured, and why.
    Unknown(String),
}

/// What a bad commit costs.
struct Cost {
    phase: String,
    bytes: String,
    key: Option<Key>,
}

/// Finds it, in a working tree of its own: the user's stays as it is.
pub async fn bisect(args: &args::HeapBisect) -> Result<u8, Failure> {
    let place = Place::of(&args.config.config).await?;
    // With the user's own: they are the evidence, and the working tree goes.
    let records = load::config(&args.config.config)?.records;
    let tree = Tree::add(&place.root, &args.bad).await?;
    let commits = Commits::new(args, tree.path.join(&place.config), records, &tree);
    let found = search(args, &commits, &tree).await;
    tree.remove().await;
    found
}

async fn search(
    args: &args::HeapBisect,
    commits: &Commits<'_>,
    tree: &Tree,
) -> Result<u8, Failure> {
    let hash = |name: &str| format!("{name}^{{commit}}");
    let good = git(&tree.path, &["rev-parse", "--verify", &hash(&args.good)]).await?;
    let mut bad = git(&tree.path, &["rev-parse", "HEAD"]).await?;
    let reference = match commits.told(&good, None).await? {
        told @ Told::Figures { .. } => told,
        Told::Failed(why) | Told::Not(why) => {
            return Err(Failure::rig(format!("{} has no figures: {why}", &good[..12])));
        }
    };
    line(&good, "good", "what the others are compared with", reference.how())?;
    let told = commits.told(&bad, Some(&reference)).await?;
    let mut cost = match step(&bad, &reference, &told)? {
        Is::Bad(cost) => cost,
        Is::Good => {
            return Err(Failure::usage(format!(
                "{} leaves as much heap free as {}: there is nothing to be found between them",
                &bad[..12],
                args.good
            )));
        }
        Is::Unknown(why) => {
            return Err(Failure::rig(format!("{} could not be measured: {why}", &bad[..12])));
        }
    };
    let mut goods = vec![good];
    let mut skipped = BTreeSet::new();
    loop {
        let mut list = vec!["rev-list", "--bisect-all", &bad, "--not"];
        list.extend(goods.iter().map(String::as_str));
        let between = git(&tree.path, &list).await?;
        // Those that halve what is left come first; the bad one itself is among them.
        let left = between.lines().filter_map(|line| line.split(' ').next());
        let left: Vec<&str> = left.filter(|commit| *commit != bad).collect();
        let Some(next) = left.iter().find(|commit| !skipped.contains(**commit)) else {
            return end(tree, &bad, &cost, &left).await;
        };
        let next = (*next).to_owned();
        let told = commits.told(&next, Some(&reference)).await?;
        match step(&next, &reference, &told)? {
            Is::Good => goods.push(next),
            Is::Bad(of) => (bad, cost) = (next, of),
            Is::Unknown(_) => drop(skipped.insert(next)),
        }
    }
}

/// Compares a commit with the good one, and prints the step's line.
fn step(commit: &str, reference: &Told, told: &Told) -> Result<Is, Failure> {
    let is = match told {
        Told::Not(why) => Is::Unknown(why.clone()),
        Told::Failed(why) => Is::Bad(Cost {
            phase: "none: the board failed".into(),
            bytes: format!("not known: {why}"),
            key: None,
        }),
        Told::Figures { .. } => match reference.worst(told) {
            None => Is::Good,
            Some((key, change)) => {
                let figure = |of: Option<hilrig_report::heap::HeapFigure>| {
                    of.map_or("not measured".into(), |figure| figure.to_string())
                };
                let (before, now) = (figure(change.before), figure(change.now));
                let bytes = match (change.difference(), change.allowed()) {
                    (Some(more), Some(allowed)) => {
                        let word = if more < 0 { "less" } else { "more" };
                        let (more, allowed) = (more.unsigned_abs(), allowed.unsigned_abs());
                        format!("{more} {word}: {before} before, {now} now ({allowed} are allowed)")
                    }
                    _ => format!("{before} before, {now} now"),
                };
                let phase = format!("{}, {}", change.phase.name(), change.metric.words());
                Is::Bad(Cost { phase, bytes, key: Some(key) })
            }
        },
    };
    match &is {
        Is::Good => line(commit, "good", "no figure is worse", told.how())?,
        Is::Bad(Cost { phase, bytes, .. }) => {
            line(commit, "bad", &format!("{phase}: {bytes}"), told.how())?;
        }
        Is::Unknown(why) => line(commit, "skipped", why, "")?,
    }
    Ok(is)
}

/// One line for a step.
fn line(commit: &str, is: &str, what: &str, how: &str) -> Result<(), Failure> {
    let how = if how.is_empty() { String::new() } else { format!(" ({how})") };
    let what = what.lines().next().unwrap_or_default();
    print(&format!("{} {is}: {what}{how}\n", &commit[..12])).map(drop)
}

/// What was found, in five lines. `left` are commits before it that could not be measured.
async fn end(tree: &Tree, bad: &str, cost: &Cost, left: &[&str]) -> Result<u8, Failure> {
    if !left.is_empty() {
        let left: Vec<&str> = left.iter().map(|commit| &commit[..12]).collect();
        return Err(Failure::rig(format!(
            "the first commit that leaves less heap free is {} or one of those before it that could not be measured: {}",
            &bad[..12],
            left.join(", ")
        )));
    }
    let subject = git(&tree.path, &["show", "--no-patch", "--format=%s", bad]).await?;
    let Cost { phase, bytes, key } = cost;
    let of = key.as_ref().map_or("-".into(), ToString::to_string);
    print(&format!(
        "\nthe first commit that leaves less heap free: {}\nsubject: {subject}\nphase: {phase}\nbytes: {bytes}\nof: {of}\n",
        &bad[..12]
    ))
}
