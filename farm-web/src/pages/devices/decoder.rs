//! The auto-decoder: type what the display shows, and the machine says which registers it may be; a second look narrows it.
//!
//! Nothing is remembered between the steps: what was proposed travels in the form.

use axum::{
    extract::{Form, Path, State},
    response::{IntoResponse, Response},
};
use farm::{
    devices::{self, DeviceForm},
    text::{Name, Slug},
};
use farm_model::{
    Device, DeviceId, Quantity,
    device::{DecodeProposal, ReadFunction, RegisterField, RegisterMap},
    staff::Role,
};
use maud::{Markup, html};
use serde::Deserialize;
use ui::{
    Lang,
    components::{
        Breadcrumb, Button, Choice, Column, EmptyState, Field, Row, Select, Table, breadcrumbs,
    },
    fmt,
    icons::Icon,
};

use super::{Ctx, Done, map_of_mut};
use crate::{
    access::{Needs, Routes},
    app::Web,
    auth::Me,
    border::{HardwareError, Words},
    error::{Error, Reason},
    words,
};

pub(super) mod t {
    ui::texts! {
        title = "Find a value" / "মান খুঁজে বের করুন";
        text = "Type what the display shows now. The machine reads the device and says where that number may stand." / "যন্ত্রের পর্দায় এখন যা দেখা যাচ্ছে লিখুন। মেশিন যন্ত্রটি পড়ে বলবে সংখ্যাটি কোথায় থাকতে পারে।";
        quantity = "What it is" / "কীসের মান";
        shown = "The display shows" / "পর্দায় দেখাচ্ছে";
        function = "Kind of registers" / "রেজিস্টারের ধরন";
        holding = "Holding registers (03)" / "হোল্ডিং রেজিস্টার (০৩)";
        input = "Input registers (04)" / "ইনপুট রেজিস্টার (০৪)";
        from = "First address" / "প্রথম ঠিকানা";
        count = "How many" / "কয়টি";
        search = "Read and search" / "পড়ে খুঁজুন";
        found(n) = "{n} possibility" | "{n} possibilities" / "{n}টি সম্ভাবনা";
        again = "Wait until the display changes, then type it again to rule out the wrong ones." / "পর্দার সংখ্যা বদলালে আবার লিখুন, ভুলগুলো বাদ যাবে।";
        narrow = "Narrow down" / "বাছাই করুন";
        take = "Take this" / "এটি নিন";
        reads = "Reads now" / "এখন পড়ছে";
        likely = "Likely" / "সম্ভাবনা";
        nothing = "Nothing fits" / "কিছুই মেলেনি";
        nothing_text = "Check the number, the kind of registers and the addresses, then search again." / "সংখ্যা, রেজিস্টারের ধরন ও ঠিকানা দেখে আবার খুঁজুন।";
    }
}

pub(super) fn routes(routes: Routes) -> Routes {
    let manager = Needs::Role(Role::Manager);
    routes
        .get(manager, "/devices/{id}/decode", page)
        .post(manager, "/devices/{id}/decode", search)
        .post(manager, "/devices/{id}/fields", take)
        .post(manager, "/devices/{id}/fields/{index}/remove", remove)
}

/// The registers that are read of a device.
pub(super) fn registers(lang: Lang, device: &Device, map: &RegisterMap) -> Markup {
    let columns = vec![
        Column::new(t::quantity(lang)),
        Column::number(super::t::address(lang)),
        Column::new(super::t::layout(lang)),
        Column::new(""),
    ];
    let rows = map
        .fields
        .iter()
        .enumerate()
        .map(|(i, field)| {
            Row::new(vec![
                html! { (words::quantity(lang, field.quantity)) },
                html! { (fmt::digits(lang, &field.address.to_string())) },
                html! { code { (layout(field)) } },
                html! {
                    form method="post" action={ "/devices/" (device.id) "/fields/" (i) "/remove" } {
                        (Button::quiet(super::t::remove(lang)).icon(Icon::Bin))
                    }
                },
            ])
        })
        .collect();
    let find = Button::secondary(super::t::find_value(lang))
        .icon(Icon::Search)
        .href(format!("/devices/{}/decode", device.id));
    html! {
        section.section {
            div.page-head { div { h2 { (super::t::registers(lang)) } } (find) }
            (Table::new(lang, super::t::registers(lang), columns).rows(rows)
                .empty(html! { p.nothing { (super::t::no_registers(lang)) } }))
        }
    }
}

