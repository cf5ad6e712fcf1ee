//! The manager's first page: the milk of today, of seven and thirty days, the trend beside the target, the herd, and what is
//! wrong now.

use axum::response::{IntoResponse, Response};
use farm::{
    Farm,
    alerts::{self, Alert},
    animals::{self, Composition},
    milkings, plan,
    plan::Plan,
    production::{self, Milk, Summary},
    settings::{self, Settings},
};
use farm_model::{AnimalStatus, Clock as _, SessionKey, UnixMillis, live::Phase, staff::Role};
use jiff::{ToSpan as _, civil::Date};
use maud::{Markup, html};
use ui::{
    Lang,
    chart::{LineChart, Part, Series, X, donut, local_ms},
    components::{Badge, Button, Card, Stat, progress, time_ago},
    fmt,
    icons::Icon,
    shell::Tone,
};

use super::{Ctx, alerts as alert_page, names::Names, parlour::session_name};
use crate::{
    address::to,
    error::Error,
    live::{Fragment, Topic},
    words::{self, t as w},
};

pub(crate) mod t {
    ui::texts! {
        title = "Today" / "আজ";
        milk_today = "Milk today" / "আজকের দুধ";
        week = "7 days" / "৭ দিন";
        month = "30 days" / "৩০ দিন";
        per_cow = "Average per cow" / "গরুপ্রতি গড়";
        yesterday(litres) = "Yesterday {litres}" / "গতকাল {litres}";
        was_yesterday = "yesterday" / "গতকালের";
        a_day(litres) = "{litres} a day" / "দিনে {litres}";
        of_target(percent) = "{percent}% of the target" / "লক্ষ্যের {percent}%";
        in_progress = "in progress" / "চলছে";
        session_progress(done, all) = "{done} of {all} cows" / "{all}টির মধ্যে {done}টি গরু";
        trend = "Milk of the farm" / "খামারের দুধ";
        total = "Total" / "মোট";
        target = "Target" / "লক্ষ্য";
        day = "Day" / "দিন";
        herd = "The herd" / "গরুর পাল";
        animals = "animals" / "গরু";
        animals_of(n) = "{n} animal" | "{n} animals" / "{n}টি";
        wrong_now = "Needs someone now" / "এখন যা দেখা দরকার";
        all_well = "Nothing. All is well." / "কিছু নেই। সব ঠিক আছে।";
        everything = "All alerts" / "সব সতর্কতা";
        kept_out(litres) = "{litres} kept out of the tank" / "{litres} ট্যাংকের বাইরে";
    }
}

/// Days that the trend shows.
const DAYS: i64 = 30;
/// Alerts that the page shows; the others are a touch away.
const ALERTS: usize = 4;

struct View {
    summary: Summary,
    today: Date,
    trend: Vec<(Date, Milk)>,
    herd: Composition,
    session: SessionKey,
    milked: usize,
    /// Whether a cow stands in the parlour now.
    milking: bool,
    plan: Plan,
    open: Vec<Alert>,
    names: Names,
    settings: Settings,
    now: UnixMillis,
}

async fn view(farm: &Farm) -> Result<View, Error> {
    let now = farm.clock().now().wall;
    let parlour = farm.live().parlour();
    let milking = parlour.stalls.iter().any(|s| s.phase != Phase::Empty);
    Ok(farm
        .read(move |conn| {
            let settings = settings::load(conn)?;
            let tz = settings.tz();
            let today = now.timestamp().to_zoned(tz.clone()).date();
            let from = today.saturating_sub((DAYS - 1).days());
            let plan = plan::load(conn)?;
            let session = plan.session_at(now, &tz);
            let mut milked: Vec<_> = milkings::in_session(conn, session)?
                .into_iter()
                .map(|(animal, _)| animal)
                .collect();
            milked.dedup();
            Ok::<_, farm::StoreError>(View {
                summary: production::summary(conn, today)?,
                today,
                trend: production::trend(conn, from, today)?,
                herd: animals::composition(conn)?,
                session,
                milked: milked.len(),
                milking,
                plan,
                open: alerts::open(conn)?,
                names: Names::load(conn)?,
                settings,
                now,
            })
        })
        .await?)
}

/// The figures, the session and the alerts; charts are drawn with the page.
pub(crate) async fn fragments(farm: &Farm, lang: Lang) -> Result<Vec<Fragment>, Error> {
    let view = view(farm).await?;
    Ok(vec![
        Fragment::new("today-figures", figures(lang, &view)),
        Fragment::new("today-session", session(lang, &view)),
        Fragment::new("today-alerts", wrong_now(lang, &view)),
    ])
}

/// Draws the page.
pub(crate) async fn page(ctx: &Ctx) -> Result<Response, Error> {
    let lang = ctx.lang;
    let view = view(&ctx.web.farm).await?;
    let body = html! {
        div.page-head {
            div { h1 { (t::title(lang)) } p { (fmt::date(lang, ctx.today())) } }
            @if ctx.me.may(Role::Worker) {
                (Button::primary(w::record_milk(lang)).icon(Icon::Bucket).href(to!("/record")))
            }
        }
        (figures(lang, &view))
        (session(lang, &view))
        (wrong_now(lang, &view))
        (trend(lang, &view))
        (herd(lang, &view.herd))
    };
    let page = ctx.page(t::title(lang), &[Topic::Today]).wide().body(body);
    Ok(page.render().into_response())
}

