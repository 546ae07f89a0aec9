//! `wright convert`: a folder of Hugging Face's layout as one GGUF file.

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::mmap::Mapped;
use crate::new_file::NewFile;
use crate::progress::{Count, Progress};
use crate::{load, terminal, units};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use wright_model::DType;
use wright_model::convert::{self, Conversion};
use wright_model::gguf_writer::{Field, Plan};
use wright_model::requantize::RewriteError;
use wright_model::safetensors::Safetensors;
use wright_text::Pieces;

/// More than any config.json or template has.
const JSON_BYTES_MAX: u64 = 4 << 20;
/// More than any tokenizer.json has.
const TOKENIZER_BYTES_MAX: u64 = 128 << 20;

/// Make a .gguf file of a folder with config.json, safetensors and tokenizer.json
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Where to write [default: the folder's name with the type, in this folder]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// F32, F16, BF16 or Q8_0 [default: as the weights are]
    #[arg(long = "type", value_name = "TYPE")]
    float: Option<String>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

pub fn main(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let folder = &args.folder;
    let config = json(&folder.join("config.json"))?;
    let float = args.float.as_deref().map(float_type).transpose()?;
    let mapped: Vec<Mapped> =
        weight_files(folder)?.iter().map(|path| Mapped::open(path)).collect::<Result<_, _>>()?;
    let parsed: Vec<Safetensors> = mapped
        .iter()
        .map(|file| Safetensors::parse(file.as_ref()).map_err(load::failure))
        .collect::<Result<_, _>>()?;
    let name = fs::canonicalize(folder).unwrap_or_else(|_| folder.clone());
    let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut conversion = convert::plan(&config, &name, &parsed, float).map_err(load::failure)?;
    vocabulary(folder, &config, conversion.n_vocab, &mut conversion.plan)?;
    let path = args.output.clone().unwrap_or_else(|| {
        let first = conversion.plan.tensors.first().map_or(DType::F16, |t| t.dtype);
        PathBuf::from(format!("{name}-{first}.gguf"))
    });
    write(args, context, &mapped, &conversion, &path)?;
    mapped.iter().try_for_each(|file| file.check_unchanged())?;
    let size = fs::metadata(&path).map_or(0, |metadata| metadata.len());
    let n_tensors = conversion.plan.tensors.len();
    terminal::print(&format!("{}: {}, {n_tensors} tensors\n", path.display(), units::bytes(size)))?;
    Ok(Exit::Done)
}

fn float_type(name: &str) -> Result<DType, Failure> {
    let known = [DType::F32, DType::F16, DType::BF16, DType::Q8_0];
    known.into_iter().find(|dtype| dtype.name().eq_ignore_ascii_case(name)).ok_or_else(|| {
        Failure::usage(format!("--type {name}: only F32, F16, BF16 and Q8_0 are written here"))
            .hint("`wright quantize` makes the others out of one of these")
    })
}

/// A file of JSON.
fn json(path: &Path) -> Result<Value, Failure> {
    let text = text(path, JSON_BYTES_MAX)?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::new(Exit::BadInput, format!("{} is no JSON: {error}", path.display()))
            .hint("fetch it again: a Git LFS pointer or a web page may stand in its place")
    })
}

fn text(path: &Path, most: u64) -> Result<String, Failure> {
    let metadata = fs::metadata(path).map_err(|error| Failure::io("read", path, &error))?;
    if metadata.len() > most {
        let what = format!("{} has more than {}", path.display(), units::bytes(most));
        return Err(Failure::new(Exit::BadInput, what).hint("is it the file that it should be?"));
    }
    fs::read_to_string(path).map_err(|error| Failure::io("read", path, &error))
}

/// The files of weights: as the index says, or the only one, or all.
fn weight_files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let index = folder.join("model.safetensors.index.json");
    let mut files: Vec<PathBuf> = if index.is_file() {
        let index = json(&index)?;
        let names = index["weight_map"].as_object().into_iter().flatten();
        // Names come from a file of a stranger: only those of files in this very folder count.
        let inside = |name: &Value| {
            let name = Path::new(name.as_str()?);
            (name.file_name() == Some(name.as_os_str())).then(|| folder.join(name))
        };
        names.filter_map(|(_, name)| inside(name)).collect()
    } else {
        let entries = fs::read_dir(folder).map_err(|e| Failure::io("read", folder, &e))?;
        let paths = entries.flatten().map(|entry| entry.path());
        paths.filter(|path| path.extension().is_some_and(|e| e == "safetensors")).collect()
    };
    files.sort();
    files.dedup();
    if files.is_empty() {
        let what = format!("{} holds no safetensors", folder.display());
        return Err(Failure::new(Exit::BadInput, what)
            .hint("give the folder of a model: config.json, *.safetensors, tokenizer.json"));
    }
    Ok(files)
}