/// Type, order and scale in the words of the JSON form.
fn layout(field: &RegisterField) -> String {
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let of = |v: Result<serde_json::Value, serde_json::Error>| v.map(word).unwrap_or_default();
    let mut text = format!(
        "{:02} {} {}",
        field.function.code(),
        of(serde_json::to_value(field.kind)),
        of(serde_json::to_value(field.order))
    );
    if field.scale != 1.0 {
        text.push_str(&format!(" × {}", field.scale));
    }
    if field.offset != 0.0 {
        text.push_str(&format!(" + {}", field.offset));
    }
    text
}

#[derive(Deserialize)]
pub(crate) struct Look {
    quantity: Quantity,
    shown: String,
    function: ReadFunction,
    from: String,
    count: String,
    /// What the look before this one left, as JSON.
    #[serde(default)]
    before: String,
}

async fn page(ctx: Ctx, Path(id): Path<DeviceId>) -> Result<Response, Error> {
    let device = device(&ctx, id).await?;
    let lang = ctx.lang;
    let body = html! {
        (head(lang, &device))
        (look_form(lang, id, None, &[]))
    };
    Ok(ctx
        .page(t::title(lang), &[])
        .body(body)
        .render()
        .into_response())
}

async fn search(
    ctx: Ctx,
    Path(id): Path<DeviceId>,
    Form(look): Form<Look>,
) -> Result<Response, Error> {
    let lang = ctx.lang;
    let device = device(&ctx, id).await?;
    let shown = fmt::ascii_digits(look.shown.trim());
    let number = |text: &str, field: &'static str| {
        fmt::parse_decimal(text, 0)
            .ok()
            .and_then(|n| u16::try_from(n).ok())
            .ok_or_else(|| Error::invalid(format!("{field}: 0 to 65535")))
    };
    let (from, count) = (number(&look.from, "from")?, number(&look.count, "count")?);
    let hardware = &ctx.web.hardware;
    let words: Words = hardware
        .registers(device.link.clone(), look.function, from, count)
        .await?;
    let blocks = [words];
    let proposals = if look.before.is_empty() {
        hardware.propose(&shown, &blocks, look.quantity)
    } else {
        let before: Vec<DecodeProposal> = serde_json::from_str(&look.before)
            .map_err(|e| Error::invalid(format!("before: {e}")))?;
        hardware.narrow(&before, &shown, &blocks)
    };
    let body = html! {
        (head(lang, &device))
        @if proposals.is_empty() {
            (EmptyState::new(Icon::Search, t::nothing(lang), t::nothing_text(lang)))
            (look_form(lang, id, Some(&look), &[]))
        } @else {
            (found(lang, id, &proposals))
            @if proposals.len() > 1 {
                p { (t::again(lang)) }
                (look_form(lang, id, Some(&look), &proposals))
            }
        }
    };
    Ok(ctx
        .page(t::title(lang), &[])
        .body(body)
        .render()
        .into_response())
}

async fn device(ctx: &Ctx, id: DeviceId) -> Result<Device, Error> {
    ctx.web
        .farm
        .read(move |conn| devices::get(conn, id))
        .await?
        .ok_or_else(|| Reason::NotFound.into())
}

fn head(lang: Lang, device: &Device) -> Markup {
    html! {
        (breadcrumbs(lang, &[Breadcrumb { label: device.name.clone(), href: format!("/devices/{}", device.id) }]))
        div.page-head { div { h1 { (t::title(lang)) } p { (t::text(lang)) } } }
    }
}

