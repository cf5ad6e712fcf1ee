//! The form of each kind of event. A moment that is left empty is now, so that a wrong clock is never taken for a person's word.

use axum::{extract::Path, response::Response};
use farm::{
    animals::{self, Animal},
    events::{self, EventBody, EventError, LactationState, NewEvent, Pregnancy, When},
    text::{Name, Note},
};
use farm_model::{AnimalId, staff::Role};
use maud::{Markup, html};
use ui::{
    Lang,
    components::{Breadcrumb, Button, Choice, Field, Tiles, breadcrumbs},
    fmt,
    icons::Icon,
};
use uuid::Uuid;

use super::{Kind, pregnancy};
use crate::{
    access::{Needs, Routes},
    address::to,
    error::{Error, Reason},
    pages::{Ctx, context::Done, names::animal_name, typed::Typed},
};

pub(crate) mod t {
    ui::texts! {
        day = "Which day?" / "কোন দিন?";
        day_hint = "Empty means today" / "খালি রাখলে আজ";
        moment = "When was it given?" / "কখন দেওয়া হয়েছে?";
        moment_hint = "Empty means just now" / "খালি রাখলে এইমাত্র";
        medicine = "Medicine" / "ওষুধের নাম";
        dose = "Dose" / "কতটুকু";
        reason = "Against what?" / "কীসের জন্য?";
        milk_hold = "Keep the milk out of the tank for" / "কত দিন দুধ ট্যাংকে দেওয়া যাবে না";
        hold_hint = "The withdrawal period on the label; 0 when there is none" / "ওষুধের গায়ে লেখা থাকে; না থাকলে ০";
        meat_hold = "No slaughter for" / "কত দিন জবাই করা যাবে না";
        days = "days" / "দিন";
        symptom = "What is wrong with her?" / "কী হয়েছে?";
        urgent = "Must somebody look at once?" / "এখনই কাউকে দেখতে হবে?";
        urgent_yes = "Yes, at once" / "হ্যাঁ, এখনই";
        urgent_yes_hint = "Everyone is told" / "সবাইকে জানানো হবে";
        urgent_no = "No" / "না";
        urgent_no_hint = "Only written down" / "শুধু লেখা থাকবে";
        lactation = "How many times has she calved, this time included?" / "এবারেরটিসহ কতবার বাচ্চা দিয়েছে?";
        born = "Calves born" / "কয়টি বাচ্চা হয়েছে";
        live = "Of these alive" / "এর মধ্যে জীবিত";
        sire = "Bull or straw" / "ষাঁড় বা সিমেন";
        found = "What was found?" / "কী পাওয়া গেছে?";
        weight = "Weight" / "ওজন";
        kilograms = "kg" / "কেজি";
        text = "Note" / "মন্তব্য";
        future = "This has not come yet. Choose an earlier time." / "এই সময় এখনো আসেনি। আগের সময় দিন।";
        long = "At most 366 days. Check the label." / "সর্বোচ্চ ৩৬৬ দিন। ওষুধের গায়ে দেখুন।";
        no_weight = "Between 1 and 2,000 kg." / "১ থেকে ২০০০ কেজির মধ্যে।";
        no_count = "Check the number." / "সংখ্যাটি মিলিয়ে দেখুন।";
        needed = "Write the days; 0 when there is none." / "কত দিন লিখুন; না থাকলে ০।";
    }
}

pub(super) fn routes(routes: Routes) -> Routes {
    let worker = Needs::Role(Role::Worker);
    routes
        .get_form(worker, "/herd/{id}/events/{kind}", page)
        .post(worker, "/herd/{id}/events/{kind}", record)
}

/// The animal that the form is about.
struct Subject {
    animal: Animal,
    state: LactationState,
    kind: Kind,
}

async fn subject(ctx: &Ctx, id: AnimalId, kind: &str) -> Result<Subject, Error> {
    let kind = Kind::from_key(kind).ok_or(Reason::NotFound)?;
    ctx.web
        .farm
        .read(move |conn| {
            let Some(animal) = animals::get(conn, id)? else {
                return Ok::<_, farm::StoreError>(None);
            };
            let state = events::state(conn, animal.id)?;
            Ok(Some(Subject {
                animal,
                state,
                kind,
            }))
        })
        .await?
        .ok_or_else(|| Reason::NotFound.into())
}

