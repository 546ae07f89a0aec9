//! `wright train`: a model from nothing, as a configuration describes it.
//!
//! The weights that come out are a function of the configuration and the data: threads, Ctrl-C,
//! `kill -9` and `--resume` change no byte of them.

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

/// Train a model from scratch on shards of tokens
#[derive(Debug, clap::Args)]
#[command(after_long_help = CONFIGURATION)]
pub struct Args {
    /// A configuration in TOML, a folder of `wright pack`, or files and folders of text
    #[arg(value_name = "CONFIG.toml|DATA|TEXT", required = true)]
    inputs: Vec<PathBuf>,
    /// Choose size and steps to fit this time, as `wright plan` does [default: 10]
    #[arg(long, value_name = "N", value_parser = flags::minutes, conflicts_with = "plan")]
    minutes: Option<f64>,
    /// The configuration that `wright plan` wrote
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Where initial weights and the order of rows come from, when a plan is made
    #[arg(long, value_name = "N", default_value_t = 1, requires = "minutes")]
    seed: u64,
    /// Go on where the last checkpoint was made
    #[arg(long)]
    resume: bool,
    /// The run's folder [default: a configuration's path without its ending]
    #[arg(short, long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Threads to compute with; they change no byte [default: the configuration's, or one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Say what the run would cost, and stop
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object for each step
    #[arg(long)]
    json: bool,
}

const CONFIGURATION: &str = "\
The configuration:

  [model]
  preset = \"2m\"             # 0.5m 2m 7m 15m 30m 47m 135m; every number may be changed:
  family = \"llama\"          # or qwen3, gemma3, gpt2
  # n_layer n_embd n_head n_kv_head head_dim n_ff n_vocab n_ctx tied rope_base norm_eps

  [data]
  train = [\"stories.shard\"] # from `wright shard`; paths start at this file's folder
  validation = []
  tokenizer = \"bytes\"       # or a tokenizer.json: goes into the results

  [train]
  steps = 1000
  batch = 16                # rows of n_ctx tokens in a step
  micro_batch = 0           # rows in memory at a time; 0 is all
  learning_rate = 0.003
  warmup = 50               # steps
  decay = \"cosine\"          # or linear (over the last decay_part), none; down to end_rate
  optimizer = \"adamw\"       # or muon; beta1 beta2 weight_decay clip momentum momentum_warmup
  # embedding_rate head_rate vector_rate: of those tensors, as multiples of learning_rate
  seed = 1
  checkpoint_every = 200    # steps; as validate_every
  sample_every = 100        # steps; default: ten times in a run; 0 is never
  sample_prompts = []       # default: from the beginnings of held-out documents
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
        let _ = write!(io::stderr(), "{}", terminal::faint(&plan.costs(&path)));
        if let Some(step) = from {
            terminal::note(&format!("going on after step {step}"));
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
        let what = format!("{place} holds a training at step {step}");
        return Err(Failure::usage(what)
            .hint("go on with --resume, name another folder with --out, or remove that one"));
    }
    let differ = run_config::differences(&saved.description.config, &plan.text)?;
    let data = saved.description.data != plan.data();
    if data || !differ.is_empty() {
        let what = match data {
            true => "the data".to_owned(),
            false => differ.join(", "),
        };
        let what = format!("the training in {place} began with other settings: {what}");
        return Err(Failure::new(Exit::BadInput, what)
            .hint("set them back to go on, or name another folder with --out"));
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
        // A state in the middle of trouble is no place to go back to.
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
                "step {step} was not saved: {}; training goes on, and the next checkpoint is \
                 tried at step {}",
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
            "{error}. Rolled back from step {} to {}; going on with other rows at {} of the rate",
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
        terminal::note(&format!("stopped after step {step}; it is saved. Go on with: {again}"));
        Ok(Exit::Interrupted)
    }
}
