//! My account: the second factor, the password, and where I am logged in.

use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Redirect, Response},
};
use farm_web::common::Typed;
use hub_accounts::{
    Actor, Email, Password, Secret, accounts, audit,
    ids::SessionId,
    lockout,
    password::{self, BadPassword},
    reset,
    sessions::{self, Ending, Listed},
};
use hub_store::{Micros, StoreError};
use maud::{Markup, html};
use ui::{
    Lang,
    components::{Badge, Button, EmptyState, Field, page_head, section, time_ago},
    icons::Icon,
    shell::Tone,
};

use super::{frame, second_factor};
use crate::web::{Error, Me, Needs, Peer, Reason, Routes, Web};

pub(crate) mod t {
    ui::texts! {
        factor_on = "On" / "চালু";
        factor_off = "Off" / "বন্ধ";
        open = "Open" / "খুলুন";
        sessions = "Where you are logged in" / "যেখানে লগ ইন করা আছেন";
        here = "this one" / "এটি";
        unknown = "Unknown browser" / "অচেনা ব্রাউজার";
        seen = "used" / "ব্যবহার";
        end = "End" / "শেষ করুন";
        end_others = "End all others" / "বাকি সব শেষ করুন";
        password = "Password" / "পাসওয়ার্ড";
        now = "Password now" / "এখনকার পাসওয়ার্ড";
        new = "New password" / "নতুন পাসওয়ার্ড";
        again = "New password again" / "নতুন পাসওয়ার্ড আবার";
        hint(n) = "At least {n} characters; several words together are best." / "অন্তত {n} অক্ষর; কয়েকটি শব্দ মিলিয়ে দিলে ভালো।";
        too_short(n) = "Too short: at least {n} characters." / "খুব ছোট: অন্তত {n} অক্ষর দিন।";
        too_long(n) = "Too long: at most {n} characters." / "খুব বড়: সর্বোচ্চ {n} অক্ষর দিন।";
        guessable = "This is easily guessed. Put several words together." / "এটি সহজে অনুমান করা যায়। কয়েকটি শব্দ মিলিয়ে দিন।";
        differs = "The two differ. Type both again." / "দুটি এক নয়। দুটিই আবার লিখুন।";
        wrong = "This is not your password. Type it again." / "এটি আপনার পাসওয়ার্ড নয়। আবার লিখুন।";
        change = "Change the password" / "পাসওয়ার্ড বদলান";
        change_text = "It ends your log-ins elsewhere." / "এতে অন্য সব জায়গার লগ ইন শেষ হবে।";
        reset = "Choose a new password" / "নতুন পাসওয়ার্ড দিন";
        reset_for(email) = "For {email}. It ends every log-in." / "{email}-এর জন্য। সব লগ ইন শেষ হবে।";
        ended = "This link ended" / "লিংকটি শেষ হয়ে গেছে";
        ended_text = "It works once, within an hour. Ask for a new one." / "এটি একবার, এক ঘণ্টার মধ্যে চলে। নতুন একটি চান।";
    }
}

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .get(Needs::LogIn, "/account", page)
        .post(Needs::LogIn, "/account/password", change)
        .post(Needs::LogIn, "/account/sessions/end-others", end_others)
        .post(Needs::LogIn, "/account/sessions/{session}/end", end)
        .get(Needs::Nothing, "/reset/{reset}", reset_page)
        .post(Needs::Nothing, "/reset/{reset}", reset_password)
}

async fn page(State(web): State<Web>, headers: HeaderMap, me: Me) -> Result<Response, Error> {
    show(&web, &headers, &me, &Typed::default()).await
}

async fn show(web: &Web, headers: &HeaderMap, me: &Me, typed: &Typed) -> Result<Response, Error> {
    let lang = frame::lang_of(headers);
    let (id, lives) = (me.account.id, web.options.lives);
    let sessions = web
        .store
        .read(move |tx| sessions::list(tx, id, lives))
        .await?;
    let body = html! {
        (page_head(&me.account.name, &me.account.email, &html! {}))
        (factor(lang, me))
        (session_list(lang, me, &sessions, web.store.now()))
        (password_form(lang, typed))
    };
    let page = frame::page(lang, headers, me, frame::t::my_account(lang), "/account");
    Ok(typed.answer(page.narrow().body(body).render()))
}

