use super::*;
use crate::train::training::history::History;
use serde_json::json;

#[test]
fn samples_are_always_plain_text() {
    let mut history = History::default();
    let evil = "</p><script>alert(1)</script><img src=x onerror=\"y\"> \u{202e}& \u{1b}[2J";
    for step in [1, 2] {
        let samples = json!([{ "prompt": evil, "text": evil, "finish": "length" }]);
        history.note(&json!({ "step": step, "samples": samples }));
    }
    let mut page = Page::new("t");
    super::samples(&mut page, &history);
    let out = page.to_html();
    assert!(!out.contains("<script") && !out.contains("<img"), "{out}");
    assert!(!out.contains('\u{202e}') && !out.contains('\u{1b}'));
    assert_eq!(out.matches("&lt;script&gt;").count(), 2 * 3, "now, and twice in what was");
}

#[test]
fn curves_begin_with_the_first_step_and_bear_holes() {
    let mut history = History::default();
    assert!(
        curves::loss(&history, 0)
            .to_svg_file(Size { width: 350.0, height: 280.0 })
            .contains("<svg")
    );
    for step in 1..=300u32 {
        let loss = if step == 7 { f64::NAN } else { 8.0 / f64::from(step).sqrt() };
        history.note(&json!({ "step": step, "loss": loss, "rate": 0.001 }));
    }
    history.note(&json!({ "step": 300, "validation_loss": 0.6 }));
    let chart = curves::loss(&history, 300);
    let wright_report::Plot::Lines(lines) = &chart.plot else { panic!("no lines") };
    assert!(lines.y.range.end < 8.0, "the fall of the first steps does not flatten the rest");
    let svg = chart.to_svg(Size { width: 350.0, height: 280.0 });
    assert!(!svg.contains("NaN"), "{svg}");
    assert!(svg.contains("held-out 0.600"));
}
