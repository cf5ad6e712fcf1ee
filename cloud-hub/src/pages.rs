//! The hub's own pages, one module each: its routes, its handlers, the functions that draw it, and its texts.

pub(crate) mod frame;

mod account;
mod audit;
mod connect;
mod data;
mod farm;
mod farms;
mod import;
mod invitation;
mod login;
mod members;
mod mounted;
mod second_factor;

pub(crate) use self::{
    farms::{Freshness, freshness},
    import::UPLOAD,
    members::invitation_link,
};
use crate::web::Routes;

pub(crate) fn routes(routes: Routes) -> Routes {
    [
        login::routes,
        invitation::routes,
        account::routes,
        second_factor::routes,
        farms::routes,
        import::routes,
        farm::routes,
        connect::routes,
        members::routes,
        audit::routes,
        data::routes,
        mounted::routes,
    ]
    .into_iter()
    .fold(routes, |routes, more| more(routes))
}
