//! The binary `hilrig`: arguments, wiring, exit code.

mod args;
mod boards;
mod certify;
mod decode;
mod doctor;
mod error;
mod flash;
mod heap;
mod init;
mod monitor;
mod power;
mod report;
mod run;
mod signals;
mod virtual_board;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use tracing_subscriber::EnvFilter;

use crate::args::{Args, Command};
use crate::error::{Failure, say};

fn main() -> ExitCode {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_env("HILRIG_LOG").unwrap_or_else(|_| EnvFilter::new("error")),
        )
        .with_writer(|| error::LogWriter)
        .with_target(false)
        .init();
    // Two TLS libraries' providers may be in the tree; the choice is ours to make.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // One thread for everything that waits. Children are tied to the thread that starts them
    // (PR_SET_PDEATHSIG), and this one lives as long as the process.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&Failure::internal(format!("starting the runtime: {error}")));
            return ExitCode::from(hilrig_core::exit::INTERNAL);
        }
    };
    let done = runtime.block_on(dispatch(args));
    // A thread may still be writing to a board that went silent; its deadline is not ours.
    runtime.shutdown_background();
    match done {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            say(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

async fn dispatch(args: Args) -> Result<u8, Failure> {
    signals::survive_file_limit();
    hilrig::limits::raise();
    match args.command {
        Command::Run(run) => run::run(run).await,
        Command::Boards(boards) => boards::boards(&boards).await,
        Command::Flash(flash) => flash::flash(flash).await,
        Command::Monitor(monitor) => monitor::monitor(monitor).await,
        Command::Power(args) => power::power(args).await,
        Command::VirtualBoard(board) => virtual_board::virtual_board(board).await,
        Command::Decode(decode) => decode::decode(&decode),
        Command::Report(report) => report::report(&report),
        Command::Heap { command } => heap::heap(command).await,
        Command::Certify(certify) => certify::certify(*certify).await,
        Command::Doctor(doctor) => doctor::doctor(&doctor).await,
        Command::Init(init) => init::init(&init).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "hilrig", &mut script);
            error::print(&String::from_utf8_lossy(&script))
        }
    }
}
