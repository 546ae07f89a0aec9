//! Horizontal bars by category, with an interval where a value is uncertain.

mod svg;
mod terminal;

use crate::axis::{Axis, number};
use crate::style::Color;
use crate::table::{Align, Table};

/// The length of a bar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar {
    pub value: f64,
    /// From where to where the true value may lie.
    pub interval: Option<(f64, f64)>,
}

impl From<f64> for Bar {
    fn from(value: f64) -> Bar {
        Bar { value, interval: None }
    }
}

impl Bar {
    /// As it is written beside the bar.
    fn text(&self) -> String {
        match self.interval {
            Some((low, high)) => {
                format!("{} ({} to {})", number(self.value), number(low), number(high))
            }
            None => number(self.value),
        }
    }
}

/// A bar for each category; none where there is no value, or no finite one.
#[derive(Debug, Clone, PartialEq)]
pub struct BarSeries {
    /// Its name in the legend, which is not shown for a single series.
    pub name: String,
    pub color: Color,
    pub bars: Vec<Option<Bar>>,
}

impl BarSeries {
    fn bar(&self, category: usize) -> Option<Bar> {
        let bar = self.bars.get(category).copied().flatten()?;
        let finite = |(low, high): &(f64, f64)| low.is_finite() && high.is_finite();
        let interval = bar.interval.filter(finite);
        bar.value.is_finite().then_some(Bar { interval, ..bar })
    }
}

/// Bars of one or several series, grouped by category.
#[derive(Debug, Clone, PartialEq)]
pub struct Bars {
    /// What is measured and in which unit.
    pub label: String,
    pub categories: Vec<String>,
    pub series: Vec<BarSeries>,
}

impl Bars {
    /// One series: a category with each value.
    pub fn of<N: Into<String>, B: Into<Bar>>(
        label: impl Into<String>,
        bars: impl IntoIterator<Item = (N, B)>,
    ) -> Bars {
        let bars = bars.into_iter().map(|(name, bar)| (name.into(), Some(bar.into())));
        let (categories, bars) = bars.unzip();
        let series = vec![BarSeries { name: String::new(), color: Color::First, bars }];
        Bars { label: label.into(), categories, series }
    }

    /// From zero, or from below it, to the greatest value or end of an interval.
    fn axis(&self) -> Axis {
        let bars = self.series.iter().flat_map(|s| (0..self.categories.len()).map(|n| s.bar(n)));
        let ends = bars.flatten().flat_map(|bar| {
            let (low, high) = bar.interval.unwrap_or((bar.value, bar.value));
            [bar.value, low, high]
        });
        let axis = Axis::around(self.label.as_str(), ends.chain([0.0]));
        match axis.range.start < axis.range.end && axis.range != (-0.5..0.5) {
            true => axis,
            false => Axis::new(self.label.as_str(), 0.0..1.0),
        }
    }

    pub(crate) fn table(&self) -> Table {
        let mut table = Table::new([("", Align::Left)]);
        for series in &self.series {
            let name = if series.name.is_empty() { &self.label } else { &series.name };
            table.push_column(name, Align::Right);
        }
        for (n, category) in self.categories.iter().enumerate() {
            let text = |series: &BarSeries| series.bar(n).map_or(String::new(), |bar| bar.text());
            let values = self.series.iter().map(text);
            table.push([category.clone()].into_iter().chain(values));
        }
        table
    }
}
