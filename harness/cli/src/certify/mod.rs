//! `hilrig certify`: which TLS settings of a broker a small device can talk to.

mod ask;
mod check;
mod diff;
mod line;
mod list;
mod ours;
mod outside;
mod own;
mod reach;
mod refused;
mod run;
mod show;
mod shown;

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
