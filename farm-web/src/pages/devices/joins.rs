//! Devices that ask to join: who waits, the code on the sticker, and as what each joins.
//!
//! What a device says of itself is hearsay until somebody types its code, and is shown as such. The code travels in forms only,
//! never in an address.

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use farm::{
    Farm, StoreError,
    devices::{self, DeviceError},
    joins::{self, JoinAs, JoinCode, JoinError, Request},
    places,
};
use farm_model::{Clock as _, Device, DeviceId, DeviceKind, Link, Place, UnixMillis};
use maud::{Markup, html};
use ui::{
    Lang,
    components::{
        Breadcrumb, Button, Choice, Field, Select, breadcrumbs, facts, page_head, scanner, time_ago,
    },
    icons::Icon,
};

use super::{
    Ctx, Done, MANAGER,
    form::{self, Told},
};
use crate::{
    access::Routes,
    address::to,
    app::Web,
    auth::Me,
    error::Error,
    live::{Fragment, Topic},
    pages::typed::Typed,
    words::{self, t as w},
};

pub(crate) mod t {
    ui::texts! {
        asking(n) = "{n} device asks to join" | "{n} devices ask to join" / "{n}টি যন্ত্র যোগ দিতে চায়";
        type_code = "Type a code" / "কোড লিখুন";
        by_code = "It has a code on its sticker" / "স্টিকারে কোড আছে";
        by_code_hint = "A node that asks to join by itself" / "নিজেই যোগ দিতে চায় এমন নোড";
        title = "Let a device join" / "যন্ত্রকে যোগ দিতে দিন";
        text = "Type the code on its sticker, or scan it. Nobody joins without it." / "স্টিকারের কোডটি লিখুন বা স্ক্যান করুন। কোড ছাড়া কেউ যোগ দিতে পারে না।";
        code = "Code on the sticker" / "স্টিকারের কোড";
        find = "Find the device" / "যন্ত্রটি খুঁজুন";
        waiting = "Waiting now" / "এখন অপেক্ষায়";
        nobody = "Nobody asks now. Switch the device on; it appears here by itself." / "এখন কেউ অপেক্ষায় নেই। যন্ত্রটি চালু করুন; নিজেই এখানে দেখা যাবে।";
        unheard(n, address) = "Requests to join that were not heard: {n}. Too many came, the last from {address}. See what asks there. A device of the farm asks again by itself." / "যোগ দেওয়ার যত অনুরোধ শোনা হয়নি: {n}টি। একসঙ্গে অনেক এসেছে, শেষটি {address} থেকে। সেখান থেকে কী চাইছে, দেখুন। খামারের যন্ত্র হলে নিজেই আবার চাইবে।";
        says = "It says of itself" / "নিজের কথা";
        firmware(version) = "firmware {version}" / "ফার্মওয়্যার {version}";
        asks_from = "Asks from" / "যে ঠিকানা থেকে";
        serial = "Serial number" / "সিরিয়াল নম্বর";
        refuse = "Refuse" / "ফিরিয়ে দিন";
        refuse_what(serial) = "Refuse {serial}" / "{serial}: ফিরিয়ে দিন";
        not_a_code(example) = "A code has 12 letters and digits, such as {example}. Look at the sticker again." / "কোডে ১২টি অক্ষর ও অঙ্ক থাকে, যেমন {example}। স্টিকারটি আবার দেখুন।";
        no_such_code = "No waiting device has this code. Compare it with the sticker; the device must be on and in the list." / "এই কোডের কোনো যন্ত্র অপেক্ষায় নেই। স্টিকারের সঙ্গে মেলান; যন্ত্রটি চালু ও তালিকায় থাকতে হবে।";
        found = "The code is right" / "কোড মিলেছে";
        joins_as = "Joins as" / "যোগ দেবে";
        new_device = "A new device" / "নতুন যন্ত্র";
        known_hint = "In the place of a known one, it takes over that one's name and log-in" / "পুরোনো যন্ত্রের জায়গায় এলে তার নাম ও প্রবেশ এটিই পাবে";
        let_in = "Let it join" / "যোগ দিতে দিন";
        gone = "It no longer asks, or somebody was quicker. Look at the list." / "এটি আর অপেক্ষায় নেই, বা অন্য কেউ আগেই করেছেন। তালিকা দেখুন।";
    }
}

/// A sticker's code, to show what one looks like.
const EXAMPLE: &str = "7K3M-9QXT-2FHB";

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .get(MANAGER, "/devices/join", page)
        .post(MANAGER, "/devices/join", find)
        .post(MANAGER, "/devices/join/approve", approve)
        .post(MANAGER, "/devices/join/{request}/refuse", refuse)
}

/// The parts that change by themselves: one on the list of devices, one on the page of those who wait.
pub(super) async fn fragments(farm: &Farm, lang: Lang) -> Result<Vec<Fragment>, Error> {
    let now = farm.clock().now();
    let waiting = farm.read(move |conn| joins::waiting(conn, &now)).await?;
    let unheard = unheard(lang, farm);
    Ok(vec![
        Fragment::new("join-requests", notice(lang, &waiting, &unheard, now.wall)),
        Fragment::new("join-list", list(lang, &waiting, &unheard, now.wall)),
    ])
}

