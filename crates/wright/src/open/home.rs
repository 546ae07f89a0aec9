//! Where Wright keeps things: models, settings, the history of `chat`.
//!
//! `$WRIGHT_HOME` holds all of it if it is set. Otherwise the XDG folders do: models in the cache
//! (they can be fetched again), settings in config, history in
//! state, the log in data.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use std::ffi::OsString;
use std::path::PathBuf;

/// The folders and files of one person's Wright. Nothing here exists until something is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// The folder of model files.
    pub models: PathBuf,
    pub settings: PathBuf,
    pub history: PathBuf,
    /// The log of everything said.
    pub memory: PathBuf,
}

impl Home {
    /// The folders that the environment asks for.
    ///
    /// # Errors
    /// If neither `WRIGHT_HOME` nor `HOME` (nor the XDG variables) say where.
    pub fn find() -> Result<Self, Failure> {
        Self::of(|name| std::env::var_os(name))
    }

    fn of(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, Failure> {
        // The XDG rules: an empty or relative value counts as unset.
        let folder =
            |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        if let Some(home) = variable("WRIGHT_HOME").filter(|value| !value.is_empty()) {
            let home = PathBuf::from(home);
            return Ok(Home {
                models: home.join("models"),
                settings: home.join("settings.json"),
                history: home.join("chat-history.txt"),
                memory: home.join("logs.db"),
            });
        }
        let user = folder("HOME").or_else(|| folder("USERPROFILE"));
        let place = |name: &str, below: &str| {
            folder(name).or_else(|| user.as_ref().map(|user| user.join(below))).ok_or_else(|| {
                Failure::new(Exit::Io, "no folder for models: HOME is not set")
                    .hint("set WRIGHT_HOME to a writable folder")
            })
        };
        Ok(Home {
            models: place("XDG_CACHE_HOME", ".cache")?.join("wright").join("models"),
            settings: place("XDG_CONFIG_HOME", ".config")?.join("wright").join("settings.json"),
            history: place("XDG_STATE_HOME", ".local/state")?
                .join("wright")
                .join("chat-history.txt"),
            memory: place("XDG_DATA_HOME", ".local/share")?.join("wright").join("logs.db"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;

    fn with(variables: &'static [(&str, &str)]) -> Result<Home, Failure> {
        Home::of(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn wright_home_wins_then_xdg_then_home() {
        let all = with(&[("WRIGHT_HOME", "/w"), ("XDG_CACHE_HOME", "/c"), ("HOME", "/h")]).unwrap();
        assert_eq!(all.models, PathBuf::from("/w/models"));
        let xdg = with(&[("XDG_CACHE_HOME", "/c"), ("HOME", "/h")]).unwrap();
        assert_eq!(xdg.models, PathBuf::from("/c/wright/models"));
        assert_eq!(xdg.settings, PathBuf::from("/h/.config/wright/settings.json"));
        let relative = with(&[("XDG_CACHE_HOME", "c"), ("HOME", "/h")]).unwrap();
        assert_eq!(relative.models, PathBuf::from("/h/.cache/wright/models"));
        let none = with(&[("WRIGHT_HOME", "")]).unwrap_err();
        assert_eq!(none.exit, Exit::Io);
        assert!(none.hint.unwrap().contains("WRIGHT_HOME"));
    }
}
