//! `hilrig certify`: which TLS settings of a broker a small device can talk to.

mod check;
mod diff;
mod list;
mod run;
mod show;

use crate::args::{Certify, CertifyCommand};
use crate::error::Failure;

/// Does what the command line says.
pub async fn certify(args: Certify) -> Result<u8, Failure> {
    match args.command {
        Some(CertifyCommand::Check(args)) => check::check(&args),
        Some(CertifyCommand::Diff(args)) => diff::diff(&args),
        Some(CertifyCommand::Show(args)) => show::show(&args),
        None if args.run.list => list::list(),
        None => run::run(args.run).await,
    }
}
