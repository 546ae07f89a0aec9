//! A conversation in a file: JSON that `/save` writes and `/load` reads.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::terminal::stdin;
use serde::{Deserialize, Serialize};
use std::path::Path;
use wright_chat::{Message, Options};
use wright_host::atomic_file;

/// What stands in the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transcript {
    /// Says what kind of file this is, so that no other is taken for one or overwritten.
    pub format: Format,
    pub model: String,
    pub options: Options,
    /// The system prompt, if any, is the first.
    pub messages: Vec<Message>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    #[serde(rename = "wright chat 1")]
    Chat1,
}

/// # Errors
/// If there is no such file, or it is not a saved conversation.
pub fn load(path: &Path) -> Result<Transcript, Failure> {
    let text = stdin::file(path)?;
    serde_json::from_str(&text).map_err(|error| {
        let what = format!("{} is not a saved conversation: {error}", path.display());
        Failure::new(Exit::BadInput, what).hint("load a file written by /save")
    })
}

/// Writes the file; one that is there is replaced only if it is a saved conversation too.
///
/// # Errors
/// If something else stands there, or it cannot be written.
pub fn save(path: &Path, transcript: &Transcript) -> Result<(), Failure> {
    if path.exists() && load(path).is_err() {
        let what = format!("{} exists and is not a saved conversation", path.display());
        return Err(Failure::new(Exit::Io, what).hint("choose another name"));
    }
    let mut text = serde_json::to_string_pretty(transcript)
        .map_err(|error| Failure::new(Exit::Defect, format!("conversation: {error}")))?;
    text.push('\n');
    Ok(atomic_file::write(path, text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_comes_back_and_no_other_file_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("talk.json");
        let transcript = Transcript {
            format: Format::Chat1,
            model: "smol".into(),
            options: Options { seed: Some(1), ..Options::default() },
            messages: vec![Message::system("brief"), Message::user("hi\n\"there\"")],
        };
        save(&path, &transcript).unwrap();
        save(&path, &transcript).unwrap();
        assert_eq!(load(&path).unwrap(), transcript);

        let other = folder.path().join("other.json");
        std::fs::write(&other, "{\"precious\": 1}").unwrap();
        assert_eq!(save(&other, &transcript).unwrap_err().exit, Exit::Io);
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "{\"precious\": 1}");
        assert_eq!(load(&other).unwrap_err().exit, Exit::BadInput);
    }
}
