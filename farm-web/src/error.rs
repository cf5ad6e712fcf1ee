//! One error type for pages and API: a status, a closed [`Reason`] that the UI translates, and a cause that is only logged.
//!
//! A handler returns `Result<_, Error>`; the `present` layer, which knows the path and the language, turns the error into a page
//! or into problem JSON (RFC 9457). Invariant: a cause never leaves the machine.

use std::{borrow::Cow, fmt};

use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::{
    border::Refused,
    common::{Cause, carry},
};

crate::reasons! {
    /// Why a request was not done. Each has a text in both languages under `reason-` and its key.
    pub enum Reason {
        /// Nobody is logged in, or the session or token is not valid any more.
        NotLoggedIn = UNAUTHORIZED, "not-logged-in";
        /// The one who is logged in may not do this.
        Forbidden = FORBIDDEN, "forbidden";
        /// The one who is logged in may look, and change nothing.
        ReadOnly = FORBIDDEN, "read-only";
        /// Only the farm's own appliance does this.
        AtTheFarm = FORBIDDEN, "at-the-farm";
        /// The request came from another site.
        CrossSite = FORBIDDEN, "cross-site";
        /// There is no such page or thing.
        NotFound = NOT_FOUND, "not-found";
        /// The page exists, the method does not.
        MethodNotAllowed = METHOD_NOT_ALLOWED, "method-not-allowed";
        /// A field is missing or makes no sense; the detail names it.
        Invalid = UNPROCESSABLE_ENTITY, "invalid";
        /// The body is no JSON or no form.
        Malformed = BAD_REQUEST, "malformed";
        /// The body is larger than is taken.
        TooLarge = PAYLOAD_TOO_LARGE, "too-large";
        /// Someone else changed it, or it exists already.
        Conflict = CONFLICT, "conflict";
        /// The name and the PIN do not go together.
        WrongPin = UNAUTHORIZED, "wrong-pin";
        /// Too many wrong PINs.
        LockedOut = TOO_MANY_REQUESTS, "locked-out";
        /// The setup code is wrong.
        WrongSetupCode = UNAUTHORIZED, "wrong-setup-code";
        /// The cow was milked in this session already.
        MilkedAlready = CONFLICT, "milked-already";
        /// The last owner cannot be taken away.
        LastOwner = CONFLICT, "last-owner";
        /// This machine reaches no devices.
        NoHardware = NOT_IMPLEMENTED, "no-hardware";
        /// The device did not answer.
        DeviceSilent = BAD_GATEWAY, "device-silent";
        /// The machine has more to do than it can; try again.
        Busy = SERVICE_UNAVAILABLE, "busy";
        /// The disk takes nothing: it is full or broken.
        NoRoom = SERVICE_UNAVAILABLE, "no-room";
        /// It took too long.
        TimedOut = GATEWAY_TIMEOUT, "timed-out";
        /// Something broke inside.
        Internal = INTERNAL_SERVER_ERROR, "internal";
    }
}

/// Why a request was not done, and what only the log may know.
#[derive(Clone)]
pub struct Error {
    /// The closed reason.
    pub reason: Reason,
    /// What exactly, for programs: the field's name and what is wrong with it, in English.
    pub detail: Option<Cow<'static, str>>,
    /// The cause; logged, never sent.
    cause: Cause,
}

impl Error {
    /// An error that says which field and why.
    pub fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::from(Reason::Invalid).detail(detail)
    }

    /// Something broke inside.
    pub fn internal(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::from(Reason::Internal).because(cause)
    }

    /// The same error with a detail.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same error with a cause for the log.
    #[must_use]
    pub fn because(mut self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.cause = Cause::of(cause);
        self
    }

    /// Writes the error to the log, if it is one that someone has to look at.
    pub(crate) fn log(&self, method: &str, path: &str) {
        self.cause
            .log(self.reason.status(), self.reason.key(), method, path);
    }
}

impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            detail: None,
            cause: Cause::default(),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.reason.key())?;
        if let Some(detail) = &self.detail {
            write!(f, " ({detail})")?;
        }
        if self.cause.is_unknown() {
            return Ok(());
        }
        write!(f, ": {}", self.cause)
    }
}

impl IntoResponse for Error {
    /// An empty answer with the error beside it, for the `present` layer to write out.
    fn into_response(self) -> Response {
        carry(self.reason.status(), self)
    }
}

/// Problem JSON (RFC 9457), with `reason` as the one field to program against.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Problem {
    /// Always `about:blank`: the reason says what the status does not.
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    /// The reason as a sentence.
    pub(crate) title: String,
    /// HTTP status.
    pub(crate) status: u16,
    /// The closed reason.
    pub(crate) reason: &'static str,
    /// What exactly is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
}

impl From<farm::StoreError> for Error {
    fn from(error: farm::StoreError) -> Self {
        use farm::{
            FileError::{Full, Io, ReadOnly, TooMuch, Undone},
            StoreError::File,
        };
        let reason = match &error {
            File(Full | Io(_) | ReadOnly | Undone) => Reason::NoRoom,
            File(TooMuch) => Reason::TooLarge,
            other if other.is_transient() => Reason::Busy,
            _ => Reason::Internal,
        };
        Self::from(reason).because(error)
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Self::from(Reason::Busy).because(refused)
    }
}
