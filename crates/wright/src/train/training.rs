//! `wright train`: training a model from scratch, as a configuration describes it.
//!
//! The resulting weights are a function of the configuration and the data: threads, Ctrl-C, `kill
//! -9` and `--resume` do not affect them.

mod card;
mod export;
mod folder;
mod history;
mod live;
mod report;
mod results;
mod sample;
mod setup;
mod stages;
mod watch;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::flags;
use crate::open::context::Context;
use crate::terminal;
use folder::Folder;
use live::{Course, Live};
use report::{Machine, State};
use serde_json::json;
use setup::Plan;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;
use wright_data::report::Report;
use wright_host::machine;
use wright_train::{Error, Run, run_config};

/// Train a model from scratch, from text, packed data or a configuration
#[derive(Debug, clap::Args)]
#[command(after_long_help = CONFIGURATION)]
pub struct Args {
    /// A TOML configuration, a folder from `wright pack`, or text files and folders
    #[arg(value_name = "CONFIG.toml|DATA|TEXT", required = true)]
    inputs: Vec<PathBuf>,
    /// Choose model size and steps to fit N minutes, as `wright plan` does [default: 10]
    #[arg(long, value_name = "N", value_parser = flags::minutes, conflicts_with = "plan")]
    minutes: Option<f64>,
    /// The configuration file from `wright plan`
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Random seed for initial weights and row order, with --minutes
    #[arg(long, value_name = "N", default_value_t = 1, requires = "minutes")]
    seed: u64,
    /// Resume from the last checkpoint
    #[arg(long)]
    resume: bool,
    /// Output folder [default: the configuration's path without its extension]
    #[arg(short, long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Number of threads; does not affect the result [default: the configuration's, or one per
    /// core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Print what the run would cost, then exit
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object per step
    #[arg(long)]
    json: bool,
}

const CONFIGURATION: &str = "\
The configuration:

  [model]
  preset = \"2m\"             # 0.5m 2m 7m 15m 30m 47m 135m; you may change every number:
  family = \"llama\"          # or qwen3, gemma3, gpt2
  # n_layer n_embd n_head n_kv_head head_dim n_ff n_vocab n_ctx tied rope_base norm_eps

  [data]
  train = [\"stories.shard\"] # from `wright shard`; paths are relative to this file
  validation = []
  tokenizer = \"bytes\"       # or a tokenizer.json; it is included in the results

  [train]
  steps = 1000
  batch = 16                # rows of n_ctx tokens per step
  micro_batch = 0           # rows in memory at a time; 0: all
  learning_rate = 0.003
  warmup = 50               # steps
  decay = \"cosine\"          # or linear (over the last decay_part) or none; ends at end_rate
  optimizer = \"adamw\"       # or muon; beta1 beta2 weight_decay clip momentum momentum_warmup
  # embedding_rate head_rate vector_rate: for these tensors, as multiples of learning_rate
  seed = 1
  checkpoint_every = 200    # steps; validate_every likewise
  sample_every = 100        # steps; default: ten times per run; 0: never
  sample_prompts = []       # default: the first words of held-out documents
  # sample_tokens, threads, recompute";

pub fn main(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let (config, out) = stages::prepare(args, context)?;
    let plan = Plan::read(&config, args.threads.map(usize::from))?;
    let path = out.unwrap_or_else(|| plan.default_folder());
    if args.dry_run {
        terminal::print(&plan.costs(&path))?;
        return Ok(Exit::Done);
    }
    let mut folder = Folder::open(&path)?;
    plan.check_space(&path)?;
    let (config, shape) = (&plan.config, &plan.shape);
    let shards = (plan.train.clone(), plan.validation.clone());
    let mut run = Run::new(config, shape, shards.0, shards.1, plan.threads)?;
    run.trainer.set_recompute(plan.recompute);
    let from = resume(args, &plan, &folder, &mut run)?;
    if !args.json {
        let _ = write!(io::stderr(), "{}", terminal::faint(&terminal::wrapped(&plan.costs(&path))));
        if let Some(step) = from {
            terminal::note(&format!("resuming after step {step}"));
        }
    }
    folder.open_log(from.unwrap_or(0))?;
    let token_bytes = plan.vocabulary.token_bytes(plan.shape.n_vocab);
    let start = Instant::now();
    let machine = Machine {
        processor: machine::processor_name(),
        threads: plan.threads,
        memory_bytes: machine::total_memory(),
        peak_flops: run.trainer.peak_flops(&|| start.elapsed().as_secs_f64()),
    };
    let flops_a_token = plan.flops_a_token(run.trainer.model());
    let data_report = plan.data_report();
    let mut job = Job {
        args,
        context,
        plan: &plan,
        folder,
        run,
        token_bytes,
        machine,
        flops_a_token,
        data_report,
    };
    job.train()
}

/// Puts the last saved state into `run`, if there is one. Returns its step.
///
/// # Errors
/// If there is one and nobody asked to go on, or it is of another run.
fn resume(
    args: &Args,
    plan: &Plan,
    folder: &Folder,
    run: &mut Run,
) -> Result<Option<u64>, Failure> {
    let Some(path) = folder.states().into_iter().next() else {
        if args.resume {
            terminal::note("there is no checkpoint yet: starting from the beginning");
        }
        return Ok(None);
    };
    let mapped = folder::mapped(&path)?;
    let saved = folder::checkpoint(&path, &mapped)?;
    let step = saved.description.step;
    let place = folder.path().display();
    if !args.resume {
        let what = format!("{place} contains a training run at step {step}");
        return Err(Failure::usage(what).hint(
            "use --resume to continue it, choose another folder with --out, or delete that one",
        ));
    }
    let differ = run_config::differences(&saved.description.config, &plan.text)?;
    let data = saved.description.data != plan.data();
    if data || !differ.is_empty() {
        let what = match data {
            true => "the data".to_owned(),
            false => differ.join(", "),
        };
        let what =
            format!("the training run in {place} was started with different settings: {what}");
        return Err(Failure::new(Exit::BadInput, what)
            .hint("restore them to continue, or choose another folder with --out"));
    }
    run.restore(&saved)?;
    Ok(Some(step))
}

/// A run, and what it needs around it.
struct Job<'a> {
    args: &'a Args,
    context: &'a Context,
    plan: &'a Plan,
    folder: Folder,
    run: Run,
    /// Bytes of text that each id stands for.
    token_bytes: Vec<u32>,
    machine: Machine,
    flops_a_token: f64,
    /// What `wright pack` said of the data, if it did.
    data_report: Option<Report>,
}

