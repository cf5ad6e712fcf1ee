//! The herd: filtered, searched, sorted, and as a table for spreadsheets; registering an animal.

use axum::{
    extract::{Form, Query, State},
    response::{IntoResponse, Response},
};
use farm::{
    StoreError,
    animals::{self, AnimalError, AnimalForm, HerdFilter, HerdRow, HerdSort, SortOrder},
    events::EventError,
    text::{Name, Note},
};
use farm_model::{AnimalStatus, Sex, Tag, staff::Role};
use jiff::civil::Date;
use maud::{Markup, html};
use serde::Deserialize;
use ui::{
    Lang,
    components::{
        Badge, Breadcrumb, Button, Choice, Column, Direction, EmptyState, Field, Row, Select,
        Table, breadcrumbs,
    },
    fmt,
    icons::Icon,
    shell::Tone,
};

use super::{Ctx, context::Done, csv::Csv};
use crate::{
    access::{Needs, Routes},
    app::Web,
    auth::Me,
    error::{Error, Reason},
    present::encode,
    words::{self, t as w},
};

pub(crate) mod t {
    ui::texts! {
        count(n) = "{n} animal" | "{n} animals" / "{n}টি গরু";
        present = "On the farm" / "খামারে আছে";
        add = "Register an animal" / "গরু যোগ করুন";
        search = "Number, name or tag" / "নম্বর, নাম বা ট্যাগ";
        today = "Today" / "আজ";
        week = "A day, 7 days" / "গড়ে দিনে";
        days_in_milk = "Days in milk" / "দুধের দিন";
        due = "Calves on" / "বাচ্চা দেবে";
        held = "On medicine" / "ওষুধ চলছে";
        nobody = "Nobody like that" / "এমন কোনো গরু নেই";
        nobody_text = "Change the search or the filters." / "খোঁজ বা ছাঁকনি বদলান।";
        sex = "Sex" / "লিঙ্গ";
        born = "Born on" / "জন্মতারিখ";
        sire = "Father" / "বাবা";
        calved = "Last calving" / "শেষ বাচ্চা";
        lactation = "Number of the lactation" / "কততম বিয়ান";
        tag_hint = "Fifteen digits, epc: and hexadecimal, or em: and a number" / "পনেরোটি অঙ্ক, অথবা epc: বা em: দিয়ে";
    }
}

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .get(Needs::Role(Role::Worker), "/herd", page)
        .get(Needs::Role(Role::Worker), "/herd/export.csv", export)
        .get(Needs::Role(Role::Manager), "/herd/new", new)
        .post(Needs::Role(Role::Manager), "/herd", register)
}

#[derive(Deserialize, Default, Clone)]
pub(crate) struct Wanted {
    #[serde(default)]
    q: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    group: String,
    #[serde(default)]
    sort: HerdSort,
    #[serde(default)]
    order: SortOrder,
}

impl Wanted {
    fn filter(&self) -> HerdFilter {
        HerdFilter {
            status: AnimalStatus::from_key(&self.status),
            group: Some(self.group.clone()).filter(|g| !g.is_empty()),
            text: self.q.clone(),
        }
    }

    /// The same list sorted by `sort`; the other way, if it is sorted so already.
    fn sorted(&self, sort: HerdSort) -> String {
        let order = if self.sort == sort && self.order == SortOrder::Up {
            "down"
        } else {
            "up"
        };
        format!("/herd?{}&sort={}&order={order}", self.query(), key(sort))
    }

    fn query(&self) -> String {
        format!(
            "q={}&status={}&group={}",
            encode(&self.q),
            encode(&self.status),
            encode(&self.group)
        )
    }

    fn direction(&self, sort: HerdSort) -> Option<Direction> {
        (self.sort == sort).then_some(match self.order {
            SortOrder::Up => Direction::Up,
            SortOrder::Down => Direction::Down,
        })
    }
}

fn key(sort: HerdSort) -> &'static str {
    match sort {
        HerdSort::Number => "number",
        HerdSort::Name => "name",
        HerdSort::Today => "today",
        HerdSort::Week => "week",
        HerdSort::DaysInMilk => "days_in_milk",
        HerdSort::Due => "due",
    }
}

