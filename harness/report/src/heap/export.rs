//! The history in other tools' formats.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::Metric;
use crate::history::HistoryRow;

/// One figure a line (RFC 4180).
pub fn csv(rows: &[HistoryRow]) -> String {
    let mut text = String::from(
        "run,started,commit,build,board,kind,configuration,tls,verdict,phase,metric,value\r\n",
    );
    for row in rows {
        let or = |text: &Option<String>| text.clone().unwrap_or_default();
        let cells = [
            row.run.clone(),
            row.started.clone(),
            or(&row.commit),
            or(&row.build),
            row.board.clone(),
            row.kind.clone(),
            row.configuration.clone(),
            row.tls.clone(),
            or(&row.verdict),
            row.phase.name().into(),
            row.metric.name().into(),
            row.value.to_string(),
        ];
        let quoted: Vec<String> = cells.iter().map(|cell| field(cell)).collect();
        text.push_str(&quoted.join(","));
        text.push_str("\r\n");
    }
    text
}

fn field(text: &str) -> String {
    match text.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

/// An array of objects with the fields of the CSV.
pub fn json(rows: &[HistoryRow]) -> serde_json::Result<String> {
    let text = serde_json::to_string_pretty(rows)?;
    Ok(text + "\n")
}

/// Bencher Metric Format: the figures of the last run, `board/phase` being the benchmark.
pub fn bencher(rows: &[HistoryRow]) -> serde_json::Result<String> {
    let last = rows.last().map(|row| row.run.as_str());
    let mut benchmarks = Map::new();
    for row in rows.iter().filter(|row| Some(row.run.as_str()) == last) {
        let name = format!("{}/{}", row.board, row.phase.name());
        let measures = benchmarks.entry(name).or_insert_with(|| Value::Object(Map::new()));
        // Bencher's slugs are written with dashes.
        measures[row.metric.name().replace('_', "-")] = json!({ "value": row.value });
    }
    let text = serde_json::to_string_pretty(&benchmarks)?;
    Ok(text + "\n")
}

/// OpenMetrics 1.0 text: for each board the figures of its last run, as a scrape would find them.
pub fn open_metrics(rows: &[HistoryRow]) -> String {
    let mut text = String::new();
    for metric in Metric::ALL {
        let unit = metric.unit();
        let name = format!("hilrig_heap_{}_{unit}", metric.name());
        let _ = writeln!(text, "# TYPE {name} gauge\n# UNIT {name} {unit}");
        let _ = writeln!(
            text,
            "# HELP {name} {} of a firmware's phase in the board's last run.",
            metric.words().trim_end_matches(", %")
        );
        let newest = |row: &&HistoryRow| {
            let of_board = |other: &&HistoryRow| other.board == row.board;
            rows.iter().rfind(of_board).is_some_and(|last| last.run == row.run)
        };
        for row in rows.iter().filter(|row| row.metric == metric).filter(newest) {
            let labels = [
                ("board", row.board.as_str()),
                ("kind", &row.kind),
                ("phase", row.phase.name()),
                ("configuration", &row.configuration),
                ("commit", row.commit.as_deref().unwrap_or("")),
            ];
            let labels: Vec<String> =
                labels.iter().map(|(name, value)| format!("{name}=\"{}\"", label(value))).collect();
            let _ = writeln!(text, "{name}{{{}}} {}", labels.join(","), row.value);
        }
    }
    text.push_str("# EOF\n");
    text
}

fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use hilrig_core::heap::HeapPhase;

    use super::*;

    fn row(run: &str, board: &str, value: u64) -> HistoryRow {
        HistoryRow {
            run: run.into(),
            started: "2026-11-22T10:00:00Z".into(),
            commit: Some("0123".into()),
            build: None,
            board: board.into(),
            kind: "virtual".into(),
            configuration: "a=1, \"b\"".into(),
            tls: "TLS 1.2".into(),
            verdict: Some("passed".into()),
            phase: HeapPhase::Handshake,
            metric: Metric::LowestFree,
            value,
        }
    }

    #[test]
    fn each_format_has_its_quoting() {
        let rows = [row("r-1", "b-1", 100), row("r-1", "b-2", 200), row("r-2", "b-1", 300)];
        let csv = csv(&rows);
        assert_eq!(csv.lines().count(), 4);
        assert!(
            csv.contains("virtual,\"a=1, \"\"b\"\"\",TLS 1.2,passed,handshake,lowest_free,100\r\n"),
            "{csv}"
        );
        let bencher: Value = serde_json::from_str(&bencher(&rows).unwrap()).unwrap();
        assert_eq!(bencher, json!({ "b-1/handshake": { "lowest-free": { "value": 300 } } }));
        let metrics = open_metrics(&rows);
        let samples: Vec<&str> = metrics.lines().filter(|line| !line.starts_with('#')).collect();
        let of = |board: &str, bytes: u64| {
            format!(
                "hilrig_heap_lowest_free_bytes{{board=\"{board}\",kind=\"virtual\",phase=\"handshake\",\
                 configuration=\"a=1, \\\"b\\\"\",commit=\"0123\"}} {bytes}"
            )
        };
        assert_eq!(samples, [of("b-2", 200), of("b-1", 300)]);
        assert!(metrics.ends_with("# EOF\n"));
    }
}
