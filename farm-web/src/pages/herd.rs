//! The herd: who is here, found by number, name or tag; registering one more; joining what is there twice.

mod duplicates;
mod register;

use axum::{
    body::Body,
    extract::Query,
    response::{IntoResponse, Response},
};
use farm::animals::{self, HerdFilter, HerdRow, HerdSort, SortOrder};
use farm_model::{AnimalStatus, staff::Role};
use jiff::civil::Date;
use maud::{Markup, html};
use serde::Deserialize;
use ui::{
    Lang,
    components::{
        Badge, Button, Choice, Column, Direction, EmptyState, Field, Row, Select, Table, page_head,
    },
    fmt,
    icons::Icon,
    shell::Tone,
};

pub(crate) use self::register::{
    find_dam, form as animal_form, read as read_form, read_tag, refuse, t::tag_hint,
};
use super::{Ctx, csv, names::animal_called};
use crate::{
    access::{Needs, Routes},
    address::to,
    error::Error,
    present::encode,
    words::{self, t as w},
};

pub(crate) mod t {
    ui::texts! {
        find = "Number, name or tag" / "নম্বর, নাম বা ট্যাগ";
        register = "Register an animal" / "নতুন পশু লিখুন";
        count(n) = "{n} animal" | "{n} animals" / "{n}টি পশু";
        today = "Today" / "আজ";
        week = "Mean of 7 days" / "৭ দিনের গড়";
        days_in_milk = "Days in milk" / "দুধের দিন";
        due = "Due to calve" / "বাচ্চা দেওয়ার কথা";
        keep_out = "Milk not in the tank" / "দুধ ট্যাংকে নয়";
        no_meat = "Not for slaughter" / "জবাই নয়";
        on_the_farm = "On the farm" / "খামারে আছে";
        any_group = "All groups" / "সব দল";
        nobody = "No animal fits" / "এমন কোনো পশু নেই";
        nobody_text = "Try fewer letters or another group, or register her." / "কম অক্ষর বা অন্য দল দিয়ে খুঁজুন, অথবা নতুন করে লিখুন।";
        empty = "The herd is empty" / "খাতায় এখনো কোনো পশু নেই";
        empty_text = "Register the first animal with her number and tag." / "নম্বর ও ট্যাগ দিয়ে প্রথম পশুটি লিখুন।";
        twice(n) = "{n} number or tag is there twice." | "{n} numbers or tags are there twice." / "{n}টি নম্বর বা ট্যাগ একাধিক পশুর নামে আছে।";
        settle = "Look and settle" / "দেখে মেটান";
        tag_column = "Tag" / "ট্যাগ";
        birth = "Born" / "জন্ম";
        lactation = "Lactation" / "কততম বিয়ান";
    }
}

/// Animals on a page.
const PAGE: usize = 100;

pub(crate) fn routes(routes: Routes) -> Routes {
    let worker = Needs::Role(Role::Worker);
    let routes = routes
        .get(worker, "/herd", page)
        .get(worker, "/herd/export.csv", export);
    duplicates::routes(register::routes(routes))
}

/// Which animals, in which order, from which page on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    q: String,
    group: String,
    status: String,
    sort: HerdSort,
    order: SortOrder,
    page: usize,
}

impl Wanted {
    fn filter(&self) -> HerdFilter {
        HerdFilter {
            status: AnimalStatus::from_key(&self.status),
            group: Some(self.group.clone()).filter(|g| !g.is_empty()),
            text: self.q.clone(),
        }
    }

    fn is_plain(&self) -> bool {
        self.q.is_empty() && self.group.is_empty() && self.status.is_empty()
    }

    /// The address of the same animals at `path` in another order or on another page.
    fn href(&self, path: &str, sort: HerdSort, order: SortOrder, page: usize) -> String {
        let mut href = format!(
            "{path}?q={}&group={}&status={}&sort={}&order={}",
            encode(&self.q),
            encode(&self.group),
            encode(&self.status),
            sort_key(sort),
            if order == SortOrder::Down {
                "down"
            } else {
                "up"
            },
        );
        if page > 0 {
            href.push_str(&format!("&page={page}"));
        }
        href
    }

