//! Text that knows where it came from.

use crate::Origin;
use serde::{Deserialize, Serialize};

/// Text together with where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Text {
    pub text: String,
    pub origin: Origin,
}

impl Text {
    pub fn new(origin: Origin, text: impl Into<String>) -> Self {
        Text { text: text.into(), origin }
    }
}
