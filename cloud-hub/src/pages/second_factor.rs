//! Setting up the second factor: a QR code for the app, the first code back, then the backup codes, shown once.

use axum::{
    extract::{Form, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Redirect, Response},
};
use hub_accounts::{
    Secret,
    second_factor::{self, SecondFactorError},
    totp::TotpKey,
};
use maud::{Markup, html};
use serde::Deserialize;
use ui::{
    Lang,
    components::{Button, Field, copyable, form_error, qr},
    fmt,
    icons::Icon,
};

use super::{frame, login};
use crate::web::{Error, Me, Needs, Reason, Routes, Web};

pub(crate) mod t {
    ui::texts! {
        title = "Second factor" / "দ্বিতীয় ধাপের সুরক্ষা";
        why = "Whoever owns a farm logs in with a password and with a code of their phone. A stolen password alone then opens nothing." / "খামারের মালিক পাসওয়ার্ডের সঙ্গে ফোনের একটি কোড দিয়ে ঢোকেন। তাই শুধু পাসওয়ার্ড চুরি করে কেউ ঢুকতে পারে না।";
        step_app = "1. Scan this with an authenticator app on your phone" / "১. ফোনের অথেনটিকেটর অ্যাপ দিয়ে এটি স্ক্যান করুন";
        app_hint = "Aegis, Google Authenticator and others will do. If you read this on that phone, copy the key into the app." / "Aegis, Google Authenticator বা অন্য অ্যাপ চলবে। সেই ফোনেই পড়লে চাবিটি কপি করে অ্যাপে দিন।";
        key = "Key for the app" / "অ্যাপের চাবি";
        step_code = "2. Type the six digits that it shows" / "২. অ্যাপে দেখানো ছয়টি অঙ্ক লিখুন";
        turn_on = "Turn on" / "চালু করুন";
        codes = "Keep these codes" / "কোডগুলো রেখে দিন";
        codes_text = "Each lets you in once when the phone is gone. Print them or write them down: they are not shown again." / "ফোন হারালে প্রতিটি দিয়ে একবার ঢুকতে পারবেন। ছাপিয়ে বা লিখে রাখুন: আর দেখানো হবে না।";
        kept = "I have kept them" / "রেখে দিয়েছি";
        is_on = "The second factor is on" / "দ্বিতীয় ধাপের সুরক্ষা চালু আছে";
        left(n) = "{n} backup code is left." | "{n} backup codes are left." / "{n}টি বিকল্প কোড বাকি আছে।";
        renew = "Make new backup codes" / "নতুন বিকল্প কোড বানান";
        renew_hint = "The old ones are worth nothing then. Type the app's code." / "তখন পুরোনোগুলো আর চলবে না। অ্যাপের কোডটি লিখুন।";
    }
}

const PATH: &str = "/account/second-factor";

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .get(Needs::LogIn, PATH, page)
        .post(Needs::LogIn, PATH, turn_on)
        .post(Needs::TwoFactors, "/account/second-factor/codes", renew)
}

async fn page(State(web): State<Web>, headers: HeaderMap, me: Me) -> Result<Markup, Error> {
    let lang = frame::lang_of(&headers);
    let body = state(&web, lang, &me, None).await?;
    Ok(framed(lang, &headers, &me, body))
}

