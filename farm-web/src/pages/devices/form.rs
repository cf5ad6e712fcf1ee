//! Adding and editing a device: what it is, where it stands, and how it is reached. What cannot be taken is marked in the form,
//! which keeps what was typed.

pub(super) mod link;

use axum::{
    extract::{Path, Query},
    response::{IntoResponse, Response},
};
use farm::{
    StoreError, credentials,
    devices::{self, DeviceError, DeviceForm},
    places,
    text::{Name, Slug},
};
use farm_model::{Device, DeviceId, DeviceKind, Link, Place};
use maud::{Markup, html};
use rusqlite::Connection;
use serde::Deserialize;
use ui::{
    Lang,
    components::{Breadcrumb, Button, Choice, Field, Select, breadcrumbs, page_head},
    fmt,
    icons::Icon,
};

use self::link::Machine;
use super::{Ctx, Done, MANAGER, joins, transport};
use crate::{
    access::Routes,
    address::to,
    error::{Error, Reason},
    pages::typed::{self, Typed},
    words::{self, t as w},
};

pub(crate) mod t {
    ui::texts! {
        how = "How is it reached?" / "কীভাবে যুক্ত?";
        other_way = "Reached another way?" / "অন্যভাবে যুক্ত?";
        edit(name) = "Edit {name}" / "{name}: বদলান";
        name_hint = "As people on the farm call it" / "খামারে যে নামে ডাকা হয়";
        short_hint = "For topics and files: small English letters, digits and dashes" / "টপিক ও ফাইলের জন্য: ছোট হাতের ইংরেজি অক্ষর, সংখ্যা ও ড্যাশ";
        short_made = "For topics and files; left empty, one is made" / "টপিক ও ফাইলের জন্য; খালি রাখলে নিজেই হবে";
        short_taken = "Another device has this short name. Choose another." / "এই ছোট নামে আরেকটি যন্ত্র আছে। অন্য নাম দিন।";
        no_place = "No place" / "জায়গা নেই";
        every = "Should be heard every" / "কত সময় পরপর সাড়া দেওয়ার কথা";
        every_hint = "Silence three times as long raises an alert. Empty: learnt from what it sends. 0: no alert" / "তিন গুণ সময় চুপ থাকলে সতর্ক করা হবে। খালি রাখলে যন্ত্রের পাঠানো দেখে শেখা হয়। না চাইলে ০";
        seconds = "s" / "সেকেন্ড";
        bad_every = "At most 31 days (2,678,400 s); 0 for no alert." / "সর্বোচ্চ ৩১ দিন (২৬,৭৮,৪০০ সেকেন্ড); সতর্কতা না চাইলে ০।";
        connection = "Connection" / "সংযোগ";
    }
}

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .get(MANAGER, "/devices/new", new)
        .post(MANAGER, "/devices", add)
        .get(MANAGER, "/devices/{id}/edit", edit_page)
        .post(MANAGER, "/devices/{id}", edit)
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    transport: Option<String>,
    /// The node whose input it will be.
    node: Option<String>,
}

async fn new(ctx: Ctx, Query(wanted): Query<Wanted>) -> Result<Response, Error> {
    match wanted.transport.as_deref().and_then(link::blank) {
        Some(link) => {
            let mut typed = filled(ctx.lang, None, &link);
            if let Some(node) = wanted.node {
                typed.set("node", node);
            }
            draw(&ctx, None, &link, &typed).await
        }
        None => Ok(choose(&ctx)),
    }
}

/// The first question: how it is reached.
fn choose(ctx: &Ctx) -> Response {
    let lang = ctx.lang;
    let body = html! {
        (breadcrumbs(lang, &[Breadcrumb { label: w::devices(lang).into(), href: to!("/devices") }]))
        (page_head(super::t::add(lang), t::how(lang), &html! {}))
        ul.people {
            li { a.tile href=(to!("/devices/join")) {
                (Icon::Lock) span.tile-text { strong { (joins::t::by_code(lang)) } small { (joins::t::by_code_hint(lang)) } }
            } }
            @for transport_key in link::TRANSPORTS {
                @if let Some(link) = link::blank(transport_key) {
                    @let (icon, hint) = link::about(lang, &link);
                    li { a.tile href=(to!("/devices/new?transport={transport_key}")) {
                        (icon) span.tile-text { strong { (transport(lang, &link)) } small { (hint) } }
                    } }
                }
            }
        }
    };
    let page = ctx.page(super::t::add(lang), &[]).body(body);
    page.render().into_response()
}

async fn edit_page(ctx: Ctx, Path(id): Path<DeviceId>) -> Result<Response, Error> {
    let device = device(&ctx, id).await?;
    let typed = filled(ctx.lang, Some(&device), &device.link);
    draw(&ctx, Some(&device), &device.link, &typed).await
}

async fn device(ctx: &Ctx, id: DeviceId) -> Result<Device, Error> {
    let device = ctx.web.farm.read(move |conn| devices::get(conn, id));
    device.await?.ok_or_else(|| Reason::NotFound.into())
}

