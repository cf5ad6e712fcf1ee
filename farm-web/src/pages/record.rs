//! Recording milk by hand in three touches: the cow, the litres, save.
//!
//! The cow whose tag was read last stands first, then those not milked yet. A second milking in a session is refused with
//! the first one shown, and taken when the person says that it is meant.

use std::collections::HashMap;

use axum::{
    extract::{Form, Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use farm::{
    Farm, animals,
    animals::Animal,
    holds,
    milkings::{self, MilkError, RecordMilk, Repeat, Told, VisitRow},
    plan::{self, Plan},
    readings, settings,
    text::fold,
};
use farm_model::{
    AnimalId, AnimalStatus, Clock as _, Destination, Milli, SessionKey, UnixMillis, VisitId,
    staff::Role,
};
use maud::{Markup, html};
use serde::Deserialize;
use ui::{
    Lang,
    components::{
        Badge, Breadcrumb, Button, Choice, EmptyState, Field, Point, Select, Tiles, breadcrumbs,
        form_error, keypad, time_ago,
    },
    fmt,
    icons::Icon,
    shell::Tone,
};
use uuid::Uuid;

use super::{
    Ctx,
    context::Done,
    names::{animal_called, animal_name},
    parlour::session_name,
};
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
        choose = "Which cow?" / "কোন গরু?";
        just_read = "Last tag read" / "শেষ পড়া ট্যাগ";
        left(n) = "{n} cow left to milk" | "{n} cows left to milk" / "আরও {n}টি গরু বাকি";
        milked = "Milked" / "দোহন হয়েছে";
        find = "Number or name" / "নম্বর বা নাম";
        nobody = "No cow in milk" / "কোনো দুধেল গরু নেই";
        nobody_text = "Cows in milk stand here. Look at the herd." / "দুধেল গরু এখানে দেখা যাবে। পালের তালিকা দেখুন।";
        litres = "Litres" / "লিটার";
        save = "Save" / "লিখে রাখুন";
        where_to = "Where does the milk go?" / "দুধ কোথায় যাবে?";
        more = "Fat, session" / "ননি, বেলা";
        yield_bad = "Type the litres: between 0 and 80, such as 8.5." / "লিটার লিখুন: ০ থেকে ৮০-র মধ্যে, যেমন ৮.৫।";
        fat_bad = "Fat and solids lie between 0 and 15 percent." / "ননি ও কঠিন অংশ ০ থেকে ১৫ শতাংশ।";
        twice = "She was milked in this session already" / "এই বেলায় এই গরুর দোহন আগেই লেখা আছে";
        twice_text(litres, time) = "{litres} at {time}. If this is the same milk, do not save it again." / "{time}-এ {litres}। এটি একই দুধ হলে আবার লিখবেন না।";
        second = "It is a second milking: save" / "এটি দ্বিতীয় দোহন: লিখে রাখুন";
        withheld = "On medicine: her milk must not go into the tank." / "ওষুধ চলছে: এই দুধ ট্যাংকে দেবেন না।";
        not_milked = "This animal gives no milk here. Check the number, or her status." / "এই গরু দুধ দেয় না। নম্বর বা অবস্থা মিলিয়ে দেখুন।";
    }
}

pub(crate) fn routes(routes: Routes) -> Routes {
    let worker = Needs::Role(Role::Worker);
    routes
        .get_form(worker, "/record", page)
        .get_form(worker, "/record/{animal}", form_page)
        .post(worker, "/record/{animal}", save)
}

/// Tags older than this were not read for this milking.
const FRESH_MS: i64 = 10 * 60_000;

struct View {
    cows: Vec<Animal>,
    /// What each has given in this session so far.
    milked: HashMap<AnimalId, i64>,
    read: Option<(Animal, UnixMillis)>,
    session: SessionKey,
    plan: Plan,
    now: UnixMillis,
}

async fn view(farm: &Farm) -> Result<View, Error> {
    let now = farm.clock().now().wall;
    Ok(farm
        .read(move |conn| {
            let plan = plan::load(conn)?;
            let session = plan.session_at(now, &settings::load(conn)?.tz());
            let mut cows = animals::list(conn)?;
            cows.retain(|a| a.status == AnimalStatus::Lactating);
            let mut milked = HashMap::new();
            for (animal, visit) in milkings::in_session(conn, session)? {
                if let Some(visit) = milkings::get(conn, visit)? {
                    *milked.entry(animal).or_default() += visit.yield_ml;
                }
            }
            let newest = readings::last_tags(conn)?.into_iter().next();
            let read = match newest.filter(|t| now.since(t.at) < FRESH_MS) {
                Some(last) => animals::by_tag(conn, &last.tag)?.map(|a| (a, last.at)),
                None => None,
            };
            Ok::<_, farm::StoreError>(View {
                cows,
                milked,
                read,
                session,
                plan,
                now,
            })
        })
        .await?)
}

