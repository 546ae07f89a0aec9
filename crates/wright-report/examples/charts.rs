//! Draws each kind of chart as an SVG file, on the terminal and in one page.
//!
//! `cargo run -p wright-report --example charts -- FOLDER` writes into FOLDER, or into the current
//! folder.

use std::path::PathBuf;
use wright_report::{Bar, BarSeries, Bars, Chart, Color, Lines, Page, Plot, Size, TagCloud};

fn losses() -> Chart {
    let curve = |fall: f64, end: f64| {
        (0..=300).map(move |step| (f64::from(step), end + fall / (1.0 + f64::from(step) / 25.0)))
    };
    let lines = Lines::of(
        "steps",
        "nats per token",
        [
            ("width 64", curve(4.0, 2.1).collect()),
            ("width 128", curve(4.4, 1.7).collect()),
            ("width 256", curve(4.9, 1.4).collect::<Vec<_>>()),
        ],
    );
    Chart::new("Loss by the width of the model", Plot::Lines(lines))
        .with_description("Wider models fall faster and lower.")
}

fn scores() -> Chart {
    let series = |name: &str, color, values: [(f64, f64); 3]| BarSeries {
        name: name.into(),
        color,
        bars: values
            .map(|(value, reach)| {
                Some(Bar { value, interval: Some((value - reach, value + reach)) })
            })
            .to_vec(),
    };
    let bars = Bars {
        label: "items that are right, of 100".into(),
        categories: ["addition", "reading the clock", "capital cities"].map(String::from).to_vec(),
        series: vec![
            series("before", Color::First, [(41.0, 6.0), (18.5, 5.0), (73.0, 5.5)]),
            series("after", Color::Second, [(64.0, 6.0), (22.0, 5.2), (74.0, 5.5)]),
        ],
    };
    Chart::new("What tuning changed", Plot::Bars(bars))
        .with_description("Only addition is better beyond doubt.")
}

fn words() -> Chart {
    const WORDS: &str = "model token data prompt answer cache weight layer loss step batch \
        memory file page chart table row column text word language train test run build measure \
        trust machine license source folder archive shard vocabulary merge pair byte character \
        sentence paragraph document corpus holdout duplicate filter quality report gradient";
    let tags = WORDS.split_whitespace().enumerate();
    let tags = tags.map(|(n, word)| (word, (1000.0 / (n as f64 + 1.5)).round()));
    Chart::new("Words of a year", Plot::Tags(TagCloud::of("times used", tags)))
        .with_description("`model` is used most.")
}

fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".into()));
    let mut page = Page::new("Charts");
    page.heading("Charts").lead("One page, one file, nothing to fetch.");
    let (wide, narrow) =
        (Size { width: 688.0, height: 340.0 }, Size { width: 350.0, height: 300.0 });
    for (name, chart) in [("lines", losses()), ("bars", scores()), ("tags", words())] {
        println!("{}", chart.to_terminal(80, false));
        std::fs::write(folder.join(format!("{name}.svg")), chart.to_svg_file(wide))?;
        page.section(&chart.title).chart_with_table(&chart, wide, narrow);
    }
    std::fs::write(folder.join("page.html"), page.to_html())
}
