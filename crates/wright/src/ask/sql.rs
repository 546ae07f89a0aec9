//! `wright sql`: a question in SQL to the log or any SQLite file, which it cannot change.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::open::context::Context;
use crate::terminal::{self, progress};
use serde_json::{Map, Value};
use std::path::PathBuf;
use std::time::Duration;
use wright_report::{Align, Bars, Chart, Lines, Plot, Size, TagCloud};
use wright_store::{Cell, SqlLimits, SqlRunner, Table};

/// Ask the log, or any SQLite file, in SQL; nothing can be changed
#[derive(Debug, clap::Args)]
pub struct Args {
    /// One statement that only reads
    #[arg(value_name = "SQL")]
    sql: String,
    /// The database [default: the log]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Print comma-separated values
    #[arg(long, group = "form")]
    csv: bool,
    /// Print one JSON object for each row
    #[arg(long, group = "form")]
    json: bool,
    /// Draw the result: the first column names or places values, the second is the value
    #[arg(long, value_name = "KIND", group = "form", value_parser = ["bar", "line", "cloud"])]
    chart: Option<String>,
    /// Write the chart as an SVG file
    #[arg(short, long, value_name = "FILE", requires = "chart")]
    output: Option<PathBuf>,
    /// Seconds that a query may take
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    timeout: u64,
    /// Rows of a result at most
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    rows: usize,
}

/// Size of a chart in a file, in pixels.
const SIZE: Size = Size { width: 800.0, height: 450.0 };

/// Columns that a table or chart may take.
fn width() -> usize {
    usize::from(progress::bar_width())
}

pub fn main(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let path = args.file.as_ref().unwrap_or(&context.home.memory);
    let limits = SqlLimits {
        time: Duration::from_secs(args.timeout),
        rows_max: args.rows,
        ..SqlLimits::default()
    };
    let mut runner = SqlRunner::open(path, limits)?;
    let table = runner.run(&args.sql)?;
    if table.is_truncated {
        terminal::note(&format!("only the first {} rows are shown", table.rows.len()));
    }
    let text = match (&args.chart, args.csv, args.json) {
        (Some(kind), _, _) => return draw(kind, args, &table),
        (None, true, _) => csv(&table),
        (None, false, true) => json_lines(&table),
        (None, false, false) => as_text(&table).to_terminal(width()),
    };
    terminal::print(&text)?;
    Ok(Exit::Done)
}

fn text(cell: &Cell) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Integer(value) => value.to_string(),
        Cell::Real(value) => value.to_string(),
        Cell::Text(text) => text.clone(),
        Cell::Blob(bytes) => format!("({} bytes)", bytes.len()),
    }
}

fn number(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Integer(value) => Some(*value as f64),
        Cell::Real(value) => Some(*value),
        Cell::Text(text) => text.trim().parse().ok(),
        Cell::Null | Cell::Blob(_) => None,
    }
}

/// A table for people: columns of numbers to the right.
fn as_text(table: &Table) -> wright_report::Table {
    let is_number = |at: usize| {
        let mut cells = table.rows.iter().map(|row| &row[at]).filter(|cell| **cell != Cell::Null);
        let is_any = table.rows.iter().any(|row| row[at] != Cell::Null);
        is_any && cells.all(|cell| matches!(cell, Cell::Integer(_) | Cell::Real(_)))
    };
    let columns =
        table.columns.iter().enumerate().map(|(at, name)| {
            (name.clone(), if is_number(at) { Align::Right } else { Align::Left })
        });
    let mut shown = wright_report::Table::new(columns);
    for row in &table.rows {
        shown.push(row.iter().map(|cell| terminal::shown(&text(cell)).into_owned()));
    }
    shown
}

fn csv(table: &Table) -> String {
    let field = |text: &str| match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    };
    let line = |fields: Vec<String>| format!("{}\r\n", fields.join(","));
    let mut out = line(table.columns.iter().map(|name| field(name)).collect());
    for row in &table.rows {
        out.push_str(&line(row.iter().map(|cell| field(&text(cell))).collect()));
    }
    out
}

fn json_lines(table: &Table) -> String {
    let mut out = String::new();
    for row in &table.rows {
        let mut object = Map::new();
        for (name, cell) in table.columns.iter().zip(row) {
            let value = match cell {
                Cell::Null => Value::Null,
                Cell::Integer(value) => (*value).into(),
                Cell::Real(value) => (*value).into(),
                Cell::Text(text) => text.as_str().into(),
                Cell::Blob(bytes) => {
                    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
                }
            };
            object.insert(name.clone(), value);
        }
        out.push_str(&Value::Object(object).to_string());
        out.push('\n');
    }
    out
}

fn draw(kind: &str, args: &Args, table: &Table) -> Result<Exit, Failure> {
    let [x, y, ..] = &table.columns[..] else {
        return Err(Failure::usage("a chart needs two columns: names or places, and values"));
    };
    let values = || table.rows.iter().filter_map(|row| Some((&row[0], number(&row[1])?)));
    let plot = match kind {
        "bar" => Plot::Bars(Bars::of(y.as_str(), values().map(|(name, n)| (text(name), n)))),
        "cloud" => Plot::Tags(TagCloud::of(y.as_str(), values().map(|(name, n)| (text(name), n)))),
        _ => {
            // Places other than numbers, such as days, follow each other at equal distances.
            let points = values()
                .enumerate()
                .map(|(at, (place, n))| (number(place).unwrap_or(at as f64), n));
            Plot::Lines(Lines::of(x, y, [(y.as_str(), points.collect())]))
        }
    };
    let described = format!("{} values of {y} by {x}.", table.rows.len());
    let chart = Chart::new(format!("{y} by {x}"), plot).with_description(described);
    match &args.output {
        None => terminal::print(&chart.to_terminal(width(), false)).map(|_| Exit::Done),
        Some(path) => {
            wright_host::atomic_file::write(path, chart.to_svg_file(SIZE).as_bytes())?;
            terminal::print(&chart.to_table().to_terminal(width())).map(|_| Exit::Done)
        }
    }
}