/// Adds what tokenizer.json, tokenizer_config.json and the template say.
fn vocabulary(
    folder: &Path,
    config: &Value,
    n_vocab: usize,
    plan: &mut Plan,
) -> Result<(), Failure> {
    let path = folder.join("tokenizer.json");
    if !path.is_file() {
        terminal::note("there is no tokenizer.json: the model will know no text, only numbers");
        return Ok(());
    }
    let text = text(&path, TOKENIZER_BYTES_MAX)?;
    let pieces = Pieces::read(&text, n_vocab).map_err(|error| {
        Failure::new(Exit::Unsupported, error).hint("llama.cpp's convert_hf_to_gguf.py may know it")
    })?;
    let key = |name: &str| format!("tokenizer.ggml.{name}");
    let set = |plan: &mut Plan, name: &str, field: Field| plan.set(&key(name), &field);
    set(plan, "model", Field::Str(pieces.model.into()));
    let id = |text: &str| pieces.tokens.iter().position(|t| t == text);
    specials(folder, config, &id, plan);
    if !pieces.pre.is_empty() {
        set(plan, "pre", Field::Str(pieces.pre.into()));
    } else {
        set(plan, "pre", Field::Str("default".into()));
        set(plan, "add_space_prefix", Field::Bool(pieces.add_space_prefix));
    }
    if !pieces.scores.is_empty() {
        set(plan, "scores", Field::F32s(pieces.scores));
    }
    if !pieces.merges.is_empty() {
        set(plan, "merges", Field::Strs(pieces.merges));
    }
    set(plan, "token_type", Field::I32s(pieces.token_type));
    set(plan, "tokens", Field::Strs(pieces.tokens));
    Ok(())
}

/// Ids with a meaning, whether text begins and ends with one, and the chat template.
fn specials(folder: &Path, config: &Value, id: &dyn Fn(&str) -> Option<usize>, plan: &mut Plan) {
    let about = json(&folder.join("tokenizer_config.json")).unwrap_or_default();
    for (name, to) in [
        ("bos", "bos_token_id"),
        ("eos", "eos_token_id"),
        ("unk", "unknown_token_id"),
        ("pad", "padding_token_id"),
    ] {
        let said = &about[format!("{name}_token")];
        let text = said.as_str().or_else(|| said["content"].as_str());
        let in_config = &config[format!("{name}_token_id")];
        let number = in_config.as_u64().or_else(|| in_config[0].as_u64());
        let found = text.and_then(id).and_then(|id| u32::try_from(id).ok());
        if let Some(id) = found.or_else(|| number.and_then(|id| u32::try_from(id).ok())) {
            plan.set(&format!("tokenizer.ggml.{to}"), &Field::U32(id));
        }
    }
    for name in ["add_bos_token", "add_eos_token"] {
        if let Some(flag) = about[name].as_bool() {
            plan.set(&format!("tokenizer.ggml.{name}"), &Field::Bool(flag));
        }
    }
    let of_file = text(&folder.join("chat_template.jinja"), JSON_BYTES_MAX).ok();
    let template = of_file.or_else(|| about["chat_template"].as_str().map(str::to_owned));
    if let Some(template) = template {
        plan.set("tokenizer.chat_template", &Field::Str(template));
    }
}

fn write(
    args: &Args,
    context: &Context,
    mapped: &[Mapped],
    conversion: &Conversion,
    path: &Path,
) -> Result<(), Failure> {
    let bytes = conversion.plan.data_bytes().map_err(load::failure)?;
    let mut file = NewFile::create(path, bytes, args.force)?;
    let values = |t: &wright_model::gguf_writer::Planned| t.dims.iter().product::<usize>() as u64;
    let total = conversion.plan.tensors.iter().map(values).sum();
    let label = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut progress = Progress::start(&label, total, Count::Things("values"));
    let files: Vec<&[u8]> = mapped.iter().map(|file| file.as_ref()).collect();
    let mut watch = |done: u64| {
        progress.set(done);
        !context.interrupt.is_set()
    };
    let written = convert::write(conversion, &files, &mut file, &mut watch);
    progress.finish();
    written.map_err(|error| match error {
        RewriteError::Model(error) => load::failure(error),
        RewriteError::Write(error) => NewFile::failed(path, &error),
        RewriteError::Stopped => Failure::interrupted(),
    })?;
    file.finish()
}
