//! Registering an animal, and the form that editing her uses too.

use axum::{extract::Query, response::Response};
use farm::{
    animals::{self, AnimalError, AnimalForm},
    text::Name,
};
use farm_model::{AnimalStatus, Sex, Tag, staff::Role, tag::TagError};
use jiff::civil::Date;
use maud::{Markup, html};
use serde::Deserialize;
use ui::{
    Lang,
    components::{Breadcrumb, Button, Choice, Field, Select, breadcrumbs},
    fmt,
    icons::Icon,
};

use crate::{
    access::{Needs, Routes},
    address::to,
    error::{Error, Reason},
    pages::{Ctx, context::Done, typed::Typed},
    words::{self, t as w},
};

pub(crate) mod t {
    ui::texts! {
        number_hint = "On the ear or the collar; one per animal" / "কানে বা গলায় যে নম্বর; একেক পশুর একেকটি";
        name_en = "Name in English letters" / "ইংরেজি হরফে নাম";
        name_en_hint = "Shown to those who read the screens in English" / "যাঁরা ইংরেজিতে দেখেন, তাঁরা এই নাম দেখবেন";
        tag_hint = "15 digits, or hold the reader to her ear and type what it shows" / "১৫ অঙ্ক; রিডার কানে ধরে যা দেখায় তা লিখুন";
        calved = "Last calved on" / "শেষ বাচ্চা দিয়েছে";
        lactation = "How many times has she calved?" / "মোট কতবার বাচ্চা দিয়েছে?";
        sex = "Sex" / "লিঙ্গ";
        sire = "Father" / "বাবা";
        dam = "Mother's number" / "মায়ের নম্বর";
        number_taken = "Another animal has this number. Choose another, or open that animal." / "এই নম্বর আরেকটি পশুর। অন্য নম্বর দিন, অথবা সেই পশুর পাতা দেখুন।";
        tag_taken = "Another animal wears this tag. Check the digits, or take it off there first." / "এই ট্যাগ আরেকটি পশুর কানে। অঙ্ক মিলিয়ে দেখুন, বা আগে সেখান থেকে খুলুন।";
        tag_short = "A tag has 15 digits. Count them again." / "ট্যাগে ১৫টি অঙ্ক থাকে। আবার গুনে দেখুন।";
        tag_impossible = "No tag has this number. Read it again." / "এমন নম্বরের ট্যাগ হয় না। আবার পড়ুন।";
        no_dam = "No animal has this number." / "এই নম্বরে কোনো পশু নেই।";
        no_future = "This day has not come yet." / "এই দিন এখনো আসেনি।";
        no_count = "Between 1 and 20." / "১ থেকে ২০-এর মধ্যে।";
        both = "Write the day and the count together." / "তারিখ ও কতবার, দুটোই লিখুন।";
    }
}

pub(super) fn routes(routes: Routes) -> Routes {
    let manager = Needs::Role(Role::Manager);
    routes
        .get_form(manager, "/herd/new", page)
        .post(manager, "/herd/new", register)
}

#[derive(Deserialize)]
pub(crate) struct Known {
    /// A tag that was read and belongs to nobody yet.
    #[serde(default)]
    tag: String,
}

async fn page(ctx: Ctx, Query(known): Query<Known>) -> Result<Response, Error> {
    let typed = Typed::filled([
        ("tag", known.tag),
        ("status", AnimalStatus::Lactating.key().to_owned()),
        ("sex", Sex::Female.key().to_owned()),
    ]);
    draw(&ctx, &typed).await
}

async fn draw(ctx: &Ctx, typed: &Typed) -> Result<Response, Error> {
    let lang = ctx.lang;
    let groups = ctx.web.farm.read(animals::groups).await?;
    let title = super::t::register(lang);
    let body = html! {
        (breadcrumbs(lang, &[Breadcrumb { label: w::herd(lang).into(), href: to!("/herd") }]))
        h1 { (title) }
        form.form method="post" action=(to!("/herd/new")) {
            (typed.faults(lang))
            (form(lang, typed, &groups))
            (typed.field("tag", Field::text("tag", w::tag(lang)).hint(t::tag_hint(lang))))
            (typed.field("calved", Field::date("calved", t::calved(lang))))
            (typed.field("lactation", Field::integer("lactation", t::lactation(lang))))
            div.actions { (Button::primary(ui::t::save(lang)).icon(Icon::Check)) }
        }
    };
    Ok(typed.answer(ctx.page(title, &[]).body(body).render()))
}

/// The fields of the register.
pub(crate) fn form(lang: Lang, typed: &Typed, groups: &[String]) -> Markup {
    let statuses = AnimalStatus::ALL
        .iter()
        .map(|s| Choice::new(s.key(), words::status(lang, *s)))
        .collect();
    let sexes = [Sex::Female, Sex::Male]
        .map(|s| Choice::new(s.key(), words::sex(lang, s)))
        .to_vec();
    html! {
        (typed.field("number", Field::text("number", w::number(lang)).hint(t::number_hint(lang)).required()))
        (typed.field("name", Field::text("name", w::name(lang))))
        (typed.field("name_en", Field::text("name_en", t::name_en(lang)).hint(t::name_en_hint(lang))))
        (typed.select("status", Select::new("status", w::status(lang), statuses)))
        (typed.select("sex", Select::new("sex", t::sex(lang), sexes)))
        (typed.field("group", Field::text("group", w::group(lang)).placeholder(groups.join(", "))))
        (typed.field("breed", Field::text("breed", w::breed(lang))))
        (typed.field("born", Field::date("born", super::t::birth(lang))))
        (typed.field("dam", Field::text("dam", t::dam(lang))))
        (typed.field("sire", Field::text("sire", t::sire(lang))))
        (typed.field("note", Field::area("note", w::note(lang))))
    }
}

