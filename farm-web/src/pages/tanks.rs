//! The tanks: how full, how cold, how far both can be believed; and the account of the milk that went in or was kept out.

mod edit;
mod history;

use axum::response::{IntoResponse, Response};
use farm::{
    Farm, LiveValue,
    alerts::{self, Alert, AlertKind, Subject},
    devices,
    plan::{self, Plan},
    production::{self, Milk},
    settings, watch,
};
use farm_model::{
    Clock as _, Device, Milli, Place, PlaceId, PlaceKind, Quantity, SessionKey, UnixMillis,
    staff::Role,
};
use jiff::civil::Date;
use maud::{Markup, html};
use ui::{
    Lang,
    chart::{TankLook, tank},
    components::{
        self, Badge, Button, Column, EmptyState, Quality, Row, Table, page_head, quality_chip,
        time_ago,
    },
    fmt,
    icons::Icon,
    shell::Tone,
};

use super::{Ctx, alerts::title as alert_title, parlour::session_name, sensors::quality_now};
use crate::{
    access::{Needs, Routes},
    address::to,
    error::Error,
    live::{Fragment, Topic},
    words::{self, t as w},
};

pub(crate) mod t {
    ui::texts! {
        add = "Add a tank" / "ট্যাংক যোগ করুন";
        none = "No tanks yet" / "এখনো কোনো ট্যাংক নেই";
        none_text = "Add the tank with its size and limits, then its probe on the Devices page." / "আকার ও সীমা দিয়ে ট্যাংক যোগ করুন, তারপর যন্ত্রপাতির পাতায় তার প্রোব।";
        none_worker = "A manager adds tanks here." / "ব্যবস্থাপক এখানে ট্যাংক যোগ করবেন।";
        level = "Fill" / "কতটা ভরা";
        temperature = "Temperature" / "তাপমাত্রা";
        of(litres, capacity) = "{litres} of {capacity}" / "{capacity}-এর মধ্যে {litres}";
        not_measured = "not measured" / "মাপা হয় না";
        limits(low, high) = "Should be {low} to {high}" / "থাকার কথা {low} থেকে {high}";
        at_most(high) = "Should be at most {high}" / "সর্বোচ্চ {high} থাকার কথা";
        at_least(low) = "Should be at least {low}" / "অন্তত {low} থাকার কথা";
        no_limits = "No limits set: no alarm will come" / "সীমা দেওয়া নেই: কোনো সতর্কতা আসবে না";
        empty = "Empty" / "খালি";
        too_warm = "Too warm" / "বেশি গরম";
        too_cold = "Too cold" / "বেশি ঠান্ডা";
        in_range = "As it should be" / "ঠিক আছে";
        not_known = "Not known" / "জানা নেই";
        history = "History" / "আগের হিসাব";
        account = "Milk of today" / "আজকের দুধ";
        account_text = "What went into the tanks, and what was kept out." / "কত দুধ ট্যাংকে গেছে, আর কত আলাদা রাখা হয়েছে।";
        in_tank = "In the tank" / "ট্যাংকে";
        withheld = "Kept out" / "আলাদা রাখা";
        discarded = "Discarded" / "ফেলে দেওয়া";
        milkings = "Milkings" / "দোহন";
        all_day = "Today together" / "আজ মোট";
        no_milk = "No milk yet today." / "আজ এখনো দুধ লেখা হয়নি।";
        picture(name, percent) = "{name}: {percent} full" / "{name}: {percent} ভরা";
        picture_unknown(name) = "{name}: level not known" / "{name}: কতটা ভরা জানা নেই";
    }
}

pub(crate) fn routes(routes: Routes) -> Routes {
    let routes = routes.get(Needs::Role(Role::Worker), "/tanks", page);
    history::routes(edit::routes(routes))
}

/// A tank with what is known of it now.
struct Tank {
    place: Place,
    level: Option<(LiveValue, Quality)>,
    temperature: Option<(LiveValue, Quality)>,
    alerts: Vec<Alert>,
}

impl Tank {
    fn gather(
        place: Place,
        values: &[LiveValue],
        devices: &[Device],
        open: &[Alert],
        now: UnixMillis,
    ) -> Self {
        let device = |id| devices.iter().find(|d| d.id == id);
        let newest = |quantity| {
            let of_tank = values.iter().filter(|v| {
                let stands = device(v.device).filter(|d| d.enabled).and_then(|d| d.place);
                v.quantity == quantity && stands == Some(place.id)
            });
            of_tank
                .max_by_key(|v| v.at)
                .map(|v| (*v, quality_now(v, device(v.device), now)))
        };
        Self {
            level: newest(Quantity::Level),
            temperature: newest(Quantity::Temperature),
            alerts: open
                .iter()
                .filter(|a| a.subject == Subject::Place(place.id))
                .cloned()
                .collect(),
            place,
        }
    }