/// What stands above the list of devices when somebody waits.
pub(super) async fn above_list(ctx: &Ctx) -> Result<Markup, Error> {
    let now = ctx.now;
    let waiting = ctx.web.farm.read(move |conn| joins::waiting(conn, &now));
    let unheard = unheard(ctx.lang, &ctx.web.farm);
    Ok(notice(ctx.lang, &waiting.await?, &unheard, now.wall))
}

/// For how long it is news that requests were not heard.
const NEWS_MS: i64 = 3_600_000;

/// A word on requests that were not heard lately, if there were any.
fn unheard(lang: Lang, farm: &Farm) -> Markup {
    let now = farm.clock().now().wall;
    let unheard = farm.live().joins_refused();
    html! {
        @if let Some(unheard) = unheard.filter(|unheard| now.0 - unheard.at.0 < NEWS_MS) {
            p.hint {
                (t::unheard(lang, unheard.count, unheard.from.to_string())) " " (time_ago(lang, unheard.at.0, now.0))
            }
        }
    }
}

fn notice(lang: Lang, waiting: &[Request], unheard: &Markup, now: UnixMillis) -> Markup {
    html! {
        div #join-requests {
            (unheard)
            @if !waiting.is_empty() {
                section.card {
                    header {
                        h2 { (t::asking(lang, waiting.len())) }
                        (Button::primary(t::type_code(lang)).icon(Icon::Lock).href(to!("/devices/join")))
                    }
                    (rows(lang, waiting, now))
                }
            }
        }
    }
}

fn list(lang: Lang, waiting: &[Request], unheard: &Markup, now: UnixMillis) -> Markup {
    html! {
        div #join-list {
            (unheard)
            @if waiting.is_empty() { p.hint { (t::nobody(lang)) } } @else { (rows(lang, waiting, now)) }
        }
    }
}

fn rows(lang: Lang, waiting: &[Request], now: UnixMillis) -> Markup {
    html! {
        ul.readings {
            @for request in waiting {
                li.device-row {
                    strong { (request.serial) }
                    form method="post" action=(to!("/devices/join/{}/refuse", request.id)) {
                        button.button.quiet type="submit" aria-label=(t::refuse_what(lang, &request.serial)) {
                            (Icon::Cross) span { (t::refuse(lang)) }
                        }
                    }
                    p.hint {
                        (said(lang, request)) " · " (request.peer) " · " (time_ago(lang, request.asked.0, now.0))
                    }
                }
            }
        }
    }
}

/// What a device says of itself.
fn said(lang: Lang, request: &Request) -> String {
    let kind = match request.kind {
        Some(kind) => words::device_kind(lang, kind).to_owned(),
        None => request.said.kind.clone(),
    };
    let firmware = &request.said.firmware;
    let firmware = (!firmware.is_empty()).then(|| t::firmware(lang, firmware));
    [kind, request.said.model.clone()]
        .into_iter()
        .chain(firmware)
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" · ")
}

async fn page(ctx: Ctx) -> Result<Response, Error> {
    ask_code(&ctx, &Typed::default()).await
}

/// The first step: the code.
async fn ask_code(ctx: &Ctx, typed: &Typed) -> Result<Response, Error> {
    let lang = ctx.lang;
    let now = ctx.now;
    let waiting = ctx.web.farm.read(move |conn| joins::waiting(conn, &now));
    let waiting = waiting.await?;
    let code = Field::text("code", t::code(lang))
        .placeholder(EXAMPLE)
        .required()
        .autofocus();
    let body = html! {
        (breadcrumbs(lang, &[Breadcrumb { label: w::devices(lang).into(), href: to!("/devices") }]))
        (page_head(t::title(lang), t::text(lang), &html! {}))
        form.form method="post" novalidate action=(to!("/devices/join")) {
            (typed.faults(lang))
            (typed.field("code", code))
            div.actions {
                (Button::primary(t::find(lang)).icon(Icon::Search))
                (scanner(lang, "code"))
            }
        }
        section.section { h2 { (t::waiting(lang)) } (list(lang, &waiting, &unheard(lang, &ctx.web.farm), now.wall)) }
    };
    let page = ctx.page(t::title(lang), &[Topic::Devices]).body(body);
    Ok(typed.answer(page.render()))
}

/// The waiting device whose code was typed; what is wrong is noted.
async fn named(ctx: &Ctx, typed: &mut Typed) -> Result<Option<(JoinCode, Request)>, Error> {
    let lang = ctx.lang;
    let Ok(code) = JoinCode::new(typed.text("code")) else {
        typed.wrong("code", t::not_a_code(lang, EXAMPLE));
        return Ok(None);
    };
    let (now, wanted) = (ctx.now, code.clone());
    let found = ctx
        .web
        .farm
        .read(move |conn| joins::by_code(conn, &wanted, &now));
    let found = found.await?;
    if found.is_none() {
        typed.wrong("code", t::no_such_code(lang));
    }
    Ok(found.map(|request| (code, request)))
}

