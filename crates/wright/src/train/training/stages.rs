//! From what the person named to a configuration that can be trained: text is packed, packed data
//! are planned for. Each stage leaves its result in the run's folder, whole or not at all, and
//! `--resume` does not do it again.
//!
//! ```text
//! OUT/data/        text as tokens: what `wright pack` makes
//! OUT/plan.toml    the run's configuration: what `wright plan` makes
//! ```

use crate::cli::failure::Failure;
use crate::open::context::Context;
use crate::terminal;
use crate::train::packed::Packed;
use crate::train::planning;
use crate::train::summary;
use crate::train::training::Args;
use std::fs;
use std::path::{Path, PathBuf};
use wright_corpus::{DataFolder, PackOptions};

const DATA: &str = "data";
const PLAN: &str = "plan.toml";
/// How long to train if nobody says.
const MINUTES: f64 = 10.0;

/// What was named on the command line.
enum Named<'a> {
    Configuration(&'a Path),
    Packed(&'a Path),
    /// Files and folders of text.
    Text,
}

fn named(inputs: &[PathBuf]) -> Named<'_> {
    match inputs {
        [one] if one.is_dir() && DataFolder::is_one(one) => Named::Packed(one),
        [one] if one.extension().is_some_and(|e| e.eq_ignore_ascii_case("toml")) => {
            Named::Configuration(one)
        }
        _ => Named::Text,
    }
}

/// The configuration's path, made if need be, and the run's folder where it is settled.
///
/// # Errors
/// If flags contradict each other, or a stage fails.
pub fn prepare(args: &Args, context: &Context) -> Result<(PathBuf, Option<PathBuf>), Failure> {
    let out = args.out.clone();
    match (named(&args.inputs), &args.plan) {
        (Named::Configuration(_), plan) if plan.is_some() || args.minutes.is_some() => {
            let what = "a configuration file sets its own number of steps";
            Err(Failure::usage(what)
                .hint("omit --plan and --minutes, or give data instead of a configuration"))
        }
        (Named::Configuration(path), _) => Ok((path.to_owned(), out)),
        (Named::Packed(_), Some(plan)) => Ok((plan.clone(), out)),
        (Named::Packed(folder), None) => {
            let out = settled(args, out)?;
            let path = planned(args, context, &out, folder)?;
            Ok((path, Some(out)))
        }
        (Named::Text, Some(_)) => {
            let what = "--plan needs packed data, but text was given";
            Err(Failure::usage(what).hint("give the data folder that the plan was made for"))
        }
        (Named::Text, None) => {
            let out = settled(args, out)?;
            let data = out.join(DATA);
            packed(args, context, &data)?;
            let path = planned(args, context, &out, &data)?;
            Ok((path, Some(out)))
        }
    }
}

/// The run's folder, in which nothing was begun, or is to be gone on with.
fn settled(args: &Args, out: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let out = out.ok_or_else(|| {
        Failure::usage("no output folder given")
            .hint("choose one with --out, for example --out storyteller")
    })?;
    if !args.resume && out.join(PLAN).exists() {
        let what = format!("{} already contains a training run", out.display());
        return Err(Failure::usage(what).hint(
            "use --resume to continue it, choose another folder with --out, or delete that one",
        ));
    }
    Ok(out)
}

/// Packs the text into `data`, unless that was done before.
fn packed(args: &Args, context: &Context, data: &Path) -> Result<(), Failure> {
    if DataFolder::is_one(data) {
        terminal::note(&format!("the text is already packed in {}", data.display()));
        return Ok(());
    }
    let out = data.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(out).map_err(|error| Failure::io("make", out, &error))?;
    let options = PackOptions::new(args.inputs.clone(), data.to_owned());
    let packed = wright_corpus::pack(&options, &context.work(None))?;
    if !args.json {
        let said = summary::text(&packed);
        terminal::note(&format!("packed:\n{}", said.trim_end()));
    }
    Ok(())
}

/// The plan for `data` in the run's folder, made if there is none.
fn planned(args: &Args, context: &Context, out: &Path, data: &Path) -> Result<PathBuf, Failure> {
    let path = out.join(PLAN);
    if path.is_file() {
        return Ok(path);
    }
    fs::create_dir_all(out).map_err(|error| Failure::io("make", out, &error))?;
    let packed = Packed::open(data)?;
    let wanted = planning::Wanted {
        seconds: args.minutes.unwrap_or(MINUTES) * 60.0,
        threads: args.threads.map(usize::from),
        seed: args.seed,
        trains_here: true,
    };
    let made = planning::make(&packed, &wanted, out, &context.interrupt)?;
    made.write(&path)?;
    if !args.json {
        terminal::note(&format!(
            "plan written to {}:\n{}",
            path.display(),
            made.words().trim_end()
        ));
    }
    Ok(path)
}
