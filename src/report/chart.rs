//! Charts: a picture, its words, its legend, and a table of every number in it.

use std::fmt::Write;

use super::axis::{Axis, Scale, Tell};
use super::svg::{Anchor, Svg, escaped};
use super::table::{Align, Table};

/// Series that look different; more look like the first ones again.
pub const STYLES: usize = 8;
const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 44.0;
/// Height of one row of ranges and bars.
const ROW: f64 = 34.0;
/// Longest words on a row, in letters: alone, and with a number at its end. The table has them whole.
const LETTERS_MAX: usize = 60;
const LETTERS_BEFORE_NUMBER: usize = 50;
/// Half of a letter's width, on a narrow screen where letters are largest.
const HALF_LETTER: f64 = 4.4;

/// A chart.
#[derive(Debug, Clone, PartialEq)]
pub enum Chart {
    /// Lines over an axis.
    Lines(Lines),
    /// Numbers with their intervals, one a row.
    Ranges(Ranges),
    /// Bars, one a row.
    Bars(Bars),
}

/// Lines over an axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Lines {
    /// Along the bottom.
    pub x: Axis,
    /// Upwards.
    pub y: Axis,
    /// What is drawn.
    pub series: Vec<Series>,
    /// Places on the lower axis where something happens.
    pub marks: Vec<(f64, String)>,
    /// The line on which both axes are equal is drawn.
    pub has_diagonal: bool,
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Its points, in the order of the lower axis.
    pub points: Vec<(f64, f64)>,
    /// Each point has a dot.
    pub has_dots: bool,
}

/// Numbers with their intervals.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranges {
    /// The axis of all.
    pub axis: Axis,
    /// A number that all are held against.
    pub against: f64,
    /// What is drawn.
    pub rows: Vec<Range>,
}

/// A number with its interval.
#[derive(Debug, Clone, PartialEq)]
pub struct Range {
    /// What it is.
    pub name: String,
    /// Best estimate.
    pub mean: f64,
    /// Its 95 % interval, where there is one.
    pub interval: Option<(f64, f64)>,
}

/// Bars.
#[derive(Debug, Clone, PartialEq)]
pub struct Bars {
    /// The axis of all; with a logarithmic one bars begin at 1.
    pub axis: Axis,
    /// Name, number and a remark.
    pub rows: Vec<(String, f64, String)>,
}

/// The line of a series: its number and its colour.
fn style(number: usize) -> String {
    format!("s{}", number % STYLES)
}

fn shortened(words: &str, letters: usize) -> String {
    match words.char_indices().nth(letters) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words.to_owned(),
    }
}

impl Chart {
    /// The picture. `id` is unique on the page.
    pub fn svg(&self, id: &str, name: &str) -> String {
        match self {
            Chart::Lines(lines) => lines.svg(id, name),
            Chart::Ranges(ranges) => ranges.svg(id, name),
            Chart::Bars(bars) => bars.svg(id, name),
        }
    }

    /// What stands for which line, and what the marks are; empty where nothing needs to be told.
    pub fn legend(&self) -> String {
        let Chart::Lines(lines) = self else { return String::new() };
        let mut out = String::from("<ul class=\"legend\">\n");
        for (number, series) in lines.series.iter().enumerate() {
            let style = style(number);
            let _ = writeln!(
                out,
                "<li><svg class=\"key\" viewBox=\"0 0 26 8\" aria-hidden=\"true\"><line class=\"line {style}\" \
                 x1=\"0\" \
                 y1=\"4\" x2=\"26\" y2=\"4\"/></svg>{}</li>",
                escaped(&series.name)
            );
        }
        for (number, (_, what)) in lines.marks.iter().enumerate() {
            let _ = writeln!(out, "<li><b class=\"mark\">{}</b> {}</li>", number + 1, escaped(what));
        }
        out.push_str("</ul>\n");
        out
    }

    /// Every number of the picture.
    pub fn table(&self) -> Table {
        match self {
            Chart::Lines(lines) => lines.table(),
            Chart::Ranges(Ranges { axis, rows, .. }) => {
                let head = [("", Align::Left), (axis.label.as_str(), Align::Right), ("95 % interval", Align::Right)];
                let mut table = Table::new(&head);
                for Range { name, mean, interval } in rows {
                    let tell = |number: f64| axis.tell.tell(number);
                    let range =
                        interval.map_or("–".to_owned(), |(low, high)| format!("{} … {}", tell(low), tell(high)));
                    table.row([name.clone(), tell(*mean), range]);
                }
                table
            }
            Chart::Bars(Bars { axis, rows }) => {
                let mut table =
                    Table::new(&[("", Align::Left), (axis.label.as_str(), Align::Right), ("", Align::Left)]);
                rows.iter().for_each(|(name, number, remark)| {
                    table.row([name.clone(), axis.tell.tell(*number), remark.clone()]);
                });
                table
            }
        }
    }
}

