//! `hilrig heap callers`.

use hilrig_core::exit;
use hilrig_report::RunModel;

use super::{boots, table};
use crate::args;
use crate::error::{Failure, print};
use crate::run::{self, Shown};

/// Shows who held the heap in each phase, of a run that is over or of one now. Its exit code is the
/// run's.
pub async fn callers(args: args::HeapCallers) -> Result<u8, Failure> {
    let (code, run) = match &args.from {
        Some(record) => (exit::PASSED, boots::recorded(record)?),
        None => {
            let records = args.records.clone();
            let done = run::once(as_run(args), records.as_deref(), Shown::OnlyTrouble).await?;
            print(&format!("{}: {}\n", verdict(&done.run), done.record.display()))?;
            (done.code, done.run)
        }
    };
    let text: String = run
        .boards
        .iter()
        .flat_map(|board| {
            let name = &board.name;
            board.callers.values().map(move |told| format!("\n{}", table::callers(name, told)))
        })
        .collect();
    if text.is_empty() {
        return Err(Failure::usage(
            "no board told who held its heap: it takes an image that keeps it (docs/heap.md), and a contract with [heap.callers]",
        ));
    }
    print(&format!("{}{text}", table::sections(&run)))?;
    Ok(code)
}

fn verdict(run: &RunModel) -> String {
    let Some(end) = &run.ended else { return "no verdict".into() };
    let why = end.why.clone();
    let why = why.or_else(|| run.boards.iter().find_map(|board| board.end.as_ref()?.why.clone()));
    why.map_or(end.verdict.word().into(), |why| format!("{} ({why})", end.verdict.word()))
}

fn as_run(args: args::HeapCallers) -> args::Run {
    args::Run {
        config: args.config,
        virtual_boards: args.virtual_boards,
        kind: args.kind,
        board: args.board,
        record: None,
        flash: false,
        callers: true,
        broker: args.broker,
        seed: None,
        scenarios: args.scenarios,
    }
}
