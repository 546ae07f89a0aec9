//! The result of a run, in the two layouts that others load: GGUF and Hugging Face.

use crate::cli::failure::Failure;
use crate::train::training::folder::Folder;
use crate::train::training::setup::Plan;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use wright_host::atomic_file;
use wright_train::{Error, Run, gguf, hugging_face};

/// Writes `model.gguf`; returns its path.
///
/// # Errors
/// If it cannot be written.
pub fn write_gguf(folder: &Folder, plan: &Plan, run: &Run) -> Result<PathBuf, Failure> {
    let path = folder.file("model.gguf");
    let weights = &run.trainer.parameters;
    let mut header = gguf::header(&plan.shape, &plan.name())?;
    plan.vocabulary.write_metadata(&mut header, plan.shape.n_vocab);
    put(&path, |to| gguf::write(to, &header, weights))?;
    Ok(path)
}

/// Writes the folder `model`, with `card` as its README; returns its path.
///
/// # Errors
/// If one of its files cannot be written.
pub fn write_hugging_face(
    folder: &Folder,
    plan: &Plan,
    run: &Run,
    card: String,
) -> Result<PathBuf, Failure> {
    let weights = &run.trainer.parameters;
    let model = folder.file("model");
    fs::create_dir_all(&model).map_err(|error| Failure::io("make", &model, &error))?;
    put(&model.join("model.safetensors"), |to| {
        hugging_face::write_safetensors(to, &plan.shape, weights)
    })?;
    let end = plan.vocabulary.end();
    let mut texts = vec![
        ("config.json", pretty(&hugging_face::config(&plan.shape, end, end))),
        ("generation_config.json", pretty(&hugging_face::generation_config(end, end))),
        ("README.md", card),
    ];
    if let Some(tokenizer) = plan.vocabulary.json() {
        texts.push(("tokenizer.json", pretty(&tokenizer)));
        let config = hugging_face::tokenizer_config(&plan.vocabulary, plan.shape.n_ctx);
        texts.push(("tokenizer_config.json", pretty(&config)));
    }
    for (name, text) in texts {
        put(&model.join(name), |to| Ok(to.write_all(text.as_bytes())?))?;
    }
    Ok(model)
}

fn put(
    path: &Path,
    write: impl FnOnce(&mut dyn io::Write) -> Result<(), Error>,
) -> Result<(), Failure> {
    let written = atomic_file::replace(path, |to| match write(to) {
        Err(Error::Write(error)) => Err(error),
        Err(error) => Err(io::Error::other(error)),
        Ok(()) => Ok(()),
    });
    written.map_err(|error| {
        Failure::from(error).hint(
            "the training run is saved: free some space, then use --resume to write its results",
        )
    })
}

fn pretty(json: &serde_json::Value) -> String {
    let mut text = serde_json::to_string_pretty(json).unwrap_or_default();
    text.push('\n');
    text
}
