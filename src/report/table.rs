//! Tables of a terminal: columns as wide as their widest cell, numbers to the right.

use std::fmt;

use crate::wording;

/// Where a column's text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table with a head.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table of these columns, without rows.
    pub fn new(columns: &[(&str, Align)]) -> Table {
        let columns = columns.iter().map(|(head, align)| ((*head).to_owned(), *align)).collect();
        Table { columns, rows: Vec::new() }
    }

    /// Adds a row; cells beyond the columns are left out, missing ones are empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut cells: Vec<String> = cells.into_iter().collect();
        cells.resize(self.columns.len(), String::new());
        self.rows.push(cells);
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Heads of the columns, and where their text stands.
    pub fn columns(&self) -> &[(String, Align)] {
        &self.columns
    }

    /// The rows, each with as many cells as there are columns.
    pub fn rows(&self) -> &[Vec<String>] {
        &self.rows
    }

    fn width(&self, column: usize) -> usize {
        let head = self.columns[column].0.chars().count();
        self.rows.iter().map(|row| row[column].chars().count()).fold(head, usize::max)
    }

    fn line(&self, out: &mut fmt::Formatter<'_>, cells: &[String]) -> fmt::Result {
        let mut line = String::new();
        for (column, cell) in cells.iter().enumerate() {
            let pad = " ".repeat(self.width(column) - cell.chars().count());
            line.push_str("  ");
            match self.columns[column].1 {
                Align::Left => line.extend([cell.as_str(), &pad]),
                Align::Right => line.extend([pad.as_str(), cell]),
            }
        }
        writeln!(out, "{}", line.trim_end())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads: Vec<String> = self.columns.iter().map(|(head, _)| head.clone()).collect();
        self.line(out, &heads)?;
        self.rows.iter().try_for_each(|row| self.line(out, row))
    }
}

/// What stands where a number is none: nothing was there to be divided by.
pub const NONE: &str = "–";

/// A number with its thousands apart, rounded to a whole: 63,362.
pub fn count(number: f64) -> String {
    if !number.is_finite() {
        return NONE.to_owned();
    }
    let text = wording::count(number.abs().round_ties_even() as usize);
    if number <= -0.5 { format!("-{text}") } else { text }
}

/// A quotient near 1: 1.04.
pub fn quotient(number: f64) -> String {
    if number.is_finite() { format!("{number:.2}") } else { NONE.to_owned() }
}

/// A share as per cent with enough digits to tell small ones apart: 6.31 %.
pub fn percent(share: f64) -> String {
    let per_cent = share * 100.0;
    if !per_cent.is_finite() {
        return NONE.to_owned();
    }
    let digits = if per_cent.abs() >= 10.0 { 1 } else { 2 };
    format!("{per_cent:.digits$} %")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&[("segment", Align::Left), ("users", Align::Right)]);
        table.row(["everyone", "12,000"].map(str::to_owned));
        table.row(["käufer".to_owned()]);
        assert_eq!(table.to_string(), "  segment    users\n  everyone  12,000\n  käufer\n");
    }

    #[test]
    fn numbers_read_easily() {
        let cases = [(0.0, "0"), (999.4, "999"), (1_000.0, "1,000"), (1_234_567.0, "1,234,567"), (-1_234.0, "-1,234")];
        for (number, text) in cases {
            assert_eq!(count(number), text);
        }
        for none in [f64::NAN, f64::INFINITY] {
            assert_eq!([count(none), percent(none), quotient(none)], [NONE; 3]);
        }
        assert_eq!(quotient(1.038), "1.04");
        assert_eq!([0.0631, 0.5, 0.00051].map(percent), ["6.31 %", "50.0 %", "0.05 %"]);
    }
}
