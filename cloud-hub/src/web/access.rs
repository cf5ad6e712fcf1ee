//! Who may use which route.
//!
//! Every route is added together with what it [`Needs`]; one guard looks a request's matched route up and refuses what is not
//! there. Which farm a request may touch is settled here alone: a handler of a farm's page gets it as [`Here`]. Invariants: a
//! route without an entry is refused to everyone, so forgetting is safe; a farm that is none of theirs looks like one that does
//! not exist.

use axum::{
    extract::{FromRequestParts, MatchedPath, Path, Request, State},
    http::{Method, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use farm_web::common::{self, Entry, NoEntry};
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

impl Entry for RouteEntry {
    type Needs = Needs;

    fn new(method: Method, path: &'static str, needs: Needs) -> Self {
        Self {
            method,
            path,
            needs,
        }
    }

    fn method(&self) -> &Method {
        &self.method
    }

    fn path(&self) -> &'static str {
        self.path
    }
}

/// Routes and their needs, gathered module by module.
pub(crate) type Routes = common::Routes<Web, RouteEntry>;
/// The route table as the guard looks it up.
pub(crate) type Table = common::Table<RouteEntry>;

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
    let needs = match table.entry(request.method(), path.as_str()) {
        Ok(entry) => Ok(entry.needs),
        Err(NoEntry::Path) => Err(Reason::Forbidden),
        Err(NoEntry::Method) => Err(Reason::MethodNotAllowed),
    };
    let local = is_local(&request);
    let (mut parts, body) = request.into_parts();
    let admitted = match needs {
        Ok(needs) => admit(&web, needs, local, &mut parts).await,
        Err(reason) => Err(reason.into()),
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
