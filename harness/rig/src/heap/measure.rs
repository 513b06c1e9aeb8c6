//! The figures of a commit that has none: it is built and booted in a working tree of its own.

use hilrig_core::exit;
use hilrig_core::plural::counted;

use super::boots::{self, Lines};
use super::sides::{Side, Sources};
use super::worktree::Tree;
use crate::args;
use crate::error::Failure;
use crate::signals;

/// Adds to a commit's side what it lacks: figures, and who held the heap where that is `told` of the
/// other side, too.
pub async fn measure(
    args: &args::HeapDiff,
    sources: &Sources,
    hash: &str,
    side: &mut Side,
    told: bool,
) -> Result<(), Failure> {
    let (figures, told) = (!side.has_plain_figures(), told && side.callers.is_empty());
    if !figures && !told {
        return Ok(());
    }
    let place = sources.place.as_ref().map_err(Failure::usage)?;
    let tree = Tree::add(&place.root, hash).await?;
    let config = args::ConfigArg { config: tree.path.join(&place.config) };
    let done = measured(args, sources, hash, &tree, config, side, [figures, told]).await;
    tree.remove().await;
    done
}

async fn measured(
    args: &args::HeapDiff,
    sources: &Sources,
    hash: &str,
    tree: &Tree,
    config: args::ConfigArg,
    side: &mut Side,
    [figures, told]: [bool; 2],
) -> Result<(), Failure> {
    let commit = &hash[..12];
    let text = args.format == args::HeapFormat::Text;
    let lines = if text { Lines::Out } else { Lines::Err };
    // The runs listen for being told to stop themselves.
    let built = tokio::select! {
        built = tree.builds(&args.build) => built?,
        why = signals::told_to_stop().map_err(Failure::internal)? => return Err(Failure::rig(why)),
    };
    if !built {
        return Err(Failure::usage(format!(
            "{commit} cannot be built with `{}`; --build says how it can",
            args.build
        )));
    }
    // With the user's own: they are the evidence, and the working tree goes.
    let records = Some(sources.records.as_path());
    if figures {
        lines.put(&format!("{commit}: what it leaves free\n"))?;
        let run = || run(args, &config, false);
        let made = boots::many(run, records, args.boots.get(), lines).await?;
        made.enough()?;
        side.from.push(format!("{} of it now", counted(made.runs.len(), "boot")));
        side.add_runs(&made.runs);
    }
    if told {
        lines.put(&format!("{commit}: who holds the heap\n"))?;
        match boots::many(|| run(args, &config, true), records, 1, lines).await {
            Ok(made) => {
                made.enough()?;
                side.from.push("who held the heap: a boot of it now".into());
                side.add_runs(&made.runs);
            }
            // Older firmware may have no such image: the figures are there still.
            Err(failure) if failure.code() == exit::USAGE => {
                side.from.push(format!("who held the heap is not told: {}", failure.message()));
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

fn run(args: &args::HeapDiff, config: &args::ConfigArg, callers: bool) -> args::Run {
    args::Run {
        config: config.clone(),
        virtual_boards: args.virtual_boards,
        kind: None,
        board: Vec::new(),
        record: None,
        flash: false,
        callers,
        broker: None,
        seed: None,
        scenarios: args::Scenarios::default(),
    }
}
