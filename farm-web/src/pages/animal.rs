//! One animal: whether her milk may go into the tank, what she gives beside what she should, and what happened to her.

mod chart;
mod edit;
pub(crate) mod events;
mod tags;

use axum::{
    extract::{Path, Query},
    response::{IntoResponse, Redirect, Response},
};
use farm::{
    animals::{self, Animal, AnimalPage},
    holds::{Hold, Product},
    milkings::VisitRow,
    plan::{self, Plan},
    staff::{self, Staff},
};
use farm_model::{AnimalId, AnimalStatus, Sex, UnixMillis, staff::Role};
use maud::{Markup, html};
use serde::Deserialize;
use ui::{
    Lang,
    components::{
        Badge, Breadcrumb, Button, Column, Row, Sheet, Stat, Table, breadcrumbs, facts, section,
        stats,
    },
    fmt,
    icons::Icon,
    shell::Tone,
};

use super::{Ctx, herd::status_badge, names::animal_name, parlour::session_name};
use crate::{
    access::{Needs, Routes},
    address::to,
    error::{Error, Reason},
    words::t as w,
};

pub(crate) mod t {
    ui::texts! {
        milk_held = "Her milk must NOT go into the tank" / "এই গরুর দুধ ট্যাংকে দেওয়া যাবে না";
        milk_held_do = "Milk her into the separate bucket." / "আলাদা বালতিতে দোহন করুন।";
        meat_held = "Must not be slaughtered or sold for meat." / "জবাই বা মাংসের জন্য বিক্রি করা যাবে না।";
        until(when, time) = "Until {when} (still {time})" / "{when} পর্যন্ত (আরও {time})";
        until_clock = "Until the farm's time is certain: set it on the page About." / "সময় নিশ্চিত না হওয়া পর্যন্ত: ‘এই যন্ত্র’ পাতায় সময় ঠিক করুন।";
        because(medicine) = "After {medicine}" / "{medicine} দেওয়ার কারণে";
        write_down = "Write down what happened" / "ঘটনা লিখুন";
        today = "Today" / "আজ";
        usual = "Usual a day" / "সাধারণত দিনে";
        below(percent) = "{percent}% below her usual yesterday" / "গতকাল স্বাভাবিকের {percent}% কম";
        above(percent) = "{percent}% above her usual yesterday" / "গতকাল স্বাভাবিকের {percent}% বেশি";
        as_usual = "as usual yesterday" / "গতকাল স্বাভাবিক";
        days_in_milk = "Days in milk" / "দুধের দিন";
        lactation(n) = "Lactation {n}" / "{n} নম্বর বিয়ান";
        due = "Due to calve" / "বাচ্চা দেওয়ার কথা";
        in_days(n) = "in {n} day" | "in {n} days" / "{n} দিন পরে";
        late(n) = "{n} day late" | "{n} days late" / "{n} দিন পেরিয়ে গেছে";
        calved = "Calved" / "বাচ্চা দিয়েছে";
        dried = "Dried off" / "দুধ শুকানো হয়েছে";
        served = "Served" / "প্রজনন";
        pregnant = "Pregnant" / "গাভিন";
        not_pregnant = "Not pregnant" / "গাভিন নয়";
        checked = "Pregnancy" / "গাভিন কি না";
        about = "About her" / "পরিচয়";
        about_him = "About him" / "পরিচয়";
        born = "Born" / "জন্ম";
        sire = "Father" / "বাবা";
        dam = "Mother" / "মা";
        tags = "Tags" / "ট্যাগ";
        no_tag = "No tag" / "ট্যাগ নেই";
        retag = "Tags" / "ট্যাগ বদল";
        join = "Join with another entry" / "আরেকটি খাতার সঙ্গে এক করুন";
        last_milkings = "Last milkings" / "শেষ কয়েকবারের দুধ";
        all_milkings = "All her milk records" / "তার সব দুধের হিসাব";
        no_milk = "No milk of hers is written down yet." / "এখনো তার দুধ লেখা হয়নি।";
        when = "When" / "কখন";
        flow = "Mean flow" / "গড় প্রবাহ";
        happened = "What happened" / "যা যা ঘটেছে";
        nothing_happened = "Nothing is written down yet." / "এখনো কিছু লেখা হয়নি।";
        older = "Show older" / "আরও পুরোনো দেখুন";
    }
}

