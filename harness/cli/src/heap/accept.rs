//! `hilrig heap accept`.

use hilrig::heap;
use hilrig_report::heap::{UnmeasuredBoot, figures_table};

use crate::args::{self, HeapFormat};
use crate::error::{Failure, print};
use crate::signals;

/// Writes the figures of these boots into the baseline.
pub async fn accept(args: &args::HeapBoots) -> Result<u8, Failure> {
    let notices = super::notices(HeapFormat::Text);
    let accepted = heap::accept(&args.request(), &signals::stop_request()?, &notices).await?;
    let mut text = String::new();
    for UnmeasuredBoot { run, board, why, .. } in &accepted.left_out {
        text.push_str(&format!("`{board}` of run {run} is left out: {why}\n"));
    }
    for (key, entry) in &accepted.entries {
        text.push_str(&figures_table(key, entry));
    }
    print(&format!("{text}accepted into {}; commit it\n", accepted.file.display()))
}
