//! The command line of `hilrig certify`.

use std::path::PathBuf;

use clap::Subcommand;

use super::{BoardArgs, ConfigArg};

/// The heading of what is only for a broker that the rig does not start.
const OUTSIDE: &str = "A running broker (--broker HOST:PORT)";

/// `hilrig certify`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Certify {
    #[command(flatten)]
    pub run: CertifyRun,
    /// What to do with existing certificates.
    #[command(subcommand)]
    pub command: Option<CertifyCommand>,
}

/// `hilrig certify` on boards.
#[derive(Debug, clap::Args)]
pub struct CertifyRun {
    #[command(flatten)]
    pub config: ConfigArg,
    /// The broker: a name (see --list), `all` installed ones, or HOST:PORT of a running broker, with --ca.
    #[arg(long, value_name = "BROKER", default_value = "mosquitto")]
    pub broker: String,
    /// CA of a broker at HOST:PORT, PEM or DER. Of several in the file, boards get the one that fits.
    #[arg(long, help_heading = OUTSIDE, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Name in its certificate, if that is not HOST.
    #[arg(long, help_heading = OUTSIDE, value_name = "NAME", requires = "ca")]
    pub name: Option<String>,
    /// User at this broker.
    #[arg(long, help_heading = OUTSIDE, value_name = "USER", requires_all = ["ca", "password_file"])]
    pub user: Option<String>,
    /// File with the password in its first line.
    #[arg(long, help_heading = OUTSIDE, value_name = "FILE", requires = "user")]
    pub password_file: Option<PathBuf>,
    /// Client certificate for this broker, PEM, with its chain. The rig and the boards present it.
    #[arg(long, help_heading = OUTSIDE, value_name = "FILE", requires_all = ["ca", "client_key"])]
    pub client_cert: Option<PathBuf>,
    /// Key of the client certificate, PEM.
    #[arg(long, help_heading = OUTSIDE, value_name = "FILE", requires = "client_cert")]
    pub client_key: Option<PathBuf>,
    /// Also run the cases that put load on a broker at HOST:PORT or disturb its other clients.
    #[arg(long, help_heading = OUTSIDE)]
    pub allow_load: bool,
    /// Run each case this many times. The certificate has the worst result and how much they differ.
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub repeat: u32,
    /// Require what the matrix only reports: a comma-separated list of case ids, short names such as
    /// mfln, and limits such as heap>=36KiB, handshake_seconds<=2s or handshake_bytes<=6KiB.
    #[arg(long, value_name = "LIST")]
    pub require: Vec<String>,
    /// Run only the case with this id (may be given more than once).
    #[arg(long = "case", value_name = "ID")]
    pub cases: Vec<String>,
    /// Print the matrix and the brokers, and run nothing.
    #[arg(long)]
    pub list: bool,
    #[command(flatten)]
    pub boards: BoardArgs,
    /// Write the record into this folder, which must be new or empty.
    #[arg(long, value_name = "DIR")]
    pub record: Option<PathBuf>,
    /// Flash even if the image is already on the board.
    #[arg(long)]
    pub flash: bool,
    /// Seed of all random choices, to repeat an earlier run.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..1 << 53))]
    pub seed: Option<u64>,
}

/// The commands of `hilrig certify` on certificates that are there.
#[derive(Debug, Subcommand)]
pub enum CertifyCommand {
    /// Check that certificates are unchanged since hilrig wrote them.
    Check(CertifyCheck),
    /// Compare two certificates, for example before and after a broker's upgrade.
    ///
    /// The exit code is 0 if nothing is worse, 100 if something is, and 2 if a certificate cannot be read
    /// or was changed since it was written.
    Diff(CertifyDiff),
    /// Print a certificate as text, Markdown or a page.
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
    /// The one to compare it with.
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
    /// Print Markdown.
    #[arg(long, conflicts_with = "html")]
    pub markdown: bool,
    /// Print an HTML page.
    #[arg(long)]
    pub html: bool,
    /// Output file. By default standard output.
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
}
