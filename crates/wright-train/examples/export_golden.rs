//! Writes what `tests/golden/make.py` trains with PyTorch: models in the layout of Hugging Face and
//! the batches of every step. Usage: `export_golden FOLDER`.

#[path = "../tests/golden/run.rs"]
mod run;

use run::{FAMILIES, ROWS, STEPS, ids, shape, trainer};
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use wright_train::hugging_face;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("usage: export_golden FOLDER")?);
    for family in FAMILIES {
        let to = folder.join(family.name());
        fs::create_dir_all(&to)?;
        let config = hugging_face::config(&shape(family), None, None);
        fs::write(to.join("config.json"), config.to_string())?;
        let mut bytes = Vec::new();
        let trainer = trainer(family);
        hugging_face::write_safetensors(&mut bytes, &shape(family), &trainer.parameters)?;
        fs::write(to.join("model.safetensors"), bytes)?;
    }
    let all: Vec<Vec<Vec<u32>>> =
        (0..STEPS).map(|step| (0..ROWS).map(|row| ids(step, row)).collect()).collect();
    Ok(fs::write(folder.join("batches.json"), serde_json::to_string(&all)?)?)
}
