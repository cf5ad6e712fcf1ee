//! The parlour, live: a card for each stall, alarms that nobody misses, and a touch that settles who stands there.

use std::collections::HashMap;

use axum::{
    extract::{Form, Path, State},
    response::{IntoResponse, Response},
};
use farm::{Farm, animals, animals::Animal, devices, places, plan, plan::Plan};
use farm_model::{
    AnimalId, Body, Clock as _, DeviceKind, Observation, Place, PlaceKind, SessionKey, Stall, Tag,
    live::{Phase, StallView},
    milking::Finding,
    staff::Role,
};
use maud::{Markup, html};
use serde::Deserialize;
use ui::{
    Lang,
    components::{self, EmptyState, StallCard, StallState, breadcrumbs},
    fmt,
    icons::Icon,
};

use super::{Ctx, context::Done, names::animal_called};
use crate::{
    access::{Needs, Routes},
    address::to,
    app::Web,
    error::{Error, Reason},
    live::{Fragment, Topic},
    words::{self, t as w},
};

pub(crate) mod t {
    ui::texts! {
        morning = "Morning" / "সকাল";
        noon = "Noon" / "দুপুর";
        evening = "Evening" / "বিকাল";
        withheld = "On medicine: NOT in the tank. Milk her into the separate bucket." / "ওষুধ চলছে: দুধ ট্যাংকে দেবেন না। আলাদা বালতিতে দোহন করুন।";
        withheld_word = "Keep the milk out" / "ট্যাংকে নয়";
        who_is_it = "Which cow is this? Touch to say." / "এটি কোন গরু? ছুঁয়ে বলে দিন।";
        no_flow = "Milk has stopped. Check the cups, hose and vacuum." / "দুধ আসছে না। কাপ, নল ও ভ্যাকুয়াম দেখুন।";
        silent(time) = "The meter has not answered for {time}. Check its cable." / "মিটার {time} ধরে সাড়া দিচ্ছে না। তার দেখুন।";
        twice = "Milked already in this session." / "এই বেলায় আগেই দোহন হয়েছে।";
        two_tags = "Two tags were read. Touch to say which cow it is." / "দুটি ট্যাগ পাওয়া গেছে। কোন গরু, ছুঁয়ে বলে দিন।";
        swapped = "Her milk does not look like hers. Check the tag." / "দুধ এই গরুর মতো নয়। ট্যাগ মিলিয়ে দেখুন।";
        no_session = "No session yet" / "এখনো দোহন শুরু হয়নি";
        session_now(name, time) = "{name}, from {time}" / "{name}, {time} থেকে";
        in_stalls(n) = "{n} cow in the parlour" | "{n} cows in the parlour" / "দোহনশালায় {n}টি গরু";
        no_stalls = "No stalls yet" / "এখনো কোনো স্টল নেই";
        no_stalls_text = "Add the stalls and their meters on the Devices page." / "যন্ত্রপাতির পাতায় স্টল ও মিটার যোগ করুন।";
        choose_cow = "Which cow stands here?" / "এখানে কোন গরু?";
        find_cow = "Number, name or tag" / "নম্বর, নাম বা ট্যাগ";
        no_tag = "no tag" / "ট্যাগ নেই";
        cannot_tell = "This stall has no reader or meter that could take it. Assign the milk in the inbox afterwards." / "এই স্টলে রিডার বা মিটার নেই। দোহনের পরে মীমাংসা পাতায় গরু ঠিক করে দিন।";
    }
}

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .get(Needs::Role(Role::Worker), "/parlour", page)
        .get(Needs::Role(Role::Worker), "/parlour/{stall}", stall_page)
        .post(Needs::Role(Role::Worker), "/parlour/{stall}/cow", say_cow)
}

/// The parlour, with the names that belong to it.
struct View {
    stalls: Vec<StallView>,
    animals: HashMap<AnimalId, Animal>,
    session: Option<(SessionKey, Plan)>,
}

async fn view(farm: &Farm) -> Result<View, Error> {
    let parlour = farm.live().parlour();
    let known: Vec<AnimalId> = parlour.stalls.iter().filter_map(|s| s.animal).collect();
    let (places, plan, animals) = farm
        .read(move |conn| {
            let mut animals_by_id = HashMap::new();
            for id in known {
                if let Some(animal) = animals::get(conn, id)? {
                    animals_by_id.insert(id, animal);
                }
            }
            Ok::<_, farm::StoreError>((places::list(conn)?, plan::load(conn)?, animals_by_id))
        })
        .await?;
    let mut stalls = parlour.stalls;
    // Stalls that nothing has been heard of yet are empty ones.
    for stall in places.iter().filter_map(Place::stall) {
        if !stalls.iter().any(|s| s.stall == stall) {
            stalls.push(StallView::empty(stall));
        }
    }
    stalls.sort_by_key(|s| s.stall);
    Ok(View {
        stalls,
        animals,
        session: parlour.session.map(|key| (key, plan)),
    })
}