async fn page(ctx: Ctx, Path((id, kind)): Path<(AnimalId, String)>) -> Result<Response, Error> {
    let subject = subject(&ctx, id, &kind).await?;
    let next = subject.state.lactation.unwrap_or(0).saturating_add(1);
    let one = fmt::int(ctx.lang, 1);
    let typed = Typed::filled([
        ("lactation", fmt::int(ctx.lang, next.into())),
        ("born", one.clone()),
        ("live", one),
        ("urgent", "no".to_owned()),
        ("key", Uuid::now_v7().to_string()),
    ]);
    Ok(draw(&ctx, &subject, &typed))
}

fn draw(ctx: &Ctx, subject: &Subject, typed: &Typed) -> Response {
    let (lang, kind) = (ctx.lang, subject.kind);
    let name = animal_name(lang, &subject.animal);
    let back = to!("/herd/{}", subject.animal.id);
    let body = html! {
        (breadcrumbs(lang, &[Breadcrumb { label: name.clone(), href: back.clone() }]))
        h1 { (kind.name(lang)) }
        p { strong { (name) } }
        form.form method="post" data-once action=(format!("{back}/events/{}", kind.key())) {
            (typed.faults(lang))
            input type="hidden" name="key" value=(typed.text("key"));
            (fields(lang, kind, typed))
            @if kind == Kind::Treatment {
                (typed.field("when", Field::date_time("when", t::moment(lang)).hint(t::moment_hint(lang))))
            } @else {
                (typed.field("day", Field::date("day", t::day(lang)).hint(t::day_hint(lang))))
            }
            div.actions {
                (Button::primary(ui::t::save(lang)).icon(Icon::Check).big())
                (Button::quiet(ui::t::cancel(lang)).href(back.as_str()))
            }
        }
    };
    typed.answer(ctx.page(kind.name(lang), &[]).body(body).render())
}

fn fields(lang: Lang, kind: Kind, typed: &Typed) -> Markup {
    let of = |name: &str, field: Field| typed.field(name, field);
    let days = |name: &str, label| {
        of(
            name,
            Field::decimal(name, label)
                .hint(t::hold_hint(lang))
                .unit(t::days(lang))
                .required(),
        )
    };
    html! {
        @match kind {
            Kind::Treatment => {
                (of("medicine", Field::text("medicine", t::medicine(lang)).required()))
                (of("dose", Field::text("dose", t::dose(lang))))
                (of("reason", Field::text("reason", t::reason(lang))))
                (days("milk_hold", t::milk_hold(lang)))
                (days("meat_hold", t::meat_hold(lang)))
            },
            Kind::Calving => {
                (of("lactation", Field::integer("lactation", t::lactation(lang)).required()))
                (of("born", Field::integer("born", t::born(lang)).required()))
                (of("live", Field::integer("live", t::live(lang)).required()))
            },
            Kind::Insemination => (of("sire", Field::text("sire", t::sire(lang)))),
            Kind::PregnancyCheck => (typed.tiles("result", Tiles::new("result", t::found(lang), results(lang)))),
            Kind::Health => {
                (of("symptom", Field::area("symptom", t::symptom(lang)).required()))
                (typed.tiles("urgent", Tiles::new("urgent", t::urgent(lang), urgencies(lang))))
            },
            Kind::Weight => {
                (of("weight", Field::decimal("weight", t::weight(lang)).unit(t::kilograms(lang)).required()))
            },
            Kind::Note => (of("text", Field::area("text", t::text(lang)).required())),
            Kind::DryOff | Kind::Heat => {},
        }
    }
}

fn results(lang: Lang) -> Vec<Choice> {
    let result = |key: &str, result| Choice::new(key, pregnancy(lang, result));
    vec![
        result("pregnant", Pregnancy::Pregnant),
        result("empty", Pregnancy::Empty),
        result("unknown", Pregnancy::Unknown),
    ]
}

fn urgencies(lang: Lang) -> Vec<Choice> {
    vec![
        Choice::new("no", t::urgent_no(lang)).hint(t::urgent_no_hint(lang)),
        Choice::new("yes", t::urgent_yes(lang))
            .hint(t::urgent_yes_hint(lang))
            .icon(Icon::Bell),
    ]
}

