//! The first page: three things to do for a worker, the day's figures for a manager.

use axum::response::{IntoResponse, Response};
use farm_model::staff::Role;
use maud::{Markup, html};
use ui::icons::Icon;

use super::{Ctx, today};
use crate::{
    access::{Needs, Routes},
    address::to,
    error::Error,
    live::Topic,
    words::t as w,
};

pub(crate) mod t {
    ui::texts! {
        hello(name) = "Hello, {name}" / "স্বাগতম, {name}";
        record_hint = "Choose the cow, type the litres" / "গরু বাছুন, লিটার লিখুন";
        health_hint = "Sick, treated, calved, in heat" / "অসুখ, চিকিৎসা, বাচ্চা, গরম হওয়া";
        parlour_hint = "See every stall, live" / "সব স্টল সরাসরি দেখুন";
    }
}

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.get(Needs::Role(Role::Worker), "/", page)
}

async fn page(ctx: Ctx) -> Result<Response, Error> {
    if ctx.me.role >= Role::Manager {
        return today::page(&ctx).await;
    }
    let lang = ctx.lang;
    let page = ctx
        .page(w::home(lang), &[Topic::Parlour])
        .body(worker(&ctx));
    Ok(page.render().into_response())
}

fn worker(ctx: &Ctx) -> Markup {
    let lang = ctx.lang;
    let mut actions = vec![
        (
            to!("/record"),
            Icon::Bucket,
            w::record_milk(lang),
            t::record_hint(lang),
        ),
        (
            to!("/health"),
            Icon::Syringe,
            w::health_event(lang),
            t::health_hint(lang),
        ),
    ];
    if ctx.at_the_farm() {
        actions.push((
            to!("/parlour"),
            Icon::Parlour,
            w::parlour(lang),
            t::parlour_hint(lang),
        ));
    }
    html! {
        h1 { (t::hello(lang, &ctx.me.name)) }
        ul.actions-big {
            @for (href, icon, label, hint) in actions {
                li { a.tile.parlour href=(href) { (icon) span.tile-text { strong { (label) } small { (hint) } } } }
            }
        }
    }
}
