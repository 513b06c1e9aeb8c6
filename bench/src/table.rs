//! The tables that are printed. Long texts are below a table, as numbered notes.

use crate::figures::{Figures, Unit};

/// A table under a title.
#[derive(Debug)]
pub struct Table {
    title: String,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
}

/// What a figure is compared with.
#[derive(Clone, Copy, Debug)]
pub enum Against {
    /// The aim is to stay below.
    Below(f64),
    /// The aim is to reach this.
    AtLeast(f64),
    /// There is no aim.
    Nothing,
}

/// A figure and what is printed with it.
pub struct TableRow<'a> {
    /// What was measured.
    pub what: &'a str,
    /// The figures.
    pub figures: Figures,
    /// Their unit.
    pub unit: Unit,
    /// The aim.
    pub aim: Against,
    /// What the same takes without the rig.
    pub floor: Option<f64>,
    /// How it was measured, and where the floor comes from.
    pub note: &'a str,
}

impl Table {
    /// An empty table with a head of its own.
    pub fn new(title: impl Into<String>, head: &[&str]) -> Table {
        let head = head.iter().map(|cell| (*cell).to_owned()).collect();
        Table { title: title.into(), head, rows: Vec::new(), notes: Vec::new() }
    }

    /// An empty table for [`TableRow`]s.
    pub fn of_rows(title: impl Into<String>) -> Table {
        let head =
            ["", "median", "min .. max", "runs", "aim", "of the aim", "floor", "of the floor"];
        Table::new(title, &head)
    }

    /// Adds a row.
    pub fn row(&mut self, row: TableRow<'_>) {
        let median = row.figures.median();
        let (aim, of_aim) = match row.aim {
            Against::Below(aim) => (format!("< {}", row.unit.text(aim)), ratio(median, aim)),
            Against::AtLeast(aim) => (format!(">= {}", row.unit.text(aim)), ratio(median, aim)),
            Against::Nothing => (String::new(), String::new()),
        };
        let floor = row.floor.map(|floor| (row.unit.text(floor), ratio(median, floor)));
        let (floor, of_floor) = floor.unwrap_or_default();
        self.cells(
            vec![
                row.what.into(),
                row.unit.text(median),
                row.figures.range(row.unit),
                row.figures.runs().to_string(),
                aim,
                of_aim,
                floor,
                of_floor,
            ],
            row.note,
        );
    }

    /// Adds cells as they are.
    pub fn cells(&mut self, mut cells: Vec<String>, note: &str) {
        if !note.is_empty() {
            let known = self.notes.iter().position(|n| n == note);
            let number = known.unwrap_or_else(|| {
                self.notes.push(note.into());
                self.notes.len() - 1
            });
            if let Some(first) = cells.first_mut() {
                first.push_str(&format!(" [{}]", number + 1));
            }
        }
        self.rows.push(cells);
    }

    /// The table as text.
    pub fn text(&self) -> String {
        let lines = || std::iter::once(&self.head).chain(&self.rows);
        let widths: Vec<usize> = (0..self.head.len())
            .map(|column| {
                let cells = lines().filter_map(|line| line.get(column));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        let mut text = format!("\n{}\n", self.title);
        for line in lines() {
            let mut row = String::new();
            for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
                match column {
                    0 => row.push_str(&format!("  {cell:width$}")),
                    _ => row.push_str(&format!("  {cell:>width$}")),
                }
            }
            text.push_str(row.trim_end());
            text.push('\n');
        }
        for (number, note) in self.notes.iter().enumerate() {
            text.push_str(&format!("  [{}] {note}\n", number + 1));
        }
        text
    }
}

fn ratio(measured: f64, against: f64) -> String {
    format!("{:.2}", measured / against)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_line_up_and_notes_are_reported_once() {
        let mut table = Table::of_rows("Title");
        let figures: Figures = [0.01, 0.03, 0.02].into_iter().collect();
        for what in ["a", "longer"] {
            table.row(TableRow {
                what,
                figures: figures.clone(),
                unit: Unit::Seconds,
                aim: Against::Below(0.01),
                floor: Some(0.04),
                note: "from there",
            });
        }
        let text = table.text();
        assert!(text.contains("a [1]       20.0 ms  10.0 ms .. 30.0 ms"), "{text}");
        assert_eq!(text.matches("from there").count(), 1);
        assert!(text.contains("< 10.0 ms        2.00  40.0 ms          0.50"), "{text}");
    }
}
