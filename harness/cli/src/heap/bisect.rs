//! `hilrig heap bisect`: the commit that cost the heap.

use std::path::{Path, PathBuf};

use hilrig_core::exit;
use hilrig_report::heap::BASELINE;

use super::worktree::{Place, Tree, git};
use crate::args;
use crate::error::{Failure, print};
use crate::signals;

/// What git asks at each commit. Its own codes: 0 good, 1 bad, 125 cannot be told, 128 stop.
const STEP: &str = r#"
sh -c "$HILRIG_BISECT_BUILD" || { echo "this commit does not build: skipped"; exit 125; }
"$@"
case $? in 0) exit 0;; 100) exit 1;; 120) exit 125;; *) exit 128;; esac
"#;

/// Finds it, in a working tree of its own: the user's stays as it is.
pub async fn bisect(args: &args::HeapBisect) -> Result<u8, Failure> {
    let mut stop = std::pin::pin!(signals::told_to_stop().map_err(Failure::internal)?);
    let place = Place::of(&args.config.config).await?;
    let tree = Tree::add(&place.root, &args.bad).await?;
    let found = tokio::select! {
        found = search(args, &place, &tree) => found,
        why = &mut stop => Err(Failure::rig(why)),
    };
    tree.remove().await;
    found
}

async fn search(args: &args::HeapBisect, place: &Place, tree: &Tree) -> Result<u8, Failure> {
    let baseline = tree.folder().join(BASELINE);
    let good =
        git(&tree.path, &["rev-parse", "--verify", &format!("{}^{{commit}}", args.good)]).await?;
    let bad = git(&tree.path, &["rev-parse", "HEAD"]).await?;

    print(&format!("{}: what it leaves free\n", &good[..12]))?;
    git(&tree.path, &["checkout", "--quiet", "--detach", &good]).await?;
    expect(args, tree, &heap(args, place, tree, "accept", &baseline), exit::PASSED, &good).await?;

    print(&format!("{}: whether it leaves less\n", &bad[..12]))?;
    git(&tree.path, &["checkout", "--quiet", "--detach", &bad]).await?;
    let check = heap(args, place, tree, "check", &baseline);
    expect(args, tree, &check, exit::BOARD_FAILED, &bad).await?;

    git(&tree.path, &["bisect", "start", &bad, &good]).await?;
    let mut run = vec!["bisect", "run", "sh", "-c", STEP, "sh"];
    run.extend(check.iter().map(String::as_str));
    let code = tree.told("git", &run, &[("HILRIG_BISECT_BUILD", &args.build)]).await?;
    if code != 0 {
        return Err(Failure::rig(format!(
            "git bisect ended with {code}; what it said stands above"
        )));
    }
    let first = git(&tree.path, &["rev-parse", "refs/bisect/bad"]).await?;
    let shown =
        git(&tree.path, &["show", "--no-patch", "--format=%h %an, %ad%n    %s", &first]).await?;
    print(&format!("\nthe first commit that leaves less heap free:\n{shown}\n"))
}

/// The command that takes the figures of what is checked out.
fn heap(
    args: &args::HeapBisect,
    place: &Place,
    tree: &Tree,
    command: &str,
    baseline: &Path,
) -> Vec<String> {
    let hilrig = std::env::current_exe().unwrap_or_else(|_| "hilrig".into());
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let mut arguments = vec![text(hilrig), "heap".into(), command.into()];
    let mut option = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
    option("--config", text(tree.path.join(&place.config)));
    option("--baseline", text(baseline.to_owned()));
    option("--boots", args.boots.to_string());
    // Beside the user's own: they are the evidence, and the working tree goes.
    option("--records", text(place.root.join(&place.config).with_file_name("hilrig-records")));
    if let Some(count) = args.virtual_boards {
        option("--virtual", count.to_string());
    }
    arguments
}

/// Builds what is checked out and takes its figures; any other exit code than `wanted` ends it all.
async fn expect(
    args: &args::HeapBisect,
    tree: &Tree,
    command: &[String],
    wanted: u8,
    commit: &str,
) -> Result<(), Failure> {
    let commit = &commit[..12];
    if !tree.builds(&args.build).await? {
        return Err(Failure::usage(format!("{commit} cannot be built with `{}`", args.build)));
    }
    let arguments: Vec<&str> = command[1..].iter().map(String::as_str).collect();
    let code = tree.told(&command[0], &arguments, &[]).await?;
    match u8::try_from(code) {
        Ok(code) if code == wanted => Ok(()),
        Ok(exit::PASSED) => Err(Failure::usage(format!(
            "{commit} leaves as much heap free as {}: there is nothing to be found between them",
            args.good
        ))),
        _ => Err(Failure::rig(format!("{commit} could not be measured (exit code {code})"))),
    }
}
