//! The auto-decoder: type what the display shows, and the machine says which registers it may be; a second look narrows it.
//!
//! Nothing is remembered between the steps: what was proposed travels in the form. What cannot be read or taken is said above
//! the form, which keeps what was typed.

use axum::{extract::Path, response::Response};
use farm::devices;
use farm_model::{
    Device, DeviceId, Quantity,
    device::{DecodeProposal, ReadFunction},
};
use maud::{Markup, html};
use ui::{
    Lang,
    components::{
        Badge, Breadcrumb, Button, Choice, EmptyState, Field, Select, breadcrumbs, page_head,
    },
    fmt,
    icons::Icon,
    shell::Tone,
};

use super::{Ctx, MANAGER, map_of, refused::hex, registers::layout};
use crate::{
    access::Routes,
    address::to,
    border::{HardwareError, Words},
    error::{Error, Reason},
    pages::typed::Typed,
    words,
};

pub(crate) mod t {
    ui::texts! {
        title = "Find a value" / "মান খুঁজে বের করুন";
        text = "Type what the display shows now. The machine reads the device and says where that number may stand." / "যন্ত্রের পর্দায় এখন যা দেখা যাচ্ছে লিখুন। মেশিন যন্ত্রটি পড়ে বলবে সংখ্যাটি কোথায় থাকতে পারে।";
        quantity = "What it is" / "কীসের মান";
        shown = "The display shows" / "পর্দায় দেখাচ্ছে";
        shown_hint = "Digit by digit as you see it, the point too; not zero" / "পর্দায় যেমন আছে ঠিক তেমন, দশমিকসহ; শূন্য নয়";
        where_to_look = "Where to look" / "কোথায় খুঁজবে";
        function = "Kind of registers" / "রেজিস্টারের ধরন";
        holding = "Holding registers (03)" / "হোল্ডিং রেজিস্টার (০৩)";
        input = "Input registers (04)" / "ইনপুট রেজিস্টার (০৪)";
        from = "First address" / "প্রথম ঠিকানা";
        from_hint = "Counted from 0: what a manual calls 40001 or 30001 is 0" / "০ থেকে গোনা: বইয়ে যা ৪০০০১ বা ৩০০০১, এখানে তা ০";
        count = "How many" / "কয়টি";
        search = "Read and search" / "পড়ে খুঁজুন";
        found(n) = "{n} possibility" | "{n} possibilities" / "{n}টি সম্ভাবনা";
        shown_of(n, all) = "The likeliest {n} of {all}" / "{all}টির মধ্যে সবচেয়ে সম্ভাব্য {n}টি";
        one = "Only this fits. Take it." / "শুধু এটিই মেলে। এটি নিন।";
        again = "Take a second look" / "আরেকবার দেখুন";
        again_text = "Wait until the display shows another number and type that. What no longer fits drops out." / "পর্দায় অন্য সংখ্যা এলে সেটি লিখুন। যা আর মেলে না তা বাদ যাবে।";
        narrow = "Narrow down" / "বাছাই করুন";
        take = "Take this" / "এটি নিন";
        likely(percent) = "{percent}% likely" / "সম্ভাবনা {percent}%";
        nothing = "Nothing fits" / "কিছুই মেলেনি";
        nothing_text = "Check the number, the kind of registers and the addresses, then search again." / "সংখ্যা, রেজিস্টারের ধরন ও ঠিকানা দেখে আবার খুঁজুন।";
        was_read = "What was read" / "যা পড়া হয়েছে";
        bad_number = "Write the number as the display shows it, such as 12.50. Zero teaches nothing." / "পর্দায় যেমন দেখায় তেমন লিখুন, যেমন ১২.৫০। শূন্য থেকে কিছু বোঝা যায় না।";
        bad_from = "Between 0 and 65,535." / "০ থেকে ৬৫৫৩৫-এর মধ্যে।";
        bad_count = "Between 1 and 125." / "১ থেকে ১২৫-এর মধ্যে।";
    }
}

/// Proposals drawn; the others still travel along.
const SHOWN: usize = 12;
/// Most registers that one request of Modbus reads.
const MOST: i64 = 125;

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .get(MANAGER, "/devices/{id}/decode", page)
        .post(MANAGER, "/devices/{id}/decode", search)
}

async fn page(ctx: Ctx, Path(id): Path<DeviceId>) -> Result<Response, Error> {
    let device = device(&ctx, id).await?;
    let lang = ctx.lang;
    let typed = Typed::filled([
        ("quantity", Quantity::VisitYield.key().to_owned()),
        (
            "function",
            function_key(ReadFunction::HoldingRegisters).to_owned(),
        ),
        ("from", fmt::int(lang, 0)),
        ("count", fmt::int(lang, 64)),
    ]);
    Ok(draw(
        &ctx,
        &device,
        &typed,
        &html! { (look_form(lang, id, &typed)) },
    ))
}

