//! A message as it is stored and hashed: the form of `llm`, with what Wright knows beside it.
//!
//! [`wright_chat::Message`] is what models take and give; a [`Node`] is its durable form. The two
//! differ in what a hash covers: where text came from, or the exact spelling of a tool call's
//! arguments, is not part of `llm`'s hash, so it stands in [`Piece::detail`].

use crate::hash::{blake2b_16, message_hash};
use crate::{Json, Object};

/// An image, a sound or a document in a message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Attachment {
    /// SHA-256 of the bytes in hexadecimal digits, or the id of a URL.
    pub id: String,
    /// MIME type.
    pub mime: Option<String>,
    pub path: Option<String>,
    pub url: Option<String>,
    /// The bytes, unless only a path or URL is kept.
    pub content: Option<Vec<u8>>,
}

/// What one piece of a message is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Body {
    Text {
        text: String,
    },
    Reasoning {
        text: String,
        is_redacted: bool,
    },
    ToolCall {
        name: String,
        arguments: Json,
        id: Option<String>,
        is_server_side: bool,
    },
    ToolResult {
        name: String,
        output: String,
        id: Option<String>,
        is_server_side: bool,
        exception: Option<String>,
        attachments: Vec<Attachment>,
    },
    Attachment(Option<Attachment>),
}

/// One piece of a message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Piece {
    pub body: Body,
    /// Whatever a provider wants back with the next request.
    pub provider_metadata: Option<Json>,
    /// What Wright knows and the hash does not cover, as JSON.
    pub detail: Option<String>,
}

impl Piece {
    pub fn new(body: Body) -> Self {
        Piece { body, provider_metadata: None, detail: None }
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub role: String,
    pub pieces: Vec<Piece>,
    pub provider_metadata: Option<Json>,
}

impl Body {
    /// The name of the piece's type in the database and in JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Body::Text { .. } => "text",
            Body::Reasoning { .. } => "reasoning",
            Body::ToolCall { .. } => "tool_call",
            Body::ToolResult { .. } => "tool_result",
            Body::Attachment(_) => "attachment",
        }
    }

    /// The prose of the piece, which has a column of its own.
    pub fn prose(&self) -> Option<&str> {
        match self {
            Body::Text { text } | Body::Reasoning { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The tool that is called or answers.
    pub fn tool_name(&self) -> Option<&str> {
        match self {
            Body::ToolCall { name, .. } | Body::ToolResult { name, .. } => Some(name),
            _ => None,
        }
    }

    /// Attachments in order.
    pub fn attachments(&self) -> &[Attachment] {
        match self {
            Body::ToolResult { attachments, .. } => attachments,
            Body::Attachment(Some(attachment)) => std::slice::from_ref(attachment),
            _ => &[],
        }
    }
}

impl Piece {
    /// The members that have no column of their own, in the order in which `llm` writes them:
    /// neither type, prose nor attachments.
    pub fn payload(&self) -> Object {
        let mut payload = Object::new();
        match &self.body {
            Body::Text { .. } | Body::Attachment(_) => {}
            Body::Reasoning { is_redacted, .. } => {
                if *is_redacted {
                    payload.insert("redacted", true);
                }
            }
            Body::ToolCall { name, arguments, id, is_server_side } => {
                payload.insert("name", name.as_str());
                payload.insert("arguments", arguments.clone());
                insert_call(&mut payload, id.as_deref(), *is_server_side);
            }
            Body::ToolResult { name, output, id, is_server_side, exception, .. } => {
                payload.insert("name", name.as_str());
                payload.insert("output", output.as_str());
                insert_call(&mut payload, id.as_deref(), *is_server_side);
                if let Some(exception) = exception {
                    payload.insert("exception", exception.as_str());
                }
            }
        }
        if let Some(metadata) = truthy(self.provider_metadata.as_ref()) {
            payload.insert("provider_metadata", metadata.clone());
        }
        payload
    }

    /// The object over which the hash is taken.
    fn hashed(&self) -> Json {
        let mut object = self.payload();
        object.insert("type", self.body.kind());
        if let Some(prose) = self.body.prose() {
            object.insert("text", prose);
        }
        let attachments: Vec<Json> = self.body.attachments().iter().map(identity).collect();
        match (&self.body, attachments.is_empty()) {
            (_, true) => {}
            (Body::Attachment(_), false) => {
                object.insert("attachment", attachments.into_iter().next().unwrap_or(Json::Null));
            }
            (_, false) => object.insert("attachments", attachments),
        }
        object.into()
    }
}

fn insert_call(payload: &mut Object, id: Option<&str>, is_server_side: bool) {
    if let Some(id) = id {
        payload.insert("tool_call_id", id);
    }
    if is_server_side {
        payload.insert("server_executed", true);
    }
}

/// An attachment in a hash: its content and the type that a model is told.
fn identity(attachment: &Attachment) -> Json {
    let mut object = Object::new();
    object.insert("id", attachment.id.as_str());
    object.insert("type", attachment.mime.as_deref().map_or(Json::Null, Json::from));
    object.into()
}

/// Metadata that is not empty: `llm` leaves empty metadata out.
pub(crate) fn truthy(value: Option<&Json>) -> Option<&Json> {
    value.filter(|value| value.is_truthy())
}

/// What identifies a message in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The hash of `llm`: content of the message and of all before it.
    pub hash: String,
    /// Digest of the details of the message and of all before it; empty if there are none.
    pub variant: Vec<u8>,
}

impl Node {
    /// Identity of the message when it follows `parent`.
    pub fn identity(&self, parent: Option<&Identity>) -> Identity {
        let hash = message_hash(parent.map(|parent| parent.hash.as_str()), &self.hashed());
        let before = parent.map_or(&[][..], |parent| &parent.variant);
        let has_details = self.pieces.iter().any(|piece| piece.detail.is_some());
        if before.is_empty() && !has_details {
            return Identity { hash, variant: Vec::new() };
        }
        let mut bytes = before.to_vec();
        for piece in &self.pieces {
            bytes.push(u8::from(piece.detail.is_some()));
            let detail = piece.detail.as_deref().unwrap_or("");
            bytes.extend_from_slice(&(detail.len() as u64).to_le_bytes());
            bytes.extend_from_slice(detail.as_bytes());
        }
        Identity { hash, variant: blake2b_16(&bytes).to_vec() }
    }

    fn hashed(&self) -> Json {
        let mut object = Object::new();
        object.insert("role", self.role.as_str());
        let parts: Vec<Json> = self.pieces.iter().map(Piece::hashed).collect();
        object.insert("parts", parts);
        if let Some(metadata) = truthy(self.provider_metadata.as_ref()) {
            object.insert("provider_metadata", metadata.clone());
        }
        object.into()
    }
}

/// What a piece's columns say.
#[derive(Debug)]
pub(crate) struct Columns<'a> {
    pub kind: &'a str,
    /// Prose with its fragments put back in.
    pub text: Option<String>,
    pub payload: Object,
    pub attachments: Vec<Attachment>,
    pub detail: Option<String>,
}

