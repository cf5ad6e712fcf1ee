//! The frame around every page: head, skip link, header, menu, flash, live region.
//!
//! On a phone the menu is a bar at the thumb, on a desk a rail at the side; it is the same list. The first four entries of
//! the menu fit the bar, the others are behind "More". What the menu holds is given by the caller.

mod flash;
mod parts;
mod theme;

use maud::{DOCTYPE, Markup, html};

pub use self::{
    flash::{Flash, Tone, flash_bar},
    parts::{Live, NavItem, PageClock, User},
    theme::Theme,
};
use crate::{Lang, assets, components::avatar, icons::Icon, t};

/// The line of a host.
#[derive(Clone, Debug)]
struct Host {
    back: String,
    href: String,
    notice: Markup,
}

/// Whether who looks may change anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Hands {
    Free,
    Tied,
}

#[derive(Clone, Copy, Debug)]
enum Width {
    Narrow,
    Page,
    Wide,
}

impl Width {
    fn class(self) -> Option<&'static str> {
        match self {
            Self::Narrow => Some("narrow"),
            Self::Page => None,
            Self::Wide => Some("wide"),
        }
    }
}

/// A page: build it with [`Page::new`] and the methods, then [`Page::render`].
#[derive(Clone, Debug)]
pub struct Page {
    lang: Lang,
    title: String,
    brand: String,
    theme: Theme,
    path: String,
    home: String,
    preferences: Option<String>,
    nav: Vec<NavItem>,
    user: Option<User>,
    account: Option<String>,
    host: Option<Host>,
    hands: Hands,
    alerts: Option<(u32, String)>,
    search: Option<String>,
    live: Option<Live>,
    clock: Option<PageClock>,
    flash: Option<Flash>,
    width: Width,
    focus: bool,
    body: Markup,
}

impl Page {
    /// An empty page.
    pub fn new(lang: Lang, title: impl Into<String>) -> Self {
        Self {
            lang,
            title: title.into(),
            brand: t::khamar(lang).into(),
            theme: Theme::Auto,
            path: "/".into(),
            home: "/".into(),
            preferences: None,
            nav: Vec::new(),
            user: None,
            account: None,
            host: None,
            hands: Hands::Free,
            alerts: None,
            search: None,
            live: None,
            clock: None,
            flash: None,
            width: Width::Page,
            focus: false,
            body: html! {},
        }
    }

    /// The farm's name, shown as the brand.
    #[must_use]
    pub fn brand(mut self, name: impl Into<String>) -> Self {
        self.brand = name.into();
        self
    }

    /// The theme that the user chose.
    #[must_use]
    pub fn theme(mut self, theme: Theme) -> Self {
        self.theme = theme;
        self
    }

    /// The page's own path and query: marks the entry of the menu and is where the preference form returns to.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Where the brand leads: the start page of whatever the page belongs to.
    #[must_use]
    pub fn home(mut self, href: impl Into<String>) -> Self {
        self.home = href.into();
        self
    }

    /// Shows the switches for language and theme, which post `lang` or `theme`, and `next`, to `action`.
    #[must_use]
    pub fn preferences(mut self, action: impl Into<String>) -> Self {
        self.preferences = Some(action.into());
        self
    }

    /// The menu, most used first.
    #[must_use]
    pub fn nav(mut self, items: Vec<NavItem>) -> Self {
        self.nav = items;
        self
    }

    /// Who is logged in.
    #[must_use]
    pub fn user(mut self, user: User) -> Self {
        self.user = Some(user);
        self
    }

    /// The page of the account of who is logged in.
    #[must_use]
    pub fn account(mut self, href: impl Into<String>) -> Self {
        self.account = Some(href.into());
        self
    }

    /// The line of a host that shows this farm among others: the way back to them, and what it has to say of this one.
    #[must_use]
    pub fn host(
        mut self,
        back: impl Into<String>,
        href: impl Into<String>,
        notice: Markup,
    ) -> Self {
        let (back, href) = (back.into(), href.into());
        self.host = Some(Host { back, href, notice });
        self
    }

