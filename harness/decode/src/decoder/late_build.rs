//! A build that the log names only after a crash.

use crate::finding::Finding;

/// Findings that wait, and lines that they wait for. A board prints its build within a few lines of its start.
const MOST_FINDINGS: usize = 64;
const MOST_LINES: u32 = 400;

/// Findings that wait for the build of the firmware that they are of. By default nothing waits.
#[derive(Debug, Default)]
pub struct LateBuild {
    waits: bool,
    findings: Vec<Finding>,
    lines: u32,
}

impl LateBuild {
    /// Findings without a build wait.
    pub fn waiting() -> LateBuild {
        LateBuild { waits: true, ..LateBuild::default() }
    }

    /// Takes a finding. All come out in their order.
    pub fn finding(&mut self, finding: Finding, found: &mut dyn FnMut(Finding)) {
        if finding.build.is_some() {
            self.waits = false;
        }
        // Another firmware may be written to a chip in its serial loader.
        let flashed = finding.is_in_loader();
        match self.waits && !flashed {
            true => self.findings.push(finding),
            false => {
                self.findings.drain(..).for_each(&mut *found);
                found(finding);
            }
        }
    }

    /// A line was read; `build` is what the log named last.
    pub fn line(&mut self, build: Option<&String>, found: &mut dyn FnMut(Finding)) {
        if !self.waits || (self.findings.is_empty() && build.is_none()) {
            return;
        }
        self.lines += 1;
        if build.is_some() || self.lines > MOST_LINES || self.findings.len() > MOST_FINDINGS {
            self.end(build, found);
            self.waits = build.is_none();
            self.lines = 0;
        }
    }

    /// Nothing more comes.
    pub fn end(&mut self, build: Option<&String>, found: &mut dyn FnMut(Finding)) {
        for mut finding in self.findings.drain(..) {
            finding.build = finding.build.take().or_else(|| build.cloned());
            found(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use crate::decoder::Decoder;
    use crate::finding::{Finding, Kind};

    const CRASH: &str = "Exception (29):\nepc1=0x40203a1d epc2=0x0 epc3=0x0 excvaddr=0x0 depc=0x0\n\n\
        \x20ets Jan  8 2013,rst cause:2, boot mode:(3,6)\n\n";

    fn builds(decoder: Decoder, log: &str) -> Vec<(Kind, Option<String>)> {
        let mut all = Vec::new();
        let mut take = |finding: Finding| all.push((finding.kind, finding.build));
        let mut decoder = decoder;
        for chunk in log.as_bytes().chunks(7) {
            decoder.feed(chunk, &mut take);
        }
        decoder.finish(&mut take);
        all
    }

    #[test]
    fn a_build_that_is_named_after_the_crash_is_that_of_the_crash() {
        let build = || Some("0123456789abcdef".to_owned());
        let log = format!("{CRASH}Build: 0123456789abcdef\n{CRASH}");
        let late = builds(Decoder::default().with_late_build(), &log);
        assert_eq!(late[0], (Kind::Exception, build()));
        assert!(late.len() == 4 && late[2] == (Kind::Exception, build()), "{late:?}");
        assert_eq!(builds(Decoder::default(), &log)[0], (Kind::Exception, None));
        // Another firmware was written in between.
        let loader = " ets Jan  8 2013,rst cause:2, boot mode:(1,6)\n";
        let log = format!("{CRASH}{loader}Build: 0123456789abcdef\n");
        assert_eq!(builds(Decoder::default().with_late_build(), &log)[0].1, None);
        // The log does not name one: nothing is lost, and nothing waits without end.
        assert_eq!(builds(Decoder::default().with_late_build(), CRASH).len(), 2);
        let mut decoder = Decoder::default().with_late_build();
        let mut count = 0;
        decoder.feed(CRASH.as_bytes(), |_| count += 1);
        decoder.feed("all is well\n".repeat(500).as_bytes(), |_| count += 1);
        assert_eq!(count, 2);
    }

    #[test]
    fn the_contract_has_the_line_that_names_the_build() {
        let line = Regex::new("^FW-([0-9a-f]{4})$").unwrap();
        let log = format!("FW-12ab\nBuild: 0123456789abcdef\n{CRASH}");
        let found = builds(Decoder::default().with_build(line), &log);
        assert_eq!(found[0], (Kind::Exception, Some("12ab".into())));
    }
}
