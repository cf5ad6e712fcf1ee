//! Alerts: what is wrong now, who has seen it, and what was wrong before. The bell in every page's head is drawn here too.

use std::fmt::Write as _;

use axum::{
    extract::{Form, Path, State},
    response::{IntoResponse, Redirect, Response},
};
use farm::{
    Farm,
    alerts::{self, Alert, AlertError, AlertKind, Severity, Subject},
    staff,
    staff::Staff,
};
use farm_model::{AlertId, AnimalId, Clock as _, Milli, Quantity, UnixMillis, staff::Role};
use maud::{Markup, html};
use serde::Deserialize;
use ui::{
    Lang,
    components::{Badge, Button, EmptyState, time_ago},
    fmt,
    icons::Icon,
    shell::{Tone, alert_bell},
};

use super::{Ctx, context::Done, names::Names};
use crate::{
    access::{Needs, Routes},
    address::{own, to},
    app::Web,
    auth::Me,
    error::{Error, Reason},
    live::Fragment,
    words::{self, t as w},
};

pub(crate) mod t {
    ui::texts! {
        open = "Now" / "এখন";
        before = "Before" / "আগে";
        all_well = "All is well" / "সব ঠিক আছে";
        all_well_text = "When something needs you, it stands here and the bell rings." / "কিছু দরকার হলে এখানে লেখা থাকবে আর ঘণ্টা বাজবে।";
        seen = "I have seen it" / "দেখেছি";
        settle = "It is settled" / "মিটে গেছে";
        seen_by(name) = "Seen by {name}" / "{name} দেখেছেন";
        closed = "Over" / "শেষ";

        tank_warm = "Tank too warm" / "ট্যাংক বেশি গরম";
        tank_warm_do = "Check the cooling at once; milk spoils." / "এখনই কুলিং দেখুন, দুধ নষ্ট হবে।";
        tank_cold = "Tank too cold" / "ট্যাংক বেশি ঠান্ডা";
        tank_cold_do = "Milk freezes. Turn the cooling down." / "দুধ জমে যাচ্ছে। কুলিং কমান।";
        methane = "Methane in the air" / "বাতাসে মিথেন";
        methane_do = "Leave, open doors, no flame. Then look for the leak." / "বেরিয়ে যান, দরজা খুলুন, আগুন জ্বালাবেন না। পরে ছিদ্র খুঁজুন।";
        heat_stress = "Cows suffer from heat" / "গরমে গরুর কষ্ট হচ্ছে";
        heat_stress_do = "Shade, fans and plenty of water. Milk in the cool hours." / "ছায়া, পাখা ও প্রচুর পানি দিন। ঠান্ডা সময়ে দোহন করুন।";
        heat_danger = "Heat endangers the cows" / "গরমে গরুর প্রাণের ঝুঁকি";
        heat_danger_do = "Wet the cows and fan them now. Do not drive them. Call the vet if one pants with her mouth open." / "এখনই গরুর গায়ে পানি ও বাতাস দিন। তাড়াবেন না। মুখ খুলে হাঁপালে পশু চিকিৎসক ডাকুন।";
        index(n) = "heat index {n}" / "তাপ সূচক {n}";
        silent = "Device silent" / "যন্ত্র সাড়া দিচ্ছে না";
        silent_do = "Check power and cable." / "বিদ্যুৎ ও তার দেখুন।";
        noisy_do = "It sends, but nothing that makes sense. Check the cable, its shield and the device's settings." / "যন্ত্র কিছু পাঠাচ্ছে, কিন্তু তা পড়া যাচ্ছে না। তার, তারের আবরণ ও যন্ত্রের সেটিং দেখুন।";
        there_do = "The node is on, but its sensor tells nothing. Check the sensor and its wire." / "নোড চালু আছে, কিন্তু সেন্সরের মান আসছে না। সেন্সর ও তার সংযোগ দেখুন।";
        withdrawal = "Cow on medicine was milked" / "ওষুধ চলা গরুর দোহন হয়েছে";
        withdrawal_do = "Make sure her milk did not go into the tank." / "তার দুধ ট্যাংকে যায়নি, নিশ্চিত করুন।";
        yield_drop = "Much less milk" / "দুধ অনেক কমেছে";
        yield_drop_do = "Look at her: appetite, udder, temperature." / "গরুটিকে দেখুন: খাওয়া, ওলান, জ্বর।";
        no_flow = "No milk flows" / "দুধ আসছে না";
        no_flow_do = "Check the cups, hose and vacuum." / "কাপ, নল ও ভ্যাকুয়াম দেখুন।";
        unidentified = "Milk without a cow" / "কোন গরুর দুধ জানা নেই";
        unknown_tag = "Unknown tag" / "অচেনা ট্যাগ";
        two_identities = "Two cows' tags read" / "দুই গরুর ট্যাগ পাওয়া গেছে";
        milked_twice = "Milked twice in a session" / "এক বেলায় দুবার দোহন";
        swapped_tag = "Tags swapped?" / "ট্যাগ অদলবদল?";
        too_much = "More milk than a cow gives" / "একটি গরুর পক্ষে অসম্ভব দুধ";
        too_much_do = "It counts nothing yet. Open it and write how much it was, or strike it out." / "এখনো হিসাবে ধরা হয়নি। খুলে আসল পরিমাণ লিখুন, না হলে বাতিল করুন।";
        decide = "Say in the inbox which cow it was." / "কোন গরু ছিল, মীমাংসা পাতায় বলে দিন।";
        health = "Cow is ill" / "গরু অসুস্থ";
        health_do = "Look at her and call the vet if need be." / "গরুটিকে দেখুন, দরকারে ডাক্তার ডাকুন।";
        clock_unknown = "The time is not certain" / "সময় নিশ্চিত নয়";
        clock_unknown_do = "Set the time on the page About; holds stay until then." / "‘এই যন্ত্র’ পাতায় সময় ঠিক করুন; ততক্ষণ ওষুধের বিরতি চলবে।";
        disk_full = "Disk nearly full" / "ডিস্ক প্রায় ভরা";
        disk_full_do = "Ask whoever looks after the machine." / "যিনি মেশিন দেখেন তাঁকে বলুন।";
        database = "Records are not safe" / "তথ্য নিরাপদ নয়";
        database_do = "Ask whoever looks after the machine at once." / "যিনি মেশিন দেখেন তাঁকে এখনই বলুন।";
        firmware = "New firmware did badly" / "নতুন ফার্মওয়্যারে সমস্যা";
        firmware_do = "No other device is offered it. See on the page Firmware what happened, then go on or withdraw it." / "আর কোনো যন্ত্রে দেওয়া হচ্ছে না। ফার্মওয়্যার পাতায় দেখুন কী হয়েছে, তারপর চালিয়ে যান বা ফিরিয়ে নিন।";
        calved_twice = "Two calvings written down" / "দুই জায়গায় বাচ্চা দেওয়ার কথা লেখা";
        calved_twice_do = "She cannot have calved twice. Open her page and strike out the one that is wrong." / "একবারে দুবার বাচ্চা হয় না। গরুর পাতা খুলে ভুলটি কেটে দিন।";
        tanked = "Milk of a treated cow in the tank" / "ওষুধ চলা গরুর দুধ ট্যাংকে";
        tanked_do = "Do not sell the tank's milk before you have asked the vet. Then correct the milking." / "পশু চিকিৎসককে না জিজ্ঞেস করে ট্যাংকের দুধ বেচবেন না। তারপর দোহনটি ঠিক করুন।";
        dismissed = "Dismissed, and still at work" / "বাদ দেওয়ার পরও কাজ করেছেন";
        dismissed_do = "Look at what was written down in this name, then settle it here." / "এই নামে কী লেখা হয়েছে দেখুন, তারপর এখানে মিটিয়ে দিন।";
        less(percent, litres) = "{percent}% less: {litres}" / "{percent}% কম: {litres}";
    }
}

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .get(Needs::Role(Role::Worker), "/alerts", page)
        .get(Needs::Role(Role::Worker), "/alerts/{id}", lead)
        .post(Needs::Role(Role::Worker), "/alerts/{id}/seen", seen)
        .post(Needs::Role(Role::Worker), "/alerts/{id}/settle", settle)
}

