//! The milk records: found by day, session and cow, page by page; one record with all that was said of it; correcting it,
//! striking it out and bringing it back.

mod export;
mod record;

use axum::{
    extract::Query,
    response::{IntoResponse, Response},
};
use farm::{
    animals::{self, Animal},
    milkings::{self, Page, Record, VisitFilter, VisitRow, VisitSort, Voided},
    plan::{self, Plan},
};
use farm_model::{AnimalId, Destination, milking::Finding, staff::Role};
use maud::{Markup, html};
use rusqlite::Connection;
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

use super::{Ctx, names::called, parlour::session_name};
use crate::{
    access::{Needs, Routes},
    address::to,
    error::Error,
    present::encode,
    words::{self, t as w},
};

pub(crate) mod t {
    ui::texts! {
        text = "Open a record to correct it." / "সংশোধন করতে লেখাটি খুলুন।";
        when = "When" / "কখন";
        from = "From" / "এই দিন থেকে";
        to = "To" / "এই দিন পর্যন্ত";
        cow = "Cow" / "গরু";
        cow_hint = "Number or tag" / "নম্বর বা ট্যাগ";
        every_session = "Every session" / "সব বেলা";
        stall = "Stall" / "স্টল";
        remarks = "Remarks" / "মন্তব্য";
        struck = "Struck out" / "কাটা লেখা";
        struck_hide = "Hide" / "দেখাবে না";
        struck_show = "Show too" / "সেগুলোও দেখাবে";
        voided = "Struck out" / "কেটে দেওয়া";
        no_cow = "Cow not known" / "কোন গরু জানা নেই";
        none = "No milk fits" / "এমন কোনো দুধের লেখা নেই";
        none_text = "Choose other days, another session or another cow." / "অন্য দিন, বেলা বা গরু বেছে দেখুন।";
        unknown_cow = "No cow is called that. Check the number." / "এই নামে বা নম্বরে কোনো গরু নেই। মিলিয়ে দেখুন।";
    }
}

/// Records on a page.
const PAGE: usize = 50;

pub(crate) fn routes(routes: Routes) -> Routes {
    let worker = Needs::Role(Role::Worker);
    let routes =
        routes
            .get(worker, "/milkings", page)
            .get(worker, "/milkings/export.csv", export::export);
    record::routes(routes)
}

/// Which records, in which order, from where on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    from: String,
    to: String,
    session: String,
    cow: String,
    animal: Option<AnimalId>,
    struck: String,
    sort: VisitSort,
    /// The cursors of the pages before this one, this one's last, with dashes between.
    after: String,
}

impl Wanted {
    /// The filter, and whether the cow that was named is unknown.
    fn filter(&self, animal: Option<&Animal>) -> VisitFilter {
        let day = |text: &str| fmt::ascii_digits(text).parse().ok();
        VisitFilter {
            from: day(&self.from),
            to: day(&self.to),
            session: self.session.parse().ok(),
            animal: animal.map(|a| a.id),
            voided: (self.struck == "show").then_some(Voided),
            ..VisitFilter::default()
        }
    }

    /// The cow that is meant: the one of the address if its number still stands in the field, else who is called so.
    fn animal(&self, conn: &Connection) -> Result<Option<Animal>, farm::StoreError> {
        if let Some(id) = self.animal
            && let Some(animal) = animals::get(conn, id)?
            && (self.cow.trim().is_empty()
                || farm::text::fold(&self.cow) == farm::text::fold(&animal.number))
        {
            return Ok(Some(animal));
        }
        match self.cow.trim() {
            "" => Ok(None),
            text => animals::by_text(conn, text),
        }
    }

    fn href(&self, path: &str, animal: Option<&Animal>, sort: VisitSort, after: &str) -> String {
        let mut href = format!(
            "{path}?from={}&to={}&session={}&cow={}&struck={}&sort={}",
            encode(&self.from),
            encode(&self.to),
            encode(&self.session),
            encode(&self.cow),
            encode(&self.struck),
            sort_key(sort),
        );
        if let Some(animal) = animal {
            href.push_str(&format!("&animal={}", animal.id));
        }
        if !after.is_empty() {
            href.push_str("&after=");
            href.push_str(after);
        }
        href
    }
}

fn sort_key(sort: VisitSort) -> &'static str {
    match sort {
        VisitSort::Newest => "newest",
        VisitSort::Oldest => "oldest",
        VisitSort::Most => "most",
        VisitSort::Least => "least",
    }
}

struct View {
    page: Page,
    animal: Option<Animal>,
    plan: Plan,
}

async fn page(ctx: Ctx, Query(wanted): Query<Wanted>) -> Result<Response, Error> {
    let lang = ctx.lang;
    let view = {
        let wanted = wanted.clone();
        ctx.web
            .farm
            .read(move |conn| {
                let animal = wanted.animal(conn)?;
                let page = if animal.is_none() && !wanted.cow.trim().is_empty() {
                    Page {
                        records: Vec::new(),
                        next: None,
                    }
                } else {
                    let after = wanted.after.rsplit('-').next().and_then(|c| c.parse().ok());
                    milkings::list(
                        conn,
                        &wanted.filter(animal.as_ref()),
                        wanted.sort,
                        after,
                        PAGE,
                    )?
                };
                Ok::<_, farm::StoreError>(View {
                    page,
                    animal,
                    plan: plan::load(conn)?,
                })
            })
            .await?
    };
    let record = html! {
        @if ctx.me.may(Role::Worker) {
            (Button::primary(w::record_milk(lang)).icon(Icon::Bucket).href(to!("/record")))
        }
    };
    let body = html! {
        (page_head(w::milkings(lang), "", &record))
        (table(&ctx, &wanted, &view))
    };
    Ok(ctx
        .page(w::milkings(lang), &[])
        .wide()
        .body(body)
        .render()
        .into_response())
}