async fn herd(ctx: &Ctx, wanted: &Wanted) -> Result<(Vec<HerdRow>, Vec<String>), StoreError> {
    let (filter, sort) = (wanted.filter(), (wanted.sort, wanted.order));
    let (today, now) = (ctx.today(), ctx.now);
    ctx.web
        .farm
        .read(move |conn| {
            Ok((
                animals::herd(conn, &filter, sort, today, &now)?,
                animals::groups(conn)?,
            ))
        })
        .await
}

async fn page(ctx: Ctx, Query(wanted): Query<Wanted>) -> Result<Response, Error> {
    let lang = ctx.lang;
    let (rows, groups) = herd(&ctx, &wanted).await?;
    let body = html! {
        div.page-head {
            div { h1 { (w::herd(lang)) } p #herd-count { (t::count(lang, rows.len())) } }
            @if ctx.me.role >= Role::Manager { (Button::primary(t::add(lang)).icon(Icon::Plus).href("/herd/new")) }
        }
        div #herd { (table(lang, &wanted, &rows, &groups)) }
    };
    Ok(ctx
        .page(w::herd(lang), &[])
        .wide()
        .body(body)
        .render()
        .into_response())
}

fn table(lang: Lang, wanted: &Wanted, rows: &[HerdRow], groups: &[String]) -> Table {
    let column =
        |label: &str, sort| Column::number(label).sort(wanted.sorted(sort), wanted.direction(sort));
    let columns = vec![
        Column::new(w::number(lang)).sort(
            wanted.sorted(HerdSort::Number),
            wanted.direction(HerdSort::Number),
        ),
        Column::new(w::name(lang)).sort(
            wanted.sorted(HerdSort::Name),
            wanted.direction(HerdSort::Name),
        ),
        Column::new(w::status(lang)),
        Column::new(w::group(lang)),
        column(t::today(lang), HerdSort::Today),
        column(t::week(lang), HerdSort::Week),
        column(t::days_in_milk(lang), HerdSort::DaysInMilk),
        column(t::due(lang), HerdSort::Due),
    ];
    Table::new(lang, w::herd(lang), columns)
        .filters(filters(lang, wanted, groups))
        .rows(rows.iter().map(|r| row(lang, r)).collect())
        .csv(format!("/herd/export.csv?{}", wanted.query()))
        .empty(html! { (EmptyState::new(Icon::Cow, t::nobody(lang), t::nobody_text(lang))) })
}

fn row(lang: Lang, row: &HerdRow) -> Row {
    let litres = |ml: Option<i64>| ml.map_or_else(|| "–".to_owned(), |ml| fmt::litres(lang, ml));
    let days = row
        .days_in_milk
        .map_or_else(|| "–".to_owned(), |d| fmt::int(lang, d));
    let due = row
        .state
        .due
        .map_or_else(|| "–".to_owned(), |d| fmt::day_month_short(lang, d));
    Row::new(vec![
        html! { (fmt::digits(lang, &row.animal.number)) },
        html! { (row.animal.name) @if row.milk_held { " " (Badge::new(Tone::Bad, t::held(lang))) } },
        html! { (words::status(lang, row.animal.status)) },
        html! { (row.animal.group) },
        html! { (litres(row.today_ml)) },
        html! { (litres(row.week_ml)) },
        html! { (days) },
        html! { (due) },
    ])
    .href(format!("/herd/{}", row.animal.id))
}

fn filters(lang: Lang, wanted: &Wanted, groups: &[String]) -> Markup {
    let statuses = std::iter::once(Choice::new("", t::present(lang)))
        .chain(
            AnimalStatus::ALL
                .iter()
                .map(|s| Choice::new(s.key(), words::status(lang, *s))),
        )
        .collect();
    let all = std::iter::once(Choice::new("", w::all(lang)))
        .chain(groups.iter().map(|g| Choice::new(g, g)))
        .collect();
    html! {
        (Field::search("q", t::search(lang)).value(&wanted.q))
        (Select::new("status", w::status(lang), statuses).chosen(&wanted.status))
        (Select::new("group", w::group(lang), all).chosen(&wanted.group))
        input type="hidden" name="sort" value=(key(wanted.sort));
        input type="hidden" name="order" value=(match wanted.order { SortOrder::Up => "up", SortOrder::Down => "down" });
    }
}

async fn export(ctx: Ctx, Query(wanted): Query<Wanted>) -> Result<Response, Error> {
    let (rows, _) = herd(&ctx, &wanted).await?;
    let mut csv = Csv::new(&[
        "number",
        "name",
        "tag",
        "sex",
        "breed",
        "birth_date",
        "status",
        "group",
        "calved_on",
        "lactation",
        "days_in_milk",
        "today_l",
        "week_l",
        "milk_withheld",
    ]);
    for row in rows {
        let text = |v: Option<String>| v.unwrap_or_default();
        let litres =
            |ml: Option<i64>| text(ml.map(|ml| fmt::decimal(Lang::En, ml, 3, 3).replace(',', "")));
        let animal = &row.animal;
        csv.row([
            animal.number.as_str(),
            &animal.name,
            row.tag.as_deref().unwrap_or(""),
            animal.sex.key(),
            &animal.breed,
            &text(animal.birth_date.map(|d| d.to_string())),
            animal.status.key(),
            &animal.group,
            &text(row.state.calved.map(|d| d.to_string())),
            &text(row.state.lactation.map(|n| n.to_string())),
            &text(row.days_in_milk.map(|d| d.to_string())),
            &litres(row.today_ml),
            &litres(row.week_ml),
            if row.milk_held { "yes" } else { "no" },
        ]);
    }
    Ok(csv.answer("herd.csv"))
}

/// An animal's form as it was typed.
#[derive(Deserialize, Default)]
pub(crate) struct Typed {
    pub(crate) number: String,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) sex: String,
    #[serde(default)]
    pub(crate) breed: String,
    #[serde(default)]
    pub(crate) birth_date: String,
    #[serde(default)]
    pub(crate) group: String,
    #[serde(default)]
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) sire: String,
    #[serde(default)]
    pub(crate) note: String,
    #[serde(default)]
    tag: String,
    #[serde(default)]
    calved_on: String,
    #[serde(default)]
    lactation: String,
}