/// The frame of a picture: where its numbers are.
struct Frame {
    x: Scale,
    y: Scale,
    bottom: f64,
}

impl Frame {
    fn at(&self, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        let (x, y) = (self.x.place(x)?, self.y.place(y)?);
        Some((LEFT + x * (WIDTH - LEFT - RIGHT), self.bottom - y * (self.bottom - TOP)))
    }
}

/// Ticks and name of the lower axis.
fn lower_axis(svg: &mut Svg, axis: &Axis, scale: Scale, bottom: f64, height: f64) {
    for (number, words) in axis.ticks(scale) {
        let Some(place) = scale.place(number) else { continue };
        let x = LEFT + place * (WIDTH - LEFT - RIGHT);
        svg.line("grid", (x, TOP), (x, bottom));
        // Long words at the right end would be cut off.
        let is_beyond = x + HALF_LETTER * words.chars().count() as f64 > WIDTH;
        let (x, anchor) = if is_beyond { (WIDTH - 1.0, Anchor::End) } else { (x, Anchor::Middle) };
        svg.words("tick", (x, bottom + 14.0), anchor, &words);
    }
    svg.line("axis", (LEFT, bottom), (WIDTH - RIGHT, bottom));
    svg.words("label", (WIDTH - RIGHT, height - 8.0), Anchor::End, &axis.label);
}

impl Lines {
    fn numbers(&self, of: fn(&(f64, f64)) -> f64) -> impl Iterator<Item = f64> {
        self.series.iter().flat_map(|series| &series.points).map(of)
    }

    fn svg(&self, id: &str, name: &str) -> String {
        let mut svg = Svg::new(id, (WIDTH, HEIGHT), name, &self.words());
        let bottom = HEIGHT - BOTTOM;
        let (mut x, mut y) = (self.x.scale(self.numbers(|point| point.0)), self.y.scale(self.numbers(|point| point.1)));
        if self.has_diagonal {
            let both = || self.numbers(|point| point.0).chain(self.numbers(|point| point.1));
            (x, y) = (self.x.scale(both()), self.y.scale(both()));
        }
        let frame = Frame { x, y, bottom };
        lower_axis(&mut svg, &self.x, x, bottom, HEIGHT);
        for (number, words) in self.y.ticks(y) {
            let Some(place) = y.place(number) else { continue };
            let height = bottom - place * (bottom - TOP);
            svg.line("grid", (LEFT, height), (WIDTH - RIGHT, height));
            svg.words("tick", (LEFT - 5.0, height + 4.0), Anchor::End, &words);
        }
        svg.words("label", (4.0, 13.0), Anchor::Start, &self.y.label);
        if self.has_diagonal {
            svg.line("against", (LEFT, bottom), (WIDTH - RIGHT, TOP));
        }
        let mut last = f64::NEG_INFINITY;
        for (number, (at, _)) in self.marks.iter().enumerate() {
            let Some(place) = x.place(*at) else { continue };
            let x = LEFT + place * (WIDTH - LEFT - RIGHT);
            svg.line("against", (x, TOP), (x, bottom));
            // Marks close to each other stand below each other.
            let drop = if x - last < 14.0 { 14.0 } else { 0.0 };
            svg.words("mark", (x + 3.0, TOP + 10.0 + drop), Anchor::Start, &(number + 1).to_string());
            last = x;
        }
        for (number, series) in self.series.iter().enumerate().rev() {
            let places: Vec<(f64, f64)> = series.points.iter().filter_map(|point| frame.at(*point)).collect();
            svg.path(&format!("line {}", style(number)), &places);
            if series.has_dots {
                places.iter().for_each(|place| svg.dot(&format!("dot {}", style(number)), *place, 3.0));
            }
        }
        svg.done()
    }

