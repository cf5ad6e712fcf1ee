//! Parts that show: cards, figures, chips, lists, the way back.

use maud::{Markup, Render, html};

use crate::{Lang, fmt, icons::Icon, shell::Tone, t};

/// A card: a title, perhaps an action, and content.
#[derive(Clone, Debug)]
pub struct Card {
    title: String,
    id: Option<String>,
    action: Option<Markup>,
    body: Markup,
}

impl Card {
    /// A card of this title and content.
    pub fn new(title: impl Into<String>, body: Markup) -> Self {
        Self {
            title: title.into(),
            id: None,
            action: None,
            body,
        }
    }

    /// With an element id, so that live fragments can replace it.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// With a link or button beside the title.
    #[must_use]
    pub fn action(mut self, action: Markup) -> Self {
        self.action = Some(action);
        self
    }
}

impl Render for Card {
    fn render(&self) -> Markup {
        html! {
            section.card id=[self.id.as_deref()] {
                header { h2 { (self.title) } @if let Some(action) = &self.action { (action) } }
                (self.body)
            }
        }
    }
}

/// The top of a page: its title, a line about it, and the one thing to do here.
pub fn page_head(title: &str, text: &str, action: &Markup) -> Markup {
    html! {
        header.page-head {
            div { h1 { (title) } @if !text.is_empty() { p { (text) } } }
            (action)
        }
    }
}

/// Figures beside each other.
pub fn stats(figures: &[Stat]) -> Markup {
    html! { div.stats { @for figure in figures { (figure) } } }
}

/// A part of a page without a border: the first choice; a card is for what stands alone.
pub fn section(title: &str, body: &Markup) -> Markup {
    html! { section.section { h2 { (title) } (body) } }
}

/// One figure with its name, unit and what to think of it.
#[derive(Clone, Debug)]
pub struct Stat {
    label: String,
    value: String,
    unit: String,
    note: Option<(Tone, String)>,
    href: Option<String>,
    id: Option<String>,
}

impl Stat {
    /// A figure: name, number, unit (empty when it has none).
    pub fn new(
        label: impl Into<String>,
        value: impl Into<String>,
        unit: impl Into<String>,
    ) -> Self {
        Self {
            label: label.into(),
            value: value.into(),
            unit: unit.into(),
            note: None,
            href: None,
            id: None,
        }
    }

    /// With a line of comparison.
    #[must_use]
    pub fn note(mut self, tone: Tone, text: impl Into<String>) -> Self {
        self.note = Some((tone, text.into()));
        self
    }

    /// Leads to `href`.
    #[must_use]
    pub fn href(mut self, href: impl Into<String>) -> Self {
        self.href = Some(href.into());
        self
    }

    /// With an element id, so that live fragments can replace it.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }
}

impl Render for Stat {
    fn render(&self) -> Markup {
        html! {
            div.stat id=[self.id.as_deref()] {
                p.stat-label {
                    @if let Some(href) = &self.href { a href=(href) { (self.label) } } @else { (self.label) }
                }
                p.stat-value { (self.value) @if !self.unit.is_empty() { small { (self.unit) } } }
                @if let Some((tone, note)) = &self.note {
                    p.stat-note.(tone.key()) { @if *tone != Tone::Neutral { (tone.icon()) } (note) }
                }
            }
        }
    }
}

/// A word about a state.
#[derive(Clone, Debug)]
pub struct Badge {
    tone: Tone,
    text: String,
    icon: Option<Icon>,
}

impl Badge {
    /// A word in a tone, with the tone's icon unless it is neutral.
    pub fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self {
            tone,
            text: text.into(),
            icon: (tone != Tone::Neutral).then(|| tone.icon()),
        }
    }

    /// With another icon.
    #[must_use]
    pub fn icon(mut self, icon: Icon) -> Self {
        self.icon = Some(icon);
        self
    }
}

impl Render for Badge {
    fn render(&self) -> Markup {
        html! { span.badge.(self.tone.key()) { @if let Some(icon) = self.icon { (icon) } (self.text) } }
    }
}

/// How far a value can be believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quality {
    /// As measured.
    Good,
    /// True once, but old.
    Stale,
    /// Arrived, and is not to be believed.
    Bad,
    /// Did not arrive.
    Missing,
}

/// The chip beside a value that says how far it can be believed.
pub fn quality_chip(lang: Lang, quality: Quality) -> Markup {
    let (tone, icon, text) = match quality {
        Quality::Good => (Tone::Good, Icon::Check, t::quality_good(lang)),
        Quality::Stale => (Tone::Warn, Icon::Clock, t::quality_stale(lang)),
        Quality::Bad => (Tone::Bad, Icon::Warning, t::quality_bad(lang)),
        Quality::Missing => (Tone::Neutral, Icon::Unknown, t::quality_missing(lang)),
    };
    Badge::new(tone, text).icon(icon).render()
}

/// A moment said by its age; live pages keep it true. `at_ms` and `now_ms` are milliseconds since 1970.
pub fn time_ago(lang: Lang, at_ms: i64, now_ms: i64) -> Markup {
    let stamp = jiff::Timestamp::from_millisecond(at_ms).map(|t| t.to_string());
    html! {
        time datetime=[stamp.ok()] data-ago=(at_ms) { (fmt::ago(lang, now_ms.saturating_sub(at_ms) / 1000)) }
    }
}

