//! What the admin port says: JSON, an error that tells what to do, or bytes.
//!
//! Knows how answers look. Decides nothing.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// A JSON answer.
#[derive(Debug)]
pub(super) struct Reply {
    status: StatusCode,
    body: Value,
}

impl Reply {
    /// All is well.
    pub(super) const fn ok(body: Value) -> Self {
        Self {
            status: StatusCode::OK,
            body,
        }
    }

    /// Another status, with a body that says more than an error.
    pub(super) const fn new(status: StatusCode, body: Value) -> Self {
        Self { status, body }
    }

    /// Something is wrong: `{"error": "..."}`.
    pub(super) fn error(status: StatusCode, text: impl AsRef<str>) -> Self {
        Self::new(status, json!({ "error": text.as_ref() }))
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = header::HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
