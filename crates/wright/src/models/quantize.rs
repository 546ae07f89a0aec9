//! `wright quantize`: converts a model's weights to smaller types, with llama.cpp's file types.
//!
//! The file is streamed: what is in memory is a few megabytes, whatever the model's size. The new
//! file has its name when it is whole.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::open::context::Context;
use crate::open::locate;
use crate::terminal;
use crate::terminal::progress::Progress;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;
use wright_host::{AtomicFile, Count, Mapped, machine, units};
use wright_hub::find::Located;
use wright_hub::gguf_file;
use wright_model::gguf_writer::{GgufHeader, WriteError};
use wright_model::requantize::{plan, rewrite};
use wright_model::type_mix::{FILE_TYPES, FileType, MixOptions};
use wright_model::{DType, Gguf, Importance, Pool};

/// Convert a model's weights to smaller types
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Model name from `wright models`, or path to a .gguf file; preferably F32, F16 or BF16
    #[arg(value_name = "MODEL")]
    model: String,
    /// F32, F16, BF16, Q8_0, Q6_K, Q5_K_M, Q5_K_S, Q5_1, Q5_0, Q4_K_M, Q4_K_S, Q4_1, Q4_0,
    /// IQ4_NL, IQ4_XS, Q3_K_L, Q3_K_M, Q3_K_S, Q2_K, Q2_K_S
    #[arg(value_name = "TYPE")]
    file_type: String,
    /// Output file [default: NAME-TYPE.gguf in the current folder]
    #[arg(short, long = "out", alias = "output", value_name = "FILE")]
    output: Option<PathBuf>,
    /// Importance matrix from `wright imatrix` or llama-imatrix
    #[arg(long, value_name = "FILE")]
    imatrix: Option<PathBuf>,
    /// Use one type for all matrices instead of the usual mix
    #[arg(long)]
    pure: bool,
    /// Type of the output matrix
    #[arg(long, value_name = "TYPE")]
    output_type: Option<String>,
    /// Type of the token embeddings
    #[arg(long, value_name = "TYPE")]
    embedding_type: Option<String>,
    /// Type of tensors whose name contains PART, such as ffn_down=Q6_K; repeatable
    #[arg(long, value_name = "PART=TYPE")]
    tensor_type: Vec<String>,
    /// Number of threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Overwrite an existing file
    #[arg(long)]
    force: bool,
    /// Print the type of each tensor and write nothing
    #[arg(long)]
    dry_run: bool,
}

pub fn main(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let file_type = FileType::find(&args.file_type).ok_or_else(|| {
        let names: Vec<&str> = FILE_TYPES.iter().map(|t| t.name).collect();
        Failure::usage(format!("unknown file type {}", args.file_type))
            .hint(format!("choose one of {}", names.join(", ")))
    })?;
    let located = locate::model(Some(&args.model), context)?;
    let (mapped, gguf) = gguf_file::parse(&located.path)?;
    let importance = args.imatrix.as_deref().map(importance).transpose()?;
    let wishes = wishes(args, importance.is_some())?;
    let plan = plan(&gguf, file_type, &wishes)?;
    warn(&gguf, importance.as_ref());
    if args.dry_run {
        terminal::print(&table(&gguf, &plan))?;
        return Ok(Exit::Done);
    }
    let path = args.output.clone().unwrap_or_else(|| default_output(&located, file_type));
    let started = Instant::now();
    write(args, context, (&mapped, &gguf), &plan, importance.as_ref(), &path)?;
    mapped.check_unchanged()?;
    terminal::print(&summary(&gguf, &plan, &path, started.elapsed().as_secs_f64()))?;
    Ok(Exit::Done)
}

fn importance(path: &Path) -> Result<Importance, Failure> {
    let (mapped, gguf) = gguf_file::parse(path)?;
    Importance::read(&gguf, (*mapped).as_ref()).map_err(|error| {
        let failure = Failure::new(Exit::BadInput, format!("{}: {error}", path.display()));
        failure.hint("use a file from `wright imatrix`, or from llama-imatrix in GGUF format")
    })
}

fn wishes(args: &Args, has_importance: bool) -> Result<MixOptions, Failure> {
    let dtype = |name: &str| {
        let known = |dtype: &DType| !dtype.is_coded() && dtype.name().eq_ignore_ascii_case(name);
        DType::ALL.into_iter().find(known).ok_or_else(|| {
            let names: Vec<&str> =
                DType::ALL.iter().filter(|t| !t.is_coded()).map(|t| t.name()).collect();
            Failure::usage(format!("unknown tensor type {name}"))
                .hint(format!("choose one of {}", names.join(", ")))
        })
    };
    let named = args.tensor_type.iter().map(|text| match text.split_once('=') {
        Some((part, name)) => Ok((part.to_owned(), dtype(name)?)),
        None => Err(Failure::usage(format!("--tensor-type {text}: expected PART=TYPE"))
            .hint("for example --tensor-type ffn_down=Q6_K")),
    });
    Ok(MixOptions {
        pure: args.pure,
        has_importance,
        output: args.output_type.as_deref().map(dtype).transpose()?,
        embedding: args.embedding_type.as_deref().map(dtype).transpose()?,
        named: named.collect::<Result<_, _>>()?,
    })
}

