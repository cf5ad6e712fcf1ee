//! One animal that is in the register twice: found by number or tag, and joined so that nothing of either is lost.

use axum::{
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
};
use farm::animals::{self, Animal, Conflict, HerdFilter, HerdSort, SortOrder};
use farm_model::{AnimalId, staff::Role};
use maud::{Markup, html};
use serde::Deserialize;
use ui::{
    Lang,
    components::{Breadcrumb, Button, Choice, EmptyState, Field, Tiles, breadcrumbs, page_head},
    fmt,
    icons::Icon,
};

use crate::{
    access::{Needs, Routes},
    address::to,
    app::Web,
    auth::Me,
    error::{Error, Reason},
    pages::{
        Ctx,
        context::Done,
        names::{animal_called, animal_name},
        typed::Typed,
    },
    words::t as w,
};

pub(crate) mod t {
    ui::texts! {
        title = "There twice" / "একাধিকবার লেখা";
        text = "Two phones have given one number or tag to several animals. If it is one animal, join the entries; if not, change the number or tag of one." / "একই নম্বর বা ট্যাগ একাধিক পশুর নামে লেখা হয়েছে। আসলে একটিই পশু হলে খাতা দুটি এক করুন; না হলে একটির নম্বর বা ট্যাগ বদলান।";
        none = "Nothing is there twice" / "কিছুই একাধিকবার লেখা নেই";
        none_text = "When a number or tag belongs to several animals, it stands here." / "কোনো নম্বর বা ট্যাগ একাধিক পশুর নামে থাকলে এখানে দেখা যাবে।";
        one_tag(tag) = "Tag {tag}" / "ট্যাগ {tag}";
        one_number(number) = "Number {number}" / "নম্বর {number}";
        join = "Join with another entry" / "আরেকটি খাতার সঙ্গে এক করুন";
        which = "Which entry is the same animal?" / "কোন খাতাটি একই পশুর?";
        which_text(name) = "Milk, events and tags of {name} move to the entry that you choose, and {name} disappears from the herd. This cannot be undone." / "{name}-এর দুধ, ঘটনা ও ট্যাগ আপনার বাছাই করা খাতায় চলে যাবে, আর {name} পাল থেকে মুছে যাবে। এটি আর ফেরানো যাবে না।";
        find = "Find" / "খুঁজুন";
        stays = "The entry that stays" / "যে খাতা থাকবে";
        join_now = "Join the entries" / "খাতা এক করুন";
    }
}

/// Entries shown to choose from.
const SHOWN: usize = 60;

pub(super) fn routes(routes: Routes) -> Routes {
    let manager = Needs::Role(Role::Manager);
    routes
        .get(manager, "/herd/duplicates", page)
        .get_form(manager, "/herd/{id}/join", choose)
        .post(manager, "/herd/{id}/join", join)
}

async fn page(ctx: Ctx) -> Result<Response, Error> {
    let lang = ctx.lang;
    let found = ctx
        .web
        .farm
        .read(|conn| {
            let mut found = Vec::new();
            for conflict in animals::conflicts(conn)? {
                let ids = match &conflict {
                    Conflict::Tag { animals, .. } | Conflict::Number { animals, .. } => {
                        animals.clone()
                    }
                };
                let mut members = Vec::new();
                for id in ids {
                    members.extend(animals::get(conn, id)?);
                }
                found.push((conflict, members));
            }
            Ok::<_, farm::StoreError>(found)
        })
        .await?;
    let body = html! {
        (breadcrumbs(lang, &[Breadcrumb { label: w::herd(lang).into(), href: to!("/herd") }]))
        (page_head(t::title(lang), t::text(lang), &html! {}))
        @if found.is_empty() {
            (EmptyState::new(Icon::CheckRing, t::none(lang), t::none_text(lang)))
        }
        div.grid.two { @for (conflict, members) in &found { (group(lang, conflict, members)) } }
    };
    Ok(ctx
        .page(t::title(lang), &[])
        .body(body)
        .render()
        .into_response())
}

fn group(lang: Lang, conflict: &Conflict, members: &[Animal]) -> Markup {
    let title = match conflict {
        Conflict::Tag { tag, .. } => t::one_tag(lang, fmt::digits(lang, &tag.to_string())),
        Conflict::Number { number, .. } => t::one_number(lang, fmt::digits(lang, number)),
    };
    html! {
        section.card {
            header { h2 { (title) } }
            ul.flow {
                @for animal in members {
                    li.cluster {
                        a href=(to!("/herd/{}", animal.id)) { strong { (animal_name(lang, animal)) } }
                        (super::status_badge(lang, animal.status))
                        (Button::quiet(t::join(lang)).href(to!("/herd/{}/join", animal.id)))
                    }
                }
            }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    q: String,
}

async fn choose(
    ctx: Ctx,
    Path(id): Path<AnimalId>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Error> {
    let lang = ctx.lang;
    let (today, now) = (ctx.today(), ctx.now);
    let filter = HerdFilter {
        text: wanted.q.clone(),
        ..HerdFilter::default()
    };
    let (animal, herd) = ctx
        .web
        .farm
        .read(move |conn| {
            let sort = (HerdSort::Number, SortOrder::Up);
            let herd = animals::herd(conn, &filter, sort, today, &now)?;
            Ok::<_, farm::StoreError>((animals::get(conn, id)?, herd))
        })
        .await?;
    let animal = animal.ok_or(Reason::NotFound)?;
    let name = animal_name(lang, &animal);
    let others = herd
        .iter()
        .filter(|r| r.animal.id != animal.id)
        .take(SHOWN)
        .map(|r| {
            Choice::new(r.animal.id.to_string(), fmt::digits(lang, &r.animal.number))
                .hint(animal_called(lang, &r.animal))
        })
        .collect();
    let body = html! {
        (breadcrumbs(lang, &[Breadcrumb { label: name.clone(), href: to!("/herd/{id}") }]))
        (page_head(t::which(lang), &t::which_text(lang, &name), &html! {}))
        form.filters method="get" role="search" {
            (Field::search("q", super::t::find(lang)).value(&wanted.q))
            (Button::secondary(t::find(lang)).icon(Icon::Search))
        }
        form.flow method="post" action=(to!("/herd/{id}/join")) {
            (Tiles::new("stays", t::stays(lang), others))
            div.actions {
                (Button::danger(t::join_now(lang)))
                (Button::secondary(ui::t::cancel(lang)).href(to!("/herd/{id}")))
            }
        }
    };
    Ok(ctx
        .page(t::which(lang), &[])
        .body(body)
        .render()
        .into_response())
}

async fn join(
    State(web): State<Web>,
    me: Me,
    Path(id): Path<AnimalId>,
    typed: Typed,
) -> Result<Response, Error> {
    let stays: AnimalId = typed
        .text("stays")
        .parse()
        .map_err(|_| Error::invalid("stays: no animal"))?;
    web.farm
        .write(me.actor(), move |tx| animals::merge(tx, id, stays))
        .await?;
    Ok(Done::Saved.then(to!("/herd/{stays}")))
}