fn read(lang: Lang, kind: Kind, typed: &mut Typed) -> Option<EventBody> {
    let text = |line: Option<Name>| line.map(|l| l.to_string()).unwrap_or_default();
    Some(match kind {
        Kind::Treatment => {
            let medicine: Option<Name> = typed.needed(lang, "medicine");
            let (dose, reason) = (
                text(typed.line(lang, "dose")),
                text(typed.line(lang, "reason")),
            );
            let (milk, meat) = (
                hours(lang, typed, "milk_hold"),
                hours(lang, typed, "meat_hold"),
            );
            EventBody::Treatment {
                medicine: medicine?.to_string(),
                dose,
                reason,
                milk_hold_h: milk?,
                meat_hold_h: meat?,
            }
        }
        Kind::Calving => {
            let lactation = count(lang, typed, "lactation", 1);
            let (born, live) = (count(lang, typed, "born", 0), count(lang, typed, "live", 0));
            if live > born {
                typed.wrong("live", t::no_count(lang));
            }
            EventBody::Calving {
                lactation: lactation?,
                live: live?,
                born: born?,
            }
        }
        Kind::DryOff => EventBody::DryOff,
        Kind::Heat => EventBody::Heat,
        Kind::Insemination => EventBody::Insemination {
            sire: text(typed.line(lang, "sire")),
        },
        Kind::PregnancyCheck => EventBody::PregnancyCheck {
            result: typed.choice(lang, "result", |value| match value {
                "pregnant" => Some(Pregnancy::Pregnant),
                "empty" => Some(Pregnancy::Empty),
                "unknown" => Some(Pregnancy::Unknown),
                _ => None,
            })?,
        },
        Kind::Health => EventBody::Health {
            symptom: typed.needed::<2000>(lang, "symptom")?.to_string(),
            emergency: typed.text("urgent") == "yes",
        },
        Kind::Weight => {
            let grams = typed.number(lang, "weight", 3);
            if grams.is_none_or(|g| !(1_000..=2_000_000).contains(&g)) {
                typed.wrong("weight", t::no_weight(lang));
            }
            EventBody::Weight { grams: grams? }
        }
        Kind::Note => {
            let note: Note = typed.needed(lang, "text")?;
            EventBody::Note {
                text: note.to_string(),
            }
        }
    })
}

/// Days with two places as hours; a part of an hour is a whole one.
fn hours(lang: Lang, typed: &mut Typed, name: &'static str) -> Option<u32> {
    let days = typed.number(lang, name, 2);
    match days {
        Some(hundredths @ 0..=36_600) => u32::try_from((hundredths * 24 + 99) / 100).ok(),
        Some(_) => {
            typed.wrong(name, t::long(lang));
            None
        }
        None => {
            typed.wrong(name, t::needed(lang));
            None
        }
    }
}

fn count(lang: Lang, typed: &mut Typed, name: &'static str, least: i64) -> Option<u8> {
    let number = typed
        .number(lang, name, 0)
        .filter(|n| (least..=20).contains(n));
    if number.is_none() {
        typed.wrong(name, t::no_count(lang));
    }
    number.and_then(|n| u8::try_from(n).ok())
}

async fn record(
    ctx: Ctx,
    Path((id, kind)): Path<(AnimalId, String)>,
    mut typed: Typed,
) -> Result<Response, Error> {
    let lang = ctx.lang;
    let subject = subject(&ctx, id, &kind).await?;
    let body = read(lang, subject.kind, &mut typed);
    let when = if subject.kind == Kind::Treatment {
        typed.moment(lang, "when", &ctx.tz()).map(When::At)
    } else {
        typed.date(lang, "day").map(When::On)
    };
    let (Some(body), true) = (body, typed.is_right()) else {
        return Ok(draw(&ctx, &subject, &typed));
    };
    let animal = subject.animal.id;
    let event = NewEvent {
        animal,
        when: when.unwrap_or(When::Now),
        body,
    };
    let key = typed.text("key").to_owned();
    let done = ctx
        .web
        .farm
        .write(ctx.me.actor(), move |tx| match key.as_str() {
            "" => events::record(tx, &event).map(Some),
            key => events::record_once(tx, key, &event),
        })
        .await;
    match done {
        Ok(_) => Ok(Done::Saved.then(to!("/herd/{animal}"))),
        Err(EventError::Future) => {
            let field = if subject.kind == Kind::Treatment {
                "when"
            } else {
                "day"
            };
            typed.wrong(field, t::future(lang));
            Ok(draw(&ctx, &subject, &typed))
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_withdrawal_of_days_is_never_shortened() {
        for (typed, expected) in [
            ("0", Some(0)),
            ("৪", Some(96)),
            ("0.5", Some(12)),
            ("1.01", Some(25)),
            ("-1", None),
            ("", None),
        ] {
            let mut form = Typed::filled([("milk_hold", typed.to_owned())]);
            assert_eq!(
                hours(Lang::En, &mut form, "milk_hold"),
                expected,
                "{typed:?}"
            );
        }
    }
}
