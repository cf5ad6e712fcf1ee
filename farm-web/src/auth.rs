//! Who calls: a member of staff with a session cookie, the holder of an API token, or nobody.
//!
//! The cookie and the token are random values of which the farm stores only hashes. Invariant: a session or token that is
//! revoked, or whose owner left, is refused from the next request on.

use axum::{
    extract::{FromRequestParts, Request},
    http::{HeaderMap, header, request::Parts},
};
use axum_extra::extract::CookieJar;
use farm::{Actor, auth};
use farm_model::{Clock as _, StaffId, staff::Role};

use crate::{
    app::{Cookies, Web},
    error::{Error, Reason},
    status,
};

/// Name of the session cookie.
const COOKIE: &str = "session";
/// A token's time of last use is kept to the hour.
const HOUR_MS: i64 = 3_600_000;
/// A cookie lives as long as a session may at most.
const MONTH_S: u32 = 30 * 86_400;

/// Who calls.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// Nobody known.
    Nobody,
    /// A program on this machine that shows nothing.
    Local,
    /// Someone who logged in.
    Staff(Me),
    /// A program with a token.
    Program(auth::ApiToken),
}

/// A member of staff, logged in.
#[derive(Clone, Debug)]
pub(crate) struct Me {
    pub(crate) staff: StaffId,
    pub(crate) name: String,
    pub(crate) role: Role,
    /// The session's secret, as the cookie holds it.
    secret: String,
}

/// What a request shows of its caller.
pub(crate) struct Shown {
    token: Option<String>,
    cookie: Option<String>,
    local: bool,
}

impl Shown {
    pub(crate) fn by(request: &Request) -> Self {
        Self {
            local: status::is_local(request),
            ..Self::of(request.headers())
        }
    }

    /// What headers show, wherever they came from.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self {
            token: bearer(headers),
            cookie: cookie(headers),
            local: false,
        }
    }
}

impl Caller {
    /// Looks up who shows this.
    ///
    /// # Errors
    /// [`Reason::NotLoggedIn`] for a token that is not valid: whoever shows one must hear that it is refused.
    pub(crate) async fn of(web: &Web, shown: Shown) -> Result<Self, Error> {
        if let Some(secret) = shown.token {
            let token = web
                .farm
                .read(move |conn| auth::token(conn, &secret))
                .await?;
            let token = token.ok_or(Reason::NotLoggedIn)?;
            keep_token(web, &token);
            return Ok(Self::Program(token));
        }
        if let Some(secret) = shown.cookie
            && let Some(me) = Me::of(web, secret).await?
        {
            return Ok(Self::Staff(me));
        }
        Ok(if shown.local {
            Self::Local
        } else {
            Self::Nobody
        })
    }

    /// Who is responsible for what the caller changes.
    pub(crate) fn actor(&self) -> Actor {
        match self {
            Self::Staff(me) => me.actor(),
            Self::Program(token) => Actor::Token(token.name.clone()),
            Self::Nobody | Self::Local => Actor::System,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        Ok(parts.extensions.get().cloned().unwrap_or(Self::Nobody))
    }
}

impl Me {
    async fn of(web: &Web, secret: String) -> Result<Option<Self>, Error> {
        let now = web.farm.clock().now().wall;
        let key = secret.clone();
        let session = web
            .farm
            .read(move |conn| auth::session(conn, &key, now))
            .await?;
        let Some(session) = session else {
            return Ok(None);
        };
        if session.wants_touch {
            let key = secret.clone();
            web.farm
                .write(Actor::System, move |tx| auth::touch(tx, &key))
                .await?;
        }
        Ok(Some(Self {
            staff: session.staff.id,
            name: session.staff.name,
            role: session.staff.role,
            secret,
        }))
    }

    /// Whether the session still stands.
    pub(crate) async fn is_valid(&self, web: &Web) -> bool {
        matches!(Self::of(web, self.secret.clone()).await, Ok(Some(_)))
    }

    pub(crate) fn actor(&self) -> Actor {
        Actor::Staff(self.staff)
    }

    /// Ends this session.
    pub(crate) async fn log_out(self, web: &Web) -> Result<(), Error> {
        let Self { staff, secret, .. } = self;
        web.farm
            .write(Actor::Staff(staff), move |tx| auth::logout(tx, &secret))
            .await?;
        web.revoke(staff);
        Ok(())
    }
}

impl<S: Sync> FromRequestParts<S> for Me {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        match parts.extensions.get() {
            Some(Caller::Staff(me)) => Ok(me.clone()),
            _ => Err(Reason::NotLoggedIn.into()),
        }
    }
}

/// The `Set-Cookie` value that begins a session.
pub(crate) fn begin_cookie(secret: &auth::Secret, cookies: Cookies) -> String {
    set_cookie(secret.as_str(), MONTH_S, cookies)
}

/// The `Set-Cookie` value that ends one.
pub(crate) fn end_cookie(cookies: Cookies) -> String {
    set_cookie("", 0, cookies)
}

fn set_cookie(value: &str, seconds: u32, cookies: Cookies) -> String {
    let secure = match cookies {
        Cookies::HttpsOnly => "; Secure",
        Cookies::AnyTransport => "",
    };
    format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    CookieJar::from_headers(headers)
        .get(COOKIE)
        .map(|c| c.value().to_owned())
        .filter(|value| !value.is_empty())
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().unwrap_or("");
    let secret = value
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map_or("", |(_, secret)| secret.trim());
    Some(secret.to_owned())
}

/// Writes down that a token is in use, without making its request wait.
fn keep_token(web: &Web, token: &auth::ApiToken) {
    let now = web.farm.clock().now().wall;
    if token.used.is_some_and(|used| now.since(used) < HOUR_MS) {
        return;
    }
    let (farm, id) = (web.farm.clone(), token.id);
    tokio::spawn(async move {
        let kept = farm
            .write(Actor::System, move |tx| auth::touch_token(tx, id))
            .await;
        if let Err(error) = kept {
            tracing::warn!(%error, "a token's time of use was not kept");
        }
    });
}
