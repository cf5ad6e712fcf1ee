//! The hub's own pages, one module each: its routes, its handlers, the functions that draw it, and its texts.

pub(crate) mod frame;

mod farm;
mod farms;
mod login;
mod second_factor;

use crate::web::Routes;

pub(crate) fn routes(routes: Routes) -> Routes {
    let routes = login::routes(routes);
    let routes = second_factor::routes(routes);
    let routes = farms::routes(routes);
    farm::routes(routes)
}
