//! Who calls: a member of staff with a session cookie, the holder of an API token, a host's visitor, or nobody.
//!
//! The cookie and the token are random values of which the farm stores only hashes; at a host neither is looked at. Invariant: a
//! session or token that is revoked, or whose owner left, is refused from the next request on.

use axum::{
    extract::{FromRequestParts, Request},
    http::{Extensions, HeaderMap, header, request::Parts},
};
use axum_extra::extract::CookieJar;
use farm::{Actor, auth};
use farm_model::{Clock as _, StaffId, staff::Role};
use ui::Lang;

use crate::{
    app::{Cookies, Web},
    error::{Error, Reason},
    mount::{Hands, Visitor},
    status, words,
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
    /// Someone who logged in, here or at the host.
    Person(Me),
    /// A program with a token.
    Program(auth::ApiToken),
}

/// A person, logged in.
#[derive(Clone, Debug)]
pub(crate) struct Me {
    pub(crate) name: String,
    /// What they may see, and do with free [`Hands`].
    pub(crate) role: Role,
    session: Session,
}

/// What lets a person in.
#[derive(Clone, Debug)]
enum Session {
    /// A session of this farm's, by its secret as the cookie holds it.
    Own { staff: StaffId, secret: String },
    /// The host's word.
    Visit(Visitor),
}

/// A person, whatever their session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Who {
    /// A member of staff.
    Staff(StaffId),
    /// An account of the host's.
    Account(String),
}

/// What a request shows of its caller.
pub(crate) struct Shown {
    token: Option<String>,
    cookie: Option<String>,
    visitor: Option<Visitor>,
    local: bool,
}

impl Shown {
    pub(crate) fn by(request: &Request) -> Self {
        Self {
            local: status::is_local(request),
            ..Self::of(request.headers(), request.extensions())
        }
    }

    /// What headers show, and a host's word beside them, wherever they came from.
    pub(crate) fn of(headers: &HeaderMap, beside: &Extensions) -> Self {
        Self {
            token: bearer(headers),
            cookie: cookie(headers),
            visitor: beside.get().cloned(),
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
        if web.mount().is_some() {
            return Ok(shown
                .visitor
                .map_or(Self::Nobody, |visitor| Self::Person(visitor.into())));
        }
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
            return Ok(Self::Person(me));
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
            Self::Person(me) => me.actor(),
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
        let staff = session.staff.id;
        Ok(Some(Self {
            name: session.staff.name,
            role: session.staff.role,
            session: Session::Own { staff, secret },
        }))
    }

    /// Whether the session still stands, and with it all that it may see.
    pub(crate) async fn is_valid(&self, web: &Web) -> bool {
        match (&self.session, web.mount()) {
            (Session::Own { secret, .. }, None) => {
                let now = Self::of(web, secret.clone()).await;
                matches!(now, Ok(Some(me)) if me.role >= self.role)
            }
            (Session::Visit(visitor), Some(mount)) => mount.host.stands(visitor).await,
            (Session::Own { .. }, Some(_)) | (Session::Visit(_), None) => false,
        }
    }

    pub(crate) fn who(&self) -> Who {
        match &self.session {
            Session::Own { staff, .. } => Who::Staff(*staff),
            Session::Visit(visitor) => Who::Account(visitor.account.clone()),
        }
    }

    pub(crate) fn actor(&self) -> Actor {
        match &self.session {
            Session::Own { staff, .. } => Actor::Staff(*staff),
            Session::Visit(visitor) => Actor::Account {
                id: visitor.account.clone(),
                name: visitor.name.clone(),
            },
        }
    }

    /// Whether they may do what `role` may.
    pub(crate) fn may(&self, role: Role) -> bool {
        self.role >= role && self.hands() == Hands::Free
    }

    pub(crate) fn hands(&self) -> Hands {
        match &self.session {
            Session::Own { .. } => Hands::Free,
            Session::Visit(visitor) => visitor.part.hands(),
        }
    }

    /// What they are here, in words.
    pub(crate) fn title(&self, lang: Lang) -> &'static str {
        match &self.session {
            Session::Own { .. } => words::role(lang, self.role),
            Session::Visit(visitor) => words::part(lang, visitor.part),
        }
    }

    /// Ends this session.
    pub(crate) async fn log_out(self, web: &Web) -> Result<(), Error> {
        let who = self.who();
        if let Session::Own { staff, secret } = self.session {
            web.farm
                .write(Actor::Staff(staff), move |tx| auth::logout(tx, &secret))
                .await?;
        }
        web.revoke(who);
        Ok(())
    }
}

impl From<Visitor> for Me {
    fn from(visitor: Visitor) -> Self {
        Self {
            name: visitor.name.clone(),
            role: visitor.part.role(),
            session: Session::Visit(visitor),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Me {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        match parts.extensions.get() {
            Some(Caller::Person(me)) => Ok(me.clone()),
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
