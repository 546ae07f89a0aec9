//! Messages of models to messages of the store, and back.
//!
//! The store's form is that of `llm`, so that hashes agree. What it has no place for (where text
//! came from, the spelling of a call's arguments, names of media) goes to the piece's detail, and
//! only where it differs from what one would expect: plain conversations have no details.

use crate::hash::{sha256_hex, url_id};
use crate::node::{Attachment, Body, Node, Piece, truthy};
use crate::{Error, Json, Object};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use wright_chat::{
    Content, Media, MediaSource, Message, Origin, Part, ProviderData, Role, Text, ToolCall,
    ToolResult,
};

/// The dialect under which provider metadata of `llm` is kept that is not of one provider.
const LLM_DIALECT: &str = "llm";

/// Type of an attachment that has none.
const BINARY: &str = "application/octet-stream";

/// What the form of `llm` has no place for.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Detail {
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<Origin>,
    /// Arguments of a tool call as the model wrote them.
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
    /// Of each attachment.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    media: Vec<MediaDetail>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    opaque: bool,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct MediaDetail {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<Origin>,
}

/// The origin of text in a message of `role`, unless a detail says otherwise.
fn expected_origin(role: &str, tool: &str) -> Origin {
    match role {
        "system" => Origin::Operator,
        "assistant" => Origin::Model,
        "tool" => Origin::Tool(tool.into()),
        _ => Origin::User,
    }
}

fn unexpected(origin: &Origin, expected: &Origin) -> Option<Origin> {
    (origin != expected).then(|| origin.clone())
}

/// A message in the form of the store.
pub(crate) fn to_node(message: &Message) -> Node {
    let role = message.role.as_str();
    Node {
        role: role.to_owned(),
        pieces: message.parts.iter().map(|part| to_piece(role, part)).collect(),
        provider_metadata: message.provider.as_ref().map(to_metadata),
    }
}

fn to_piece(role: &str, part: &Part) -> Piece {
    let mut detail = Detail::default();
    let body = match &part.content {
        Content::Text(text) => {
            detail.origin = unexpected(&text.origin, &expected_origin(role, ""));
            Body::Text { text: text.text.clone() }
        }
        Content::Reasoning(text) => {
            detail.origin = unexpected(&text.origin, &Origin::Model);
            Body::Reasoning { text: text.text.clone(), is_redacted: false }
        }
        Content::Media(media) => {
            let expected = expected_origin(role, "");
            detail.media = media_details([media].into_iter(), &expected);
            Body::Attachment(Some(to_attachment(media)))
        }
        Content::ToolCall(call) => to_call(call, &mut detail),
        Content::ToolResult(result) => to_result(result, &mut detail),
        Content::Opaque => {
            detail.opaque = true;
            Body::Reasoning { text: String::new(), is_redacted: true }
        }
    };
    let detail =
        (detail != Detail::default()).then(|| serde_json::to_string(&detail).ok()).flatten();
    Piece { body, provider_metadata: part.provider.as_ref().map(to_metadata), detail }
}

fn to_call(call: &ToolCall, detail: &mut Detail) -> Body {
    let arguments = Json::parse(&call.arguments).unwrap_or(Json::Str(call.arguments.clone()));
    if arguments.spaced() != call.arguments {
        detail.arguments = Some(call.arguments.clone());
    }
    Body::ToolCall {
        name: call.name.clone(),
        arguments,
        id: non_empty(&call.id),
        is_server_side: call.server_executed,
    }
}

fn to_result(result: &ToolResult, detail: &mut Detail) -> Body {
    let expected = expected_origin("tool", &result.name);
    detail.origin = unexpected(&result.content.origin, &expected);
    detail.data = result.data.clone();
    detail.media = media_details(result.media.iter(), &expected);
    Body::ToolResult {
        name: result.name.clone(),
        output: result.content.text.clone(),
        id: non_empty(&result.id),
        is_server_side: result.server_executed,
        exception: result.is_error.then(|| result.content.text.clone()),
        attachments: result.media.iter().map(to_attachment).collect(),
    }
}

fn non_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn media_details<'a>(
    media: impl Iterator<Item = &'a Media>,
    expected: &Origin,
) -> Vec<MediaDetail> {
    let details: Vec<MediaDetail> = media
        .map(|media| MediaDetail {
            name: media.name.clone(),
            origin: unexpected(&media.origin, expected),
        })
        .collect();
    match details.iter().all(|detail| *detail == MediaDetail::default()) {
        true => Vec::new(),
        false => details,
    }
}

fn to_attachment(media: &Media) -> Attachment {
    let mut attachment = Attachment {
        id: String::new(),
        mime: Some(media.mime.clone()),
        path: None,
        url: None,
        content: None,
    };
    match &media.source {
        MediaSource::Data(data) => {
            attachment.id = sha256_hex(data);
            attachment.content = Some(data.to_vec());
        }
        MediaSource::Url(url) => {
            attachment.id = url_id(url);
            attachment.url = Some(url.clone());
        }
        MediaSource::Sha256(hash) => attachment.id.clone_from(hash),
    }
    attachment
}

/// `{dialect: data}`; what came from `llm` as it was.
fn to_metadata(provider: &ProviderData) -> Json {
    let data = Json::from(&provider.data);
    if provider.dialect == LLM_DIALECT {
        return data;
    }
    let mut object = Object::new();
    object.insert(provider.dialect.as_str(), data);
    object.into()
}

fn from_metadata(metadata: Option<&Json>) -> Option<ProviderData> {
    let metadata = truthy(metadata)?;
    if let Json::Object(object) = metadata {
        let mut entries = object.iter();
        if let (Some((dialect, data)), None) = (entries.next(), entries.next()) {
            return Some(ProviderData { dialect: dialect.to_owned(), data: data.to_serde() });
        }
    }
    Some(ProviderData { dialect: LLM_DIALECT.to_owned(), data: metadata.to_serde() })
}