fn figures(lang: Lang, view: &View) -> Markup {
    let Summary {
        today,
        yesterday,
        week_ml,
        month_ml,
    } = view.summary;
    let litre = ui::t::litre(lang);
    let mut now = Stat::new(
        t::milk_today(lang),
        fmt::litres(lang, today.yield_ml),
        litre,
    );
    now = match view.settings.target_ml {
        Some(target) if target > 0 => {
            let percent = today.yield_ml * 100 / target;
            let tone = if percent >= 100 {
                Tone::Good
            } else {
                Tone::Neutral
            };
            now.note(tone, t::of_target(lang, percent))
        }
        _ => now.note(
            Tone::Neutral,
            t::yesterday(lang, fmt::litres_unit(lang, yesterday.yield_ml)),
        ),
    };
    let a_day = |ml: i64, days: i64| t::a_day(lang, fmt::litres_unit(lang, ml / days));
    let per_cow = yesterday
        .per_cow_ml()
        .map_or_else(|| "–".to_owned(), |ml| fmt::litres(lang, ml));
    let out = today.withheld_ml + today.discarded_ml;
    html! {
        div #today-figures {
            div.stats {
                (now)
                (Stat::new(t::week(lang), fmt::litres(lang, week_ml), litre).note(Tone::Neutral, a_day(week_ml, 7)))
                (Stat::new(t::month(lang), fmt::litres(lang, month_ml), litre).note(Tone::Neutral, a_day(month_ml, DAYS)))
                (Stat::new(t::per_cow(lang), per_cow, litre).note(Tone::Neutral, t::was_yesterday(lang)))
            }
            @if out > 0 {
                p { (Badge::new(Tone::Warn, t::kept_out(lang, fmt::litres_unit(lang, out)))) }
            }
        }
    }
}

fn session(lang: Lang, view: &View) -> Markup {
    let all = view
        .herd
        .by_status
        .iter()
        .find(|(status, _)| *status == AnimalStatus::Lactating)
        .map_or(0, |(_, n)| usize::try_from(*n).unwrap_or(0));
    let of_1000 = (view.milked * 1000).checked_div(all).unwrap_or(0).min(1000) as u16;
    let name = session_name(lang, view.session, &view.plan);
    let mut text = t::session_progress(lang, view.milked, all);
    if view.milking {
        text = format!("{} · {text}", t::in_progress(lang));
    }
    html! {
        div #today-session {
            (progress(&name, of_1000, &text))
        }
    }
}

fn wrong_now(lang: Lang, view: &View) -> Markup {
    let body = html! {
        @if view.open.is_empty() { p { (t::all_well(lang)) } }
        ul {
            @for alert in view.open.iter().take(ALERTS) {
                @let (about, href) = alert_page::line(lang, alert, &view.names);
                li.alert-line {
                    (Badge::new(alert_page::tone(alert), alert_page::title(lang, alert.kind)))
                    small.hint { (time_ago(lang, alert.raised.0, view.now.0)) }
                    a href=(href.unwrap_or_else(|| to!("/alerts"))) { (about) }
                }
            }
        }
    };
    let all = html! { a href=(to!("/alerts")) { (t::everything(lang)) } };
    let card = Card::new(t::wrong_now(lang), body)
        .action(all)
        .id("today-alerts");
    html! { (card) }
}

fn trend(lang: Lang, view: &View) -> Markup {
    let x = |date: Date| local_ms(date.to_datetime(jiff::civil::Time::midnight()));
    let litres = |ml: i64| ml as f64 / 1000.0;
    // Today is not over: its point would look like a fall.
    let days = || view.trend.iter().filter(|(date, _)| *date < view.today);
    let total = days()
        .map(|(date, milk)| (x(*date), Some(litres(milk.yield_ml))))
        .collect();
    let per_cow = days()
        .map(|(date, milk)| (x(*date), milk.per_cow_ml().map(litres)))
        .collect();
    let litre = ui::t::litre(lang);
    let mut whole = LineChart::new(lang, t::trend(lang), litre, X::Time, t::day(lang))
        .from_zero()
        .places(0)
        .series(Series::new(t::total(lang), total));
    if let Some(target) = view.settings.target_ml {
        whole = whole.target(t::target(lang), litres(target));
    }
    let each = LineChart::new(lang, t::per_cow(lang), litre, X::Time, t::day(lang))
        .series(Series::new(t::per_cow(lang), per_cow));
    html! { (whole) (each) }
}

fn herd(lang: Lang, herd: &Composition) -> Markup {
    let all: i64 = herd.by_status.iter().map(|(_, n)| n).sum();
    let parts: Vec<Part> = herd
        .by_status
        .iter()
        .map(|(status, n)| Part {
            name: words::status(lang, *status).to_owned(),
            value: *n as f64,
            text: t::animals_of(lang, *n),
        })
        .collect();
    donut(
        lang,
        t::herd(lang),
        &fmt::int(lang, all),
        t::animals(lang),
        &parts,
    )
}
