//! One error type: a status, a closed [`Reason`] that is translated, and a cause that is only logged.
//!
//! A handler returns `Result<_, Error>`; the layer [`super::present`] turns the error into a page. Invariant: a cause never
//! leaves the machine.

use std::{borrow::Cow, fmt};

use axum::response::{IntoResponse, Response};
use farm_web::common::{Cause, carry};
use hub_accounts::{farms::FarmError, lockout::Locked, password::Busy};
use hub_store::StoreError;

farm_web::reasons! {
    /// Why a request was not done.
    pub(crate) enum Reason {
        /// Nobody is logged in, or the session ended.
        NotLoggedIn = UNAUTHORIZED, "not-logged-in";
        /// The second factor is still to come.
        CodeWanted = UNAUTHORIZED, "code-wanted";
        /// A second factor must be set up first.
        NoSecondFactor = FORBIDDEN, "no-second-factor";
        /// The one who is logged in may not do this.
        Forbidden = FORBIDDEN, "forbidden";
        /// The request came from another site.
        CrossSite = FORBIDDEN, "cross-site";
        /// There is no such page or thing, or it is none of theirs.
        NotFound = NOT_FOUND, "not-found";
        /// The page exists, the method does not.
        MethodNotAllowed = METHOD_NOT_ALLOWED, "method-not-allowed";
        /// The body is no form.
        Malformed = BAD_REQUEST, "malformed";
        /// What was asked for cannot be; the detail says what of it.
        Invalid = UNPROCESSABLE_ENTITY, "invalid";
        /// The body is larger than is taken.
        TooLarge = PAYLOAD_TOO_LARGE, "too-large";
        /// Somebody else changed it, or it cannot be done as things stand.
        Conflict = CONFLICT, "conflict";
        /// Too many tries.
        TooMany = TOO_MANY_REQUESTS, "too-many";
        /// The hub has more to do than it can; try again.
        Busy = SERVICE_UNAVAILABLE, "busy";
        /// It took too long.
        TimedOut = GATEWAY_TIMEOUT, "timed-out";
        /// Something broke inside.
        Internal = INTERNAL_SERVER_ERROR, "internal";
    }
}

/// Why a request was not done, and what only the log may know.
#[derive(Clone)]
pub(crate) struct Error {
    /// The closed reason.
    pub(crate) reason: Reason,
    /// What exactly is wrong, for a program's maker.
    pub(crate) detail: Option<Cow<'static, str>>,
    cause: Cause,
}

impl Error {
    /// What was asked for cannot be, and why.
    pub(crate) fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::from(Reason::Invalid).detail(detail)
    }

    /// The same error with what exactly is wrong.
    #[must_use]
    pub(crate) fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same error with a cause for the log.
    #[must_use]
    pub(crate) fn because(mut self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
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

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let reason = if error.is_transient() {
            Reason::Busy
        } else {
            Reason::Internal
        };
        Self::from(reason).because(error)
    }
}

impl From<FarmError> for Error {
    fn from(error: FarmError) -> Self {
        match error {
            FarmError::NoSecondFactor => Reason::NoSecondFactor.into(),
            FarmError::Store(error) => error.into(),
        }
    }
}

impl From<Busy> for Error {
    fn from(busy: Busy) -> Self {
        Self::from(Reason::Busy).because(busy)
    }
}

impl From<Locked> for Error {
    fn from(locked: Locked) -> Self {
        Self::from(Reason::TooMany).because(locked)
    }
}

impl From<farm_web::Error> for Error {
    fn from(error: farm_web::Error) -> Self {
        match error.reason {
            farm_web::Reason::Malformed => Reason::Malformed.into(),
            farm_web::Reason::TooLarge => Reason::TooLarge.into(),
            _ => Reason::Internal.into(),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.key(), self.cause)
    }
}

impl IntoResponse for Error {
    /// An empty answer with the error beside it, for the layer to write out.
    fn into_response(self) -> Response {
        carry(self.reason.status(), self)
    }
}