/// The message again. A role that models do not know, in an imported message, is a user's.
///
/// # Errors
/// If a detail is not what this version writes.
pub(crate) fn from_node(node: &Node) -> Result<Message, Error> {
    let role = match node.role.as_str() {
        "system" | "developer" => Role::System,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        _ => Role::User,
    };
    let parts = node.pieces.iter().map(|piece| from_piece(&node.role, piece));
    let mut message = Message::new(role, parts.collect::<Result<_, _>>()?);
    message.provider = from_metadata(node.provider_metadata.as_ref());
    Ok(message)
}

fn from_piece(role: &str, piece: &Piece) -> Result<Part, Error> {
    let detail: Detail = match &piece.detail {
        Some(detail) => serde_json::from_str(detail)
            .map_err(|error| Error::Malformed(format!("detail of a part: {error}")))?,
        None => Detail::default(),
    };
    let origin = |expected: Origin| detail.origin.clone().unwrap_or(expected);
    let content = match &piece.body {
        Body::Text { text } => {
            Content::Text(Text::new(origin(expected_origin(role, "")), text.clone()))
        }
        Body::Reasoning { .. } if detail.opaque => Content::Opaque,
        Body::Reasoning { text, .. } => {
            Content::Reasoning(Text::new(origin(Origin::Model), text.clone()))
        }
        Body::Attachment(Some(attachment)) => {
            let expected = expected_origin(role, "");
            Content::Media(from_attachment(attachment, detail.media.first(), &expected))
        }
        Body::Attachment(None) => Content::Opaque,
        Body::ToolCall { name, arguments, id, is_server_side } => Content::ToolCall(ToolCall {
            id: id.clone().unwrap_or_default(),
            name: name.clone(),
            arguments: detail.arguments.clone().unwrap_or_else(|| arguments.spaced()),
            server_executed: *is_server_side,
        }),
        Body::ToolResult { name, output, id, is_server_side, exception, attachments } => {
            let expected = expected_origin("tool", name);
            let media = attachments.iter().enumerate();
            let media =
                media.map(|(at, found)| from_attachment(found, detail.media.get(at), &expected));
            Content::ToolResult(ToolResult {
                id: id.clone().unwrap_or_default(),
                name: name.clone(),
                media: media.collect(),
                content: Text::new(origin(expected), output.clone()),
                is_error: exception.is_some(),
                data: detail.data.clone(),
                server_executed: *is_server_side,
            })
        }
    };
    Ok(Part { content, provider: from_metadata(piece.provider_metadata.as_ref()) })
}

fn from_attachment(
    attachment: &Attachment,
    detail: Option<&MediaDetail>,
    expected: &Origin,
) -> Media {
    let source = match (&attachment.content, &attachment.url) {
        (Some(content), _) => MediaSource::Data(Arc::from(content.as_slice())),
        (None, Some(url)) => MediaSource::Url(url.clone()),
        (None, None) => MediaSource::Sha256(attachment.id.clone()),
    };
    Media {
        mime: attachment.mime.clone().unwrap_or_else(|| BINARY.to_owned()),
        source,
        name: detail.and_then(|detail| detail.name.clone()),
        origin: detail.and_then(|detail| detail.origin.clone()).unwrap_or(expected.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn there_and_back(message: &Message) -> Node {
        let node = to_node(message);
        assert_eq!(from_node(&node).unwrap(), *message);
        node
    }

    #[test]
    fn plain_conversations_have_no_details() {
        let call = ToolCall::new("c1", "clock", r#"{"zone": "UTC"}"#);
        let messages = [
            Message::system("Be brief."),
            Message::user("Hello"),
            Message::new(Role::Assistant, vec![Part::reasoning("hm"), call.clone().into()]),
            Message::tool_results([ToolResult::ok(&call, "12:00")]),
            Message::assistant("noon"),
        ];
        for message in &messages {
            let node = there_and_back(message);
            assert!(node.pieces.iter().all(|piece| piece.detail.is_none()), "{message:?}");
        }
    }

    #[test]
    fn nothing_of_a_message_is_lost() {
        let file = Origin::File("notes.txt".into());
        let call = ToolCall::new("", "f", "{\"b\":1,  \"a\":1.0}");
        let broken = ToolCall::new("c2", "f", "{\"unfinished");
        let mut image = Media::data("image/png", vec![1, 2, 3], file.clone());
        image.name = Some("dot.png".into());
        let mut result = ToolResult::error(&call, "boom");
        result.content.origin = Origin::Web("https://example.org/".into());
        result.data = Some(json!({"code": 1}));
        result.media =
            vec![Media::data("text/plain", vec![65], Origin::Tool("f".into())), image.clone()];
        result.server_executed = true;
        let kept = Media { source: MediaSource::Sha256("ab".repeat(32)), ..image.clone() };
        let parts = vec![
            Part::text(file, "text").with_provider("x", json!({"k": [1, 2.5, null]})),
            Part::new(Content::Reasoning(Text::new(Origin::User, "quoted"))),
            image.into(),
            kept.into(),
            Media::url("image/png", "https://example.org/é.png", Origin::User).into(),
            call.into(),
            broken.into(),
            result.into(),
            Part::new(Content::Opaque).with_provider("y", json!("sealed")),
        ];
        for role in [Role::System, Role::User, Role::Assistant, Role::Tool] {
            let mut message = Message::new(role, parts.clone());
            message.provider = Some(ProviderData { dialect: "z".into(), data: json!({"id": 1}) });
            there_and_back(&message);
        }
    }
}
