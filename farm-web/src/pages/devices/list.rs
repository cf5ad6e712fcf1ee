//! The list: what needs a look first, then one group for each kind, long groups folded, and a search over all of it.

use std::{collections::HashMap, sync::Arc};

use axum::{
    extract::Query,
    response::{IntoResponse, Response},
};
use farm::{
    Farm,
    devices::{self, DeviceRow},
    places,
};
use farm_model::{Clock as _, DeviceId, DeviceKind, Place, PlaceId, UnixMillis};
use maud::{Markup, html};
use serde::Deserialize;
use ui::{
    Lang,
    components::{Button, Choice, EmptyState, Field, Select, time_ago},
    fmt,
    icons::Icon,
};

use super::{Ctx, endpoint, joins, refused::Refused, state::State, transport};
use crate::{
    address::to,
    border::{DriverState, Hardware},
    error::Error,
    live::{Fragment, Topic},
    words::{self, t as w},
};

pub(crate) mod t {
    ui::texts! {
        none = "No devices yet" / "এখনো কোনো যন্ত্র নেই";
        none_text = "Add the readers, meters and probes of the farm." / "খামারের রিডার, মিটার ও প্রোব যোগ করুন।";
        all_well(n) = "{n} device, and nothing to do." | "{n} devices, and nothing to do." / "{n}টি যন্ত্র, কিছু করার নেই।";
        needs_look(n) = "{n} device needs a look." | "{n} devices need a look." / "{n}টি যন্ত্র দেখা দরকার।";
        show_them = "Show them" / "দেখুন";
        find = "Find" / "খুঁজুন";
        find_hint = "Name, place, port or address" / "নাম, জায়গা, পোর্ট বা ঠিকানা";
        which = "Which" / "কোনগুলো";
        in_trouble = "Those that need a look" / "যেগুলো দেখা দরকার";
        heard = "Heard" / "সাড়া দিচ্ছে";
        found(n) = "{n} found" / "{n}টি পাওয়া গেছে";
        nothing = "No device fits" / "কোনো যন্ত্র মেলেনি";
        nothing_text = "Look for fewer letters, or show all of them." / "কম অক্ষর দিয়ে খুঁজুন, বা সবগুলো দেখুন।";
        show_all = "Show all" / "সব দেখুন";
        the_others(n) = "Show {n} more" / "আরও {n}টি দেখুন";
        unfold(n) = "Show all {n}" / "{n}টিই দেখুন";
    }
}

/// A group of more than this many is folded, but for those that need a look.
const FOLD: usize = 6;
/// Of those that need a look, so many stand outside the fold.
const UNFOLDED: usize = 5;

/// What is known of every device.
pub(super) struct View {
    pub(super) rows: Vec<DeviceRow>,
    pub(super) places: HashMap<PlaceId, Place>,
    pub(super) drivers: HashMap<DeviceId, DriverState>,
    pub(super) now: UnixMillis,
}

impl View {
    pub(super) async fn load(farm: &Farm, hardware: &Arc<dyn Hardware>) -> Result<Self, Error> {
        let newest = farm.live().values();
        let (rows, places) = farm
            .read(move |conn| {
                let rows = devices::overview(conn, &newest)?;
                Ok::<_, farm::StoreError>((rows, places::list(conn)?))
            })
            .await?;
        let drivers = hardware.drivers().await;
        Ok(Self {
            rows,
            places: places.into_iter().map(|p| (p.id, p)).collect(),
            drivers: drivers.into_iter().map(|d| (d.device, d)).collect(),
            now: farm.clock().now().wall,
        })
    }

    pub(super) fn state(&self, row: &DeviceRow) -> State {
        State::of(row, self.drivers.get(&row.device.id), self.now)
    }

    pub(super) fn place(&self, row: &DeviceRow) -> Option<&Place> {
        row.device.place.and_then(|id| self.places.get(&id))
    }

    fn troubles(&self) -> usize {
        let troubled = |row: &&DeviceRow| self.state(row).is_trouble();
        self.rows.iter().filter(troubled).count()
    }
}

/// What is looked for.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Wanted {
    q: String,
    which: Which,
}

/// Which devices are shown.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "snake_case")]
enum Which {
    #[default]
    #[serde(alias = "")]
    All,
    Trouble,
    Heard,
    Unheard,
    Off,
}

impl Which {
    const ALL: [Self; 5] = [
        Self::All,
        Self::Trouble,
        Self::Heard,
        Self::Unheard,
        Self::Off,
    ];

    fn key(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Trouble => "trouble",
            Self::Heard => "heard",
            Self::Unheard => "unheard",
            Self::Off => "off",
        }
    }

    fn name(self, lang: Lang) -> &'static str {
        match self {
            Self::All => w::all(lang),
            Self::Trouble => t::in_trouble(lang),
            Self::Heard => t::heard(lang),
            Self::Unheard => super::state::t::unheard(lang),
            Self::Off => super::state::t::off(lang),
        }
    }

    fn takes(self, state: State) -> bool {
        match self {
            Self::All => true,
            Self::Trouble => state.is_trouble(),
            Self::Heard => matches!(state, State::Working | State::Starting),
            Self::Unheard => state == State::Unheard,
            Self::Off => state == State::Off,
        }
    }
}

