//! Staff: who works here, their roles and PINs; and the tokens of programs, whose secrets are shown once.

use axum::{
    extract::{Form, Path, State},
    response::{IntoResponse, Response},
};
use farm::{
    auth::{self, ApiToken, Scope},
    staff::{self, Pin, Staff},
    text::Name,
};
use farm_model::{StaffId, staff::Role};
use maud::{Markup, html};
use serde::Deserialize;
use ui::{
    Lang,
    components::{
        Badge, Breadcrumb, Button, Choice, Confirm, EmptyState, Field, Select, avatar, breadcrumbs,
        time_ago,
    },
    icons::Icon,
    shell::Tone,
};
use uuid::Uuid;

use super::{Ctx, context::Done, login::t as login};
use crate::{
    access::{Needs, Routes},
    app::Web,
    auth::Me,
    error::{Error, Reason},
    words::{self, t as w},
};

pub(crate) mod t {
    ui::texts! {
        add = "Add someone" / "কর্মী যোগ করুন";
        role = "Role" / "দায়িত্ব";
        worker_hint = "Worker: milking and health. Manager: also herd, inbox, devices. Owner: everything." / "কর্মী: দোহন ও চিকিৎসা। ব্যবস্থাপক: পাল, মীমাংসা, যন্ত্রও। মালিক: সবকিছু।";
        inactive = "Left" / "আর নেই";
        new_pin = "New PIN" / "নতুন পিন";
        set_pin = "Set the PIN" / "পিন বদলান";
        pin_ends = "Whoever is logged in with the old PIN is logged out." / "পুরোনো পিনে যাঁরা ঢুকে আছেন তাঁরা বেরিয়ে যাবেন।";
        deactivate = "End access" / "প্রবেশ বন্ধ করুন";
        deactivate_ask(name) = "End access for {name}?" / "{name}-এর প্রবেশ বন্ধ করবেন?";
        deactivate_text = "The name stays in the records; logging in is over. You can let them in again." / "খাতায় নাম থাকবে, কিন্তু আর ঢোকা যাবে না। পরে আবার খুলে দিতে পারবেন।";
        reactivate = "Let in again" / "আবার ঢুকতে দিন";
        tokens = "Programs" / "প্রোগ্রামের চাবি";
        tokens_text = "A program shows its token to read or write here. Give each its own." / "অন্য প্রোগ্রাম চাবি দেখিয়ে এখানে পড়ে বা লেখে। প্রতিটির আলাদা চাবি দিন।";
        token_for = "What it is for" / "কীসের জন্য";
        scope = "It may" / "যা পারবে";
        scope_read = "Read" / "পড়তে";
        scope_observe = "Read and send values" / "পড়তে ও মান পাঠাতে";
        scope_manage = "Everything a manager may" / "ব্যবস্থাপকের সব কাজ";
        make_token = "Make a token" / "চাবি বানান";
        revoke = "Revoke" / "বাতিল করুন";
        used = "used" / "শেষ ব্যবহার";
        token_once = "Copy it now: it is not shown again." / "এখনই টুকে নিন: আর দেখানো হবে না।";
        token_made(name) = "Token for {name}" / "{name}-এর চাবি";
    }
}

pub(crate) fn routes(routes: Routes) -> Routes {
    let owner = Needs::Role(Role::Owner);
    routes
        .get(owner, "/staff", page)
        .post(owner, "/staff", add)
        .get(owner, "/staff/{id}", person)
        .post(owner, "/staff/{id}", edit)
        .post(owner, "/staff/{id}/pin", set_pin)
        .post(owner, "/staff/{id}/deactivate", deactivate)
        .post(owner, "/staff/{id}/reactivate", reactivate)
        .post(owner, "/tokens", make_token)
        .post(owner, "/tokens/{id}/revoke", revoke)
}