/// Events that the page shows unless all are asked for.
const EVENTS: usize = 12;

pub(crate) fn routes(routes: Routes) -> Routes {
    let routes = routes.get(Needs::Role(Role::Worker), "/herd/{id}", page);
    tags::routes(edit::routes(events::routes(routes)))
}

#[derive(Deserialize)]
pub(crate) struct Wanted {
    /// `all` for every event.
    #[serde(default)]
    events: String,
}

/// Her page and what its words need besides.
struct View {
    page: AnimalPage,
    dam: Option<Animal>,
    plan: Plan,
    staff: Vec<Staff>,
}

async fn view(ctx: &Ctx, id: AnimalId) -> Result<View, Error> {
    let (today, now) = (ctx.today(), ctx.now);
    ctx.web
        .farm
        .read(move |conn| {
            let Some(page) = animals::animal_page(conn, id, today, &now)? else {
                return Ok::<_, farm::StoreError>(None);
            };
            let dam = match page.animal.dam {
                Some(dam) => animals::get(conn, dam)?,
                None => None,
            };
            Ok(Some(View {
                page,
                dam,
                plan: plan::load(conn)?,
                staff: staff::list(conn)?,
            }))
        })
        .await?
        .ok_or_else(|| Reason::NotFound.into())
}

async fn page(
    ctx: Ctx,
    Path(id): Path<AnimalId>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Error> {
    let view = view(&ctx, id).await?;
    let animal = &view.page.animal;
    if animal.id != id {
        // A merged duplicate has no page of its own.
        return Ok(Redirect::to(&to!("/herd/{}", animal.id)).into_response());
    }
    let lang = ctx.lang;
    let shown = if wanted.events == "all" {
        usize::MAX
    } else {
        EVENTS
    };
    let body = html! {
        (breadcrumbs(lang, &[Breadcrumb { label: w::herd(lang).into(), href: to!("/herd") }]))
        (head(&ctx, &view))
        (holds(&ctx, &view.page.holds))
        @if animal.sex == Sex::Female { (figures(&ctx, &view.page)) }
        @if !view.page.days.is_empty() { (chart::yields(lang, &view.page, ctx.today())) }
        div.split {
            div.flow {
                (section(t::happened(lang), &events::list(&ctx, &view.page, &view.staff, shown)))
            }
            (section(about_title(lang, animal), &about(&ctx, &view)))
        }
        @if animal.sex == Sex::Female {
            (section(t::last_milkings(lang), &milkings(&ctx, &view)))
        }
        @if ctx.me.may(Role::Worker) {
            (Sheet::new(lang, "happened", t::write_down(lang), kinds(lang, animal)))
        }
    };
    Ok(ctx
        .page(&animal_name(lang, animal), &[])
        .wide()
        .body(body)
        .render()
        .into_response())
}

fn about_title(lang: Lang, animal: &Animal) -> &'static str {
    match animal.sex {
        Sex::Female => t::about(lang),
        Sex::Male => t::about_him(lang),
    }
}

fn head(ctx: &Ctx, view: &View) -> Markup {
    let (lang, animal) = (ctx.lang, &view.page.animal);
    let worn = view.page.tags.iter().find(|t| t.until.is_none());
    html! {
        header.page-head {
            div {
                h1 { (animal_name(lang, animal)) }
                p.cluster.tight {
                    (status_badge(lang, animal.status))
                    @if !animal.group.is_empty() { span { (w::group(lang)) " " (animal.group) } }
                    @if !animal.breed.is_empty() { span { (animal.breed) } }
                    @if let Some(tag) = worn {
                        span.cluster.tight { (Icon::Tag) span.tag-number { (fmt::digits(lang, &tag.tag.to_string())) } }
                    } @else {
                        (Badge::new(Tone::Warn, t::no_tag(lang)))
                    }
                }
            }
            div.actions {
                @if ctx.me.may(Role::Worker) {
                    (Button::primary(t::write_down(lang)).icon(Icon::Plus).opens("happened"))
                    @if animal.status == AnimalStatus::Lactating {
                        (Button::secondary(w::record_milk(lang)).icon(Icon::Bucket).href(to!("/record/{}", animal.id)))
                    }
                }
                @if ctx.me.may(Role::Manager) {
                    (Button::secondary(ui::t::edit(lang)).icon(Icon::Edit).href(to!("/herd/{}/edit", animal.id)))
                    (Button::secondary(t::retag(lang)).icon(Icon::Tag).href(to!("/herd/{}/tags", animal.id)))
                }
            }
        }
    }
}

