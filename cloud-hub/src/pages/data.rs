//! What an owner may do with the farm's data at the hub: take it along, or have it deleted.

use axum::{
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Redirect, Response},
};
use farm_web::common::Typed;
use hub_accounts::{Role, removal};
use jiff::tz::TimeZone;
use maud::{Markup, html};
use ui::{
    Lang,
    components::{Button, Field, form_error, section},
    fmt,
    icons::Icon,
};

use super::{account, farm, frame};
use crate::web::{Error, Here, Me, Needs, Peer, Routes, Web};

pub(crate) mod t {
    ui::texts! {
        remove = "Delete the farm at the hub" / "হাব থেকে খামার মুছে ফেলুন";
        remove_text(days) = "After {days} days the hub forgets this farm: its records, members and codes. Until then it can be kept. What is on the farm's own machine stays there." / "{days} দিন পরে হাব এই খামার ভুলে যাবে: তথ্য, সদস্য ও কোড। তার আগে রেখে দেওয়া যাবে। খামারের নিজের যন্ত্রে যা আছে তা থাকবে।";
        type_name(name) = "Type the farm's name: {name}" / "খামারের নাম লিখুন: {name}";
        name_differs = "This is not the farm's name. Type it as it is written above." / "এটি খামারের নাম নয়। উপরে যেমন আছে তেমন লিখুন।";
        password = "Your password" / "আপনার পাসওয়ার্ড";
        going(date) = "This farm will be deleted at the hub on {date}." / "এই খামার {date} তারিখে হাব থেকে মুছে যাবে।";
        keep = "Keep the farm" / "খামার রেখে দিন";
    }
}

pub(crate) fn routes(routes: Routes) -> Routes {
    let owner = Needs::Member(Role::Owner);
    routes
        .get(owner, "/manage/{slug}/data", page)
        .post(owner, "/manage/{slug}/delete", delete)
        .post(owner, "/manage/{slug}/keep", keep)
}

async fn page(headers: HeaderMap, me: Me, here: Here) -> Markup {
    show(&headers, &me, &here, &Typed::default())
}

fn show(headers: &HeaderMap, me: &Me, here: &Here, typed: &Typed) -> Markup {
    let lang = frame::lang_of(headers);
    let body = match here.farm.goes {
        Some(_) => html! {},
        None => removal_form(lang, here, typed),
    };
    farm::framed(lang, headers, me, here, "/data", &body)
}

async fn delete(
    State(web): State<Web>,
    headers: HeaderMap,
    peer: Peer,
    me: Me,
    here: Here,
    mut typed: Typed,
) -> Result<Response, Error> {
    let lang = frame::lang_of(&headers);
    if typed.text("name") != here.farm.name {
        typed.wrong("name", t::name_differs(lang));
    } else if !account::is_mine(&web, peer, &me, typed.text("password")).await? {
        typed.wrong("password", account::t::wrong(lang));
    }
    if !typed.is_right() {
        return Ok(typed.answer(show(&headers, &me, &here, &typed)));
    }
    let (by, farm) = (me.account.id, here.farm.clone());
    web.store
        .write(move |tx| removal::ask(tx, by, &farm))
        .await?;
    Ok(Redirect::to(&here.path()).into_response())
}

async fn keep(State(web): State<Web>, me: Me, here: Here) -> Result<Redirect, Error> {
    let (by, farm) = (me.account.id, here.farm.clone());
    web.store
        .write(move |tx| removal::keep(tx, by, &farm))
        .await?;
    Ok(Redirect::to(&here.path()))
}

/// Above each page of a farm that goes: when, and how to keep it.
pub(crate) fn warning(lang: Lang, here: &Here) -> Markup {
    let Some(goes) = here.farm.goes else {
        return html! {};
    };
    let date = jiff::Timestamp::from_microsecond(goes.0).unwrap_or_default();
    let date = fmt::date(lang, date.to_zoned(TimeZone::UTC).date());
    html! {
        (form_error(&t::going(lang, date)))
        @if here.role == Role::Owner {
            form method="post" action={ (here.path()) "/keep" } { (Button::secondary(t::keep(lang)).icon(Icon::Undo)) }
        }
    }
}

fn removal_form(lang: Lang, here: &Here, typed: &Typed) -> Markup {
    let password = Field::password("password", t::password(lang)).autocomplete("current-password");
    let form = html! {
        form.form method="post" action={ (here.path()) "/delete" } {
            p { (t::remove_text(lang, removal::GRACE_S / 86_400)) }
            (typed.field("name", Field::text("name", t::type_name(lang, &here.farm.name)).required()))
            (typed.secret("password", password.required()))
            (Button::danger(t::remove(lang)).icon(Icon::Bin))
        }
    };
    section(t::remove(lang), &form)
}

#[cfg(test)]
mod tests {
    #[test]
    fn texts_are_right_in_both_languages() {
        assert_eq!(ui::i18n::faults(super::t::ALL), Vec::<String>::new());
    }
}