/// Every part of the page that changes.
pub(crate) async fn fragments(farm: &Farm, lang: Lang) -> Result<Vec<Fragment>, Error> {
    let view = view(farm).await?;
    let mut fragments = vec![Fragment::new("parlour-head", head(lang, &view))];
    for stall in &view.stalls {
        let card = card(lang, stall, &view.animals);
        fragments.push(Fragment::new(card.id.clone(), html! { (card) }));
    }
    Ok(fragments)
}

async fn page(ctx: Ctx) -> Result<Response, Error> {
    let lang = ctx.lang;
    let view = view(&ctx.web.farm).await?;
    let body = html! {
        h1 { (w::parlour(lang)) }
        (head(lang, &view))
        @if view.stalls.is_empty() {
            (EmptyState::new(Icon::Parlour, t::no_stalls(lang), t::no_stalls_text(lang)))
        } @else {
            @let cards: Vec<StallCard> = view.stalls.iter().map(|s| card(lang, s, &view.animals)).collect();
            (components::parlour(w::parlour(lang), &cards))
        }
    };
    let page = ctx
        .page(w::parlour(lang), &[Topic::Parlour])
        .wide()
        .body(body);
    Ok(page.render().into_response())
}

fn head(lang: Lang, view: &View) -> Markup {
    let busy = view
        .stalls
        .iter()
        .filter(|s| s.phase != Phase::Empty)
        .count();
    let session = match &view.session {
        Some((key, plan)) => session_name(lang, *key, plan),
        None => t::no_session(lang).to_owned(),
    };
    html! {
        p #parlour-head.lead { strong { (session) } " · " (t::in_stalls(lang, busy)) }
    }
}

/// What people call a session; its number when the plan has no name for it.
pub(crate) fn session_name(lang: Lang, key: SessionKey, plan: &Plan) -> String {
    plan.sessions
        .iter()
        .find(|s| s.number == key.number)
        .map_or_else(
            || w::session_number(lang, key.number),
            |s| said(lang, &s.name),
        )
}