/// Holds as nobody can miss them: the strictest of each kind, first the milk's.
fn holds(ctx: &Ctx, holds: &[Hold]) -> Markup {
    let strictest = |product| {
        let of = holds.iter().filter(move |h| h.product == product);
        of.max_by_key(|h| (!h.clock.is_trusted(), h.until))
    };
    let lang = ctx.lang;
    html! {
        @if let Some(hold) = strictest(Product::Milk) {
            section.hold role="alert" {
                (Icon::Stop)
                div {
                    h2 { (t::milk_held(lang)) }
                    p { (t::milk_held_do(lang)) }
                    p { (hold_end(ctx, hold)) " · " (t::because(lang, &hold.medicine)) }
                }
            }
        }
        @if let Some(hold) = strictest(Product::Meat) {
            div.flash.bad {
                (Icon::Stop)
                p { (t::meat_held(lang)) " " (hold_end(ctx, hold)) " · " (t::because(lang, &hold.medicine)) }
            }
        }
    }
}

fn hold_end(ctx: &Ctx, hold: &Hold) -> String {
    let lang = ctx.lang;
    if !hold.clock.is_trusted() || !ctx.now.clock.is_trusted() {
        return t::until_clock(lang).to_owned();
    }
    let when = fmt::date_time(lang, ctx.local(hold.until).datetime(), ctx.today());
    let left = hold.until.since(ctx.now.wall).max(0) / 1000;
    t::until(lang, when, fmt::duration(lang, left))
}

fn figures(ctx: &Ctx, page: &AnimalPage) -> Markup {
    let (lang, today) = (ctx.lang, ctx.today());
    let state = &page.state;
    let mut figures = Vec::new();
    let given = page
        .days
        .iter()
        .find(|d| d.date == today)
        .map(|d| d.yield_ml);
    let litres = |ml: Option<i64>| ml.map_or_else(|| "–".to_owned(), |ml| fmt::litres(lang, ml));
    if page.animal.status == AnimalStatus::Lactating {
        figures.push(Stat::new(t::today(lang), litres(given), ui::t::litre(lang)));
        let usual = (!page.baselines.is_empty()).then(|| {
            page.baselines
                .iter()
                .map(|(_, b)| b.expected_ml)
                .sum::<i64>()
        });
        let stat = Stat::new(t::usual(lang), litres(usual), ui::t::litre(lang));
        figures.push(match yesterday(page, today).zip(usual.filter(|u| *u > 0)) {
            Some((ml, usual)) => {
                let (tone, text) = compare(lang, ml, usual);
                stat.note(tone, text)
            }
            None => stat,
        });
    }
    if let Some(days) = page.days_in_milk {
        let stat = Stat::new(t::days_in_milk(lang), fmt::int(lang, days), "");
        figures.push(match state.lactation {
            Some(n) => stat.note(Tone::Neutral, t::lactation(lang, n)),
            None => stat,
        });
    }
    if let Some(due) = state.due {
        let days = (due - today).get_days();
        let (tone, text) = if days >= 0 {
            (Tone::Neutral, t::in_days(lang, days))
        } else {
            (Tone::Warn, t::late(lang, -days))
        };
        figures
            .push(Stat::new(t::due(lang), fmt::day_short(lang, due, today), "").note(tone, text));
    }
    html! { @if !figures.is_empty() { (stats(&figures)) } }
}

fn yesterday(page: &AnimalPage, today: jiff::civil::Date) -> Option<i64> {
    let yesterday = today.yesterday().ok()?;
    page.days
        .iter()
        .find(|d| d.date == yesterday)
        .map(|d| d.yield_ml)
}

/// A day beside what is usual; a tenth either way is as usual.
fn compare(lang: Lang, ml: i64, usual: i64) -> (Tone, String) {
    let percent = (ml - usual) * 100 / usual;
    match percent {
        ..=-25 => (Tone::Bad, t::below(lang, -percent)),
        -24..=-11 => (Tone::Warn, t::below(lang, -percent)),
        -10..=10 => (Tone::Good, t::as_usual(lang).to_owned()),
        11.. => (Tone::Good, t::above(lang, percent)),
    }
}

