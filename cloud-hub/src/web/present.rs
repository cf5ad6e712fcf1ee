//! Writes errors out, in the language of the reader.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use farm_web::common::{accepts_json, carried, encode, problem};
use maud::{Markup, html};
use ui::{Lang, icons::Icon};

use super::{Caller, Error, Reason, Web};
use crate::{api, pages::frame};

/// Replaces an error by a page, a redirection to what is missing, or problem JSON; and logs it.
pub(crate) async fn present(State(web): State<Web>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let uri = request.uri().clone();
    let headers = request.headers().clone();
    let mut response = next.run(request).await;
    let of_status = |status| Reason::of_status(status).map(Error::from);
    let Some(error) = carried(&mut response, of_status) else {
        return response;
    };
    error.log(method.as_str(), uri.path());
    if wants_json(uri.path(), &headers) {
        return told(&error);
    }
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    let next = if method == Method::GET { path } else { "/" };
    match error.reason {
        Reason::NotLoggedIn => {
            Redirect::to(&format!("/login?next={}", encode(next))).into_response()
        }
        Reason::CodeWanted => {
            Redirect::to(&format!("/login/code?next={}", encode(next))).into_response()
        }
        Reason::NoSecondFactor => Redirect::to("/account/second-factor").into_response(),
        reason => page(reason, &headers, &web).await,
    }
}

fn wants_json(path: &str, headers: &HeaderMap) -> bool {
    api::is_api(path) || accepts_json(headers)
}

/// Problem JSON (RFC 9457), with `reason` as the one field to program against.
fn told(error: &Error) -> Response {
    let reason = error.reason;
    let (title, next) = words(Lang::En, reason);
    let body = serde_json::json!({
        "type": "about:blank",
        "title": title,
        "detail": error.detail.as_deref().unwrap_or(next),
        "status": reason.status().as_u16(),
        "reason": reason.key(),
    });
    problem(reason.status(), body)
}

async fn page(reason: Reason, headers: &HeaderMap, web: &Web) -> Response {
    let lang = frame::lang_of(headers);
    let page = frame::bare(lang, headers, frame::t::hub(lang), "/").body(sorry(lang, reason));
    let page = match Caller::of(web, headers).await {
        Ok(Caller::Known(me)) => frame::dressed(page, lang, &me, "/"),
        _ => page,
    };
    let mut response = (reason.status(), page.render()).into_response();
    if reason == Reason::Busy {
        let soon = HeaderValue::from_static("1");
        response.headers_mut().insert(header::RETRY_AFTER, soon);
    }
    response
}

/// What happened as the heading, what to do next below it.
fn sorry(lang: Lang, reason: Reason) -> Markup {
    let (what, next) = words(lang, reason);
    html! {
        div.empty {
            (Icon::Warning)
            h1 { (what) }
            p { (next) }
            p { a.button.primary href="/" { (frame::t::my_farms(lang)) } }
        }
    }
}

/// What happened, and what to do next.
fn words(lang: Lang, reason: Reason) -> (&'static str, &'static str) {
    match reason {
        Reason::NotLoggedIn => (t::not_logged_in(lang), t::log_in(lang)),
        Reason::CodeWanted => (t::code_wanted(lang), t::type_code(lang)),
        Reason::NoSecondFactor => (t::no_second_factor(lang), t::set_it_up(lang)),
        Reason::Forbidden => (t::forbidden(lang), t::ask_an_owner(lang)),
        Reason::CrossSite => (t::cross_site(lang), t::open_here(lang)),
        Reason::NotFound | Reason::MethodNotAllowed => (t::not_found(lang), t::go_home(lang)),
        Reason::Malformed | Reason::Invalid | Reason::TooLarge => {
            (t::malformed(lang), t::go_back(lang))
        }
        Reason::Conflict => (t::conflict(lang), t::reload(lang)),
        Reason::TooMany => (t::too_many(lang), t::wait(lang)),
        Reason::Busy | Reason::TimedOut => (t::busy(lang), t::again(lang)),
        Reason::Internal => (t::internal(lang), t::tell(lang)),
    }
}

mod t {
    ui::texts! {
        @pub(super),
        not_logged_in = "You are not logged in" / "আপনি লগ ইন করেননি";
        log_in = "Log in and open this page again." / "লগ ইন করে পাতাটি আবার খুলুন।";
        code_wanted = "A code is still needed" / "একটি কোড দেওয়া বাকি";
        type_code = "Type the code of your app." / "অ্যাপের কোডটি লিখুন।";
        no_second_factor = "A second factor is needed" / "দ্বিতীয় ধাপের সুরক্ষা দরকার";
        set_it_up = "Set it up under My account." / "আমার অ্যাকাউন্ট থেকে চালু করুন।";
        forbidden = "You may not do this" / "এটি করার অনুমতি আপনার নেই";
        ask_an_owner = "Ask an owner of the farm to do it, or to give you the role for it." / "খামারের মালিককে বলুন, অথবা আপনাকে সেই দায়িত্ব দিতে বলুন।";
        cross_site = "This came from another site" / "এটি অন্য সাইট থেকে এসেছে";
        open_here = "Nothing was changed. Open the page here and do it again." / "কিছুই বদলায়নি। পাতাটি এখান থেকে খুলে আবার করুন।";
        not_found = "There is no such page" / "এমন কোনো পাতা নেই";
        go_home = "Begin with the list of your farms." / "আপনার খামারের তালিকা থেকে শুরু করুন।";
        malformed = "This could not be read" / "এটি পড়া যায়নি";
        go_back = "Go back and send the form again." / "ফিরে গিয়ে ফরমটি আবার পাঠান।";
        conflict = "It was changed meanwhile" / "এর মধ্যে এটি বদলে গেছে";
        reload = "Go back, reload the page, and look again." / "ফিরে গিয়ে পাতাটি আবার খুলে দেখুন।";
        too_many = "Too many tries" / "অনেকবার চেষ্টা করা হয়েছে";
        wait = "Wait a few minutes, then try again." / "কয়েক মিনিট অপেক্ষা করে আবার চেষ্টা করুন।";
        busy = "The hub is busy" / "হাব এখন ব্যস্ত";
        again = "Try again in a moment." / "একটু পরে আবার চেষ্টা করুন।";
        internal = "Something broke here" / "এখানে কিছু একটা নষ্ট হয়েছে";
        tell = "Try again. If it stays so, tell whoever runs the hub." / "আবার চেষ্টা করুন। না হলে যিনি হাব চালান তাঁকে জানান।";
    }
}
