//! An animal's tags: those she wears, those she wore, a new one in place of a lost one or for the other ear.

use axum::{extract::Path, response::Response};
use farm::animals::{self, Animal, AnimalTag};
use farm_model::{AnimalId, Tag, staff::Role};
use maud::{Markup, html};
use ui::{
    components::{Badge, Breadcrumb, Button, Choice, Field, Tiles, breadcrumbs, page_head},
    fmt,
    icons::Icon,
    shell::Tone,
};

use crate::{
    access::{Needs, Routes},
    address::to,
    error::{Error, Reason},
    pages::{
        Ctx,
        context::Done,
        herd::{read_tag, refuse, tag_hint},
        names::animal_name,
        typed::{self, Typed},
    },
    words::t as w,
};

pub(crate) mod t {
    ui::texts! {
        title = "Tags" / "ট্যাগ";
        text = "A tag that was taken off still finds her, until another animal wears it." / "খুলে ফেলা ট্যাগ পড়লেও তাকে চেনা যাবে, যতদিন না অন্য পশু সেটি পরে।";
        new = "New tag" / "নতুন ট্যাগ";
        instead = "In place of the old one" / "পুরোনোটির বদলে";
        beside = "Beside the old one" / "পুরোনোটির পাশাপাশি";
        where_is_it = "What about the old tag?" / "পুরোনো ট্যাগের কী হবে?";
        put_on = "Put on the tag" / "ট্যাগ পরান";
        take_off = "Take off" / "খুলে ফেলুন";
        worn = "Worn" / "কানে আছে";
        since(date) = "since {date}" / "{date} থেকে";
        worn_until(from, until) = "{from} to {until}" / "{from} থেকে {until}";
        none = "She wears no tag." / "কোনো ট্যাগ নেই।";
    }
}

pub(super) fn routes(routes: Routes) -> Routes {
    let manager = Needs::Role(Role::Manager);
    routes
        .get_form(manager, "/herd/{id}/tags", page)
        .post(manager, "/herd/{id}/tags", put_on)
        .post(manager, "/herd/{id}/tags/off", take_off)
}

async fn find(ctx: &Ctx, id: AnimalId) -> Result<(Animal, Vec<AnimalTag>), Error> {
    ctx.web
        .farm
        .read(move |conn| {
            let Some(animal) = animals::get(conn, id)? else {
                return Ok::<_, farm::StoreError>(None);
            };
            let tags = animals::tags(conn, animal.id)?;
            Ok(Some((animal, tags)))
        })
        .await?
        .ok_or_else(|| Reason::NotFound.into())
}

async fn page(ctx: Ctx, Path(id): Path<AnimalId>) -> Result<Response, Error> {
    let (animal, tags) = find(&ctx, id).await?;
    let typed = Typed::filled([("old", "instead".to_owned())]);
    Ok(draw(&ctx, &animal, &tags, &typed))
}

fn draw(ctx: &Ctx, animal: &Animal, tags: &[AnimalTag], typed: &Typed) -> Response {
    let lang = ctx.lang;
    let name = animal_name(lang, animal);
    let here = to!("/herd/{}/tags", animal.id);
    let wears = tags.iter().any(|t| t.until.is_none());
    let old = vec![
        Choice::new("instead", t::instead(lang)),
        Choice::new("beside", t::beside(lang)),
    ];
    let body = html! {
        (breadcrumbs(lang, &[Breadcrumb { label: name, href: to!("/herd/{}", animal.id) }]))
        (page_head(t::title(lang), t::text(lang), &html! {}))
        @if tags.is_empty() { p { (t::none(lang)) } }
        ul.readings { @for tag in tags { (entry(ctx, &here, tag)) } }
        form.form method="post" action=(here) {
            h2 { (t::new(lang)) }
            (typed.faults(lang))
            (typed.field("tag", Field::text("tag", w::tag(lang)).hint(tag_hint(lang)).required()))
            @if wears { (typed.tiles("old", Tiles::new("old", t::where_is_it(lang), old))) }
            div.actions { (Button::primary(t::put_on(lang)).icon(Icon::Tag)) }
        }
    };
    typed.answer(ctx.page(t::title(lang), &[]).body(body).render())
}

fn entry(ctx: &Ctx, here: &str, tag: &AnimalTag) -> Markup {
    let lang = ctx.lang;
    let day = |at| fmt::date(lang, ctx.local(at).date());
    html! {
        li.reading-row {
            strong.tag-number { (fmt::digits(lang, &tag.tag.to_string())) }
            @match tag.until {
                None => {
                    span.cluster.tight { (Badge::new(Tone::Good, t::worn(lang))) small { (t::since(lang, day(tag.from))) } }
                    form method="post" action=(format!("{here}/off")) {
                        input type="hidden" name="tag" value=(tag.tag);
                        (Button::quiet(t::take_off(lang)))
                    }
                },
                Some(until) => small { (t::worn_until(lang, day(tag.from), day(until))) },
            }
        }
    }
}

async fn put_on(ctx: Ctx, Path(id): Path<AnimalId>, mut typed: Typed) -> Result<Response, Error> {
    let lang = ctx.lang;
    let (animal, tags) = find(&ctx, id).await?;
    let Some(new) = read_tag(lang, &mut typed, "tag") else {
        typed.wrong("tag", typed::t::missing(lang));
        return Ok(draw(&ctx, &animal, &tags, &typed));
    };
    let id = animal.id;
    let old: Vec<Tag> = match typed.text("old") {
        "instead" => tags
            .iter()
            .filter(|t| t.until.is_none() && t.tag != new)
            .map(|t| t.tag.clone())
            .collect(),
        _ => Vec::new(),
    };
    let done = ctx
        .web
        .farm
        .write(ctx.me.actor(), move |tx| {
            animals::tag(tx, id, &new)?;
            old.iter().try_for_each(|tag| animals::untag(tx, id, tag))
        })
        .await;
    match done {
        Ok(()) => Ok(Done::Saved.then(to!("/herd/{id}"))),
        Err(error) => {
            refuse(lang, &mut typed, error)?;
            Ok(draw(&ctx, &animal, &tags, &typed))
        }
    }
}

async fn take_off(ctx: Ctx, Path(id): Path<AnimalId>, typed: Typed) -> Result<Response, Error> {
    let tag: Tag = typed
        .text("tag")
        .parse()
        .map_err(|_| Error::invalid("tag: no tag"))?;
    ctx.web
        .farm
        .write(ctx.me.actor(), move |tx| animals::untag(tx, id, &tag))
        .await?;
    Ok(Done::Saved.then(to!("/herd/{id}/tags")))
}
