//! `wright convert`: a folder of Hugging Face's layout as one GGUF file.

mod vocabulary;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::open::context::Context;
use crate::terminal;
use crate::terminal::progress::Progress;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use wright_host::{AtomicFile, Count, Mapped, units};
use wright_model::DType;
use wright_model::convert::{self, Conversion};
use wright_model::gguf_writer::{Field, GgufHeader, WriteError};
use wright_model::safetensors::Safetensors;

/// More than any config.json or template has.
const JSON_BYTES_MAX: u64 = 4 << 20;

/// Convert a Hugging Face model folder (config.json, safetensors, tokenizer.json) to a .gguf file
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder with config.json, *.safetensors and tokenizer.json
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Output file [default: FOLDER-TYPE.gguf in the current folder]
    #[arg(short, long = "out", alias = "output", value_name = "FILE")]
    output: Option<PathBuf>,
    /// Type of the weights: F32, F16, BF16 or Q8_0 [default: unchanged]
    #[arg(long = "type", value_name = "TYPE")]
    float: Option<String>,
    /// Overwrite an existing file
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
        .map(|file| Safetensors::parse(file.as_ref()).map_err(Failure::from))
        .collect::<Result<_, _>>()?;
    let name = fs::canonicalize(folder).unwrap_or_else(|_| folder.clone());
    let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut conversion = convert::plan(&config, &name, &parsed, float)?;
    vocabulary::add(folder, &config, conversion.n_vocab, &mut conversion.header)?;
    pooling(folder, &config, &mut conversion.header);
    let path = args.output.clone().unwrap_or_else(|| {
        let first = conversion.header.tensors.first().map_or(DType::F16, |t| t.dtype);
        PathBuf::from(format!("{name}-{first}.gguf"))
    });
    write(args, context, &mapped, &conversion, &path)?;
    mapped.iter().try_for_each(|file| file.check_unchanged())?;
    let size = fs::metadata(&path).map_or(0, |metadata| metadata.len());
    let n_tensors = conversion.header.tensors.len();
    terminal::print(&format!("{}: {}, {n_tensors} tensors\n", path.display(), units::bytes(size)))?;
    Ok(Exit::Done)
}

fn float_type(name: &str) -> Result<DType, Failure> {
    let known = [DType::F32, DType::F16, DType::BF16, DType::Q8_0];
    known.into_iter().find(|dtype| dtype.name().eq_ignore_ascii_case(name)).ok_or_else(|| {
        Failure::usage(format!(
            "--type {name}: `wright convert` writes only F32, F16, BF16 and Q8_0"
        ))
        .hint("convert to one of these, then use `wright quantize` for other types")
    })
}

/// A file of JSON.
fn json(path: &Path) -> Result<Value, Failure> {
    let text = text(path, JSON_BYTES_MAX)?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::new(Exit::BadInput, format!("{} is not valid JSON: {error}", path.display()))
            .hint("download it again: it may be a Git LFS pointer or a web page instead")
    })
}

fn text(path: &Path, most: u64) -> Result<String, Failure> {
    let metadata = fs::metadata(path).map_err(|error| Failure::io("read", path, &error))?;
    if metadata.len() > most {
        let what = format!("{} is larger than {}", path.display(), units::bytes(most));
        return Err(Failure::new(Exit::BadInput, what).hint("check that it is the right file"));
    }
    fs::read_to_string(path).map_err(|error| Failure::io("read", path, &error))
}

/// How the vectors of a text's tokens become one, where sentence-transformers says it.
fn pooling(folder: &Path, config: &Value, plan: &mut GgufHeader) {
    let Ok(said) = json(&folder.join("1_Pooling/config.json")) else { return };
    let kinds = ["pooling_mode_mean_tokens", "pooling_mode_cls_token", "pooling_mode_lasttoken"];
    let kind = (1u32..).zip(kinds).find(|(_, key)| said[*key] == true);
    let arch = config["architectures"][0].as_str().unwrap_or_default();
    let arch = convert::known().find(|(name, _)| *name == arch);
    if let (Some((kind, _)), Some((_, arch))) = (kind, arch) {
        plan.set(&format!("{arch}.pooling_type"), &Field::U32(kind));
    }
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
        let what = format!("{} contains no safetensors files", folder.display());
        return Err(Failure::new(Exit::BadInput, what).hint(
            "name the folder of a model with config.json, *.safetensors and tokenizer.json",
        ));
    }
    Ok(files)
}

fn write(
    args: &Args,
    context: &Context,
    mapped: &[Mapped],
    conversion: &Conversion,
    path: &Path,
) -> Result<(), Failure> {
    let bytes = conversion.header.data_bytes()?;
    let mut file = AtomicFile::with_space(path, bytes, args.force)?;
    let values =
        |t: &wright_model::gguf_writer::TensorHeader| t.dims.iter().product::<usize>() as u64;
    let total = conversion.header.tensors.iter().map(values).sum();
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
        WriteError::Model(error) => error.into(),
        WriteError::Write(error) => Failure::io("write", path, &error),
        WriteError::Stopped => Failure::interrupted(),
    })?;
    Ok(file.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_cannot_name_files_outside_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let index = r#"{"weight_map":{"a":"a.safetensors","b":"../b.safetensors","c":"/c",
            "d":"sub/d.safetensors","e":7,"f":"a.safetensors"}}"#;
        fs::write(folder.path().join("model.safetensors.index.json"), index).unwrap();
        let files = weight_files(folder.path()).unwrap();
        assert_eq!(files, [folder.path().join("a.safetensors")]);
        fs::write(folder.path().join("model.safetensors.index.json"), "{}").unwrap();
        assert_eq!(weight_files(folder.path()).unwrap_err().exit, Exit::BadInput);
    }

    #[test]
    fn how_vectors_are_pooled_is_read_beside_the_model() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("1_Pooling")).unwrap();
        let said = r#"{"pooling_mode_cls_token":true,"pooling_mode_mean_tokens":false}"#;
        fs::write(folder.path().join("1_Pooling/config.json"), said).unwrap();
        let mut plan = GgufHeader::new();
        let config = serde_json::json!({ "architectures": ["BertModel"] });
        pooling(folder.path(), &config, &mut plan);
        let head: std::sync::Arc<dyn wright_model::Bytes> =
            std::sync::Arc::new(plan.encode().unwrap());
        let gguf = wright_model::Gguf::parse(&head).unwrap();
        assert_eq!(gguf.metadata.u32("bert.pooling_type"), Some(2));
    }
}
