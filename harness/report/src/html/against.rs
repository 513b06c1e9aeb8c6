//! This run's heap beside the baseline, on the page.

use maud::{Markup, html};

use super::table::{number, table, text};
use crate::heap::{Comparison, FigureJudgement, HeapFigure, Key};

/// A table for each thing that can be compared.
pub(super) fn section(comparisons: &[(Key, Comparison)]) -> Markup {
    html! {
        @if !comparisons.is_empty() {
            section id="baseline" {
                h2 { "Against the baseline" }
                @for (key, comparison) in comparisons {
                    h3 { (key) }
                    (figures(comparison))
                }
                p.small {
                    "One run can differ from the baseline by chance; " code { "hilrig heap check" } " takes several."
                }
            }
        }
    }
}

fn figures(comparison: &Comparison) -> Markup {
    let figure =
        |figure: Option<HeapFigure>| figure.map_or("not measured".into(), |f| f.to_string());
    html! {
        (table("against the baseline", &[text("Phase"), text("Figure"), number("Accepted"), number("This run"), number("Change"), number("Allowed"), text("")], html! {
            @for change in &comparison.changes {
                tr.bad[matches!(change.judged, FigureJudgement::Worse | FigureJudgement::NotMeasured)] {
                    td { (change.phase.name()) }
                    td { (change.metric.words()) }
                    td.number { (figure(change.before)) }
                    td.number { (figure(change.now)) }
                    td.number { (change.difference().map_or(String::new(), |more| format!("{more:+}"))) }
                    td.number { (change.allowed().map_or(String::new(), |more| format!("{more:+}"))) }
                    td { (change.words()) }
                }
            }
        }))
    }
}
