//! What every page of someone logged in knows: who looks, in which language, at what time, and what waits.

use axum::{
    extract::FromRequestParts,
    http::request::Parts,
    response::{IntoResponse, Redirect, Response},
};
use farm::{
    alerts::{self, AlertKind},
    settings::{self, Settings},
};
use farm_model::{Clock as _, Stamp, UnixMillis, VisitId, staff::Role};
use jiff::{Zoned, tz::TimeZone};
use maud::html;
use ui::{
    Lang,
    icons::Icon,
    shell::{Flash, NavItem, Page, Theme, Tone, User},
};

use super::hub;
use crate::{
    address::to,
    app::Web,
    auth::{Caller, Me, Shown},
    error::Error,
    lang::{Speak, theme_for},
    live::Topic,
    mount::{Hands, Mount},
    pages::heard,
    words::t,
};

/// What every page knows.
pub(crate) struct Ctx {
    pub(crate) web: Web,
    pub(crate) me: Me,
    pub(crate) lang: Lang,
    pub(crate) now: Stamp,
    pub(crate) settings: Settings,
    theme: Theme,
    path: String,
    done: Option<Done>,
    /// Number of the newest live event before the page's data was read.
    from: u64,
    open_alerts: u32,
    waiting: u32,
}

impl FromRequestParts<Web> for Ctx {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Error> {
        let me = Me::from_request_parts(parts, web).await?;
        let from = web.hub().newest();
        let (settings, open) = web
            .farm
            .read(|conn| Ok::<_, farm::StoreError>((settings::load(conn)?, alerts::open(conn)?)))
            .await?;
        let Speak(lang) = Speak::with(parts, &settings);
        let path = parts.uri.path_and_query().map_or("", |p| p.as_str());
        Ok(Self {
            web: web.clone(),
            me,
            lang,
            now: web.farm.clock().now(),
            settings,
            theme: theme_for(parts),
            path: to!("{path}"),
            done: Done::of_query(parts.uri.query().unwrap_or("")),
            from,
            open_alerts: open.len() as u32,
            waiting: open.iter().filter(|a| waits(a.kind)).count() as u32,
        })
    }
}

impl Ctx {
    /// What a page knows that is shown in another's place, whose guard may not have let the request in.
    ///
    /// # Errors
    /// When nobody is logged in, or the farm cannot be read.
    pub(crate) async fn again(web: &Web, parts: &mut Parts) -> Result<Self, Error> {
        let caller = Caller::of(web, Shown::of(&parts.headers, &parts.extensions)).await?;
        parts.extensions.insert(caller);
        Self::from_request_parts(parts, web).await
    }
}

/// Whether an alert of this kind is listed in the inbox.
pub(crate) fn waits(kind: AlertKind) -> bool {
    kind.is_decision()
        || matches!(
            kind,
            AlertKind::Silent
                | AlertKind::YieldDrop
                | AlertKind::CalvedTwice
                | AlertKind::Tanked
                | AlertKind::Dismissed
        )
}

impl Ctx {
    /// Whether the page is the farm's own appliance's, which has ports, keys and a parlour, and not a host's.
    pub(crate) fn at_the_farm(&self) -> bool {
        self.web.mount().is_none()
    }

    /// The farm's time zone.
    pub(crate) fn tz(&self) -> TimeZone {
        self.settings.tz()
    }

    /// A moment in the farm's own time.
    pub(crate) fn local(&self, at: UnixMillis) -> Zoned {
        at.timestamp().to_zoned(self.tz())
    }

    /// Today, on the farm.
    pub(crate) fn today(&self) -> jiff::civil::Date {
        self.local(self.now.wall).date()
    }

    /// A page in the product's frame that follows `topics` besides the bell.
    pub(crate) fn page(&self, title: &str, topics: &[Topic]) -> Page {
        let lang = self.lang;
        let mut keys = vec![Topic::Alerts.key()];
        keys.extend(topics.iter().map(|t| t.key()));
        if !self.at_the_farm() {
            keys.push(Topic::Heard.key());
        }
        let brand = match self.settings.name.as_str() {
            "" => t::product(lang),
            name => name,
        };
        let page = Page::new(lang, title)
            .brand(brand)
            .home(to!("/"))
            .theme(self.theme)
            .path(&self.path)
            .preferences(to!("/preferences"))
            .nav(self.menu())
            .user(User {
                name: self.me.name.clone(),
                role: self.me.title(lang).to_owned(),
                log_out: to!("/logout"),
            })
            .alerts(self.open_alerts, to!("/alerts"))
            .search(to!("/search"))
            .live(to!("/live?topics={}", keys.join(",")), self.from)
            .clock(
                self.now.wall.0,
                self.web.farm.clock().rate(),
                &self.settings.timezone,
            )
            .flash(self.done.as_ref().map(|done| done.flash(lang)));
        match self.web.mount() {
            Some(mount) => self.at_host(page, mount),
            None => page,
        }
    }

    /// The page in the frame of a host: the way back, how fresh it is, and the host's own forms.
    fn at_host(&self, page: Page, mount: &Mount) -> Page {
        let (lang, links) = (self.lang, &mount.links);
        let notice = html! {
            (heard::line(lang, mount.host.heard(), self.now.wall))
            @if self.me.hands() == Hands::Tied { p { (heard::t::only_look(lang)) } }
        };
        let page = page
            .preferences(&links.preferences)
            .user(User {
                name: self.me.name.clone(),
                role: self.me.title(lang).to_owned(),
                log_out: links.log_out.clone(),
            })
            .account(&links.account)
            .host(heard::t::all_farms(lang), &links.farms, notice);
        match self.me.hands() {
            Hands::Free => page,
            Hands::Tied => page.only_to_read(),
        }
    }