async fn change(
    State(web): State<Web>,
    headers: HeaderMap,
    peer: Peer,
    me: Me,
    mut typed: Typed,
) -> Result<Response, Error> {
    let lang = frame::lang_of(&headers);
    let email =
        Email::new(&me.account.email).map_err(|e| Error::from(Reason::Internal).because(e))?;
    let new = chosen(lang, &mut typed, &email);
    if !is_mine(&web, peer, &me, typed.text("now")).await? {
        typed.wrong("now", t::wrong(lang));
    }
    let Some(new) = new.filter(|_| typed.is_right()) else {
        return show(&web, &headers, &me, &typed).await;
    };
    let hash = new.hash().await?;
    let (id, keep) = (me.account.id, me.session);
    web.store
        .write(move |tx| accounts::set_password(tx, Actor::Account(id), id, &hash, Some(keep)))
        .await?;
    Ok(Redirect::to("/account").into_response())
}

/// Whether this is the password of who is logged in; a wrong one counts.
pub(crate) async fn is_mine(web: &Web, peer: Peer, me: &Me, text: &str) -> Result<bool, Error> {
    if !web.tries.take(peer.0, web.store.now()) {
        return Err(Reason::TooMany.into());
    }
    let id = me.account.id;
    let hash = web
        .store
        .write(move |tx| {
            if let Err(locked) = lockout::count(tx, "password", &id.to_string())? {
                return Ok(Err(locked));
            }
            Ok::<_, StoreError>(Ok(accounts::password(tx, id)?))
        })
        .await??;
    let hash = hash.ok_or(Reason::NotLoggedIn)?;
    let right = Password::tried(text).matches(hash).await?;
    if right {
        web.store
            .write(move |tx| lockout::forgive(tx, "password", &id.to_string()))
            .await?;
    }
    Ok(right)
}

/// The password that was chosen twice over, or what is wrong with it.
pub(crate) fn chosen(lang: Lang, typed: &mut Typed, email: &Email) -> Option<Password> {
    let password = Password::chosen(typed.text("password"), email);
    match password {
        Err(BadPassword::TooShort) => {
            typed.wrong("password", t::too_short(lang, password::SHORTEST));
        }
        Err(BadPassword::TooLong) => typed.wrong("password", t::too_long(lang, password::LONGEST)),
        Err(BadPassword::Guessable) => typed.wrong("password", t::guessable(lang)),
        Ok(_) if typed.text("password") != typed.text("again") => {
            typed.wrong("again", t::differs(lang));
        }
        Ok(password) => return Some(password),
    }
    None
}

/// The fields in which a password is chosen.
pub(crate) fn new_password(lang: Lang, typed: &Typed) -> Markup {
    let new = Field::password("password", t::new(lang))
        .hint(t::hint(lang, password::SHORTEST))
        .autocomplete("new-password");
    let again = Field::password("again", t::again(lang)).autocomplete("new-password");
    html! {
        (typed.secret("password", new.required()))
        (typed.secret("again", again.required()))
    }
}

async fn end(
    State(web): State<Web>,
    headers: HeaderMap,
    peer: Peer,
    me: Me,
    Path(session): Path<SessionId>,
) -> Result<Redirect, Error> {
    let (id, from) = (me.account.id, peer.client(&headers));
    let ended = web
        .store
        .write(move |tx| sessions::end_asked(tx, id, session, Ending::FromList, &from))
        .await?;
    if ended {
        Ok(Redirect::to("/account"))
    } else {
        Err(Reason::NotFound.into())
    }
}

async fn end_others(State(web): State<Web>, me: Me) -> Result<Redirect, Error> {
    let (id, keep) = (me.account.id, me.session);
    web.store
        .write(move |tx| {
            sessions::end_all(tx, id, Some(keep))?;
            audit::record(
                tx,
                Actor::Account(id),
                None,
                "sessions.end",
                &id.to_string(),
                "",
            )
        })
        .await?;
    Ok(Redirect::to("/account"))
}

async fn reset_page(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(secret): Path<String>,
) -> Result<Response, Error> {
    reset_form(&web, &headers, &secret, &Typed::default()).await
}