/// What an alert of this kind is called.
pub(crate) fn title(lang: Lang, kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::TankWarm => t::tank_warm(lang),
        AlertKind::TankCold => t::tank_cold(lang),
        AlertKind::Methane => t::methane(lang),
        AlertKind::HeatStress => t::heat_stress(lang),
        AlertKind::HeatDanger => t::heat_danger(lang),
        AlertKind::Silent => t::silent(lang),
        AlertKind::Withdrawal => t::withdrawal(lang),
        AlertKind::YieldDrop => t::yield_drop(lang),
        AlertKind::NoFlow => t::no_flow(lang),
        AlertKind::Unidentified => t::unidentified(lang),
        AlertKind::UnknownTag => t::unknown_tag(lang),
        AlertKind::TwoIdentities => t::two_identities(lang),
        AlertKind::MilkedTwice => t::milked_twice(lang),
        AlertKind::SwappedTag => t::swapped_tag(lang),
        AlertKind::TooMuch => t::too_much(lang),
        AlertKind::Health => t::health(lang),
        AlertKind::ClockUnknown => t::clock_unknown(lang),
        AlertKind::DiskFull => t::disk_full(lang),
        AlertKind::Database => t::database(lang),
        AlertKind::Firmware => t::firmware(lang),
        AlertKind::CalvedTwice => t::calved_twice(lang),
        AlertKind::Tanked => t::tanked(lang),
        AlertKind::Dismissed => t::dismissed(lang),
    }
}