async fn page(ctx: Ctx) -> Result<Response, Error> {
    let lang = ctx.lang;
    let (people, tokens) = ctx
        .web
        .farm
        .read(|conn| Ok::<_, farm::StoreError>((staff::list(conn)?, auth::tokens(conn)?)))
        .await?;
    let now = ctx.now.wall.0;
    let body = html! {
        h1 { (w::staff(lang)) }
        ul.tile-grid { @for person in &people { li { (tile(lang, person)) } } }
        section.section {
            h2 { (t::add(lang)) }
            form.form method="post" action="/staff" {
                (Field::text("name", w::name(lang)).required())
                (role_select(lang, Role::Worker))
                (Field::pin("pin", login::choose_pin(lang)).hint(login::pin_hint(lang)).autocomplete("new-password").required())
                div.actions { (Button::primary(w::add(lang)).icon(Icon::Plus)) }
            }
        }
        section.section {
            h2 { (t::tokens(lang)) }
            p { (t::tokens_text(lang)) }
            ul.readings { @for token in &tokens { (token_row(lang, token, now)) } }
            form.form method="post" action="/tokens" {
                (Field::text("holder", t::token_for(lang)).required())
                (Select::new("scope", t::scope(lang), Scope::ALL.iter().map(|s| Choice::new(s.key(), scope(lang, *s))).collect()))
                div.actions { (Button::secondary(t::make_token(lang)).icon(Icon::Lock)) }
            }
        }
    };
    Ok(ctx
        .page(w::staff(lang), &[])
        .body(body)
        .render()
        .into_response())
}

fn tile(lang: Lang, person: &Staff) -> Markup {
    html! {
        a.tile href={ "/staff/" (person.id) } {
            (avatar(&person.name))
            span.tile-text {
                strong { (person.name) }
                small { (words::role(lang, person.role)) }
            }
            @if !person.active { (Badge::new(Tone::Neutral, t::inactive(lang))) }
        }
    }
}

fn role_select(lang: Lang, chosen: Role) -> Markup {
    let choices = Role::ALL
        .iter()
        .map(|r| Choice::new(r.key(), words::role(lang, *r)))
        .collect();
    html! {
        (Select::new("role", t::role(lang), choices).chosen(chosen.key()).hint(t::worker_hint(lang)))
    }
}

fn scope(lang: Lang, scope: Scope) -> &'static str {
    match scope {
        Scope::Read => t::scope_read(lang),
        Scope::Observe => t::scope_observe(lang),
        Scope::Manage => t::scope_manage(lang),
    }
}

