//! Logging in by name and PIN, the first-run setup, and logging out.
//!
//! Two steps: choose a name, then type the PIN; each is a page, so that it works without JavaScript. While the farm has no
//! staff there is only the setup, which asks for the one-time code that stands in the data folder.

use axum::{
    extract::{Form, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{AppendHeaders, IntoResponse, Redirect, Response},
};
use farm::{
    Actor,
    auth::{self, AuthError},
    settings,
    staff::{self, Pin, Staff, StaffError},
    text::Name,
};
use farm_model::{StaffId, staff::Role};
use maud::{Markup, html};
use serde::Deserialize;
use subtle::ConstantTimeEq as _;
use ui::{
    Lang,
    components::{Button, EmptyState, Field, Point, avatar, form_error, keypad},
    fmt,
    icons::Icon,
    shell::Page,
};

use super::typed::Typed;
use crate::{
    access::{Needs, Routes},
    address::{own, to},
    app::Web,
    auth::{Me, begin_cookie, end_cookie},
    error::{Error, Reason},
    lang::{Speak, theme_of},
    present::encode,
    words,
};

pub(crate) mod t {
    ui::texts! {
        who = "Who are you?" / "আপনি কে?";
        not_me(name) = "Not {name}?" / "আমি {name} নই";
        pin = "PIN" / "পিন";
        enter = "Log in" / "ঢুকুন";
        hello(name) = "{name}, type your PIN" / "{name}, আপনার পিন দিন";
        locked(time) = "Too many wrong PINs. Wait {time}, then try again." / "অনেকবার ভুল পিন দেওয়া হয়েছে। {time} অপেক্ষা করে আবার চেষ্টা করুন।";
        setup = "Set up the farm" / "খামার চালু করুন";
        setup_text = "You will be the owner: you add the others." / "আপনি হবেন মালিক: অন্যদের আপনি যোগ করবেন।";
        code_locked(time) = "Too many wrong codes. Wait {time}, then try again." / "অনেকবার ভুল কোড দেওয়া হয়েছে। {time} অপেক্ষা করে আবার চেষ্টা করুন।";
        setup_code = "Setup code" / "সেটআপ কোড";
        setup_code_hint = "It stands in the file setup-code in the appliance's data folder." / "যন্ত্রের ডেটা ফোল্ডারে setup-code ফাইলে লেখা আছে।";
        farm_name = "Name of the farm" / "খামারের নাম";
        your_name = "Your name" / "আপনার নাম";
        choose_pin = "Choose a PIN" / "পিন ঠিক করুন";
        pin_hint = "4 to 12 digits that nobody guesses" / "৪ থেকে ১২টি সংখ্যা, যা কেউ আন্দাজ করতে পারবে না";
        pin_again = "The PIN again" / "পিনটি আবার";
        start = "Start" / "শুরু করুন";
        pin_bad = "A PIN has 4 to 12 digits. Choose another." / "পিনে ৪ থেকে ১২টি সংখ্যা থাকে। আবার দিন।";
        pin_differs = "The two PINs differ. Type both again." / "দুটি পিন এক নয়। দুটিই আবার দিন।";
        no_setup = "This farm cannot be set up from here" / "এখান থেকে খামার চালু করা যাবে না";
        no_setup_text = "The program has no setup code. Start it again and look at what it prints." / "প্রোগ্রামে সেটআপ কোড নেই। আবার চালু করে কী লেখা আসে দেখুন।";
    }
}

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .get(Needs::Nothing, "/login", page)
        .post(Needs::Nothing, "/login", enter)
        .get(Needs::Nothing, "/setup", setup_page)
        .post(Needs::Nothing, "/setup", setup)
        .post(Needs::Role(Role::Worker), "/logout", leave)
}

#[derive(Deserialize)]
pub(crate) struct Where {
    who: Option<StaffId>,
    #[serde(default)]
    next: String,
}

async fn page(
    State(web): State<Web>,
    Speak(lang): Speak,
    headers: HeaderMap,
    Query(at): Query<Where>,
) -> Result<Response, Error> {
    let (people, brand) = people(&web).await?;
    if people.is_empty() {
        return Ok(Redirect::to(&to!("/setup")).into_response());
    }
    let chosen = at
        .who
        .and_then(|who| people.iter().find(|s| s.id == who))
        .or(match people.as_slice() {
            [only] => Some(only),
            _ => None,
        });
    let body = match chosen {
        Some(who) => pin_pad(lang, who, &at.next, None),
        None => names(lang, &people, &at.next),
    };
    Ok(frame(lang, &headers, &brand, t::who(lang), to!("/login"), body).into_response())
}

