//! Logging in by e-mail address and password, the second step where there is one, and logging out.

use axum::{
    extract::{Form, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{AppendHeaders, IntoResponse, Redirect, Response},
};
use farm_web::common::{encode, own};
use hub_accounts::{
    Account, Email, Password, Secret,
    login::{self, LoginError},
    second_factor::{self, SecondFactorError},
    sessions::{self, Ending, Stage},
};
use maud::{Markup, html};
use serde::Deserialize;
use ui::{
    Lang,
    components::{Button, Field, form_error},
    fmt,
    icons::Icon,
    shell::{Flash, Tone, flash_bar},
};

use super::frame;
use crate::web::{Error, Me, Needs, Peer, Pending, Reason, Routes, Web, begin_cookie, end_cookie};

pub(crate) mod t {
    ui::texts! {
        title = "Log in" / "লগ ইন";
        joined = "Your account is made. Log in with your e-mail address and password." / "আপনার অ্যাকাউন্ট তৈরি হয়েছে। ইমেইল ও পাসওয়ার্ড দিয়ে ঢুকুন।";
        reset = "The password is changed. Log in with the new one." / "পাসওয়ার্ড বদলানো হয়েছে। নতুনটি দিয়ে ঢুকুন।";
        email = "E-mail address" / "ইমেইল ঠিকানা";
        password = "Password" / "পাসওয়ার্ড";
        enter = "Log in" / "ঢুকুন";
        wrong = "The address or the password is wrong. Type both again." / "ইমেইল বা পাসওয়ার্ড ভুল। দুটিই আবার লিখুন।";
        locked(time) = "Too many wrong tries. Wait {time}, then try again." / "অনেকবার ভুল হয়েছে। {time} অপেক্ষা করে আবার চেষ্টা করুন।";
        busy = "Many people log in at this moment. Try again in a minute." / "এখন অনেকে ঢুকছেন। এক মিনিট পরে আবার চেষ্টা করুন।";
        forgotten = "Forgotten your password? Ask whoever runs this hub for a new one." / "পাসওয়ার্ড ভুলে গেছেন? যিনি এই হাব চালান তাঁর কাছে নতুন পাসওয়ার্ড চান।";
        second = "One more step" / "আরেকটি ধাপ";
        second_text = "Type the six digits that your app shows now." / "অ্যাপে এখন যে ছয়টি অঙ্ক দেখা যাচ্ছে তা লিখুন।";
        code = "Code" / "কোড";
        code_hint = "Without the phone, type one of your backup codes." / "ফোন সঙ্গে না থাকলে একটি বিকল্প কোড লিখুন।";
        code_wrong = "The code is wrong or was used before. Wait for the next one and type it." / "কোডটি ভুল বা আগে ব্যবহার হয়েছে। পরের কোড এলে সেটি লিখুন।";
        somebody_else = "Log in as somebody else" / "অন্য নামে ঢুকুন";
    }
}

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .get(Needs::Nothing, "/login", page)
        .post(Needs::Nothing, "/login", enter)
        .get(Needs::Pending, "/login/code", code_page)
        .post(Needs::Pending, "/login/code", code)
        .post(Needs::Session, "/logout", leave)
}

#[derive(Deserialize)]
struct Where {
    #[serde(default)]
    next: String,
    #[serde(default)]
    done: String,
}

async fn page(headers: HeaderMap, Query(at): Query<Where>) -> Markup {
    let lang = frame::lang_of(&headers);
    let done = match at.done.as_str() {
        "joined" => Some(t::joined(lang)),
        "reset" => Some(t::reset(lang)),
        _ => None,
    };
    let done = done.map(|text| {
        flash_bar(&Flash {
            tone: Tone::Good,
            text: text.to_owned(),
            action: None,
        })
    });
    log_in_form(lang, &headers, &at.next, "", done.as_ref())
}

#[derive(Deserialize)]
struct Attempt {
    email: String,
    password: String,
    #[serde(default)]
    next: String,
}

async fn enter(
    State(web): State<Web>,
    headers: HeaderMap,
    peer: Peer,
    Form(attempt): Form<Attempt>,
) -> Result<Response, Error> {
    let lang = frame::lang_of(&headers);
    if !web.tries.take(peer.0, web.store.now()) {
        return Err(Reason::TooMany.into());
    }
    let (client, lives) = (peer.client(&headers), web.options.lives);
    let outcome = match Email::new(&attempt.email) {
        Ok(email) => {
            let password = Password::tried(&attempt.password);
            login::log_in(&web.store, email, password, client, lives).await
        }
        Err(_) => Err(LoginError::Wrong),
    };
    let (status, text) = match outcome {
        Ok(opened) => {
            let next = own(&attempt.next);
            let to = match opened.stage {
                Stage::Whole => next,
                Stage::Password => format!("/login/code?next={}", encode(&next)),
            };
            return Ok(with_cookie(&web, &opened.secret, &to));
        }
        Err(LoginError::Store(error)) => return Err(error.into()),
        Err(LoginError::Locked(locked)) => (
            StatusCode::TOO_MANY_REQUESTS,
            t::locked(lang, fmt::duration(lang, locked.seconds)),
        ),
        Err(LoginError::Busy(_)) => (StatusCode::SERVICE_UNAVAILABLE, t::busy(lang).to_owned()),
        Err(LoginError::Wrong) => (StatusCode::UNAUTHORIZED, t::wrong(lang).to_owned()),
    };
    let error = form_error(&text);
    let page = log_in_form(lang, &headers, &attempt.next, &attempt.email, Some(&error));
    Ok((status, page).into_response())
}

