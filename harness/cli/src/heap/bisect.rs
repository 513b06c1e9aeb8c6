//! `hilrig heap bisect`.

use hilrig::heap::{self, BisectRequest, FirstBad};
use hilrig::load::BoardSelection;

use crate::args::{self, HeapFormat};
use crate::error::{Failure, print};
use crate::signals;

/// Finds the commit that cost the heap.
pub async fn bisect(args: &args::HeapBisect) -> Result<u8, Failure> {
    let request = BisectRequest {
        config: args.config.config.clone(),
        good: args.good.clone(),
        bad: args.bad.clone(),
        build: args.build.clone(),
        boards: BoardSelection {
            virtual_boards: args.virtual_boards.map(usize::from),
            ..BoardSelection::default()
        },
        boots: args.boots.get(),
        scenarios: args.scenarios.selection(),
    };
    let notices = super::notices(HeapFormat::Text);
    let FirstBad { commit, subject, phase, bytes, key } =
        heap::bisect(&request, &signals::stop_request()?, &notices).await?;
    let of = key.as_ref().map_or("-".into(), ToString::to_string);
    print(&format!(
        "\nthe first commit that leaves less heap free: {commit}\nsubject: {subject}\nphase: {phase}\nbytes: {bytes}\nof: {of}\n"
    ))
}
