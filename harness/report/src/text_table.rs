//! Tables that line up.

/// Rows under a head, columns as wide as their widest cell, two spaces between them. A column of
/// figures are at its right edge.
pub fn text_table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut lines: Vec<Vec<String>> = vec![head.iter().map(|cell| (*cell).to_owned()).collect()];
    lines.extend(rows);
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            lines
                .iter()
                .map(|line| line.get(column).map_or(0, |cell| cell.chars().count()))
                .max()
                .unwrap_or(0)
        })
        .collect();
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
        let mut row = String::new();
        for ((cell, width), right) in line.iter().zip(&widths).zip(&right) {
            let cell =
                if *right { format!("{cell:>width$}  ") } else { format!("{cell:width$}  ") };
            row.push_str(&cell);
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::text_table;

    #[test]
    fn columns_line_up() {
        let rows = [vec!["a".into(), "b".into()], vec!["longer".into(), "c".into()]];
        assert_eq!(text_table(&["x", "y"], rows), "x       y\na       b\nlonger  c\n");
        let rows = [vec!["a".into(), "100".into()], vec!["b".into(), "+9".into()]];
        assert_eq!(text_table(&["", "B"], rows), "     B\na  100\nb   +9\n");
    }
}
