//! One milk record: its figures, everything that was ever said of it, and the ways to put it right.
//!
//! A worker may change what she or he wrote; a manager anything. Nothing is lost: each change is a later word that can be
//! taken back.

use axum::{extract::Path, response::Response};
use farm::{
    Actor,
    animals::{self, Animal},
    devices,
    milkings::{self, Correction, MilkError, VisitRow, What, Word},
    plan::{self, Plan},
    staff::{self, Staff},
};
use farm_model::{Destination, Device, Quantity, VisitId, staff::Role};
use maud::{Markup, html};
use ui::{
    components::{
        Breadcrumb, Button, Choice, Confirm, Event, Field, Tiles, breadcrumbs, facts, page_head,
        section, timeline,
    },
    fmt,
    icons::Icon,
    shell::Tone,
};

use crate::{
    access::{Needs, Routes},
    address::{own, to},
    auth::Me,
    error::{Error, Reason},
    pages::{
        Ctx, alerts::who_is, context::Done, names::animal_name, parlour::session_name, typed::Typed,
    },
    words::{self, t as w},
};

pub(crate) mod t {
    ui::texts! {
        struck = "This record was struck out and counts nowhere." / "এই লেখাটি কেটে দেওয়া হয়েছে, কোনো হিসাবে ধরা হয় না।";
        bring_back = "Bring it back" / "ফিরিয়ে আনুন";
        duration = "Duration" / "সময় লেগেছে";
        mean_flow = "Mean flow" / "গড় প্রবাহ";
        peak_flow = "Highest flow" / "সর্বোচ্চ প্রবাহ";
        destination = "Where it went" / "দুধ কোথায় গেছে";
        findings = "Remarks" / "মন্তব্য";
        measured_by = "Measured by" / "মেপেছে";
        written_by = "Written down by" / "লিখেছেন";
        history = "What was said of it" / "যা যা লেখা হয়েছে";
        recorded = "Recorded" / "লেখা হয়েছে";
        assigned(cow) = "Cow: {cow}" / "গরু: {cow}";
        corrected = "Corrected" / "সংশোধন";
        voided = "Struck out" / "কেটে দেওয়া";
        undone = "Taken back" / "ফিরিয়ে নেওয়া";
        correct = "Correct it" / "সংশোধন করুন";
        why = "Why?" / "কেন?";
        strike = "Strike it out" / "কেটে দিন";
        strike_ask = "Strike out this record?" / "লেখাটি কেটে দেবেন?";
        strike_text = "The milk no longer counts for the cow or the tank. You can bring the record back." / "এই দুধ গরু বা ট্যাংকের হিসাবে আর ধরা হবে না। চাইলে লেখাটি ফিরিয়ে আনা যাবে।";
        no_yield = "A milking gives between 0 and 80 litres. Check the figure." / "একবারে ০ থেকে ৮০ লিটার হয়। সংখ্যাটি মিলিয়ে দেখুন।";
        no_change = "Nothing is different yet. Change the litres, or go back." / "কিছুই বদলায়নি। লিটার বদলান, নয়তো ফিরে যান।";
        doubtful = "She was on medicine between the time written down and the writing. A manager who is certain of the time may put the milk into the tank." / "লেখা সময় আর লেখার মাঝে ওষুধ চলছিল। সময়টি নিশ্চিত হলে ম্যানেজার দুধ ট্যাংকে দিতে পারেন।";
        ask_manager = "Ask a manager: only who is certain of the time may put this milk into the tank." / "ম্যানেজারকে বলুন: সময় নিশ্চিত হলে তবেই এই দুধ ট্যাংকে দেওয়া যায়।";
        held = "She is on medicine, so her milk stays out of the tank whatever is chosen." / "ওষুধ চলছে, তাই যা-ই বাছুন দুধ ট্যাংকের বাইরে ধরা হবে।";
    }
}

pub(super) fn routes(routes: Routes) -> Routes {
    let worker = Needs::Role(Role::Worker);
    routes
        .get(worker, "/milkings/{id}", page)
        .post(worker, "/milkings/{id}", correct)
        .post(worker, "/milkings/{id}/void", void)
        .post(worker, "/milkings/{id}/restore", restore)
}