    /// The picture in words: each line from its first number to its last.
    fn words(&self) -> String {
        let mut words = format!("{} over {}.", self.y.label, self.x.label);
        for series in &self.series {
            let (Some(first), Some(last)) = (series.points.first(), series.points.last()) else { continue };
            let tell = |(x, y): &(f64, f64)| format!("{} at {}", tell(&self.y, *y), tell(&self.x, *x));
            let _ = write!(words, " {}: from {} to {}.", series.name, tell(first), tell(last));
        }
        for (at, what) in &self.marks {
            let _ = write!(words, " At {}: {what}.", tell(&self.x, *at));
        }
        words
    }

    /// One row for each place on the lower axis where all lines share it, else one for each point.
    fn table(&self) -> Table {
        let places = |series: &Series| series.points.iter().map(|point| point.0).collect::<Vec<_>>();
        let is_shared = self.series.windows(2).all(|two| places(&two[0]) == places(&two[1]));
        let mut left: Vec<&(f64, String)> = self.marks.iter().collect();
        // What is marked at a place stands in its first row, and in a row of its own where there is none.
        let mut note = |x: f64| {
            let (here, others) = left.drain(..).partition(|(at, _)| *at == x);
            left = others;
            words_of(&here)
        };
        let is_wide = is_shared && self.series.len() > 1;
        let mut head = match is_wide {
            true => vec![(self.x.label.as_str(), Align::Right)],
            false => {
                vec![("", Align::Left), (self.x.label.as_str(), Align::Right), (self.y.label.as_str(), Align::Right)]
            }
        };
        let names = self.series.iter().filter(|_| is_wide);
        head.extend(names.map(|series| (series.name.as_str(), Align::Right)));
        head.extend((!self.marks.is_empty()).then_some(("marked", Align::Left)));
        let mut table = Table::new(&head);
        let width = head.len();
        if is_wide {
            for (row, (x, _)) in self.series[0].points.iter().enumerate() {
                let cells = self.series.iter().map(|series| tell(&self.y, series.points[row].1));
                table.row([tell(&self.x, *x)].into_iter().chain(cells).chain([note(*x)]));
            }
        } else {
            for (series, (x, y)) in self.series.iter().flat_map(|of| of.points.iter().map(move |point| (of, point))) {
                table.row([series.name.clone(), tell(&self.x, *x), tell(&self.y, *y), note(*x)]);
            }
        }
        for (at, what) in left {
            let mut cells = vec![String::new(); width];
            cells[usize::from(!is_wide)] = tell(&self.x, *at);
            cells[width - 1].clone_from(what);
            table.row(cells);
        }
        table
    }
}

/// A number of a line; what is counted may be a mean.
fn tell(axis: &Axis, number: f64) -> String {
    match axis.tell {
        Tell::Count if number.fract() != 0.0 => format!("{number:.1}"),
        tell => tell.tell(number),
    }
}

fn words_of(marks: &[&(f64, String)]) -> String {
    marks.iter().map(|(_, what)| what.as_str()).collect::<Vec<_>>().join("; ")
}

impl Ranges {
    fn svg(&self, id: &str, name: &str) -> String {
        let words: Vec<String> = self.rows.iter().map(|row| self.row_words(row)).collect();
        let height = TOP + ROW * self.rows.len() as f64 + BOTTOM;
        let bottom = height - BOTTOM;
        let mut svg = Svg::new(id, (WIDTH, height), name, &format!("{}. {}", self.axis.label, words.join(" ")));
        let ends = self.rows.iter().flat_map(|row| {
            let (low, high) = row.interval.unwrap_or((row.mean, row.mean));
            [row.mean, low, high]
        });
        let scale = self.axis.scale(ends.chain([self.against]));
        lower_axis(&mut svg, &self.axis, scale, bottom, height);
        let x = |number: f64| scale.place(number).map(|place| LEFT + place * (WIDTH - LEFT - RIGHT));
        if let Some(x) = x(self.against) {
            svg.line("against", (x, TOP), (x, bottom));
        }
        for (number, row) in self.rows.iter().enumerate() {
            let y = TOP + ROW * number as f64 + 24.0;
            svg.words("row", (4.0, y - 11.0), Anchor::Start, &shortened(&row.name, LETTERS_BEFORE_NUMBER));
            svg.words("row", (WIDTH - 4.0, y - 11.0), Anchor::End, &self.axis.tell.tell(row.mean));
            if let Some((Some(low), Some(high))) = row.interval.map(|(low, high)| (x(low), x(high))) {
                svg.line("line s0", (low, y), (high, y));
                svg.line("line s0", (low, y - 4.0), (low, y + 4.0));
                svg.line("line s0", (high, y - 4.0), (high, y + 4.0));
            }
            if let Some(mean) = x(row.mean) {
                svg.dot("dot s0", (mean, y), 4.0);
            }
        }
        svg.done()
    }