fn table(ctx: &Ctx, wanted: &Wanted, view: &View) -> Markup {
    let lang = ctx.lang;
    let animal = view.animal.as_ref();
    let href = |sort, after: &str| wanted.href(&to!("/milkings"), animal, sort, after);
    let sortable = |column: Column, down, up| {
        let now = match wanted.sort {
            sort if sort == down => Some(Direction::Down),
            sort if sort == up => Some(Direction::Up),
            _ => None,
        };
        let next = if wanted.sort == down { up } else { down };
        column.sort(href(next, ""), now)
    };
    let columns = vec![
        sortable(
            Column::new(t::when(lang)),
            VisitSort::Newest,
            VisitSort::Oldest,
        ),
        Column::new(w::animal(lang)),
        Column::new(w::session(lang)),
        Column::number(t::stall(lang)),
        sortable(
            Column::number(w::milk(lang)),
            VisitSort::Most,
            VisitSort::Least,
        ),
        Column::new(t::remarks(lang)),
    ];
    let rows = view
        .page
        .records
        .iter()
        .map(|record| row(ctx, record, &view.plan))
        .collect();
    let previous = (!wanted.after.is_empty()).then(|| {
        let before = wanted
            .after
            .rsplit_once('-')
            .map_or("", |(before, _)| before);
        href(wanted.sort, before)
    });
    let next = view.page.next.map(|cursor| {
        let after = match wanted.after.as_str() {
            "" => cursor.to_string(),
            before => format!("{before}-{cursor}"),
        };
        href(wanted.sort, &after)
    });
    let unknown = animal.is_none() && !wanted.cow.trim().is_empty();
    let hint = if unknown {
        t::unknown_cow(lang)
    } else {
        t::none_text(lang)
    };
    let table = Table::new(lang, t::text(lang), columns)
        .rows(rows)
        .filters(filters(lang, wanted, view))
        .pager(previous, next)
        .csv(wanted.href(&to!("/milkings/export.csv"), animal, VisitSort::Oldest, ""))
        .empty(html! { (EmptyState::new(Icon::Drop, t::none(lang), hint)) });
    html! { (table) }
}

fn filters(lang: Lang, wanted: &Wanted, view: &View) -> Markup {
    let sessions = std::iter::once(Choice::new("", t::every_session(lang)))
        .chain(
            view.plan
                .sessions
                .iter()
                .map(|s| Choice::new(s.number.to_string(), &s.name)),
        )
        .collect();
    let struck = vec![
        Choice::new("", t::struck_hide(lang)),
        Choice::new("show", t::struck_show(lang)),
    ];
    let cow = match &view.animal {
        Some(animal) if wanted.cow.trim().is_empty() => fmt::digits(lang, &animal.number),
        _ => wanted.cow.clone(),
    };
    html! {
        (Field::date("from", t::from(lang)).value(&wanted.from))
        (Field::date("to", t::to(lang)).value(&wanted.to))
        (Select::new("session", w::session(lang), sessions).chosen(&wanted.session))
        (Field::search("cow", t::cow(lang)).placeholder(t::cow_hint(lang)).value(cow))
        (Select::new("struck", t::struck(lang), struck).chosen(&wanted.struck))
        @if let Some(animal) = &view.animal { input type="hidden" name="animal" value=(animal.id); }
        input type="hidden" name="sort" value=(sort_key(wanted.sort));
    }
}

fn row(ctx: &Ctx, record: &Record, plan: &Plan) -> Row {
    let lang = ctx.lang;
    let visit = &record.visit;
    let litres = fmt::litres_unit(lang, visit.yield_ml);
    Row::new(vec![
        html! { (fmt::date_time(lang, ctx.local(visit.start).datetime(), ctx.today())) },
        html! {
            @match visit.animal {
                Some(id) => a href=(to!("/herd/{id}")) { (fmt::digits(lang, &record.animal_number)) " " (called(lang, &record.animal_name, &record.animal_name_en)) },
                None => span.hint { (t::no_cow(lang)) },
            }
        },
        html! { (session_name(lang, visit.session, plan)) },
        html! { @match visit.stall { Some(stall) => (fmt::int(lang, stall.0.into())), None => "–" } },
        html! { strong { @if visit.voided { s { (litres) } } @else { (litres) } } },
        marks(lang, visit),
    ])
    .href(to!("/milkings/{}", visit.id))
}

/// What to know of a record at a glance: whether it stands, where the milk went, what was found.
pub(crate) fn marks(lang: Lang, visit: &VisitRow) -> Markup {
    let tone = match visit.destination {
        Destination::Tank => None,
        Destination::Withheld => Some(Tone::Bad),
        Destination::Discarded => Some(Tone::Warn),
    };
    // That it was kept out already says that she was held.
    let findings = visit.findings.iter().filter(|f| **f != Finding::Withdrawal);
    if !visit.voided && tone.is_none() && findings.clone().next().is_none() {
        return html! {};
    }
    html! {
        span.cluster.tight {
            @if visit.voided { (Badge::new(Tone::Neutral, t::voided(lang)).icon(Icon::Cross)) }
            @if let Some(tone) = tone { (Badge::new(tone, words::destination(lang, visit.destination))) }
            @for finding in findings { (Badge::new(Tone::Warn, words::finding(lang, *finding))) }
        }
    }
}