struct View {
    visit: VisitRow,
    animal: Option<Animal>,
    meter: Option<Device>,
    words: Vec<Word>,
    plan: Plan,
    staff: Vec<Staff>,
    /// Whether its milk stays out of the tank, whatever is chosen.
    stays_out: bool,
}

async fn view(ctx: &Ctx, id: VisitId) -> Result<View, Error> {
    ctx.web
        .farm
        .read(move |conn| {
            let Some(visit) = milkings::get(conn, id)? else {
                return Ok::<_, farm::StoreError>(None);
            };
            let animal = visit
                .animal
                .map(|a| animals::get(conn, a))
                .transpose()?
                .flatten();
            let meter = visit
                .meter
                .map(|m| devices::get(conn, m))
                .transpose()?
                .flatten();
            Ok(Some(View {
                animal,
                meter,
                words: milkings::history(conn, id)?,
                plan: plan::load(conn)?,
                staff: staff::list(conn)?,
                stays_out: milkings::stays_out(conn, &visit)?,
                visit,
            }))
        })
        .await?
        .ok_or_else(|| Reason::NotFound.into())
}

/// Whether `me` may change the record of which `words` were said: a manager may, and who wrote it.
fn may(me: &Me, words: &[Word]) -> bool {
    let wrote = |word: &Word| {
        word.what == What::Recorded && Actor::from_stored(&word.actor).is(&me.actor())
    };
    me.may(Role::Manager) || me.may(Role::Worker) && words.iter().any(wrote)
}

async fn page(ctx: Ctx, Path(id): Path<VisitId>) -> Result<Response, Error> {
    let view = view(&ctx, id).await?;
    let typed = Typed::filled([
        ("litres", fmt::decimal(ctx.lang, view.visit.yield_ml, 3, 2)),
        ("destination", key(view.visit.destination).to_owned()),
    ]);
    Ok(draw(&ctx, &view, &typed))
}

fn draw(ctx: &Ctx, view: &View, typed: &Typed) -> Response {
    let (lang, visit) = (ctx.lang, &view.visit);
    let cow = match &view.animal {
        Some(animal) => animal_name(lang, animal),
        None => super::t::no_cow(lang).to_owned(),
    };
    let title = format!("{cow}: {}", fmt::litres_unit(lang, visit.yield_ml));
    let at = fmt::date_time(lang, ctx.local(visit.start).datetime(), ctx.today());
    let when = format!("{at} · {}", session_name(lang, visit.session, &view.plan));
    let body = html! {
        (breadcrumbs(lang, &[Breadcrumb { label: w::milkings(lang).into(), href: to!("/milkings") }]))
        (page_head(&title, &when, &super::marks(lang, visit)))
        @if visit.voided { (struck(ctx, view)) }
        div.split {
            div.flow {
                (figures(ctx, view))
                (section(t::history(lang), &history(ctx, view)))
            }
            @if !visit.voided && may(&ctx.me, &view.words) { (section(t::correct(lang), &form(ctx, view, typed))) }
        }
        @if !visit.voided && may(&ctx.me, &view.words) { (confirm(ctx, visit.id)) }
    };
    typed.answer(ctx.page(&title, &[]).body(body).render())
}

fn struck(ctx: &Ctx, view: &View) -> Markup {
    let lang = ctx.lang;
    html! {
        div.flash.warn {
            (Icon::Cross) p { (t::struck(lang)) }
            @if may(&ctx.me, &view.words) {
                form method="post" action=(to!("/milkings/{}/restore", view.visit.id)) {
                    (Button::secondary(t::bring_back(lang)).icon(Icon::Undo))
                }
            }
        }
    }
}

