//! A report as one HTML file: no network, no script, readable on paper, in the dark and on a narrow screen.

use std::fmt::Write;

use super::chart::Chart;
use super::svg::escaped;
use super::table::{Align, Table};

/// The style of all pages.
const STYLE: &str = include_str!("page.css");

/// A page.
#[derive(Debug, Clone, Default)]
pub struct Page {
    title: String,
    lead: Vec<String>,
    parts: Vec<Part>,
}

/// A part of a page.
#[derive(Debug, Clone, Default)]
pub struct Part {
    heading: String,
    words: Vec<String>,
    chart: Option<Chart>,
    table: Option<Table>,
    lines: Option<String>,
}

impl Page {
    /// A page with this title.
    pub fn new(title: impl Into<String>) -> Page {
        Page { title: title.into(), ..Page::default() }
    }

    /// Adds a sentence below the title.
    pub fn say(&mut self, words: impl Into<String>) {
        self.lead.push(words.into());
    }

    /// Adds a part.
    pub fn add(&mut self, part: Part) {
        self.parts.push(part);
    }

    /// The whole file.
    pub fn html(&self) -> String {
        let title = escaped(&self.title);
        let mut out = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
             content=\"width=device-width, initial-scale=1\">\n<meta http-equiv=\"Content-Security-Policy\" \
             content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<meta name=\"color-scheme\" content=\"light \
             dark\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n"
        );
        for words in &self.lead {
            let _ = writeln!(out, "<p>{}</p>", escaped(words));
        }
        out.push_str("</header>\n<main>\n");
        for (number, part) in self.parts.iter().enumerate() {
            part.write(&mut out, number);
        }
        out.push_str(
            "</main>\n<footer><p>Made by inkling; this file is all there is, and asks no network.</p></footer>\n",
        );
        out.push_str("</body>\n</html>\n");
        out
    }
}

impl Part {
    /// A part with a heading.
    pub fn new(heading: impl Into<String>) -> Part {
        Part { heading: heading.into(), ..Part::default() }
    }

    /// With a sentence below the heading.
    pub fn say(mut self, words: impl Into<String>) -> Part {
        self.words.push(words.into());
        self
    }

    /// With a chart.
    pub fn chart(self, chart: Chart) -> Part {
        Part { chart: Some(chart), ..self }
    }

    /// With a table.
    pub fn table(self, table: Table) -> Part {
        Part { table: Some(table), ..self }
    }

    /// With lines as they are, such as changes of a file.
    pub fn lines(self, lines: impl Into<String>) -> Part {
        Part { lines: Some(lines.into()), ..self }
    }

    fn write(&self, out: &mut String, number: usize) {
        let is_wide = self.chart.is_none();
        let heading = escaped(&self.heading);
        let _ = writeln!(out, "<section{}>\n<h2>{heading}</h2>", if is_wide { " class=\"wide\"" } else { "" });
        for words in &self.words {
            let _ = writeln!(out, "<p>{}</p>", escaped(words));
        }
        if let Some(table) = &self.table {
            write_table(out, table, &heading);
        }
        if let Some(lines) = &self.lines {
            let _ = writeln!(out, "<pre>{}</pre>", escaped(lines));
        }
        if let Some(chart) = &self.chart {
            let _ = writeln!(
                out,
                "<figure>\n{}{}</figure>",
                chart.svg(&format!("f{number}"), &self.heading),
                chart.legend()
            );
            out.push_str("<details>\n<summary>The numbers</summary>\n");
            write_table(out, &chart.table(), &heading);
            out.push_str("</details>\n");
        }
        out.push_str("</section>\n");
    }
}

/// A table; `heading` is markup already.
fn write_table(out: &mut String, table: &Table, heading: &str) {
    let class = |align: Align| if align == Align::Right { " class=\"number\"" } else { "" };
    let _ = writeln!(
        out,
        "<div class=\"scroll\" role=\"region\" aria-label=\"{heading}\" tabindex=\"0\">\n<table>\n<thead><tr>"
    );
    for (head, align) in table.columns() {
        let _ = write!(out, "<th scope=\"col\"{}>{}</th>", class(*align), escaped(head));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in table.rows() {
        out.push_str("<tr>");
        for (cell, (_, align)) in row.iter().zip(table.columns()) {
            let _ = write!(out, "<td{}>{}</td>", class(*align), escaped(cell));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
}