    /// The level in thousandths of the tank, if it can be believed.
    fn of_1000(&self) -> Option<u16> {
        let (value, quality) = self.level?;
        let believed = matches!(quality, Quality::Good | Quality::Stale);
        let level = value.value.filter(|_| believed)?;
        // Thousandths of a percent.
        u16::try_from((level.0 / 100).clamp(0, 1000)).ok()
    }

    fn condition(&self) -> Condition {
        let details = &self.place.details;
        if self
            .of_1000()
            .is_some_and(|level| i64::from(level) * 100 <= watch::EMPTY.0)
        {
            return Condition::Empty;
        }
        let Some((value, Quality::Good | Quality::Stale)) = self.temperature else {
            return Condition::Unknown;
        };
        let Some(now) = value.value else {
            return Condition::Unknown;
        };
        if self.alerts.iter().any(|a| a.kind == AlertKind::TankWarm)
            || details.max_temperature.is_some_and(|max| now > max)
        {
            Condition::Warm
        } else if self.alerts.iter().any(|a| a.kind == AlertKind::TankCold)
            || details.min_temperature.is_some_and(|min| now < min)
        {
            Condition::Cold
        } else {
            Condition::Right
        }
    }
}

/// How a tank's milk fares.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Right,
    Warm,
    Cold,
    Empty,
    Unknown,
}

struct View {
    tanks: Vec<Tank>,
    plan: Plan,
    sessions: Vec<(u8, Milk)>,
    today: Date,
    now: UnixMillis,
}

async fn view(farm: &Farm) -> Result<View, Error> {
    let now = farm.clock().now().wall;
    let values = farm.live().values();
    let view = farm
        .read(move |conn| {
            let devices = devices::list(conn)?;
            let open = alerts::open(conn)?;
            let today = now.timestamp().to_zoned(settings::load(conn)?.tz()).date();
            let tanks = farm::places::list(conn)?
                .into_iter()
                .filter(|p| p.kind == PlaceKind::Tank)
                .map(|p| Tank::gather(p, &values, &devices, &open, now))
                .collect();
            Ok::<_, farm::StoreError>(View {
                tanks,
                plan: plan::load(conn)?,
                sessions: production::sessions_of(conn, today)?,
                today,
                now,
            })
        })
        .await?;
    Ok(view)
}

/// Every part of the page that changes: a card for each tank, and the account.
pub(crate) async fn fragments(farm: &Farm, lang: Lang) -> Result<Vec<Fragment>, Error> {
    let view = view(farm).await?;
    let mut fragments: Vec<Fragment> = view
        .tanks
        .iter()
        .map(|tank| Fragment::new(element(tank.place.id), card(lang, tank, view.now)))
        .collect();
    fragments.push(Fragment::new("tank-account", account(lang, &view)));
    Ok(fragments)
}

fn element(tank: PlaceId) -> String {
    format!("tank-{tank}")
}

async fn page(ctx: Ctx) -> Result<Response, Error> {
    let lang = ctx.lang;
    let view = view(&ctx.web.farm).await?;
    let is_manager = ctx.me.may(Role::Manager);
    let add = html! {
        @if is_manager { (Button::secondary(t::add(lang)).icon(Icon::Plus).href(to!("/tanks/new"))) }
    };
    let why = if is_manager {
        t::none_text(lang)
    } else {
        t::none_worker(lang)
    };
    let body = html! {
        (page_head(w::tanks(lang), "", &add))
        @if view.tanks.is_empty() {
            (EmptyState::new(Icon::Tank, t::none(lang), why))
        }
        div.grid.two { @for tank in &view.tanks { (card(lang, tank, view.now)) } }
        (account(lang, &view))
    };
    Ok(ctx
        .page(w::tanks(lang), &[Topic::Tanks])
        .wide()
        .body(body)
        .render()
        .into_response())
}

fn card(lang: Lang, tank: &Tank, now: UnixMillis) -> Markup {
    let place = &tank.place;
    let href = to!("/tanks/{}", place.id);
    let history = html! { a href=(href) { (t::history(lang)) } };
    let body = html! {
        @for alert in &tank.alerts {
            div.flash.bad { (Icon::Warning) p { (alert_title(lang, alert.kind)) } }
        }
        div.tank-card {
            (picture(lang, tank))
            dl.tank-now {
                dt { (t::temperature(lang)) }
                dd { (now_value(lang, tank.temperature.as_ref(), now)) }
                dt { (t::level(lang)) }
                dd {
                    (now_value(lang, tank.level.as_ref(), now))
                    @if let (Some(of_1000), Some(capacity)) = (tank.of_1000(), place.details.capacity_l) {
                        p.hint { (litres_of(lang, of_1000, capacity)) }
                    }
                }
            }
        }
        p.cluster.tight { (condition(lang, tank)) span.hint { (limits(lang, place)) } }
    };
    html! { (components::Card::new(&place.name, body).id(element(place.id)).action(history)) }
}