async fn find(ctx: Ctx, mut typed: Typed) -> Result<Response, Error> {
    let Some((_, request)) = named(&ctx, &mut typed).await? else {
        return ask_code(&ctx, &typed).await;
    };
    let kind = request.kind.unwrap_or(DeviceKind::Sensor);
    typed.set("kind", kind.key());
    typed.set("name", &request.serial);
    let before = request.before.map(|id| id.to_string());
    typed.set("joins_as", before.unwrap_or_default());
    ask_what(&ctx, &typed, &request).await
}

/// The second step: as what it joins.
async fn ask_what(ctx: &Ctx, typed: &Typed, request: &Request) -> Result<Response, Error> {
    let lang = ctx.lang;
    let (known, places) = known(ctx).await?;
    let body = html! {
        (breadcrumbs(lang, &[Breadcrumb { label: t::title(lang).into(), href: to!("/devices/join") }]))
        (page_head(t::found(lang), "", &html! {}))
        form.form method="post" novalidate action=(to!("/devices/join/approve")) {
            (facts(&[
                (t::serial(lang), html! { code { (request.serial) } }),
                (t::says(lang), html! { (said(lang, request)) }),
                (t::asks_from(lang), html! { code { (request.peer) } }),
            ]))
            (typed.faults(lang))
            input type="hidden" name="code" value=(typed.text("code"));
            @if !known.is_empty() { (typed.select("joins_as", joins_as(lang, &known))) }
            div.form.only-new { (form::what_and_where(lang, typed, None, &places)) (form::every(lang, typed)) }
            div.actions {
                (Button::primary(t::let_in(lang)).icon(Icon::Check))
                (Button::quiet(ui::t::cancel(lang)).href(to!("/devices")))
            }
        }
    };
    let page = ctx.page(t::found(lang), &[]).body(body);
    Ok(typed.answer(page.render()))
}

/// The devices in whose place another may join, and the places where one may stand.
async fn known(ctx: &Ctx) -> Result<(Vec<Device>, Vec<Place>), Error> {
    let read = ctx.web.farm.read(|conn| {
        let mut known = devices::list(conn)?;
        known.retain(|d| matches!(d.link, Link::Mqtt { .. }));
        Ok::<_, StoreError>((known, places::list(conn)?))
    });
    Ok(read.await?)
}

fn joins_as(lang: Lang, known: &[Device]) -> Select {
    let choices = std::iter::once(Choice::new("", t::new_device(lang)))
        .chain(known.iter().map(|d| Choice::new(d.id.to_string(), &d.name)))
        .collect();
    Select::new("joins_as", t::joins_as(lang), choices).hint(t::known_hint(lang))
}

async fn approve(ctx: Ctx, mut typed: Typed) -> Result<Response, Error> {
    let Some((code, request)) = named(&ctx, &mut typed).await? else {
        return ask_code(&ctx, &typed).await;
    };
    let (known, places) = known(&ctx).await?;
    let wanted = match typed.text("joins_as") {
        "" => Told::read(&ctx, &mut typed, &Link::Mqtt { client: None }, &places)
            .map(|told| As::New(Box::new(told))),
        id => {
            let known = known.iter().find(|d| d.id.to_string() == id);
            known.map(|d| As::Known(d.id))
        }
    };
    let Some(wanted) = wanted else {
        typed.choice(ctx.lang, "joins_as", |id| id.is_empty().then_some(()));
        return ask_what(&ctx, &typed, &request).await;
    };
    let write = ctx.web.farm.write(ctx.me.actor(), move |tx| {
        let joins_as = match wanted {
            As::New(told) => JoinAs::New(Box::new(told.form(tx.conn())?)),
            As::Known(id) => JoinAs::Known(id),
        };
        joins::approve(tx, &code, &joins_as)
    });
    match write.await {
        Ok(id) => Ok(Done::Saved.then(to!("/devices/{id}"))),
        Err(JoinError::Device(DeviceError::SlugTaken(_))) => {
            typed.wrong("slug", form::t::short_taken(ctx.lang));
            ask_what(&ctx, &typed, &request).await
        }
        Err(JoinError::NoSuchCode) => {
            typed.refuse(t::gone(ctx.lang));
            ask_code(&ctx, &typed).await
        }
        Err(error) => Err(error.into()),
    }
}

/// As what a device joins, before its short name is made.
enum As {
    New(Box<Told>),
    Known(DeviceId),
}

async fn refuse(
    State(web): State<Web>,
    me: Me,
    Path(request): Path<i64>,
) -> Result<Response, Error> {
    let write = web
        .farm
        .write(me.actor(), move |tx| joins::refuse(tx, request));
    match write.await {
        // It went by itself meanwhile.
        Ok(()) | Err(JoinError::Unknown) => Ok(Done::Saved.then(to!("/devices")).into_response()),
        Err(error) => Err(error.into()),
    }
}