fn look_form(lang: Lang, id: DeviceId, look: Option<&Look>, before: &[DecodeProposal]) -> Markup {
    let quantities = Quantity::ALL
        .iter()
        .map(|q| Choice::new(q.key(), words::quantity(lang, *q)))
        .collect();
    let functions = vec![
        Choice::new("holding_registers", t::holding(lang)),
        Choice::new("input_registers", t::input(lang)),
    ];
    let narrowing = !before.is_empty();
    let quantity = look.map_or(Quantity::VisitYield, |l| l.quantity);
    let function = match look.map(|l| l.function) {
        Some(ReadFunction::InputRegisters) => "input_registers",
        _ => "holding_registers",
    };
    let deed = if narrowing {
        t::narrow(lang)
    } else {
        t::search(lang)
    };
    html! {
        form.form method="post" action={ "/devices/" (id) "/decode" } {
            @if narrowing {
                input type="hidden" name="before" value=(serde_json::to_string(before).unwrap_or_default());
                input type="hidden" name="quantity" value=(quantity.key());
                input type="hidden" name="function" value=(function);
                input type="hidden" name="from" value=(look.map_or("0", |l| l.from.as_str()));
                input type="hidden" name="count" value=(look.map_or("64", |l| l.count.as_str()));
                (Field::decimal("shown", t::shown(lang)).big().required().autofocus())
            } @else {
                (Select::new("quantity", t::quantity(lang), quantities).chosen(quantity.key()))
                (Field::decimal("shown", t::shown(lang)).big().required().autofocus()
                    .value(look.map_or("", |l| l.shown.as_str())))
                (Select::new("function", t::function(lang), functions).chosen(function))
                (Field::integer("from", t::from(lang)).value(look.map_or("0", |l| l.from.as_str())).required())
                (Field::integer("count", t::count(lang)).value(look.map_or("64", |l| l.count.as_str())).required())
            }
            div.actions { (Button::primary(deed).icon(Icon::Search)) }
        }
    }
}

fn found(lang: Lang, id: DeviceId, proposals: &[DecodeProposal]) -> Markup {
    let columns = vec![
        Column::new(t::reads(lang)),
        Column::number(super::t::address(lang)),
        Column::new(super::t::layout(lang)),
        Column::number(t::likely(lang)),
        Column::new(""),
    ];
    let rows = proposals
        .iter()
        .map(|p| {
            Row::new(vec![
                html! { (words::value(lang, p.field.quantity, p.reads)) },
                html! { (fmt::digits(lang, &p.field.address.to_string())) },
                html! { code { (layout(&p.field)) } },
                html! { (fmt::int(lang, p.score.into())) "%" },
                html! {
                    form method="post" action={ "/devices/" (id) "/fields" } {
                        input type="hidden" name="field" value=(serde_json::to_string(&p.field).unwrap_or_default());
                        (Button::secondary(t::take(lang)).icon(Icon::Check))
                    }
                },
            ])
        })
        .collect();
    html! {
        h2 { (t::found(lang, proposals.len())) }
        (Table::new(lang, t::found(lang, proposals.len()), columns).rows(rows))
    }
}

#[derive(Deserialize)]
pub(crate) struct Chosen {
    field: String,
}

async fn take(
    State(web): State<Web>,
    me: Me,
    Path(id): Path<DeviceId>,
    Form(chosen): Form<Chosen>,
) -> Result<Response, Error> {
    let field: RegisterField =
        serde_json::from_str(&chosen.field).map_err(|e| Error::invalid(format!("field: {e}")))?;
    change(&web, &me, id, move |map| {
        map.fields.retain(|f| f.quantity != field.quantity);
        map.fields.push(field);
    })
    .await
}

async fn remove(
    State(web): State<Web>,
    me: Me,
    Path((id, index)): Path<(DeviceId, usize)>,
) -> Result<Response, Error> {
    change(&web, &me, id, move |map| {
        if index < map.fields.len() {
            map.fields.remove(index);
        }
    })
    .await
}

async fn change(
    web: &Web,
    me: &Me,
    id: DeviceId,
    change: impl FnOnce(&mut RegisterMap) + Send + 'static,
) -> Result<Response, Error> {
    web.farm
        .write(me.actor(), move |tx| {
            let mut device = devices::get(tx.conn(), id)?.ok_or(Reason::NotFound)?;
            let map = map_of_mut(&mut device.link).ok_or(Reason::Conflict)?;
            change(map);
            let form = DeviceForm {
                slug: Slug::new(&device.slug).map_err(|e| Error::invalid(format!("slug: {e}")))?,
                name: Name::new(&device.name).map_err(|e| Error::invalid(format!("name: {e}")))?,
                kind: device.kind,
                link: device.link,
                place: device.place,
                expect_every_s: device.expect_every_s,
            };
            devices::edit(tx, id, &form).map_err(Error::from)
        })
        .await?;
    Ok(Done::Saved.then(&format!("/devices/{id}")))
}

impl From<HardwareError> for Error {
    fn from(error: HardwareError) -> Self {
        let reason = match &error {
            HardwareError::Absent => Reason::NoHardware,
            HardwareError::NoAnswer | HardwareError::Refused(_) | HardwareError::Port(_) => {
                Reason::DeviceSilent
            }
        };
        let detail = error.to_string();
        Self::from(reason).detail(detail).because(error)
    }
}
