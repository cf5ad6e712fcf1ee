//! The pages, one module each: its routes, its handlers, the functions that draw it, and its texts.
//!
//! A handler extracts, asks the farm, and draws; drawing is a function of data, used alike for a page and for its live
//! fragments. To add a page: a module with `routes`, its entry below, and one in the route test's table.

use crate::access::Routes;

pub(crate) mod about;
pub(crate) mod alerts;
pub(crate) mod animal;
pub(crate) mod context;
mod csv;
pub(crate) mod devices;
pub(crate) mod firmware;
pub(crate) mod health;
pub(crate) mod heard;
pub(crate) mod herd;
pub(crate) mod home;
pub(crate) mod hub;
pub(crate) mod inbox;
pub(crate) mod login;
pub(crate) mod milk;
pub(crate) mod names;
pub(crate) mod parlour;
pub(crate) mod record;
pub(crate) mod search;
pub(crate) mod sensors;
pub(crate) mod settings;
pub(crate) mod staff;
pub(crate) mod tanks;
pub(crate) mod today;
pub(crate) mod typed;

pub(crate) use context::Ctx;

/// Adds every page's routes.
pub(crate) fn routes(routes: Routes) -> Routes {
    let routes = routes
        .at_the_farm(firmware::routes)
        .at_the_farm(hub::routes)
        .at_the_farm(login::routes)
        .at_the_farm(parlour::routes);
    [
        about::routes,
        alerts::routes,
        animal::routes,
        devices::routes,
        health::routes,
        herd::routes,
        home::routes,
        inbox::routes,
        milk::routes,
        record::routes,
        search::routes,
        sensors::routes,
        settings::routes,
        staff::routes,
        tanks::routes,
    ]
    .into_iter()
    .fold(routes, |routes, add| add(routes))
}
