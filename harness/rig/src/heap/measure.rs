//! The figures of a commit that has none: it is built and booted in a working tree of its own.

use hilrig_core::exit;
use hilrig_core::plural::counted;

use super::Notice;
use super::boots::many;
use super::sides::{Side, Sources};
use super::worktree::WorkTree;
use crate::load::BoardSelection;
use crate::{Error, RunRequest, StopRequest};

/// How a commit is built and booted.
#[derive(Clone, Debug)]
pub struct MeasureRequest {
    /// Builds what is checked out; run by `sh -c` in the repository's top folder.
    pub build: String,
    /// The boards that it is booted on.
    pub boards: BoardSelection,
    /// How many runs its figures are taken from.
    pub boots: usize,
}

/// Builds commits and boots them.
pub struct Measurement<'a> {
    /// How.
    pub request: &'a MeasureRequest,
    /// Where the records go, and the repository.
    pub sources: &'a Sources<'a>,
    /// Ends it early.
    pub stop: &'a StopRequest,
}

impl Measurement<'_> {
    /// Adds to a commit's side what it lacks: figures, and the heap's callers if `callers` is set because the
    /// other side has them.
    pub async fn add(&self, hash: &str, side: &mut Side, callers: bool) -> Result<(), Error> {
        let wants = [!side.has_plain_figures(), callers && side.callers.is_empty()];
        if wants == [false, false] {
            return Ok(());
        }
        let place = self.sources.place.as_ref().map_err(Error::usage)?;
        let tree = WorkTree::add(&place.root, hash).await?;
        let run = RunRequest {
            boards: self.request.boards.clone(),
            // In the user's own folder: the working tree is removed.
            records: Some(self.sources.records.clone()),
            ..RunRequest::new(tree.path.join(&place.config))
        };
        let done = self.add_from(&tree, &hash[..12], run, side, wants).await;
        tree.remove().await;
        done
    }

    async fn add_from(
        &self,
        tree: &WorkTree,
        commit: &str,
        run: RunRequest,
        side: &mut Side,
        [figures, callers]: [bool; 2],
    ) -> Result<(), Error> {
        let Measurement { request, sources, stop } = *self;
        let notices = sources.notices;
        let built = tokio::select! {
            built = tree.builds(&request.build) => built?,
            why = stop.requested() => return Err(Error::rig(why)),
        };
        if !built {
            return Err(Error::usage(format!(
                "{commit} cannot be built with `{}`; name its build command with --build",
                request.build
            )));
        }
        if figures {
            notices(Notice::Line(&format!("{commit}: free heap\n")))?;
            let made = many(&run, request.boots, stop, notices).await?;
            made.enough()?;
            side.from.push(format!("{} of it now", counted(made.runs.len(), "boot")));
            side.add_runs(&made.runs);
        }
        if callers {
            notices(Notice::Line(&format!("{commit}: heap callers\n")))?;
            let run = RunRequest { callers: true, ..run };
            match many(&run, 1, stop, notices).await {
                Ok(made) => {
                    made.enough()?;
                    side.from.push("the heap's callers of 1 boot now".into());
                    side.add_runs(&made.runs);
                }
                // Older firmware may have no such image; the figures are still of use.
                Err(error) if error.exit_code() == exit::USAGE => {
                    side.from.push(format!("no heap callers: {}", error.message()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
