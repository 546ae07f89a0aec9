//! The file of the model that was asked for: found on this disk, or else fetched.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::hub::find::{self, Located, Meaning};
use crate::hub::pull;
use crate::open::context::Context;

/// The file of the model that was asked for, or of the default one; fetched if need be.
///
/// # Errors
/// If there is no such model, or it cannot be fetched.
pub fn model(asked: Option<&str>, context: &Context) -> Result<Located, Failure> {
    let name = match asked {
        Some(name) => name.to_owned(),
        None => context.default_model().0,
    };
    match find::meaning(&context.known(), &name)? {
        Meaning::Here(located) => Ok(located),
        Meaning::Fetchable(entry) => {
            let path = pull::ensure(&entry, &context.home.models, &context.interrupt)?;
            Ok(Located { id: entry.name.clone(), path, entry: Some(entry), store: None })
        }
        Meaning::Elsewhere(reference) => {
            let models = &context.home.models;
            Ok(Located::at(pull::by_reference(&reference, models, &context.interrupt)?))
        }
        Meaning::Folder(folder) => {
            let what = format!("{} is a folder", folder.display());
            Err(Failure::new(Exit::BadInput, what).hint(
                "name the .gguf file in it; `wright convert` makes one of a folder of safetensors",
            ))
        }
    }
}
