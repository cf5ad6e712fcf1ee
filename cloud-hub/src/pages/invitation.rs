//! Taking an invitation up: with the account that its address has, or with a new one.

use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Redirect, Response},
};
use farm_web::common::{Typed, encode};
use hub_accounts::{
    Actor, Name, Password, Secret, accounts,
    accounts::AccountError,
    members::{self, Invited},
};
use hub_store::StoreError;
use maud::{Markup, html};
use ui::{
    Lang,
    components::{Button, EmptyState, Field},
    icons::Icon,
};

use super::{account, frame, login};
use crate::web::{Caller, Error, Needs, Peer, Reason, Routes, Web};

pub(crate) mod t {
    ui::texts! {
        title = "Invitation" / "আমন্ত্রণ";
        text(who, farm, role) = "{who} invites you to {farm} as {role}." / "{who} আপনাকে {farm}-এ {role} হিসেবে ডাকছেন।";
        for_whom(email) = "It is for {email}." / "এটি {email}-এর জন্য।";
        accept = "Accept" / "গ্রহণ করুন";
        log_in = "Log in to accept" / "গ্রহণ করতে লগ ইন করুন";
        somebody_else(email) = "You are logged in with another address. Log out, then open this link again to accept it as {email}." / "আপনি অন্য ঠিকানায় লগ ইন করা আছেন। বেরিয়ে গিয়ে লিংকটি আবার খুলে {email} হিসেবে গ্রহণ করুন।";
        new_account = "Choose your name here and a password." / "আপনার নাম লিখুন ও একটি পাসওয়ার্ড বেছে নিন।";
        name = "Your name" / "আপনার নাম";
        bad_name = "Write your name." / "আপনার নাম লিখুন।";
        ended = "This invitation ended" / "আমন্ত্রণটি শেষ হয়ে গেছে";
        ended_text = "It was used, withdrawn or too old. Ask for a new one." / "এটি ব্যবহার, বাতিল বা পুরোনো হয়েছে। নতুন একটি চান।";
    }
}

const PATH: &str = "/invitations/{invitation}";

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .get(Needs::Nothing, PATH, page)
        .post(Needs::Nothing, PATH, accept)
}

async fn page(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(secret): Path<String>,
) -> Result<Response, Error> {
    let invited = look(&web, &secret).await?;
    let caller = Caller::of(&web, &headers).await?;
    Ok(show(
        &headers,
        &secret,
        invited.as_ref(),
        &caller,
        &Typed::default(),
    ))
}

async fn look(web: &Web, secret: &str) -> Result<Option<Invited>, StoreError> {
    let secret = Secret::shown(secret);
    web.store
        .read(move |tx| members::invited(tx, &secret))
        .await
}

async fn accept(
    State(web): State<Web>,
    headers: HeaderMap,
    peer: Peer,
    Path(secret): Path<String>,
    typed: Typed,
) -> Result<Response, Error> {
    if !web.tries.take(peer.0, web.store.now()) {
        return Err(Reason::TooMany.into());
    }
    let caller = Caller::of(&web, &headers).await?;
    let Some(invited) = look(&web, &secret).await? else {
        return Ok(show(&headers, &secret, None, &caller, &typed));
    };
    match &caller {
        Caller::Known(me) if me.account.email == invited.email.as_str() => {
            let (who, secret) = (me.account.clone(), Secret::shown(&secret));
            web.store
                .write(move |tx| members::accept(tx, &secret, &who))
                .await?;
            Ok(Redirect::to("/").into_response())
        }
        Caller::Nobody if !invited.has_account => {
            join(&web, &headers, &secret, &invited, typed).await
        }
        _ => Ok(show(&headers, &secret, Some(&invited), &caller, &typed)),
    }
}

/// Makes the account and takes the invitation up in one transaction; then they log in.
async fn join(
    web: &Web,
    headers: &HeaderMap,
    secret: &str,
    invited: &Invited,
    mut typed: Typed,
) -> Result<Response, Error> {
    let lang = frame::lang_of(headers);
    let name = Name::new(typed.text("name")).ok();
    if name.is_none() {
        typed.wrong("name", t::bad_name(lang));
    }
    let password = account::chosen(lang, &mut typed, &invited.email);
    let (Some(name), Some(password)) = (name, password) else {
        return Ok(show(
            headers,
            secret,
            Some(invited),
            &Caller::Nobody,
            &typed,
        ));
    };
    let hash = Password::hash(password).await?;
    let (email, secret) = (invited.email.clone(), Secret::shown(secret));
    web.store
        .write(move |tx| {
            let id = accounts::add(tx, Actor::Nobody, &email, &name, &hash)?;
            let who = accounts::get(tx, id)?.ok_or(Reason::Internal)?;
            members::accept(tx, &secret, &who)?;
            Ok::<_, Error>(())
        })
        .await?;
    Ok(Redirect::to("/login?done=joined").into_response())
}

impl From<AccountError> for Error {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Taken(_) => Reason::Conflict.into(),
            AccountError::Unknown => Reason::NotFound.into(),
            AccountError::Store(error) => error.into(),
        }
    }
}

fn show(
    headers: &HeaderMap,
    secret: &str,
    invited: Option<&Invited>,
    caller: &Caller,
    typed: &Typed,
) -> Response {
    let lang = frame::lang_of(headers);
    let path = format!("/invitations/{}", encode(secret));
    let body = match invited {
        Some(invited) => offer(lang, &path, invited, caller, typed),
        None => html! {
            (EmptyState::new(Icon::Warning, t::ended(lang), t::ended_text(lang)))
        },
    };
    let page = frame::bare(lang, headers, t::title(lang), &path);
    let page = page.narrow().body(body).render();
    match invited {
        Some(_) => typed.answer(page),
        None => (axum::http::StatusCode::NOT_FOUND, page).into_response(),
    }
}

fn offer(lang: Lang, path: &str, invited: &Invited, caller: &Caller, typed: &Typed) -> Markup {
    let role = frame::role(lang, invited.role);
    let email = invited.email.as_str();
    html! {
        h1 { (t::title(lang)) }
        p { (t::text(lang, &invited.by, &invited.farm_name, role)) }
        p.hint { (t::for_whom(lang, email)) }
        @match caller {
            Caller::Known(me) if me.account.email == email => {
                form.form method="post" action=(path) {
                    (Button::primary(t::accept(lang)).icon(Icon::Check).big().wide())
                }
            },
            Caller::Nobody if !invited.has_account => {
                form.form method="post" action=(path) {
                    (typed.faults(lang))
                    p { (t::new_account(lang)) }
                    (typed.field("name", Field::text("name", t::name(lang)).autocomplete("name").required()))
                    (account::new_password(lang, typed))
                    (Button::primary(t::accept(lang)).icon(Icon::Check).big().wide())
                }
            },
            Caller::Nobody | Caller::Pending(_) => {
                div.actions {
                    (Button::primary(t::log_in(lang)).big().href(format!("/login?next={}", encode(path))))
                }
            },
            Caller::Known(_) => {
                p { (t::somebody_else(lang, email)) }
                form method="post" action="/logout" { (Button::secondary(login::t::somebody_else(lang))) }
            },
        }
    }
}
