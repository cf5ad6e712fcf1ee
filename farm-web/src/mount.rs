//! The farm's pages at a host that knows its own people: under a base, with an identity that comes from outside.
//!
//! The host decides who looks and hands a [`Visitor`] over with each request; log-in, PINs, sessions and preferences are its
//! own. What only the appliance has is not offered, and refused where it is asked for. Invariant: nothing that a request
//! carries, neither a cookie nor a token nor what the host's router noted, says who the visitor is.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use axum::{
    Router,
    extract::Request,
    http::{StatusCode, Uri, uri::PathAndQuery},
    response::{IntoResponse, Response},
};
use farm_model::{staff::Role, time::UnixMillis};
use futures_util::future::BoxFuture;
use hyper::upgrade::OnUpgrade;
use tower::ServiceExt as _;
use ui::{Lang, shell::Theme};

use crate::{
    address::Base,
    app::{App, Web},
    auth::Who,
    router,
};

/// Where a farm's pages stand at a host, and what they need of it.
#[derive(Clone)]
pub struct Mount {
    /// The path under which they stand: `/farms/test-farm`.
    pub base: Base,
    /// What only the host knows.
    pub host: Arc<dyn Host>,
    /// The host's own pages that the farm's lead to.
    pub links: HostLinks,
}

/// Addresses of the host's own pages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostLinks {
    /// All farms of the one who looks.
    pub farms: String,
    /// The account of the one who looks.
    pub account: String,
    /// Takes the form that logs out.
    pub log_out: String,
    /// Takes the form that chooses `lang` or `theme`; `next` is the address to come back to.
    pub preferences: String,
}

/// What the farm's pages ask of their host.
pub trait Host: Send + Sync + 'static {
    /// Whether the visitor's session and part still stand; an open live stream asks every quarter of a minute or so.
    fn stands<'a>(&'a self, visitor: &'a Visitor) -> BoxFuture<'a, bool>;

    /// When the farm was last heard: up to then what the pages show is complete. Nothing if it never was.
    fn heard(&self) -> Option<UnixMillis>;
}

/// Who looks at a farm, as the host knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Visitor {
    /// The account's identity at the host, without blanks. It stands in facts and in the audit for good.
    pub account: String,
    /// The name that is shown, and kept beside the identity.
    pub name: String,
    /// The host's own mark of the session, for [`Host::stands`]; shown to nobody.
    pub session: String,
    /// The part that the account has on this farm.
    pub part: Part,
    /// The language to answer in.
    pub lang: Lang,
    /// The theme to answer in.
    pub theme: Theme,
}

/// The part that an account of a host has on a farm.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Part {
    /// Sees what a manager sees, and changes nothing: is offered no form, and refused where one is asked for.
    Reader,
    /// As a worker on the farm.
    Worker,
    /// A vet: on these pages as a worker.
    Vet,
    /// As a manager on the farm.
    Manager,
    /// As the owner on the farm.
    Owner,
}

impl Part {
    /// Every part.
    pub const ALL: &[Self] = &[
        Self::Reader,
        Self::Worker,
        Self::Vet,
        Self::Manager,
        Self::Owner,
    ];

    /// The role on the farm whose pages it sees.
    pub fn role(self) -> Role {
        match self {
            Self::Worker | Self::Vet => Role::Worker,
            Self::Reader | Self::Manager => Role::Manager,
            Self::Owner => Role::Owner,
        }
    }

    /// What it may do with what it sees.
    pub(crate) fn hands(self) -> Hands {
        match self {
            Self::Reader => Hands::Tied,
            Self::Worker | Self::Vet | Self::Manager | Self::Owner => Hands::Free,
        }
    }
}

/// Whether somebody may change what their role lets them see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Hands {
    /// As far as the role goes.
    Free,
    /// Nothing.
    Tied,
}

/// A farm's pages at a host; cheap to clone, and to keep while nobody looks at them.
#[derive(Clone)]
pub struct Mounted(Arc<Inner>);

struct Inner {
    app: App,
    mount: Mount,
    /// Built when somebody looks for the first time: a host has hundreds of farms, and most are not looked at.
    built: OnceLock<Built>,
}

struct Built {
    router: Router,
    web: Web,
}

