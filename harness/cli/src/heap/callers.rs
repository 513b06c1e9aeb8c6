//! `hilrig heap callers`.

use hilrig::heap::recorded;
use hilrig::{RunRequest, run_recorded};
use hilrig_core::exit;
use hilrig_report::RunModel;
use hilrig_report::heap::{callers_table, sections_table};

use crate::error::{Failure, print};
use crate::run::say_trouble;
use crate::{args, signals};

/// Prints the heap's callers in each phase, of a recorded run or of one now. The exit code is the run's.
pub async fn callers(args: &args::HeapCallers) -> Result<u8, Failure> {
    let (code, run) = match &args.from {
        Some(record) => (exit::PASSED, recorded(record)?),
        None => {
            let request = RunRequest {
                boards: args.boards.selection(),
                scenarios: args.scenarios.selection(),
                callers: true,
                broker: args.broker.broker.clone(),
                records: args.records.clone(),
                ..RunRequest::new(&args.config.config)
            };
            let finished = run_recorded(&request, &signals::stop_request()?).await?;
            say_trouble(&finished);
            print(&format!("{}: {}\n", verdict(&finished.run), finished.record.display()))?;
            (finished.code, finished.run)
        }
    };
    let text: String = run
        .boards
        .iter()
        .flat_map(|board| {
            let name = &board.name;
            board.callers.values().map(move |lowest| format!("\n{}", callers_table(name, lowest)))
        })
        .collect();
    if text.is_empty() {
        return Err(Failure::usage(
            "no board reported its heap's callers: that needs a heap-tracing image (docs/heap.md) and a contract with [heap.callers]",
        ));
    }
    print(&format!("{}{text}", sections_table(&run)))?;
    Ok(code)
}

fn verdict(run: &RunModel) -> String {
    let Some(end) = &run.ended else { return "no verdict".into() };
    let why = end.why.clone();
    let why = why.or_else(|| run.boards.iter().find_map(|board| board.end.as_ref()?.why.clone()));
    why.map_or(end.verdict.word().into(), |why| format!("{} ({why})", end.verdict.word()))
}
