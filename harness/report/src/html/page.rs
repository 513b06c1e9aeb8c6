//! The page as a whole.

use std::collections::BTreeMap;
use std::path::Path;

use hilrig_core::heap::HeapPhase;
use hilrig_core::verdict::Verdict;
use maud::{Markup, html};

use super::document::{anchor, badge, whole};
use super::memory;
use super::table::{Column, number, table, text};
use super::trace::Trace;
use super::{against, board, certificate, history};
use crate::certificate::{Certification, seal};
use crate::heap::{Comparison, Key};
use crate::history::HistoryRow;
use crate::model::{BoardModel, RunModel};

pub(super) fn page(
    run: &RunModel,
    traces: &BTreeMap<String, Trace>,
    record: &Path,
    history: &[HistoryRow],
    compared: &[(Key, Comparison)],
) -> Markup {
    let verdict = run.ended.as_ref().map(|end| end.verdict);
    let id = run.started.as_ref().map_or("", |started| started.run.as_str());
    let end = run.ended.as_ref().map_or(run.at, |end| end.seconds);
    let empty = Trace::default();
    let floors = run.started.as_ref().map(|started| started.floors.clone()).unwrap_or_default();
    let certificate = |of: &Certification| {
        let mut certificate = run.certificate(&of.broker)?;
        seal(&mut certificate);
        Some(certificate)
    };
    let title = format!("{} · hilrig {id}", verdict.map_or("incomplete", Verdict::word));
    whole(
        &title,
        html! {
            a.skip href="#boards" { "To the boards" }
            header {
                h1 { "hilrig run " (id) " " (badge(verdict)) }
                @if let Some(why) = run.ended.as_ref().and_then(|end| end.why.as_deref()) {
                    p.why { (why) }
                }
                (facts(run))
            }
            main {
                (boards(run))
                (notes(run))
                @for of in &run.certifications {
                    (certificate::section(of, certificate(of).as_ref()))
                }
                (against::section(compared))
                (memory::sections(run.started.as_ref().map_or(&[], |started| &started.firmware)))
                (history::section(history))
                @for board in &run.boards {
                    @let kind = board.facts.as_ref().map_or("", |facts| facts.kind.as_str());
                    @let floors = run.started.as_ref().map_or_else(|| floors.clone(), |started| started.floors_of(kind));
                    (board::section(board, traces.get(&board.name).unwrap_or(&empty), record, end, &floors))
                }
            }
        },
    )
}

fn facts(run: &RunModel) -> Markup {
    html! {
        dl {
            @if let Some(started) = &run.started {
                div { dt { "Started" } dd { (started.started) } }
                div { dt { "hilrig" } dd { (started.hilrig) } }
                @if let Some(commit) = &started.commit { div { dt { "Commit" } dd { code { (commit) } } } }
                div { dt { "Seed" } dd { (started.seed) } }
                @for firmware in &started.firmware {
                    div {
                        dt { "Firmware for " (firmware.kind) }
                        dd {
                            (firmware.build.as_deref().unwrap_or("without a build id"))
                            ", " (firmware.bytes) " B, " code { (firmware.sha256.get(..16).unwrap_or("")) }
                        }
                    }
                }
            }
            @if let Some(broker) = &run.broker {
                div { dt { "Broker" } dd { (broker.software) " " (broker.version) " (" (broker.kind) ")" } }
            }
            @if let Some(found) = &run.broker_lost {
                div { dt { "Broker lost" } dd { (found) } }
            }
            @if let Some(end) = &run.ended {
                div { dt { "Time" } dd { (format!("{:.2}", end.seconds)) " s" } }
            }
        }
    }
}

fn boards(run: &RunModel) -> Markup {
    let low = |board: &BoardModel, phase| {
        board.heap.get(phase).map_or("–".into(), |low| low.lowest_free.to_string())
    };
    let phases = HeapPhase::ALL.map(|phase| number(format!("Free in {}, B", phase.name())));
    let columns: Vec<Column> =
        [text("Board"), text("Verdict")].into_iter().chain(phases).chain([text("Why")]).collect();
    html! {
        section id="boards" {
            h2 { "Boards" }
            (table("boards", &columns, html! {
                @for board in &run.boards {
                    tr {
                        td { a href={ "#" (anchor(&board.name)) } { (board.name) } }
                        td { (badge(board.verdict())) }
                        @for phase in HeapPhase::ALL { td.number { (low(board, phase)) } }
                        td.prose { (board.end.as_ref().and_then(|end| end.why.as_deref()).unwrap_or("")) }
                    }
                }
            }))
        }
    }
}

fn notes(run: &RunModel) -> Markup {
    html! {
        @if !run.notes.is_empty() {
            section {
                h2 { "Notes" }
                ul { @for note in &run.notes { li { (note) } } }
            }
        }
    }
}
