//! Why a request was not done: closed reasons with a status each, a cause that is only logged, and what a layer's plain answer means.

use std::{fmt, sync::Arc};

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// Makes the closed reasons of an error: names with an HTTP status and the key for programs.
///
/// A layer that knows no reasons answers with a status alone; what that says (`of_status`) needs `Malformed`, `NotFound`,
/// `MethodNotAllowed`, `TooLarge`, `TimedOut` and `Internal` among the names.
#[macro_export]
macro_rules! reasons {
    (
        $(#[$about:meta])* $vis:vis enum $reason:ident {
            $($(#[$doc:meta])* $name:ident = $status:ident, $key:literal;)*
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        $vis enum $reason { $($(#[$doc])* $name,)* }

        impl $reason {
            /// The name used in problem JSON.
            $vis fn key(self) -> &'static str {
                match self { $(Self::$name => $key,)* }
            }

            /// The HTTP status that goes with it.
            $vis fn status(self) -> ::axum::http::StatusCode {
                match self { $(Self::$name => ::axum::http::StatusCode::$status,)* }
            }

            /// What a layer means that answers with this status.
            pub(crate) fn of_status(status: ::axum::http::StatusCode) -> Option<Self> {
                use ::axum::http::StatusCode;
                Some(match status {
                    StatusCode::BAD_REQUEST
                    | StatusCode::UNPROCESSABLE_ENTITY
                    | StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::Malformed,
                    StatusCode::NOT_FOUND => Self::NotFound,
                    StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
                    StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
                    StatusCode::GATEWAY_TIMEOUT | StatusCode::REQUEST_TIMEOUT => Self::TimedOut,
                    StatusCode::INTERNAL_SERVER_ERROR => Self::Internal,
                    _ => return None,
                })
            }
        }
    };
}

/// What led to an error, if that is known; logged, never sent. Written out, it is the chain of causes.
#[derive(Clone, Default)]
pub struct Cause(Option<Arc<dyn std::error::Error + Send + Sync>>);

impl Cause {
    /// This cause.
    pub fn of(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(cause)))
    }

    /// Whether none is known.
    pub fn is_unknown(&self) -> bool {
        self.0.is_none()
    }

    /// Writes to the log that a request was not done; loud only when that is ours to mend.
    pub fn log(&self, status: StatusCode, reason: &str, method: &str, path: &str) {
        let cause = self.to_string();
        if status.is_server_error() {
            tracing::error!(method, path, reason, cause, "request failed");
        } else {
            tracing::debug!(method, path, reason, cause, "request refused");
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = &self.0 else {
            return Ok(());
        };
        write!(f, "{first}")?;
        let mut next = first.source();
        while let Some(cause) = next {
            write!(f, ": {cause}")?;
            next = cause.source();
        }
        Ok(())
    }
}

/// An answer without a body that carries `error` to the layer that writes errors out.
pub fn carry<E: Clone + Send + Sync + 'static>(status: StatusCode, error: E) -> Response {
    let mut response = status.into_response();
    response.extensions_mut().insert(error);
    response
}

/// The error that a response [carries](carry), or that a layer's plain answer means.
pub fn carried<E: Clone + Send + Sync + 'static>(
    response: &mut Response,
    of_status: impl FnOnce(StatusCode) -> Option<E>,
) -> Option<E> {
    if let Some(error) = response.extensions_mut().remove::<E>() {
        return Some(error);
    }
    // A page or a report that says what is wrong is left as it is.
    let kind = response.headers().get(header::CONTENT_TYPE);
    if kind.is_some_and(|k| !k.as_bytes().starts_with(b"text/plain")) {
        return None;
    }
    of_status(response.status())
}

/// Whether the caller asks for JSON rather than for a page.
pub fn accepts_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|accept| accept.contains("json") && !accept.contains("text/html"))
}

/// Problem JSON (RFC 9457).
pub fn problem(status: StatusCode, body: impl Serialize) -> Response {
    let mut response = (status, Json(body)).into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    response
}
