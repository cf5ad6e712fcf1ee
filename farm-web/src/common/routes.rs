//! Routes together with who may use them, gathered module by module.
//!
//! Invariant: a route is added with its entry or not at all, and what has no entry is refused to everyone, so forgetting is safe.

use std::sync::Arc;

use axum::{
    Router,
    handler::Handler,
    http::Method,
    routing::{MethodFilter, MethodRouter},
};

/// One entry of a route table.
pub trait Entry {
    /// What a request must show to use a route.
    type Needs;

    /// The entry of a route.
    fn new(method: Method, path: &'static str, needs: Self::Needs) -> Self;

    /// HTTP method.
    fn method(&self) -> &Method;

    /// Path as axum matches it.
    fn path(&self) -> &'static str;
}

/// Routes over the state `S` and their entries.
pub struct Routes<S, E> {
    pub(crate) router: Router<S>,
    pub(crate) table: Vec<E>,
}

impl<S: Clone + Send + Sync + 'static, E> Default for Routes<S, E> {
    fn default() -> Self {
        Self {
            router: Router::new(),
            table: Vec::new(),
        }
    }
}

impl<S: Clone + Send + Sync + 'static, E: Entry> Routes<S, E> {
    /// Adds a page or a fragment.
    #[must_use]
    pub fn get<H, T>(self, needs: E::Needs, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let page = MethodRouter::new().on(MethodFilter::GET, handler);
        self.add(E::new(Method::GET, path, needs), page)
    }

    /// Adds what a form sends.
    #[must_use]
    pub fn post<H, T>(self, needs: E::Needs, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let form = MethodRouter::new().on(MethodFilter::POST, handler);
        self.add(E::new(Method::POST, path, needs), form)
    }

    /// Adds a route of any kind.
    #[must_use]
    pub fn add(mut self, entry: E, handler: MethodRouter<S>) -> Self {
        self.router = self.router.route(entry.path(), handler);
        self.table.push(entry);
        self
    }

    /// Adds routes that another builder made, with their entries.
    #[must_use]
    pub fn merge(mut self, router: Router<S>, entries: Vec<E>) -> Self {
        self.router = self.router.merge(router);
        self.table.extend(entries);
        self
    }

    /// Notes what another router serves, whose guard is its own.
    #[must_use]
    pub fn beside(mut self, entry: E) -> Self {
        self.table.push(entry);
        self
    }

    /// The router, and the table for its guard.
    pub fn into_parts(self) -> (Router<S>, Vec<E>) {
        (self.router, self.table)
    }
}

/// The route table as a guard looks it up; a hundred entries, so a scan is quicker than a hash of two strings.
pub struct Table<E>(Arc<[E]>);

/// Why a request has no entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoEntry {
    /// None has its path.
    Path,
    /// None of its path has its method.
    Method,
}

impl<E: Entry> Table<E> {
    /// The table of these entries.
    pub fn new(entries: Vec<E>) -> Self {
        Self(entries.into())
    }

    /// The entry of a request whose path was matched as `path`.
    ///
    /// # Errors
    /// When there is none.
    pub fn entry(&self, method: &Method, path: &str) -> Result<&E, NoEntry> {
        let method = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let mut missing = NoEntry::Path;
        for entry in self.0.iter().filter(|e| e.path() == path) {
            if entry.method() == method {
                return Ok(entry);
            }
            missing = NoEntry::Method;
        }
        Err(missing)
    }
}

impl<E> Clone for Table<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
