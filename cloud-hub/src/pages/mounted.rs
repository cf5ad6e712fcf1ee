//! The farm's own pages, as its workers see them, over the hub's replica: served by [`farm_web`] under `/farms/{slug}`.
//!
//! The guard has settled who looks, on which farm and with which role; a role's rights on those pages are the pages' own.

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use farm_web::{Visitor, common::theme_of};
use http_body_util::BodyExt as _;
use hub_accounts::Role;

use super::frame;
use crate::{
    farms::{FarmFileError, part_of},
    web::{Error, Here, Me, Needs, Reason, Routes, Web},
};

pub(crate) fn routes(routes: Routes) -> Routes {
    ["/farms/{slug}", "/farms/{slug}/", "/farms/{slug}/{*rest}"]
        .into_iter()
        .fold(routes, |routes, path| {
            routes
                .get(Needs::Member(Role::ReadOnly), path, answer)
                .post(Needs::Member(Role::ReadOnly), path, answer)
        })
}

async fn answer(
    State(web): State<Web>,
    me: Me,
    here: Here,
    request: Request,
) -> Result<Response, Error> {
    let open = web.farms.open(here.farm.id).await?;
    let headers = request.headers();
    let visitor = Visitor {
        account: me.account.id.to_string(),
        name: me.account.name,
        session: me.session.to_string(),
        part: part_of(here.role),
        lang: frame::lang_of(headers),
        theme: theme_of(headers),
    };
    let response = open.pages.answer(visitor, request).await;
    // The farm stays open as long as its answer is read, which of a live page may be hours.
    Ok(response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _in_use = &open;
            frame
        }))
    }))
}

impl From<FarmFileError> for Error {
    fn from(error: FarmFileError) -> Self {
        match error {
            FarmFileError::Gone => Reason::NotFound.into(),
            FarmFileError::Busy => Self::from(Reason::Busy).because(error),
            FarmFileError::Store(error) => error.into(),
            FarmFileError::Open(_) | FarmFileError::Remove(_) => {
                Self::from(Reason::Internal).because(error)
            }
        }
    }
}
