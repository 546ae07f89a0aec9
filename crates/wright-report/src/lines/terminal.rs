//! Lines on a terminal: in Braille, whose cells have 2 by 4 dots, where a color or there being one
//! series alone tells whose they are, and else in a mark for each series.

use super::{Lines, Mark, Series};
use crate::style::Color;
use crate::text::{columns, fit, one_line};

/// A grid of cells that hold dots or a mark, each with the color of what was drawn there last.
struct Canvas {
    columns: usize,
    rows: usize,
    cells: Vec<Option<(char, Color)>>,
}

impl Canvas {
    fn new(columns: usize, rows: usize) -> Canvas {
        Canvas { columns, rows, cells: vec![None; columns * rows] }
    }

    /// Sets a dot of a cell, 2 across and 4 down.
    fn dot(&mut self, x: i64, y: i64, color: Color) {
        const BITS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
        let bit = BITS[y.rem_euclid(4) as usize][x.rem_euclid(2) as usize];
        if let Some(cell) = self.cell(x.div_euclid(2), y.div_euclid(4)) {
            let dots = cell.map_or(0, |(c, _)| u32::from(c).saturating_sub(0x2800) as u8);
            *cell = char::from_u32(0x2800 + u32::from(dots | bit)).map(|c| (c, color));
        }
    }

    fn mark(&mut self, x: i64, y: i64, color: Color) {
        if let Some(cell) = self.cell(x, y) {
            *cell = Some((color.mark(), color));
        }
    }

    fn cell(&mut self, x: i64, y: i64) -> Option<&mut Option<(char, Color)>> {
        let (x, y) = (usize::try_from(x).ok()?, usize::try_from(y).ok()?);
        (x < self.columns && y < self.rows).then(|| &mut self.cells[y * self.columns + x])
    }

    fn row(&self, y: usize, colors: bool) -> String {
        let cells = &self.cells[y * self.columns..(y + 1) * self.columns];
        let runs = cells.chunk_by(|a, b| a.map(|cell| cell.1) == b.map(|cell| cell.1));
        let run = |cells: &[Option<(char, Color)>]| {
            let text: String = cells.iter().map(|cell| cell.map_or(' ', |cell| cell.0)).collect();
            match cells.first().copied().flatten() {
                Some((_, color)) if colors => color.paint(&text),
                _ => text,
            }
        };
        runs.map(run).collect()
    }
}

/// Calls `set` for each place on the way between two places.
fn segment(from: (i64, i64), to: (i64, i64), mut set: impl FnMut(i64, i64)) {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let n = dx.abs().max(dy.abs()).max(1);
    for i in 0..=n {
        // Rounded to the nearest, halves upwards, so that it does not depend on the direction.
        let at = |start: i64, d: i64| start + (2 * d * i + n).div_euclid(2 * n);
        set(at(from.0, dx), at(from.1, dy));
    }
}

impl Lines {
    pub(crate) fn terminal(&self, width: usize, colors: bool) -> String {
        let rows = (width / 5).clamp(8, 16);
        let numbers = self.y.ticks((rows / 3) as f64);
        let label = numbers.iter().map(|(_, text)| columns(text)).max().unwrap_or(0).min(12);
        let n = width - label - 2;
        let mut canvas = Canvas::new(n, rows);
        let shown = || self.series.iter().filter(|series| series.mark != Mark::Band);
        let braille = colors || shown().count() == 1;
        shown().for_each(|series| self.draw(&mut canvas, series, braille));
        let mut out = self.terminal_legend(width, colors);
        let row_of = |value: f64| ((1.0 - self.y.fraction(value)) * (rows - 1) as f64).round();
        for row in 0..rows {
            let number = numbers.iter().find(|(value, _)| row_of(*value) == row as f64);
            let (text, edge) = number.map_or(("", '│'), |(_, text)| (text.as_str(), '┤'));
            let text = format!("{text:>label$}");
            out.push_str(&format!("{} {edge}{}\n", fit(&text, label), canvas.row(row, colors)));
        }
        out.push_str(&self.terminal_x_axis(label, n));
        out
    }

    fn draw(&self, canvas: &mut Canvas, series: &Series, braille: bool) {
        let (across, down) = if braille { (2, 4) } else { (1, 1) };
        let (w, h) = ((canvas.columns * across - 1) as f64, (canvas.rows * down - 1) as f64);
        let place = |(x, y): (f64, f64)| {
            // Far outside is as good as anywhere outside.
            let x = (self.x.fraction(x) * w).clamp(-w, 2.0 * w);
            let y = ((1.0 - self.y.fraction(y)) * h).clamp(-h, 2.0 * h);
            (x.round() as i64, y.round() as i64)
        };
        let mut set = |x, y| match braille {
            true => canvas.dot(x, y, series.color),
            false => canvas.mark(x, y, series.color),
        };
        let mut last = None;
        for point in series.finite().map(place) {
            segment(last.unwrap_or(point), point, &mut set);
            last = Some(point);
        }
    }