#[derive(Deserialize)]
pub(crate) struct Attempt {
    who: StaffId,
    pin: String,
    #[serde(default)]
    next: String,
}

async fn enter(
    State(web): State<Web>,
    Speak(lang): Speak,
    headers: HeaderMap,
    Form(attempt): Form<Attempt>,
) -> Result<Response, Error> {
    let agent = headers
        .get(header::USER_AGENT)
        .and_then(|v| v.to_str().ok())
        .unwrap_or("")
        .to_owned();
    let outcome = match Pin::new(&attempt.pin) {
        Ok(pin) => auth::login(&web.farm, attempt.who, pin, agent).await,
        Err(_) => Err(AuthError::Wrong),
    };
    let (status, text) = match outcome {
        Ok(secret) => {
            let cookie = begin_cookie(&secret, web.options.cookies);
            return Ok((
                AppendHeaders([(header::SET_COOKIE, cookie)]),
                Redirect::to(&own(&attempt.next)),
            )
                .into_response());
        }
        Err(AuthError::Locked { seconds }) => (
            StatusCode::TOO_MANY_REQUESTS,
            t::locked(lang, fmt::duration(lang, seconds)),
        ),
        Err(AuthError::Store(error)) => return Err(error.into()),
        Err(_) => (
            StatusCode::UNAUTHORIZED,
            words::reason(lang, Reason::WrongPin).to_owned(),
        ),
    };
    let (people, brand) = people(&web).await?;
    let body = match people.iter().find(|s| s.id == attempt.who) {
        Some(who) => pin_pad(lang, who, &attempt.next, Some(&text)),
        None => names(lang, &people, &attempt.next),
    };
    let page = frame(lang, &headers, &brand, t::who(lang), to!("/login"), body);
    Ok((status, page).into_response())
}

async fn leave(State(web): State<Web>, me: Me) -> Result<Response, Error> {
    me.log_out(&web).await?;
    let cookie = end_cookie(web.options.cookies);
    Ok((
        AppendHeaders([(header::SET_COOKIE, cookie)]),
        Redirect::to(&to!("/login")),
    )
        .into_response())
}

async fn people(web: &Web) -> Result<(Vec<Staff>, String), Error> {
    let (mut people, settings) = web
        .farm
        .read(|conn| Ok::<_, farm::StoreError>((staff::list(conn)?, settings::load(conn)?)))
        .await?;
    people.retain(|s| s.active);
    Ok((people, settings.name))
}

fn frame(
    lang: Lang,
    headers: &HeaderMap,
    brand: &str,
    title: &str,
    path: String,
    body: Markup,
) -> Markup {
    let page = Page::new(lang, title)
        .theme(theme_of(headers))
        .preferences(to!("/preferences"))
        .path(path)
        .narrow()
        .body(body);
    match brand {
        "" => page.render(),
        name => page.brand(name).render(),
    }
}

fn names(lang: Lang, people: &[Staff], next: &str) -> Markup {
    html! {
        h1 { (t::who(lang)) }
        ul.people {
            @for person in people {
                li {
                    a.tile href=(to!("/login?who={}&next={}", person.id, encode(next))) {
                        (avatar(&person.name))
                        span.tile-text { strong { (person.name) } small { (words::role(lang, person.role)) } }
                    }
                }
            }
        }
    }
}

fn pin_pad(lang: Lang, who: &Staff, next: &str, error: Option<&str>) -> Markup {
    html! {
        form.pin-pad method="post" action=(to!("/login")) {
            (avatar(&who.name))
            h1 { (t::hello(lang, &who.name)) }
            @if let Some(error) = error { (form_error(error)) }
            input type="hidden" name="who" value=(who.id);
            input type="hidden" name="next" value=(next);
            (Field::pin("pin", t::pin(lang)).big().required().autofocus())
            (keypad(lang, "pin", Point::Without))
            (Button::primary(t::enter(lang)).icon(Icon::Check).big().wide())
            p { a href=(to!("/login?next={}", encode(next))) { (t::not_me(lang, &who.name)) } }
        }
    }
}

async fn setup_page(
    State(web): State<Web>,
    Speak(lang): Speak,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let (people, _) = people(&web).await?;
    if !people.is_empty() {
        return Ok(Redirect::to(&to!("/login")).into_response());
    }
    let body = match web.options.setup_code {
        Some(_) => setup_form(lang, &Typed::default()),
        None => html! {
            (EmptyState::new(Icon::Lock, t::no_setup(lang), t::no_setup_text(lang)))
        },
    };
    Ok(frame(lang, &headers, "", t::setup(lang), to!("/setup"), body).into_response())
}