fn warn(gguf: &Gguf, importance: Option<&Importance>) {
    let coarse = gguf.tensors.iter().filter(|t| !t.dtype.is_float()).count();
    if coarse > 0 {
        terminal::note(&format!(
            "{} already quantized, which lost precision; an F16 or F32 file is a better source",
            match coarse {
                1 => "1 tensor is".to_owned(),
                n => format!("{n} tensors are"),
            }
        ));
    }
    if let Some(importance) = importance {
        let known = gguf.tensors.iter().filter(|t| importance.has(&t.name)).count();
        if known == 0 {
            terminal::note(
                "the importance matrix belongs to another model: it names none of this model's \
                 tensors",
            );
        }
    }
}

/// The folder that one stands in, the model's name, the type.
fn default_output(located: &Located, file_type: FileType) -> PathBuf {
    let stem = located.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let ends = |t: &&FileType| {
        stem.len() > t.name.len() + 1
            && stem.to_ascii_uppercase().ends_with(t.name)
            && stem.as_bytes()[stem.len() - t.name.len() - 1].is_ascii_punctuation()
    };
    // The longest name counts: Q5_K_M, not M.
    let old = FILE_TYPES.iter().filter(ends).map(|t| t.name.len() + 1).max().unwrap_or(0);
    PathBuf::from(format!("{}-{}.gguf", &stem[..stem.len() - old], file_type.name))
}

fn write(
    args: &Args,
    context: &Context,
    (mapped, gguf): (&Mapped, &Gguf),
    plan: &GgufHeader,
    importance: Option<&Importance>,
    path: &Path,
) -> Result<(), Failure> {
    let bytes = plan.data_bytes()?;
    let mut file = AtomicFile::with_space(path, bytes, args.force)?;
    let pool = Pool::new(args.threads.map_or_else(machine::usable_processors, usize::from));
    let total = gguf.tensors.iter().map(|t| t.n_values() as u64).sum();
    let label = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut progress = Progress::start(&label, total, Count::Things("values"));
    let mut watch = |step: wright_model::requantize::Step<'_>| {
        progress.set(step.done);
        progress.say(step.tensor);
        mapped.forget(step.released);
        !context.interrupt.is_set()
    };
    let done = rewrite(&pool, gguf, mapped.as_ref(), plan, importance, &mut file, &mut watch);
    progress.finish();
    done.map_err(|error| match error {
        WriteError::Model(error) => error.into(),
        WriteError::Write(error) => Failure::io("write", path, &error),
        WriteError::Stopped => Failure::interrupted(),
    })?;
    Ok(file.finish()?)
}

/// A line for each tensor: name, shape, type before and after.
fn table(gguf: &Gguf, plan: &GgufHeader) -> String {
    let pairs = gguf.tensors.iter().zip(&plan.tensors);
    pairs.map(|(a, b)| format!("{}\t{}\t{}\t{}\n", a.name, a.shape(), a.dtype, b.dtype)).collect()
}

fn summary(gguf: &Gguf, plan: &GgufHeader, path: &Path, seconds: f64) -> String {
    let before: usize = gguf.tensors.iter().map(|t| t.at.len()).sum();
    let after: usize = plan.tensors.iter().filter_map(|t| t.n_bytes()).sum();
    let values: usize = gguf.tensors.iter().map(|t| t.n_values()).sum();
    let mut counts: BTreeMap<DType, usize> = BTreeMap::new();
    plan.tensors.iter().for_each(|t| *counts.entry(t.dtype).or_default() += 1);
    let types: Vec<String> = counts.iter().map(|(t, n)| format!("{n} {t}")).collect();
    format!(
        "{}: {} from {}, {:.2} bits per weight, in {}\n{}\n",
        path.display(),
        units::bytes(after as u64),
        units::bytes(before as u64),
        after as f64 * 8.0 / values.max(1) as f64,
        units::seconds(seconds),
        types.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_name_drops_the_old_type() {
        let named = |path: &str, name: &str| {
            let located = Located { path: path.into(), ..Located::default() };
            default_output(&located, FileType::find(name).unwrap())
        };
        assert_eq!(named("/x/SmolLM2.F16.gguf", "Q4_K_M"), Path::new("SmolLM2-Q4_K_M.gguf"));
        assert_eq!(named("a-Q5_K_M.gguf", "q4_0"), Path::new("a-Q4_0.gguf"));
        assert_eq!(named("model.gguf", "F16"), Path::new("model-F16.gguf"));
    }
}