fn with_cookie(web: &Web, secret: &Secret, to: &str) -> Response {
    let cookie = begin_cookie(secret, &web.options);
    (
        AppendHeaders([(header::SET_COOKIE, cookie)]),
        Redirect::to(to),
    )
        .into_response()
}

async fn code_page(headers: HeaderMap, Query(at): Query<Where>) -> Markup {
    let lang = frame::lang_of(&headers);
    code_form(lang, &headers, &at.next, None)
}

#[derive(Deserialize)]
struct Code {
    code: String,
    #[serde(default)]
    next: String,
}

async fn code(
    State(web): State<Web>,
    headers: HeaderMap,
    peer: Peer,
    Pending(me): Pending,
    Form(typed): Form<Code>,
) -> Result<Response, Error> {
    let lang = frame::lang_of(&headers);
    let client = peer.client(&headers);
    let outcome = try_code(&web, me, &typed.code, client).await;
    let (status, text) = match outcome {
        Ok(secret) => return Ok(with_cookie(&web, &secret, &own(&typed.next))),
        Err(SecondFactorError::Store(error)) => return Err(error.into()),
        Err(SecondFactorError::NotNow) => return Err(Reason::NotLoggedIn.into()),
        Err(SecondFactorError::Locked(locked)) => (
            StatusCode::TOO_MANY_REQUESTS,
            t::locked(lang, fmt::duration(lang, locked.seconds)),
        ),
        Err(SecondFactorError::Wrong) => (StatusCode::UNAUTHORIZED, t::code_wrong(lang).to_owned()),
    };
    let page = code_form(lang, &headers, &typed.next, Some(&text));
    Ok((status, page).into_response())
}

async fn try_code(
    web: &Web,
    me: Me,
    code: &str,
    client: sessions::Client,
) -> Result<Secret, SecondFactorError> {
    let Me { account, session } = me;
    let Account { id, .. } = account;
    web.store
        .write(move |tx| second_factor::count(tx, id))
        .await??;
    let (code, lives) = (fmt::ascii_digits(code), web.options.lives);
    let seal = web.seal.clone();
    let from = client.clone();
    let done = web
        .store
        .write(move |tx| second_factor::log_in(tx, &seal, &account, session, &code, &from, lives))
        .await;
    if matches!(done, Err(SecondFactorError::Wrong)) {
        web.store
            .write(move |tx| second_factor::failed(tx, id, &client))
            .await?;
    }
    done
}

async fn leave(
    State(web): State<Web>,
    headers: HeaderMap,
    peer: Peer,
    me: Me,
) -> Result<Response, Error> {
    let (account, session, from) = (me.account.id, me.session, peer.client(&headers));
    web.store
        .write(move |tx| sessions::end_asked(tx, account, session, Ending::LogOut, &from))
        .await?;
    let cookie = end_cookie(&web.options);
    Ok((
        AppendHeaders([(header::SET_COOKIE, cookie)]),
        Redirect::to("/login"),
    )
        .into_response())
}

fn log_in_form(
    lang: Lang,
    headers: &HeaderMap,
    next: &str,
    email: &str,
    said: Option<&Markup>,
) -> Markup {
    let body = html! {
        form.form method="post" action="/login" {
            h1 { (t::title(lang)) }
            @if let Some(said) = said { (said) }
            input type="hidden" name="next" value=(next);
            (Field::text("email", t::email(lang)).value(email).autocomplete("username").required().autofocus())
            (Field::password("password", t::password(lang)).autocomplete("current-password").required())
            (Button::primary(t::enter(lang)).icon(Icon::Check).big().wide())
            p.hint { (t::forgotten(lang)) }
        }
    };
    let page = frame::bare(lang, headers, t::title(lang), "/login");
    page.narrow().body(body).render()
}

fn code_form(lang: Lang, headers: &HeaderMap, next: &str, error: Option<&str>) -> Markup {
    let body = html! {
        form.form method="post" action="/login/code" {
            h1 { (t::second(lang)) }
            p { (t::second_text(lang)) }
            @if let Some(error) = error { (form_error(error)) }
            input type="hidden" name="next" value=(next);
            (Field::text("code", t::code(lang)).hint(t::code_hint(lang)).autocomplete("one-time-code").big().required().autofocus())
            (Button::primary(t::enter(lang)).icon(Icon::Check).big().wide())
        }
        form method="post" action="/logout" { (Button::quiet(t::somebody_else(lang))) }
    };
    let page = frame::bare(lang, headers, t::second(lang), "/login/code");
    page.narrow().body(body).render()
}
