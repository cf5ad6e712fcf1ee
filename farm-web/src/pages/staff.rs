//! Staff: who works here, their roles and PINs; and the tokens of programs, whose secrets are shown once.

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use farm::{
    auth::{self, ApiToken, Scope},
    staff::{self, Pin, PinHash, Staff, StaffError},
    text::Name,
};
use farm_model::{StaffId, staff::Role};
use maud::{Markup, html};
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

use super::{Ctx, context::Done, login::t as login, typed::Typed};
use crate::{
    access::{Needs, Routes},
    address::to,
    app::Web,
    auth::{Me, Who},
    error::{Error, Reason},
    words::{self, t as w},
};

pub(crate) mod t {
    ui::texts! {
        add = "Add someone" / "কর্মী যোগ করুন";
        role = "Role" / "দায়িত্ব";
        worker_hint = "Worker: milking and health. Manager: also herd, inbox, devices. Owner: everything." / "কর্মী: দোহন ও চিকিৎসা। ব্যবস্থাপক: পাল, মীমাংসা, যন্ত্রও। মালিক: সবকিছু।";
        name_taken = "Somebody has this name already. Add a surname or a number." / "এই নামে আরেকজন আছেন। সঙ্গে পদবি বা সংখ্যা লিখুন।";
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
        .at_the_farm(|routes| {
            routes
                .post(owner, "/tokens", make_token)
                .post(owner, "/tokens/{id}/revoke", revoke)
        })
}

async fn page(ctx: Ctx) -> Result<Response, Error> {
    draw(&ctx, &newcomer(), &Typed::default()).await
}

/// The form of somebody new, as it is before anything is typed.
fn newcomer() -> Typed {
    Typed::filled([("role", Role::Worker.key().to_owned())])
}

/// The page with both its forms as they were typed.
async fn draw(ctx: &Ctx, person: &Typed, token: &Typed) -> Result<Response, Error> {
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
            form.form method="post" action=(to!("/staff")) {
                (person.faults(lang))
                (name_and_role(lang, person))
                (pin_field(person, Field::pin("pin", login::choose_pin(lang)).hint(login::pin_hint(lang))))
                div.actions { (Button::primary(w::add(lang)).icon(Icon::Plus)) }
            }
        }
        @if ctx.at_the_farm() {
            section.section {
                h2 { (t::tokens(lang)) }
                p { (t::tokens_text(lang)) }
                ul.readings { @for token in &tokens { (token_row(lang, token, now)) } }
                (token_form(lang, token))
            }
        }
    };
    let page = ctx.page(w::staff(lang), &[]).path(to!("/staff")).body(body);
    let sent = if person.is_right() { token } else { person };
    Ok(sent.answer(page.render()))
}

fn tile(lang: Lang, person: &Staff) -> Markup {
    html! {
        a.tile href=(to!("/staff/{}", person.id)) {
            (avatar(&person.name))
            span.tile-text {
                strong { (person.name) }
                small { (words::role(lang, person.role)) }
            }
            @if !person.active { (Badge::new(Tone::Neutral, t::inactive(lang))) }
        }
    }
}

fn name_and_role(lang: Lang, typed: &Typed) -> Markup {
    let roles = Role::ALL
        .iter()
        .map(|r| Choice::new(r.key(), words::role(lang, *r)))
        .collect();
    let role = Select::new("role", t::role(lang), roles).hint(t::worker_hint(lang));
    html! {
        (typed.field("name", Field::text("name", w::name(lang)).required()))
        (typed.select("role", role))
    }
}

fn pin_field(typed: &Typed, field: Field) -> Field {
    typed.secret("pin", field.autocomplete("new-password").required())
}

fn token_form(lang: Lang, typed: &Typed) -> Markup {
    let scopes = Scope::ALL
        .iter()
        .map(|s| Choice::new(s.key(), scope(lang, *s)))
        .collect();
    html! {
        form.form method="post" action=(to!("/tokens")) {
            (typed.faults(lang))
            // Another field of the page is called `name`.
            (typed.field("holder", Field::text("holder", t::token_for(lang)).required()))
            (typed.select("scope", Select::new("scope", t::scope(lang), scopes)))
            div.actions { (Button::secondary(t::make_token(lang)).icon(Icon::Lock)) }
        }
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
            form method="post" action=(to!("/tokens/{}/revoke", token.id)) { (Button::quiet(t::revoke(lang)).icon(Icon::Bin)) }
        }
    }
}