impl Wanted {
    fn is_plain(&self) -> bool {
        self.q.trim().is_empty() && self.which == Which::All
    }

    fn takes(&self, lang: Lang, row: &DeviceRow, view: &View) -> bool {
        let plain = |text: &str| fmt::ascii_digits(text).to_lowercase();
        let device = &row.device;
        let known = [
            device.name.as_str(),
            &device.slug,
            words::device_kind(lang, device.kind),
            transport(lang, &device.link),
            &endpoint(&device.link),
            view.place(row).map_or("", |p| p.name.as_str()),
        ]
        .map(plain);
        let fits = |word: &str| known.iter().any(|text| text.contains(word));
        self.which.takes(view.state(row)) && plain(&self.q).split_whitespace().all(fits)
    }
}

/// The parts that change by themselves.
pub(crate) async fn fragments(
    farm: &Farm,
    hardware: &Arc<dyn Hardware>,
    lang: Lang,
) -> Result<Vec<Fragment>, Error> {
    let view = View::load(farm, hardware).await?;
    let mut fragments = joins::fragments(farm, lang).await?;
    fragments.push(Fragment::new("device-list", everything(lang, &view)));
    Ok(fragments)
}

pub(super) async fn page(ctx: Ctx, Query(wanted): Query<Wanted>) -> Result<Response, Error> {
    let lang = ctx.lang;
    let view = View::load(&ctx.web.farm, &ctx.web.hardware).await?;
    let refused = Refused::load(&ctx.web.farm, None).await?;
    let body = html! {
        div.page-head {
            div { h1 { (w::devices(lang)) } }
            @if ctx.at_the_farm() {
                div.actions {
                    (Button::primary(super::t::add(lang)).icon(Icon::Plus).href(to!("/devices/new")))
                    (crate::pages::firmware::link(lang))
                }
            }
        }
        @if ctx.at_the_farm() { (joins::above_list(&ctx).await?) }
        @if view.rows.len() > FOLD || !wanted.is_plain() { (filters(lang, &wanted)) }
        div #devices {
            @if wanted.is_plain() { (everything(lang, &view)) } @else { (found(lang, &wanted, &view)) }
        }
        @if ctx.at_the_farm() { (refused.sources(lang, view.now)) }
    };
    let page = ctx
        .page(w::devices(lang), &[Topic::Devices])
        .wide()
        .body(body);
    Ok(page.render().into_response())
}

fn filters(lang: Lang, wanted: &Wanted) -> Markup {
    let which = Which::ALL
        .map(|which| Choice::new(which.key(), which.name(lang)))
        .to_vec();
    html! {
        form.filters.find method="get" role="search" aria-label=(w::devices(lang)) data-enhance="#devices" data-instant {
            (Field::search("q", t::find(lang)).placeholder(t::find_hint(lang)).value(&wanted.q))
            (Select::new("which", t::which(lang), which).chosen(wanted.which.key()))
            (Button::secondary(ui::t::apply_filters(lang)))
        }
    }
}

/// Every device, with a word about all of them above.
fn everything(lang: Lang, view: &View) -> Markup {
    let troubles = view.troubles();
    html! {
        div #device-list.flow {
            @if view.rows.is_empty() {
                (EmptyState::new(Icon::Device, t::none(lang), t::none_text(lang)))
            } @else if troubles == 0 {
                p.hint { (t::all_well(lang, view.rows.len())) }
            } @else {
                div.flash.warn {
                    (Icon::Warning) p { (t::needs_look(lang, troubles)) }
                    (Button::secondary(t::show_them(lang)).href(to!("/devices?which=trouble")))
                }
            }
            (groups(lang, view, &view.rows.iter().collect::<Vec<_>>(), Fold::Long))
        }
    }
}

/// Those that are looked for; not followed live, so that nothing moves under the finger.
fn found(lang: Lang, wanted: &Wanted, view: &View) -> Markup {
    let rows: Vec<&DeviceRow> = view
        .rows
        .iter()
        .filter(|row| wanted.takes(lang, row, view))
        .collect();
    html! {
        div #device-found.flow {
            @if rows.is_empty() {
                (EmptyState::new(Icon::Search, t::nothing(lang), t::nothing_text(lang))
                    .action(Button::secondary(t::show_all(lang)).href(to!("/devices"))))
            } @else {
                p.cluster { (t::found(lang, rows.len())) a href=(to!("/devices")) { (t::show_all(lang)) } }
            }
            (groups(lang, view, &rows, Fold::Never))
        }
    }
}

