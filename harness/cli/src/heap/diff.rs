//! `hilrig heap diff`.

use std::path::Path;

use hilrig::heap::{self, DiffRequest, MeasureRequest, Side};
use hilrig::load::BoardSelection;
use hilrig_core::exit;
use hilrig_report::heap::{SideBySide, diff_tables};

use crate::args::{self, HeapFormat};
use crate::error::{Failure, print};
use crate::signals;

/// Compares two runs, commits or files. A difference is no failure: `check` judges.
pub async fn diff(args: &args::HeapDiff) -> Result<u8, Failure> {
    let measure = args.measure.then(|| MeasureRequest {
        build: args.build.clone(),
        boards: BoardSelection {
            virtual_boards: args.virtual_boards.map(usize::from),
            ..BoardSelection::default()
        },
        boots: args.boots.get(),
    });
    let request = DiffRequest {
        before: args.before.clone(),
        after: args.after.clone(),
        config: args.config.config.clone(),
        measure,
    };
    let notices = super::notices(args.format);
    let found = heap::diff(&request, &signals::stop_request()?, &notices).await?;
    let side = |argument: &Path, side: &Side| (argument.display().to_string(), side.from.clone());
    let shown = SideBySide {
        command: "diff",
        before: side(&args.before, &found.before),
        after: side(&args.after, &found.after),
        compared: &found.compared,
        callers: &found.callers,
        gate: None,
    };
    print(&match args.format {
        HeapFormat::Text => {
            let before = found.before.words("before", &args.before);
            let after = found.after.words("after", &args.after);
            format!("{before}{after}\n{}", diff_tables(&found.compared, &found.callers))
        }
        HeapFormat::Json => shown.json().map_err(Failure::internal)?,
        HeapFormat::Junit => shown.junit().map_err(Failure::internal)?,
        HeapFormat::Markdown => shown.markdown(),
    })?;
    Ok(exit::PASSED)
}