/// The suggestion and the tiles.
pub(crate) async fn fragments(farm: &Farm, lang: Lang) -> Result<Vec<Fragment>, Error> {
    let view = view(farm).await?;
    Ok(vec![
        Fragment::new("record-read", suggestion(lang, &view)),
        Fragment::new("record-left", left(lang, &view)),
    ])
}

#[derive(Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    q: String,
}

async fn page(ctx: Ctx, Query(wanted): Query<Wanted>) -> Result<Response, Error> {
    let lang = ctx.lang;
    let view = view(&ctx.web.farm).await?;
    let body = html! {
        h1 { (t::choose(lang)) }
        (suggestion(lang, &view))
        (left(lang, &view))
        form.filters method="get" action=(to!("/record")) role="search" data-enhance="#record-cows" data-instant {
            (Field::search("q", t::find(lang)).value(&wanted.q))
            (Button::secondary(ui::t::search(lang)).icon(Icon::Search))
        }
        (tiles(lang, &view, &wanted.q))
    };
    let page = ctx.page(w::record_milk(lang), &[Topic::Record]).body(body);
    Ok(page.render().into_response())
}

fn suggestion(lang: Lang, view: &View) -> Markup {
    html! {
        div #record-read {
            @if let Some((cow, at)) = &view.read {
                a.tile.parlour-tile href=(to!("/record/{}", cow.id)) {
                    (Icon::Tag)
                    span.tile-text {
                        small { (t::just_read(lang)) " · " (time_ago(lang, at.0, view.now.0)) }
                        strong { (animal_name(lang, cow)) }
                    }
                }
            }
        }
    }
}

fn left(lang: Lang, view: &View) -> Markup {
    let left = view
        .cows
        .iter()
        .filter(|c| !view.milked.contains_key(&c.id))
        .count();
    html! {
        p #record-left.lead {
            strong { (session_name(lang, view.session, &view.plan)) } " · " (t::left(lang, left))
        }
    }
}

fn tiles(lang: Lang, view: &View, wanted: &str) -> Markup {
    let wanted = fold(wanted);
    let found = |cow: &&Animal| {
        wanted.is_empty()
            || [&cow.number, &cow.name, &cow.name_en]
                .iter()
                .any(|text| fold(text).contains(&wanted))
    };
    let mut cows: Vec<&Animal> = view.cows.iter().filter(found).collect();
    cows.sort_by_key(|cow| view.milked.contains_key(&cow.id));
    html! {
        div #record-cows {
            @if cows.is_empty() {
                (EmptyState::new(Icon::Cow, t::nobody(lang), t::nobody_text(lang)))
            }
            div.tile-grid.parlour {
                @for cow in cows {
                    a.tile href=(to!("/record/{}", cow.id)) {
                        span.tile-text {
                            strong { (fmt::digits(lang, &cow.number)) }
                            small { (animal_called(lang, cow)) }
                        }
                        @if let Some(ml) = view.milked.get(&cow.id) {
                            (Badge::new(Tone::Good, fmt::litres_unit(lang, *ml)))
                        }
                    }
                }
            }
        }
    }
}

/// What the form holds, as it was typed.
#[derive(Deserialize, Default)]
pub(crate) struct Typed {
    #[serde(default)]
    key: String,
    #[serde(default)]
    litres: String,
    #[serde(default)]
    fat: String,
    #[serde(default)]
    snf: String,
    #[serde(default)]
    destination: String,
    #[serde(default)]
    session: String,
    #[serde(default)]
    repeat: String,
}

struct Cow {
    animal: Animal,
    held: bool,
    sessions: Vec<SessionKey>,
    plan: Plan,
}

async fn cow(ctx: &Ctx, id: AnimalId) -> Result<Cow, Error> {
    let (now, tz) = (ctx.now, ctx.tz());
    ctx.web
        .farm
        .read(move |conn| {
            let animal = animals::get(conn, id)?.ok_or(Reason::NotFound)?;
            let plan = plan::load(conn)?;
            // This session and the two before it: what somebody may still have on paper.
            let mut sessions = vec![plan.session_at(now.wall, &tz)];
            for _ in 0..2 {
                if let Some(last) = sessions.last() {
                    sessions.push(before(*last, &plan));
                }
            }
            Ok(Cow {
                held: holds::milk_is_held(conn, animal.id, &now)?,
                animal,
                sessions,
                plan,
            })
        })
        .await
}

