//! All my farms, with how fresh each is, and the form that makes another.

use axum::{
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Redirect, Response},
};
use farm_web::common::Typed;
use hub_accounts::{Name, farms, farms::Mine, text::NotAName};
use hub_store::Micros;
use maud::{Markup, html};
use ui::{
    Lang,
    components::{Badge, Breadcrumb, Button, EmptyState, Field, breadcrumbs, page_head},
    icons::Icon,
    shell::Tone,
};

use super::{frame, import};
use crate::web::{Error, Me, Needs, Routes, Web};

pub(crate) mod t {
    ui::texts! {
        text = "What a farm last told the hub is shown; the farm itself goes on without it." / "খামার শেষ যা জানিয়েছে তা-ই দেখানো হয়; খামার নিজে হাব ছাড়াও চলে।";
        add = "Add a farm" / "খামার যোগ করুন";
        none = "No farm yet" / "এখনো কোনো খামার নেই";
        none_text = "Add your farm and connect its machine, or ask its owner to invite you." / "আপনার খামার যোগ করে তার যন্ত্রটি যুক্ত করুন, অথবা মালিককে আমন্ত্রণ পাঠাতে বলুন।";
        not_connected = "Machine not connected yet" / "যন্ত্র এখনো যুক্ত হয়নি";
        quiet = "Not heard for long" / "অনেকক্ষণ সাড়া নেই";
        fresh = "Connected" / "যুক্ত আছে";
        waiting(n) = "{n} change had not arrived yet" | "{n} changes had not arrived yet" / "{n}টি পরিবর্তন তখনো আসেনি";
        going = "Will be deleted" / "মুছে ফেলা হবে";
        name = "Name of the farm" / "খামারের নাম";
        name_hint = "As people there call it; it can be changed later." / "সবাই যে নামে চেনে; পরে বদলানো যাবে।";
        create = "Add" / "যোগ করুন";
        bad_name = "Write a name of at most 80 letters." / "সর্বোচ্চ ৮০ অক্ষরের একটি নাম লিখুন।";
    }
}

/// A farm that was not heard for this long is shown as quiet.
const QUIET_S: i64 = 15 * 60;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .get(Needs::Account, "/", list)
        .get(Needs::TwoFactors, "/new", form)
        .post(Needs::TwoFactors, "/new", create)
}

async fn list(State(web): State<Web>, headers: HeaderMap, me: Me) -> Result<Markup, Error> {
    let lang = frame::lang_of(&headers);
    let id = me.account.id;
    let mine = web.store.read(move |tx| farms::of_account(tx, id)).await?;
    let now = web.store.now();
    let page = frame::page(lang, &headers, &me, frame::t::my_farms(lang), "/");
    Ok(page.body(farm_list(lang, &mine, now)).render())
}

fn farm_list(lang: Lang, mine: &[Mine], now: Micros) -> Markup {
    let add = html! {
        (Button::primary(t::add(lang)).icon(Icon::Plus).href("/new"))
        (Button::quiet(import::t::title(lang)).href(import::UPLOAD))
    };
    if mine.is_empty() {
        return html! {
            (EmptyState::new(Icon::Herd, t::none(lang), t::none_text(lang)).action(html! { div.actions { (add) } }))
        };
    }
    html! {
        (page_head(frame::t::my_farms(lang), t::text(lang), &add))
        ul.people {
            @for farm in mine {
                li {
                    a.tile href={ "/manage/" (farm.membership.farm.slug) } {
                        (Icon::Herd)
                        span.tile-text {
                            strong { (farm.membership.farm.name) }
                            small { (frame::role(lang, farm.membership.role)) " · " (frame::heard(lang, farm.heard, now)) }
                            @if farm.waiting > 0 { small { (t::waiting(lang, farm.waiting)) } }
                            span { (badge(lang, freshness(farm, now))) }
                        }
                    }
                }
            }
        }
    }
}

/// How to take a farm's silence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Freshness {
    /// It will be deleted.
    Going,
    /// No machine was ever connected.
    NotConnected,
    /// It was heard of late.
    Fresh,
    /// It was not.
    Quiet,
}

/// How to take this farm's silence.
pub(crate) fn freshness(farm: &Mine, now: Micros) -> Freshness {
    if farm.membership.farm.goes.is_some() {
        return Freshness::Going;
    }
    match (farm.sites, farm.heard) {
        (0, _) => Freshness::NotConnected,
        (_, Some(at)) if now.seconds_since(at) < QUIET_S => Freshness::Fresh,
        _ => Freshness::Quiet,
    }
}

fn badge(lang: Lang, freshness: Freshness) -> Badge {
    match freshness {
        Freshness::Going => Badge::new(Tone::Bad, t::going(lang)),
        Freshness::NotConnected => Badge::new(Tone::Info, t::not_connected(lang)),
        Freshness::Fresh => Badge::new(Tone::Good, t::fresh(lang)),
        Freshness::Quiet => Badge::new(Tone::Warn, t::quiet(lang)),
    }
}

async fn form(headers: HeaderMap, me: Me) -> Markup {
    let lang = frame::lang_of(&headers);
    new_form(lang, &headers, &me, &Typed::default())
}

async fn create(
    State(web): State<Web>,
    headers: HeaderMap,
    me: Me,
    mut typed: Typed,
) -> Result<Response, Error> {
    let lang = frame::lang_of(&headers);
    let name = match Name::new(typed.text("name")) {
        Ok(name) => name,
        Err(NotAName::Empty | NotAName::TooLong | NotAName::Hidden) => {
            typed.wrong("name", t::bad_name(lang));
            return Ok(typed.answer(new_form(lang, &headers, &me, &typed)));
        }
    };
    let owner = me.account.clone();
    let farm = web
        .store
        .write(move |tx| farms::create(tx, &owner, &name))
        .await?;
    Ok(Redirect::to(&format!("/manage/{}", farm.slug)).into_response())
}

fn new_form(lang: Lang, headers: &HeaderMap, me: &Me, typed: &Typed) -> Markup {
    let back = Breadcrumb {
        label: frame::t::my_farms(lang).to_owned(),
        href: "/".to_owned(),
    };
    let name = Field::text("name", t::name(lang)).hint(t::name_hint(lang));
    let body = html! {
        (breadcrumbs(lang, &[back]))
        form.form method="post" action="/new" {
            h1 { (t::add(lang)) }
            (typed.field("name", name.required().autofocus()))
            (Button::primary(t::create(lang)).icon(Icon::Check).big().wide())
        }
    };
    let page = frame::page(lang, headers, me, t::add(lang), "/new");
    page.narrow().body(body).render()
}
