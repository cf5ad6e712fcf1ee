//! Changing what the register says of an animal.

use axum::{extract::Path, response::Response};
use farm::animals::{self, Animal};
use farm_model::{AnimalId, staff::Role};
use maud::html;
use ui::{
    components::{Breadcrumb, Button, breadcrumbs},
    icons::Icon,
};

use crate::{
    access::{Needs, Routes},
    address::to,
    error::{Error, Reason},
    pages::{
        Ctx,
        context::Done,
        herd::{animal_form, find_dam, read_form, refuse},
        names::animal_name,
        typed::Typed,
    },
};

pub(crate) mod t {
    ui::texts! {
        title(name) = "Edit {name}" / "{name}: তথ্য বদলান";
    }
}

pub(super) fn routes(routes: Routes) -> Routes {
    let manager = Needs::Role(Role::Manager);
    routes
        .get_form(manager, "/herd/{id}/edit", page)
        .post(manager, "/herd/{id}/edit", save)
}

async fn animal_of(ctx: &Ctx, id: AnimalId) -> Result<Animal, Error> {
    let animal = ctx
        .web
        .farm
        .read(move |conn| animals::get(conn, id))
        .await?;
    animal.ok_or_else(|| Reason::NotFound.into())
}

async fn page(ctx: Ctx, Path(id): Path<AnimalId>) -> Result<Response, Error> {
    let animal = animal_of(&ctx, id).await?;
    let dam = match animal.dam {
        Some(dam) => {
            ctx.web
                .farm
                .read(move |conn| animals::get(conn, dam))
                .await?
        }
        None => None,
    };
    let typed = Typed::filled([
        ("number", animal.number.clone()),
        ("name", animal.name.clone()),
        ("name_en", animal.name_en.clone()),
        ("status", animal.status.key().to_owned()),
        ("sex", animal.sex.key().to_owned()),
        ("group", animal.group.clone()),
        ("breed", animal.breed.clone()),
        (
            "born",
            animal.birth_date.map(|d| d.to_string()).unwrap_or_default(),
        ),
        ("dam", dam.map(|d| d.number).unwrap_or_default()),
        ("sire", animal.sire.clone()),
        ("note", animal.note.clone()),
    ]);
    draw(&ctx, &animal, &typed).await
}

async fn draw(ctx: &Ctx, animal: &Animal, typed: &Typed) -> Result<Response, Error> {
    let lang = ctx.lang;
    let groups = ctx.web.farm.read(animals::groups).await?;
    let name = animal_name(lang, animal);
    let title = t::title(lang, &name);
    let back = to!("/herd/{}", animal.id);
    let body = html! {
        (breadcrumbs(lang, &[Breadcrumb { label: name, href: back.clone() }]))
        h1 { (title) }
        form.form method="post" action=(format!("{back}/edit")) {
            (typed.faults(lang))
            (animal_form(lang, typed, &groups))
            div.actions {
                (Button::primary(ui::t::save(lang)).icon(Icon::Check))
                (Button::quiet(ui::t::cancel(lang)).href(back.as_str()))
            }
        }
    };
    Ok(typed.answer(ctx.page(&title, &[]).body(body).render()))
}

async fn save(ctx: Ctx, Path(id): Path<AnimalId>, mut typed: Typed) -> Result<Response, Error> {
    let lang = ctx.lang;
    let animal = animal_of(&ctx, id).await?;
    let Some(mut form) = read_form(lang, &mut typed, ctx.today()) else {
        return draw(&ctx, &animal, &typed).await;
    };
    find_dam(&ctx, &mut typed, &mut form).await?;
    if !typed.is_right() {
        return draw(&ctx, &animal, &typed).await;
    }
    let id = animal.id;
    let saved = ctx
        .web
        .farm
        .write(ctx.me.actor(), move |tx| animals::edit(tx, id, &form))
        .await;
    match saved {
        Ok(()) => Ok(Done::Saved.then(to!("/herd/{id}"))),
        Err(error) => {
            refuse(lang, &mut typed, error)?;
            draw(&ctx, &animal, &typed).await
        }
    }
}