/// A device whose registers can be read.
async fn device(ctx: &Ctx, id: DeviceId) -> Result<Device, Error> {
    let device = ctx
        .web
        .farm
        .read(move |conn| devices::get(conn, id))
        .await?;
    device
        .filter(|d| map_of(&d.link).is_some())
        .ok_or_else(|| Reason::NotFound.into())
}

fn draw(ctx: &Ctx, device: &Device, typed: &Typed, body: &Markup) -> Response {
    let lang = ctx.lang;
    let body = html! {
        (breadcrumbs(lang, &[Breadcrumb { label: device.name.clone(), href: to!("/devices/{}", device.id) }]))
        (page_head(t::title(lang), t::text(lang), &html! {}))
        (body)
    };
    typed.answer(ctx.page(t::title(lang), &[]).body(body).render())
}

/// What to read, and what the display shows meanwhile.
struct Look {
    quantity: Quantity,
    shown: String,
    function: ReadFunction,
    from: u16,
    count: u16,
    /// What the look before this one left.
    before: Vec<DecodeProposal>,
}

fn read(lang: Lang, typed: &mut Typed) -> Option<Look> {
    let quantity = typed.choice(lang, "quantity", |key| key.parse().ok());
    let function = typed.choice(lang, "function", function_of);
    let from = typed
        .number(lang, "from", 0)
        .and_then(|n| u16::try_from(n).ok());
    let count = typed
        .number(lang, "count", 0)
        .filter(|n| (1..=MOST).contains(n));
    if from.is_none() {
        typed.wrong("from", t::bad_from(lang));
    }
    if count.is_none() {
        typed.wrong("count", t::bad_count(lang));
    }
    // At most twelve digits, of which at most six stand behind the point.
    let shown = fmt::ascii_digits(typed.text("shown"));
    if fmt::parse_decimal(&shown, 6).ok().is_none_or(|n| n == 0) {
        typed.wrong("shown", t::bad_number(lang));
    }
    let before = if typed.text("before").is_empty() {
        Vec::new()
    } else {
        let left = typed.choice(lang, "before", |json| serde_json::from_str(json).ok());
        left.unwrap_or_default()
    };
    let count = count.and_then(|n| u16::try_from(n).ok());
    let look = Look {
        quantity: quantity?,
        shown,
        function: function?,
        from: from?,
        count: count?,
        before,
    };
    typed.is_right().then_some(look)
}

async fn search(ctx: Ctx, Path(id): Path<DeviceId>, mut typed: Typed) -> Result<Response, Error> {
    let lang = ctx.lang;
    let device = device(&ctx, id).await?;
    let Some(look) = read(lang, &mut typed) else {
        let form = html! { (look_form(lang, id, &typed)) };
        return Ok(draw(&ctx, &device, &typed, &form));
    };
    let hardware = &ctx.web.hardware;
    let words = match hardware
        .registers(device.link.clone(), look.function, look.from, look.count)
        .await
    {
        Ok(words) => words,
        Err(error) => {
            typed.refuse(unreadable(lang, &error));
            let form = html! { (look_form(lang, id, &typed)) };
            return Ok(draw(&ctx, &device, &typed, &form));
        }
    };
    let blocks = [words];
    let proposals = if look.before.is_empty() {
        hardware.propose(&look.shown, &blocks, look.quantity)
    } else {
        hardware.narrow(&look.before, &look.shown, &blocks)
    };
    let body = html! {
        (found(lang, id, &proposals))
        (raw(lang, &blocks[0]))
        @match proposals.len() {
            0 => (look_form(lang, id, &typed)),
            1 => {},
            _ => (second_look(lang, id, &typed, &proposals)),
        }
    };
    Ok(draw(&ctx, &device, &typed, &body))
}

/// What is wrong with the line, what to do, and the driver's own words.
fn unreadable(lang: Lang, error: &HardwareError) -> String {
    let reason = match error {
        HardwareError::Absent => Reason::NoHardware,
        HardwareError::NoAnswer | HardwareError::Refused(_) | HardwareError::Port(_) => {
            Reason::DeviceSilent
        }
    };
    let said = words::reason(lang, reason);
    match error {
        HardwareError::Refused(why) | HardwareError::Port(why) => format!("{said} ({why})"),
        HardwareError::Absent | HardwareError::NoAnswer => said.to_owned(),
    }
}

