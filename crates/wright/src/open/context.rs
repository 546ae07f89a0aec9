//! What every verb starts from: folders, settings, the catalogue, and Ctrl-C.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::open::home::Home;
use crate::open::settings::Settings;
use crate::terminal::progress::Terminal;
use wright_corpus::Work;
use wright_host::{Interrupt, machine};
use wright_hub::catalogue::Catalogue;
use wright_hub::find::Known;
use wright_hub::other_caches;

pub struct Context {
    pub home: Home,
    pub settings: Settings,
    pub catalogue: Catalogue,
    pub interrupt: Interrupt,
}

impl Context {
    /// Reads the environment and the settings file, and starts to listen for Ctrl-C.
    ///
    /// # Errors
    /// If there is no folder to live in, or the settings are broken.
    pub fn find() -> Result<Self, Failure> {
        let home = Home::find()?;
        let settings = Settings::read(&home.settings)?;
        let interrupt = Interrupt::watch(Exit::Interrupted.code()).map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot handle Ctrl-C: {error}"))
        })?;
        Ok(Context { home, settings, catalogue: Catalogue::built_in()?, interrupt })
    }

    /// How a corpus is worked on: on so many threads, or on all that there are.
    pub fn work(&self, threads: Option<u16>) -> Work<'_> {
        Work {
            threads: threads.map_or_else(machine::usable_processors, usize::from),
            interrupt: &self.interrupt,
            reporter: &Terminal,
        }
    }

    /// Everything that a model's name is looked up in, other programs' folders included.
    pub fn known(&self) -> Known<'_> {
        Known {
            catalogue: &self.catalogue,
            models: &self.home.models,
            aliases: &self.settings.aliases,
            stores: other_caches::find(),
        }
    }

    /// The name of the model that answers when none is named, and who said so.
    pub fn default_model(&self) -> (String, &'static str) {
        if let Ok(name) = std::env::var("WRIGHT_MODEL")
            && !name.is_empty()
        {
            return (name, "WRIGHT_MODEL");
        }
        if let Some(name) = &self.settings.default_model {
            return (name.clone(), "settings");
        }
        (self.catalogue.default_name().unwrap_or_default().to_owned(), "built-in default")
    }
}
