//! A tank's name, size, limits and the table that turns a sensor's distance into a level.

use axum::{extract::Path, response::Response};
use farm::{
    places::{self, PlaceError, PlaceForm},
    text::{Name, Slug},
};
use farm_model::{Milli, Place, PlaceId, PlaceKind, place::PlaceDetails, staff::Role};
use maud::{Markup, html};
use ui::{
    Lang,
    components::{Breadcrumb, Button, Field, breadcrumbs},
    fmt,
    icons::Icon,
};

use crate::{
    access::{Needs, Routes},
    address::to,
    error::{Error, Reason},
    pages::{
        Ctx,
        context::Done,
        typed::{self, Typed},
    },
    words::t as w,
};

pub(crate) mod t {
    ui::texts! {
        title(name) = "{name}: size and limits" / "{name}: আকার ও সীমা";
        short = "Short name" / "ছোট নাম";
        short_hint = "In small English letters, as devices call it: east-tank" / "ছোট হাতের ইংরেজিতে, যন্ত্র যে নামে ডাকে: east-tank";
        short_taken = "Another tank has this short name. Choose another." / "এই ছোট নাম আরেকটি ট্যাংকের। অন্য নাম দিন।";
        capacity = "How much fits in?" / "কত দুধ ধরে?";
        highest = "Sound the alarm above" / "এর চেয়ে গরম হলে সতর্ক করুন";
        highest_hint = "Milk keeps at 4 °C and below" / "৪ °সে বা তার নিচে দুধ ভালো থাকে";
        lowest = "Sound the alarm below" / "এর চেয়ে ঠান্ডা হলে সতর্ক করুন";
        lowest_hint = "Milk freezes at about −0.5 °C" / "প্রায় −০.৫ °সে-তে দুধ জমে যায়";
        minutes = "Only after this long" / "কতক্ষণ পরে জানাবে";
        minutes_hint = "Fresh milk warms the tank for a while; 20 minutes is usual" / "নতুন দুধে কিছুক্ষণ গরম থাকে; সাধারণত ২০ মিনিট";
        table = "Level by distance" / "দূরত্ব থেকে কতটা ভরা";
        table_hint = "Only for an ultrasonic sensor. On each line the distance to the milk in mm and the level in percent, such as: 1200 0" / "শুধু আল্ট্রাসনিক সেন্সরের জন্য। প্রতি লাইনে দুধ পর্যন্ত দূরত্ব (মিমি) ও কতটা ভরা (%), যেমন: ১২০০ ০";
        bad_line(n) = "Line {n}: write two numbers, such as 1200 0." / "{n} নম্বর লাইন: দুটি সংখ্যা লিখুন, যেমন ১২০০ ০।";
        crossed = "The lower limit must be below the upper one." / "নিচের সীমা উপরের সীমার চেয়ে কম হতে হবে।";
        no_capacity = "Between 1 and 1,000,000 litres." / "১ থেকে ১০ লাখ লিটারের মধ্যে।";
        no_temperature = "Between −40 and 110 °C." / "−৪০ থেকে ১১০ °সে-এর মধ্যে।";
        no_minutes = "Between 0 and 1,440 minutes." / "০ থেকে ১৪৪০ মিনিটের মধ্যে।";
    }
}

pub(super) fn routes(routes: Routes) -> Routes {
    let manager = Needs::Role(Role::Manager);
    routes
        .get_form(manager, "/tanks/new", new)
        .post(manager, "/tanks/new", add)
        .get_form(manager, "/tanks/{id}/edit", page)
        .post(manager, "/tanks/{id}/edit", save)
}

async fn new(ctx: Ctx) -> Response {
    let lang = ctx.lang;
    let typed = Typed::filled([
        ("highest", fmt::int(lang, 4)),
        ("lowest", fmt::int(lang, 1)),
        ("minutes", fmt::int(lang, 20)),
    ]);
    draw(&ctx, None, &typed)
}

async fn place_of(ctx: &Ctx, id: PlaceId) -> Result<Place, Error> {
    let place = ctx.web.farm.read(move |conn| places::get(conn, id)).await?;
    place
        .filter(|p| p.kind == PlaceKind::Tank)
        .ok_or_else(|| Reason::NotFound.into())
}

