//! What happened to an animal: the list of it, a form for each kind, and taking a mistake back.

mod forms;

use axum::{
    extract::{Path, Query},
    response::{IntoResponse, Response},
};
use farm::{
    FactId,
    animals::{self, Animal, AnimalPage},
    events::{self, AnimalEvent, EventBody, EventError, Pregnancy},
    staff::Staff,
};
use farm_model::{AnimalId, AnimalStatus, Sex, staff::Role};
use maud::{Markup, html};
use serde::Deserialize;
use ui::{
    Lang,
    components::{Breadcrumb, Button, Event, breadcrumbs, page_head, timeline},
    fmt,
    icons::Icon,
    shell::Tone,
};

use crate::{
    access::{Needs, Routes},
    address::to,
    error::{Error, Reason},
    pages::{Ctx, alerts::who_is, context::Done, names::animal_name, typed::Typed},
    words,
};

pub(crate) mod t {
    ui::texts! {
        treatment = "Treatment" / "চিকিৎসা";
        calving = "Calving" / "বাচ্চা দেওয়া";
        dry_off = "Dry-off" / "দুধ শুকানো";
        heat = "Heat" / "গরম হওয়া";
        insemination = "Insemination" / "প্রজনন";
        pregnancy_check = "Pregnancy check" / "গাভিন পরীক্ষা";
        health = "Illness or injury" / "অসুখ বা আঘাত";
        note = "Note" / "মন্তব্য";
        weight = "Weight" / "ওজন";
        group(name) = "Moved to {name}" / "{name} দলে নেওয়া হয়েছে";
        status(name) = "Now: {name}" / "এখন: {name}";

        milk_hold(time) = "Milk kept out for {time}" / "{time} দুধ আলাদা";
        meat_hold(time) = "no slaughter for {time}" / "{time} জবাই নয়";
        born(live, born) = "{live} of {born} calves alive" / "{born}টির মধ্যে {live}টি বাচ্চা জীবিত";
        lactation(n) = "lactation {n}" / "{n} নম্বর বিয়ান";
        empty = "Not pregnant" / "গাভিন নয়";
        pregnant = "Pregnant" / "গাভিন";
        unknown = "Not certain" / "নিশ্চিত নয়";
        emergency = "urgent" / "জরুরি";
        kilograms(kg) = "{kg} kg" / "{kg} কেজি";

        struck_out = "Struck out as a mistake" / "ভুল বলে কেটে দেওয়া";
        mistake = "It was a mistake" / "এটি ভুল ছিল";
        strike = "Strike it out" / "কেটে দিন";
        strike_ask(what) = "Strike out: {what}?" / "কেটে দেবেন: {what}?";
        strike_text = "What followed from it is taken back too, such as the time for which milk is kept out. It stays readable, struck through." / "এর ফলও ফিরে যাবে, যেমন দুধ আলাদা রাখার সময়। লেখাটি কাটা অবস্থায় পড়া যাবে।";
    }
}

/// What a person can write down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Treatment,
    Calving,
    DryOff,
    Heat,
    Insemination,
    PregnancyCheck,
    Health,
    Weight,
    Note,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Treatment,
        Self::Health,
        Self::Heat,
        Self::Insemination,
        Self::PregnancyCheck,
        Self::Calving,
        Self::DryOff,
        Self::Weight,
        Self::Note,
    ];

    /// What can happen to this animal.
    pub(crate) fn for_animal(animal: &Animal) -> impl Iterator<Item = Self> {
        let is_female = animal.sex == Sex::Female;
        let in_milk = animal.status == AnimalStatus::Lactating;
        Self::ALL.into_iter().filter(move |kind| match kind {
            Self::Treatment | Self::Health | Self::Weight | Self::Note => true,
            Self::DryOff => is_female && in_milk,
            Self::Calving | Self::Heat | Self::Insemination | Self::PregnancyCheck => is_female,
        })
    }

    /// The name in addresses, the same as [`EventBody::key`].
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Treatment => "treatment",
            Self::Calving => "calving",
            Self::DryOff => "dry_off",
            Self::Heat => "heat",
            Self::Insemination => "insemination",
            Self::PregnancyCheck => "pregnancy_check",
            Self::Health => "health",
            Self::Weight => "weight",
            Self::Note => "note",
        }
    }

    fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.key() == key)
    }

    /// What people call it.
    pub(crate) fn name(self, lang: Lang) -> &'static str {
        match self {
            Self::Treatment => t::treatment(lang),
            Self::Calving => t::calving(lang),
            Self::DryOff => t::dry_off(lang),
            Self::Heat => t::heat(lang),
            Self::Insemination => t::insemination(lang),
            Self::PregnancyCheck => t::pregnancy_check(lang),
            Self::Health => t::health(lang),
            Self::Weight => t::weight(lang),
            Self::Note => t::note(lang),
        }
    }

    /// Its picture.
    pub(crate) fn icon(self) -> Icon {
        match self {
            Self::Treatment => Icon::Syringe,
            Self::Calving => Icon::Cow,
            Self::DryOff => Icon::Moon,
            Self::Heat => Icon::Flame,
            Self::Insemination => Icon::Calendar,
            Self::PregnancyCheck => Icon::Search,
            Self::Health => Icon::Warning,
            Self::Weight => Icon::Meter,
            Self::Note => Icon::Edit,
        }
    }
}

