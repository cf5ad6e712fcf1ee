//! Writes errors out, in the form and language that the caller understands.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, Uri, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use maud::{Markup, html};
use ui::{Lang, icons::Icon, shell};

use crate::{
    address::{own, to},
    app::Web,
    common::{accepts_json, carried, problem},
    error::{Error, Problem, Reason},
    lang::{self, Speak, theme_for},
    pages::Ctx,
    router::body_limit,
    words::{self, t},
};

/// Replaces an error by a page or by problem JSON, and logs it.
pub(crate) async fn present(State(web): State<Web>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let asked = parts.clone();
    let mut response = next.run(Request::from_parts(parts, body)).await;
    let of_status = |status| Reason::of_status(status).map(Error::from);
    let Some(mut error) = carried(&mut response, of_status) else {
        return response;
    };
    if error.reason == Reason::TooLarge && error.detail.is_none() {
        let limit = body_limit(asked.uri.path());
        error = error.detail(format!(
            "a body has at most {limit} bytes: send it in parts"
        ));
    }
    if error.reason == Reason::NotLoggedIn && error.detail.is_none() {
        error = error.detail(
            "a program sends `Authorization: Bearer` and a token that was not revoked; the owner makes tokens on the Staff page",
        );
    }
    error.log(asked.method.as_str(), asked.uri.path());
    let mut answer = if wants_json(asked.uri.path(), &asked.headers) {
        told(&error, lang::accepted(&asked.headers))
    } else if error.reason == Reason::NotLoggedIn {
        let here = to!("{}", asked.uri.path_and_query().map_or("", |p| p.as_str()));
        let next = if asked.method == Method::GET {
            here
        } else {
            form_of(&asked.headers).unwrap_or_else(|| to!("/"))
        };
        Redirect::to(&to!("/login?next={}", encode(&next))).into_response()
    } else {
        page(&error, asked, &web).await
    };
    if matches!(error.reason, Reason::Busy | Reason::NoRoom) {
        answer
            .headers_mut()
            .insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    answer
}

/// The page from which a form was sent, if the browser says so: back there leads the log-in that came between.
fn form_of(headers: &HeaderMap) -> Option<String> {
    let referer = headers.get(header::REFERER)?.to_str().ok()?;
    let (_, rest) = referer.split_once("://")?;
    let (host, path) = rest.split_at(rest.find('/')?);
    let here = headers.get(header::HOST)?.to_str().ok()?;
    host.eq_ignore_ascii_case(here).then(|| own(path))
}

fn wants_json(path: &str, headers: &HeaderMap) -> bool {
    path.starts_with("/api/") || accepts_json(headers)
}

fn told(error: &Error, lang: Lang) -> Response {
    let status = error.reason.status();
    let body = Problem {
        kind: "about:blank",
        title: words::to_program(lang, error.reason).to_owned(),
        status: status.as_u16(),
        reason: error.reason.key(),
        detail: error.detail.as_deref().map(str::to_owned),
    };
    let mut response = problem(status, body);
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(
            header::WWW_AUTHENTICATE,
            header::HeaderValue::from_static("Bearer"),
        );
    }
    response
}

/// A page that says what is wrong: in the product's frame for who is logged in, so that the way on is where it always is.
async fn page(error: &Error, mut asked: Parts, web: &Web) -> Response {
    if asked.method != Method::GET {
        // Where the answer to a form was shown there may be no page to come back to.
        asked.uri = Uri::from_static("/");
    }
    let page = match Ctx::again(web, &mut asked).await {
        Ok(ctx) if !error.reason.status().is_server_error() => {
            let lang = ctx.lang;
            ctx.page(t::product(lang), &[])
                .body(sorry(lang, error.reason))
        }
        _ => {
            let Speak(lang) = Speak::of(&asked, web).await;
            shell::Page::new(lang, t::product(lang))
                .theme(theme_for(&asked))
                .body(sorry(lang, error.reason))
        }
    };
    (error.reason.status(), page.render()).into_response()
}

/// What happened as the heading, what to do next below it.
fn sorry(lang: Lang, reason: Reason) -> Markup {
    let text = words::reason(lang, reason);
    let (what, next) = words::first_sentence(text);
    html! {
        div.empty {
            (Icon::Warning)
            h1 { (what) }
            p { (next) }
            p { a.button.primary href=(to!("/")) { (t::home(lang)) } }
        }
    }
}

/// Percent-encodes what may not stand in a query value.
pub fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut out, b| {
        match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                out.push(char::from(b));
            }
            _ => {
                let _ = write!(out, "%{b:02X}");
            }
        }
        out
    })
}