async fn page(ctx: Ctx, Path(id): Path<PlaceId>) -> Result<Response, Error> {
    let lang = ctx.lang;
    let place = place_of(&ctx, id).await?;
    let details = &place.details;
    let degrees = |value: Option<Milli>| {
        value
            .map(|v| fmt::digits(lang, &v.to_string()))
            .unwrap_or_default()
    };
    let count = |n: Option<i64>| {
        n.map(|n| fmt::digits(lang, &n.to_string()))
            .unwrap_or_default()
    };
    let line = |(mm, level): &(i64, Milli)| fmt::digits(lang, &format!("{mm} {level}"));
    let table: Vec<String> = details.distance_to_level.iter().map(line).collect();
    let typed = Typed::filled([
        ("name", place.name.clone()),
        ("slug", place.slug.clone()),
        ("capacity", count(details.capacity_l)),
        ("highest", degrees(details.max_temperature)),
        ("lowest", degrees(details.min_temperature)),
        ("minutes", count(details.alarm_after_min.map(i64::from))),
        ("table", table.join("\n")),
    ]);
    Ok(draw(&ctx, Some(&place), &typed))
}

fn draw(ctx: &Ctx, place: Option<&Place>, typed: &Typed) -> Response {
    let lang = ctx.lang;
    let (title, action, back) = match place {
        Some(p) => (
            t::title(lang, &p.name),
            to!("/tanks/{}/edit", p.id),
            to!("/tanks/{}", p.id),
        ),
        None => (
            super::t::add(lang).to_owned(),
            to!("/tanks/new"),
            to!("/tanks"),
        ),
    };
    let label = place.map_or_else(|| w::tanks(lang).to_owned(), |p| p.name.clone());
    let body = html! {
        (breadcrumbs(lang, &[Breadcrumb { label, href: back.clone() }]))
        h1 { (title) }
        form.form method="post" action=(action) {
            (typed.faults(lang))
            (fields(lang, typed))
            div.actions {
                (Button::primary(ui::t::save(lang)).icon(Icon::Check))
                (Button::quiet(ui::t::cancel(lang)).href(back.as_str()))
            }
        }
    };
    typed.answer(ctx.page(&title, &[]).body(body).render())
}

fn fields(lang: Lang, typed: &Typed) -> Markup {
    let of = |name: &str, field: Field| typed.field(name, field);
    let celsius = w::unit_celsius(lang);
    html! {
        (of("name", Field::text("name", w::name(lang)).required()))
        (of("slug", Field::text("slug", t::short(lang)).hint(t::short_hint(lang)).required()))
        (of("capacity", Field::integer("capacity", t::capacity(lang)).unit(w::litres(lang))))
        (of("highest", Field::decimal("highest", t::highest(lang)).hint(t::highest_hint(lang)).unit(celsius)))
        (of("lowest", Field::decimal("lowest", t::lowest(lang)).hint(t::lowest_hint(lang)).unit(celsius)))
        (of("minutes", Field::integer("minutes", t::minutes(lang)).hint(t::minutes_hint(lang)).unit(w::unit_minute(lang))))
        (of("table", Field::area("table", t::table(lang)).hint(t::table_hint(lang))))
    }
}

fn read(lang: Lang, typed: &mut Typed) -> Option<PlaceForm> {
    let name: Option<Name> = typed.needed(lang, "name");
    let slug = match Slug::new(typed.text("slug")) {
        Ok(slug) => Some(slug),
        Err(error) => {
            typed.wrong("slug", typed::text_error(lang, error));
            None
        }
    };
    let details = read_details(lang, typed);
    Some(PlaceForm {
        kind: PlaceKind::Tank,
        slug: slug?,
        name: name?,
        details,
    })
}