/// A form that says what `device` is, or what a new one that is reached by `link` usually is.
fn filled(lang: Lang, device: Option<&Device>, link: &Link) -> Typed {
    let kind = device.map_or(usual_kind(link), |d| d.kind);
    let mut typed = Typed::filled([
        ("transport", link::key(link).to_owned()),
        ("kind", kind.key().to_owned()),
    ]);
    if let Some(device) = device {
        typed.set("name", &device.name);
        typed.set("slug", &device.slug);
        let place = device.place.map(|id| id.to_string());
        typed.set("place", place.unwrap_or_default());
        let every = device.expect_every_s;
        let every = every.map(|s| fmt::digits(lang, &s.to_string()));
        typed.set("every", every.unwrap_or_default());
    }
    link::fill(lang, &mut typed, link);
    typed
}

fn usual_kind(link: &Link) -> DeviceKind {
    match link {
        Link::Serial { .. } => DeviceKind::RfidReader,
        Link::ModbusRtu { .. } | Link::ModbusTcp { .. } => DeviceKind::MilkMeter,
        Link::OneWire { .. } => DeviceKind::TemperatureProbe,
        Link::ChirpStack { .. } => DeviceKind::Collar,
        Link::Mqtt { .. }
        | Link::Zigbee { .. }
        | Link::Node { .. }
        | Link::Input { .. }
        | Link::Http => DeviceKind::Sensor,
    }
}

async fn draw(
    ctx: &Ctx,
    device: Option<&Device>,
    link: &Link,
    typed: &Typed,
) -> Result<Response, Error> {
    let lang = ctx.lang;
    let (mut others, places, held) = ctx
        .web
        .farm
        .read(|conn| {
            let held = credentials::all(conn)?;
            Ok::<_, StoreError>((devices::list(conn)?, places::list(conn)?, held))
        })
        .await?;
    let is_node = |device: &Device| {
        let held = held.get(&device.id);
        held.is_some_and(|held| held.frame_key_since.is_some())
    };
    others.retain(|other| device.is_none_or(|d| d.id != other.id));
    let machine = Machine::ask(&*ctx.web.hardware, link, &others, is_node).await;
    let (title, action, back) = match device {
        Some(d) => {
            let action = to!("/devices/{}", d.id);
            (t::edit(lang, &d.name), action.clone(), action)
        }
        None => (
            super::t::add(lang).to_owned(),
            to!("/devices"),
            to!("/devices/new"),
        ),
    };
    let label = device.map_or(t::other_way(lang), |d| &d.name).to_owned();
    let body = html! {
        (breadcrumbs(lang, &[Breadcrumb { label, href: back.clone() }]))
        (page_head(&title, transport(lang, link), &html! {}))
        form.form method="post" novalidate action=(action) {
            (typed.faults(lang))
            input type="hidden" name="transport" value=(link::key(link));
            (what_and_where(lang, typed, device, &places))
            @if !matches!(link, Link::Http) { h2 { (t::connection(lang)) } }
            (link::fields(lang, typed, link, &machine))
            (every(lang, typed))
            div.actions {
                (Button::primary(ui::t::save(lang)).icon(Icon::Check))
                (Button::quiet(ui::t::cancel(lang)).href(device.map_or_else(|| to!("/devices"), |_| back.clone())))
            }
        }
    };
    Ok(typed.answer(ctx.page(&title, &[]).body(body).render()))
}

/// The fields of what it is and where it stands.
pub(super) fn what_and_where(
    lang: Lang,
    typed: &Typed,
    device: Option<&Device>,
    places: &[Place],
) -> Markup {
    let kinds = DeviceKind::ALL
        .iter()
        .map(|k| Choice::new(k.key(), words::device_kind(lang, *k)))
        .collect();
    let spots = std::iter::once(Choice::new("", t::no_place(lang)))
        .chain(
            places
                .iter()
                .map(|p| Choice::new(p.id.to_string(), &p.name)),
        )
        .collect();
    let name = Field::text("name", w::name(lang))
        .hint(t::name_hint(lang))
        .required();
    let slug = Field::text("slug", super::t::short_name(lang)).placeholder("stall-3-meter");
    let slug = match device {
        Some(_) => slug.hint(t::short_hint(lang)).required(),
        None => slug.hint(t::short_made(lang)),
    };
    html! {
        (typed.field("name", name))
        (typed.select("kind", Select::new("kind", super::t::kind(lang), kinds)))
        (typed.select("place", Select::new("place", super::t::place(lang), spots)))
        (typed.field("slug", slug))
    }
}

/// The field of how often it should be heard.
pub(super) fn every(lang: Lang, typed: &Typed) -> Markup {
    let field = Field::integer("every", t::every(lang))
        .hint(t::every_hint(lang))
        .unit(t::seconds(lang));
    html! { (typed.field("every", field)) }
}

/// What was typed of a device, without a short name when one is to be made.
pub(super) struct Told {
    slug: Option<Slug>,
    name: Name,
    kind: DeviceKind,
    link: Link,
    place: Option<Place>,
    expect_every_s: Option<u32>,
}

