//! The farm's hub: connecting with a claim code, how the exchange goes, and leaving.

mod trouble;

use std::sync::Arc;

use axum::response::Response;
use farm_model::{Clock as _, staff::Role};
use maud::{Markup, html};
use ui::{
    Lang,
    components::{Badge, Button, Confirm, Field, facts, scanner, time_ago},
    fmt,
    icons::Icon,
    shell::Tone,
};

use self::trouble::t as refusal;
use super::{Ctx, context::Done, typed::Typed};
use crate::{
    access::{Needs, Routes},
    address::to,
    app::Web,
    border::{HubLink, HubStanding, HubTrouble, JoinError, JoinedHub},
    error::{Error, Reason},
    live::{Fragment, Topic},
};

pub(crate) mod t {
    ui::texts! {
        hub = "Hub" / "হাব";
        text = "A hub keeps a second copy of the farm and shows it from afar. The farm works without it." / "হাব খামারের দ্বিতীয় কপি রাখে ও দূর থেকে দেখায়। হাব ছাড়াও খামার চলে।";
        off = "The hub is switched off in this machine's configuration (hub.enabled)." / "এই যন্ত্রের কনফিগারেশনে হাব বন্ধ করা আছে (hub.enabled)।";
        address = "Address of the hub" / "হাবের ঠিকানা";
        address_hint = "Such as https://hub.example.org; with the whole link it may stay empty." / "যেমন https://hub.example.org; পুরো লিংক দিলে খালি রাখুন।";
        code = "Claim code" / "সংযোগ কোড";
        code_hint = "16 letters and digits, or the whole link. The hub shows them on the farm's page under Connect a machine." / "১৬টি অক্ষর ও সংখ্যা, অথবা পুরো লিংক। হাবে খামারের পাতায় “যন্ত্র যুক্ত করুন” চাপলে দেখা যায়।";
        connect = "Connect" / "যুক্ত করুন";
        farm = "Farm at the hub" / "হাবে খামারের নাম";
        heard = "Last exchange" / "শেষ আদান-প্রদান";
        not_yet = "none since this machine started" / "যন্ত্র চালুর পর এখনো হয়নি";
        waits = "Waits to be sent" / "পাঠানোর অপেক্ষায়";
        nothing_waits = "nothing" / "কিছু নেই";
        changes(n) = "{n} change" | "{n} changes" / "{n}টি পরিবর্তন";
        aside = "Set aside" / "সরিয়ে রাখা";
        aside_text = "Update this machine and the hub; it is tried again by itself." / "যন্ত্র ও হাব হালনাগাদ করুন; পরে নিজে থেকেই আবার চেষ্টা হবে।";
        up_to_date = "Up to date" / "মিল আছে";
        exchanging = "Exchanging" / "আদান-প্রদান চলছে";
        cut_off = "Not connected" / "সংযোগ নেই";
        again_soon = "It is tried again in a moment." / "একটু পরেই আবার চেষ্টা হবে।";
        again_s(n) = "It is tried again within {n} second." | "It is tried again within {n} seconds." / "{n} সেকেন্ডের মধ্যে আবার চেষ্টা হবে।";
        again_min(n) = "It is tried again within {n} minute." | "It is tried again within {n} minutes." / "{n} মিনিটের মধ্যে আবার চেষ্টা হবে।";
        send_now = "Send now" / "এখনই পাঠান";
        leave = "Leave the hub" / "হাব ছাড়ুন";
        leave_ask = "Leave the hub?" / "হাব ছাড়বেন?";
        leave_text = "Nothing is sent or received any more. The farm stays here whole, and the hub keeps what it has. To come back you need a new claim code." / "আর কিছু পাঠানো বা আনা হবে না। খামারের সব তথ্য এখানে থাকবে, হাবেরটাও থাকবে। ফিরতে নতুন সংযোগ কোড লাগবে।";
        again = "Connect again" / "আবার যুক্ত করুন";
        again_text = "With a new claim code from the hub." / "হাব থেকে নতুন সংযোগ কোড নিয়ে।";
        switch = "Demonstration: cut the line or join it" / "প্রদর্শনী: লাইন কাটুন বা জোড়া দিন";
    }
}

