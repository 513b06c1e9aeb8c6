//! The command line of `hilrig certify`.

use std::path::PathBuf;

use clap::Subcommand;

/// The commands of `hilrig certify` on certificates that are there.
#[derive(Debug, Subcommand)]
pub enum CertifyCommand {
    /// Tell whether certificates are as hilrig wrote them.
    Check(CertifyCheck),
}

/// `hilrig certify check`.
#[derive(Debug, clap::Args)]
pub struct CertifyCheck {
    /// A certificate.json, or the folder of a record (may be given more than once).
    #[arg(required = true)]
    pub certificates: Vec<PathBuf>,
}
