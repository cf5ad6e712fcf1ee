//! The pages, one module each: its routes, its handlers, the functions that draw it, and its texts.
//!
//! A handler extracts, asks the farm, and draws; drawing is a function of data, used alike for a page and for its live
//! fragments. To add a page: a module with `routes`, its entry below, and one in the route test's table.

use crate::access::Routes;

pub(crate) mod context;
pub(crate) mod home;
pub(crate) mod login;

pub(crate) use context::Ctx;

/// Adds every page's routes.
pub(crate) fn routes(routes: Routes) -> Routes {
    [login::routes, home::routes]
        .into_iter()
        .fold(routes, |routes, add| add(routes))
}
