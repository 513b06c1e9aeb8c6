//! `hilrig doctor`.

use anstyle::{AnsiColor, Style};
use hilrig::doctor::{Diagnosis, examine};
use hilrig_core::exit;
use hilrig_report::terminal_lines;

use crate::args;
use crate::error::{Failure, print};

/// Prints what is there and what is missing.
pub async fn doctor(args: &args::Doctor) -> Result<u8, Failure> {
    let found = examine(&args.config.config).await;
    let bad = found.iter().any(Diagnosis::is_missing);
    let mut text = String::new();
    let width = found.iter().map(|finding| finding.what.len()).max().unwrap_or(0);
    for finding in &found {
        let (word, colour) = match (&finding.fix, finding.needed) {
            (None, _) => ("ok     ", AnsiColor::Green),
            (Some(_), true) => ("missing", AnsiColor::Red),
            (Some(_), false) => ("without", AnsiColor::Yellow),
        };
        let style = Style::new().fg_color(Some(colour.into()));
        let found = finding.found.lines().flat_map(|line| terminal_lines(line, 11 + width));
        let fix = finding.fix.iter().flat_map(|fix| terminal_lines(fix, 14 + width));
        let fix = fix.enumerate().map(|(n, line)| format!("{}{line}", ["-> ", "   "][n.min(1)]));
        for (n, line) in found.chain(fix).enumerate() {
            match n {
                0 => text += &format!("{style}{word}{style:#}  {:width$}  {line}\n", finding.what),
                _ => text += &format!("         {:width$}  {line}\n", ""),
            }
        }
    }
    text.push_str(match bad {
        true => "\nA run needs what is missing.\n",
        false => "\nEverything that a run needs is there.\n",
    });
    print(&text)?;
    Ok(if bad { exit::RIG_FAULT } else { exit::PASSED })
}
