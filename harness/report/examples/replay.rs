//! Shows a recorded run again, with its times: `cargo run -p hilrig-report --example replay --
//! records/latest/events.jsonl [SPEED]`.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use hilrig_report::{TerminalStream, read_events, terminal};

fn main() -> ExitCode {
    match replay() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn replay() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: replay EVENTS_JSONL [SPEED]")?;
    let speed: f64 = arguments.next().map_or(Ok(1.0), |speed| speed.parse())?;
    let recorded = read_events(Path::new(&path))?;
    let mut terminal = terminal(TerminalStream::Stdout, None);
    let start = Instant::now();
    for event in &recorded.events {
        let due = Duration::try_from_secs_f64(event.at / speed)?;
        std::thread::sleep(due.saturating_sub(start.elapsed()));
        terminal.event(event)?;
    }
    terminal.finish()?;
    if let Some(torn) = recorded.torn {
        writeln!(std::io::stderr(), "line {} is torn: {}", torn.line, torn.text)?;
    }
    Ok(())
}