fn function_key(function: ReadFunction) -> &'static str {
    match function {
        ReadFunction::InputRegisters => "input_registers",
        _ => "holding_registers",
    }
}

fn function_of(key: &str) -> Option<ReadFunction> {
    match key {
        "holding_registers" => Some(ReadFunction::HoldingRegisters),
        "input_registers" => Some(ReadFunction::InputRegisters),
        _ => None,
    }
}

fn shown_field(lang: Lang, typed: &Typed) -> Field {
    let field = Field::decimal("shown", t::shown(lang)).hint(t::shown_hint(lang));
    typed.field("shown", field).big().required().autofocus()
}

fn look_form(lang: Lang, id: DeviceId, typed: &Typed) -> Markup {
    let quantities = Quantity::ALL
        .iter()
        .map(|q| Choice::new(q.key(), words::quantity(lang, *q)))
        .collect();
    let functions = vec![
        Choice::new("holding_registers", t::holding(lang)),
        Choice::new("input_registers", t::input(lang)),
    ];
    let from = Field::integer("from", t::from(lang))
        .hint(t::from_hint(lang))
        .required();
    html! {
        form.form method="post" novalidate action=(to!("/devices/{id}/decode")) {
            (typed.faults(lang))
            (typed.select("quantity", Select::new("quantity", t::quantity(lang), quantities)))
            (shown_field(lang, typed))
            h2 { (t::where_to_look(lang)) }
            (typed.select("function", Select::new("function", t::function(lang), functions)))
            (typed.field("from", from))
            (typed.field("count", Field::integer("count", t::count(lang)).required()))
            div.actions { (Button::primary(t::search(lang)).icon(Icon::Search).big()) }
        }
    }
}

/// Asks for another number, with what is left so far.
fn second_look(lang: Lang, id: DeviceId, typed: &Typed, left: &[DecodeProposal]) -> Markup {
    let empty = Field::decimal("shown", t::shown(lang))
        .hint(t::shown_hint(lang))
        .big()
        .required();
    html! {
        section.section {
            h2 { (t::again(lang)) }
            p { (t::again_text(lang)) }
            form.form method="post" novalidate action=(to!("/devices/{id}/decode")) {
                @for name in ["quantity", "function", "from", "count"] {
                    input type="hidden" name=(name) value=(typed.text(name));
                }
                input type="hidden" name="before" value=(serde_json::to_string(left).unwrap_or_default());
                (empty)
                div.actions { (Button::primary(t::narrow(lang)).icon(Icon::Search)) }
            }
        }
    }
}

fn found(lang: Lang, id: DeviceId, proposals: &[DecodeProposal]) -> Markup {
    if proposals.is_empty() {
        let nothing = EmptyState::new(Icon::Search, t::nothing(lang), t::nothing_text(lang));
        return html! { (nothing) };
    }
    let title = if proposals.len() > SHOWN {
        t::shown_of(lang, SHOWN, proposals.len())
    } else {
        t::found(lang, proposals.len())
    };
    html! {
        section.section {
            h2 { (title) }
            @if proposals.len() == 1 { p { (t::one(lang)) } }
            ol.readings { @for (i, p) in proposals.iter().take(SHOWN).enumerate() { (proposal(lang, id, p, i == 0)) } }
        }
    }
}

fn proposal(lang: Lang, id: DeviceId, proposal: &DecodeProposal, is_first: bool) -> Markup {
    let field = &proposal.field;
    // As the display shows it: every digit that is there.
    let reads = fmt::digits(lang, &proposal.reads.to_string());
    let reads = words::t::value_with_unit(lang, reads, words::unit(lang, field.quantity));
    let tone = if is_first { Tone::Good } else { Tone::Neutral };
    let take = if is_first {
        Button::primary(t::take(lang))
    } else {
        Button::secondary(t::take(lang))
    };
    html! {
        li.reading-row {
            span { (layout(lang, field)) " → " strong { (reads) } }
            (Badge::new(tone, t::likely(lang, proposal.score)))
            form method="post" action=(to!("/devices/{id}/fields")) {
                input type="hidden" name="field" value=(serde_json::to_string(field).unwrap_or_default());
                (take.icon(Icon::Check))
            }
        }
    }
}

/// The registers as they came, for those who read such.
fn raw(lang: Lang, block: &Words) -> Markup {
    let bytes: Vec<u8> = block.words.iter().flat_map(|w| w.to_be_bytes()).collect();
    html! {
        details.chart-table {
            summary { (t::was_read(lang)) }
            code.hex tabindex="0" { (fmt::int(Lang::En, block.address.into())) ": " (hex(&bytes)) }
        }
    }
}
