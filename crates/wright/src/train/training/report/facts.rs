//! The tables of the report: predictions, results and environment.

use super::{Facts, State, threads};
use wright_host::units;
use wright_report::{Align, Cell, Page, Table, Tone};

/// "Plan and outcome": what was said before the run, beside what came, as far as it came.
pub fn plan(page: &mut Page, facts: &Facts<'_>) {
    let forecast = facts.plan.config.forecast;
    let history = facts.history();
    let mut table = comparison();
    if let Some(forecast) = forecast.filter(|_| facts.state == State::Done) {
        let pair = (forecast.seconds, history.steps_s);
        compare(&mut table, "training time", pair, 0.15, units::seconds);
    }
    if let Some(peak) = facts.peak_memory {
        let planned = forecast.map_or(facts.plan.memory.bytes(), |f| f.memory_bytes);
        let pair = (planned as f64, peak as f64);
        compare(&mut table, "peak memory", pair, 0.1, |bytes| units::bytes(bytes as u64));
    }
    let last = history.last().filter(|_| facts.state == State::Done);
    if let Some((forecast, last)) = forecast.zip(last) {
        let bits = forecast.bits_per_byte.zip(last.bits_per_byte);
        let loss = forecast.validation_loss.map(|planned| (planned, last.loss));
        for (name, pair) in [("bits per byte, held-out", bits), ("nats per token, held-out", loss)]
        {
            let number = |x: f64| format!("{x:.3}");
            pair.into_iter().for_each(|pair| compare(&mut table, name, pair, 0.03, number));
        }
    }
    if !table.rows.is_empty() {
        page.section("Plan and outcome").table(&table);
    }
}

/// An empty table of forecasts and what came.
fn comparison() -> Table {
    let numbers = ["planned", "was", "off by"].map(|name| (name, Align::Right));
    let mut table = Table::new([("", Align::Left)].into_iter().chain(numbers));
    table.has_row_names = true;
    table
}

/// A row of a forecast and what came; good if it is within `tolerance`.
fn compare(
    table: &mut Table,
    name: &str,
    (planned, was): (f64, f64),
    tolerance: f64,
    text: impl Fn(f64) -> String,
) {
    let off = was / planned - 1.0;
    let tone = if off.abs() <= tolerance { Tone::Good } else { Tone::Bad };
    let off = Cell::new(format!("{:+.1} %", off * 100.0), tone);
    table.push([name.into(), text(planned).into(), text(was).into(), off]);
}

/// "The model".
pub fn model(page: &mut Page, facts: &Facts<'_>) {
    let plan = facts.plan;
    let (s, t) = (&plan.shape, &plan.config.train);
    let optimizer = format!("{:?}", t.optimizer);
    page.section("The model").facts(&[
        ("family", s.family.name().to_owned()),
        ("parameters", s.n_parameters().to_string()),
        ("layers", format!("{} of width {}, {} inside the MLP", s.n_layer, s.n_embd, s.n_ff)),
        ("heads", format!("{} of {}, {} for keys", s.n_head, s.head_dim, s.n_kv_head)),
        ("vocabulary", format!("{} tokens", s.n_vocab)),
        ("context", format!("{} tokens", s.n_ctx)),
        ("a step", format!("{} rows of {} tokens, {optimizer}", t.batch, s.n_ctx)),
    ]);
    page.details("The configuration", "", false, |page| {
        page.code(plan.text.trim());
    });
}

/// "How to use it".
pub fn usage(page: &mut Page, facts: &Facts<'_>) {
    if facts.step == 0 {
        return;
    }
    let folder = quoted(&facts.folder.path().display().to_string());
    let prompt = facts.history().samples.last().map_or("Once upon a time", |s| &s.prompt);
    let prompt = quoted(prompt.lines().next().unwrap_or_default());
    page.section("How to use it");
    let mut command = |what: &str, text: String| {
        page.subsection(what).code(&text);
    };
    command("Generate text", format!("wright -m {folder}/model.gguf --raw {prompt}"));
    if facts.state == State::Done {
        command(
            "Quantize it",
            format!("wright quantize {folder}/model.gguf Q8_0 -o {folder}/model-Q8_0.gguf"),
        );
        command("With llama.cpp", format!("llama-completion -m {folder}/model.gguf -p {prompt}"));
        command(
            "With transformers in Python",
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
pub fn machine(page: &mut Page, facts: &Facts<'_>) {
    let machine = facts.machine;
    let steps = &facts.history().steps;
    let mut rates: Vec<f64> = steps.iter().map(|step| step.gflop_s).filter(|&r| r > 0.0).collect();
    rates.sort_by(f64::total_cmp);
    page.section("Where and with what");
    let mut rows =
        vec![("processor", machine.processor.clone()), ("threads", threads(machine.threads))];
    if let Some(bytes) = machine.memory_bytes {
        rows.push(("memory", units::bytes(bytes)));
    }
    rows.push(("measured peak", format!("{:.0} GFLOP/s", machine.peak_flops / 1e9)));
    if let Some(&median) = rates.get(rates.len() / 2) {
        let share = median * 1e9 / machine.peak_flops * 100.0;
        rows.push(("in training", format!("{median:.0} GFLOP/s, {share:.0} % of the peak")));
    }
    let flops = facts.flops_a_token * facts.tokens_learnt() as f64;
    rows.push(("total arithmetic", format!("{flops:.2e} operations")));
    rows.push(("wright", env!("CARGO_PKG_VERSION").to_owned()));
    page.facts(&rows);
    let data = facts.plan.data();
    let mut sums = Table::new([("", Align::Left), ("", Align::Left)]);
    sums.has_row_names = true;
    for (path, sum) in facts.plan.config.data.train.iter().zip(data) {
        sums.push([path.as_str().into(), Cell::new(format!("{sum:016x}"), Tone::Code)]);
    }
    for (name, hash) in facts.hashes {
        sums.push([format!("{name}, SHA-256").into(), Cell::new(hash, Tone::Code)]);
    }
    page.details("Checksums", "", false, |page| {
        page.table(&sums);
    });
    page.footer(
        "The same configuration and data give the same weights, byte for byte, whatever was \
         interrupted on the way and however many threads compute.",
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
        let mut table = comparison();
        compare(&mut table, "time", (100.0, 109.0), 0.1, |x| format!("{x} s"));
        compare(&mut table, "time", (100.0, 80.0), 0.1, |x| format!("{x} s"));
        let out = table.to_html();
        assert!(out.contains("n good\">+9.0 %") && out.contains("n bad\">-20.0 %"), "{out}");
    }
}
