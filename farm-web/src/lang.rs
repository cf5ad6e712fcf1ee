//! The language and theme of a request: the `lang` cookie, else what the farm's settings say; the `theme` cookie, else as the
//! device asks.
//!
//! Pages do not ask `Accept-Language`: phones sold in Bangladesh say English, their owners do not. Programs are answered by it.

use std::convert::Infallible;

use axum::{
    extract::{Form, FromRequestParts},
    http::{HeaderMap, header, request::Parts},
    response::{AppendHeaders, IntoResponse, Redirect, Response},
};
use axum_extra::extract::CookieJar;
use farm::settings::{self, Settings};
use serde::Deserialize;
use ui::{Lang, shell::Theme};

use crate::{address::own, app::Web, mount::Visitor};

/// Name of the cookie.
pub(crate) const COOKIE: &str = "lang";

/// The language to answer in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speak(pub(crate) Lang);

impl Speak {
    /// For who has the farm's settings at hand.
    pub(crate) fn with(parts: &Parts, settings: &Settings) -> Self {
        let usual = || Lang::from_tag(&settings.language).unwrap_or_default();
        Self(said(parts).unwrap_or_else(usual))
    }

    /// Reads the farm's settings if this device has not chosen.
    pub(crate) async fn of(parts: &Parts, web: &Web) -> Self {
        if let Some(lang) = said(parts) {
            return Self(lang);
        }
        // A page that says what is wrong must come even when the settings cannot be read.
        let settings = web.farm.read(settings::load).await.unwrap_or_default();
        Self::with(parts, &settings)
    }
}

/// The language that the host says, or that was chosen at this device.
fn said(parts: &Parts) -> Option<Lang> {
    match parts.extensions.get::<Visitor>() {
        Some(visitor) => Some(visitor.lang),
        None => chosen(&parts.headers),
    }
}

/// The language that was chosen at this device.
pub fn chosen(headers: &HeaderMap) -> Option<Lang> {
    CookieJar::from_headers(headers)
        .get(COOKIE)
        .and_then(|cookie| Lang::from_tag(cookie.value()))
}

/// The language that a program wishes to be answered in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wished(pub(crate) Lang);

impl<S: Sync> FromRequestParts<S> for Wished {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(accepted(&parts.headers)))
    }
}

/// The language that a program asks for; English when it asks for none, because what stands in details is English.
pub(crate) fn accepted(headers: &HeaderMap) -> Lang {
    let asked = headers.get(header::ACCEPT_LANGUAGE);
    asked
        .and_then(|value| Lang::accepted(value.to_str().ok()?))
        .unwrap_or(Lang::En)
}

impl FromRequestParts<Web> for Speak {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Infallible> {
        Ok(Self::of(parts, web).await)
    }
}

/// Name of the cookie that holds the theme.
const THEME: &str = "theme";

/// The theme that the host says, or that was chosen at this device.
pub(crate) fn theme_for(parts: &Parts) -> Theme {
    match parts.extensions.get::<Visitor>() {
        Some(visitor) => visitor.theme,
        None => theme_of(&parts.headers),
    }
}

/// The theme that was chosen at this device.
pub fn theme_of(headers: &HeaderMap) -> Theme {
    CookieJar::from_headers(headers)
        .get(THEME)
        .and_then(|cookie| Theme::from_key(cookie.value()))
        .unwrap_or_default()
}

/// What the switches for language and theme send.
#[derive(Deserialize, Debug)]
pub struct Choice {
    lang: Option<String>,
    theme: Option<String>,
    #[serde(default)]
    next: String,
}

/// Changes language or theme and goes back to where one was.
pub async fn choose(Form(choice): Form<Choice>) -> Response {
    let lang = choice.lang.as_deref().and_then(Lang::from_tag);
    let theme = choice.theme.as_deref().and_then(Theme::from_key);
    let chosen = [
        lang.map(|l| (COOKIE, l.tag())),
        theme.map(|t| (THEME, t.key())),
    ];
    let cookies: Vec<_> = chosen
        .into_iter()
        .flatten()
        .map(|(name, value)| {
            let cookie =
                format!("{name}={value}; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly");
            (header::SET_COOKIE, cookie)
        })
        .collect();
    (AppendHeaders(cookies), Redirect::to(&own(&choice.next))).into_response()
}