/// What to do about it.
pub(crate) fn advice(lang: Lang, alert: &Alert) -> &'static str {
    match alert.kind {
        AlertKind::TankWarm => t::tank_warm_do(lang),
        AlertKind::TankCold => t::tank_cold_do(lang),
        AlertKind::Methane => t::methane_do(lang),
        AlertKind::HeatStress => t::heat_stress_do(lang),
        AlertKind::HeatDanger => t::heat_danger_do(lang),
        AlertKind::Silent if alert.detail["noisy"] == true => t::noisy_do(lang),
        AlertKind::Silent if alert.detail["there"] == true => t::there_do(lang),
        AlertKind::Silent => t::silent_do(lang),
        AlertKind::Withdrawal => t::withdrawal_do(lang),
        AlertKind::YieldDrop => t::yield_drop_do(lang),
        AlertKind::NoFlow => t::no_flow_do(lang),
        AlertKind::Unidentified
        | AlertKind::UnknownTag
        | AlertKind::TwoIdentities
        | AlertKind::MilkedTwice
        | AlertKind::SwappedTag => t::decide(lang),
        AlertKind::TooMuch => t::too_much_do(lang),
        AlertKind::Health => t::health_do(lang),
        AlertKind::ClockUnknown => t::clock_unknown_do(lang),
        AlertKind::DiskFull => t::disk_full_do(lang),
        AlertKind::Database => t::database_do(lang),
        AlertKind::Firmware => t::firmware_do(lang),
        AlertKind::CalvedTwice => t::calved_twice_do(lang),
        AlertKind::Tanked => t::tanked_do(lang),
        AlertKind::Dismissed => t::dismissed_do(lang),
    }
}