    /// The pages that the one who looks may open, most used first.
    pub(crate) fn menu(&self) -> Vec<NavItem> {
        let lang = self.lang;
        let manager = self.me.role >= Role::Manager;
        let records = self.me.hands() == Hands::Free;
        let mut items = vec![NavItem::new(to!("/"), t::home(lang), Icon::Chart)];
        if self.at_the_farm() {
            items.push(NavItem::new(
                to!("/parlour"),
                t::parlour(lang),
                Icon::Parlour,
            ));
        }
        if manager {
            items
                .push(NavItem::new(to!("/inbox"), t::inbox(lang), Icon::Inbox).badge(self.waiting));
        } else {
            items.push(NavItem::new(
                to!("/record"),
                t::record_milk(lang),
                Icon::Bucket,
            ));
        }
        items.push(NavItem::new(to!("/herd"), t::herd(lang), Icon::Herd));
        if manager && records {
            items.push(NavItem::new(
                to!("/record"),
                t::record_milk(lang),
                Icon::Bucket,
            ));
        }
        if records {
            items.push(NavItem::new(
                to!("/health"),
                t::health_event(lang),
                Icon::Syringe,
            ));
        }
        items.push(NavItem::new(
            to!("/milkings"),
            t::milkings(lang),
            Icon::Drop,
        ));
        items.push(NavItem::new(to!("/tanks"), t::tanks(lang), Icon::Tank));
        items.push(NavItem::new(
            to!("/sensors"),
            t::sensors(lang),
            Icon::Sensor,
        ));
        items.push(NavItem::new(to!("/alerts"), t::alerts(lang), Icon::Bell));
        if manager {
            items.push(NavItem::new(
                to!("/devices"),
                t::devices(lang),
                Icon::Device,
            ));
        }
        if self.me.role == Role::Owner {
            items.push(NavItem::new(to!("/staff"), t::staff(lang), Icon::Staff));
            if self.web.options.hub.is_some() {
                items.push(NavItem::new(to!("/hub"), hub::t::hub(lang), Icon::Wifi));
            }
        }
        if manager {
            items.push(NavItem::new(
                to!("/settings"),
                t::settings(lang),
                Icon::Settings,
            ));
        }
        items.push(NavItem::new(to!("/about"), t::about(lang), Icon::Info));
        items
    }
}

/// What the last action did; it travels in the address as `done=`, so that nothing has to be remembered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Done {
    /// Something was saved.
    Saved,
    /// A milking was recorded; it can be undone.
    Milked(VisitId),
    /// A milking was voided; it can be brought back.
    Voided(VisitId),
    /// This form was taken before, with other figures: those stand.
    KeptBefore,
    /// Something was brought back.
    Undone,
    /// Nothing: no cow is called what was typed.
    NoSuchCow,
}

impl Done {
    fn of_query(query: &str) -> Option<Self> {
        let value = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("done="))?;
        match value.split_once('.') {
            None if value == "saved" => Some(Self::Saved),
            None if value == "kept_before" => Some(Self::KeptBefore),
            None if value == "undone" => Some(Self::Undone),
            None if value == "no_such_cow" => Some(Self::NoSuchCow),
            Some(("milked", id)) => id.parse().ok().map(Self::Milked),
            Some(("voided", id)) => id.parse().ok().map(Self::Voided),
            _ => None,
        }
    }

    fn key(&self) -> String {
        match self {
            Self::Saved => "saved".to_owned(),
            Self::KeptBefore => "kept_before".to_owned(),
            Self::Undone => "undone".to_owned(),
            Self::NoSuchCow => "no_such_cow".to_owned(),
            Self::Milked(id) => format!("milked.{id}"),
            Self::Voided(id) => format!("voided.{id}"),
        }
    }

    /// Goes to `page`, an address, which then says what was done.
    pub(crate) fn then(&self, page: impl AsRef<str>) -> Response {
        let page = page.as_ref();
        let joint = if page.contains('?') { '&' } else { '?' };
        Redirect::to(&format!("{page}{joint}done={}", self.key())).into_response()
    }

    fn flash(&self, lang: Lang) -> Flash {
        use ui::components::undo_bar;
        let (tone, text, action) = match self {
            Self::Saved => (Tone::Good, t::saved(lang), None),
            Self::KeptBefore => (Tone::Warn, t::kept_before(lang), None),
            Self::Undone => (Tone::Info, t::undone(lang), None),
            Self::NoSuchCow => (Tone::Bad, t::no_such_cow(lang), None),
            Self::Milked(id) => (
                Tone::Good,
                t::milk_saved(lang),
                Some(undo_bar(
                    lang,
                    &to!("/milkings/{id}/void"),
                    &[("next", &to!("/record"))],
                )),
            ),
            Self::Voided(id) => (
                Tone::Info,
                t::milk_voided(lang),
                Some(undo_bar(
                    lang,
                    &to!("/milkings/{id}/restore"),
                    &[("next", &to!("/milkings"))],
                )),
            ),
        };
        Flash {
            tone,
            text: text.to_owned(),
            action,
        }
    }
}