/// The name and the role that a form says.
fn read(lang: Lang, typed: &mut Typed) -> Option<(Name, Role)> {
    let name = typed.needed(lang, "name");
    let role = typed.choice(lang, "role", Role::from_key);
    Some((name?, role?))
}

fn read_pin(lang: Lang, typed: &mut Typed) -> Option<Pin> {
    let pin = Pin::new(typed.text("pin")).ok();
    if pin.is_none() {
        typed.wrong("pin", login::pin_bad(lang));
    }
    pin
}

async fn hash(pin: Pin) -> Result<PinHash, Error> {
    tokio::task::spawn_blocking(move || pin.hash())
        .await
        .map_err(Error::internal)
}

/// Puts what the staff's list refuses beside the field that it is about.
///
/// # Errors
/// What no field is to blame for.
fn refuse(lang: Lang, typed: &mut Typed, error: StaffError) -> Result<(), Error> {
    match error {
        StaffError::NameTaken(_) => typed.wrong("name", t::name_taken(lang)),
        StaffError::LastOwner => typed.wrong("role", words::reason(lang, Reason::LastOwner)),
        error => return Err(error.into()),
    }
    Ok(())
}

async fn add(ctx: Ctx, mut typed: Typed) -> Result<Response, Error> {
    let lang = ctx.lang;
    let person = read(lang, &mut typed);
    let pin = read_pin(lang, &mut typed);
    if let (Some((name, role)), Some(pin)) = (person, pin) {
        let hash = hash(pin).await?;
        let added = ctx
            .web
            .farm
            .write(ctx.me.actor(), move |tx| staff::add(tx, &name, role, &hash))
            .await;
        match added {
            Ok(_) => return Ok(Done::Saved.then(to!("/staff"))),
            Err(error) => refuse(lang, &mut typed, error)?,
        }
    }
    draw(&ctx, &typed, &Typed::default()).await
}

async fn person(ctx: Ctx, Path(id): Path<StaffId>) -> Result<Response, Error> {
    let person = known(&ctx, id).await?;
    Ok(draw_person(
        &ctx,
        &person,
        &facts(&person),
        &Typed::default(),
    ))
}

async fn known(ctx: &Ctx, id: StaffId) -> Result<Staff, Error> {
    let person = ctx.web.farm.read(move |conn| staff::get(conn, id)).await?;
    person.ok_or_else(|| Reason::NotFound.into())
}

/// What is known of somebody, as their form has it.
fn facts(person: &Staff) -> Typed {
    Typed::filled([
        ("name", person.name.clone()),
        ("role", person.role.key().to_owned()),
    ])
}

/// Somebody's page with both its forms as they were typed.
fn draw_person(ctx: &Ctx, person: &Staff, facts: &Typed, pin: &Typed) -> Response {
    let (lang, id) = (ctx.lang, person.id);
    let end = Confirm {
        lang,
        id: "end".into(),
        title: t::deactivate_ask(lang, &person.name),
        text: t::deactivate_text(lang).into(),
        deed: t::deactivate(lang).into(),
        action: to!("/staff/{id}/deactivate"),
        fields: Vec::new(),
    };
    let body = html! {
        (breadcrumbs(lang, &[Breadcrumb { label: w::staff(lang).into(), href: to!("/staff") }]))
        h1 { (person.name) }
        form.form method="post" action=(to!("/staff/{id}")) {
            (facts.faults(lang))
            (name_and_role(lang, facts))
            div.actions { (Button::primary(ui::t::save(lang)).icon(Icon::Check)) }
        }
        section.section {
            h2 { (t::new_pin(lang)) }
            form.form method="post" action=(to!("/staff/{id}/pin")) {
                (pin.faults(lang))
                (pin_field(pin, Field::pin("pin", t::new_pin(lang)).hint(t::pin_ends(lang))))
                div.actions { (Button::secondary(t::set_pin(lang)).icon(Icon::Lock)) }
            }
        }
        section.section {
            @if person.active {
                (Button::danger(t::deactivate(lang)).opens("end"))
                (end)
            } @else {
                form method="post" action=(to!("/staff/{id}/reactivate")) { (Button::secondary(t::reactivate(lang))) }
            }
        }
    };
    let page = ctx.page(&person.name, &[]).path(to!("/staff/{id}"));
    let sent = if facts.is_right() { pin } else { facts };
    sent.answer(page.body(body).render())
}

