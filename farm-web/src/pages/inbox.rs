//! The inbox: what a person must settle, each with the answers that are likely, one touch away.

use axum::{
    extract::{Form, Path, State},
    response::{IntoResponse, Response},
};
use farm::{
    Farm,
    alerts::AlertKind,
    animals::{self, Conflict, Said},
    findings,
    inbox::{self, Candidate, Inbox, Item},
    milkings::{self, VisitRow},
};
use farm_model::{AnimalId, Clock as _, Tag, UnixMillis, VisitId, staff::Role};
use jiff::tz::TimeZone;
use maud::{Markup, html};
use serde::Deserialize;
use ui::{
    Lang,
    components::{Badge, Button, Confirm, EmptyState, Field, time_ago},
    fmt,
    icons::Icon,
};

use super::{Ctx, alerts as alert_page, context::Done, context::waits, names::Names};
use crate::{
    access::{Needs, Routes},
    address::to,
    app::Web,
    auth::Me,
    error::Error,
    live::{Fragment, Topic},
    words::t as w,
};

pub(crate) mod t {
    ui::texts! {
        empty = "Nothing to settle" / "মীমাংসার কিছু নেই";
        empty_text = "Milk without a cow, unknown tags and silent devices come here." / "গরু ছাড়া দুধ, অচেনা ট্যাগ ও চুপ যন্ত্র এখানে আসে।";
        whose = "Whose milk was it?" / "কার দুধ ছিল?";
        usual(litres) = "usually {litres}" / "সাধারণত {litres}";
        tag_read = "her tag was read" / "তার ট্যাগ পড়া গেছে";
        other = "Another cow: number or tag" / "অন্য গরু: নম্বর বা ট্যাগ";
        assign = "It was she" / "এটিই সে";
        strike = "No milk of ours: strike it out" / "দুধই নয়: কেটে দিন";
        correct = "Correct" / "ঠিক করুন";
        strike_ask = "Strike this milk out?" / "এই দুধ কেটে দেবেন?";
        strike_text = "It leaves every sum. You can bring it back." / "কোনো হিসাবে থাকবে না। পরে ফিরিয়ে আনতে পারবেন।";
        register = "Register a new animal with this tag" / "এই ট্যাগে নতুন গরু যোগ করুন";
        keep_both = "Both are right" / "দুটিই ঠিক";
        conflict_tag = "One tag on several animals" / "এক ট্যাগ একাধিক গরুর";
        conflict_number = "One number for several animals" / "এক নম্বর একাধিক গরুর";
        conflict_do = "Open the animals and correct or join them." / "গরুগুলো খুলে ঠিক করুন বা এক করুন।";
        conflict_tag_do = "Say who wears it. It is taken off the others." / "ট্যাগটি কার, বলুন। অন্যদের থেকে খুলে নেওয়া হবে।";
        it_is_hers(animal) = "It is on {animal}" / "এটি {animal}-এর";
        gave_tag(animal) = "put it on {animal}" / "{animal}-কে পরিয়েছেন";
        gave_number(animal) = "wrote down {animal}" / "{animal}-এর তথ্য লিখেছেন";
        did_calving = "wrote down a calving" / "বাচ্চা দেওয়ার কথা লিখেছেন";
        did_treatment = "treated her" / "চিকিৎসা দিয়েছেন";
        did_milking = "milked her" / "দোহন করেছেন";
        did_dismiss = "ended the access" / "প্রবেশ বন্ধ করেছেন";
        did_work = "went on working" / "কাজ চালিয়ে গেছেন";
        tag_is(tag) = "Tag {tag}" / "ট্যাগ {tag}";
    }
}

pub(crate) fn routes(routes: Routes) -> Routes {
    let manager = Needs::Role(Role::Manager);
    routes
        .get(manager, "/inbox", page)
        .post(manager, "/inbox/{visit}/assign", assign)
        .post(manager, "/inbox/tags/{tag}/keep", keep_tag)
}

struct View {
    inbox: Inbox,
    names: Names,
    tz: TimeZone,
    now: UnixMillis,
}

async fn view(farm: &Farm) -> Result<View, Error> {
    let now = farm.clock().now().wall;
    Ok(farm
        .read(move |conn| {
            let mut inbox = inbox::inbox(conn)?;
            inbox.items.retain(|item| waits(item.alert.kind));
            Ok::<_, farm::StoreError>(View {
                inbox,
                names: Names::load(conn)?,
                tz: farm::settings::load(conn)?.tz(),
                now,
            })
        })
        .await?)
}

/// The whole list.
pub(crate) async fn fragments(farm: &Farm, lang: Lang) -> Result<Vec<Fragment>, Error> {
    let view = view(farm).await?;
    Ok(vec![Fragment::new("inbox-list", list(lang, &view))])
}

