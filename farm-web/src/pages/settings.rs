//! Settings of the farm: name, target, when a drop in yield is told, and the sessions of a day.

use axum::response::Response;
use farm::{
    plan::{self, MOST_SESSIONS, Plan, PlanError},
    settings::{self, Settings},
    text::Name,
};
use farm_model::staff::Role;
use jiff::{civil::Time, tz::TimeZone};
use maud::{Markup, html};
use ui::{
    Lang,
    components::{Button, Choice, Field, Select},
    fmt,
    icons::Icon,
};

use super::{Ctx, context::Done, typed::Typed};
use crate::{
    access::{Needs, Routes},
    address::to,
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
        target_bad = "More than 0 litres, or leave it empty." / "০ লিটারের বেশি লিখুন, অথবা খালি রাখুন।";
        drop_bad = "Between 5 and 95." / "৫ থেকে ৯৫-এর মধ্যে লিখুন।";
        timezone_bad = "There is no such time zone. Write one such as Asia/Dhaka." / "এমন সময় অঞ্চল নেই। যেমন Asia/Dhaka লিখুন।";
        no_session = "A day has at least one session. Name one." / "দিনে অন্তত একটি বেলা থাকে। একটির নাম লিখুন।";
        overlap = "The session before has not ended by then. Change one of the two times." / "আগের বেলা তখনো শেষ হয়নি। দুটির যেকোনো একটির সময় বদলান।";
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
    let sessions = planned(&ctx).await?;
    Ok(draw(&ctx, &set(ctx.lang, &ctx.settings), &sessions))
}

/// The page with both its forms, as they are or as they were typed.
fn draw(ctx: &Ctx, farm: &Typed, sessions: &Typed) -> Response {
    let lang = ctx.lang;
    let body = html! {
        h1 { (w::settings(lang)) }
        (farm_form(lang, farm))
        section.section {
            h2 { (t::sessions(lang)) }
            p { (t::sessions_text(lang)) }
            (sessions_form(lang, sessions))
        }
    };
    let page = ctx
        .page(w::settings(lang), &[])
        .path(to!("/settings"))
        .body(body);
    let sent = if farm.is_right() { sessions } else { farm };
    sent.answer(page.render())
}

/// The farm's form as it is set.
fn set(lang: Lang, settings: &Settings) -> Typed {
    let target = settings
        .target_ml
        .map(|ml| fmt::decimal(lang, ml, 3, 0))
        .unwrap_or_default();
    Typed::filled([
        ("name", settings.name.clone()),
        ("language", settings.language.clone()),
        ("target", target),
        ("drop", fmt::int(lang, settings.yield_drop_percent)),
        ("timezone", settings.timezone.clone()),
    ])
}

/// The sessions' form as it is planned.
async fn planned(ctx: &Ctx) -> Result<Typed, Error> {
    let Plan { sessions } = ctx.web.farm.read(plan::load).await?;
    let time = |time: Time| time.strftime("%H:%M").to_string();
    let mut typed = Typed::default();
    for (i, session) in sessions.iter().enumerate() {
        typed.set(&format!("name{i}"), &session.name);
        typed.set(&format!("starts{i}"), time(session.starts));
        typed.set(&format!("ends{i}"), time(session.ends));
    }
    Ok(typed)
}

fn farm_form(lang: Lang, typed: &Typed) -> Markup {
    let languages = Lang::ALL
        .iter()
        .map(|l| Choice::new(l.tag(), l.name()))
        .collect();
    html! {
        form.form method="post" action=(to!("/settings")) {
            (typed.faults(lang))
            (typed.field("name", Field::text("name", t::farm_name(lang)).required()))
            (typed.select("language", Select::new("language", t::language(lang), languages)))
            (typed.field("target", Field::decimal("target", t::target(lang)).hint(t::target_hint(lang)).unit(w::litres(lang))))
            (typed.field("drop", Field::integer("drop", t::drop(lang)).hint(t::drop_hint(lang)).unit("%").required()))
            (typed.field("timezone", Field::text("timezone", t::timezone(lang)).required()))
            div.actions { (Button::primary(ui::t::save(lang)).icon(Icon::Check)) }
        }
    }
}