pub(super) fn routes(routes: Routes) -> Routes {
    let manager = Needs::Role(Role::Manager);
    forms::routes(routes)
        .get_form(manager, "/herd/{id}/strike", ask)
        .post(manager, "/herd/{id}/strike", strike)
}

/// What happened, newest first, at most `shown` of it.
pub(super) fn list(ctx: &Ctx, page: &AnimalPage, staff: &[Staff], shown: usize) -> Markup {
    let lang = ctx.lang;
    let told: Vec<&AnimalEvent> = page
        .events
        .iter()
        .filter(|e| !matches!(e.body, EventBody::Void { .. }))
        .collect();
    let entries: Vec<Event> = told
        .iter()
        .take(shown)
        .map(|e| entry(ctx, page.animal.id, e, staff))
        .collect();
    html! {
        @if told.is_empty() { p.nothing { (super::t::nothing_happened(lang)) } }
        (timeline(&entries))
        @if told.len() > shown {
            p { a href=(to!("/herd/{}?events=all", page.animal.id)) { (super::t::older(lang)) } }
        }
    }
}

fn entry(ctx: &Ctx, animal: AnimalId, event: &AnimalEvent, staff: &[Staff]) -> Event {
    let lang = ctx.lang;
    let (title, details) = describe(lang, &event.body);
    let when = html! {
        (fmt::date(lang, ctx.local(event.happened).date()))
        " · " (words::t::by(lang, who_is(lang, &event.actor, staff)))
    };
    let (icon, tone) = look(&event.body);
    Event {
        when,
        icon,
        tone: if event.voided { Tone::Neutral } else { tone },
        title: if event.voided {
            html! { s { (title) } }
        } else {
            html! { (title) }
        },
        body: Some(html! {
            @if !details.is_empty() {
                p { @if event.voided { s { (details) } } @else { (details) } }
            }
            @if event.voided {
                p.hint { (t::struck_out(lang)) }
            } @else if ctx.me.may(Role::Manager) {
                a.hint href=(to!("/herd/{animal}/strike?event={}", event.id)) { (t::mistake(lang)) }
            }
        }),
    }
}

fn look(body: &EventBody) -> (Icon, Tone) {
    match body {
        EventBody::Treatment { milk_hold_h: 0, .. } => (Icon::Syringe, Tone::Info),
        EventBody::Treatment { .. } => (Icon::Syringe, Tone::Bad),
        EventBody::Calving { .. } => (Icon::Cow, Tone::Good),
        EventBody::DryOff => (Icon::Moon, Tone::Info),
        EventBody::Heat => (Icon::Flame, Tone::Warn),
        EventBody::Insemination { .. } => (Icon::Calendar, Tone::Info),
        EventBody::PregnancyCheck {
            result: Pregnancy::Pregnant,
        } => (Icon::Check, Tone::Good),
        EventBody::PregnancyCheck { .. } => (Icon::Search, Tone::Neutral),
        EventBody::Health {
            emergency: true, ..
        } => (Icon::Warning, Tone::Bad),
        EventBody::Health { .. } => (Icon::Warning, Tone::Warn),
        EventBody::Weight { .. } => (Icon::Meter, Tone::Neutral),
        EventBody::Group { .. } => (Icon::Herd, Tone::Neutral),
        EventBody::Note { .. } | EventBody::Status { .. } | EventBody::Void { .. } => {
            (Icon::Edit, Tone::Neutral)
        }
    }
}