fn picture(lang: Lang, tank_now: &Tank) -> Markup {
    let name = &tank_now.place.name;
    let look = match (tank_now.condition(), tank_now.of_1000()) {
        (_, None) => TankLook::Unknown,
        (Condition::Warm, _) => TankLook::Bad,
        (Condition::Cold | Condition::Unknown, _) => TankLook::Warn,
        (Condition::Right | Condition::Empty, _) => TankLook::Good,
    };
    let label = match tank_now.of_1000() {
        Some(of) => t::picture(lang, name, fmt::percent(lang, i64::from(of) * 100, 0)),
        None => t::picture_unknown(lang, name),
    };
    tank(&label, tank_now.of_1000().unwrap_or(0), look)
}

/// A value large, with how far it can be believed and how old it is.
fn now_value(lang: Lang, value: Option<&(LiveValue, Quality)>, now: UnixMillis) -> Markup {
    html! {
        @match value {
            None => p.hint { (t::not_measured(lang)) },
            Some((value, quality)) => {
                p.tank-value {
                    @match value.value {
                        Some(v) => (words::value(lang, value.quantity, v)),
                        None => "–",
                    }
                }
                p.cluster.tight {
                    (quality_chip(lang, *quality))
                    @if let Some(flaw) = value.flaw { (Badge::new(Tone::Neutral, words::flaw(lang, flaw))) }
                    small.hint { (time_ago(lang, value.at.0, now.0)) }
                }
            },
        }
    }
}

fn litres_of(lang: Lang, of_1000: u16, capacity_l: i64) -> String {
    let litres = |l: i64| w::value_with_unit(lang, fmt::int(lang, l), ui::t::litre(lang));
    t::of(
        lang,
        litres(i64::from(of_1000) * capacity_l / 1000),
        litres(capacity_l),
    )
}

fn condition(lang: Lang, tank: &Tank) -> Badge {
    match tank.condition() {
        Condition::Right => Badge::new(Tone::Good, t::in_range(lang)),
        Condition::Warm => Badge::new(Tone::Bad, t::too_warm(lang)),
        Condition::Cold => Badge::new(Tone::Warn, t::too_cold(lang)),
        Condition::Empty => Badge::new(Tone::Neutral, t::empty(lang)),
        Condition::Unknown => Badge::new(Tone::Warn, t::not_known(lang)),
    }
}

fn limits(lang: Lang, place: &Place) -> String {
    let degrees = |value: Milli| words::value(lang, Quantity::Temperature, value);
    match (place.details.min_temperature, place.details.max_temperature) {
        (Some(low), Some(high)) => t::limits(lang, degrees(low), degrees(high)),
        (None, Some(high)) => t::at_most(lang, degrees(high)),
        (Some(low), None) => t::at_least(lang, degrees(low)),
        (None, None) => t::no_limits(lang).to_owned(),
    }
}

/// What today's sessions put into the tanks, and what was kept out.
fn account(lang: Lang, view: &View) -> Markup {
    let day = view
        .sessions
        .iter()
        .fold(Milk::default(), |sum, (_, milk)| Milk {
            visits: sum.visits + milk.visits,
            tank_ml: sum.tank_ml + milk.tank_ml,
            withheld_ml: sum.withheld_ml + milk.withheld_ml,
            discarded_ml: sum.discarded_ml + milk.discarded_ml,
            ..sum
        });
    let mut rows: Vec<Row> = view
        .sessions
        .iter()
        .map(|(number, milk)| {
            let key = SessionKey {
                date: view.today,
                number: *number,
            };
            account_row(lang, html! { (session_name(lang, key, &view.plan)) }, milk)
        })
        .collect();
    if rows.len() > 1 {
        rows.push(account_row(
            lang,
            html! { strong { (t::all_day(lang)) } },
            &day,
        ));
    }
    html! {
        section.section id="tank-account" {
            h2 { (t::account(lang)) }
            p { (t::account_text(lang)) }
            (account_table(lang, t::account(lang), w::session(lang), rows))
        }
    }
}

/// A table of what went where.
fn account_table(lang: Lang, caption: &str, first: &str, rows: Vec<Row>) -> Table {
    let columns = vec![
        Column::new(first),
        Column::number(t::in_tank(lang)),
        Column::number(t::withheld(lang)),
        Column::number(t::discarded(lang)),
        Column::number(t::milkings(lang)),
    ];
    Table::new(lang, caption, columns)
        .rows(rows)
        .empty(html! { p.nothing { (t::no_milk(lang)) } })
}

fn account_row(lang: Lang, name: Markup, milk: &Milk) -> Row {
    let litres = |ml: i64| html! { (fmt::litres_unit(lang, ml)) };
    let kept_out = |ml: i64, tone| {
        html! { @if ml > 0 { (Badge::new(tone, fmt::litres_unit(lang, ml))) } @else { (w::value_with_unit(lang, fmt::int(lang, 0), ui::t::litre(lang))) } }
    };
    Row::new(vec![
        name,
        html! { strong { (litres(milk.tank_ml)) } },
        kept_out(milk.withheld_ml, Tone::Bad),
        kept_out(milk.discarded_ml, Tone::Warn),
        html! { (fmt::int(lang, milk.visits)) },
    ])
}