impl Told {
    /// Reads the form; `like` says the transport and keeps what the form does not show.
    pub(super) fn read(
        ctx: &Ctx,
        typed: &mut Typed,
        like: &Link,
        places: &[Place],
    ) -> Option<Self> {
        let lang = ctx.lang;
        let name = typed.needed(lang, "name");
        let slug = match typed.text("slug") {
            "" => None,
            text => match Slug::new(text) {
                Ok(slug) => Some(slug),
                Err(error) => {
                    typed.wrong("slug", typed::text_error(lang, error));
                    None
                }
            },
        };
        let kind = typed.choice(lang, "kind", DeviceKind::from_key);
        let place = typed.choice(lang, "place", |id| match id {
            "" => Some(None),
            id => {
                let place = places.iter().find(|p| p.id.to_string() == id);
                place.cloned().map(Some)
            }
        });
        let every = typed.number(lang, "every", 0);
        if every.is_some_and(|s| !(0..=2_678_400).contains(&s)) {
            typed.wrong("every", t::bad_every(lang));
        }
        let link = link::read(lang, typed, like, &ctx.web.hardware.presets());
        let told = Self {
            slug,
            name: name?,
            kind: kind?,
            link: link?,
            place: place?,
            expect_every_s: every.and_then(|s| u32::try_from(s).ok()),
        };
        typed.is_right().then_some(told)
    }

    /// The whole of it, with a short name that is free if none was typed.
    pub(super) fn form(self, conn: &Connection) -> Result<DeviceForm, StoreError> {
        let slug = match &self.slug {
            Some(slug) => slug.clone(),
            None => devices::free_slug(conn, &self.usual_slug())?,
        };
        Ok(DeviceForm {
            slug,
            name: self.name,
            kind: self.kind,
            link: self.link,
            place: self.place.map(|p| p.id),
            expect_every_s: self.expect_every_s,
        })
    }

    /// The name in small letters if it is English, else place and kind: `stall-3-milk-meter`.
    fn usual_slug(&self) -> Slug {
        let name = self.name.as_str();
        let words = if name.is_ascii() {
            name.to_owned()
        } else {
            let kind = self.kind.key().replace('_', "-");
            match &self.place {
                Some(place) if place.slug.starts_with(place.kind.key()) => {
                    format!("{} {kind}", place.slug)
                }
                Some(place) => format!("{} {} {kind}", place.kind.key(), place.slug),
                None => kind,
            }
        };
        let parts: Vec<&str> = words.split_whitespace().collect();
        Slug::nearest(&parts.join("-"))
            .or_else(|| Slug::nearest(self.kind.key()))
            .expect("a kind's name has letters")
    }
}

async fn add(ctx: Ctx, mut typed: Typed) -> Result<Response, Error> {
    let Some(like) = link::blank(typed.text("transport")) else {
        return Ok(choose(&ctx));
    };
    let places = ctx.web.farm.read(places::list).await?;
    let Some(told) = Told::read(&ctx, &mut typed, &like, &places) else {
        return draw(&ctx, None, &like, &typed).await;
    };
    let write = ctx.web.farm.write(ctx.me.actor(), move |tx| {
        let form = told.form(tx.conn())?;
        devices::add(tx, &form)
    });
    match write.await {
        Ok(id) => Ok(Done::Saved.then(to!("/devices/{id}"))),
        Err(error) => {
            mark(ctx.lang, &mut typed, error)?;
            draw(&ctx, None, &like, &typed).await
        }
    }
}

async fn edit(ctx: Ctx, Path(id): Path<DeviceId>, mut typed: Typed) -> Result<Response, Error> {
    let device = device(&ctx, id).await?;
    let places = ctx.web.farm.read(places::list).await?;
    if typed.text("slug").is_empty() {
        typed.wrong("slug", typed::t::missing(ctx.lang));
    }
    let Some(told) = Told::read(&ctx, &mut typed, &device.link, &places) else {
        return draw(&ctx, Some(&device), &device.link, &typed).await;
    };
    let write = ctx.web.farm.write(ctx.me.actor(), move |tx| {
        let form = told.form(tx.conn())?;
        devices::edit(tx, id, &form)
    });
    match write.await {
        Ok(()) => Ok(Done::Saved.then(to!("/devices/{id}"))),
        Err(error) => {
            mark(ctx.lang, &mut typed, error)?;
            draw(&ctx, Some(&device), &device.link, &typed).await
        }
    }
}

/// Marks the field that is at fault.
fn mark(lang: Lang, typed: &mut Typed, error: DeviceError) -> Result<(), Error> {
    match error {
        DeviceError::SlugTaken(_) => typed.wrong("slug", t::short_taken(lang)),
        DeviceError::NoNode(_) => typed.wrong("node", link::t::which_node(lang)),
        DeviceError::InputTaken { by, .. } => {
            typed.wrong("channel", link::t::input_taken(lang, &by));
        }
        error => return Err(error.into()),
    }
    Ok(())
}