async fn edit(ctx: Ctx, Path(id): Path<StaffId>, mut typed: Typed) -> Result<Response, Error> {
    let person = known(&ctx, id).await?;
    if let Some((name, role)) = read(ctx.lang, &mut typed) {
        let edited = ctx
            .web
            .farm
            .write(ctx.me.actor(), move |tx| staff::edit(tx, id, &name, role))
            .await;
        match edited {
            Ok(()) => return Ok(Done::Saved.then(to!("/staff"))),
            Err(error) => refuse(ctx.lang, &mut typed, error)?,
        }
    }
    Ok(draw_person(&ctx, &person, &typed, &Typed::default()))
}

async fn set_pin(ctx: Ctx, Path(id): Path<StaffId>, mut typed: Typed) -> Result<Response, Error> {
    let person = known(&ctx, id).await?;
    let Some(pin) = read_pin(ctx.lang, &mut typed) else {
        return Ok(draw_person(&ctx, &person, &facts(&person), &typed));
    };
    let hash = hash(pin).await?;
    ctx.web
        .farm
        .write(ctx.me.actor(), move |tx| staff::set_pin(tx, id, &hash))
        .await?;
    ctx.web.revoke(Who::Staff(id));
    Ok(Done::Saved.then(to!("/staff")))
}

async fn deactivate(ctx: Ctx, Path(id): Path<StaffId>) -> Result<Response, Error> {
    let ended = ctx
        .web
        .farm
        .write(ctx.me.actor(), move |tx| staff::deactivate(tx, id))
        .await;
    match ended {
        Ok(()) => {
            ctx.web.revoke(Who::Staff(id));
            Ok(Done::Saved.then(to!("/staff")))
        }
        Err(error) => {
            let person = known(&ctx, id).await?;
            let mut facts = facts(&person);
            refuse(ctx.lang, &mut facts, error)?;
            Ok(draw_person(&ctx, &person, &facts, &Typed::default()))
        }
    }
}

async fn reactivate(
    State(web): State<Web>,
    me: Me,
    Path(id): Path<StaffId>,
) -> Result<Response, Error> {
    web.farm
        .write(me.actor(), move |tx| staff::reactivate(tx, id))
        .await?;
    Ok(Done::Saved.then(to!("/staff")))
}

/// Makes a token and shows its secret: the one time that anybody sees it.
async fn make_token(ctx: Ctx, mut typed: Typed) -> Result<Response, Error> {
    let lang = ctx.lang;
    let name: Option<Name> = typed.needed(lang, "holder");
    let scope = typed.choice(lang, "scope", Scope::from_key);
    let (Some(name), Some(scope)) = (name, scope) else {
        return draw(&ctx, &newcomer(), &typed).await;
    };
    let title = t::token_made(lang, name.as_str());
    let (_, secret) = ctx
        .web
        .farm
        .write(ctx.me.actor(), move |tx| auth::add_token(tx, &name, scope))
        .await?;
    let body = html! {
        (breadcrumbs(lang, &[Breadcrumb { label: w::staff(lang).into(), href: to!("/staff") }]))
        (EmptyState::new(Icon::Lock, &title, t::token_once(lang)))
        pre.secret tabindex="0" { code { (secret.as_str()) } }
    };
    Ok(ctx.page(&title, &[]).body(body).render().into_response())
}

async fn revoke(State(web): State<Web>, me: Me, Path(id): Path<Uuid>) -> Result<Response, Error> {
    web.farm
        .write(me.actor(), move |tx| auth::revoke_token(tx, id))
        .await?;
    Ok(Done::Saved.then(to!("/staff")))
}