/// The names that every farm gives its sessions, in the reader's language; others as they are.
fn said(lang: Lang, name: &str) -> String {
    let usual: [fn(Lang) -> &'static str; 3] = [t::morning, t::noon, t::evening];
    usual
        .iter()
        .find(|word| Lang::ALL.iter().any(|l| word(*l) == name))
        .map_or_else(|| name.to_owned(), |word| word(lang).to_owned())
}

/// What a stall shows.
fn card(lang: Lang, stall: &StallView, animals: &HashMap<AnimalId, Animal>) -> StallCard {
    let (state, word, message) = state(lang, stall);
    let animal = stall.animal.and_then(|id| animals.get(&id));
    let busy = stall.phase != Phase::Empty;
    StallCard {
        id: format!("stall-{}", stall.stall),
        number: fmt::int(lang, stall.stall.0.into()),
        state,
        word,
        cow: animal
            .map(|a| fmt::digits(lang, &a.number))
            .or_else(|| stall.tag.as_ref().map(|tag| short_tag(lang, tag))),
        name: animal
            .map(|a| animal_called(lang, a).to_owned())
            .filter(|n| !n.is_empty()),
        milk: busy.then(|| {
            (
                fmt::litres(lang, stall.yield_ml),
                ui::t::litre(lang).to_owned(),
            )
        }),
        flow: stall.flow_ml_min.filter(|_| busy).map(|ml| {
            // The scale ends at 6 L/min, above which few cows milk.
            let of_1000 = (ml.clamp(0, 6000) / 6) as u16;
            let text = w::value_with_unit(
                lang,
                fmt::decimal(lang, ml, 3, 1),
                w::unit_litre_minute(lang),
            );
            (of_1000, text)
        }),
        message,
        href: Some(to!("/parlour/{}", stall.stall)),
    }
}

/// State, word and message: the worst that is true of the stall.
fn state(lang: Lang, stall: &StallView) -> (StallState, String, Option<String>) {
    let has = |finding| stall.findings.contains(&finding);
    let phase = words::phase(lang, stall.phase).to_owned();
    if stall.withheld && stall.phase != Phase::Empty {
        let word = t::withheld_word(lang).to_owned();
        return (StallState::Alarm, word, Some(t::withheld(lang).to_owned()));
    }
    if stall.phase == Phase::NoFlow {
        return (
            StallState::Warning,
            phase,
            Some(t::no_flow(lang).to_owned()),
        );
    }
    if let Some(ms) = stall.silent_ms {
        let message = t::silent(lang, fmt::duration(lang, ms / 1000));
        return (StallState::Warning, phase, Some(message));
    }
    let nobody = stall.animal.is_none() && stall.yield_ml > 0 && stall.phase != Phase::Empty;
    let warning = if has(Finding::TwoIdentities) {
        Some(t::two_tags(lang))
    } else if has(Finding::MilkedTwice) {
        Some(t::twice(lang))
    } else if has(Finding::SwappedTag) {
        Some(t::swapped(lang))
    } else if nobody || has(Finding::UnknownTag) || has(Finding::Unidentified) {
        Some(t::who_is_it(lang))
    } else {
        None
    };
    let state = match (warning, stall.phase) {
        (Some(_), _) | (None, Phase::NoFlow) => StallState::Warning,
        (None, Phase::Empty) => StallState::Empty,
        (None, Phase::Waiting) => StallState::Waiting,
        (None, Phase::Milking) => StallState::Milking,
        (None, Phase::Finishing) => StallState::Finishing,
    };
    (state, phase, warning.map(str::to_owned))
}

/// The last digits of a tag: enough to compare with an ear.
pub(crate) fn short_tag(lang: Lang, tag: &Tag) -> String {
    let text = tag.to_string();
    let tail: String = text
        .chars()
        .skip(text.chars().count().saturating_sub(6))
        .collect();
    format!("…{}", fmt::digits(lang, &tail))
}

async fn stall_page(ctx: Ctx, Path(stall): Path<u16>) -> Result<Response, Error> {
    let lang = ctx.lang;
    let view = view(&ctx.web.farm).await?;
    let stall = view
        .stalls
        .iter()
        .find(|s| s.stall == Stall(stall))
        .ok_or(Reason::NotFound)?;
    let herd = ctx
        .web
        .farm
        .read(|conn| {
            let worn = animals::worn_tags(conn)?;
            Ok::<_, farm::StoreError>((animals::list(conn)?, worn))
        })
        .await?;
    let tagged: std::collections::HashSet<AnimalId> = herd.1.iter().map(|(_, a)| *a).collect();
    let cows = herd
        .0
        .iter()
        .filter(|a| a.status == farm_model::AnimalStatus::Lactating);
    let title = w::stall_number(lang, stall.stall.0);
    let mut shown = card(lang, stall, &view.animals);
    shown.href = None;
    let body = html! {
        (breadcrumbs(lang, &[components::Breadcrumb { label: w::parlour(lang).into(), href: to!("/parlour") }]))
        h1 { (title) }
        (shown)
        h2 { (t::choose_cow(lang)) }
        form.tile-form method="post" action=(to!("/parlour/{}/cow", stall.stall)) {
            div.tile-grid {
                @for cow in cows {
                    button.tile.parlour name="animal" value=(cow.id) disabled[!tagged.contains(&cow.id)] {
                        span.tile-text {
                            strong { (fmt::digits(lang, &cow.number)) }
                            small { (animal_called(lang, cow)) @if !tagged.contains(&cow.id) { " · " (t::no_tag(lang)) } }
                        }
                    }
                }
            }
        }
    };
    let page = ctx.page(&title, &[Topic::Parlour]).body(body);
    Ok(page.render().into_response())
}

#[derive(Deserialize)]
pub(crate) struct Cow {
    animal: AnimalId,
}

/// A person says which cow stands in a stall: the same as if the stall's reader had read her tag now.
async fn say_cow(
    State(web): State<Web>,
    Path(stall): Path<u16>,
    Form(cow): Form<Cow>,
) -> Result<Response, Error> {
    let found = web
        .farm
        .read(move |conn| {
            let tag = animals::worn_tags(conn)?
                .into_iter()
                .find(|(_, animal)| *animal == cow.animal)
                .map(|(tag, _)| tag);
            let place = places::find(conn, PlaceKind::Stall, &stall.to_string())?;
            let mut here: Vec<_> = devices::list(conn)?
                .into_iter()
                .filter(|d| d.place.is_some() && d.place == place.as_ref().map(|p| p.id))
                .collect();
            here.sort_by_key(|d| d.kind != DeviceKind::RfidReader);
            Ok::<_, farm::StoreError>(tag.zip(here.into_iter().next()))
        })
        .await?;
    let Some((tag, device)) = found else {
        return Err(Error::from(Reason::Conflict));
    };
    let observation = Observation {
        device: device.id,
        at: web.farm.clock().now(),
        body: Body::Identified { tag },
        raw: Vec::new(),
        key: None,
    };
    web.ingest.submit(vec![observation]).await?;
    Ok(Done::Saved.then(to!("/parlour")))
}