pub(crate) fn routes(routes: Routes) -> Routes {
    let owner = Needs::Role(Role::Owner);
    routes
        .get(owner, "/hub", page)
        .post(owner, "/hub", join)
        .post(owner, "/hub/send", send)
        .post(owner, "/hub/leave", leave)
}

fn link(web: &Web) -> Result<Arc<dyn HubLink>, Error> {
    let link = web.options.hub.clone();
    link.ok_or_else(|| Reason::NotFound.into())
}

async fn page(ctx: Ctx) -> Result<Response, Error> {
    draw(&ctx, &Typed::default()).await
}

async fn draw(ctx: &Ctx, typed: &Typed) -> Result<Response, Error> {
    let lang = ctx.lang;
    let standing = match &ctx.web.options.hub {
        Some(link) => link.standing().await?,
        None => HubStanding::Off,
    };
    let body = html! {
        h1 { (t::hub(lang)) }
        p { (t::text(lang)) }
        @match &standing {
            HubStanding::Off => p { (t::off(lang)) },
            HubStanding::Alone => (form(lang, typed)),
            HubStanding::Joined(hub) => {
                (state(lang, &standing, ctx.now.wall.0))
                div.actions {
                    form method="post" action=(to!("/hub/send")) { (Button::secondary(t::send_now(lang)).icon(Icon::Wifi)) }
                    (Button::danger(t::leave(lang)).opens("leave-hub"))
                    (confirm(lang))
                }
                @if let Some(switch) = &hub.switch { p { a href=(switch) { (t::switch(lang)) } } }
                @if hub.trouble.is_some_and(HubTrouble::wants_a_code) {
                    section.section {
                        h2 { (t::again(lang)) }
                        p { (t::again_text(lang)) }
                        (form(lang, &filled(typed, &hub.address)))
                    }
                }
            },
        }
    };
    let page = ctx
        .page(t::hub(lang), &[Topic::Hub])
        .path(to!("/hub"))
        .body(body);
    Ok(typed.answer(page.render()))
}

fn filled(typed: &Typed, address: &str) -> Typed {
    let mut typed = typed.clone();
    if typed.text("address").is_empty() {
        typed.set("address", address);
    }
    typed
}

fn form(lang: Lang, typed: &Typed) -> Markup {
    html! {
        form.form method="post" action=(to!("/hub")) {
            (typed.faults(lang))
            (typed.field("code", Field::text("code", t::code(lang)).hint(t::code_hint(lang)).required()))
            (scanner(lang, "code"))
            (typed.field("address", Field::text("address", t::address(lang)).hint(t::address_hint(lang))))
            div.actions { (Button::primary(t::connect(lang)).icon(Icon::Wifi)) }
        }
    }
}

fn confirm(lang: Lang) -> Markup {
    let confirm = Confirm {
        lang,
        id: "leave-hub".to_owned(),
        title: t::leave_ask(lang).to_owned(),
        text: t::leave_text(lang).to_owned(),
        deed: t::leave(lang).to_owned(),
        action: to!("/hub/leave"),
        fields: Vec::new(),
    };
    html! { (confirm) }
}

/// What changes on the page by itself.
pub(crate) async fn fragments(
    farm: &farm::Farm,
    link: Option<&Arc<dyn HubLink>>,
    lang: Lang,
) -> Result<Vec<Fragment>, Error> {
    let Some(link) = link else {
        return Ok(Vec::new());
    };
    let now = farm.clock().now().wall.0;
    let standing = link.standing().await?;
    Ok(vec![Fragment::new(
        "hub-state",
        state(lang, &standing, now),
    )])
}

fn state(lang: Lang, standing: &HubStanding, now_ms: i64) -> Markup {
    html! {
        div #hub-state aria-live="polite" {
            @if let HubStanding::Joined(hub) = standing { (exchange(lang, hub, now_ms)) }
        }
    }
}

