//! A health event in three touches: what happened, to whom, save. The event's own form is the animal's page's.

use axum::{
    extract::Query,
    response::{IntoResponse, Response},
};
use farm::{
    animals::{self, Animal},
    text::fold,
};
use farm_model::staff::Role;
use maud::{Markup, html};
use serde::Deserialize;
use ui::{
    Lang,
    components::{Badge, Breadcrumb, Button, Field, breadcrumbs},
    fmt,
    icons::Icon,
    shell::Tone,
};

use super::{Ctx, names::animal_called, record::t as record};
use crate::{
    access::{Needs, Routes},
    address::to,
    error::Error,
    words::{self, t as w},
};

pub(crate) mod t {
    ui::texts! {
        what = "What happened?" / "কী হয়েছে?";
        health = "She is ill" / "গরু অসুস্থ";
        health_hint = "What you saw" / "যা দেখেছেন";
        treatment = "Medicine given" / "ওষুধ দেওয়া হয়েছে";
        treatment_hint = "With how long the milk stays out" / "কতদিন দুধ বাদ, সেটাসহ";
        calving = "She calved" / "বাচ্চা দিয়েছে";
        calving_hint = "Her milking begins anew" / "নতুন বিয়ান শুরু";
        heat = "She is in heat" / "গরম হয়েছে";
        heat_hint = "Time to serve her" / "প্রজননের সময়";
        dry_off = "Dried off" / "দুধ ছাড়ানো হয়েছে";
        dry_off_hint = "No more milking until she calves" / "বাচ্চা দেওয়া পর্যন্ত দোহন নেই";
    }
}

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.get_form(Needs::Role(Role::Worker), "/health", page)
}

/// What can be chosen here: the key of its form, a picture, what it is called, a hint.
fn kinds(lang: Lang) -> [(&'static str, Icon, &'static str, &'static str); 5] {
    [
        (
            "treatment",
            Icon::Syringe,
            t::treatment(lang),
            t::treatment_hint(lang),
        ),
        (
            "health",
            Icon::Warning,
            t::health(lang),
            t::health_hint(lang),
        ),
        ("heat", Icon::Flame, t::heat(lang), t::heat_hint(lang)),
        (
            "calving",
            Icon::Cow,
            t::calving(lang),
            t::calving_hint(lang),
        ),
        (
            "dry_off",
            Icon::Moon,
            t::dry_off(lang),
            t::dry_off_hint(lang),
        ),
    ]
}

#[derive(Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    q: String,
}

async fn page(ctx: Ctx, Query(wanted): Query<Wanted>) -> Result<Response, Error> {
    let lang = ctx.lang;
    let chosen = kinds(lang)
        .into_iter()
        .find(|(key, ..)| *key == wanted.kind);
    let body = match chosen {
        None => html! {
            h1 { (t::what(lang)) }
            ul.actions-big {
                @for (key, icon, label, hint) in kinds(lang) {
                    li { a.tile.parlour href=(to!("/health?kind={key}")) {
                        (icon) span.tile-text { strong { (label) } small { (hint) } }
                    } }
                }
            }
        },
        Some((key, _, label, _)) => {
            let herd = ctx.web.farm.read(animals::list).await?;
            html! {
                (breadcrumbs(lang, &[Breadcrumb { label: label.into(), href: to!("/health") }]))
                h1 { (record::choose(lang)) }
                form.filters method="get" action=(to!("/health")) role="search" data-enhance="#health-cows" data-instant {
                    input type="hidden" name="kind" value=(key);
                    (Field::search("q", record::find(lang)).value(&wanted.q))
                    (Button::secondary(ui::t::search(lang)).icon(Icon::Search))
                }
                (cows(lang, key, &herd, &wanted.q))
            }
        }
    };
    Ok(ctx
        .page(w::health_event(lang), &[])
        .body(body)
        .render()
        .into_response())
}

fn cows(lang: Lang, kind: &str, herd: &[Animal], wanted: &str) -> Markup {
    let wanted = fold(wanted);
    let found = |cow: &&Animal| {
        cow.status.is_present()
            && [&cow.number, &cow.name, &cow.name_en]
                .iter()
                .any(|text| fold(text).contains(&wanted))
    };
    html! {
        div #health-cows.tile-grid.parlour {
            @for cow in herd.iter().filter(found) {
                a.tile href=(to!("/herd/{}/events/{kind}", cow.id)) {
                    span.tile-text {
                        strong { (fmt::digits(lang, &cow.number)) }
                        small { (animal_called(lang, cow)) }
                    }
                    (Badge::new(Tone::Neutral, words::status(lang, cow.status)))
                }
            }
        }
    }
}
