//! A table of the page.

use maud::{Markup, Render, html};

/// A column by its heading.
pub(super) enum Column {
    Text(String),
    /// Figures, which stand at the right.
    Number(String),
}

/// A column of text.
pub(super) fn text(heading: impl Into<String>) -> Column {
    Column::Text(heading.into())
}

/// A column of figures.
pub(super) fn number(heading: impl Into<String>) -> Column {
    Column::Number(heading.into())
}

/// A table with these rows (`tr`). `label` names it for screen readers.
pub(super) fn table(label: &str, columns: &[Column], rows: impl Render) -> Markup {
    wide(
        label,
        html! {
            table {
                thead {
                    tr {
                        @for column in columns {
                            @match column {
                                Column::Text(heading) => th { (heading) },
                                Column::Number(heading) => th.number { (heading) },
                            }
                        }
                    }
                }
                tbody { (rows) }
            }
        },
    )
}

/// Content that scrolls sideways on a narrow screen. A region that scrolls must be reachable with the keyboard.
pub(super) fn wide(label: &str, content: impl Render) -> Markup {
    html! { div.wide tabindex="0" role="region" aria-label=(label) { (content) } }
}
