//! The main path and one own step, through the public API.
//!
//! `cargo run -p hilrig --example own_step runner-config.toml` runs both on one virtual board. The record is that of
//! `hilrig run`: own checks are in its events, reports and page.

use std::io::Write as _;
use std::process::ExitCode;

use async_trait::async_trait;
use hilrig::load::BoardSelection;
use hilrig::{CheckSpec, Job, MainPath, Plan, RunRequest, Session, Stop, StopRequest};

/// What the own step proves.
const SAME_PAGE: CheckSpec =
    CheckSpec::new("own.same_page", "the configuration page is the same ten times");

/// The main path, and after it the own step.
struct OwnStep;

#[async_trait(?Send)]
impl Job for OwnStep {
    fn checks(&self, plan: &Plan) -> Vec<CheckSpec> {
        [MainPath.checks(plan), vec![SAME_PAGE]].concat()
    }

    async fn run(&self, session: &Session<'_>) -> Result<(), Stop> {
        MainPath.run(session).await?;

        // The board is in configuration mode again. From here on, a failure is that of the own check.
        session.step(&SAME_PAGE);
        let path = &session.contract().http.page;
        let first = session.http_get(path).await?.body;
        let mut different = 0;
        for _ in 1..10 {
            different += usize::from(session.http_get(path).await?.body != first);
        }
        session.check(SAME_PAGE.outcome(different == 0, format!("{different} of 10 differ")));
        Ok(())
    }

    fn judge(&self, session: &Session<'_>, ended: &hilrig::Ended<'_>) {
        MainPath.judge(session, ended);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(config) = std::env::args_os().nth(1) else {
        let _ = writeln!(std::io::stderr(), "usage: own_step CONFIGURATION");
        return ExitCode::from(2);
    };
    let one_virtual = BoardSelection { virtual_boards: Some(1), ..BoardSelection::default() };
    let request = RunRequest { boards: one_virtual, ..RunRequest::new(config) };
    match hilrig::run_job_recorded(&request, &OwnStep, &StopRequest::never()).await {
        Ok(finished) => {
            let _ = writeln!(std::io::stdout(), "the record is in {}", finished.record.display());
            ExitCode::from(finished.code)
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::from(error.exit_code())
        }
    }
}
