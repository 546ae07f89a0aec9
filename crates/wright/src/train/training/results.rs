//! The end of a run: all held-out text is scored, the model is exported, and the report and the
//! model card are written.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::terminal;
use crate::train::training::live::Live;
use crate::train::training::report::State;
use crate::train::training::watch::{self, Watched};
use crate::train::training::{Job, card, export};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use wright_host::machine;

impl Job<'_> {
    /// Writes the results, and says where they are.
    ///
    /// # Errors
    /// If one of them cannot be written.
    pub fn end(&mut self, live: &Live) -> Result<Exit, Failure> {
        let held_out = match self.validate_all(live)? {
            Watched::Stopped => return self.stop(live),
            Watched::Seen(held_out) => held_out,
        };
        let gguf = export::write_gguf(&self.folder, self.plan, &self.run)?;
        let mut hashes = vec![("model.gguf".to_owned(), hashed(&gguf))];
        if let Some(manifest) = self.plan.beside_data("manifest.jsonl").filter(|p| p.is_file()) {
            hashes.push(("manifest.jsonl of the data".into(), hashed(&manifest)));
        }
        let mut hashes: Vec<(String, String)> =
            hashes.into_iter().filter_map(|(name, hash)| Some((name, hash.ok()?))).collect();
        let card = card::card(&self.facts(State::Done, &hashes));
        let model = export::write_hugging_face(&self.folder, self.plan, &self.run, card)?;
        if let Ok(hash) = hashed(&model.join("model.safetensors")) {
            hashes.push(("model/model.safetensors".into(), hash));
        }
        let report = self.folder.file("report.html");
        let history = self.folder.history();
        let best = history.best();
        let object = json!({
            "done": true, "step": self.run.trainer.steps_done(),
            "loss": history.steps.last().map(|step| step.loss),
            "validation_loss": held_out.map(|h| h.loss()),
            "bits_per_byte": held_out.and_then(|h| h.bits_per_byte()),
            "best_validation_loss": best.map(|b| b.loss),
            "best_bits_per_byte": best.and_then(|b| b.bits_per_byte),
            "elapsed_s": live.elapsed_s(), "steps_s": history.steps_s,
            "peak_memory_bytes": machine::peak_memory(),
            "gguf": gguf, "hugging_face": model, "report": report,
        });
        self.folder.log(&object);
        self.report(live, State::Done, &hashes);
        if self.args.json {
            terminal::print(&format!("{object}\n"))?;
            return Ok(Exit::Done);
        }
        let costs = held_out.map_or(String::new(), |held_out| {
            let said = watch::in_words(held_out.loss(), held_out.bits_per_byte());
            format!(" Loss on held-out text: {said}.")
        });
        terminal::note(&format!(
            "done.{costs} {} is for transformers; see {} for a report",
            model.display(),
            report.display()
        ));
        terminal::print(&format!("{}\n", gguf.display()))?;
        Ok(Exit::Done)
    }
}

/// The SHA-256 of a file, in hexadecimal.
fn hashed(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