fn figures(ctx: &Ctx, view: &View) -> Markup {
    let (lang, visit) = (ctx.lang, &view.visit);
    let mut items: Vec<(&str, Markup)> = Vec::new();
    if let Some(animal) = &view.animal {
        items.push((
            w::animal(lang),
            html! { a href=(to!("/herd/{}", animal.id)) { (animal_name(lang, animal)) } },
        ));
    }
    items.push((
        w::milk(lang),
        html! { (fmt::litres_unit(lang, visit.yield_ml)) },
    ));
    items.push((
        t::destination(lang),
        html! { (words::destination(lang, visit.destination)) },
    ));
    if let Some(stall) = visit.stall {
        items.push((
            super::t::stall(lang),
            html! { (fmt::int(lang, stall.0.into())) },
        ));
    }
    let seconds = visit.end.since(visit.start) / 1000;
    if seconds > 0 {
        items.push((t::duration(lang), html! { (fmt::duration(lang, seconds)) }));
    }
    for (label, flow) in [
        (t::mean_flow(lang), visit.avg_flow_ml_min),
        (t::peak_flow(lang), visit.peak_flow_ml_min),
    ] {
        if let Some(ml) = flow {
            items.push((
                label,
                html! { (words::value(lang, Quantity::MilkFlow, farm_model::Milli(ml))) },
            ));
        }
    }
    for (quantity, value) in [
        (Quantity::Fat, visit.fat),
        (Quantity::Snf, visit.snf),
        (Quantity::Conductivity, visit.conductivity),
    ] {
        if let Some(value) = value {
            items.push((
                words::quantity(lang, quantity),
                html! { (words::value(lang, quantity, value)) },
            ));
        }
    }
    if let Some(tag) = &visit.tag {
        items.push((
            w::tag(lang),
            html! { span.tag-number { (fmt::digits(lang, &tag.to_string())) } },
        ));
    }
    if let Some(meter) = &view.meter {
        items.push((t::measured_by(lang), html! { (meter.name) }));
    }
    if let Some(person) = visit
        .recorded_by
        .and_then(|id| view.staff.iter().find(|s| s.id == id))
    {
        items.push((t::written_by(lang), html! { (person.name) }));
    }
    facts(&items)
}

fn history(ctx: &Ctx, view: &View) -> Markup {
    let lang = ctx.lang;
    let entry = |word: &Word| {
        let (icon, what) = match word.what {
            What::Recorded => (Icon::Drop, t::recorded(lang).to_owned()),
            What::Assigned => {
                let cow = view.animal.as_ref().filter(|a| word.animal == Some(a.id));
                let cow = cow.map_or_else(|| w::unknown(lang).to_owned(), |a| animal_name(lang, a));
                (Icon::Cow, t::assigned(lang, cow))
            }
            What::Corrected => (Icon::Edit, t::corrected(lang).to_owned()),
            What::Voided => (Icon::Cross, t::voided(lang).to_owned()),
            What::Undone => (Icon::Undo, t::undone(lang).to_owned()),
        };
        let text = match word.yield_ml {
            Some(ml) => format!("{what}: {}", fmt::litres_unit(lang, ml)),
            None => what,
        };
        Event {
            when: html! {
                (fmt::date_time(lang, ctx.local(word.at).datetime(), ctx.today())) " · " (who_is(lang, &word.actor, &view.staff))
            },
            icon,
            tone: if word.undone {
                Tone::Neutral
            } else {
                Tone::Info
            },
            title: if word.undone {
                html! { s { (text) } }
            } else {
                html! { (text) }
            },
            body: word.reason.as_ref().map(|why| html! { p { (why) } }),
        }
    };
    let entries: Vec<Event> = view.words.iter().rev().map(entry).collect();
    timeline(&entries)
}

fn form(ctx: &Ctx, view: &View, typed: &Typed) -> Markup {
    let (lang, visit) = (ctx.lang, &view.visit);
    let choices = [
        Destination::Tank,
        Destination::Withheld,
        Destination::Discarded,
    ]
    .map(|d| Choice::new(key(d), words::destination(lang, d)))
    .to_vec();
    let litres = Field::decimal("litres", w::milk(lang))
        .unit(w::litres(lang))
        .required();
    html! {
        form.form method="post" action=(to!("/milkings/{}", visit.id)) {
            (typed.faults(lang))
            (typed.field("litres", litres))
            (typed.tiles("destination", Tiles::new("destination", t::destination(lang), choices)))
            @if visit.destination == Destination::Withheld {
                p.hint { @if view.stays_out { (t::held(lang)) } @else { (t::doubtful(lang)) } }
            }
            (typed.field("why", Field::text("why", t::why(lang))))
            div.actions {
                (Button::primary(t::correct(lang)).icon(Icon::Check))
                (Button::quiet(t::strike(lang)).icon(Icon::Bin).opens("strike"))
            }
        }
    }
}