fn sessions_form(lang: Lang, typed: &Typed) -> Markup {
    let used = (0..MOST_SESSIONS)
        .rev()
        .find(|i| !typed.text(&format!("name{i}")).is_empty())
        .map_or(0, |i| i + 1);
    html! {
        form.form method="post" action=(to!("/settings/sessions")) {
            (typed.faults(lang))
            @for i in 0..ROWS.max(used) {
                div.filters.named {
                    @let (name, starts, ends) = (format!("name{i}"), format!("starts{i}"), format!("ends{i}"));
                    (typed.field(&name, Field::text(&name, w::name(lang))))
                    (typed.field(&starts, Field::time(&starts, t::starts(lang))))
                    (typed.field(&ends, Field::time(&ends, t::ends(lang))))
                }
            }
            div.actions { (Button::primary(ui::t::save(lang)).icon(Icon::Check)) }
        }
    }
}

/// What the farm's form says, over what was set before.
fn read(lang: Lang, typed: &mut Typed) -> Option<impl FnOnce(Settings) -> Settings + use<>> {
    let name: Option<Name> = typed.needed(lang, "name");
    let language = typed.choice(lang, "language", Lang::from_tag);
    let target_ml = typed.number(lang, "target", 3);
    if target_ml.is_some_and(|ml| !(1..=1_000_000_000).contains(&ml)) {
        typed.wrong("target", t::target_bad(lang));
    }
    let percent = typed.number(lang, "drop", 0);
    if !percent.is_some_and(|p| (5..=95).contains(&p)) {
        typed.wrong("drop", t::drop_bad(lang));
    }
    let timezone = typed.text("timezone").to_owned();
    if TimeZone::get(&timezone).is_err() {
        typed.wrong("timezone", t::timezone_bad(lang));
    }
    let (name, language, yield_drop_percent) = (name?, language?, percent?);
    Some(move |old| Settings {
        name: name.to_string(),
        language: language.tag().to_owned(),
        target_ml,
        yield_drop_percent,
        timezone,
        ..old
    })
}

async fn save(ctx: Ctx, mut typed: Typed) -> Result<Response, Error> {
    match read(ctx.lang, &mut typed) {
        Some(set) if typed.is_right() => {
            ctx.web
                .farm
                .write(ctx.me.actor(), move |tx| {
                    let new = set(settings::load(tx.conn())?);
                    settings::save(tx, &new)
                })
                .await?;
            Ok(Done::Saved.then(to!("/settings")))
        }
        _ => Ok(draw(&ctx, &typed, &planned(&ctx).await?)),
    }
}

/// The sessions that are named, with the rows in which they stand.
fn read_sessions(lang: Lang, typed: &mut Typed) -> (Vec<usize>, Vec<(Name, Time, Time)>) {
    let mut sessions = (Vec::new(), Vec::new());
    for row in 0..MOST_SESSIONS {
        let Some(name) = typed.line(lang, &format!("name{row}")) else {
            continue;
        };
        let starts = typed.time(lang, &format!("starts{row}"));
        let ends = typed.time(lang, &format!("ends{row}"));
        if let (Some(starts), Some(ends)) = (starts, ends) {
            sessions.0.push(row);
            sessions.1.push((name, starts, ends));
        }
    }
    sessions
}

async fn save_sessions(ctx: Ctx, mut typed: Typed) -> Result<Response, Error> {
    let lang = ctx.lang;
    let (rows, sessions) = read_sessions(lang, &mut typed);
    if typed.is_right() {
        let saved = ctx
            .web
            .farm
            .write(ctx.me.actor(), move |tx| plan::save(tx, &sessions))
            .await;
        match saved {
            Ok(()) => return Ok(Done::Saved.then(to!("/settings"))),
            Err(PlanError::Empty) => typed.wrong("name0", t::no_session(lang)),
            Err(PlanError::Overlap(number)) => {
                let row = rows[usize::from(number) - 1];
                typed.wrong(&format!("starts{row}"), t::overlap(lang));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(draw(&ctx, &set(lang, &ctx.settings), &typed))
}