    /// Takes the forms that change something off the page, for somebody who may only look.
    #[must_use]
    pub fn only_to_read(mut self) -> Self {
        self.hands = Hands::Tied;
        self
    }

    /// How many alerts are open and where they are listed.
    #[must_use]
    pub fn alerts(mut self, count: u32, href: impl Into<String>) -> Self {
        self.alerts = Some((count, href.into()));
        self
    }

    /// The search page, opened by Ctrl+K; it answers `GET ?q=`.
    #[must_use]
    pub fn search(mut self, href: impl Into<String>) -> Self {
        self.search = Some(href.into());
        self
    }

    /// The stream whose fragments replace parts of this page.
    #[must_use]
    pub fn live(mut self, url: impl Into<String>, from: u64) -> Self {
        self.live = Some(Live {
            url: url.into(),
            from,
        });
        self
    }

    /// The farm's time at which the page was made, and the IANA name of its zone.
    #[must_use]
    pub fn clock(mut self, now_ms: i64, rate: f64, zone: impl Into<String>) -> Self {
        let zone = zone.into();
        self.clock = Some(PageClock { now_ms, rate, zone });
        self
    }

    /// What the last action did.
    #[must_use]
    pub fn flash(mut self, flash: Option<Flash>) -> Self {
        self.flash = flash;
        self
    }

    /// Lets the content use the whole width of a large screen.
    #[must_use]
    pub fn wide(mut self) -> Self {
        self.width = Width::Wide;
        self
    }

    /// Keeps the content in a narrow column: for logging in and short forms.
    #[must_use]
    pub fn narrow(mut self) -> Self {
        self.width = Width::Narrow;
        self
    }

    /// Leaves a phone's whole screen to one form: no menu, because the way back stands above the form.
    #[must_use]
    pub fn focused(mut self) -> Self {
        self.focus = true;
        self
    }

    /// The content.
    #[must_use]
    pub fn body(mut self, body: Markup) -> Self {
        self.body = body;
        self
    }

