//! The registers that are read of a Modbus device: listed in words, taken from what the decoder proposes, removed.

use axum::{
    extract::{Form, Path, State},
    response::Response,
};
use farm::{
    devices::{self, DeviceForm},
    text::{Name, Slug},
};
use farm_model::{
    Device, DeviceId,
    device::{ReadFunction, RegisterField, RegisterMap, RegisterType, WordOrder},
};
use maud::{Markup, html};
use serde::Deserialize;
use ui::{
    Lang,
    components::{Button, Column, Row, Table},
    fmt,
    icons::Icon,
};

use super::{Done, MANAGER, decoder, map_of_mut};
use crate::{
    access::Routes,
    address::to,
    app::Web,
    auth::Me,
    error::{Error, Reason},
    words,
};

pub(crate) mod t {
    ui::texts! {
        title = "Registers" / "রেজিস্টার";
        layout = "Layout" / "বিন্যাস";
        none = "Nothing is read yet. Let the decoder find it." / "এখনো কিছু পড়া হচ্ছে না। খুঁজে বের করতে দিন।";
        remove = "Remove" / "সরান";

        address(number) = "address {number}" / "ঠিকানা {number}";
        bit = "one bit" / "এক বিট";
        bits(n) = "{n}-bit" / "{n} বিট";
        signed(n) = "{n}-bit signed" / "{n} বিট, ঋণাত্মকসহ";
        float(n) = "{n}-bit floating" / "{n} বিট ভগ্নাংশ";
        decimal(n) = "{n}-bit decimal digits" / "{n} বিট দশমিক অঙ্ক";
        words_swapped = "words swapped" / "শব্দ উল্টানো";
        bytes_swapped = "bytes swapped" / "বাইট উল্টানো";
        both_swapped = "words and bytes swapped" / "শব্দ ও বাইট উল্টানো";
    }
}

pub(super) fn routes(routes: Routes) -> Routes {
    routes.post(MANAGER, "/devices/{id}/fields", take).post(
        MANAGER,
        "/devices/{id}/fields/{index}/remove",
        remove,
    )
}

/// The registers that are read of a device.
pub(super) fn section(lang: Lang, device: &Device, map: &RegisterMap) -> Markup {
    let columns = vec![
        Column::new(decoder::t::quantity(lang)),
        Column::new(t::layout(lang)),
        Column::new(""),
    ];
    let rows = map
        .fields
        .iter()
        .enumerate()
        .map(|(i, field)| {
            Row::new(vec![
                html! { (words::quantity(lang, field.quantity)) },
                html! { (layout(lang, field)) },
                html! {
                    form method="post" action=(to!("/devices/{}/fields/{i}/remove", device.id)) {
                        (Button::quiet(t::remove(lang)).icon(Icon::Bin))
                    }
                },
            ])
        })
        .collect();
    let find = Button::secondary(decoder::t::title(lang))
        .icon(Icon::Search)
        .href(to!("/devices/{}/decode", device.id));
    html! {
        section.section {
            div.page-head { div { h2 { (t::title(lang)) } } (find) }
            (Table::new(lang, t::title(lang), columns).rows(rows)
                .empty(html! { p.nothing { (t::none(lang)) } }))
        }
    }
}

/// A field in words: address as manuals print it, width, order, and what it is divided by.
pub(super) fn layout(lang: Lang, field: &RegisterField) -> String {
    let mut parts = vec![t::address(lang, fmt::digits(lang, &printed(field)))];
    parts.push(match field.kind {
        RegisterType::Bit => t::bit(lang).to_owned(),
        RegisterType::U16 => t::bits(lang, 16),
        RegisterType::U32 => t::bits(lang, 32),
        RegisterType::U64 => t::bits(lang, 64),
        RegisterType::I16 => t::signed(lang, 16),
        RegisterType::I32 => t::signed(lang, 32),
        RegisterType::I64 => t::signed(lang, 64),
        RegisterType::F32 => t::float(lang, 32),
        RegisterType::F64 => t::float(lang, 64),
        RegisterType::Bcd32 => t::decimal(lang, 32),
    });
    let order = match field.order {
        WordOrder::Abcd => None,
        WordOrder::Cdab => Some(t::words_swapped(lang)),
        WordOrder::Badc => Some(t::bytes_swapped(lang)),
        WordOrder::Dcba => Some(t::both_swapped(lang)),
    };
    parts.extend(order.map(str::to_owned));
    parts.extend(scale(lang, field.scale));
    if field.offset != 0.0 {
        parts.push(fmt::digits(lang, &format!("{:+}", field.offset)));
    }
    parts.join(", ")
}

/// The address with the leading digit that manuals give each kind of register: 40001 is the first holding register.
fn printed(field: &RegisterField) -> String {
    let (first, address) = match field.function {
        ReadFunction::Coils => ("0", field.address),
        ReadFunction::DiscreteInputs => ("1", field.address),
        ReadFunction::InputRegisters => ("3", field.address),
        ReadFunction::HoldingRegisters => ("4", field.address),
    };
    let number = u32::from(address) + 1;
    if number < 10_000 {
        format!("{first}{number:04}")
    } else {
        format!("{first}{number:05}")
    }
}

/// `÷100` or `×10`, if it is neither.
fn scale(lang: Lang, scale: f64) -> Option<String> {
    let divisor = (1.0 / scale).round();
    if scale == 1.0 {
        None
    } else if scale < 1.0 && divisor.is_finite() && (divisor * scale - 1.0).abs() < 1e-9 {
        Some(format!("÷{}", fmt::float(lang, divisor, 0)))
    } else {
        Some(format!("×{}", fmt::digits(lang, &scale.to_string())))
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
    Ok(Done::Saved.then(to!("/devices/{id}")))
}

#[cfg(test)]
mod tests {
    use farm_model::Quantity;

    use super::*;

    fn check(lang: Lang, kind: RegisterType, order: WordOrder, scale: f64, expected: &str) {
        let field = RegisterField {
            quantity: Quantity::VisitYield,
            function: ReadFunction::HoldingRegisters,
            address: 1,
            kind,
            order,
            scale,
            offset: 0.0,
            missing: Vec::new(),
            wraps_after: None,
        };
        assert_eq!(layout(lang, &field), expected);
    }

    #[test]
    fn a_layout_is_said_as_a_manual_says_it() {
        let en = "address 40002, 32-bit, words swapped, ÷100";
        check(Lang::En, RegisterType::U32, WordOrder::Cdab, 0.01, en);
        let bn = "ঠিকানা ৪০০০২, ৩২ বিট, শব্দ উল্টানো, ÷১০০";
        check(Lang::Bn, RegisterType::U32, WordOrder::Cdab, 0.01, bn);
        check(
            Lang::En,
            RegisterType::I16,
            WordOrder::Abcd,
            1.0,
            "address 40002, 16-bit signed",
        );
        check(
            Lang::En,
            RegisterType::F32,
            WordOrder::Dcba,
            10.0,
            "address 40002, 32-bit floating, words and bytes swapped, ×10",
        );
    }
}
