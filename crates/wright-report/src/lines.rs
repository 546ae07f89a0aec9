//! Lines, bands and dots over two linear axes, with a legend above them. An SVG is drawn for the
//! width that it will have, so that its text stays legible on a phone.

mod svg;
mod terminal;

use crate::axis::{Axis, number};
use crate::style::Color;
use crate::table::{Align, Table};
use std::collections::BTreeMap;

/// Rows of a table of points; of more, some are left out.
const TABLE_ROWS: usize = 200;

/// How the points of a series are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    Line,
    /// From the least to the greatest of the points that lie close together, for noise. A terminal
    /// does not show it.
    Band,
    /// Dots that a thin line joins.
    Dots,
}

/// Points in ascending order of x; those that are not finite are left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its name in the legend and the table; a series without one is in neither.
    pub name: String,
    pub color: Color,
    pub mark: Mark,
    pub points: Vec<(f64, f64)>,
}

impl Series {
    fn finite(&self) -> impl DoubleEndedIterator<Item = (f64, f64)> + Clone {
        self.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite())
    }
}

/// Series over common axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Lines {
    pub x: Axis,
    pub y: Axis,
    pub series: Vec<Series>,
}

impl Lines {
    /// A line for each of `series`, in colors of their own, over axes that hold all points.
    pub fn of<N: Into<String>>(
        x_label: &str,
        y_label: &str,
        series: impl IntoIterator<Item = (N, Vec<(f64, f64)>)>,
    ) -> Lines {
        let line = |(n, (name, points)): (usize, (N, Vec<(f64, f64)>))| Series {
            name: name.into(),
            color: Color::nth(n),
            mark: Mark::Line,
            points,
        };
        let series: Vec<Series> = series.into_iter().enumerate().map(line).collect();
        let all = || series.iter().flat_map(|series| &series.points);
        Lines {
            x: Axis::around(x_label, all().map(|point| point.0)),
            y: Axis::around(y_label, all().map(|point| point.1)),
            series,
        }
    }

    fn named(&self) -> impl Iterator<Item = &Series> {
        self.series.iter().filter(|series| !series.name.is_empty())
    }

    /// A row for each x, a column for each named series.
    pub(crate) fn table(&self) -> Table {
        // Ordered by the bits of a float that sort as the float does.
        let order =
            |x: f64| (x.to_bits() as i64) ^ (((x.to_bits() as i64) >> 63) as u64 >> 1) as i64;
        let mut rows: BTreeMap<i64, (f64, Vec<String>)> = BTreeMap::new();
        let n = self.named().count();
        for (index, series) in self.named().enumerate() {
            for (x, y) in series.finite() {
                let row = rows.entry(order(x)).or_insert_with(|| (x, vec![String::new(); n]));
                row.1[index] = number(y);
            }
        }
        let every = rows.len().div_ceil(TABLE_ROWS).max(1);
        let mut table = Table::new([(self.x.label.as_str(), Align::Right)]);
        for series in self.named() {
            table.push_column(&series.name, Align::Right);
        }
        for (x, values) in rows.into_values().step_by(every) {
            table.push([number(x)].into_iter().chain(values));
        }
        if every > 1 {
            table.note = format!("One row in {every} is shown.");
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_row_for_each_x_in_its_order() {
        let lines = Lines::of(
            "steps",
            "loss",
            [("a", vec![(-2.0, 1.0), (0.0, 2.0), (3.0, f64::NAN)]), ("b", vec![(0.0, 4.0)])],
        );
        let table = lines.table();
        assert_eq!(table.to_terminal(80), "steps  a  b\n   -2  1\n    0  2  4\n");
        assert_eq!(lines.y.range, 1.0..4.0);
        let long = (0..1000).map(|x| (f64::from(x), 1.0)).collect();
        let table = Lines::of("x", "y", [("a", long)]).table();
        assert_eq!((table.rows.len(), table.note.as_str()), (200, "One row in 5 is shown."));
    }
}