async fn page(ctx: Ctx) -> Result<Response, Error> {
    let lang = ctx.lang;
    let view = view(&ctx.web.farm).await?;
    let body = html! {
        h1 { (w::inbox(lang)) }
        (list(lang, &view))
    };
    let page = ctx.page(w::inbox(lang), &[Topic::Inbox]).body(body);
    Ok(page.render().into_response())
}

fn list(lang: Lang, view: &View) -> Markup {
    let Inbox { items, conflicts } = &view.inbox;
    html! {
        div #inbox-list {
            @if items.is_empty() && conflicts.is_empty() {
                (EmptyState::new(Icon::CheckRing, t::empty(lang), t::empty_text(lang)))
            }
            ul.alert-list {
                @for item in items { (entry(lang, item, view)) }
                @for conflict in conflicts { (conflict_entry(lang, conflict, view)) }
            }
        }
    }
}

fn entry(lang: Lang, item: &Item, view: &View) -> Markup {
    let alert = &item.alert;
    let (about, href) = alert_page::about(lang, alert, &view.names);
    html! {
        li.card.alert-card id={ "item-" (alert.id) } {
            p {
                (Badge::new(alert_page::tone(alert), alert_page::title(lang, alert.kind))) " "
                (time_ago(lang, alert.raised.0, view.now.0))
            }
            p {
                strong { @if let Some(href) = href { a href=(href) { (about) } } @else { (about) } }
                @if let Some(visit) = &item.visit {
                    @let at = visit.start.timestamp().to_zoned(view.tz.clone());
                    @let today = view.now.timestamp().to_zoned(view.tz.clone()).date();
                    " · " (fmt::date_time(lang, at.datetime(), today))
                }
            }
            @if let Some(tag) = item.visit.as_ref().and_then(|v| v.tag.as_ref()) {
                p { code { (t::tag_is(lang, fmt::digits(lang, &tag.to_string()))) } }
            }
            @if alert.kind.is_decision() { (decision(lang, item, view)) } @else { (other(lang, item, view)) }
        }
    }
}

/// What is not about whose milk it was: the advice, and that it is settled.
fn other(lang: Lang, item: &Item, view: &View) -> Markup {
    html! {
        p { (alert_page::advice(lang, &item.alert)) }
        (sides(lang, item, view))
        form method="post" action=(to!("/alerts/{}/settle", item.alert.id)) {
            input type="hidden" name="next" value=(to!("/inbox"));
            (Button::secondary(alert_page::t::settle(lang)).icon(Icon::Check))
        }
    }
}

/// Both sides of what a merge has shown: who did what, and when.
fn sides(lang: Lang, item: &Item, view: &View) -> Markup {
    let sides = findings::sides(&item.alert);
    let today = view.now.timestamp().to_zoned(view.tz.clone()).date();
    html! {
        @if !sides.is_empty() {
            ul {
                @for side in &sides {
                    @let at = side.at.timestamp().to_zoned(view.tz.clone());
                    li {
                        strong { (alert_page::who_is(lang, &side.actor, &view.names.staff)) } ": "
                        (deed(lang, &side.what)) " · " (fmt::date_time(lang, at.datetime(), today))
                    }
                }
            }
        }
    }
}

fn deed(lang: Lang, what: &str) -> &'static str {
    match what {
        "calving" => t::did_calving(lang),
        "treatment" => t::did_treatment(lang),
        "milking" => t::did_milking(lang),
        "staff.deactivate" => t::did_dismiss(lang),
        _ => t::did_work(lang),
    }
}

fn decision(lang: Lang, item: &Item, view: &View) -> Markup {
    let Some(visit) = &item.visit else {
        return other(lang, item, view);
    };
    let id = visit.id;
    let strike = Confirm {
        lang,
        id: format!("strike-{id}"),
        title: t::strike_ask(lang).into(),
        text: t::strike_text(lang).into(),
        deed: t::strike(lang).into(),
        action: to!("/milkings/{id}/void"),
        fields: vec![("next".into(), to!("/inbox"))],
    };
    html! {
        @if item.alert.kind.asks_whose() { (whose(lang, item, visit, view)) } @else { p { (alert_page::advice(lang, &item.alert)) } }
        div.actions {
            @match item.alert.kind {
                AlertKind::UnknownTag => {
                    @if let Some(tag) = &visit.tag {
                        span.changes { (Button::quiet(t::register(lang)).icon(Icon::Plus).href(to!("/herd/new?tag={tag}"))) }
                    }
                },
                AlertKind::MilkedTwice | AlertKind::SwappedTag => {
                    form method="post" action=(to!("/alerts/{}/settle", item.alert.id)) {
                        input type="hidden" name="next" value=(to!("/inbox"));
                        (Button::secondary(t::keep_both(lang)).icon(Icon::Check))
                    }
                },
                AlertKind::TooMuch => {
                    span.changes { (Button::primary(t::correct(lang)).icon(Icon::Edit).href(to!("/milkings/{id}"))) }
                },
                _ => {},
            }
            (Button::quiet(t::strike(lang)).icon(Icon::Bin).opens(format!("strike-{id}")))
        }
        (strike)
    }
}

