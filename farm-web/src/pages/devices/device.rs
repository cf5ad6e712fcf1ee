//! One device: how it fares and what to do, its values, its registers, what of it was refused, and what it is.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use farm::{
    Farm,
    animals::{self, Animal},
    devices::{self, DeviceRow, Enabled},
    readings::{self, LastTag},
};
use farm_model::{Device, DeviceId, DeviceKind, UnixMillis};
use maud::{Markup, html};
use ui::{
    Lang,
    components::{Breadcrumb, Button, Card, breadcrumbs, facts, time_ago},
    fmt,
    icons::Icon,
};

use super::{
    Ctx, Done, MANAGER,
    credentials::{self, Held},
    endpoint,
    list::View,
    map_of, node,
    refused::Refused,
    registers, transport,
};
use crate::{
    access::Routes,
    address::to,
    app::Web,
    auth::Me,
    border::Hardware,
    error::{Error, Reason},
    live::{Fragment, Topic},
    pages::names::animal_name,
    words::{self, t as w},
};

pub(crate) mod t {
    ui::texts! {
        switch_off = "Switch off" / "বন্ধ করুন";
        switch_on = "Switch on" / "চালু করুন";
        values = "Values" / "মান";
        no_values = "No value has come yet." / "এখনো কোনো মান আসেনি।";
        last_tag = "Last tag" / "শেষ পড়া ট্যাগ";
        no_tag = "No tag has been read yet. Hold one before the reader." / "এখনো কোনো ট্যাগ পড়া হয়নি। রিডারের সামনে একটি ট্যাগ ধরুন।";
        unknown_tag = "No animal carries it." / "কোনো পশুর এই ট্যাগ নেই।";
        about = "About this device" / "যন্ত্রটি সম্পর্কে";
        expected = "Should be heard" / "সাড়া দেওয়ার কথা";
        every(time) = "every {time}" / "{time} পরপর";
    }
}

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .get(MANAGER, "/devices/{id}", page)
        .post(MANAGER, "/devices/{id}/on", switch_on)
        .post(MANAGER, "/devices/{id}/off", switch_off)
}

async fn page(ctx: Ctx, Path(id): Path<DeviceId>) -> Result<Response, Error> {
    let lang = ctx.lang;
    let view = View::load(&ctx.web.farm, &ctx.web.hardware).await?;
    let row = view
        .rows
        .iter()
        .find(|r| r.device.id == id)
        .ok_or(Reason::NotFound)?;
    let device = &row.device;
    let refused = Refused::load(&ctx.web.farm, Some(device.slug.clone())).await?;
    let credentials = Held::load(&ctx, id).await?;
    let node = node::Known::load(&ctx, id).await?;
    let tag = TagRead::load(&ctx.web.farm, device).await?;
    let edit = Button::secondary(ui::t::edit(lang)).icon(Icon::Edit);
    let body = html! {
        (breadcrumbs(lang, &[Breadcrumb { label: w::devices(lang).into(), href: to!("/devices") }]))
        div.page-head {
            div { h1 { (device.name) } }
            div.actions {
                @if ctx.at_the_farm() { (edit.href(to!("/devices/{id}/edit"))) }
                (switch(lang, device))
            }
        }
        (condition(lang, row, &view))
        div.split {
            div.flow {
                @if ctx.at_the_farm() { (credentials.section(&ctx, device, view.place(row))) }
                (values(lang, &ctx.web.farm, device, &tag, view.now))
                @if ctx.at_the_farm() {
                    @if let Some(node) = &node { (node.section(&ctx, device)) }
                    @if let Some(map) = map_of(&device.link) { (registers::section(lang, device, map)) }
                    (refused.section(lang, view.now))
                }
            }
            (Card::new(t::about(lang), about(lang, row, &view)))
        }
    };
    let page = ctx
        .page(&device.name, &[Topic::Device(id)])
        .wide()
        .body(body);
    Ok(page.render().into_response())
}

/// The parts of a device's page that change by themselves; none when there is no such device.
pub(crate) async fn fragments_of(
    farm: &Farm,
    hardware: &Arc<dyn Hardware>,
    lang: Lang,
    id: DeviceId,
) -> Result<Vec<Fragment>, Error> {
    let view = View::load(farm, hardware).await?;
    let Some(row) = view.rows.iter().find(|r| r.device.id == id) else {
        return Ok(Vec::new());
    };
    let tag = TagRead::load(farm, &row.device).await?;
    let presence = credentials::presence(lang, farm.live().presence(id), view.now);
    Ok(vec![
        Fragment::new("device-condition", condition(lang, row, &view)),
        Fragment::new("device-presence", presence),
        Fragment::new(
            "device-values",
            values(lang, farm, &row.device, &tag, view.now),
        ),
    ])
}