impl Typed {
    /// What was typed, as the farm takes it.
    pub(crate) fn form(&self) -> Result<AnimalForm, Error> {
        let name = |field: &str, text: &str| {
            Name::optional(text).map_err(|e| Error::invalid(format!("{field}: {e}")))
        };
        let number = Name::new(&self.number).map_err(|e| Error::invalid(format!("number: {e}")))?;
        let status = AnimalStatus::from_key(&self.status)
            .ok_or_else(|| Error::invalid("status: unknown"))?;
        Ok(AnimalForm {
            name: name("name", &self.name)?,
            sex: Sex::from_key(&self.sex).ok_or_else(|| Error::invalid("sex: unknown"))?,
            breed: name("breed", &self.breed)?,
            birth_date: date("birth_date", &self.birth_date)?,
            group: name("group", &self.group)?,
            sire: name("sire", &self.sire)?,
            note: Note::optional(&self.note).map_err(|e| Error::invalid(format!("note: {e}")))?,
            ..AnimalForm::new(number, status)
        })
    }
}

/// A date that may be left empty.
pub(crate) fn date(field: &str, typed: &str) -> Result<Option<Date>, Error> {
    match typed.trim() {
        "" => Ok(None),
        text => text
            .parse()
            .map(Some)
            .map_err(|_| Error::invalid(format!("{field}: a date such as 2026-11-20"))),
    }
}