impl Job<'_> {
    fn train(&mut self) -> Result<Exit, Failure> {
        let course = Course {
            done: self.run.trainer.steps_done(),
            elapsed_s: self.folder.history().elapsed_s,
            steps_s: self.folder.history().steps_s,
            total: self.plan.config.train.steps,
            flops_a_token: self.flops_a_token,
            peak_flops: self.machine.peak_flops,
        };
        let mut live = Live::start(course, self.args.json);
        let interrupt = self.context.interrupt.clone();
        while !self.run.is_done() {
            if interrupt.is_set() {
                live.finish();
                return self.stop(&live);
            }
            match self.run.step(&|| interrupt.is_set()) {
                Ok(None) => {}
                Ok(Some(report)) => {
                    let object = live.step(&report)?;
                    self.folder.log(&object);
                    self.between_steps(&mut live)?;
                }
                Err(error @ Error::Diverged(_)) => self.roll_back(&error, &mut live)?,
                Err(error) => return Err(error.into()),
            }
        }
        live.finish();
        self.end(&live)
    }

    /// Saves, validates and samples where the configuration asks for it.
    fn between_steps(&mut self, live: &mut Live) -> Result<(), Failure> {
        let t = &self.plan.config.train;
        let (step, done) = (self.run.trainer.steps_done(), self.run.is_done());
        // A state in the middle of trouble is not a place to go back to.
        let save = step.is_multiple_of(t.checkpoint_every) && !self.run.trainer.is_skipping();
        if save || done {
            self.save(live)?;
        }
        let validate = step.is_multiple_of(t.validate_every) || done;
        if validate {
            self.validate(live)?;
        }
        let every = self.plan.config.sample_every().filter(|_| sample::possible(self.plan));
        let sample = every.is_some_and(|every| step.is_multiple_of(every) || done);
        if sample {
            self.sample(live)?;
        }
        if save && !done {
            self.report(live, State::Running, &[]);
        }
        if save || validate || sample {
            live.pause();
        }
        Ok(())
    }

    /// A checkpoint. That it cannot be written is no reason to stop before the end.
    fn save(&self, live: &Live) -> Result<(), Failure> {
        let step = self.run.trainer.steps_done();
        match self.folder.save(&self.run, self.plan, false) {
            Err(error) if self.run.is_done() => return Err(error),
            Err(error) => live.say(&format!(
                "step {step} was not saved: {}; training continues, and the next checkpoint is \
                 due at step {}",
                error.what,
                step + self.plan.config.train.checkpoint_every
            )),
            Ok(()) => {}
        }
        Ok(())
    }

    fn roll_back(&mut self, error: &Error, live: &mut Live) -> Result<(), Failure> {
        let path = self.folder.checkpoint();
        let mapped = path.as_ref().map(|path| folder::mapped(path)).transpose()?;
        let saved = match (&path, &mapped) {
            (Some(path), Some(mapped)) => Some(folder::checkpoint(path, mapped)?),
            _ => None,
        };
        let back = self.run.roll_back(saved.as_ref())?;
        live.say(&format!(
            "{error}. Rolled back from step {} to {}; continuing with other rows at {} of the \
             learning rate",
            back.from, back.to, back.rate_scale
        ));
        self.folder.log(&json!({
            "step": back.to, "rolled_back_from": back.from, "rate_scale": back.rate_scale,
        }));
        live.pause();
        Ok(())
    }

    /// Ctrl-C: saves, and says how to go on.
    fn stop(&mut self, live: &Live) -> Result<Exit, Failure> {
        let step = self.run.trainer.steps_done();
        self.folder.save(&self.run, self.plan, true)?;
        self.report(live, State::Stopped, &[]);
        let out = match &self.args.out {
            Some(out) => format!(" --out {}", out.display()),
            None => String::new(),
        };
        let plan = match &self.args.plan {
            Some(plan) => format!(" --plan {}", plan.display()),
            None => String::new(),
        };
        let inputs: Vec<String> =
            self.args.inputs.iter().map(|input| input.display().to_string()).collect();
        let again = format!("wright train {}{plan}{out} --resume", inputs.join(" "));
        terminal::note(&format!("stopped and saved after step {step}. Continue with: {again}"));
        Ok(Exit::Interrupted)
    }
}