/// What there is to do: set it up, or look after it.
async fn state(web: &Web, lang: Lang, me: &Me, error: Option<&str>) -> Result<Markup, Error> {
    let id = me.account.id;
    if me.account.second_factor {
        let left = web
            .store
            .read(move |tx| second_factor::codes_left(tx, id))
            .await?;
        return Ok(on(lang, left, error));
    }
    let seal = web.seal.clone();
    let key = web
        .store
        .write(move |tx| second_factor::begin(tx, &seal, id))
        .await;
    match key {
        Ok(key) => Ok(set_up(lang, &key, &me.account.email, error)),
        Err(SecondFactorError::Store(error)) => Err(error.into()),
        Err(_) => Err(Reason::Conflict.into()),
    }
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

async fn turn_on(
    State(web): State<Web>,
    headers: HeaderMap,
    me: Me,
    Form(typed): Form<Code>,
) -> Result<Response, Error> {
    let (id, session, seal) = (me.account.id, me.session, web.seal.clone());
    let code = digits(&typed.code);
    let done = counted(&web, &me).await;
    let done = match done {
        Ok(()) => {
            web.store
                .write(move |tx| second_factor::finish(tx, &seal, id, &code, session))
                .await
        }
        Err(error) => Err(error),
    };
    answer(&web, &headers, &me, done).await
}

async fn renew(
    State(web): State<Web>,
    headers: HeaderMap,
    me: Me,
    Form(typed): Form<Code>,
) -> Result<Response, Error> {
    let (id, seal) = (me.account.id, web.seal.clone());
    let code = digits(&typed.code);
    let done = match counted(&web, &me).await {
        Ok(()) => {
            web.store
                .write(move |tx| {
                    second_factor::check(tx, &seal, id, &code)?;
                    Ok(second_factor::renew_codes(tx, id)?)
                })
                .await
        }
        Err(error) => Err(error),
    };
    answer(&web, &headers, &me, done).await
}

async fn counted(web: &Web, me: &Me) -> Result<(), SecondFactorError> {
    let id = me.account.id;
    web.store
        .write(move |tx| second_factor::count(tx, id))
        .await??;
    Ok(())
}

async fn answer(
    web: &Web,
    headers: &HeaderMap,
    me: &Me,
    done: Result<Vec<Secret>, SecondFactorError>,
) -> Result<Response, Error> {
    let lang = frame::lang_of(headers);
    let (status, text) = match done {
        Ok(codes) => {
            let page = framed(lang, headers, me, shown_once(lang, &codes));
            return Ok(page.into_response());
        }
        Err(SecondFactorError::Store(error)) => return Err(error.into()),
        Err(SecondFactorError::NotNow) => return Ok(Redirect::to(PATH).into_response()),
        Err(SecondFactorError::Locked(locked)) => (
            StatusCode::TOO_MANY_REQUESTS,
            login::t::locked(lang, fmt::duration(lang, locked.seconds)),
        ),
        Err(SecondFactorError::Wrong) => (
            StatusCode::UNPROCESSABLE_ENTITY,
            login::t::code_wrong(lang).to_owned(),
        ),
    };
    let body = state(web, lang, me, Some(&text)).await?;
    Ok((status, framed(lang, headers, me, body)).into_response())
}

fn digits(code: &str) -> String {
    let code = fmt::ascii_digits(code);
    code.chars().filter(|c| !c.is_whitespace()).collect()
}

fn framed(lang: Lang, headers: &HeaderMap, me: &Me, body: Markup) -> Markup {
    let page = frame::page(lang, headers, me, t::title(lang), PATH);
    page.narrow().body(body).render()
}

fn set_up(lang: Lang, key: &TotpKey, email: &str, error: Option<&str>) -> Markup {
    let address = key.address("Khamar", email);
    html! {
        h1 { (t::title(lang)) }
        p { (t::why(lang)) }
        @if let Some(error) = error { (form_error(error)) }
        h2 { (t::step_app(lang)) }
        @if let Some(code) = qr(t::step_app(lang), &address) { (code) }
        p.hint { (t::app_hint(lang)) }
        p { (t::key(lang)) }
        (copyable(lang, "totp-key", &key.base32()))
        form.form method="post" action=(PATH) {
            h2 { (t::step_code(lang)) }
            (code_field(lang))
            (Button::primary(t::turn_on(lang)).icon(Icon::Lock).big().wide())
        }
    }
}

fn on(lang: Lang, left: i64, error: Option<&str>) -> Markup {
    html! {
        h1 { (t::is_on(lang)) }
        p { (t::left(lang, left)) }
        @if let Some(error) = error { (form_error(error)) }
        form.form method="post" action="/account/second-factor/codes" {
            h2 { (t::renew(lang)) }
            p.hint { (t::renew_hint(lang)) }
            (code_field(lang))
            (Button::secondary(t::renew(lang)).wide())
        }
    }
}

fn code_field(lang: Lang) -> Field {
    Field::integer("code", login::t::code(lang))
        .autocomplete("one-time-code")
        .big()
        .required()
}

fn shown_once(lang: Lang, codes: &[Secret]) -> Markup {
    html! {
        h1 { (t::codes(lang)) }
        p { (t::codes_text(lang)) }
        div.cluster {
            ul #backup-codes { @for code in codes { li { code { (code.as_str()) } " " } } }
            button.button.secondary type="button" hidden data-copy="backup-codes" data-done=(ui::t::copied(lang)) {
                (Icon::Copy) span { (ui::t::copy(lang)) }
            }
        }
        div.actions { (Button::primary(t::kept(lang)).icon(Icon::Check).href("/")) }
    }
}