impl Columns<'_> {
    /// The piece again, or what is wrong with it.
    pub fn piece(mut self) -> Result<Piece, String> {
        let provider_metadata = self.payload.remove("provider_metadata");
        let detail = self.detail.take();
        let body = match self.kind {
            "text" => Body::Text { text: self.prose()? },
            "reasoning" => {
                Body::Reasoning { text: self.prose()?, is_redacted: self.flag("redacted") }
            }
            "tool_call" => Body::ToolCall {
                name: self.string("name")?,
                arguments: self.payload.remove("arguments").ok_or("tool call without arguments")?,
                id: self.optional("tool_call_id")?,
                is_server_side: self.flag("server_executed"),
            },
            "tool_result" => Body::ToolResult {
                name: self.string("name")?,
                output: self.string("output")?,
                id: self.optional("tool_call_id")?,
                is_server_side: self.flag("server_executed"),
                exception: self.optional("exception")?,
                attachments: self.attachments,
            },
            "attachment" => Body::Attachment(self.attachments.into_iter().next()),
            other => return Err(format!("unknown type of part `{other}`")),
        };
        Ok(Piece { body, provider_metadata, detail })
    }

    fn prose(&mut self) -> Result<String, String> {
        match self.text.take() {
            Some(text) => Ok(text),
            None => self.string("text"),
        }
    }

    fn flag(&self, key: &str) -> bool {
        self.payload.get(key).is_some_and(Json::is_truthy)
    }

    fn string(&mut self, key: &str) -> Result<String, String> {
        self.optional(key)?.ok_or_else(|| format!("{} without `{key}`", self.kind))
    }

    fn optional(&mut self, key: &str) -> Result<Option<String>, String> {
        match self.payload.remove(key) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::Str(text)) => Ok(Some(text)),
            Some(_) => Err(format!("`{key}` of a {} is not text", self.kind)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(role: &str, text: &str) -> Node {
        let body = Body::Text { text: text.to_owned() };
        Node { role: role.to_owned(), pieces: vec![Piece::new(body)], provider_metadata: None }
    }

    #[test]
    fn details_make_another_message_with_the_same_hash() {
        let plain = text("user", "Hello");
        let mut detailed = plain.clone();
        detailed.pieces[0].detail = Some("{}".to_owned());
        let (first, second) = (plain.identity(None), detailed.identity(None));
        assert_eq!(first.hash, "b2:a0e4ead3540965f657f5361736db496a");
        assert_eq!(second.hash, first.hash);
        assert_ne!(second.variant, first.variant);
        let answer = text("assistant", "Hi");
        let answers = [answer.identity(Some(&first)), answer.identity(Some(&second))];
        assert_eq!(answers[0].hash, "b2:77ff14007ea4f0fcd964d55b8aae76f6");
        assert_eq!(answers[1].hash, answers[0].hash);
        assert_ne!(answers[1].variant, answers[0].variant);
    }

    #[test]
    fn pieces_come_back_from_their_columns() {
        let attachment = Attachment {
            id: "ab".into(),
            mime: Some("image/png".into()),
            path: None,
            url: None,
            content: None,
        };
        let bodies = [
            Body::Text { text: "a".into() },
            Body::Reasoning { text: String::new(), is_redacted: true },
            Body::ToolCall {
                name: "f".into(),
                arguments: Json::parse("{\"b\": 1.0, \"a\": 1}").unwrap(),
                id: Some("c".into()),
                is_server_side: true,
            },
            Body::ToolResult {
                name: "f".into(),
                output: "o".into(),
                id: None,
                is_server_side: false,
                exception: Some(String::new()),
                attachments: vec![attachment.clone(), attachment.clone()],
            },
            Body::Attachment(Some(attachment)),
            Body::Attachment(None),
        ];
        for body in bodies {
            let piece = Piece::new(body);
            let columns = Columns {
                kind: piece.body.kind(),
                text: piece.body.prose().map(str::to_owned),
                payload: piece.payload(),
                attachments: piece.body.attachments().to_vec(),
                detail: None,
            };
            assert_eq!(columns.piece().unwrap(), piece);
        }
    }
}
