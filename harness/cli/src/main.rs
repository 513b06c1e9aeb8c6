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

use std::panic::{AssertUnwindSafe, catch_unwind};
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
    let code = exit_code(|| runtime.block_on(dispatch(args)));
    // A thread may still be writing to a board that went silent; its deadline is not ours.
    runtime.shutdown_background();
    ExitCode::from(code)
}

/// The exit code of a command. A panic is hilrig's own failure, and its message was printed.
fn exit_code(command: impl FnOnce() -> Result<u8, Failure>) -> u8 {
    match catch_unwind(AssertUnwindSafe(command)) {
        Ok(Ok(code)) => code,
        Ok(Err(failure)) => {
            say(&failure);
            failure.exit_code()
        }
        Err(_) => hilrig_core::exit::INTERNAL,
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

#[cfg(test)]
mod tests {
    use hilrig_core::exit;

    use super::*;

    #[test]
    fn a_panic_has_the_exit_code_of_an_internal_error() {
        assert_eq!(exit_code(|| panic!("a bug")), exit::INTERNAL);
        assert_eq!(exit_code(|| Err(Failure::usage("no such board"))), exit::USAGE);
        assert_eq!(exit_code(|| Ok(exit::BOARD_FAILED)), exit::BOARD_FAILED);
    }
}
