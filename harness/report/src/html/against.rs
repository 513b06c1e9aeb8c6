//! This run's heap beside the baseline, on the page.

use maud::{Markup, html};

use crate::heap::{Comparison, Figure, Judged, Key};

/// A table for each thing that can be compared.
pub(super) fn section(comparisons: &[(Key, Comparison)]) -> Markup {
    html! {
        @if !comparisons.is_empty() {
            section id="baseline" {
                h2 { "Against the baseline" }
                @for (key, comparison) in comparisons {
                    h3 { (key) }
                    (table(comparison))
                }
                p.small {
                    "One run can differ from the baseline by chance; " code { "hilrig heap check" } " takes several."
                }
            }
        }
    }
}

fn table(comparison: &Comparison) -> Markup {
    let figure = |figure: Option<Figure>| figure.map_or("not measured".into(), |f| f.to_string());
    html! {
        div.wide tabindex="0" role="region" aria-label="against the baseline" {
            table {
                thead {
                    tr {
                        th { "Phase" } th { "Figure" } th.number { "Accepted" } th.number { "This run" }
                        th.number { "Change" } th.number { "Allowed" } th { "" }
                    }
                }
                tbody {
                    @for change in &comparison.changes {
                        tr.bad[matches!(change.judged, Judged::Worse | Judged::NotMeasured)] {
                            td { (change.phase.name()) }
                            td { (change.metric.words()) }
                            td.number { (figure(change.before)) }
                            td.number { (figure(change.now)) }
                            td.number { (change.difference().map_or(String::new(), |more| format!("{more:+}"))) }
                            td.number { (change.allowed().map_or(String::new(), |more| format!("{more:+}"))) }
                            td { (change.words()) }
                        }
                    }
                }
            }
        }
    }
}
