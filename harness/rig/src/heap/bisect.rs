//! Finds the commit that costs heap, as `git bisect` does.

use std::collections::BTreeSet;

use hilrig_report::heap::Key;

use super::commits::{BisectRequest, CommitFigures, Commits};
use super::worktree::{InRepository, WorkTree, git};
use super::{Notice, Notices};
use crate::load;
use crate::{Error, StopRequest};

/// The first commit that leaves less heap free.
#[derive(Clone, Debug)]
pub struct FirstBad {
    /// Its short hash.
    pub commit: String,
    /// Its subject line.
    pub subject: String,
    /// The phase and the figure that are worse.
    pub phase: String,
    /// How much they are worse.
    pub bytes: String,
    /// What the figure is of, if there is one.
    pub key: Option<Key>,
}

/// A commit compared with the good one.
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

/// Searches in a separate working tree; the user's is not touched.
///
/// # Errors
/// A commit is not found, the good one has no figures, nothing is worse, or the first bad commit is one of
/// several that cannot be measured.
pub async fn bisect(
    request: &BisectRequest,
    stop: &StopRequest,
    notices: &Notices<'_>,
) -> Result<FirstBad, Error> {
    let place = InRepository::of(&request.config).await?;
    // In the user's own folder: the working tree is removed.
    let records = load::config(&request.config)?.records;
    let tree = WorkTree::add(&place.root, &request.bad).await?;
    let config = tree.path.join(&place.config);
    let commits = Commits { request, config, records, tree: &tree, stop, notices };
    let found = search(request, &commits, &tree).await;
    tree.remove().await;
    found
}

async fn search(
    request: &BisectRequest,
    commits: &Commits<'_>,
    tree: &WorkTree,
) -> Result<FirstBad, Error> {
    let notices = commits.notices;
    let hash = |name: &str| format!("{name}^{{commit}}");
    let good = git(&tree.path, &["rev-parse", "--verify", &hash(&request.good)]).await?;
    let mut bad = git(&tree.path, &["rev-parse", "HEAD"]).await?;
    let reference = match commits.figures(&good, None).await? {
        found @ CommitFigures::Figures { .. } => found,
        CommitFigures::Failed(why) | CommitFigures::Not(why) => {
            return Err(Error::rig(format!("{} has no figures: {why}", &good[..12])));
        }
    };
    line(notices, &good, "good", "the reference", reference.how())?;
    let figures = commits.figures(&bad, Some(&reference)).await?;
    let mut cost = match step(notices, &bad, &reference, &figures)? {
        Is::Bad(cost) => cost,
        Is::Good => {
            return Err(Error::usage(format!(
                "{} leaves as much heap free as {}: no commit between them costs heap",
                &bad[..12],
                request.good
            )));
        }
        Is::Unknown(why) => {
            return Err(Error::rig(format!("{} could not be measured: {why}", &bad[..12])));
        }
    };
    let mut goods = vec![good];
    let mut skipped = BTreeSet::new();
    loop {
        let mut list = vec!["rev-list", "--bisect-all", &bad, "--not"];
        list.extend(goods.iter().map(String::as_str));
        let between = git(&tree.path, &list).await?;
        // The commits that halve the rest come first; the bad one itself is among them.
        let left = between.lines().filter_map(|line| line.split(' ').next());
        let left: Vec<&str> = left.filter(|commit| *commit != bad).collect();
        let Some(next) = left.iter().find(|commit| !skipped.contains(**commit)) else {
            return end(tree, &bad, cost, &left).await;
        };
        let next = (*next).to_owned();
        let figures = commits.figures(&next, Some(&reference)).await?;
        match step(notices, &next, &reference, &figures)? {
            Is::Good => goods.push(next),
            Is::Bad(of) => (bad, cost) = (next, of),
            Is::Unknown(_) => drop(skipped.insert(next)),
        }
    }
}

/// Compares a commit with the good one, and prints the step's line.
fn step(
    notices: &Notices<'_>,
    commit: &str,
    reference: &CommitFigures,
    figures: &CommitFigures,
) -> Result<Is, Error> {
    let is = match figures {
        CommitFigures::Not(why) => Is::Unknown(why.clone()),
        CommitFigures::Failed(why) => Is::Bad(Cost {
            phase: "none: the board failed".into(),
            bytes: format!("not known: {why}"),
            key: None,
        }),
        CommitFigures::Figures { .. } => match reference.worst(figures) {
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
        Is::Good => line(notices, commit, "good", "no figure is worse", figures.how())?,
        Is::Bad(Cost { phase, bytes, .. }) => {
            line(notices, commit, "bad", &format!("{phase}: {bytes}"), figures.how())?;
        }
        Is::Unknown(why) => line(notices, commit, "skipped", why, "")?,
    }
    Ok(is)
}

/// One line for a step.
fn line(notices: &Notices<'_>, commit: &str, is: &str, what: &str, how: &str) -> Result<(), Error> {
    let how = if how.is_empty() { String::new() } else { format!(" ({how})") };
    let what = what.lines().next().unwrap_or_default();
    notices(Notice::Line(&format!("{} {is}: {what}{how}\n", &commit[..12])))
}

/// What was found. `left` are commits before it that could not be measured.
async fn end(tree: &WorkTree, bad: &str, cost: Cost, left: &[&str]) -> Result<FirstBad, Error> {
    if !left.is_empty() {
        let left: Vec<&str> = left.iter().map(|commit| &commit[..12]).collect();
        return Err(Error::rig(format!(
            "the first commit that leaves less heap free is {} or one of those before it that could not be measured: {}",
            &bad[..12],
            left.join(", ")
        )));
    }
    let subject = git(&tree.path, &["show", "--no-patch", "--format=%s", bad]).await?;
    let Cost { phase, bytes, key } = cost;
    Ok(FirstBad { commit: bad[..12].to_owned(), subject, phase, bytes, key })
}