/// Where there is nothing: what would be here, and the way to make it so.
#[derive(Clone, Debug)]
pub struct EmptyState {
    icon: Icon,
    title: String,
    text: String,
    action: Option<Markup>,
}

impl EmptyState {
    /// A picture, what is missing, what it would show.
    pub fn new(icon: Icon, title: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            icon,
            title: title.into(),
            text: text.into(),
            action: None,
        }
    }

    /// The next thing to do.
    #[must_use]
    pub fn action(mut self, action: impl Render) -> Self {
        self.action = Some(action.render());
        self
    }
}

impl Render for EmptyState {
    fn render(&self) -> Markup {
        html! {
            div.empty {
                (self.icon)
                h2 { (self.title) }
                p { (self.text) }
                @if let Some(action) = &self.action { (action) }
            }
        }
    }
}

/// How much of a whole, as a bar; `of_1000` is clamped to 0 to 1,000.
pub fn progress(label: &str, of_1000: u16, text: &str) -> Markup {
    html! {
        div.progress {
            span.progress-label { (label) }
            progress max="1000" value=(of_1000.min(1000)) aria-label=(label) { (text) }
            span.progress-text { (text) }
        }
    }
}

/// A small bar without words beside it, for flow and fill; the words stand elsewhere in the same part.
#[derive(Clone, Copy, Debug)]
pub struct Meter(pub u16);

impl Render for Meter {
    fn render(&self) -> Markup {
        let width = f64::from(self.0.min(1000)) / 10.0;
        html! {
            svg.meter viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" {
                rect.bar-track width="100" height="6" {}
                rect.bar-fill width=(width) height="6" {}
            }
        }
    }
}

/// Names and values.
pub fn facts(items: &[(&str, Markup)]) -> Markup {
    html! {
        dl.facts { @for (name, value) in items { div { dt { (name) } dd { (value) } } } }
    }
}

/// What happened, newest first.
#[derive(Clone, Debug)]
pub struct Event {
    /// When, as shown.
    pub when: Markup,
    /// A picture of what.
    pub icon: Icon,
    /// How to take it.
    pub tone: Tone,
    /// What, in a few words.
    pub title: Markup,
    /// More of it, if there is more.
    pub body: Option<Markup>,
}

/// A list of what happened.
pub fn timeline(events: &[Event]) -> Markup {
    html! {
        ol.timeline {
            @for event in events {
                li.(event.tone.key()) {
                    span.timeline-icon { (event.icon) }
                    div {
                        p.timeline-when { (event.when) }
                        p.timeline-title { (event.title) }
                        @if let Some(body) = &event.body { div.timeline-body { (body) } }
                    }
                }
            }
        }
    }
}

/// A step on the way to this page.
#[derive(Clone, Debug)]
pub struct Breadcrumb {
    /// What it says.
    pub label: String,
    /// Where it leads.
    pub href: String,
}

/// The way to this page, above its title.
pub fn breadcrumbs(lang: Lang, steps: &[Breadcrumb]) -> Markup {
    html! {
        nav.crumbs aria-label=(t::back(lang)) {
            @for step in steps { a href=(step.href) { (Icon::Previous) (step.label) } }
        }
    }
}

/// One view of several of the same thing.
#[derive(Clone, Debug)]
pub struct Tab {
    /// What it says.
    pub label: String,
    /// Where it leads.
    pub href: String,
    /// Whether it is the one shown.
    pub current: bool,
}

/// Links between views of the same thing.
pub fn tabs(label: &str, items: &[Tab]) -> Markup {
    html! {
        nav.tabs aria-label=(label) {
            ul {
                @for tab in items {
                    li { a href=(tab.href) aria-current=[tab.current.then_some("page")] { (tab.label) } }
                }
            }
        }
    }
}

/// A person or animal by the first letter of the name, in one of six calm colours.
pub fn avatar(name: &str) -> Markup {
    let hue = name
        .bytes()
        .fold(0u32, |h, b| h.wrapping_mul(31) + u32::from(b))
        % 6;
    html! { span.avatar.(format!("hue-{hue}")) aria-hidden="true" { (initial(name)) } }
}

/// A short message that leaves by itself; sent as a live fragment or shown by `live.js`.
pub fn toast(tone: Tone, text: &str) -> Markup {
    html! { div.toast.(tone.key()) { (tone.icon()) p { (text) } } }
}

/// The first letter with the vowel signs and joined consonants that belong to it.
fn initial(name: &str) -> String {
    let mut letters = String::new();
    for c in name.trim().chars() {
        let joins =
            matches!(c, '\u{981}'..='\u{983}' | '\u{9bc}' | '\u{9be}'..='\u{9cd}' | '\u{9d7}');
        if letters.is_empty() || joins || letters.ends_with('\u{9cd}') {
            letters.extend(c.to_uppercase());
        } else {
            break;
        }
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initials_keep_bengali_clusters_whole() {
        for (name, letter) in [
            ("লালী", "লা"),
            ("rahim", "R"),
            ("ক্ষমা", "ক্ষ"),
            (" শ্যামলী", "শ্যা"),
            ("", ""),
        ] {
            assert_eq!(initial(name), letter);
        }
    }
}