async fn reset_form(
    web: &Web,
    headers: &HeaderMap,
    secret: &str,
    typed: &Typed,
) -> Result<Response, Error> {
    let lang = frame::lang_of(headers);
    let shown = Secret::shown(secret);
    let whose = web.store.read(move |tx| reset::whose(tx, &shown)).await?;
    let path = format!("/reset/{}", farm_web::common::encode(secret));
    let page = frame::bare(lang, headers, t::reset(lang), &path).narrow();
    let Some((_, email)) = whose else {
        let ended = EmptyState::new(Icon::Warning, t::ended(lang), t::ended_text(lang));
        let page = page.body(html! { (ended) }).render();
        return Ok((StatusCode::NOT_FOUND, page).into_response());
    };
    let form = html! {
        form.form method="post" action=(path) {
            h1 { (t::reset(lang)) }
            p { (t::reset_for(lang, email.as_str())) }
            (new_password(lang, typed))
            (Button::primary(ui::t::save(lang)).icon(Icon::Check).big().wide())
        }
    };
    Ok(typed.answer(page.body(form).render()))
}

async fn reset_password(
    State(web): State<Web>,
    headers: HeaderMap,
    peer: Peer,
    Path(secret): Path<String>,
    mut typed: Typed,
) -> Result<Response, Error> {
    if !web.tries.take(peer.0, web.store.now()) {
        return Err(Reason::TooMany.into());
    }
    let lang = frame::lang_of(&headers);
    let shown = Secret::shown(&secret);
    let whose = {
        let shown = shown.clone();
        web.store.read(move |tx| reset::whose(tx, &shown)).await?
    };
    let password = whose.and_then(|(_, email)| chosen(lang, &mut typed, &email));
    let Some(password) = password else {
        return reset_form(&web, &headers, &secret, &typed).await;
    };
    let hash = password.hash().await?;
    web.store
        .write(move |tx| reset::finish(tx, &shown, &hash))
        .await?;
    Ok(Redirect::to("/login?done=reset").into_response())
}

fn factor(lang: Lang, me: &Me) -> Markup {
    let (tone, word) = if me.account.second_factor {
        (Tone::Good, t::factor_on(lang))
    } else {
        (Tone::Warn, t::factor_off(lang))
    };
    section(
        second_factor::t::title(lang),
        &html! {
            div.cluster {
                (Badge::new(tone, word))
                (Button::secondary(t::open(lang)).icon(Icon::Lock).href("/account/second-factor"))
            }
        },
    )
}

fn session_list(lang: Lang, me: &Me, sessions: &[Listed], now: Micros) -> Markup {
    let list = html! {
        ul.readings {
            @for one in sessions {
                li.reading-row {
                    div {
                        span.tile-text {
                            strong { (browser(lang, &one.client.agent)) }
                            small { (one.client.address) " · " (t::seen(lang)) " " (time_ago(lang, one.seen.millis(), now.millis())) }
                        }
                    }
                    @if one.id == me.session {
                        (Badge::new(Tone::Good, t::here(lang)))
                    } @else {
                        form method="post" action={ "/account/sessions/" (one.id) "/end" } { (Button::quiet(t::end(lang))) }
                    }
                }
            }
        }
        @if sessions.len() > 1 {
            form method="post" action="/account/sessions/end-others" { (Button::secondary(t::end_others(lang))) }
        }
    };
    section(t::sessions(lang), &list)
}

/// What people call the browser that calls itself this.
fn browser(lang: Lang, agent: &str) -> String {
    let first = |names: &[(&str, &'static str)]| {
        let named = names.iter().find(|(mark, _)| agent.contains(mark));
        named.map(|(_, name)| *name)
    };
    let program = first(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = first(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "Mac"),
        ("Linux", "Linux"),
    ]);
    match (program, system) {
        (Some(program), Some(system)) => format!("{program}, {system}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => t::unknown(lang).to_owned(),
    }
}

fn password_form(lang: Lang, typed: &Typed) -> Markup {
    let now = Field::password("now", t::now(lang)).autocomplete("current-password");
    let form = html! {
        form.form method="post" action="/account/password" {
            (typed.faults(lang))
            p { (t::change_text(lang)) }
            (typed.secret("now", now.required()))
            (new_password(lang, typed))
            (Button::primary(t::change(lang)))
        }
    };
    section(t::password(lang), &form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_named_as_people_do() {
        let chrome =
            "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/130.0 Mobile Safari/537.36";
        assert_eq!(browser(Lang::En, chrome), "Chrome, Android");
        assert_eq!(browser(Lang::En, "curl/8.0"), "Unknown browser");
    }
}
