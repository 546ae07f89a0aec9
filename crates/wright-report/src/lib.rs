//! Charts and report pages that a person can read anywhere: SVG that needs no script and no font of
//! its own, the same chart as text on a terminal, and HTML pages that are one file.
//!
//! A [`Chart`] has lines, bars or a tag cloud, and is rendered [as SVG](Chart::to_svg),
//! [on a terminal](Chart::to_terminal) and [as a table](Chart::to_table). A [`Page`] is built of
//! sections, and escapes all that it is given: names, documents and answers of models can stand in
//! it as they are.
//!
//! The same input gives the same bytes. This crate opens no file and knows no other crate of
//! Wright.
#![forbid(unsafe_code)]

mod axis;
mod bars;
mod chart;
mod cloud;
mod lines;
mod page;
mod style;
mod table;
mod text;

pub use axis::{Axis, round_range};
pub use bars::{Bar, BarSeries, Bars};
pub use chart::{Chart, Plot, stylesheet};
pub use cloud::TagCloud;
pub use lines::{Lines, Mark, Series};
pub use page::{Page, Passage};
pub use style::{Color, Size};
pub use table::{Align, Cell, Table, Tone};
pub use text::escape;