/// The session before `key` in the plan.
fn before(key: SessionKey, plan: &Plan) -> SessionKey {
    let earlier = plan.sessions.iter().rev().find(|s| s.number < key.number);
    match (earlier, plan.sessions.last()) {
        (Some(s), _) => SessionKey {
            number: s.number,
            ..key
        },
        (None, last) => SessionKey {
            date: key.date.yesterday().unwrap_or(key.date),
            number: last.map_or(1, |s| s.number),
        },
    }
}

async fn form_page(ctx: Ctx, Path(id): Path<AnimalId>) -> Result<Response, Error> {
    let cow = cow(&ctx, id).await?;
    let typed = Typed {
        key: Uuid::now_v7().to_string(),
        ..Typed::default()
    };
    Ok(draw(&ctx, &cow, &typed, None).into_response())
}

/// Why the form is shown again.
enum Trouble {
    /// The litres cannot be taken.
    Litres(&'static str),
    /// Fat or solids cannot be taken.
    Percent(&'static str),
    /// It cannot be recorded at all.
    Form(&'static str),
    /// It may be the same milk as this.
    Twice(Box<VisitRow>),
}

fn draw(ctx: &Ctx, cow: &Cow, typed: &Typed, trouble: Option<&Trouble>) -> Markup {
    let lang = ctx.lang;
    let name = animal_name(lang, &cow.animal);
    let twice = matches!(trouble, Some(Trouble::Twice(_)));
    let litres = Field::decimal("litres", t::litres(lang))
        .unit(ui::t::litre(lang))
        .value(&typed.litres)
        .error(match trouble {
            Some(Trouble::Litres(text)) => Some((*text).to_owned()),
            _ => None,
        });
    let litres = litres.big().required().autofocus();
    let body = html! {
        div.form-head {
            (breadcrumbs(lang, &[Breadcrumb { label: t::choose(lang).into(), href: to!("/record") }]))
            h1 { (name) }
        }
        @if cow.held {
            div.flash.bad role="alert" data-alarm="held" { (Icon::Stop) p { (t::withheld(lang)) } }
        }
        @match trouble {
            Some(Trouble::Form(text)) => (form_error(text)),
            Some(Trouble::Twice(visit)) => (already(ctx, visit)),
            Some(Trouble::Litres(_) | Trouble::Percent(_)) | None => {},
        }
        form.form.record method="post" novalidate data-once action=(to!("/record/{}", cow.animal.id)) {
            input type="hidden" name="key" value=(typed.key);
            (litres)
            (keypad(lang, "litres", Point::With))
            @if twice {
                (Button::danger(t::second(lang)).submits("repeat", "yes").big().wide())
            } @else {
                (Button::primary(t::save(lang)).icon(Icon::Check).big().wide())
            }
            (destination_tiles(lang, typed, cow.held))
            (more(lang, typed, cow, trouble))
        }
    };
    ctx.page(&name, &[]).focused().body(body).render()
}

fn destination_tiles(lang: Lang, typed: &Typed, held: bool) -> Markup {
    let choices = if held {
        vec![Destination::Withheld, Destination::Discarded]
    } else {
        vec![Destination::Tank, Destination::Discarded]
    };
    let chosen = destination_of(&typed.destination)
        .filter(|d| choices.contains(d))
        .unwrap_or(choices[0]);
    let choices = choices
        .into_iter()
        .map(|d| Choice::new(destination_key(d), words::destination(lang, d)))
        .collect();
    html! { (Tiles::new("destination", t::where_to(lang), choices).chosen(destination_key(chosen))) }
}

pub(crate) fn destination_key(destination: Destination) -> &'static str {
    match destination {
        Destination::Tank => "tank",
        Destination::Withheld => "withheld",
        Destination::Discarded => "discarded",
    }
}

pub(crate) fn destination_of(key: &str) -> Option<Destination> {
    match key {
        "tank" => Some(Destination::Tank),
        "withheld" => Some(Destination::Withheld),
        "discarded" => Some(Destination::Discarded),
        _ => None,
    }
}

fn more(lang: Lang, typed: &Typed, cow: &Cow, trouble: Option<&Trouble>) -> Markup {
    let sessions = cow
        .sessions
        .iter()
        .map(|key| {
            let name = session_name(lang, *key, &cow.plan);
            let day = fmt::day(lang, key.date, cow.sessions[0].date);
            let label = format!("{day}, {name}");
            Choice::new(format!("{}/{}", key.date, key.number), label)
        })
        .collect();
    let wrong = |typed: &str| match trouble {
        Some(Trouble::Percent(text)) if percent(typed).is_err() => Some((*text).to_owned()),
        _ => None,
    };
    html! {
        details open[matches!(trouble, Some(Trouble::Percent(_)))] {
            summary.button.quiet { (t::more(lang)) }
            div.form {
                (Select::new("session", w::session(lang), sessions).chosen(&typed.session))
                (Field::decimal("fat", words::t::quantity_fat(lang)).unit("%").value(&typed.fat).error(wrong(&typed.fat)))
                (Field::decimal("snf", words::t::quantity_snf(lang)).unit("%").value(&typed.snf).error(wrong(&typed.snf)))
            }
        }
    }
}

fn already(ctx: &Ctx, visit: &VisitRow) -> Markup {
    let lang = ctx.lang;
    let time = fmt::time(lang, ctx.local(visit.start).time());
    html! {
        div.flash.warn role="alert" {
            (Icon::Warning)
            div {
                p { strong { (t::twice(lang)) } }
                p { a href=(to!("/milkings/{}", visit.id)) { (t::twice_text(lang, fmt::litres_unit(lang, visit.yield_ml), time)) } }
            }
        }
    }
}

async fn save(
    State(web): State<Web>,
    ctx: Ctx,
    Path(id): Path<AnimalId>,
    Form(typed): Form<Typed>,
) -> Result<Response, Error> {
    let lang = ctx.lang;
    let cow = cow(&ctx, id).await?;
    let again = |trouble: Trouble| {
        let page = draw(&ctx, &cow, &typed, Some(&trouble));
        Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
    };
    let Ok(yield_ml) = fmt::parse_decimal(&typed.litres, 3) else {
        return again(Trouble::Litres(t::yield_bad(lang)));
    };
    let (Ok(fat), Ok(snf)) = (percent(&typed.fat), percent(&typed.snf)) else {
        return again(Trouble::Percent(t::fat_bad(lang)));
    };
    let command = RecordMilk {
        key: typed.key.clone(),
        animal: cow.animal.id,
        session: session_of(&typed.session, &cow.sessions),
        yield_ml,
        fat,
        snf,
        destination: destination_of(&typed.destination).unwrap_or(Destination::Tank),
        repeat: if typed.repeat == "yes" {
            Repeat::Confirmed
        } else {
            Repeat::Refuse
        },
    };
    let told = web
        .farm
        .write(ctx.me.actor(), move |tx| {
            milkings::record_by_hand(tx, &command)
        })
        .await;
    match told {
        Ok(Told::Known(id)) if visit(&web, id).await?.yield_ml != yield_ml => {
            Ok(Done::KeptBefore.then(to!("/milkings/{id}")))
        }
        Ok(told) => Ok(Done::Milked(told.visit()).then(to!("/record"))),
        Err(MilkError::AlreadyMilked(other)) => {
            let visit = visit(&web, other).await?;
            again(Trouble::Twice(Box::new(visit)))
        }
        Err(MilkError::Yield) => again(Trouble::Litres(t::yield_bad(lang))),
        Err(MilkError::NotMilked) => again(Trouble::Form(t::not_milked(lang))),
        Err(error) => Err(error.into()),
    }
}

/// A visit that exists.
pub(crate) async fn visit(web: &Web, id: VisitId) -> Result<VisitRow, Error> {
    web.farm
        .read(move |conn| milkings::get(conn, id))
        .await?
        .ok_or_else(|| Reason::NotFound.into())
}

fn session_of(typed: &str, sessions: &[SessionKey]) -> SessionKey {
    sessions
        .iter()
        .find(|key| format!("{}/{}", key.date, key.number) == typed)
        .copied()
        .unwrap_or(sessions[0])
}

/// A percentage between 0 and 15, if one was typed.
fn percent(typed: &str) -> Result<Option<Milli>, ()> {
    match fmt::parse_decimal(typed, 3) {
        Ok(milli) if (1..=15_000).contains(&milli) => Ok(Some(Milli(milli))),
        Err(fmt::NumberError::Empty) => Ok(None),
        _ => Err(()),
    }
}

impl From<MilkError> for Error {
    fn from(error: MilkError) -> Self {
        let reason = match error {
            MilkError::Store(error) => return error.into(),
            MilkError::UnknownAnimal | MilkError::UnknownVisit | MilkError::UnknownSession(_) => {
                Reason::NotFound
            }
            MilkError::AlreadyMilked(_) => Reason::MilkedAlready,
            MilkError::Voided | MilkError::NothingToUndo | MilkError::NoChange => Reason::Conflict,
            MilkError::NotMilked | MilkError::Yield | MilkError::Future => Reason::Invalid,
        };
        Self::from(reason).detail(error.to_string())
    }
}
