//! The tables of the report: what was planned, what came out and on what.

use super::{Facts, State, threads};
use crate::chart::escaped;
use std::fmt::Write;
use wright_host::units;

/// Rows of a name and a value, both already escaped.
pub fn table(out: &mut String, rows: &[(&str, String)]) {
    out.push_str("<table>");
    for (name, value) in rows {
        let _ = write!(out, "<tr><th>{name}</th><td class=\"n\">{value}</td></tr>");
    }
    out.push_str("</table>\n");
}

/// "Plan and outcome": what was said before the run, beside what came, as far as it came.
pub fn plan(out: &mut String, facts: &Facts<'_>) {
    let forecast = facts.plan.config.forecast;
    let history = facts.history();
    let mut rows = String::new();
    if let Some(forecast) = forecast.filter(|_| facts.state == State::Done) {
        compared(&mut rows, "time of the steps", (forecast.seconds, history.steps_s), 0.15, |s| {
            units::seconds(s)
        });
    }
    if let Some(peak) = facts.peak_memory {
        let planned = forecast.map_or(facts.plan.memory.bytes(), |f| f.memory_bytes);
        compared(&mut rows, "memory at most", (planned as f64, peak as f64), 0.1, |bytes| {
            units::bytes(bytes as u64)
        });
    }
    let last = history.last().filter(|_| facts.state == State::Done);
    if let Some((forecast, last)) = forecast.zip(last) {
        let bits = forecast.bits_per_byte.zip(last.bits_per_byte);
        let loss = forecast.validation_loss.map(|planned| (planned, last.loss));
        for (name, pair) in [("bits per byte, held-out", bits), ("nats a token, held-out", loss)] {
            let number = |x: f64| format!("{x:.3}");
            pair.into_iter().for_each(|pair| compared(&mut rows, name, pair, 0.03, number));
        }
    }
    if !rows.is_empty() {
        let _ = writeln!(
            out,
            "<h2>Plan and outcome</h2>\n<table><thead><tr><th></th><th class=\"n\">planned</th>\
             <th class=\"n\">was</th><th class=\"n\">off by</th></tr></thead>{rows}</table>"
        );
    }
}

/// A row of a forecast and what came; good if it is within `tolerance`.
fn compared(
    out: &mut String,
    name: &str,
    (planned, was): (f64, f64),
    tolerance: f64,
    text: impl Fn(f64) -> String,
) {
    let off = was / planned - 1.0;
    let class = if off.abs() <= tolerance { "good" } else { "bad" };
    let _ = write!(
        out,
        "<tr><th>{name}</th><td class=\"n\">{}</td><td class=\"n\">{}</td>\
         <td class=\"n {class}\">{:+.1} %</td></tr>",
        text(planned),
        text(was),
        off * 100.0
    );
}

/// "The model".
pub fn model(out: &mut String, facts: &Facts<'_>) {
    let plan = facts.plan;
    let (s, t) = (&plan.shape, &plan.config.train);
    let optimizer = format!("{:?}", t.optimizer);
    out.push_str("<h2>The model</h2>\n");
    table(
        out,
        &[
            ("family", s.family.name().to_owned()),
            ("parameters", s.n_parameters().to_string()),
            ("layers", format!("{} of width {}, {} inside the MLP", s.n_layer, s.n_embd, s.n_ff)),
            ("heads", format!("{} of {}, {} for keys", s.n_head, s.head_dim, s.n_kv_head)),
            ("vocabulary", format!("{} tokens", s.n_vocab)),
            ("context", format!("{} tokens", s.n_ctx)),
            ("a step", format!("{} rows of {} tokens, {optimizer}", t.batch, s.n_ctx)),
        ],
    );
    let _ = writeln!(
        out,
        "<details><summary>The configuration</summary><pre>{}</pre></details>",
        escaped(plan.text.trim())
    );
}

