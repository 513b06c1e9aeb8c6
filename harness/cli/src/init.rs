//! `hilrig init`.

use hilrig_core::plural::counted;

use crate::args;
use crate::error::{Failure, print};

/// Writes a configuration for what is attached.
pub async fn init(args: &args::Init) -> Result<u8, Failure> {
    let written = hilrig::init(&args.file, args.ask).await?;
    let left = match written.incomplete {
        0 => String::new(),
        n => format!(", and {n} more commented out, with what they lack"),
    };
    print(&format!(
        "{} is written, with {} found{left}. `hilrig doctor` prints what is missing.\n",
        args.file.display(),
        counted(written.boards, "board")
    ))
}
