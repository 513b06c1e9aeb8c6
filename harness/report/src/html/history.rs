//! The runs before this one on the page: the lowest free heap, run by run.

use std::collections::BTreeSet;

use hilrig_core::heap::HeapPhase;
use maud::{Markup, html};

use super::plot::{mark, px, short, step};
use super::table::{Column, number, table, text, wide};
use crate::heap::{HeapFigure, Key, Metric};
use crate::history::HistoryRow;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 30.0;

/// A run in a plot: its id, its commit, and a median for each phase.
struct Point<'a> {
    run: &'a str,
    commit: &'a str,
    medians: [Option<u64>; HeapPhase::ALL.len()],
}

/// A plot for each thing that can be compared. Of a single run there is nothing to compare.
pub(super) fn section(rows: &[HistoryRow]) -> Markup {
    let keys: BTreeSet<Key> = rows.iter().map(HistoryRow::key).collect();
    let all: Vec<(Key, Vec<Point<'_>>)> = keys
        .into_iter()
        .map(|key| {
            let points = points(rows, &key);
            (key, points)
        })
        .filter(|(_, points)| points.len() > 1)
        .collect();
    html! {
        @if !all.is_empty() {
            section id="history" {
                h2 { "History" }
                @for (key, points) in &all {
                    h3 { (key) }
                    (plot(points, &key.to_string()))
                    (figures(points))
                }
            }
        }
    }
}

fn points<'a>(rows: &'a [HistoryRow], key: &Key) -> Vec<Point<'a>> {
    let of_key = |row: &&HistoryRow| row.metric == Metric::LowestFree && row.key() == *key;
    let rows: Vec<&HistoryRow> = rows.iter().filter(of_key).collect();
    let runs = rows.chunk_by(|a, b| a.run == b.run);
    runs.map(|run| Point {
        run: &run[0].run,
        commit: run[0].commit.as_deref().unwrap_or(""),
        medians: HeapPhase::ALL.map(|phase| {
            let values = run.iter().filter(|row| row.phase == phase).map(|row| row.value);
            HeapFigure::of(values.collect()).map(|figure| figure.median)
        }),
    })
    .collect()
}

fn plot(points: &[Point<'_>], name: &str) -> Markup {
    let values = || points.iter().flat_map(|point| point.medians).flatten();
    let (Some(low), Some(high)) = (values().min(), values().max()) else { return html! {} };
    // Not from zero: what is looked for here is a step of some hundred bytes.
    let room = ((high - low) as f64 * 0.08).max(512.0);
    let (low, high) = ((low as f64 - room).max(0.0), high as f64 + room);
    let y = |bytes: f64| HEIGHT - BOTTOM - (bytes - low) / (high - low) * (HEIGHT - TOP - BOTTOM);
    let last = (points.len() - 1) as f64;
    let x = |number: usize| LEFT + 8.0 + number as f64 / last * (WIDTH - LEFT - RIGHT - 16.0);
    let kib = step((high - low) / 1024.0, 5.0) * 1024.0;
    let first_line = (low / kib).ceil() as u32;
    html! {
        (wide(&format!("plot of the history of {}", name), html! {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img"
                aria-label="Lowest free heap, run by run; the figures are in the table below." {
                    g.scale {
                        @for n in first_line..=(high / kib) as u32 {
                            @let at = px(y(f64::from(n) * kib));
                            line x1=(LEFT) x2=(WIDTH - RIGHT) y1=(at) y2=(at) {}
                            text x=(LEFT - 8.0) y=(at) dy="4" text-anchor="end" { (short(f64::from(n) * kib / 1024.0)) " KiB" }
                        }
                        text x=(LEFT) y=(HEIGHT - 8.0) { (points[0].run) }
                        text x=(WIDTH - RIGHT) y=(HEIGHT - 8.0) text-anchor="end" { (points[points.len() - 1].run) }
                    }
                    @for (number, phase) in HeapPhase::ALL.into_iter().enumerate() {
                        @let line: Vec<String> = points.iter().enumerate().filter_map(|(at, point)| {
                            Some(format!("{},{}", px(x(at)), px(y(point.medians[number]? as f64))))
                        }).collect();
                        polyline class={ "run " (phase.name()) } points=(line.join(" ")) {}
                        @for (at, point) in points.iter().enumerate() {
                            @if let Some(bytes) = point.medians[number] {
                                g {
                                    title { (point.run) " " (point.commit) ": " (phase.name()) " " (bytes) " B" }
                                    (mark(phase, x(at), y(bytes as f64)))
                                }
                            }
                        }
                    }
                }
        }))
    }
}

fn figures(points: &[Point<'_>]) -> Markup {
    let phases = HeapPhase::ALL.map(|phase| number(format!("{}, B", phase.name())));
    let columns: Vec<Column> = [text("Run"), text("Commit")].into_iter().chain(phases).collect();
    html! {
        details {
            summary { "The figures of " (points.len()) " runs" }
            (table("history", &columns, html! {
                @for point in points.iter().rev() {
                    tr {
                        td { (point.run) }
                        td { code { (point.commit) } }
                        @for median in point.medians {
                            td.number { (median.map_or("not measured".into(), |m| m.to_string())) }
                        }
                    }
                }
            }))
        }
    }
}
