//! Tables for standard output.

use std::io;

use crate::terminal::style::TerminalStyle;

/// The space between two columns.
const GAP: usize = 2;
/// The narrowest column that text is wrapped in.
const NARROWEST: usize = 8;

/// Rows under a head, columns as wide as their widest cell, two spaces between them. A column of
/// figures is aligned to the right. On a terminal that is too narrow, the widest columns are wrapped.
pub fn text_table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    fitted(TerminalStyle::of(&io::stdout()).width, head, rows)
}

/// `text` in lines that fit a terminal on standard output, `indent` columns of which are taken.
pub fn terminal_lines(text: &str, indent: usize) -> Vec<String> {
    let width = TerminalStyle::of(&io::stdout()).width;
    wrapped(text, width.map_or(usize::MAX, |width| width.saturating_sub(indent).max(NARROWEST)))
}

fn fitted(
    terminal: Option<usize>,
    head: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let mut lines: Vec<Vec<String>> = vec![head.iter().map(|cell| (*cell).to_owned()).collect()];
    lines.extend(rows);
    let widest = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = (0..head.len()).map(widest).collect();
    if let Some(terminal) = terminal {
        narrow(&mut widths, terminal);
    }
    let figure = |cell: &String| {
        let of_figure = |c: char| c.is_ascii_digit() || " .±".contains(c);
        cell == "-"
            || cell.starts_with("not ")
            || cell.trim_start_matches(['+', '-']).chars().all(of_figure)
    };
    let figures = |column: usize| {
        let mut body = lines[1..].iter().filter_map(|line| line.get(column));
        let digits = lines[1..].iter().any(|line| {
            line.get(column).is_some_and(|cell| cell.contains(|c: char| c.is_ascii_digit()))
        });
        digits && body.all(figure)
    };
    let right: Vec<bool> = (0..head.len()).map(figures).collect();
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<Vec<String>> =
            line.iter().zip(&widths).map(|(cell, width)| wrapped(cell, *width)).collect();
        for number in 0..cells.iter().map(Vec::len).max().unwrap_or(1) {
            let mut row = String::new();
            for ((cell, width), right) in cells.iter().zip(&widths).zip(&right) {
                let part = cell.get(number).map_or("", String::as_str);
                row += &match *right {
                    true => format!("{part:>width$}"),
                    false => format!("{part:width$}"),
                };
                row += &" ".repeat(GAP);
            }
            text += row.trim_end();
            text.push('\n');
        }
    }
    text
}

/// Takes columns from the widest ones until a line fits, if it can.
fn narrow(widths: &mut [usize], terminal: usize) {
    let line =
        |widths: &[usize]| widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
    while line(widths) > terminal {
        let Some(widest) = widths.iter_mut().max().filter(|widest| **widest > NARROWEST) else {
            return;
        };
        *widest -= 1;
    }
}

/// `text` in lines of at most so many columns, cut between words where there are any.
pub(crate) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    if text.chars().count() <= columns {
        return vec![text.to_owned()];
    }
    let mut lines: Vec<Vec<char>> = vec![Vec::new()];
    for word in text.split(' ') {
        let word: Vec<char> = word.chars().collect();
        let last = lines.last_mut().expect("there is one");
        if last.is_empty() {
            // The first word of a line.
        } else if last.len() + 1 + word.len() <= columns {
            last.push(' ');
        } else {
            lines.push(Vec::new());
        }
        for c in word {
            if lines.last().is_some_and(|last| last.len() == columns) {
                lines.push(Vec::new());
            }
            lines.last_mut().expect("there is one").push(c);
        }
    }
    lines.into_iter().map(String::from_iter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [vec!["a".into(), "b".into()], vec!["longer".into(), "c".into()]];
        assert_eq!(fitted(None, &["x", "y"], rows), "x       y\na       b\nlonger  c\n");
        let rows = [vec!["a".into(), "100".into()], vec!["b".into(), "+9".into()]];
        assert_eq!(fitted(None, &["", "B"], rows), "     B\na  100\nb   +9\n");
    }

    #[test]
    fn wide_cells_are_wrapped_on_a_narrow_terminal() {
        let rows = || {
            let long = "clock at 1970, two years of waiting";
            [
                vec!["one".into(), "1".into(), long.into()],
                vec!["two".into(), "22".into(), "-".into()],
            ]
        };
        let table = fitted(Some(24), &["case", "n", "what"], rows());
        let lines = [
            "case   n  what",
            "one    1  clock at 1970,",
            "          two years of",
            "          waiting",
            "two   22  -",
        ];
        assert_eq!(table, lines.join("\n") + "\n");
        let wide = fitted(Some(80), &["case", "n", "what"], rows());
        assert_eq!(wide, fitted(None, &["case", "n", "what"], rows()));
    }

    #[test]
    fn a_terminal_of_no_width_gets_a_table_all_the_same() {
        let rows = [vec!["a name".into(), "a longer text".into()]];
        let table = fitted(Some(3), &["x", "y"], rows);
        assert_eq!(table, "x       y\na name  a longer\n        text\n");
    }
}
