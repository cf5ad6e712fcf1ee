//! My farms, with how fresh each is and what waits, and who did what on one.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use hub_accounts::{
    Name, audit,
    farms::{self, Mine},
};
use hub_store::Micros;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Items, Page, Told, ms};
use crate::{
    pages::{Freshness, freshness},
    web::{Error, Here, Me, Reason, Web},
};

/// Entries of a page, if not told otherwise, and at most.
const PAGE: (i64, i64) = (50, 500);

/// A farm of mine.
#[derive(Serialize, ToSchema)]
pub(super) struct FarmJson {
    /// Its word in addresses.
    slug: String,
    name: String,
    /// What I may do there: `read_only`, `worker`, `vet`, `manager` or `owner`.
    role: &'static str,
    created: i64,
    /// `connected`, `quiet`, `not_connected` or `going`.
    standing: &'static str,
    /// Machines that are let in.
    machines: i64,
    /// When one of them was last heard; `null` when none ever was.
    heard: Option<i64>,
    /// Changes that had not arrived then.
    waiting: i64,
    /// When it is deleted, once somebody asked for that.
    goes: Option<i64>,
}

impl FarmJson {
    fn new(mine: Mine, now: Micros) -> Self {
        let standing = match freshness(&mine, now) {
            Freshness::Going => "going",
            Freshness::NotConnected => "not_connected",
            Freshness::Fresh => "connected",
            Freshness::Quiet => "quiet",
        };
        let farm = mine.membership.farm;
        Self {
            slug: farm.slug,
            name: farm.name,
            role: mine.membership.role.key(),
            created: ms(farm.created),
            standing,
            machines: mine.sites,
            heard: mine.heard.map(ms),
            waiting: mine.waiting,
            goes: farm.goes.map(ms),
        }
    }
}

/// My farms, by name.
#[utoipa::path(get, path = "/api/v1/farms", tag = "farms", responses((status = OK, body = Items<FarmJson>)))]
pub(super) async fn list(State(web): State<Web>, me: Me) -> Result<Json<Items<FarmJson>>, Error> {
    let (id, now) = (me.account.id, web.store.now());
    let mine = web.store.read(move |tx| farms::of_account(tx, id)).await?;
    let items = mine
        .into_iter()
        .map(|farm| FarmJson::new(farm, now))
        .collect();
    Ok(Json(Items { items }))
}

/// A farm to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewFarm {
    /// As people there call it: at most 80 letters.
    name: String,
}

/// Adds a farm that I own; I need a second factor.
#[utoipa::path(post, path = "/api/v1/farms", tag = "farms", request_body = NewFarm, responses((status = CREATED, body = FarmJson)))]
pub(super) async fn add(
    State(web): State<Web>,
    me: Me,
    Told(new): Told<NewFarm>,
) -> Result<(StatusCode, Json<FarmJson>), Error> {
    let name = Name::new(&new.name).map_err(|error| Error::invalid(format!("name: {error}")))?;
    let owner = me.account.clone();
    let farm = web
        .store
        .write(move |tx| farms::create(tx, &owner, &name))
        .await?;
    let farm = mine(&web, &me, &farm.slug).await?;
    Ok((StatusCode::CREATED, Json(farm)))
}

/// One farm.
#[utoipa::path(get, path = "/api/v1/farms/{slug}", tag = "farms", params(("slug" = String, Path)), responses((status = OK, body = FarmJson)))]
pub(super) async fn show(
    State(web): State<Web>,
    me: Me,
    here: Here,
) -> Result<Json<FarmJson>, Error> {
    Ok(Json(mine(&web, &me, &here.farm.slug).await?))
}

async fn mine(web: &Web, me: &Me, slug: &str) -> Result<FarmJson, Error> {
    let (id, now) = (me.account.id, web.store.now());
    let mine = web.store.read(move |tx| farms::of_account(tx, id)).await?;
    let farm = mine.into_iter().find(|m| m.membership.farm.slug == slug);
    Ok(FarmJson::new(farm.ok_or(Reason::NotFound)?, now))
}

/// Which part of a history.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// `next` of the page before.
    cursor: Option<i64>,
    /// Entries: 50 if not told, at most 500.
    limit: Option<i64>,
}

/// Something that was done.
#[derive(Serialize, ToSchema)]
pub(super) struct EntryJson {
    /// Its number in the hub's chain.
    number: i64,
    at: i64,
    /// `account:` and an identity, `site:` and an identity, `command-line`, `hub`.
    actor: String,
    /// Such as `member.role`.
    action: String,
    /// To whom or what.
    subject: String,
    /// More of it.
    detail: String,
}

/// Who did what on a farm, newest first.
#[utoipa::path(get, path = "/api/v1/farms/{slug}/audit", tag = "farms", params(("slug" = String, Path), Wanted), responses((status = OK, body = Page<EntryJson>)))]
pub(super) async fn history(
    State(web): State<Web>,
    here: Here,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Page<EntryJson>>, Error> {
    let Query(wanted) = wanted.map_err(|refused| Error::invalid(refused.body_text()))?;
    let limit = wanted.limit.unwrap_or(PAGE.0);
    if !(1..=PAGE.1).contains(&limit) {
        return Err(Error::invalid(format!("limit: write 1 to {}", PAGE.1)));
    }
    let farm = here.farm.id;
    let entries = web
        .store
        .read(move |tx| audit::of_farm(tx, farm, wanted.cursor, limit + 1))
        .await?;
    let more = entries.len() as i64 > limit;
    let items: Vec<EntryJson> = entries
        .into_iter()
        .zip(0..limit)
        .map(|(entry, _)| EntryJson {
            number: entry.seq,
            at: ms(entry.at),
            actor: entry.actor,
            action: entry.action,
            subject: entry.subject,
            detail: entry.detail,
        })
        .collect();
    let last = items.last().filter(|_| more);
    let next = last.map(|entry| entry.number.to_string());
    Ok(Json(Page { items, next }))
}