/// An event in words: what it was, and its particulars.
pub(crate) fn describe(lang: Lang, body: &EventBody) -> (String, String) {
    let named = |kind: Kind| kind.name(lang).to_owned();
    match body {
        EventBody::Treatment {
            medicine,
            dose,
            reason,
            milk_hold_h,
            meat_hold_h,
        } => {
            let title = format!("{}: {medicine}", t::treatment(lang));
            (
                title,
                treatment(lang, [dose, reason], *milk_hold_h, *meat_hold_h),
            )
        }
        EventBody::Calving {
            lactation,
            live,
            born,
        } => {
            let mut details = t::lactation(lang, *lactation);
            if *born > 0 {
                details = format!("{}, {details}", t::born(lang, *live, *born));
            }
            (named(Kind::Calving), details)
        }
        EventBody::DryOff => (named(Kind::DryOff), String::new()),
        EventBody::Heat => (named(Kind::Heat), String::new()),
        EventBody::Insemination { sire } => (named(Kind::Insemination), sire.clone()),
        EventBody::PregnancyCheck { result } => (
            named(Kind::PregnancyCheck),
            pregnancy(lang, *result).to_owned(),
        ),
        EventBody::Health {
            symptom,
            emergency: true,
        } => (
            format!("{} ({})", t::health(lang), t::emergency(lang)),
            symptom.clone(),
        ),
        EventBody::Health { symptom, .. } => (named(Kind::Health), symptom.clone()),
        EventBody::Note { text } => (named(Kind::Note), text.clone()),
        EventBody::Weight { grams } => (
            named(Kind::Weight),
            t::kilograms(lang, fmt::decimal(lang, *grams, 3, 0)),
        ),
        EventBody::Group { group } => (t::group(lang, group), String::new()),
        EventBody::Status { status } => {
            (t::status(lang, words::status(lang, *status)), String::new())
        }
        EventBody::Void { .. } => (t::struck_out(lang).to_owned(), String::new()),
    }
}

fn treatment(lang: Lang, said: [&String; 2], milk_h: u32, meat_h: u32) -> String {
    let time = |hours: u32| fmt::duration(lang, i64::from(hours) * 3600);
    let mut parts: Vec<String> = said
        .into_iter()
        .filter(|s| !s.is_empty())
        .cloned()
        .collect();
    if milk_h > 0 {
        parts.push(t::milk_hold(lang, time(milk_h)));
    }
    if meat_h > 0 {
        parts.push(t::meat_hold(lang, time(meat_h)));
    }
    parts.join(" · ")
}

/// What a pregnancy check found, in words.
fn pregnancy(lang: Lang, result: Pregnancy) -> &'static str {
    match result {
        Pregnancy::Empty => t::empty(lang),
        Pregnancy::Pregnant => t::pregnant(lang),
        Pregnancy::Unknown => t::unknown(lang),
    }
}

#[derive(Deserialize)]
pub(crate) struct Struck {
    event: String,
}

/// Asks before an event is struck out.
async fn ask(
    ctx: Ctx,
    Path(id): Path<AnimalId>,
    Query(struck): Query<Struck>,
) -> Result<Response, Error> {
    let lang = ctx.lang;
    let event: FactId = struck.event.parse().map_err(|_| Reason::NotFound)?;
    let (animal, events) = ctx
        .web
        .farm
        .read(move |conn| {
            Ok::<_, farm::StoreError>((animals::get(conn, id)?, events::of_animal(conn, id)?))
        })
        .await?;
    let animal = animal.ok_or(Reason::NotFound)?;
    let event = events
        .iter()
        .find(|e| e.id == event)
        .ok_or(Reason::NotFound)?;
    let (what, details) = describe(lang, &event.body);
    let back = to!("/herd/{}", animal.id);
    let title = t::strike_ask(lang, &what);
    let body = html! {
        (breadcrumbs(lang, &[Breadcrumb { label: animal_name(lang, &animal), href: back.clone() }]))
        (page_head(&title, &details, &html! {}))
        p { (t::strike_text(lang)) }
        form method="post" action=(format!("{back}/strike")) {
            input type="hidden" name="event" value=(event.id);
            div.actions {
                (Button::danger(t::strike(lang)))
                (Button::secondary(ui::t::cancel(lang)).href(back.as_str()))
            }
        }
    };
    Ok(ctx
        .page(&title, &[])
        .narrow()
        .body(body)
        .render()
        .into_response())
}

async fn strike(ctx: Ctx, Path(id): Path<AnimalId>, typed: Typed) -> Result<Response, Error> {
    let event: FactId = typed.text("event").parse().map_err(|_| Reason::NotFound)?;
    ctx.web
        .farm
        .write(ctx.me.actor(), move |tx| events::void(tx, event))
        .await?;
    Ok(Done::Saved.then(to!("/herd/{id}")))
}

impl From<EventError> for Error {
    fn from(error: EventError) -> Self {
        match error {
            EventError::UnknownAnimal | EventError::UnknownEvent => Reason::NotFound.into(),
            EventError::Future | EventError::LongHold | EventError::Weight | EventError::Empty => {
                Self::invalid(error.to_string())
            }
            EventError::Store(error) => error.into(),
        }
    }
}
