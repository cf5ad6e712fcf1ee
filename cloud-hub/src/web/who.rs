//! Who calls: somebody with a session cookie, or nobody; and from which address.
//!
//! Invariant: the cookie goes over HTTPS only and is called `__Host-session` there, so that no neighbouring site can set it;
//! plain HTTP is for loopback addresses alone.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::{
    extract::{ConnectInfo, FromRequestParts, Request},
    http::{HeaderMap, header, request::Parts},
};
use axum_extra::extract::CookieJar;
use hub_accounts::{
    Account, Secret,
    ids::SessionId,
    sessions::{self, Client, Session, Stage},
};

use super::{Error, Options, Reason, Web};

/// Somebody who logged in.
#[derive(Clone, Debug)]
pub(crate) struct Me {
    pub(crate) account: Account,
    pub(crate) session: SessionId,
}

/// Somebody whose password was right, and whose second factor is still to come.
#[derive(Clone, Debug)]
pub(crate) struct Pending(pub(crate) Me);

/// Who calls.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// Nobody known.
    Nobody,
    /// Somebody who still owes the second factor.
    Pending(Pending),
    /// Somebody who logged in.
    Known(Me),
}

impl Caller {
    /// Looks up whose cookie this is.
    pub(crate) async fn of(web: &Web, headers: &HeaderMap) -> Result<Self, Error> {
        let name = cookie_name(&web.options);
        let cookie = CookieJar::from_headers(headers)
            .get(name)
            .map(|c| Secret::shown(c.value()));
        let Some(secret) = cookie else {
            return Ok(Self::Nobody);
        };
        let lives = web.options.lives;
        let session: Option<Session> = web
            .store
            .read(move |tx| sessions::find(tx, &secret, lives))
            .await?;
        let Some(session) = session else {
            return Ok(Self::Nobody);
        };
        let id = session.id;
        if session.wants_touch {
            web.store.write(move |tx| sessions::touch(tx, id)).await?;
        }
        let me = Me {
            account: session.account,
            session: id,
        };
        Ok(match session.stage {
            Stage::Password => Self::Pending(Pending(me)),
            Stage::Whole => Self::Known(me),
        })
    }
}

macro_rules! from_the_guard {
    ($($name:ident),+) => {$(
        impl<S: Sync> FromRequestParts<S> for $name {
            type Rejection = Error;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
                parts.extensions.get().cloned().ok_or_else(|| Reason::NotLoggedIn.into())
            }
        }
    )+};
}
pub(crate) use from_the_guard;
from_the_guard!(Me, Pending);

/// From which address a request comes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

impl Peer {
    /// The address of the connection, or what the proxy says.
    pub(crate) fn of(options: &Options, parts: &Parts) -> Self {
        let connected = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |c| c.0.ip());
        let told = options.behind_proxy.then(|| {
            // The last one is what our own proxy saw; those before it are whatever the client wrote.
            let all = parts
                .headers
                .get_all("x-forwarded-for")
                .iter()
                .next_back()?;
            all.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
        });
        Self(told.flatten().unwrap_or(connected))
    }

    /// What the list of sessions shows of a browser.
    pub(crate) fn client(self, headers: &HeaderMap) -> Client {
        let agent = headers.get(header::USER_AGENT);
        Client {
            agent: agent
                .and_then(|v| v.to_str().ok())
                .unwrap_or_default()
                .to_owned(),
            address: self.0.to_string(),
        }
    }
}

impl FromRequestParts<Web> for Peer {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Error> {
        Ok(Self::of(&web.options, parts))
    }
}

/// Whether the client is this machine itself, without a proxy in between.
pub(crate) fn is_local(request: &Request) -> bool {
    let forwarded = ["forwarded", "x-forwarded-for", "x-real-ip"]
        .iter()
        .any(|name| request.headers().contains_key(*name));
    let connected = request.extensions().get::<ConnectInfo<SocketAddr>>();
    !forwarded && connected.is_some_and(|c| c.0.ip().is_loopback())
}

fn cookie_name(options: &Options) -> &'static str {
    if options.address.is_https {
        "__Host-session"
    } else {
        "session"
    }
}

/// The header that begins a session.
pub(crate) fn begin_cookie(secret: &Secret, options: &Options) -> String {
    set_cookie(secret.as_str(), options.lives.longest_s, options)
}

/// The header that ends it.
pub(crate) fn end_cookie(options: &Options) -> String {
    set_cookie("", 0, options)
}

fn set_cookie(value: &str, seconds: i64, options: &Options) -> String {
    let name = cookie_name(options);
    let secure = if options.address.is_https {
        "; Secure"
    } else {
        ""
    };
    format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
}
