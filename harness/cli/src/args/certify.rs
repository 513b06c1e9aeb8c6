//! The command line of `hilrig certify`.

use std::path::PathBuf;

use clap::Subcommand;

/// The commands of `hilrig certify` on certificates that are there.
#[derive(Debug, Subcommand)]
pub enum CertifyCommand {
    /// Tell whether certificates are as hilrig wrote them.
    Check(CertifyCheck),
    /// Put two certificates side by side, for a broker's upgrade.
    ///
    /// Exit code 0 if nothing is worse, 100 if something is, 2 where a certificate cannot be read or was
    /// changed since it was written.
    Diff(CertifyDiff),
    /// Show a certificate that was left by a run or got from somebody.
    Show(CertifyShow),
}

/// `hilrig certify check`.
#[derive(Debug, clap::Args)]
pub struct CertifyCheck {
    /// A certificate.json, or the folder of a record (may be given more than once).
    #[arg(required = true)]
    pub certificates: Vec<PathBuf>,
}

/// `hilrig certify diff`.
#[derive(Debug, clap::Args)]
pub struct CertifyDiff {
    /// A certificate.json, or the folder of a record.
    pub before: PathBuf,
    /// Another.
    pub after: PathBuf,
    /// Print Markdown.
    #[arg(long, conflicts_with = "json")]
    pub markdown: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `hilrig certify show`.
#[derive(Debug, clap::Args)]
pub struct CertifyShow {
    /// A certificate.json, or the folder of a record.
    pub certificate: PathBuf,
    /// As Markdown.
    #[arg(long, conflicts_with = "html")]
    pub markdown: bool,
    /// As a page.
    #[arg(long)]
    pub html: bool,
    /// Where to, in place of the terminal.
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
}