/// The fields that registering and editing share.
pub(crate) fn fields(lang: Lang, typed: &Typed, groups: &[String]) -> Markup {
    let sexes = Sex::ALL
        .iter()
        .map(|s| Choice::new(s.key(), words::sex(lang, *s)))
        .collect();
    let statuses = AnimalStatus::ALL
        .iter()
        .map(|s| Choice::new(s.key(), words::status(lang, *s)))
        .collect();
    html! {
        (Field::text("number", w::number(lang)).value(&typed.number).required())
        (Field::text("name", w::name(lang)).value(&typed.name))
        (Select::new("sex", t::sex(lang), sexes).chosen(&typed.sex))
        (Select::new("status", w::status(lang), statuses).chosen(&typed.status))
        (Field::text("group", w::group(lang)).value(&typed.group).hint(groups.join(" · ")))
        (Field::text("breed", w::breed(lang)).value(&typed.breed))
        (Field::date("birth_date", t::born(lang)).value(&typed.birth_date))
        (Field::text("sire", t::sire(lang)).value(&typed.sire))
        (Field::area("note", w::note(lang)).value(&typed.note))
    }
}

#[derive(Deserialize)]
pub(crate) struct Prefilled {
    #[serde(default)]
    tag: String,
}

async fn new(ctx: Ctx, Query(given): Query<Prefilled>) -> Result<Response, Error> {
    let lang = ctx.lang;
    let groups = ctx.web.farm.read(animals::groups).await?;
    let typed = Typed {
        sex: Sex::Female.key().to_owned(),
        status: AnimalStatus::Lactating.key().to_owned(),
        ..Typed::default()
    };
    let body = html! {
        (breadcrumbs(lang, &[Breadcrumb { label: w::herd(lang).into(), href: "/herd".into() }]))
        h1 { (t::add(lang)) }
        form.form method="post" action="/herd" {
            (fields(lang, &typed, &groups))
            (Field::text("tag", w::tag(lang)).hint(t::tag_hint(lang)).value(given.tag))
            (Field::date("calved_on", t::calved(lang)))
            (Field::integer("lactation", t::lactation(lang)))
            div.actions { (Button::primary(ui::t::save(lang)).icon(Icon::Check)) }
        }
    };
    Ok(ctx
        .page(t::add(lang), &[])
        .body(body)
        .render()
        .into_response())
}

async fn register(
    State(web): State<Web>,
    me: Me,
    Form(typed): Form<Typed>,
) -> Result<Response, Error> {
    let form = typed.form()?;
    let tag = tag(&typed.tag)?;
    let calved = date("calved_on", &typed.calved_on)?;
    let lactation = match fmt::parse_decimal(&typed.lactation, 0) {
        Ok(n) => u8::try_from(n).map_err(|_| Error::invalid("lactation: 1 to 20"))?,
        Err(_) => 1,
    };
    let calved = calved.map(|date| (date, lactation));
    let id = web
        .farm
        .write(me.actor(), move |tx| {
            animals::register(tx, &form, tag.as_ref(), calved)
        })
        .await?;
    Ok(Done::Saved.then(&format!("/herd/{id}")))
}

/// A tag that may be left empty.
pub(crate) fn tag(typed: &str) -> Result<Option<Tag>, Error> {
    match fmt::ascii_digits(typed.trim()).as_str() {
        "" => Ok(None),
        text => text
            .parse()
            .map(Some)
            .map_err(|e| Error::invalid(format!("tag: {e}"))),
    }
}

impl From<EventError> for Error {
    fn from(error: EventError) -> Self {
        let reason = match error {
            EventError::Store(error) => return error.into(),
            EventError::UnknownAnimal | EventError::UnknownEvent => Reason::NotFound,
            EventError::Future | EventError::LongHold | EventError::Weight | EventError::Empty => {
                Reason::Invalid
            }
        };
        Self::from(reason).detail(error.to_string())
    }
}

impl From<AnimalError> for Error {
    fn from(error: AnimalError) -> Self {
        match error {
            AnimalError::Store(error) => error.into(),
            AnimalError::Unknown => Reason::NotFound.into(),
            AnimalError::NumberTaken(..) | AnimalError::TagTaken(..) | AnimalError::Same => {
                Self::from(Reason::Conflict).detail(error.to_string())
            }
            AnimalError::Event(error) => (*error).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn texts_are_right_in_both_languages() {
        assert_eq!(ui::i18n::faults(super::t::ALL), Vec::<String>::new());
    }
}
