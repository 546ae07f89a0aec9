//! The file of the model that was asked for: found on this disk, or else fetched.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::open::context::Context;
use crate::terminal::progress::Terminal;
use wright_hub::find::{self, Located, Meaning};
use wright_hub::pull::{self, Means};

/// The file of the model that was asked for, or of the default one; fetched if need be.
///
/// # Errors
/// If there is no such model, or it cannot be fetched.
pub fn model(asked: Option<&str>, context: &Context) -> Result<Located, Failure> {
    let name = match asked {
        Some(name) => name.to_owned(),
        None => context.default_model().0,
    };
    let (models, means) = (&context.home.models, Means::usual(&Terminal));
    match find::meaning(&context.known(), &name)? {
        Meaning::Here(located) => Ok(located),
        Meaning::Fetchable(entry) => {
            let path = pull::ensure(&entry, models, &context.interrupt, &means)?;
            Ok(Located { id: entry.name.clone(), path, entry: Some(entry), store: None })
        }
        Meaning::Elsewhere(reference) => {
            Ok(Located::at(pull::by_reference(&reference, models, &context.interrupt, &means)?))
        }
        Meaning::Folder(folder) => {
            let what = format!("{} is a folder", folder.display());
            Err(Failure::new(Exit::BadInput, what).hint(
                "name the .gguf file in it; `wright convert` creates one from a folder of \
                 safetensors",
            ))
        }
    }
}