fn token_row(lang: Lang, token: &ApiToken, now: i64) -> Markup {
    html! {
        li.reading-row {
            strong { (token.name) }
            small.hint {
                (scope(lang, token.scope)) " · " (t::used(lang)) " "
                @match token.used {
                    Some(at) => (time_ago(lang, at.0, now)),
                    None => (w::never(lang)),
                }
            }
            form method="post" action={ "/tokens/" (token.id) "/revoke" } { (Button::quiet(t::revoke(lang)).icon(Icon::Bin)) }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct NewPerson {
    name: String,
    role: Role,
    pin: String,
}

async fn add(
    State(web): State<Web>,
    me: Me,
    Form(form): Form<NewPerson>,
) -> Result<Response, Error> {
    let name = name(&form.name)?;
    let hash = hash(&form.pin).await?;
    web.farm
        .write(me.actor(), move |tx| {
            staff::add(tx, &name, form.role, &hash)
        })
        .await?;
    Ok(Done::Saved.then("/staff"))
}

fn name(text: &str) -> Result<Name, Error> {
    Name::new(text).map_err(|e| Error::invalid(format!("name: {e}")))
}

async fn hash(pin: &str) -> Result<staff::PinHash, Error> {
    let pin = Pin::new(pin).map_err(|e| Error::invalid(format!("pin: {e}")))?;
    tokio::task::spawn_blocking(move || pin.hash())
        .await
        .map_err(Error::internal)
}

async fn person(ctx: Ctx, Path(id): Path<StaffId>) -> Result<Response, Error> {
    let lang = ctx.lang;
    let person = ctx
        .web
        .farm
        .read(move |conn| staff::get(conn, id))
        .await?
        .ok_or(Reason::NotFound)?;
    let end = Confirm {
        lang,
        id: "end".into(),
        title: t::deactivate_ask(lang, &person.name),
        text: t::deactivate_text(lang).into(),
        deed: t::deactivate(lang).into(),
        action: format!("/staff/{id}/deactivate"),
        fields: Vec::new(),
    };
    let body = html! {
        (breadcrumbs(lang, &[Breadcrumb { label: w::staff(lang).into(), href: "/staff".into() }]))
        h1 { (person.name) }
        form.form method="post" action={ "/staff/" (id) } {
            (Field::text("name", w::name(lang)).value(&person.name).required())
            (role_select(lang, person.role))
            div.actions { (Button::primary(ui::t::save(lang)).icon(Icon::Check)) }
        }
        section.section {
            h2 { (t::new_pin(lang)) }
            form.form method="post" action={ "/staff/" (id) "/pin" } {
                (Field::pin("pin", t::new_pin(lang)).hint(t::pin_ends(lang)).autocomplete("new-password").required())
                div.actions { (Button::secondary(t::set_pin(lang)).icon(Icon::Lock)) }
            }
        }
        section.section {
            @if person.active {
                (Button::danger(t::deactivate(lang)).opens("end"))
                (end)
            } @else {
                form method="post" action={ "/staff/" (id) "/reactivate" } { (Button::secondary(t::reactivate(lang))) }
            }
        }
    };
    Ok(ctx
        .page(&person.name, &[])
        .body(body)
        .render()
        .into_response())
}

#[derive(Deserialize)]
pub(crate) struct EditPerson {
    name: String,
    role: Role,
}

async fn edit(
    State(web): State<Web>,
    me: Me,
    Path(id): Path<StaffId>,
    Form(form): Form<EditPerson>,
) -> Result<Response, Error> {
    let name = name(&form.name)?;
    web.farm
        .write(me.actor(), move |tx| staff::edit(tx, id, &name, form.role))
        .await?;
    Ok(Done::Saved.then("/staff"))
}

#[derive(Deserialize)]
pub(crate) struct NewPin {
    pin: String,
}

async fn set_pin(
    State(web): State<Web>,
    me: Me,
    Path(id): Path<StaffId>,
    Form(form): Form<NewPin>,
) -> Result<Response, Error> {
    let hash = hash(&form.pin).await?;
    web.farm
        .write(me.actor(), move |tx| staff::set_pin(tx, id, &hash))
        .await?;
    web.revoke(id);
    Ok(Done::Saved.then("/staff"))
}

async fn deactivate(
    State(web): State<Web>,
    me: Me,
    Path(id): Path<StaffId>,
) -> Result<Response, Error> {
    web.farm
        .write(me.actor(), move |tx| staff::deactivate(tx, id))
        .await?;
    web.revoke(id);
    Ok(Done::Saved.then("/staff"))
}

async fn reactivate(
    State(web): State<Web>,
    me: Me,
    Path(id): Path<StaffId>,
) -> Result<Response, Error> {
    web.farm
        .write(me.actor(), move |tx| staff::reactivate(tx, id))
        .await?;
    Ok(Done::Saved.then("/staff"))
}

#[derive(Deserialize)]
pub(crate) struct NewToken {
    /// Whose it is; another field of the page is called `name`.
    holder: String,
    scope: String,
}

/// Makes a token and shows its secret: the one time that anybody sees it.
async fn make_token(ctx: Ctx, Form(form): Form<NewToken>) -> Result<Response, Error> {
    let lang = ctx.lang;
    let name = name(&form.holder)?;
    let scope = Scope::from_key(&form.scope).ok_or_else(|| Error::invalid("scope: unknown"))?;
    let title = t::token_made(lang, name.as_str());
    let (_, secret) = ctx
        .web
        .farm
        .write(ctx.me.actor(), move |tx| auth::add_token(tx, &name, scope))
        .await?;
    let body = html! {
        (breadcrumbs(lang, &[Breadcrumb { label: w::staff(lang).into(), href: "/staff".into() }]))
        (EmptyState::new(Icon::Lock, &title, t::token_once(lang)))
        pre.secret tabindex="0" { code { (secret.as_str()) } }
    };
    Ok(ctx.page(&title, &[]).body(body).render().into_response())
}

async fn revoke(State(web): State<Web>, me: Me, Path(id): Path<Uuid>) -> Result<Response, Error> {
    web.farm
        .write(me.actor(), move |tx| auth::revoke_token(tx, id))
        .await?;
    Ok(Done::Saved.then("/staff"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn texts_are_right_in_both_languages() {
        assert_eq!(ui::i18n::faults(super::t::ALL), Vec::<String>::new());
    }
}
