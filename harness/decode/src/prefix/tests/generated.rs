//! Prefixes of generated parts, and tools on top of one another.

use proptest::prelude::*;

use super::{TOOLS, decode, dumps, live};
use crate::finding::Finding;

/// A part of a prefix: what it is in line `n`.
#[derive(Clone, Debug)]
enum Part {
    Word(&'static str),
    Counter(usize, usize),
    Padded(usize),
    Time(usize),
    Date(usize),
    Epoch(usize),
    Hex(usize),
    Padding(&'static str),
}

impl Part {
    fn of_line(&self, n: usize) -> String {
        match self {
            Part::Word(word) => (*word).to_owned(),
            Part::Counter(from, step) => format!("{}", from + n * step),
            Part::Padded(from) => format!("{:6}", from + n),
            Part::Time(from) => {
                let s = from + n;
                format!(
                    "{:02}:{:02}:{:02}.{:03}",
                    s / 3600 % 24,
                    s / 60 % 60,
                    s % 60,
                    n * 37 % 1000
                )
            }
            Part::Date(from) => format!("2026-{:02}-{:02}", from % 12 + 1, from % 28 + 1),
            Part::Epoch(from) => format!("17{:08}.{:06}", from, n * 7),
            Part::Hex(from) => format!("{:04x}{}", from + n, n % 10),
            Part::Padding(name) => format!("{name:10}"),
        }
    }
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        prop::sample::select(vec![
            "dut",
            "bench:",
            "<13>",
            "rx",
            "COM3",
            "/dev/ttyUSB0",
            "I",
            "b\u{f6}ard",
            "[x]",
            "job (a, 1)",
            "host.lan"
        ])
        .prop_map(Part::Word),
        (prop::sample::select(vec![0usize, 3, 9, 95, 997, 40_201_200]), 1usize..3)
            .prop_map(|(from, step)| Part::Counter(from, step)),
        (0usize..10_000).prop_map(Part::Padded),
        (0usize..80_000).prop_map(Part::Time),
        (0usize..300).prop_map(Part::Date),
        (0usize..99_999_999).prop_map(Part::Epoch),
        (0usize..0xffff).prop_map(Part::Hex),
        prop::sample::select(vec!["esp-1", "board"]).prop_map(Part::Padding),
    ]
}

proptest! {
    // A case decodes four logs.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.div_ceil(4), ..ProptestConfig::default() })]
    #[test]
    fn tools_may_be_nested(
        tools in prop::collection::vec(prop::sample::select(TOOLS.to_vec()), 2..4),
        dump in prop::sample::select(dumps()),
    ) {
        // What is escaped twice is another text, words that vary are for dumps of more words, and the
        // asterisks of two tools cannot be told from those of a banner.
        let tools: Vec<_> = tools.into_iter().filter(|(name, _)| !matches!(*name, "Go's JSON" | "Markdown" | "over the end of a month" | "levels")).collect();
        prop_assume!(tools.iter().filter(|(name, _)| name.starts_with("bold")).count() < 2);
        let names: Vec<&str> = tools.iter().map(|(name, _)| *name).collect();
        let mut log = dump.clone();
        for (_, tool) in tools {
            log = log.lines().enumerate().map(|(n, line)| tool(n, line)).collect();
        }
        prop_assert_eq!(decode(&log), decode(&dump), "{:?}: {}", names, log);
    }

    #[test]
    fn whatever_is_in_front_of_each_line_hides_nothing(
        parts in prop::collection::vec((part(), prop::sample::select(vec![("", ""), ("[", "]"), ("(", ")"), ("<", ">")])), 1..5),
        between in prop::sample::select(vec![" ", "\t", " | ", ": ", " - ", "  "]),
        last in prop::sample::select(vec![" ", ": ", "| ", "\t", " > ", ":", "|", "] ", " -> "]),
        suffix in prop::sample::select(vec!["", "", "#015", " |", "\\r\\n", " ;", "<CR>", "\u{240d}", " //x"]),
        dump in prop::sample::select(dumps()),
        start in 0usize..3,
    ) {
        let prefix = |n: usize| {
            let parts = parts.iter().map(|(part, (open, close))| format!("{open}{}{close}", part.of_line(n)));
            parts.collect::<Vec<_>>().join(between) + last
        };
        // Also where the log begins in the middle.
        let dump = dump.lines().skip(start).fold(String::new(), |all, line| all + line + "\n");
        let log: String =
            dump.lines().enumerate().map(|(n, line)| format!("{}{line}{suffix}\n", prefix(n))).collect();
        // A line that is recognised as it is does not wait, and a message may end in anything.
        let plain = |mut findings: Vec<Finding>| {
            for finding in &mut findings {
                let said = finding.said.take();
                finding.said = said.map(|said| said.strip_suffix(suffix).unwrap_or(&said).to_owned());
            }
            findings
        };
        prop_assert_eq!(plain(decode(&log)), decode(&dump), "{}", log);
        prop_assert_eq!(plain(live(&log)), decode(&dump), "in a run: {}", log);
    }
}