/// Who it may have been, to choose from, and a field for any other.
fn whose(lang: Lang, item: &Item, visit: &VisitRow, view: &View) -> Markup {
    let id = visit.id;
    html! {
        h2 { (t::whose(lang)) }
        form method="post" action=(to!("/inbox/{id}/assign")) {
            div.tile-grid {
                @for candidate in &item.candidates { (candidate_tile(lang, candidate, &view.names)) }
            }
        }
        form.filters method="post" action=(to!("/inbox/{id}/assign")) {
            (Field::text(format!("other-{id}"), t::other(lang)).required())
            (Button::secondary(t::assign(lang)))
        }
    }
}

fn candidate_tile(lang: Lang, candidate: &Candidate, names: &Names) -> Markup {
    html! {
        button.tile name="animal" value=(candidate.animal) {
            span.tile-text {
                strong { (names.animal(lang, candidate.animal)) }
                small {
                    @if candidate.tag_read { (t::tag_read(lang)) " · " }
                    @if let Some(ml) = candidate.usual_ml { (t::usual(lang, fmt::litres_unit(lang, ml))) }
                }
            }
        }
    }
}

fn conflict_entry(lang: Lang, conflict: &Conflict, view: &View) -> Markup {
    match conflict {
        Conflict::Tag { tag, animals, said } => html! {
            li.card.alert-card {
                p { (Badge::new(ui::shell::Tone::Warn, t::conflict_tag(lang))) " " strong { (fmt::digits(lang, &tag.to_string())) } }
                p { (t::conflict_tag_do(lang)) }
                (who_said(lang, said, t::gave_tag, view))
                (involved(lang, animals, view))
                form.actions method="post" action=(to!("/inbox/tags/{tag}/keep")) {
                    @for id in animals {
                        button.button.secondary name="animal" value=(id) { (t::it_is_hers(lang, view.names.animal(lang, *id))) }
                    }
                }
            }
        },
        Conflict::Number {
            number,
            animals,
            said,
        } => html! {
            li.card.alert-card {
                p { (Badge::new(ui::shell::Tone::Warn, t::conflict_number(lang))) " " strong { (fmt::digits(lang, number)) } }
                p { (t::conflict_do(lang)) }
                (who_said(lang, said, t::gave_number, view))
                (involved(lang, animals, view))
            }
        },
    }
}

fn involved(lang: Lang, animals: &[AnimalId], view: &View) -> Markup {
    html! {
        ul.cluster {
            @for id in animals { li { a href=(to!("/herd/{id}")) { (view.names.animal(lang, *id)) } } }
        }
    }
}

/// Who gave each animal what several have, and when.
fn who_said(
    lang: Lang,
    said: &[Said],
    deed: impl Fn(Lang, String) -> String,
    view: &View,
) -> Markup {
    let today = view.now.timestamp().to_zoned(view.tz.clone()).date();
    html! {
        ul {
            @for one in said {
                @let at = one.at.timestamp().to_zoned(view.tz.clone());
                li {
                    strong { (alert_page::who_is(lang, &one.actor, &view.names.staff)) } ": "
                    (deed(lang, view.names.animal(lang, one.animal).to_string()))
                    " · " (fmt::date_time(lang, at.datetime(), today))
                }
            }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Wearer {
    animal: AnimalId,
}

async fn keep_tag(
    State(web): State<Web>,
    me: Me,
    Path(tag): Path<Tag>,
    Form(wearer): Form<Wearer>,
) -> Result<Response, Error> {
    web.farm
        .write(me.actor(), move |tx| {
            animals::keep_tag(tx, &tag, wearer.animal)
        })
        .await?;
    Ok(Done::Saved.then(to!("/inbox")))
}

#[derive(Deserialize)]
pub(crate) struct Answer {
    animal: Option<AnimalId>,
    /// The free field is named after its visit, so that each has its own label.
    #[serde(flatten)]
    typed: std::collections::HashMap<String, String>,
}

async fn assign(
    State(web): State<Web>,
    me: Me,
    Path(visit): Path<VisitId>,
    Form(answer): Form<Answer>,
) -> Result<Response, Error> {
    let typed = answer.typed.get(&format!("other-{visit}")).cloned();
    let done = web
        .farm
        .write(me.actor(), move |tx| {
            let animal = match (answer.animal, typed) {
                (Some(animal), _) => Some(animal),
                (None, Some(typed)) => animals::by_text(tx.conn(), &typed)?.map(|a| a.id),
                (None, None) => return Err(Error::invalid("animal: missing")),
            };
            let Some(animal) = animal else {
                return Ok(Done::NoSuchCow);
            };
            milkings::assign(tx, visit, animal)?;
            Ok(Done::Saved)
        })
        .await?;
    Ok(done.then(to!("/inbox")))
}
