//! `hilrig heap bisect`: the commit that cost the heap.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use hilrig_core::exit;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Command;

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
    let baseline = tree.folder.path().join("heap-baseline.toml");
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
    let code = told(tree, args, "git", &run).await?;
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
    if told(tree, args, "sh", &["-c", &args.build]).await? != 0 {
        return Err(Failure::usage(format!("{commit} cannot be built with `{}`", args.build)));
    }
    let arguments: Vec<&str> = command[1..].iter().map(String::as_str).collect();
    let code = told(tree, args, &command[0], &arguments).await?;
    match u8::try_from(code) {
        Ok(code) if code == wanted => Ok(()),
        Ok(exit::PASSED) => Err(Failure::usage(format!(
            "{commit} leaves as much heap free as {}: there is nothing to be found between them",
            args.good
        ))),
        _ => Err(Failure::rig(format!("{commit} could not be measured (exit code {code})"))),
    }
}

/// Runs a command in the tree, its output shown. It has a process group of its own, and all of it ends
/// when this is dropped: a step of git's has children that have children.
async fn told(
    tree: &Tree,
    args: &args::HeapBisect,
    program: &str,
    arguments: &[&str],
) -> Result<i32, Failure> {
    struct Group(Option<Pid>);
    impl Drop for Group {
        fn drop(&mut self) {
            if let Some(group) = self.0 {
                let _ = kill_process_group(group, Signal::TERM);
            }
        }
    }
    let failed = |error| Failure::rig(format!("running {program}: {error}"));
    let mut command = Command::new(program);
    command.args(arguments).current_dir(&tree.path).env("HILRIG_BISECT_BUILD", &args.build);
    let mut child = command.stdin(Stdio::null()).process_group(0).spawn().map_err(failed)?;
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(id as i32)));
    let status = child.wait().await.map_err(failed)?;
    group.0 = None;
    Ok(status.code().unwrap_or(128))
}

/// Where the configuration is: its repository, and its path in there.
struct Place {
    root: PathBuf,
    config: PathBuf,
}

impl Place {
    async fn of(config: &Path) -> Result<Place, Failure> {
        let folder = config.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let root = PathBuf::from(git(folder, &["rev-parse", "--show-toplevel"]).await?);
        let prefix = PathBuf::from(git(folder, &["rev-parse", "--show-prefix"]).await?);
        let name = config.file_name().ok_or_else(|| {
            Failure::usage(format!("{} is no configuration file", config.display()))
        })?;
        Ok(Place { root, config: prefix.join(name) })
    }
}

/// A working tree that goes when the search is over.
struct Tree {
    root: PathBuf,
    path: PathBuf,
    folder: tempfile::TempDir,
}

impl Tree {
    async fn add(root: &Path, commit: &str) -> Result<Tree, Failure> {
        let folder = tempfile::Builder::new().prefix("hilrig-bisect-").tempdir();
        let folder = folder.map_err(|error| {
            Failure::rig(format!("making a folder in {}: {error}", std::env::temp_dir().display()))
        })?;
        let path = folder.path().join("tree");
        let text = path.to_string_lossy().into_owned();
        // What a search that was killed left there is only its name by now.
        git(root, &["worktree", "prune"]).await?;
        git(root, &["worktree", "add", "--quiet", "--detach", &text, commit]).await?;
        Ok(Tree { root: root.into(), path, folder })
    }

    async fn remove(self) {
        let text = self.path.to_string_lossy().into_owned();
        for arguments in [&["worktree", "remove", "--force", &text][..], &["worktree", "prune"]] {
            if let Err(failure) = git(&self.root, arguments).await {
                tracing::warn!("{}", failure.message());
            }
        }
    }
}

async fn git(folder: &Path, arguments: &[&str]) -> Result<String, Failure> {
    let mut command = Command::new("git");
    command.current_dir(folder).args(arguments).stdin(Stdio::null());
    let output = command
        .output()
        .await
        .map_err(|error| Failure::usage(format!("git is needed to find a commit: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(Failure::usage(format!(
        "git {} in {}: {}",
        arguments.join(" "),
        folder.display(),
        String::from_utf8_lossy(&output.stderr).trim()
    )))
}