fn confirm(ctx: &Ctx, id: VisitId) -> Markup {
    let lang = ctx.lang;
    let confirm = Confirm {
        lang,
        id: "strike".into(),
        title: t::strike_ask(lang).into(),
        text: t::strike_text(lang).into(),
        deed: t::strike(lang).into(),
        action: to!("/milkings/{id}/void"),
        fields: vec![("next".into(), to!("/milkings"))],
    };
    html! { (confirm) }
}

fn key(destination: Destination) -> &'static str {
    match destination {
        Destination::Tank => "tank",
        Destination::Withheld => "withheld",
        Destination::Discarded => "discarded",
    }
}

fn destination_of(key: &str) -> Option<Destination> {
    match key {
        "tank" => Some(Destination::Tank),
        "withheld" => Some(Destination::Withheld),
        "discarded" => Some(Destination::Discarded),
        _ => None,
    }
}

async fn correct(ctx: Ctx, Path(id): Path<VisitId>, mut typed: Typed) -> Result<Response, Error> {
    let lang = ctx.lang;
    let view = view(&ctx, id).await?;
    if !may(&ctx.me, &view.words) {
        return Err(Reason::Forbidden.into());
    }
    let yield_ml = typed.number(lang, "litres", 3);
    let destination = typed.choice(lang, "destination", destination_of);
    let reason = typed.line(lang, "why");
    if yield_ml.is_none() {
        typed.wrong("litres", t::no_yield(lang));
    }
    let releases = view.visit.destination == Destination::Withheld
        && destination == Some(Destination::Tank)
        && !view.stays_out;
    if releases && ctx.me.role < Role::Manager {
        typed.wrong("destination", t::ask_manager(lang));
    }
    let (Some(yield_ml), Some(destination), true) = (yield_ml, destination, typed.is_right())
    else {
        return Ok(draw(&ctx, &view, &typed));
    };
    let correction = Correction {
        yield_ml,
        destination,
        reason,
    };
    let done = ctx
        .web
        .farm
        .write(ctx.me.actor(), move |tx| {
            milkings::correct(tx, id, &correction)
        })
        .await;
    match done {
        Ok(_) => return Ok(Done::Saved.then(to!("/milkings/{id}"))),
        Err(MilkError::Yield) => typed.wrong("litres", t::no_yield(lang)),
        Err(MilkError::NoChange) => typed.refuse(t::no_change(lang)),
        Err(error) => return Err(error.into()),
    }
    Ok(draw(&ctx, &view, &typed))
}

async fn allowed(ctx: &Ctx, id: VisitId) -> Result<VisitRow, Error> {
    let View { visit, words, .. } = view(ctx, id).await?;
    if may(&ctx.me, &words) {
        Ok(visit)
    } else {
        Err(Reason::Forbidden.into())
    }
}

async fn void(ctx: Ctx, Path(id): Path<VisitId>, typed: Typed) -> Result<Response, Error> {
    allowed(&ctx, id).await?;
    ctx.web
        .farm
        .write(ctx.me.actor(), move |tx| milkings::void(tx, id, None))
        .await?;
    Ok(Done::Voided(id).then(next(&typed)))
}

async fn restore(ctx: Ctx, Path(id): Path<VisitId>, typed: Typed) -> Result<Response, Error> {
    if !allowed(&ctx, id).await?.voided {
        return Err(Reason::Conflict.into());
    }
    ctx.web
        .farm
        .write(ctx.me.actor(), move |tx| milkings::undo(tx, id))
        .await?;
    match typed.text("next") {
        "" => Ok(Done::Undone.then(to!("/milkings/{id}"))),
        _ => Ok(Done::Undone.then(next(&typed))),
    }
}

fn next(typed: &Typed) -> String {
    match typed.text("next") {
        "" => to!("/milkings"),
        address => own(address),
    }
}