/// How it fares, what to do about it, and the driver's own words.
fn condition(lang: Lang, row: &DeviceRow, view: &View) -> Markup {
    let state = view.state(row);
    let error = view.drivers.get(&row.device.id);
    let error = error.and_then(|driver| driver.error.as_ref());
    html! {
        div.condition #device-condition {
            p.cluster.tight {
                (state.badge(lang))
                @if let Some(at) = row.heard_at { span.hint { (super::t::heard(lang)) " " (time_ago(lang, at.0, view.now.0)) } }
            }
            @if let Some(advice) = state.advice(lang) { p { (advice) } }
            @if let Some(error) = error { p.hint lang="en" { (error) } }
        }
    }
}

fn about(lang: Lang, row: &DeviceRow, view: &View) -> Markup {
    let device = &row.device;
    let place = view.place(row).map_or(w::none(lang), |p| p.name.as_str());
    let endpoint = endpoint(&device.link);
    let mut known = vec![
        (
            super::t::kind(lang),
            html! { (words::device_kind(lang, device.kind)) },
        ),
        (super::t::place(lang), html! { (place) }),
        (
            super::t::reached(lang),
            html! { (transport(lang, &device.link)) @if !endpoint.is_empty() { br; code { (endpoint) } } },
        ),
        (super::t::short_name(lang), html! { code { (device.slug) } }),
    ];
    if let Some(every) = row.every_s() {
        let every = t::every(lang, fmt::duration(lang, every.into()));
        known.push((t::expected(lang), html! { (every) }));
    }
    facts(&known)
}

fn switch(lang: Lang, device: &Device) -> Markup {
    let (deed, button) = if device.enabled {
        ("off", Button::quiet(t::switch_off(lang)))
    } else {
        ("on", Button::primary(t::switch_on(lang)))
    };
    html! { form method="post" action=(to!("/devices/{}/{deed}", device.id)) { (button) } }
}

/// What a tag reader read last, and who wears it.
enum TagRead {
    /// It is no reader of tags.
    NoReader,
    Nothing,
    Tag(LastTag, Option<Box<Animal>>),
}

impl TagRead {
    async fn load(farm: &Farm, device: &Device) -> Result<Self, Error> {
        if device.kind != DeviceKind::RfidReader {
            return Ok(TagRead::NoReader);
        }
        let id = device.id;
        let read = farm.read(move |conn| {
            let Some(last) = readings::last_tag(conn, id)? else {
                return Ok(TagRead::Nothing);
            };
            let animal = animals::by_tag(conn, &last.tag)?;
            Ok::<_, farm::StoreError>(TagRead::Tag(last, animal.map(Box::new)))
        });
        Ok(read.await?)
    }

    fn markup(&self, lang: Lang, now: UnixMillis) -> Markup {
        match self {
            TagRead::NoReader => html! { p.hint { (t::no_values(lang)) } },
            TagRead::Nothing => html! { p.hint { (t::no_tag(lang)) } },
            TagRead::Tag(last, animal) => facts(&[(
                t::last_tag(lang),
                html! {
                    @match animal {
                        Some(animal) => a href=(to!("/herd/{}", animal.id)) { (animal_name(lang, animal)) },
                        None => (t::unknown_tag(lang)),
                    }
                    br; code { (last.tag) }
                    br; small.hint { (time_ago(lang, last.at.0, now.0)) }
                },
            )]),
        }
    }
}

fn values(lang: Lang, farm: &Farm, device: &Device, tag: &TagRead, now: UnixMillis) -> Markup {
    let mut values = farm.live().values();
    values.retain(|v| v.device == device.id);
    html! {
        section.section #device-values {
            h2 { (t::values(lang)) }
            @if values.is_empty() { (tag.markup(lang, now)) }
            @else {
                ul.readings {
                    @for value in &values { (crate::pages::sensors::reading(lang, value, Some(device), now)) }
                }
            }
        }
    }
}

async fn switch_on(web: State<Web>, me: Me, path: Path<DeviceId>) -> Result<Response, Error> {
    set(web, &me, path, Enabled::Yes).await
}

async fn switch_off(web: State<Web>, me: Me, path: Path<DeviceId>) -> Result<Response, Error> {
    set(web, &me, path, Enabled::No).await
}

async fn set(
    State(web): State<Web>,
    me: &Me,
    Path(id): Path<DeviceId>,
    enabled: Enabled,
) -> Result<Response, Error> {
    web.farm
        .write(me.actor(), move |tx| devices::set_enabled(tx, id, enabled))
        .await?;
    Ok(Done::Saved.then(to!("/devices/{id}")))
}