    /// The whole document.
    pub fn render(&self) -> Markup {
        let lang = self.lang;
        html! {
            (DOCTYPE)
            html lang=(lang.tag()) data-theme=(self.theme.key())
                data-now=[self.clock.as_ref().map(|c| c.now_ms)] data-rate=[self.clock.as_ref().map(|c| c.rate)]
                data-zone=[self.clock.as_ref().map(|c| &c.zone)] {
                (self.head())
                body.bare[self.nav.is_empty()].focus[self.focus].only-read[self.hands == Hands::Tied] data-live=[self.live.as_ref().map(|l| &l.url)]
                    data-live-from=[self.live.as_ref().map(|l| l.from)]
                    data-search=[self.search.as_deref()] data-fail-text=(t::not_sent(lang))
                    data-away-text=(t::unsent_away(lang)) data-busy-text=(t::unsent_busy(lang)) data-here-text=(t::unsent_here(lang))
                    data-once-text=(t::unsent_once(lang)) data-look-text=(t::unsent_look(lang)) {
                    a.skip href="#main" { (t::skip_to_content(lang)) }
                    (self.header())
                    @if !self.nav.is_empty() { (self.menu()) }
                    main #main class=[self.width.class()] tabindex="-1" {
                        @if let Some(host) = &self.host { (host_line(host)) }
                        div #flash { @if let Some(flash) = &self.flash { (flash_bar(flash)) } }
                        (self.body)
                    }
                    div #toasts.toasts role="status" aria-live="polite" {}
                    div #announce.quietly role="alert" {}
                    (unsent(lang))
                    dialog #overlay.sheet aria-label=(&self.title) {}
                }
            }
        }
    }

    fn head(&self) -> Markup {
        html! {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover";
                meta name="color-scheme" content=(match self.theme {
                    Theme::Auto => "light dark",
                    Theme::Light => "light",
                    Theme::Dark => "dark",
                });
                meta name="theme-color" content="#1B5E20";
                title { (self.title) " · " (self.brand) }
                link rel="stylesheet" href=(assets::url("app.css"));
                link rel="icon" type="image/svg+xml" href=(assets::url("icon.svg"));
                link rel="manifest" href=(assets::url("manifest.json"));
                script defer src=(assets::url("live.js")) {}
            }
        }
    }

    fn header(&self) -> Markup {
        let lang = self.lang;
        html! {
            header.top {
                a.brand href=(self.home) {
                    img src=(assets::url("icon.svg")) alt="" width="32" height="32";
                    span { (self.brand) }
                }
                @if self.live.is_some() {
                    p #connection.connection role="status" data-live-text=(t::live(lang))
                        data-wait-text=(t::connecting(lang)) data-off-text=(t::offline_since(lang, "{}")) {}
                }
                div.tools {
                    @if self.live.is_some() {
                        button #sound.tool type="button" hidden data-on=(t::unmute(lang)) data-off=(t::mute(lang)) {
                            (Icon::BellOff) span {}
                        }
                    }
                    @if let Some(href) = &self.search {
                        a.tool.search-tool href=(href) data-palette aria-label=(t::search(lang)) {
                            (Icon::Search) span { (t::search(lang)) } kbd { "Ctrl K" }
                        }
                    }
                    @if let Some((count, href)) = &self.alerts { (alert_bell(lang, *count, href)) }
                    (self.switches())
                    @if let Some(user) = &self.user { (self.user_menu(user)) }
                }
            }
        }
    }

    /// Language and theme; beside the user's name on a narrow phone, in the header where there is room.
    fn switches(&self) -> Markup {
        let (lang, other) = (self.lang, self.lang.other());
        let next_theme = match self.theme {
            Theme::Auto => Theme::Dark,
            Theme::Dark => Theme::Light,
            Theme::Light => Theme::Auto,
        };
        let theme = format!("{}: {}", t::theme(lang), self.theme.name(lang));
        html! {
            @if let Some(action) = &self.preferences {
                form.switches.with-user[self.user.is_some()] method="post" action=(action) {
                    input type="hidden" name="next" value=(self.path);
                    button.tool name="theme" value=(next_theme.key()) data-theme-switch title=(theme) aria-label=(theme) {
                        (self.theme.icon())
                    }
                    button.tool.lang name="lang" value=(other.tag()) lang=(other.tag()) { (other.name()) }
                }
            }
        }
    }

    fn user_menu(&self, user: &User) -> Markup {
        let lang = self.lang;
        html! {
            details.user {
                summary aria-label={ (user.name) ", " (user.role) } { (avatar(&user.name)) }
                div.menu-card {
                    p { strong { (user.name) } br; (user.role) }
                    (self.switches())
                    @if let Some(href) = &self.account {
                        a.button.secondary href=(href) { (Icon::Person) (t::account(lang)) }
                    }
                    form method="post" action=(user.log_out) {
                        button.button.secondary { (Icon::LogOut) (t::log_out(lang)) }
                    }
                }
            }
        }
    }

    fn menu(&self) -> Markup {
        let lang = self.lang;
        let (front, rest) = self.nav.split_at(self.nav.len().min(IN_BAR));
        let rest_badge: u32 = rest.iter().map(|i| i.badge).sum();
        let rest_active = rest.iter().any(|i| self.is_current(i));
        html! {
            nav.menu aria-label=(t::main_menu(lang)) {
                ul {
                    @for item in front { (self.menu_item(item)) }
                    @for item in rest { (self.menu_item(item)) }
                    @if !rest.is_empty() {
                        li.more {
                            details {
                                summary.current[rest_active] {
                                    (Icon::Menu) span { (t::more(lang)) }
                                    (badge_count(lang, rest_badge))
                                }
                                ul { @for item in rest { (self.menu_item(item)) } }
                            }
                        }
                    }
                }
            }
        }
    }

    fn menu_item(&self, item: &NavItem) -> Markup {
        html! {
            li {
                a href=(item.href) aria-current=[self.is_current(item).then_some("page")] {
                    (item.icon) span { (item.label) } (badge_count(self.lang, item.badge))
                }
            }
        }
    }

    /// The entry whose path is the longest beginning of the page's own; a start page, whose path ends in `/`, only covers itself.
    fn is_current(&self, item: &NavItem) -> bool {
        let path = self.path.split('?').next().unwrap_or_default();
        let covers = |i: &&NavItem| {
            path == i.href
                || path
                    .strip_prefix(i.href.trim_end_matches('/'))
                    .is_some_and(|rest| rest.starts_with('/') && !i.href.ends_with('/'))
        };
        self.nav
            .iter()
            .filter(covers)
            .max_by_key(|i| i.href.len())
            .is_some_and(|i| i.href == item.href)
    }
}