    fn column(&self, column: Column, sort: HerdSort, first: SortOrder) -> Column {
        let now = (self.sort == sort).then_some(self.order);
        let next = match now {
            Some(SortOrder::Up) => SortOrder::Down,
            Some(SortOrder::Down) => SortOrder::Up,
            None => first,
        };
        let direction = now.map(|order| match order {
            SortOrder::Up => Direction::Up,
            SortOrder::Down => Direction::Down,
        });
        column.sort(self.href(&to!("/herd"), sort, next, 0), direction)
    }
}

fn sort_key(sort: HerdSort) -> &'static str {
    match sort {
        HerdSort::Number => "number",
        HerdSort::Name => "name",
        HerdSort::Today => "today",
        HerdSort::Week => "week",
        HerdSort::DaysInMilk => "days_in_milk",
        HerdSort::Due => "due",
    }
}

struct View {
    rows: Vec<HerdRow>,
    groups: Vec<String>,
    conflicts: usize,
    today: Date,
}

async fn view(ctx: &Ctx, wanted: &Wanted) -> Result<View, Error> {
    let (filter, sort) = (wanted.filter(), (wanted.sort, wanted.order));
    let (today, now) = (ctx.today(), ctx.now);
    let view = ctx
        .web
        .farm
        .read(move |conn| {
            Ok::<_, farm::StoreError>(View {
                rows: animals::herd(conn, &filter, sort, today, &now)?,
                groups: animals::groups(conn)?,
                conflicts: animals::conflicts(conn)?.len(),
                today,
            })
        })
        .await?;
    Ok(view)
}

async fn page(ctx: Ctx, Query(wanted): Query<Wanted>) -> Result<Response, Error> {
    let lang = ctx.lang;
    let view = view(&ctx, &wanted).await?;
    let is_manager = ctx.me.may(Role::Manager);
    let register = if is_manager {
        html! { (Button::primary(t::register(lang)).icon(Icon::Plus).href(to!("/herd/new"))) }
    } else {
        html! {}
    };
    let body = html! {
        (page_head(w::herd(lang), "", &register))
        @if view.conflicts > 0 && is_manager {
            div.flash.warn {
                (Icon::Warning) p { (t::twice(lang, view.conflicts)) }
                (Button::secondary(t::settle(lang)).href(to!("/herd/duplicates")))
            }
        }
        (table(lang, &wanted, &view, &register))
    };
    Ok(ctx
        .page(w::herd(lang), &[])
        .wide()
        .body(body)
        .render()
        .into_response())
}

fn table(lang: Lang, wanted: &Wanted, view: &View, register: &Markup) -> Markup {
    use HerdSort as By;
    let columns = vec![
        wanted.column(Column::new(w::animal(lang)), By::Number, SortOrder::Up),
        Column::new(w::status(lang)),
        Column::new(w::group(lang)),
        wanted.column(Column::number(t::today(lang)), By::Today, SortOrder::Down),
        wanted.column(Column::number(t::week(lang)), By::Week, SortOrder::Down),
        wanted.column(
            Column::number(t::days_in_milk(lang)),
            By::DaysInMilk,
            SortOrder::Down,
        ),
        wanted.column(Column::number(t::due(lang)), By::Due, SortOrder::Up),
    ];
    let from = wanted.page.saturating_mul(PAGE).min(view.rows.len());
    let until = (from + PAGE).min(view.rows.len());
    let rows = view.rows[from..until]
        .iter()
        .map(|row| table_row(lang, row, view.today))
        .collect();
    let page = |page| wanted.href(&to!("/herd"), wanted.sort, wanted.order, page);
    let previous = (wanted.page > 0).then(|| page(wanted.page - 1));
    let next = (until < view.rows.len()).then(|| page(wanted.page + 1));
    let empty = if wanted.is_plain() {
        EmptyState::new(Icon::Herd, t::empty(lang), t::empty_text(lang))
    } else {
        EmptyState::new(Icon::Search, t::nobody(lang), t::nobody_text(lang))
    };
    let table = Table::new(lang, t::count(lang, view.rows.len()), columns)
        .rows(rows)
        .filters(filters(lang, wanted, &view.groups))
        .pager(previous, next)
        .csv(wanted.href(&to!("/herd/export.csv"), wanted.sort, wanted.order, 0))
        .empty(html! { (empty.action(register.clone())) });
    html! { (table) }
}

