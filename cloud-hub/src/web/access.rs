//! Who may use which route.
//!
//! Every route is added together with what it [`Needs`]; one guard looks a request's matched route up and refuses what is not
//! there. Which farm a request may touch is settled here alone: a handler of a farm's page gets it as [`Here`]. Invariants: a
//! route without an entry is refused to everyone, so forgetting is safe; a farm that is none of theirs looks like one that does
//! not exist.

use std::sync::Arc;

use axum::{
    Router,
    extract::{FromRequestParts, MatchedPath, Path, Request, State},
    handler::Handler,
    http::{Method, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::{MethodFilter, MethodRouter},
};
use hub_accounts::{
    Farm, Role,
    farms::{self, Membership},
};

use super::{
    Error, Reason, Web,
    who::{Caller, Me, from_the_guard, is_local},
};

/// What a request must show to use a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needs {
    /// Nothing: the log-in page, the health checks.
    Nothing,
    /// A client on this machine: figures.
    Local,
    /// A session of any stage: logging out.
    Session,
    /// A right password whose second factor is still to come.
    Pending,
    /// A log-in, though an owner may still lack a second factor: one's own account.
    LogIn,
    /// A log-in; of an owner, with a second factor.
    Account,
    /// A log-in with a second factor.
    TwoFactors,
    /// The seal of a machine's key, which replication itself judges.
    Key,
    /// A log-in of a member of the farm in the path with at least this role; of an owner, with a second factor.
    Member(Role),
}

/// One entry of the route table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RouteEntry {
    /// HTTP method.
    pub method: Method,
    /// Path as axum matches it: `/manage/{slug}`.
    pub path: &'static str,
    /// Who may.
    pub needs: Needs,
}

/// Routes and their needs, gathered module by module.
pub(crate) struct Routes {
    router: Router<Web>,
    table: Vec<RouteEntry>,
}

impl Routes {
    pub(crate) fn new() -> Self {
        Self {
            router: Router::new(),
            table: Vec::new(),
        }
    }