    fn row_words(&self, row: &Range) -> String {
        let tell = |number: f64| self.axis.tell.tell(number);
        let range = row
            .interval
            .map_or(String::new(), |(low, high)| format!(", 95 % interval {} to {}", tell(low), tell(high)));
        format!("{}: {}{range}.", row.name, tell(row.mean))
    }
}

impl Bars {
    fn svg(&self, id: &str, name: &str) -> String {
        let words: Vec<String> =
            self.rows.iter().map(|(name, number, _)| format!("{name}: {}.", self.axis.tell.tell(*number))).collect();
        let height = TOP + ROW * self.rows.len() as f64 + BOTTOM;
        let bottom = height - BOTTOM;
        let mut svg = Svg::new(id, (WIDTH, height), name, &format!("{}. {}", self.axis.label, words.join(" ")));
        let least = if self.axis.is_log { 1.0 } else { 0.0 };
        let scale = self.axis.scale(self.rows.iter().map(|row| row.1).chain([least]));
        lower_axis(&mut svg, &self.axis, scale, bottom, height);
        for (number, (name, value, remark)) in self.rows.iter().enumerate() {
            let y = TOP + ROW * number as f64;
            let words =
                format!("{name}: {}{}{remark}", self.axis.tell.tell(*value), if remark.is_empty() { "" } else { ", " });
            svg.words("row", (4.0, y + 13.0), Anchor::Start, &shortened(&words, LETTERS_MAX));
            let width = scale.place(*value).unwrap_or(0.0) * (WIDTH - LEFT - RIGHT);
            svg.bar("bar", (LEFT, y + 18.0), (width, 9.0));
        }
        svg.done()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(series: Vec<Series>) -> Chart {
        let axis = |label: &str| Axis::new(label, Tell::Digits(3));
        Chart::Lines(Lines {
            x: axis("x"),
            y: axis("y"),
            series,
            marks: vec![(2.0, "<b>".to_owned())],
            has_diagonal: true,
        })
    }

    fn series(name: &str, points: &[(f64, f64)]) -> Series {
        Series { name: name.to_owned(), points: points.to_vec(), has_dots: true }
    }

    #[test]
    fn every_number_of_a_picture_is_in_its_table() {
        let points = [(1.0, 0.125), (2.0, 0.5), (3.0, 0.75)];
        let shared = lines(vec![series("a", &points), series("b", &points)]).table();
        assert_eq!((shared.columns().len(), shared.rows().len()), (4, 3));
        assert_eq!(shared.rows()[1], ["2.000", "0.500", "0.500", "<b>"]);
        let apart = lines(vec![series("a", &points), series("b", &points[1..])]).table();
        assert_eq!(apart.rows().len(), 5);
        assert_eq!(apart.rows()[1], ["a", "2.000", "0.500", "<b>"]);
        assert_eq!(apart.rows()[4], ["b", "3.000", "0.750", ""]);
        let beside = lines(vec![series("a", &points[2..])]).table();
        assert_eq!(beside.rows()[1], ["", "2.000", "", "<b>"], "what is marked where no point is");
        let range = Range { name: "r".to_owned(), mean: 0.5, interval: Some((0.25, 0.75)) };
        let axis = Axis::new("n", Tell::Percent);
        let ranges = Chart::Ranges(Ranges { axis: axis.clone(), against: 0.0, rows: vec![range] });
        assert_eq!(ranges.table().rows()[0], ["r", "50.0 %", "25.0 % … 75.0 %"]);
        let bars = Chart::Bars(Bars { axis, rows: vec![("b".to_owned(), 0.1, "rest".to_owned())] });
        assert_eq!(bars.table().rows()[0], ["b", "10.0 %", "rest"]);
    }

    #[test]
    fn pictures_say_what_they_show_and_hold_no_markup() {
        let chart = lines(vec![series("<i>", &[(1.0, f64::NAN), (2.0, 4.0)])]);
        let svg = chart.svg("f", "<u>");
        assert!(svg.contains("<desc id=\"f-d\">y over x. &lt;i&gt;: from – at 1.000 to 4.000 at 2.000."), "{svg}");
        assert!(!svg.contains("<u>") && !svg.contains("NaN") && chart.legend().contains("&lt;b&gt;"));
        assert!(lines(Vec::new()).svg("f", "empty").contains("</svg>"), "nothing to show is no mistake");
    }
}
