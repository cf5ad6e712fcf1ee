//! Search: cows by number, name or tag, places, devices and pages. The palette that Ctrl+K opens is this page's own form.

use axum::{
    extract::Query,
    response::{IntoResponse, Response},
};
use farm::{
    animals::{self, HerdFilter, HerdSort, SortOrder},
    text::fold,
};
use farm_model::staff::Role;
use maud::html;
use serde::Deserialize;
use ui::{components::search_results, icons::Icon};

use super::{Ctx, names::Names, names::animal_name};
use crate::{
    access::{Needs, Routes},
    address::to,
    error::Error,
    words,
};

/// Results shown.
const MOST: usize = 12;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.get(Needs::Role(Role::Worker), "/search", page)
}

#[derive(Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    q: String,
}

type Found = (Icon, String, String, String);

async fn page(ctx: Ctx, Query(wanted): Query<Wanted>) -> Result<Response, Error> {
    let lang = ctx.lang;
    let results = match wanted.q.trim() {
        "" => pages(&ctx, ""),
        text => {
            let text = fold(text);
            let mut results = cows(&ctx, &text).await?;
            results.extend(pages(&ctx, &text));
            results
        }
    };
    let results: Vec<Found> = results.into_iter().take(MOST).collect();
    let title = ui::t::search(lang);
    let body = html! {
        h1 { (title) }
        (search_results(lang, &to!("/search"), &wanted.q, &results))
    };
    Ok(ctx.page(title, &[]).body(body).render().into_response())
}

async fn cows(ctx: &Ctx, text: &str) -> Result<Vec<Found>, Error> {
    let lang = ctx.lang;
    let (filter, today, now) = (
        HerdFilter {
            text: text.to_owned(),
            ..HerdFilter::default()
        },
        ctx.today(),
        ctx.now,
    );
    let sort = (HerdSort::Number, SortOrder::Up);
    let (herd, names) = ctx
        .web
        .farm
        .read(move |conn| {
            Ok::<_, farm::StoreError>((
                animals::herd(conn, &filter, sort, today, &now)?,
                Names::load(conn)?,
            ))
        })
        .await?;
    let mut results: Vec<Found> = herd
        .iter()
        .map(|row| {
            let hint = words::status(lang, row.animal.status).to_owned();
            let href = to!("/herd/{}", row.animal.id);
            (Icon::Cow, animal_name(lang, &row.animal), hint, href)
        })
        .collect();
    if ctx.me.role >= Role::Manager {
        let mut devices: Vec<Found> = names
            .devices
            .values()
            .filter(|d| fold(&d.name).contains(text) || d.slug.contains(text))
            .map(|d| {
                let hint = words::device_kind(lang, d.kind).to_owned();
                (Icon::Device, d.name.clone(), hint, to!("/devices/{}", d.id))
            })
            .collect();
        devices.sort_by(|a, b| a.1.cmp(&b.1));
        results.extend(devices);
    }
    Ok(results)
}

/// The entries of the menu whose name has `text` in it.
fn pages(ctx: &Ctx, text: &str) -> Vec<Found> {
    ctx.menu()
        .into_iter()
        .filter(|item| fold(&item.label).contains(text))
        .map(|item| (item.icon, item.label, String::new(), item.href))
        .collect()
}