fn exchange(lang: Lang, hub: &JoinedHub, now_ms: i64) -> Markup {
    let (tone, word) = match (hub.trouble, hub.current) {
        (Some(_), _) => (Tone::Bad, t::cut_off(lang)),
        (None, true) if hub.waiting == 0 => (Tone::Good, t::up_to_date(lang)),
        (None, _) => (Tone::Info, t::exchanging(lang)),
    };
    let heard = hub.heard_ago.map(|ago| {
        let ago_ms = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
        now_ms.saturating_sub(ago_ms)
    });
    let waiting = i64::try_from(hub.waiting).unwrap_or(i64::MAX);
    let mut items = vec![
        (
            t::farm(lang),
            html! { (hub.farm) " " (Badge::new(tone, word)) },
        ),
        (t::address(lang), html! { code { (hub.address) } }),
        (
            t::heard(lang),
            html! {
                @match heard { Some(at) => (time_ago(lang, at, now_ms)), None => (t::not_yet(lang)) }
            },
        ),
        (
            t::waits(lang),
            html! {
                @if waiting == 0 { (t::nothing_waits(lang)) } @else { (t::changes(lang, waiting)) }
            },
        ),
    ];
    if hub.set_aside > 0 {
        let count = html! { (fmt::int(lang, hub.set_aside as i64)) ". " (t::aside_text(lang)) };
        items.push((t::aside(lang), count));
    }
    html! {
        (facts(&items))
        @if let Some(trouble) = hub.trouble {
            div.flash.(if trouble.wants_a_code() { "bad" } else { "warn" }) role="status" {
                (Icon::WifiOff) p { (trouble.words(lang)) " " (again(lang, hub)) }
            }
        }
    }
}

fn again(lang: Lang, hub: &JoinedHub) -> String {
    let seconds = i64::try_from(hub.again_in.as_secs()).unwrap_or(i64::MAX);
    match seconds {
        0 => t::again_soon(lang).to_owned(),
        1..=119 => t::again_s(lang, seconds),
        _ => t::again_min(lang, seconds / 60 + 1),
    }
}

async fn join(ctx: Ctx, mut typed: Typed) -> Result<Response, Error> {
    let lang = ctx.lang;
    let (address, code) = match linked(typed.text("code")) {
        Some((address, code)) => (address.to_owned(), code.to_owned()),
        None => (
            typed.text("address").to_owned(),
            typed.text("code").to_owned(),
        ),
    };
    let joined = link(&ctx.web)?.join(ctx.me.actor(), address, code).await;
    match joined {
        Ok(()) => return Ok(Done::Saved.then(to!("/hub"))),
        Err(JoinError::NotAnAddress) => typed.wrong("address", refusal::bad_address(lang)),
        Err(JoinError::InTheClear) => typed.wrong("address", refusal::in_the_clear(lang)),
        Err(JoinError::NotAllowed) => typed.wrong("address", refusal::not_allowed(lang)),
        Err(JoinError::NotACode) => typed.wrong("code", refusal::bad_code(lang)),
        Err(JoinError::Code) => typed.wrong("code", refusal::code_refused(lang)),
        Err(JoinError::Off) => typed.refuse(t::off(lang)),
        Err(JoinError::Joined) => typed.refuse(refusal::joined_already(lang)),
        Err(JoinError::NotEmpty) => typed.refuse(refusal::anew(lang)),
        Err(JoinError::Trouble(trouble)) => typed.refuse(trouble.words(lang)),
        Err(JoinError::Store(error)) => return Err(error.into()),
    }
    draw(&ctx, &typed).await
}

/// Address and code, if what was typed is the link that a hub shows as a picture: `https://hub.example.org/connect#CODE`.
fn linked(typed: &str) -> Option<(&str, &str)> {
    let (page, code) = typed.split_once('#')?;
    let (scheme, rest) = page.split_once("://")?;
    let host = rest.split('/').next()?.len();
    Some((&page[..scheme.len() + 3 + host], code))
}

async fn send(ctx: Ctx) -> Result<Response, Error> {
    link(&ctx.web)?.hurry().await;
    Ok(Done::Saved.then(to!("/hub")))
}

async fn leave(ctx: Ctx) -> Result<Response, Error> {
    link(&ctx.web)?.leave(ctx.me.actor()).await?;
    Ok(Done::Saved.then(to!("/hub")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_holds_address_and_code() {
        for (typed, expected) in [
            (
                "https://hub.example.org/connect#4GZ7-2MNC-K0QX-8TWB",
                Some(("https://hub.example.org", "4GZ7-2MNC-K0QX-8TWB")),
            ),
            (
                "http://127.0.0.1:8090/#X",
                Some(("http://127.0.0.1:8090", "X")),
            ),
            ("4GZ7-2MNC-K0QX-8TWB", None),
            ("4GZ7#", None),
        ] {
            assert_eq!(linked(typed), expected, "{typed}");
        }
    }
}