/// "How to use it".
pub fn usage(out: &mut String, facts: &Facts<'_>) {
    if facts.step == 0 {
        return;
    }
    let folder = quoted(&facts.folder.path().display().to_string());
    let prompt = facts.history().samples.last().map_or("Once upon a time", |s| &s.prompt);
    let prompt = quoted(prompt.lines().next().unwrap_or_default());
    out.push_str("<h2>How to use it</h2>\n");
    let mut command = |what: &str, text: String| {
        let _ = writeln!(out, "<h3>{what}</h3><pre>{}</pre>", escaped(&text));
    };
    command("Have it write", format!("wright -m {folder}/model.gguf --raw {prompt}"));
    if facts.state == State::Done {
        command(
            "Make it smaller",
            format!("wright quantize {folder}/model.gguf Q8_0 -o {folder}/model-Q8_0.gguf"),
        );
        command("In llama.cpp", format!("llama-completion -m {folder}/model.gguf -p {prompt}"));
        command(
            "In Python, with transformers",
            format!(
                "from transformers import AutoModelForCausalLM, AutoTokenizer\n\
                 model = AutoModelForCausalLM.from_pretrained({})\n\
                 tokenizer = AutoTokenizer.from_pretrained({})",
                python(facts, "model"),
                python(facts, "model"),
            ),
        );
    }
}

/// A word for a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

fn python(facts: &Facts<'_>, name: &str) -> String {
    format!("{:?}", facts.folder.file(name).display().to_string())
}

/// "Where and with what".
pub fn machine(out: &mut String, facts: &Facts<'_>) {
    let machine = facts.machine;
    let steps = &facts.history().steps;
    let mut rates: Vec<f64> = steps.iter().map(|step| step.gflop_s).filter(|&r| r > 0.0).collect();
    rates.sort_by(f64::total_cmp);
    out.push_str("<h2>Where and with what</h2>\n");
    let mut rows =
        vec![("processor", escaped(&machine.processor)), ("threads", threads(machine.threads))];
    if let Some(bytes) = machine.memory_bytes {
        rows.push(("memory", units::bytes(bytes)));
    }
    rows.push(("measured peak", format!("{:.0} GFLOP/s", machine.peak_flops / 1e9)));
    if let Some(&median) = rates.get(rates.len() / 2) {
        let share = median * 1e9 / machine.peak_flops * 100.0;
        rows.push(("in training", format!("{median:.0} GFLOP/s, {share:.0} % of the peak")));
    }
    let flops = facts.flops_a_token * facts.tokens_learnt() as f64;
    rows.push(("arithmetic in all", format!("{flops:.2e} operations")));
    rows.push(("wright", env!("CARGO_PKG_VERSION").to_owned()));
    table(out, &rows);
    let data = facts.plan.data();
    out.push_str("<details><summary>Checksums</summary><table>");
    for (path, sum) in facts.plan.config.data.train.iter().zip(data) {
        let path = escaped(path);
        let _ = write!(out, "<tr><th>{path}</th><td class=\"n\"><code>{sum:016x}</code></td></tr>");
    }
    for (name, hash) in facts.hashes {
        let name = escaped(name);
        let _ = write!(out, "<tr><th>{name}, SHA-256</th><td><code>{hash}</code></td></tr>");
    }
    out.push_str("</table></details>\n");
    out.push_str(
        "<footer>The same configuration and data give the same weights, byte for byte, whatever \
         was interrupted on the way and however many threads compute.</footer>\n",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_gets_one_word() {
        assert_eq!(quoted("a/b-1.gguf"), "a/b-1.gguf");
        assert_eq!(quoted("It's $HOME"), "'It'\\''s $HOME'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn forecasts_are_judged() {
        let mut out = String::new();
        compared(&mut out, "time", (100.0, 109.0), 0.1, |x| format!("{x} s"));
        compared(&mut out, "time", (100.0, 80.0), 0.1, |x| format!("{x} s"));
        assert!(out.contains("n good\">+9.0 %") && out.contains("n bad\">-20.0 %"), "{out}");
    }
}