    /// Names of the series and of what is measured.
    fn terminal_legend(&self, width: usize, colors: bool) -> String {
        let mut plain = 0;
        let mut names = Vec::new();
        for series in self.named().filter(|series| series.mark != Mark::Band) {
            plain += columns(&series.color.legend(&series.name, false)) + 3;
            names.push(series.color.legend(&series.name, colors));
        }
        // The mark in color is a column wider.
        plain += if colors { names.len() } else { 0 };
        let label = one_line(&self.y.label);
        match plain + columns(&label) <= width {
            true => {
                let gap = " ".repeat(width - plain - columns(&label));
                let after = if names.is_empty() { "" } else { "   " };
                format!("{}{after}{gap}{label}\n", names.join("   "))
            }
            false => names.into_iter().chain([label]).map(|name| name + "\n").collect(),
        }
    }

    fn terminal_x_axis(&self, label: usize, n: usize) -> String {
        let mut line = vec!['─'; n];
        let mut texts = String::new();
        let ticks = self.x.ticks((n / 12).max(1) as f64);
        let last = ticks.len().saturating_sub(1);
        for (index, (value, mut text)) in ticks.into_iter().enumerate() {
            let at = (self.x.fraction(value) * (n - 1) as f64).round() as usize;
            if let Some(mark) = line.get_mut(at) {
                *mark = '┬';
            }
            if index == last {
                text = format!("{text} {}", one_line(&self.x.label));
            }
            let wide = columns(&text);
            let begin =
                at.saturating_sub(text.find(' ').unwrap_or(wide) / 2).min(n.saturating_sub(wide));
            let used = columns(&texts);
            if used < begin || used == 0 {
                texts.push_str(&" ".repeat(begin - used));
                texts.push_str(&text);
            } else if index == last {
                texts.push(' ');
                texts.push_str(&one_line(&self.x.label));
            }
        }
        let line: String = line.into_iter().collect();
        let indent = " ".repeat(label + 1);
        format!("{indent}└{line}\n{indent} {}\n", fit(&texts, n))
    }
}

#[cfg(test)]
mod tests {
    use crate::{Chart, Lines, Plot};

    fn rising() -> Vec<(f64, f64)> {
        (0..=10).map(|i| (f64::from(i), f64::from(i))).collect()
    }

    #[test]
    fn one_line_goes_from_corner_to_corner_and_fits_the_width() {
        let chart = Chart::new("Growth", Plot::Lines(Lines::of("s", "m", [("a", rising())])));
        let text = chart.to_terminal(40, false);
        let wanted = "\
Growth
● a                                    m
10 ┤                                  ⣀⠤
   │                             ⢀⣀⠤⠒⠉⠁
 8 ┤                         ⣀⡠⠔⠊⠁
   │                    ⢀⡠⠤⠒⠉
   │                ⣀⠤⠒⠉⠁
";
        assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
        assert_eq!(text.lines().next(), wanted.lines().next(), "{text}");
        let plot: Vec<&str> = text.lines().filter(|line| line.contains(['┤', '│'])).collect();
        assert!(plot[0].ends_with(['⠁', '⡠', '⠤', '⣀', '⠔', '⠊', '⠉', '⠒']), "top right: {text}");
        assert!(plot[plot.len() - 1].contains(['⣀', '⡠', '⣠']), "bottom left: {text}");
    }

    #[test]
    fn several_lines_are_told_by_color_or_by_their_marks() {
        let falling = rising().into_iter().map(|(x, y)| (x, 10.0 - y)).collect();
        let lines = Lines::of("steps", "nats", [("up", rising()), ("down", falling)]);
        let chart = Chart::new("Both\u{1b}[2J", Plot::Lines(lines));
        let plain = chart.to_terminal(60, false);
        assert!(plain.contains("● up   ○ down") && !plain.contains('\u{1b}'), "{plain}");
        assert!(plain.matches('●').count() > 20 && plain.matches('○').count() > 20, "{plain}");
        let colored = chart.to_terminal(60, true);
        assert!(colored.contains("\u{1b}[36m") && colored.contains("\u{1b}[33m"));
        assert!(!colored.contains("\u{1b}[2J"), "what a title says is not obeyed");
        assert!(plain.contains("10 steps"), "{plain}");
    }
}