/// Whether long groups are folded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fold {
    Long,
    Never,
}

fn groups(lang: Lang, view: &View, rows: &[&DeviceRow], fold: Fold) -> Markup {
    let mut groups: Vec<Group<'_>> = DeviceKind::ALL
        .iter()
        .map(|kind| Group::of(*kind, view, rows))
        .filter(|group| !group.rows.is_empty())
        .collect();
    groups.sort_by_key(|group| !group.is_troubled());
    html! { div.columns { @for group in &groups { (group.draw(lang, view, fold)) } } }
}

/// The devices of one kind, those that need a look first, then by place.
struct Group<'a> {
    kind: DeviceKind,
    rows: Vec<(State, &'a DeviceRow)>,
}

impl<'a> Group<'a> {
    fn of(kind: DeviceKind, view: &View, rows: &[&'a DeviceRow]) -> Self {
        let mut rows: Vec<(State, &DeviceRow)> = rows
            .iter()
            .filter(|row| row.device.kind == kind)
            .map(|row| (view.state(row), *row))
            .collect();
        rows.sort_by_cached_key(|(state, row)| {
            let place = view.place(row).map(|p| (p.kind.key(), natural(&p.slug)));
            let well = !state.is_trouble();
            (well, place.is_none(), place, natural(&row.device.slug))
        });
        Self { kind, rows }
    }

    fn is_troubled(&self) -> bool {
        self.rows.iter().any(|(state, _)| state.is_trouble())
    }

    fn draw(&self, lang: Lang, view: &View, fold: Fold) -> Markup {
        let folds = fold == Fold::Long && self.rows.len() > FOLD;
        let troubles = self.rows.iter().filter(|(s, _)| s.is_trouble()).count();
        let shown = if folds {
            troubles.min(UNFOLDED)
        } else {
            self.rows.len()
        };
        let (shown, rest) = self.rows.split_at(shown);
        let more = if shown.is_empty() {
            t::unfold(lang, rest.len())
        } else {
            t::the_others(lang, rest.len())
        };
        html! {
            section.card {
                header {
                    h2 { (words::device_kind(lang, self.kind)) " " small.num { (fmt::int(lang, self.rows.len() as i64)) } }
                    span.cluster.tight { (self.counts(lang)) }
                }
                (self.advice(lang))
                @if !shown.is_empty() { ul.readings { @for (state, row) in shown { (line(lang, row, *state, view)) } } }
                @if !rest.is_empty() {
                    details.fold id={ "more-" (self.kind.key()) } {
                        summary { (Icon::Plus) (more) }
                        ul.readings { @for (state, row) in rest { (line(lang, row, *state, view)) } }
                    }
                }
            }
        }
    }

    /// How many are in which state.
    fn counts(&self, lang: Lang) -> Markup {
        html! {
            @for state in State::ALL {
                @let n = self.rows.iter().filter(|(s, _)| *s == state).count();
                @if n > 0 { (state.count(lang, n)) }
            }
        }
    }

    /// What to do about those that need a look: once for each state.
    fn advice(&self, lang: Lang) -> Markup {
        html! {
            @for state in State::ALL.into_iter().filter(|s| s.is_trouble()) {
                @if let (true, Some(advice)) = (self.rows.iter().any(|(s, _)| *s == state), state.advice(lang)) {
                    p.advice { (advice) }
                }
            }
        }
    }
}

/// A device: its name, where it stands if its name does not say so, and how it fares if that is not well.
fn line(lang: Lang, row: &DeviceRow, state: State, view: &View) -> Markup {
    let device = &row.device;
    let place = view
        .place(row)
        .map(|p| p.name.as_str())
        .filter(|place| !device.name.contains(place));
    html! {
        li.device-row {
            a.whole href=(to!("/devices/{}", device.id)) { (device.name) }
            span.sensor-state {
                @if let Some(at) = row.heard_at { small.hint { (time_ago(lang, at.0, view.now.0)) } }
                @if state != State::Working { (state.badge(lang)) }
            }
            @if let Some(place) = place { p.hint { (place) } }
            @if row.rejects > 0 { p.hint.cluster.tight { (Icon::Warning) (super::t::rejects(lang, row.rejects)) } }
        }
    }
}

/// A short name with its numbers padded, so that `stall-10` follows `stall-9`.
fn natural(slug: &str) -> String {
    let mut padded = String::new();
    let mut digits = String::new();
    for c in slug.chars().chain(std::iter::once('\0')) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        if !digits.is_empty() {
            padded.push_str(&format!("{digits:0>20}"));
            digits.clear();
        }
        padded.push(c);
    }
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_count() {
        let mut slugs = ["stall-10", "stall-9", "stall-1", "tank-2"];
        slugs.sort_by_cached_key(|slug| natural(slug));
        assert_eq!(slugs, ["stall-1", "stall-9", "stall-10", "tank-2"]);
    }
}