async fn setup(
    State(web): State<Web>,
    Speak(lang): Speak,
    headers: HeaderMap,
    mut typed: Typed,
) -> Result<Response, Error> {
    let refuse = |status, typed: &Typed| {
        let body = setup_form(lang, typed);
        let page = frame(lang, &headers, "", t::setup(lang), to!("/setup"), body);
        Ok((status, page).into_response())
    };
    match web.farm.write(Actor::System, auth::begin_setup).await {
        Ok(()) => {}
        Err(AuthError::Locked { seconds }) => {
            typed.wrong("code", t::code_locked(lang, fmt::duration(lang, seconds)));
            return refuse(StatusCode::TOO_MANY_REQUESTS, &typed);
        }
        Err(error) => return Err(error.into()),
    }
    let read = read_setup(&web, lang, &mut typed);
    if !typed.is_wrong("code") {
        web.farm.write(Actor::System, auth::setup_is_right).await?;
    }
    let Some(Owner { farm, name, pin }) = read.filter(|_| typed.is_right()) else {
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, &typed);
    };
    let hash = tokio::task::spawn_blocking(move || pin.hash())
        .await
        .map_err(Error::internal)?;
    let secret = web
        .farm
        .write(Actor::System, move |tx| {
            // Two phones may send the form at once: only the first one finds nobody.
            if staff::list(tx.conn())?.iter().any(|s| s.active) {
                return Err(Error::from(Reason::Forbidden));
            }
            if let Some(farm) = farm {
                let mut settings = settings::load(tx.conn())?;
                farm.as_str().clone_into(&mut settings.name);
                settings::save(tx, &settings)?;
            }
            let id = staff::add(tx, &name, Role::Owner, &hash)?;
            Ok(auth::open(tx, id, "setup")?)
        })
        .await?;
    let cookie = begin_cookie(&secret, web.options.cookies);
    Ok((
        AppendHeaders([(header::SET_COOKIE, cookie)]),
        Redirect::to(&to!("/")),
    )
        .into_response())
}

/// Who sets the farm up, and what it is to be called.
struct Owner {
    farm: Option<Name>,
    name: Name,
    pin: Pin,
}

fn read_setup(web: &Web, lang: Lang, typed: &mut Typed) -> Option<Owner> {
    let code = fmt::ascii_digits(typed.text("code"));
    let is_code = |right: &String| bool::from(right.as_bytes().ct_eq(code.as_bytes()));
    if !web.options.setup_code.as_ref().is_some_and(is_code) {
        typed.wrong("code", words::reason(lang, Reason::WrongSetupCode));
    }
    let farm = typed.line(lang, "farm");
    let name = typed.needed(lang, "name");
    let pin = Pin::new(typed.text("pin")).ok();
    if pin.is_none() {
        typed.wrong("pin", t::pin_bad(lang));
    } else if typed.text("pin") != typed.text("pin_again") {
        typed.wrong("pin_again", t::pin_differs(lang));
    }
    let (name, pin) = (name?, pin?);
    Some(Owner { farm, name, pin })
}

fn setup_form(lang: Lang, typed: &Typed) -> Markup {
    html! {
        form.form method="post" action=(to!("/setup")) {
            h1 { (t::setup(lang)) }
            p { (t::setup_text(lang)) }
            (typed.field("code", Field::text("code", t::setup_code(lang)).hint(t::setup_code_hint(lang)).required().autofocus()))
            (typed.field("farm", Field::text("farm", t::farm_name(lang))))
            (typed.field("name", Field::text("name", t::your_name(lang)).autocomplete("name").required()))
            (typed.secret("pin", Field::pin("pin", t::choose_pin(lang)).hint(t::pin_hint(lang)).autocomplete("new-password").required()))
            (typed.secret("pin_again", Field::pin("pin_again", t::pin_again(lang)).autocomplete("new-password").required()))
            (Button::primary(t::start(lang)).icon(Icon::Check).big().wide())
        }
    }
}

impl From<StaffError> for Error {
    fn from(error: StaffError) -> Self {
        match error {
            StaffError::NameTaken(_) => Self::from(Reason::Conflict).detail(error.to_string()),
            StaffError::Unknown => Reason::NotFound.into(),
            StaffError::LastOwner => Reason::LastOwner.into(),
            StaffError::Store(error) => error.into(),
        }
    }
}

impl From<AuthError> for Error {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Wrong => Reason::WrongPin.into(),
            AuthError::Locked { .. } => Self::from(Reason::LockedOut).detail(error.to_string()),
            AuthError::UnknownToken => Reason::NotFound.into(),
            AuthError::Store(error) => error.into(),
        }
    }
}