fn filters(lang: Lang, wanted: &Wanted, groups: &[String]) -> Markup {
    let groups = std::iter::once(Choice::new("", t::any_group(lang)))
        .chain(groups.iter().map(|g| Choice::new(g, g)))
        .collect();
    let statuses = std::iter::once(Choice::new("", t::on_the_farm(lang)))
        .chain(
            AnimalStatus::ALL
                .iter()
                .map(|s| Choice::new(s.key(), words::status(lang, *s))),
        )
        .collect();
    html! {
        (Field::search("q", t::find(lang)).value(&wanted.q))
        (Select::new("status", w::status(lang), statuses).chosen(&wanted.status))
        (Select::new("group", w::group(lang), groups).chosen(&wanted.group))
        input type="hidden" name="sort" value=(sort_key(wanted.sort));
        input type="hidden" name="order" value=(if wanted.order == SortOrder::Down { "down" } else { "up" });
    }
}

fn table_row(lang: Lang, row: &HerdRow, today: Date) -> Row {
    let litres = |ml: Option<i64>| match ml {
        Some(ml) => html! { (fmt::litres_unit(lang, ml)) },
        None => html! { "–" },
    };
    let animal = &row.animal;
    Row::new(vec![
        html! { strong { (fmt::digits(lang, &animal.number)) } " " (animal_called(lang, animal)) },
        html! {
            span.cluster.tight {
                (status_badge(lang, animal.status))
                @if row.milk_held { (Badge::new(Tone::Bad, t::keep_out(lang)).icon(Icon::Stop)) }
                @if row.meat_held && !row.milk_held { (Badge::new(Tone::Warn, t::no_meat(lang))) }
            }
        },
        html! { @if animal.group.is_empty() { "–" } @else { (animal.group) } },
        litres(row.today_ml),
        litres(row.week_ml),
        html! { @match row.days_in_milk { Some(days) => (fmt::int(lang, days)), None => "–" } },
        html! { @match row.state.due { Some(due) => (fmt::day_short(lang, due, today)), None => "–" } },
    ])
    .href(to!("/herd/{}", animal.id))
}

/// The status of an animal, so that it is known at a glance.
pub(crate) fn status_badge(lang: Lang, status: AnimalStatus) -> Badge {
    let tone = match status {
        AnimalStatus::Lactating => Tone::Good,
        AnimalStatus::Dry | AnimalStatus::Heifer => Tone::Info,
        AnimalStatus::Calf | AnimalStatus::Bull | AnimalStatus::Sold | AnimalStatus::Dead => {
            Tone::Neutral
        }
    };
    let badge = Badge::new(tone, words::status(lang, status));
    match status {
        AnimalStatus::Lactating => badge.icon(Icon::Drop),
        AnimalStatus::Dry => badge.icon(Icon::Moon),
        _ => badge,
    }
}

async fn export(ctx: Ctx, Query(wanted): Query<Wanted>) -> Result<Response, Error> {
    let lang = ctx.lang;
    let view = view(&ctx, &wanted).await?;
    let mut out = csv::MARK.to_owned();
    csv::row(
        &mut out,
        [
            w::number(lang),
            w::name(lang),
            register::t::name_en(lang),
            t::tag_column(lang),
            w::breed(lang),
            t::birth(lang),
            w::group(lang),
            w::status(lang),
            t::lactation(lang),
            t::days_in_milk(lang),
            t::today(lang),
            t::week(lang),
            t::due(lang),
            t::keep_out(lang),
            t::no_meat(lang),
        ],
    );
    for HerdRow {
        animal,
        tag,
        state,
        days_in_milk,
        today_ml,
        week_ml,
        milk_held,
        meat_held,
        ..
    } in &view.rows
    {
        let of = |value: Option<String>| value.unwrap_or_default();
        let yes = |held: bool| if held { "1" } else { "0" }.to_owned();
        csv::row(
            &mut out,
            [
                animal.number.clone(),
                animal.name.clone(),
                animal.name_en.clone(),
                of(tag.clone()),
                animal.breed.clone(),
                of(animal.birth_date.map(|d| d.to_string())),
                animal.group.clone(),
                words::status(lang, animal.status).to_owned(),
                of(state.lactation.map(|n| n.to_string())),
                of(days_in_milk.map(|n| n.to_string())),
                of(today_ml.map(csv::litres)),
                of(week_ml.map(csv::litres)),
                of(state.due.map(|d| d.to_string())),
                yes(*milk_held),
                yes(*meat_held),
            ],
        );
    }
    Ok(csv::file(
        &format!("herd-{}.csv", ctx.today()),
        Body::from(out),
    ))
}
