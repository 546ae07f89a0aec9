//! Where a piece of text came from, and what it may therefore influence.
//!
//! Text carries its [`Origin`] from the moment it enters the program. Two questions are asked of
//! it, and they have different answers: may it hold control tokens, and may it steer a plan?

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Where a piece of text came from.
///
/// In JSON an origin without details is its name (`"user"`); one with details is an object of one
/// field (`{"file": "notes.txt"}`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Whoever runs the program: a system prompt, a template, a flag.
    Operator,
    /// The user in the conversation.
    User,
    /// A model's own words. Which model it was is in the record of the turn.
    Model,
    /// A file, by its path as it was given; `-` is standard input.
    File(Arc<str>),
    /// The result of a tool, by the tool's name.
    Tool(Arc<str>),
    /// A page or service on a network, by its URL.
    Web(Arc<str>),
    /// A message that somebody sent (mail, a chat), by its id.
    Message(Arc<str>),
}

impl Origin {
    /// Text that came through standard input.
    pub fn stdin() -> Self {
        Origin::File("-".into())
    }

    /// Whether text of this origin may hold control tokens. Only the operator's templates may:
    /// everything else is data, whatever it spells.
    pub fn may_hold_control_tokens(&self) -> bool {
        matches!(self, Origin::Operator)
    }

    /// Whether text of this origin may decide what an agent does next. The operator and the person
    /// may; files, tools, pages, messages and models' own words are read, not obeyed.
    pub fn may_steer_plan(&self) -> bool {
        matches!(self, Origin::Operator | Origin::User)
    }

    /// The details: which file, tool, page or message.
    pub fn source(&self) -> Option<&str> {
        match self {
            Origin::Operator | Origin::User | Origin::Model => None,
            Origin::File(source)
            | Origin::Tool(source)
            | Origin::Web(source)
            | Origin::Message(source) => Some(source),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Operator => f.write_str("operator"),
            Origin::User => f.write_str("user"),
            Origin::Model => f.write_str("model"),
            Origin::File(path) => write!(f, "file {path}"),
            Origin::Tool(name) => write!(f, "tool {name}"),
            Origin::Web(url) => write!(f, "page {url}"),
            Origin::Message(id) => write!(f, "message {id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> [Origin; 7] {
        [
            Origin::Operator,
            Origin::User,
            Origin::Model,
            Origin::stdin(),
            Origin::Tool("clock".into()),
            Origin::Web("https://example.org/".into()),
            Origin::Message("id-1".into()),
        ]
    }

    #[test]
    fn only_the_operator_may_hold_control_tokens_and_only_people_steer() {
        let control: Vec<bool> = all().iter().map(Origin::may_hold_control_tokens).collect();
        assert_eq!(control, [true, false, false, false, false, false, false]);
        let steer: Vec<bool> = all().iter().map(Origin::may_steer_plan).collect();
        assert_eq!(steer, [true, true, false, false, false, false, false]);
    }

    #[test]
    fn json_names_the_source() {
        let json: Vec<String> =
            all().iter().map(|origin| serde_json::to_string(origin).unwrap()).collect();
        assert_eq!(json[1], r#""user""#);
        assert_eq!(json[3], r#"{"file":"-"}"#);
        for (text, origin) in json.iter().zip(all()) {
            assert_eq!(serde_json::from_str::<Origin>(text).unwrap(), origin);
        }
    }
}
