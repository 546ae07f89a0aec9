//! Tokens per second of training steps at one shape: `bench_train PRESET ROWS STEPS [THREADS]`.
//! Prints one JSON object a line: the median step's rate, and the loss that it ended with.

use std::sync::Arc;
use std::time::Instant;
use wright_model::{Rows, SeqId};
use wright_train::{OptimizerOptions, Parameters, Trainer, preset};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, or: usize| args.get(i).and_then(|a| a.parse().ok()).unwrap_or(or);
    let Some(shape) = args.first().and_then(|name| preset(name)) else {
        eprintln!("usage: bench_train PRESET ROWS STEPS [THREADS]");
        std::process::exit(2);
    };
    let (n_rows, n_steps, threads) = (number(1, 16), number(2, 5), number(3, 2));
    let model = Arc::new(shape.skeleton().expect("a preset fits together"));
    let parameters = Parameters::initial(&model, &shape.tensors(), 1);
    let options = OptimizerOptions::default();
    let mut trainer =
        Trainer::new(model, parameters, options, shape.n_ctx, threads).expect("it can be trained");
    let n = n_rows * shape.n_ctx;
    let mut rows = Rows::default();
    for seq in 0..n_rows {
        let ids: Vec<u32> =
            (0..shape.n_ctx).map(|i| ((i * 7919 + seq * 104_729) % shape.n_vocab) as u32).collect();
        rows.push(SeqId(seq as u32), 0, &ids, 0..shape.n_ctx);
    }
    let targets: Vec<u32> = rows.ids.iter().map(|id| (id + 1) % shape.n_vocab as u32).collect();
    let weights = vec![1.0 / n as f32; n];
    let mut seconds = Vec::new();
    let mut loss = 0.0;
    for _ in 0..n_steps + 1 {
        let start = Instant::now();
        loss = trainer.accumulate(&rows, &targets, &weights);
        trainer.step(1e-3).expect("steps are finite");
        seconds.push(start.elapsed().as_secs_f64());
    }
    // The first step allocates.
    let first = seconds.remove(0);
    seconds.sort_by(f64::total_cmp);
    let median = seconds[seconds.len() / 2];
    println!(
        "{{\"preset\":\"{}\",\"parameters\":{},\"tok_s\":{:.1},\
         \"first_s\":{first:.3},\"loss\":{loss:.4},\"peak_bytes\":{}}}",
        args[0],
        shape.n_parameters(),
        n as f64 / median,
        peak_bytes()
    );
}

/// The most memory that this process ever had, where the system tells; else 0.
fn peak_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