/// What an alert is about, in a line: the subject, and the figures that matter.
pub(crate) fn about(lang: Lang, alert: &Alert, names: &Names) -> (String, Option<String>) {
    let (mut text, href) = names.subject(lang, alert.subject);
    let number = |key: &str| alert.detail.get(key).and_then(serde_json::Value::as_i64);
    let animal = alert
        .detail
        .get("animal")
        .and_then(|v| v.as_str()?.parse::<AnimalId>().ok());
    if let Some(animal) = animal {
        text = names.animal(lang, animal);
    }
    if let Some(stall) = number("stall") {
        let _ = write!(text, " · {}", w::stall_number(lang, stall));
    }
    if let Some(thi) = number("thi") {
        let index = words::number(lang, Quantity::Thi, Milli(thi));
        let _ = write!(text, " · {}", t::index(lang, index));
    }
    let stopped = alert.detail.get("quantity").and_then(|v| v.as_str());
    if let Some(quantity) = stopped.and_then(|key| key.parse::<Quantity>().ok()) {
        let _ = write!(text, " · {}", words::quantity(lang, quantity));
    }
    match (number("percent"), number("yield_ml")) {
        (Some(percent), Some(ml)) => {
            let _ = write!(
                text,
                " · {}",
                t::less(lang, percent, fmt::litres_unit(lang, ml))
            );
        }
        (None, Some(ml)) => {
            let _ = write!(text, " · {}", fmt::litres_unit(lang, ml));
        }
        _ => {}
    }
    (text, href)
}

/// The same line with where it leads whoever reads it: a live part of a page is one for all, so what only a manager may open
/// is asked for by the alert's own address.
pub(crate) fn line(lang: Lang, alert: &Alert, names: &Names) -> (String, Option<String>) {
    let (text, href) = about(lang, alert, names);
    let hangs_on_role = alert.kind.is_decision() || matches!(alert.subject, Subject::Device(_));
    match hangs_on_role {
        true => (text, Some(to!("/alerts/{}", alert.id))),
        false => (text, href),
    }
}

struct View {
    open: Vec<Alert>,
    closed: Vec<Alert>,
    names: Names,
    staff: Vec<Staff>,
    now: UnixMillis,
}

async fn view(farm: &Farm) -> Result<View, Error> {
    let now = farm.clock().now().wall;
    let view = farm
        .read(move |conn| {
            let mut closed = alerts::history(conn, None, 100)?;
            closed.retain(|a| a.closed.is_some());
            Ok::<_, farm::StoreError>(View {
                open: alerts::open(conn)?,
                closed,
                names: Names::load(conn)?,
                staff: staff::list(conn)?,
                now,
            })
        })
        .await?;
    Ok(view)
}

/// The bell and the list.
pub(crate) async fn fragments(farm: &Farm, lang: Lang) -> Result<Vec<Fragment>, Error> {
    let view = view(farm).await?;
    Ok(vec![
        Fragment::new(
            "alert-bell",
            alert_bell(lang, view.open.len() as u32, &to!("/alerts")),
        ),
        Fragment::new("open-alerts", open_list(lang, &view)),
    ])
}

async fn page(ctx: Ctx) -> Result<Response, Error> {
    let lang = ctx.lang;
    let view = view(&ctx.web.farm).await?;
    let body = html! {
        h1 { (w::alerts(lang)) }
        (open_list(lang, &view))
        @if !view.closed.is_empty() {
            section.section {
                h2 { (t::before(lang)) }
                ul.alert-list {
                    @for alert in &view.closed {
                        (past(lang, alert, &view))
                    }
                }
            }
        }
    };
    let page = ctx.page(w::alerts(lang), &[]).body(body);
    Ok(page.render().into_response())
}

fn open_list(lang: Lang, view: &View) -> Markup {
    html! {
        div #open-alerts {
            @if view.open.is_empty() {
                (EmptyState::new(Icon::CheckRing, t::all_well(lang), t::all_well_text(lang)))
            } @else {
                ul.alert-list { @for alert in &view.open { (entry(lang, alert, view)) } }
            }
        }
    }
}

pub(crate) fn tone(alert: &Alert) -> Tone {
    match alert.severity {
        Severity::Critical => Tone::Bad,
        Severity::Warning => Tone::Warn,
    }
}

