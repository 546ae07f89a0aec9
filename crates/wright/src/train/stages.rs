//! From what the person named to a configuration that can be trained: text is packed, packed data
//! are planned for. Each stage leaves its result in the run's folder and is not done again.
//!
//! ```text
//! OUT/data/        text as tokens: what `wright pack` makes
//! OUT/plan.toml    the run's configuration: what `wright plan` makes
//! ```

use crate::context::Context;
use crate::failure::Failure;
use crate::train::Args;
use crate::train::packed::Packed;
use crate::{plan, terminal};
use std::fs;
use std::path::{Path, PathBuf};

/// What was named on the command line.
enum Named<'a> {
    Configuration(&'a Path),
    Packed(&'a Path),
    /// Files and folders of text.
    Text,
}

fn named(inputs: &[PathBuf]) -> Named<'_> {
    match inputs {
        [one] if one.is_dir() && Packed::is(one) => Named::Packed(one),
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
    match named(&args.inputs) {
        Named::Configuration(_) if args.plan.is_some() || args.minutes.is_some() => {
            let what = "a configuration says itself how long it trains";
            Err(Failure::usage(what).hint("leave out --plan and --minutes, or name data instead"))
        }
        Named::Configuration(path) => Ok((path.to_owned(), out)),
        Named::Packed(folder) => {
            if let Some(plan) = &args.plan {
                return Ok((plan.clone(), out));
            }
            let out = needed(out)?;
            let path = planned(args, context, &out, folder)?;
            Ok((path, Some(out)))
        }
        Named::Text => {
            let out = needed(out)?;
            let data = out.join("data");
            packed(args, context, &data)?;
            let path = match &args.plan {
                Some(plan) => plan.clone(),
                None => planned(args, context, &out, &data)?,
            };
            Ok((path, Some(out)))
        }
    }
}

fn needed(out: Option<PathBuf>) -> Result<PathBuf, Failure> {
    out.ok_or_else(|| {
        Failure::usage("where the model goes is not said")
            .hint("name a folder for it: --out storyteller")
    })
}

/// Packs the text into `data`, unless that was done before.
fn packed(args: &Args, context: &Context, data: &Path) -> Result<(), Failure> {
    if Packed::is_whole(data) {
        if !args.resume {
            let what = format!("{} holds packed data already", data.display());
            return Err(Failure::usage(what).hint(
                "go on with --resume, or name another folder with --out; to train on these data: \
                 wright train DATA",
            ));
        }
        terminal::note(&format!("the text is packed already, in {}", data.display()));
        return Ok(());
    }
    let _ = context;
    Err(Failure::usage("pack the text first").hint("wright pack"))
}

/// The plan for `data` in the run's folder, made if there is none.
fn planned(args: &Args, context: &Context, out: &Path, data: &Path) -> Result<PathBuf, Failure> {
    let path = out.join("plan.toml");
    if path.is_file() {
        // What it plans may have begun: `--resume` decides.
        return Ok(path);
    }
    let Some(minutes) = args.minutes else {
        return Err(Failure::usage("how long to train is not said").hint(
            "give the time by --minutes 10, or a plan of `wright plan` by --plan plan.toml",
        ));
    };
    fs::create_dir_all(out).map_err(|error| Failure::io("make", out, &error))?;
    let packed = Packed::open(data)?;
    let wanted = plan::Wanted {
        seconds: minutes * 60.0,
        threads: args.threads.map(usize::from),
        seed: args.seed,
    };
    let made = plan::make(&packed, &wanted, out, &context.interrupt)?;
    made.write(&path)?;
    terminal::note(&format!("planned, in {}:\n{}", path.display(), made.words().trim_end()));
    Ok(path)
}

/// Reads `--minutes`.
///
/// # Errors
/// If it is no number of minutes that a training can take.
pub fn minutes(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(n) if (0.05..=1e6).contains(&n) => Ok(n),
        Ok(_) => Err("a training takes from 0.05 to 1000000 minutes".to_owned()),
        Err(_) => Err("it is no number".to_owned()),
    }
}
