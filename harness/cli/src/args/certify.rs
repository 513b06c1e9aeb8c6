//! The command line of `hilrig certify`.

use std::path::PathBuf;

use clap::Subcommand;

use super::{BoardArgs, ConfigArg};

/// `hilrig certify`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Certify {
    #[command(flatten)]
    pub run: CertifyRun,
    /// What to do with certificates that are there.
    #[command(subcommand)]
    pub command: Option<CertifyCommand>,
}

/// `hilrig certify` on boards.
#[derive(Debug, clap::Args)]
pub struct CertifyRun {
    #[command(flatten)]
    pub config: ConfigArg,
    /// The broker: a name (`--list` tells them), `all` that are installed, or HOST:PORT of one that runs
    /// already, with --ca.
    #[arg(long, value_name = "BROKER", default_value = "mosquitto")]
    pub broker: String,
    /// The CA of a broker at HOST:PORT, PEM or DER; of several in a file each board gets the one that fits.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// The name in its certificate, where that is not HOST.
    #[arg(long, value_name = "NAME", requires = "ca")]
    pub name: Option<String>,
    /// The user at it.
    #[arg(long, value_name = "USER", requires_all = ["ca", "password_file"])]
    pub user: Option<String>,
    /// A file with the password in its first line.
    #[arg(long, value_name = "FILE", requires = "user")]
    pub password_file: Option<PathBuf>,
    /// The client certificate that hilrig's clients and the boards show to it, PEM; those above it may follow.
    #[arg(long, value_name = "FILE", requires_all = ["ca", "client_key"])]
    pub client_cert: Option<PathBuf>,
    /// The key of the client certificate, PEM.
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    pub client_key: Option<PathBuf>,
    /// Run the cases that put load on a broker at HOST:PORT or disturb its other clients, too.
    #[arg(long)]
    pub allow_load: bool,
    /// Run each case so many times: the certificate has the worst of them and how much they differ.
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub repeat: u32,
    /// Require what the matrix only reports, with commas between: ids of cases, short names such as mfln, and
    /// limits such as heap>=36KiB, handshake_seconds<=2s or handshake_bytes<=6KiB.
    #[arg(long, value_name = "LIST")]
    pub require: Vec<String>,
    /// Run only the case of this id (may be given more than once).
    #[arg(long = "case", value_name = "ID")]
    pub cases: Vec<String>,
    /// Print the matrix and the brokers, and run nothing.
    #[arg(long)]
    pub list: bool,
    #[command(flatten)]
    pub boards: BoardArgs,
    /// Put the record into exactly this folder, which must be new or empty.
    #[arg(long, value_name = "DIR")]
    pub record: Option<PathBuf>,
    /// Flash even if the image is on the board already.
    #[arg(long)]
    pub flash: bool,
    /// Seed of everything random in the run, to repeat an earlier one.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..1 << 53))]
    pub seed: Option<u64>,
}

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
