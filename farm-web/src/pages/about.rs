//! About this machine: is it well, which version, what time it believes it is, and setting that time.

use axum::{
    extract::{Form, State},
    response::{IntoResponse, Response},
};
use farm_model::{Clock as _, UnixMillis, staff::Role, time::ClockQuality};
use jiff::civil::DateTime;
use maud::{Markup, html};
use serde::Deserialize;
use ui::{
    Lang,
    components::{Badge, Button, Field, facts},
    fmt,
    icons::Icon,
    shell::Tone,
};

use super::{Ctx, context::Done};
use crate::{
    access::{Needs, Routes},
    address::to,
    app::Web,
    auth::Me,
    error::Error,
    words::t as w,
};

pub(crate) mod t {
    ui::texts! {
        version = "Version" / "সংস্করণ";
        clock = "Time here" / "এখানকার সময়";
        clock_synced = "certain" / "নিশ্চিত";
        clock_told = "told by a person" / "কেউ বলে দিয়েছেন";
        clock_restored = "taken up from before" / "আগেরটি থেকে ধরা";
        clock_unknown = "not known" / "জানা নেই";
        database = "Database" / "তথ্যভান্ডার";
        size(mb) = "{mb} MB" / "{mb} এমবি";
        waiting = "Waiting to be written" / "লেখার অপেক্ষায়";
        starts = "Times started" / "কতবার চালু হয়েছে";
        set_time = "Set the time" / "সময় ঠিক করুন";
        set_time_text = "Only needed without internet and clock chip. Milk holds still wait for a certain time." / "ইন্টারনেট ও ঘড়ির চিপ না থাকলে দরকার। ওষুধের বিরতি তবু নিশ্চিত সময়ের অপেক্ষা করবে।";
        now = "It is now" / "এখন সময়";
    }
}

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .get(Needs::Role(Role::Worker), "/about", page)
        .at_the_farm(|routes| routes.post(Needs::Role(Role::Manager), "/about/time", set_time))
}

async fn page(ctx: Ctx) -> Result<Response, Error> {
    let lang = ctx.lang;
    let farm = &ctx.web.farm;
    let path = farm.path().to_owned();
    let bytes = tokio::task::spawn_blocking(move || std::fs::metadata(path).map(|m| m.len()))
        .await
        .ok()
        .and_then(Result::ok)
        .unwrap_or(0);
    let local = ctx.local(ctx.now.wall);
    let (tone, word) = clock_word(lang, ctx.now.clock);
    let items: [(&str, Markup); 5] = [
        (t::version(lang), html! { (ctx.web.options.version) }),
        (
            t::clock(lang),
            html! { (fmt::date(lang, local.date())) ", " (fmt::time(lang, local.time())) " " (Badge::new(tone, word)) },
        ),
        (
            t::database(lang),
            html! { (t::size(lang, fmt::decimal(lang, (bytes / 1000) as i64, 3, 1))) },
        ),
        (
            t::waiting(lang),
            html! { (fmt::int(lang, farm.waiting() as i64)) },
        ),
        (
            t::starts(lang),
            html! { (fmt::int(lang, farm.boot().into())) },
        ),
    ];
    let body = html! {
        h1 { (w::about(lang)) }
        (facts(&items))
        @if ctx.at_the_farm() && ctx.me.role >= Role::Manager && ctx.now.clock < ClockQuality::Synced {
            section.section {
                h2 { (t::set_time(lang)) }
                p { (t::set_time_text(lang)) }
                form.form method="post" action=(to!("/about/time")) {
                    (Field::date_time("now", t::now(lang)).value(local.strftime("%Y-%m-%dT%H:%M").to_string()).required())
                    div.actions { (Button::secondary(t::set_time(lang)).icon(Icon::Clock)) }
                }
            }
        }
    };
    Ok(ctx
        .page(w::about(lang), &[])
        .body(body)
        .render()
        .into_response())
}

fn clock_word(lang: Lang, quality: ClockQuality) -> (Tone, &'static str) {
    match quality {
        ClockQuality::Synced => (Tone::Good, t::clock_synced(lang)),
        ClockQuality::Told => (Tone::Info, t::clock_told(lang)),
        ClockQuality::Restored => (Tone::Warn, t::clock_restored(lang)),
        ClockQuality::Unknown => (Tone::Bad, t::clock_unknown(lang)),
    }
}

#[derive(Deserialize)]
pub(crate) struct Now {
    now: DateTime,
}

async fn set_time(
    State(web): State<Web>,
    _: Me,
    ctx: Ctx,
    Form(form): Form<Now>,
) -> Result<Response, Error> {
    let told = form
        .now
        .to_zoned(ctx.tz())
        .map_err(|_| Error::invalid("now: a date and time"))?;
    web.farm
        .clock()
        .tell(UnixMillis(told.timestamp().as_millisecond()));
    tracing::info!(quality = ?web.farm.clock().now().clock, "somebody told the time");
    Ok(Done::Saved.then(to!("/about")))
}
