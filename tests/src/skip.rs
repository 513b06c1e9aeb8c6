//! Skipping a test, with the reason in sight.

use std::io::Write as _;

/// Prints why a test is skipped. Not with `println!`, whose text the test harness swallows.
pub fn skipped(reason: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(std::io::stderr(), "SKIPPED: {test}: {reason}");
}
