//! Images, sounds and documents handed to a model.

use crate::Origin;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;

/// Where the bytes of a [`Media`] are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaSource {
    /// The bytes themselves; base64 in JSON.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    Data(Arc<[u8]>),
    /// An address that the provider fetches. Nothing here fetches it.
    Url(String),
    /// Bytes that a store keeps, by the lower-case hexadecimal SHA-256 of them.
    Sha256(String),
}

/// An image, a sound or a document for a model that can take it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    /// MIME type, such as `image/png`.
    pub mime: String,
    pub source: MediaSource,
    /// The file's name, where it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub origin: Origin,
}

/// What kind of medium a MIME type names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaKind {
    Image,
    Audio,
    Video,
    /// Everything else, such as `application/pdf`.
    Document,
}

impl Media {
    pub fn data(mime: impl Into<String>, data: impl Into<Arc<[u8]>>, origin: Origin) -> Self {
        Media { mime: mime.into(), source: MediaSource::Data(data.into()), name: None, origin }
    }

    pub fn url(mime: impl Into<String>, url: impl Into<String>, origin: Origin) -> Self {
        Media { mime: mime.into(), source: MediaSource::Url(url.into()), name: None, origin }
    }

    pub fn kind(&self) -> MediaKind {
        match self.mime.split('/').next() {
            Some("image") => MediaKind::Image,
            Some("audio") => MediaKind::Audio,
            Some("video") => MediaKind::Video,
            _ => MediaKind::Document,
        }
    }
}

fn to_base64<S: Serializer>(data: &Arc<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    use base64::Engine as _;
    serializer.serialize_str(&base64::prelude::BASE64_STANDARD.encode(data))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<[u8]>, D::Error> {
    use base64::Engine as _;
    let text = String::deserialize(deserializer)?;
    let bytes = base64::prelude::BASE64_STANDARD.decode(text).map_err(serde::de::Error::custom)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_base64_in_json() {
        let media = Media::data("image/png", vec![1, 2, 255], Origin::User);
        let json = serde_json::to_string(&media).unwrap();
        assert_eq!(json, r#"{"mime":"image/png","source":{"data":"AQL/"},"origin":"user"}"#);
        assert_eq!(serde_json::from_str::<Media>(&json).unwrap(), media);
        assert!(serde_json::from_str::<Media>(&json.replace("AQL/", "A*")).is_err());
        assert_eq!(media.kind(), MediaKind::Image);
    }
}