fn entry(lang: Lang, alert: &Alert, view: &View) -> Markup {
    let (about, href) = line(lang, alert, &view.names);
    html! {
        li.card.alert-card {
            p { (Badge::new(tone(alert), title(lang, alert.kind))) " " (time_ago(lang, alert.raised.0, view.now.0)) }
            p { strong { @if let Some(href) = href { a href=(href) { (about) } } @else { (about) } } }
            p { (advice(lang, alert)) }
            div.actions {
                @match &alert.acknowledged {
                    Some((_, who)) => p.hint { (t::seen_by(lang, who_is(lang, who, &view.staff))) },
                    None => form method="post" action=(to!("/alerts/{}/seen", alert.id)) {
                        (Button::secondary(t::seen(lang)).icon(Icon::Check))
                    },
                }
                @if !alert.kind.is_decision() {
                    form method="post" action=(to!("/alerts/{}/settle", alert.id)) { (Button::quiet(t::settle(lang))) }
                }
            }
        }
    }
}

fn past(lang: Lang, alert: &Alert, view: &View) -> Markup {
    let (about, href) = line(lang, alert, &view.names);
    html! {
        li {
            (Badge::new(Tone::Neutral, t::closed(lang))) " "
            strong { (title(lang, alert.kind)) } " · "
            @if let Some(href) = href { a href=(href) { (about) } } @else { (about) }
            " · " (time_ago(lang, alert.raised.0, view.now.0))
        }
    }
}

/// The name of who acted, from the form in which it is stored.
pub(crate) fn who_is(lang: Lang, actor: &str, staff: &[Staff]) -> String {
    let known = match farm::Actor::from_stored(actor) {
        farm::Actor::Staff(id) => staff.iter().find(|s| s.id == id).map(|s| s.name.clone()),
        farm::Actor::Account { name, .. } => Some(name),
        _ => None,
    };
    known.unwrap_or_else(|| w::product(lang).to_owned())
}

/// Leads to what an alert is about, as far as the one who asks may go.
async fn lead(ctx: Ctx, Path(id): Path<AlertId>) -> Result<Redirect, Error> {
    let alert = ctx.web.farm.read(move |conn| alerts::get(conn, id)).await?;
    let alert = alert.ok_or(Reason::NotFound)?;
    let is_manager = ctx.me.role >= Role::Manager;
    Ok(Redirect::to(&match alert.subject {
        _ if is_manager && alert.kind.is_decision() && alert.closed.is_none() => {
            to!("/inbox#item-{id}")
        }
        Subject::Device(device) if is_manager => to!("/devices/{device}"),
        Subject::Device(_) => to!("/sensors"),
        Subject::Visit(visit) => to!("/milkings/{visit}"),
        _ => to!("/alerts"),
    }))
}

async fn seen(State(web): State<Web>, me: Me, Path(id): Path<AlertId>) -> Result<Response, Error> {
    web.farm
        .write(me.actor(), move |tx| alerts::acknowledge(tx, id))
        .await?;
    Ok(Done::Saved.then(to!("/alerts")))
}

#[derive(Deserialize)]
pub(crate) struct Next {
    next: Option<String>,
}

async fn settle(
    State(web): State<Web>,
    me: Me,
    Path(id): Path<AlertId>,
    Form(Next { next }): Form<Next>,
) -> Result<Response, Error> {
    // Whoever repaired a cooler may say so; whose milk it was is a manager's to decide.
    let may_decide = me.role >= Role::Manager;
    web.farm
        .write(me.actor(), move |tx| {
            let alert = alerts::get(tx.conn(), id)?.ok_or(Reason::NotFound)?;
            if alert.kind.is_decision() && !may_decide {
                return Err(Error::from(Reason::Forbidden));
            }
            Ok(alerts::settle(tx, id, None)?)
        })
        .await?;
    Ok(Done::Saved.then(next.as_deref().map_or_else(|| to!("/alerts"), own)))
}

impl From<AlertError> for Error {
    fn from(error: AlertError) -> Self {
        match error {
            AlertError::Unknown => Reason::NotFound.into(),
            AlertError::Closed => Reason::Conflict.into(),
            AlertError::Store(error) => error.into(),
        }
    }
}