    /// Adds a page.
    pub(crate) fn get<H, T>(self, needs: Needs, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, Web>,
        T: 'static,
    {
        self.on(Method::GET, MethodFilter::GET, needs, path, handler)
    }

    /// Adds what a form sends.
    pub(crate) fn post<H, T>(self, needs: Needs, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, Web>,
        T: 'static,
    {
        self.on(Method::POST, MethodFilter::POST, needs, path, handler)
    }

    fn on<H, T>(
        mut self,
        method: Method,
        filter: MethodFilter,
        needs: Needs,
        path: &'static str,
        handler: H,
    ) -> Self
    where
        H: Handler<T, Web>,
        T: 'static,
    {
        self.table.push(RouteEntry {
            method,
            path,
            needs,
        });
        self.router = self
            .router
            .route(path, MethodRouter::new().on(filter, handler));
        self
    }

    /// Adds a router that states for itself who may use it.
    pub(crate) fn merge(mut self, router: Router<Web>, table: Vec<RouteEntry>) -> Self {
        self.router = self.router.merge(router);
        self.table.extend(table);
        self
    }

    /// Notes what another router serves, whose guard is its own.
    pub(crate) fn beside(mut self, method: Method, needs: Needs, path: &'static str) -> Self {
        self.table.push(RouteEntry {
            method,
            path,
            needs,
        });
        self
    }

    pub(crate) fn into_parts(self) -> (Router<Web>, Vec<RouteEntry>) {
        (self.router, self.table)
    }
}

/// The route table as the guard looks it up.
#[derive(Clone)]
pub(crate) struct Table(Arc<[RouteEntry]>);

impl Table {
    pub(crate) fn new(entries: Vec<RouteEntry>) -> Self {
        Self(entries.into())
    }

    fn needs(&self, method: &Method, path: &str) -> Result<Needs, Error> {
        let method = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let mut reason = Reason::Forbidden;
        for entry in self.0.iter().filter(|e| e.path == path) {
            if entry.method == *method {
                return Ok(entry.needs);
            }
            reason = Reason::MethodNotAllowed;
        }
        Err(reason.into())
    }
}

/// The farm in the path, which the one who calls belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Here {
    pub(crate) farm: Farm,
    pub(crate) role: Role,
}

from_the_guard!(Here);

/// Finds out who calls, refuses who may not, and tells the handler who it is and on which farm.
pub(crate) async fn guard(
    State((web, table)): State<(Web, Table)>,
    request: Request,
    next: Next,
) -> Response {
    let Some(path) = request.extensions().get::<MatchedPath>().cloned() else {
        return Error::from(Reason::NotFound).into_response();
    };
    let needs = table.needs(request.method(), path.as_str());
    let local = is_local(&request);
    let (mut parts, body) = request.into_parts();
    let admitted = match needs {
        Ok(needs) => admit(&web, needs, local, &mut parts).await,
        Err(error) => Err(error),
    };
    let mut response = match admitted {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(error) => error.into_response(),
    };
    // For the figures, which are taken further out.
    response.extensions_mut().insert(path);
    response
}

async fn admit(web: &Web, needs: Needs, local: bool, parts: &mut Parts) -> Result<(), Error> {
    match needs {
        Needs::Nothing => return Ok(()),
        Needs::Local if local => return Ok(()),
        Needs::Local | Needs::Key => return Err(Reason::Forbidden.into()),
        _ => {}
    }
    let me = match (Caller::of(web, &parts.headers).await?, needs) {
        (Caller::Nobody, _) => return Err(Reason::NotLoggedIn.into()),
        (Caller::Pending(pending), Needs::Pending | Needs::Session) => {
            parts.extensions.insert(pending.0.clone());
            parts.extensions.insert(pending);
            return Ok(());
        }
        (Caller::Pending(_), _) => return Err(Reason::CodeWanted.into()),
        (Caller::Known(_), Needs::Pending) => return Err(Reason::Forbidden.into()),
        (Caller::Known(me), _) => me,
    };
    match needs {
        Needs::Account => lacks_nothing(web, &me).await?,
        Needs::TwoFactors if !me.account.second_factor => {
            return Err(Reason::NoSecondFactor.into());
        }
        Needs::Member(role) => {
            lacks_nothing(web, &me).await?;
            let here = here(web, &me, parts).await?;
            if here.role < role {
                return Err(Reason::Forbidden.into());
            }
            parts.extensions.insert(here);
        }
        _ => {}
    }
    parts.extensions.insert(me);
    Ok(())
}

/// Whoever owns a farm needs a second factor, wherever they go.
async fn lacks_nothing(web: &Web, me: &Me) -> Result<(), Error> {
    let id = me.account.id;
    if !me.account.second_factor && web.store.read(move |tx| farms::owns_any(tx, id)).await? {
        return Err(Reason::NoSecondFactor.into());
    }
    Ok(())
}

/// The farm that the path names, if the one who calls belongs to it.
async fn here(web: &Web, me: &Me, parts: &mut Parts) -> Result<Here, Error> {
    let Path(named) = Path::<Vec<(String, String)>>::from_request_parts(parts, web)
        .await
        .map_err(|_| Reason::NotFound)?;
    let slug = named.into_iter().find(|(name, _)| name == "slug");
    let (_, slug) = slug.ok_or(Reason::Forbidden)?;
    let id = me.account.id;
    let found = web
        .store
        .read(move |tx| farms::membership_of(tx, id, &slug))
        .await?;
    let Membership { farm, role } = found.ok_or(Reason::NotFound)?;
    Ok(Here { farm, role })
}

impl Here {
    /// Where the hub's own pages of this farm are.
    pub(crate) fn path(&self) -> String {
        format!("/manage/{}", self.farm.slug)
    }
}
