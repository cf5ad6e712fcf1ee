//! Settings of the farm: name, target, when a drop in yield is told, and the sessions of a day.

use std::collections::HashMap;

use axum::{
    extract::{Form, State},
    response::{IntoResponse, Response},
};
use farm::{
    plan::{self, Plan},
    settings::{self, Settings},
    text::Name,
};
use farm_model::staff::Role;
use jiff::civil::Time;
use maud::{Markup, html};
use ui::{
    Lang,
    components::{Button, Choice, Field, Select},
    fmt,
    icons::Icon,
};

use super::{Ctx, context::Done};
use crate::{
    access::{Needs, Routes},
    app::Web,
    auth::Me,
    error::Error,
    words::t as w,
};

pub(crate) mod t {
    ui::texts! {
        farm_name = "Name of the farm" / "খামারের নাম";
        language = "Language of a new phone" / "নতুন ফোনে ভাষা";
        target = "Milk to reach in a day" / "দিনে কত দুধের লক্ষ্য";
        target_hint = "Drawn in the trend chart; leave empty for none" / "প্রবণতার রেখাচিত্রে দেখা যাবে; না চাইলে খালি রাখুন";
        drop = "Tell a drop in yield from" / "দুধ কত কমলে জানাবে";
        drop_hint = "Percent below what the cow herself usually gives" / "গরুটি সাধারণত যত দেয় তার চেয়ে শতকরা কত কম";
        timezone = "Time zone" / "সময় অঞ্চল";
        sessions = "Sessions of a day" / "দিনের দোহনের বেলা";
        sessions_text = "In their order. Leave a name empty to drop a session." / "ক্রম অনুযায়ী লিখুন। বাদ দিতে নাম খালি করুন।";
        starts = "Begins" / "শুরু";
        ends = "Ends" / "শেষ";
    }
}

/// Sessions that the form has room for.
const ROWS: usize = 4;

pub(crate) fn routes(routes: Routes) -> Routes {
    let manager = Needs::Role(Role::Manager);
    routes
        .get(manager, "/settings", page)
        .post(manager, "/settings", save)
        .post(manager, "/settings/sessions", save_sessions)
}

async fn page(ctx: Ctx) -> Result<Response, Error> {
    let lang = ctx.lang;
    let plan = ctx.web.farm.read(plan::load).await?;
    let body = html! {
        h1 { (w::settings(lang)) }
        (farm_form(lang, &ctx.settings))
        section.section {
            h2 { (t::sessions(lang)) }
            p { (t::sessions_text(lang)) }
            (sessions_form(lang, &plan))
        }
    };
    Ok(ctx
        .page(w::settings(lang), &[])
        .body(body)
        .render()
        .into_response())
}

fn farm_form(lang: Lang, settings: &Settings) -> Markup {
    let languages = Lang::ALL
        .iter()
        .map(|l| Choice::new(l.tag(), l.name()))
        .collect();
    let target = settings
        .target_ml
        .map(|ml| fmt::decimal(lang, ml, 3, 0))
        .unwrap_or_default();
    html! {
        form.form method="post" action="/settings" {
            (Field::text("name", t::farm_name(lang)).value(&settings.name).required())
            (Select::new("language", t::language(lang), languages).chosen(&settings.language))
            (Field::decimal("target", t::target(lang)).hint(t::target_hint(lang)).value(target).unit(w::litres(lang)))
            (Field::integer("drop", t::drop(lang)).hint(t::drop_hint(lang)).unit("%")
                .value(fmt::int(lang, settings.yield_drop_percent)).required())
            (Field::text("timezone", t::timezone(lang)).value(&settings.timezone).required())
            div.actions { (Button::primary(ui::t::save(lang)).icon(Icon::Check)) }
        }
    }
}

fn sessions_form(lang: Lang, plan: &Plan) -> Markup {
    let time = |time: Option<Time>| {
        time.map(|t| t.strftime("%H:%M").to_string())
            .unwrap_or_default()
    };
    html! {
        form.form method="post" action="/settings/sessions" {
            @for i in 0..ROWS.max(plan.sessions.len()) {
                @let session = plan.sessions.get(i);
                div.filters.named {
                    (Field::text(format!("name{i}"), w::name(lang)).value(session.map_or("", |s| s.name.as_str())))
                    (Field::time(format!("starts{i}"), t::starts(lang)).value(time(session.map(|s| s.starts))))
                    (Field::time(format!("ends{i}"), t::ends(lang)).value(time(session.map(|s| s.ends))))
                }
            }
            div.actions { (Button::primary(ui::t::save(lang)).icon(Icon::Check)) }
        }
    }
}

async fn save(
    State(web): State<Web>,
    me: Me,
    Form(form): Form<HashMap<String, String>>,
) -> Result<Response, Error> {
    let text = |key: &str| form.get(key).map_or("", |v| v.trim());
    let name = Name::new(text("name")).map_err(|e| Error::invalid(format!("name: {e}")))?;
    let language = Lang::from_tag(text("language")).unwrap_or_default();
    let target_ml = match text("target") {
        "" => None,
        typed => Some(
            fmt::parse_decimal(typed, 3)
                .ok()
                .filter(|ml| (1..=1_000_000_000).contains(ml))
                .ok_or_else(|| Error::invalid("target: litres, above 0"))?,
        ),
    };
    let percent = fmt::parse_decimal(text("drop"), 0)
        .ok()
        .filter(|p| (5..=95).contains(p))
        .ok_or_else(|| Error::invalid("drop: between 5 and 95 percent"))?;
    let timezone = text("timezone").to_owned();
    jiff::tz::TimeZone::get(&timezone)
        .map_err(|_| Error::invalid("timezone: an IANA name, such as Asia/Dhaka"))?;
    web.farm
        .write(me.actor(), move |tx| {
            let old = settings::load(tx.conn())?;
            let new = Settings {
                name: name.to_string(),
                language: language.tag().to_owned(),
                target_ml,
                yield_drop_percent: percent,
                timezone,
                ..old
            };
            settings::save(tx, &new)
        })
        .await?;
    Ok(Done::Saved.then("/settings"))
}

async fn save_sessions(
    State(web): State<Web>,
    me: Me,
    Form(form): Form<HashMap<String, String>>,
) -> Result<Response, Error> {
    let text = |key: &str, i: usize| form.get(&format!("{key}{i}")).map_or("", |v| v.trim());
    let time = |key: &'static str, i: usize| {
        text(key, i)
            .parse::<Time>()
            .map_err(|_| Error::invalid(format!("{key}: a time of day")))
    };
    let mut sessions = Vec::new();
    for i in 0..8 {
        let Ok(name) = Name::new(text("name", i)) else {
            continue;
        };
        sessions.push((name, time("starts", i)?, time("ends", i)?));
    }
    web.farm
        .write(me.actor(), move |tx| plan::save(tx, &sessions))
        .await?;
    Ok(Done::Saved.then("/settings"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn texts_are_right_in_both_languages() {
        assert_eq!(ui::i18n::faults(super::t::ALL), Vec::<String>::new());
    }
}