/// What the fields say, but for the mother, who is looked up in the register.
pub(crate) fn read(lang: Lang, typed: &mut Typed, today: Date) -> Option<AnimalForm> {
    let number: Option<Name> = typed.needed(lang, "number");
    // One script for numbers, so that a tag, a search and a reader all mean the same animal.
    let number = number.and_then(|n| Name::new(&fmt::ascii_digits(n.as_str())).ok());
    let status = typed.choice(lang, "status", AnimalStatus::from_key);
    let sex = typed.choice(lang, "sex", Sex::from_key);
    let birth_date = typed.date(lang, "born");
    if birth_date.is_some_and(|d| d > today) {
        typed.wrong("born", t::no_future(lang));
    }
    Some(AnimalForm {
        name: typed.line(lang, "name"),
        name_en: typed.line(lang, "name_en"),
        breed: typed.line(lang, "breed"),
        group: typed.line(lang, "group"),
        sire: typed.line(lang, "sire"),
        note: typed.line(lang, "note"),
        sex: sex?,
        birth_date,
        dam: None,
        ..AnimalForm::new(number?, status?)
    })
}

/// The tag in a field, if there is one.
pub(crate) fn read_tag(lang: Lang, typed: &mut Typed, name: &'static str) -> Option<Tag> {
    let text: String = fmt::ascii_digits(typed.text(name))
        .split_whitespace()
        .collect();
    if text.is_empty() {
        return None;
    }
    match text.parse() {
        Ok(tag) => Some(tag),
        Err(TagError::NotFifteenDigits) => {
            typed.wrong(name, t::tag_short(lang));
            None
        }
        Err(_) => {
            typed.wrong(name, t::tag_impossible(lang));
            None
        }
    }
}

/// The day of the last calving and how often she calved, if they are known.
fn read_calving(lang: Lang, typed: &mut Typed, today: Date) -> Option<(Date, u8)> {
    let day = typed.date(lang, "calved");
    if day.is_some_and(|d| d > today) {
        typed.wrong("calved", t::no_future(lang));
    }
    let count = typed.number(lang, "lactation", 0);
    if count.is_some_and(|n| !(1..=20).contains(&n)) {
        typed.wrong("lactation", t::no_count(lang));
    }
    match (day, count) {
        (Some(day), Some(count)) => Some((day, u8::try_from(count).ok()?)),
        (None, None) => None,
        (Some(_), None) => {
            typed.wrong("lactation", t::both(lang));
            None
        }
        (None, Some(_)) => {
            typed.wrong("calved", t::both(lang));
            None
        }
    }
}

/// Looks the mother up and notes when there is none.
pub(crate) async fn find_dam(
    ctx: &Ctx,
    typed: &mut Typed,
    form: &mut AnimalForm,
) -> Result<(), Error> {
    let text = typed.text("dam").to_owned();
    if text.is_empty() {
        return Ok(());
    }
    let dam = ctx
        .web
        .farm
        .read(move |conn| animals::by_text(conn, &text))
        .await?;
    match dam {
        Some(dam) => form.dam = Some(dam.id),
        None => typed.wrong("dam", t::no_dam(ctx.lang)),
    }
    Ok(())
}

async fn register(ctx: Ctx, mut typed: Typed) -> Result<Response, Error> {
    let (lang, today) = (ctx.lang, ctx.today());
    let form = read(lang, &mut typed, today);
    let tag = read_tag(lang, &mut typed, "tag");
    let calved = read_calving(lang, &mut typed, today);
    let Some(mut form) = form else {
        return draw(&ctx, &typed).await;
    };
    find_dam(&ctx, &mut typed, &mut form).await?;
    if !typed.is_right() {
        return draw(&ctx, &typed).await;
    }
    let done = ctx
        .web
        .farm
        .write(ctx.me.actor(), move |tx| {
            animals::register(tx, &form, tag.as_ref(), calved)
        })
        .await;
    match done {
        Ok(id) => Ok(Done::Saved.then(to!("/herd/{id}"))),
        Err(error) => {
            refuse(lang, &mut typed, error)?;
            draw(&ctx, &typed).await
        }
    }
}

/// Puts what the register refuses beside the field that it is about.
///
/// # Errors
/// What no field is to blame for.
pub(crate) fn refuse(lang: Lang, typed: &mut Typed, error: AnimalError) -> Result<(), Error> {
    match error {
        AnimalError::NumberTaken(..) => typed.wrong("number", t::number_taken(lang)),
        AnimalError::TagTaken(..) => typed.wrong("tag", t::tag_taken(lang)),
        error => return Err(error.into()),
    }
    Ok(())
}

impl From<AnimalError> for Error {
    fn from(error: AnimalError) -> Self {
        match error {
            AnimalError::NumberTaken(..) | AnimalError::TagTaken(..) | AnimalError::Same => {
                Self::from(Reason::Conflict).detail(error.to_string())
            }
            AnimalError::Unknown => Reason::NotFound.into(),
            AnimalError::Event(error) => (*error).into(),
            AnimalError::Store(error) => error.into(),
        }
    }
}