/// The farm's pages, live events and API at a host, under `mount.base`.
///
/// The live pages follow the farm from the first request on, until the last clone is dropped. The host gives `app` a farm over
/// its replica, [`NoHardware`](crate::NoHardware) and a [`StoreIngest`](crate::StoreIngest), and serves the files of
/// [`ui::assets`] at the root of its origin.
///
/// ```
/// # use std::sync::Arc;
/// # use farm_web::*;
/// # use futures_util::future::BoxFuture;
/// struct Hub;
/// impl Host for Hub {
///     fn stands<'a>(&'a self, _visitor: &'a Visitor) -> BoxFuture<'a, bool> {
///         Box::pin(async { true }) // looks the session up
///     }
///     fn heard(&self) -> Option<farm_model::UnixMillis> {
///         None // the farm's last exchange
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let folder = tempfile::tempdir().unwrap();
/// # let farm = farm::Farm::open(&folder.path().join("farm.db"), farm::Options::default()).unwrap();
/// let pages = mounted(
///     App {
///         ingest: Arc::new(StoreIngest(farm.clone())),
///         hardware: Arc::new(NoHardware),
///         farm,
///         options: Options::default(),
///     },
///     Mount {
///         base: Base::new("/farms/test-farm").unwrap(),
///         host: Arc::new(Hub),
///         links: HostLinks {
///             farms: "/farms".into(),
///             account: "/account".into(),
///             log_out: "/logout".into(),
///             preferences: "/preferences".into(),
///         },
///     },
/// );
/// // The host's handler of `/farms/{slug}` and everything below it, when it knows who asks:
/// let visitor = Visitor {
///     account: "01a1fb00".into(),
///     name: "Karim Uddin".into(),
///     session: "of the host".into(),
///     part: Part::Manager,
///     lang: ui::Lang::En,
///     theme: ui::shell::Theme::Auto,
/// };
/// let request = axum::extract::Request::get("/farms/test-farm/herd").body(Default::default()).unwrap();
/// assert_eq!(pages.answer(visitor, request).await.status(), 200);
/// # }
/// ```
pub fn mounted(app: App, mount: Mount) -> Mounted {
    Mounted(Arc::new(Inner {
        app,
        mount,
        built: OnceLock::new(),
    }))
}

impl Inner {
    fn built(&self) -> &Built {
        self.built.get_or_init(|| {
            let web = Web::new(self.app.clone(), Some(self.mount.clone()));
            Built {
                router: router::over(&web),
                web,
            }
        })
    }
}

impl Mounted {
    /// Answers a request for an address under the base, made by `visitor`.
    ///
    /// The host answers those whom it does not know, and those who have no part on this farm, itself.
    pub async fn answer(&self, visitor: Visitor, request: Request) -> Response {
        let (mut parts, body) = request.into_parts();
        let base = &self.0.mount.base;
        let Some(uri) = within(base, &parts.uri) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        // A new request, because what the host's router noted of the old one (its route, the parameters in it, its limit of
        // a body) is not true of ours.
        let mut inner = Request::new(body);
        *inner.method_mut() = parts.method;
        *inner.uri_mut() = uri;
        *inner.version_mut() = parts.version;
        *inner.headers_mut() = parts.headers;
        inner.extensions_mut().insert(visitor);
        // The connection itself, for a WebSocket.
        if let Some(connection) = parts.extensions.remove::<OnUpgrade>() {
            inner.extensions_mut().insert(connection);
        }
        let router = self.0.built().router.clone();
        let answer = base.clone().serves(router.oneshot(inner));
        answer.await.unwrap_or_else(|never| match never {})
    }

    /// How many live streams are open: pages that somebody looks at.
    pub fn streams(&self) -> usize {
        self.0.built.get().map_or(0, |built| built.web.streams())
    }

    /// Has open live streams of `account` look at once whether they still stand; to be called when a session ends or a part
    /// changes.
    pub fn revoke(&self, account: &str) {
        if let Some(built) = self.0.built.get() {
            built.web.revoke(Who::Account(account.to_owned()));
        }
    }
}

impl fmt::Debug for Mounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mounted")
            .field("base", &self.0.mount.base.as_str())
            .finish_non_exhaustive()
    }
}

/// `uri` as the farm's own routes know it.
fn within(base: &Base, uri: &Uri) -> Option<Uri> {
    let path = base.inside(uri.path())?;
    let target: PathAndQuery = match uri.query() {
        Some(query) => format!("{path}?{query}").parse().ok()?,
        None => path.parse().ok()?,
    };
    Some(target.into())
}
