//! `hilrig certify`: which TLS settings of a broker a small device can talk to.

mod check;
mod diff;
mod show;

use crate::args::CertifyCommand;
use crate::error::Failure;

/// Does what the command says.
pub fn certificates(command: &CertifyCommand) -> Result<u8, Failure> {
    match command {
        CertifyCommand::Check(args) => check::check(args),
        CertifyCommand::Diff(args) => diff::diff(args),
        CertifyCommand::Show(args) => show::show(args),
    }
}
