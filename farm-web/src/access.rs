//! Who may use which route.
//!
//! Every route is added together with what it [`Needs`]; one guard looks a request's matched route up and refuses what is not
//! there. Invariant: a route without an entry answers 403 to everyone, so forgetting is safe.

use axum::{
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    handler::Handler,
    http::Method,
    middleware::Next,
    response::{IntoResponse, Response},
    routing::{MethodFilter, MethodRouter},
};
use farm::auth::Scope;
use farm_model::staff::Role;

use crate::{
    app::Web,
    auth::{Caller, Shown},
    common::{self, Entry, NoEntry},
    error::{Error, Reason},
    mount::Hands,
};

/// What a request must show to use a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needs {
    /// Nothing: the log-in page, the health checks.
    Nothing,
    /// A log-in of at least this role.
    Role(Role),
    /// An API token, or a log-in of any role.
    Read,
    /// An API token that may send observations, or a log-in of at least a manager.
    Observe,
    /// An API token that may manage, or a log-in of at least a manager.
    Manage,
    /// An API token that may manage, or a log-in of any role: what everybody who works here writes down.
    Record,
    /// A client on this machine, an API token, or a log-in of at least a manager: figures of the machine itself.
    Figures,
}

impl Needs {
    /// Whether `caller` may.
    ///
    /// # Errors
    /// [`Reason::NotLoggedIn`] when nobody is known, [`Reason::Forbidden`] when the one who is known may not.
    pub(crate) fn check(self, caller: &Caller) -> Result<(), Error> {
        let allowed = match (self, caller) {
            (Self::Nothing, _) | (Self::Figures, Caller::Local) => true,
            (_, Caller::Nobody | Caller::Local) => return Err(Reason::NotLoggedIn.into()),
            (Self::Role(role), Caller::Person(me)) => me.role >= role,
            (Self::Role(_), Caller::Program(_)) => false,
            (Self::Read, _)
            | (Self::Record, Caller::Person(_))
            | (Self::Figures, Caller::Program(_)) => true,
            (Self::Figures | Self::Observe | Self::Manage, Caller::Person(me)) => {
                me.role >= Role::Manager
            }
            (Self::Observe, Caller::Program(token)) => token.scope >= Scope::Observe,
            (Self::Manage | Self::Record, Caller::Program(token)) => token.scope >= Scope::Manage,
        };
        if allowed {
            Ok(())
        } else {
            Err(Reason::Forbidden.into())
        }
    }
}

/// One entry of the route table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RouteEntry {
    /// HTTP method.
    pub method: Method,
    /// Path as axum matches it: `/animals/{id}`.
    pub path: &'static str,
    /// Who may.
    pub needs: Needs,
    /// What it is for.
    pub deed: Deed,
    /// Where it is served.
    pub served: Served,
}

impl Entry for RouteEntry {
    type Needs = Needs;

    /// A route that is served everywhere; a safe method looks, another changes.
    fn new(method: Method, path: &'static str, needs: Needs) -> Self {
        let deed = if method.is_safe() {
            Deed::Look
        } else {
            Deed::Change
        };
        Self {
            method,
            path,
            needs,
            deed,
            served: Served::Everywhere,
        }
    }

    fn method(&self) -> &Method {
        &self.method
    }

    fn path(&self) -> &'static str {
        self.path
    }
}

/// What a route is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deed {
    /// To look at something.
    Look,
    /// To change something: the form for it, and what the form sends.
    Change,
}

/// Where a route is served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Served {
    /// Wherever the farm is shown.
    Everywhere,
    /// By the farm's own appliance alone: it is about log-ins, ports, keys or parts of that machine.
    Appliance,
}

/// Routes and their needs, gathered module by module.
pub(crate) type Routes = common::Routes<Web, RouteEntry>;
/// The route table as the guard looks it up.
pub(crate) type Table = common::Table<RouteEntry>;

impl Routes {
    /// Adds a page that is but a form to change something.
    pub(crate) fn get_form<H, T>(self, needs: Needs, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, Web>,
        T: 'static,
    {
        let mut routes = self.get(needs, path, handler);
        if let Some(entry) = routes.table.last_mut() {
            entry.deed = Deed::Change;
        }
        routes
    }

    /// Adds what a form sends that brings a file, at most `bytes` long in all.
    pub(crate) fn post_up_to<H, T>(
        self,
        bytes: usize,
        needs: Needs,
        path: &'static str,
        handler: H,
    ) -> Self
    where
        H: Handler<T, Web>,
        T: 'static,
    {
        let form = MethodRouter::new().on(MethodFilter::POST, handler);
        let form = form.layer(DefaultBodyLimit::max(bytes));
        self.add(RouteEntry::new(Method::POST, path, needs), form)
    }

    /// Adds routes that the farm's own appliance serves alone.
    pub(crate) fn at_the_farm(self, add: impl FnOnce(Self) -> Self) -> Self {
        let before = self.table.len();
        let mut routes = add(self);
        for entry in &mut routes.table[before..] {
            entry.served = Served::Appliance;
        }
        routes
    }
}

/// Finds out who calls, refuses who may not, and tells the handler who it is.
pub(crate) async fn guard(
    State((web, table)): State<(Web, Table)>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(path) = request.extensions().get::<MatchedPath>().cloned() else {
        return Error::from(Reason::NotFound).into_response();
    };
    let mut response = match admit(&web, &table, &path, &request).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    };
    // For the figures, which are taken further out.
    response.extensions_mut().insert(path);
    response
}

fn admit<'a>(
    web: &'a Web,
    table: &Table,
    path: &MatchedPath,
    request: &Request,
) -> impl Future<Output = Result<Caller, Error>> + Send + use<'a> {
    let entry = table.entry(request.method(), path.as_str());
    let asked = entry.cloned();
    let shown = Shown::by(request);
    async move {
        let RouteEntry {
            needs,
            deed,
            served,
            ..
        } = asked.map_err(unlisted)?;
        if served == Served::Appliance && web.mount().is_some() {
            return Err(Reason::AtTheFarm.into());
        }
        if needs == Needs::Nothing {
            return Ok(Caller::Nobody);
        }
        let caller = Caller::of(web, shown).await?;
        needs.check(&caller)?;
        match (&caller, deed) {
            (Caller::Person(me), Deed::Change) if me.hands() == Hands::Tied => {
                Err(Reason::ReadOnly.into())
            }
            _ => Ok(caller),
        }
    }
}

fn unlisted(missing: NoEntry) -> Reason {
    match missing {
        NoEntry::Path => Reason::Forbidden,
        NoEntry::Method => Reason::MethodNotAllowed,
    }
}
