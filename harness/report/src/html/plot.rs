//! The heap over a run as a picture (SVG), with the phases shaded.

use std::collections::BTreeMap;

use hilrig_core::heap::{HeapPhase, HeapSample};
use maud::{Markup, html};

use super::table::wide;
use super::trace::{PhaseSpan, Trace};

// Of the whole picture and of the space around the plot, in SVG units.
const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 40.0;
/// About what a letter of a phase's name takes.
const LETTER: f64 = 6.6;

/// Lowest free heap that a phase must keep, bytes.
pub(super) type PhaseFloors = BTreeMap<HeapPhase, u64>;

/// Both axes of a plot.
struct Axes {
    seconds: f64,
    bytes: f64,
}

impl Axes {
    fn x(&self, seconds: f64) -> f64 {
        LEFT + (seconds / self.seconds).clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, bytes: f64) -> f64 {
        HEIGHT - BOTTOM - (bytes / self.bytes).clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
    }
}

/// The plot of one board; `end` is the run's, seconds.
pub(super) fn heap(trace: &Trace, board: &str, end: f64, floors: &PhaseFloors) -> Markup {
    let largest =
        trace.samples.iter().flat_map(|(_, s)| [Some(s.lowest_free), s.free]).flatten().max();
    let Some(largest) = largest else {
        return html! { p { "The board reported no heap figures." } };
    };
    let last = trace.samples.iter().map(|(at, _)| *at).fold(end, f64::max);
    let axes = Axes { seconds: last.max(1e-3), bytes: (largest as f64 * 1.08).max(1.0) };
    html! {
        (wide(&format!("plot of the heap of {}", board), html! {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img"
                aria-label={ "Free heap of " (board) " over the run; the figures are in the table below." } {
                    (shades(&axes, &trace.phases))
                    (scales(&axes))
                    (floor_lines(&axes, floors))
                    (free_line(&axes, &trace.samples))
                    @for (at, sample) in &trace.samples {
                        (point(&axes, *at, sample))
                    }
                }
        }))
        p.legend {
            @for phase in HeapPhase::ALL {
                span {
                    svg viewBox="-8 -8 16 16" width="16" height="16" aria-hidden="true" {
                        (mark(phase, 0.0, 0.0))
                    }
                    "lowest free in " (phase.name())
                }
            }
            span {
                svg viewBox="-8 -8 16 16" width="16" height="16" aria-hidden="true" {
                    line.free x1="-8" x2="8" {}
                }
                "free when reported"
            }
            @if !floors.is_empty() {
                span {
                    svg viewBox="-8 -8 16 16" width="16" height="16" aria-hidden="true" {
                        line.floor.boot x1="-8" x2="8" {}
                    }
                    "floor, in the phase's colour"
                }
            }
        }
        @if trace.thinned > 1 {
            p.small { "Each point is the lowest of " (trace.thinned) " samples." }
        }
    }
}

fn shades(axes: &Axes, phases: &[PhaseSpan]) -> Markup {
    html! {
        @for (number, walked) in phases.iter().enumerate() {
            @let from = axes.x(walked.from);
            @let width = axes.x(walked.to.unwrap_or(axes.seconds)) - from;
            @let words = walked.phase.words();
            g.shade {
                rect.odd[number % 2 == 1] x=(px(from)) y=(TOP) width=(px(width)) height=(HEIGHT - TOP - BOTTOM) {
                    title { (words) }
                }
                @if width > words.len() as f64 * LETTER {
                    text x=(px(from + width / 2.0)) y=(TOP - 7.0) text-anchor="middle" { (words) }
                }
            }
        }
    }
}

fn scales(axes: &Axes) -> Markup {
    let kib = step(axes.bytes / 1024.0, 6.0) * 1024.0;
    let seconds = step(axes.seconds, 10.0);
    html! {
        g.scale {
            @for n in 0..=(axes.bytes / kib) as u32 {
                @let bytes = f64::from(n) * kib;
                @let y = px(axes.y(bytes));
                line x1=(LEFT) x2=(WIDTH - RIGHT) y1=(y) y2=(y) {}
                text x=(LEFT - 8.0) y=(y) dy="4" text-anchor="end" { (short(bytes / 1024.0)) " KiB" }
            }
            @for n in 0..=(axes.seconds / seconds) as u32 {
                @let at = f64::from(n) * seconds;
                text x=(px(axes.x(at))) y=(HEIGHT - BOTTOM + 18.0) text-anchor="middle" { (short(at)) }
            }
            text x=((LEFT + WIDTH - RIGHT) / 2.0) y=(HEIGHT - 4.0) text-anchor="middle" { "seconds from the run's start" }
        }
    }
}

fn floor_lines(axes: &Axes, floors: &PhaseFloors) -> Markup {
    html! {
        @for (phase, floor) in floors {
            @let y = px(axes.y(*floor as f64));
            line class={ "floor " (phase.name()) } x1=(LEFT) x2=(WIDTH - RIGHT) y1=(y) y2=(y) {
                title { "the floor of " (phase.name()) ": " (floor) " B" }
            }
        }
    }
}

fn free_line(axes: &Axes, samples: &[(f64, HeapSample)]) -> Markup {
    let points: Vec<String> = samples
        .iter()
        .filter_map(|(at, s)| Some(format!("{},{}", px(axes.x(*at)), px(axes.y(s.free? as f64)))))
        .collect();
    html! {
        @if points.len() > 1 {
            polyline.free points=(points.join(" ")) {}
        }
    }
}

fn point(axes: &Axes, at: f64, sample: &HeapSample) -> Markup {
    html! {
        g {
            title {
                (sample.phase.name()) ": lowest free " (sample.lowest_free) " B"
                @if let Some(free) = sample.free { ", free " (free) " B" }
                " at " (format!("{at:.3}")) " s"
            }
            (mark(sample.phase, axes.x(at), axes.y(sample.lowest_free as f64)))
        }
    }
}

/// Each of the firmware's phases has a shape of its own beside its colour, for readers who cannot distinguish
/// the colours.
pub(super) fn mark(phase: HeapPhase, x: f64, y: f64) -> Markup {
    let place = format!("translate({} {})", px(x), px(y));
    let form = match phase {
        HeapPhase::Boot => "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0Z",
        HeapPhase::Page => "M-4 -4H4V4H-4Z",
        HeapPhase::Handshake => "M0 5.5L-5.5 -4H5.5Z",
        HeapPhase::Connected => "M0 -6L5 0L0 6L-5 0Z",
    };
    html! { path class={ "mark " (phase.name()) } transform=(place) d=(form) {} }
}

/// A tenth of a unit is less than anybody sees.
pub(super) fn px(value: f64) -> String {
    short((value * 10.0).round() / 10.0)
}

pub(super) fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The distance between marks of a scale up to `end`: 1, 2 or 5 times a power of ten, about `count`
/// of them.
pub(super) fn step(end: f64, count: f64) -> f64 {
    let rough = end / count;
    let power = 10f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|n| n * power)
        .find(|step| *step >= rough)
        .unwrap_or(rough)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_have_round_steps() {
        assert_eq!(step(52.0, 6.0), 10.0);
        assert_eq!(step(1.3, 10.0), 0.2);
        assert_eq!(step(86_400.0, 10.0), 10_000.0);
        assert_eq!((short(0.2), short(40.0), short(0.0)), ("0.2".into(), "40".into(), "0".into()));
    }
}