fn about(ctx: &Ctx, view: &View) -> Markup {
    let lang = ctx.lang;
    let AnimalPage {
        animal,
        state,
        tags,
        ..
    } = &view.page;
    let mut items: Vec<(&str, Markup)> = Vec::new();
    let day = |date| html! { (fmt::date(lang, date)) };
    for (label, date) in [
        (t::calved(lang), state.calved),
        (t::dried(lang), state.dried),
        (t::served(lang), state.served),
        (t::born(lang), animal.birth_date),
    ] {
        items.extend(date.map(|date| (label, day(date))));
    }
    if let Some(pregnant) = state.pregnant {
        let text = if pregnant {
            t::pregnant(lang)
        } else {
            t::not_pregnant(lang)
        };
        items.push((t::checked(lang), html! { (text) }));
    }
    if let Some(dam) = &view.dam {
        items.push((
            t::dam(lang),
            html! { a href=(to!("/herd/{}", dam.id)) { (animal_name(lang, dam)) } },
        ));
    }
    for (label, text) in [
        (t::sire(lang), &animal.sire),
        (w::breed(lang), &animal.breed),
        (w::note(lang), &animal.note),
    ] {
        if !text.is_empty() {
            items.push((label, html! { (text) }));
        }
    }
    let worn: Vec<_> = tags.iter().filter(|t| t.until.is_none()).collect();
    items.push((
        t::tags(lang),
        html! {
            @if worn.is_empty() { (t::no_tag(lang)) }
            @for tag in worn { div.tag-number { (fmt::digits(lang, &tag.tag.to_string())) } }
        },
    ));
    html! {
        (facts(&items))
        @if ctx.me.may(Role::Manager) {
            p { a href=(to!("/herd/{}/join", animal.id)) { (t::join(lang)) } }
        }
    }
}

fn milkings(ctx: &Ctx, view: &View) -> Markup {
    let lang = ctx.lang;
    let id = view.page.animal.id;
    let columns = vec![
        Column::new(t::when(lang)),
        Column::new(w::session(lang)),
        Column::number(w::milk(lang)),
        Column::number(t::flow(lang)),
        Column::new(""),
    ];
    let rows = view
        .page
        .visits
        .iter()
        .take(10)
        .map(|visit| visit_row(ctx, visit, &view.plan))
        .collect();
    let table = Table::new(lang, t::last_milkings(lang), columns)
        .rows(rows)
        .empty(html! { p.nothing { (t::no_milk(lang)) } });
    html! {
        (table)
        @if !view.page.visits.is_empty() {
            p { a href=(to!("/milkings?animal={id}")) { (t::all_milkings(lang)) } }
        }
    }
}

fn visit_row(ctx: &Ctx, visit: &VisitRow, plan: &Plan) -> Row {
    let lang = ctx.lang;
    Row::new(vec![
        html! { (moment(ctx, visit.start)) },
        html! { (session_name(lang, visit.session, plan)) },
        html! { strong { (fmt::litres_unit(lang, visit.yield_ml)) } },
        html! {
            @match visit.avg_flow_ml_min {
                Some(ml) => (w::value_with_unit(lang, fmt::decimal(lang, ml, 3, 1), w::unit_litre_minute(lang))),
                None => "–",
            }
        },
        super::milk::marks(lang, visit),
    ])
    .href(to!("/milkings/{}", visit.id))
}

/// A moment by the farm's clock.
fn moment(ctx: &Ctx, at: UnixMillis) -> String {
    fmt::date_time(ctx.lang, ctx.local(at).datetime(), ctx.today())
}

/// Tiles for everything that can be written down of an animal.
fn kinds(lang: Lang, animal: &Animal) -> Markup {
    html! {
        ul.tile-grid {
            @for kind in events::Kind::for_animal(animal) {
                li {
                    a.tile href=(to!("/herd/{}/events/{}", animal.id, kind.key())) {
                        (kind.icon()) span.tile-text { strong { (kind.name(lang)) } }
                    }
                }
            }
        }
    }
}