fn host_line(host: &Host) -> Markup {
    html! {
        div.host-line {
            a href=(host.href) { (Icon::Previous) (host.back) }
            div { (host.notice) }
        }
    }
}

/// Entries that fit the bar of a phone beside "More".
const IN_BAR: usize = 4;

/// The bell with the number of open alerts; live pages replace it by its id `alert-bell`.
pub fn alert_bell(lang: Lang, count: u32, href: &str) -> Markup {
    let label = match count {
        0 => t::no_alerts(lang).to_owned(),
        n => t::alerts(lang, n),
    };
    html! {
        a #alert-bell.tool.bell.ringing[count > 0] href=(href) aria-label=(label) title=(label) {
            (Icon::Bell) (badge_count(lang, count))
        }
    }
}

/// What `live.js` puts into a form that did not arrive.
fn unsent(lang: Lang) -> Markup {
    html! {
        template #unsent {
            div.flash.warn.unsent role="alert" {
                (Icon::Warning)
                p {}
                button.button.secondary type="button" { span { (t::send_again(lang)) } }
            }
        }
    }
}

fn badge_count(lang: Lang, count: u32) -> Markup {
    html! {
        @if count > 0 { b.count { (crate::fmt::int(lang, count.into())) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(path: &str) -> Page {
        Page::new(Lang::En, "Herd").path(path).nav(vec![
            NavItem::new("/", "Today", Icon::Clock),
            NavItem::new("/herd", "Herd", Icon::Herd).badge(3),
            NavItem::new("/herd/new", "New", Icon::Plus),
        ])
    }

    #[test]
    fn exactly_the_nearest_entry_is_current() {
        for (path, current) in [
            ("/", Some("/")),
            ("/herd", Some("/herd")),
            ("/herd?sort=name", Some("/herd")),
            ("/herd/12", Some("/herd")),
            ("/herd/new", Some("/herd/new")),
            ("/herdsman", None),
        ] {
            let page = page(path);
            let found: Vec<&str> = page
                .nav
                .iter()
                .filter(|i| page.is_current(i))
                .map(|i| i.href.as_str())
                .collect();
            assert_eq!(found, Vec::from_iter(current), "{path}");
        }
    }

    #[test]
    fn a_start_page_under_a_path_covers_only_itself() {
        let current = |path: &str| {
            let page = Page::new(Lang::En, "Herd").path(path).nav(vec![
                NavItem::new("/farms/a/", "Today", Icon::Clock),
                NavItem::new("/farms/a/herd", "Herd", Icon::Herd),
            ]);
            page.nav.iter().position(|item| page.is_current(item))
        };
        assert_eq!(current("/farms/a/"), Some(0));
        assert_eq!(current("/farms/a/herd/7"), Some(1));
        assert_eq!(current("/farms/a/search?q=7"), None);
    }

    #[test]
    fn a_page_has_nothing_inline_and_asks_only_its_own_origin() {
        let html = page("/herd")
            .preferences("/preferences")
            .live("/live?topics=herd", 7)
            .alerts(2, "/inbox")
            .search("/search")
            .body(html! { p { "body" } })
            .render()
            .into_string();
        for forbidden in [
            " style=",
            "<style",
            " onclick",
            "javascript:",
            "http://",
            "https://",
            "<script>",
        ] {
            assert!(!html.contains(forbidden), "{forbidden}");
        }
        assert!(html.contains("data-live-from=\"7\""));
        assert!(html.contains("<html lang=\"en\""));
    }

    #[test]
    fn names_are_escaped() {
        let html = Page::new(Lang::Bn, "<b>")
            .brand("\"><script>")
            .render()
            .into_string();
        assert!(!html.contains("<b>") && !html.contains("\"><script>"));
    }
}