fn read_details(lang: Lang, typed: &mut Typed) -> PlaceDetails {
    let capacity_l = typed.number(lang, "capacity", 0);
    if capacity_l.is_some_and(|l| !(1..=1_000_000).contains(&l)) {
        typed.wrong("capacity", t::no_capacity(lang));
    }
    let max_temperature = degrees(lang, typed, "highest");
    let min_temperature = degrees(lang, typed, "lowest");
    if min_temperature
        .zip(max_temperature)
        .is_some_and(|(low, high)| low >= high)
    {
        typed.wrong("lowest", t::crossed(lang));
    }
    let minutes = typed.number(lang, "minutes", 0);
    if minutes.is_some_and(|m| !(0..=1_440).contains(&m)) {
        typed.wrong("minutes", t::no_minutes(lang));
    }
    PlaceDetails {
        capacity_l,
        max_temperature,
        min_temperature,
        alarm_after_min: minutes.and_then(|m| u32::try_from(m).ok()),
        distance_to_level: read_table(lang, typed),
        ..PlaceDetails::default()
    }
}

fn degrees(lang: Lang, typed: &mut Typed, name: &'static str) -> Option<Milli> {
    let milli = typed.number(lang, name, 3).map(Milli);
    if milli.is_some_and(|m| !farm_model::Quantity::Temperature.allows(m)) {
        typed.wrong(name, t::no_temperature(lang));
    }
    milli
}

/// Lines of a distance in millimetres and a level in percent.
fn read_table(lang: Lang, typed: &mut Typed) -> Vec<(i64, Milli)> {
    let mut table = Vec::new();
    let text = typed.text("table").to_owned();
    for (i, line) in text
        .lines()
        .enumerate()
        .filter(|(_, l)| !l.trim().is_empty())
    {
        let pair = line
            .trim()
            .split_once(|c: char| c.is_whitespace() || c == ';' || c == '=');
        let entry = pair.and_then(|(mm, level)| {
            let mm = fmt::parse_decimal(mm, 0)
                .ok()
                .filter(|mm| (0..=10_000).contains(mm))?;
            let level = fmt::parse_decimal(level.trim(), 3)
                .ok()
                .filter(|l| (0..=100_000).contains(l))?;
            Some((mm, Milli(level)))
        });
        match entry {
            Some(entry) => table.push(entry),
            None => typed.wrong("table", t::bad_line(lang, i + 1)),
        }
    }
    table
}

async fn add(ctx: Ctx, mut typed: Typed) -> Result<Response, Error> {
    let form = read(ctx.lang, &mut typed);
    let (Some(form), true) = (form, typed.is_right()) else {
        return Ok(draw(&ctx, None, &typed));
    };
    let added = ctx
        .web
        .farm
        .write(ctx.me.actor(), move |tx| places::add(tx, &form))
        .await;
    match added {
        Ok(id) => Ok(Done::Saved.then(to!("/tanks/{id}"))),
        Err(PlaceError::SlugTaken(_)) => {
            typed.wrong("slug", t::short_taken(ctx.lang));
            Ok(draw(&ctx, None, &typed))
        }
        Err(error) => Err(error.into()),
    }
}

async fn save(ctx: Ctx, Path(id): Path<PlaceId>, mut typed: Typed) -> Result<Response, Error> {
    let place = place_of(&ctx, id).await?;
    let form = read(ctx.lang, &mut typed);
    let (Some(mut form), true) = (form, typed.is_right()) else {
        return Ok(draw(&ctx, Some(&place), &typed));
    };
    // What this form does not show stays.
    form.details.max_methane = place.details.max_methane;
    let saved = ctx
        .web
        .farm
        .write(ctx.me.actor(), move |tx| places::edit(tx, id, &form))
        .await;
    match saved {
        Ok(()) => Ok(Done::Saved.then(to!("/tanks/{id}"))),
        Err(PlaceError::SlugTaken(_)) => {
            typed.wrong("slug", t::short_taken(ctx.lang));
            Ok(draw(&ctx, Some(&place), &typed))
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_in_both_languages_digits() {
        let mut typed = Typed::filled([("table", "১২০০ ০\n\n100; 99.5\r\n".to_owned())]);
        assert_eq!(
            read_table(Lang::Bn, &mut typed),
            [(1200, Milli(0)), (100, Milli(99_500))]
        );
        assert!(typed.is_right());
        let mut typed = Typed::filled([("table", "1200 0\nfull 100".to_owned())]);
        read_table(Lang::En, &mut typed);
        assert!(!typed.is_right());
    }
}
