//! Every part of the design system on one page, with sample data: for who builds pages and who judges them.

use jiff::civil::date;
use maud::{Markup, html};

use crate::{
    Lang,
    chart::{
        Band, BarChart, LineChart, Part, Series, TankLook, X, donut, gauge, local_ms, sparkline,
        tank,
    },
    components::{
        Badge, Breadcrumb, Button, Calendar, Card, Check, Choice, Column, Confirm, Dialog,
        Direction, EmptyState, Event, Field, Point, Quality, Row, Select, Sheet, StallCard,
        StallState, Stat, Tab, Table, Tiles, breadcrumbs, copyable, facts, form_error, keypad,
        page_head, parlour, progress, qr, quality_chip, search_results, section, stats, tabs,
        timeline, toast, undo_bar,
    },
    fmt,
    icons::Icon,
    shell::{Flash, Tone, flash_bar},
};

mod sample;

use sample as t;

/// The page's title.
pub fn title(lang: Lang) -> &'static str {
    t::title(lang)
}

/// The page's content; the caller puts it into its own [`crate::shell::Page`].
pub fn styleguide(lang: Lang) -> Markup {
    html! {
        (page_head(t::title(lang), t::lede(lang), &Button::primary(t::milk(lang)).icon(Icon::Bucket).href("#forms").render_now()))
        (section(t::figures(lang), &figures(lang)))
        (section(t::stalls(lang), &stalls(lang)))
        (section(t::charts(lang), &charts(lang)))
        (section(t::herd(lang), &herd_table(lang)))
        (section(t::buttons(lang), &buttons(lang)))
        (section(t::forms(lang), &forms(lang)))
        (section(t::first_page(lang), &rows(lang)))
        (section(t::words(lang), &words(lang)))
        (section(t::lists(lang), &lists(lang)))
        (section(t::calendar(lang), &calendar(lang)))
        (section(t::icons(lang), &icons()))
        (overlays(lang))
    }
}

fn figures(lang: Lang) -> Markup {
    stats(&[
        Stat::new(t::today_milk(lang), fmt::int(lang, 412), t::litre(lang))
            .note(Tone::Good, t::above(lang, 3)),
        Stat::new(t::cows_milked(lang), fmt::int(lang, 48), t::of(lang, 52))
            .note(Tone::Neutral, t::four_left(lang, 4)),
        Stat::new(
            t::tank_temperature(lang),
            fmt::decimal(lang, 3_800, 3, 1),
            t::celsius(lang),
        )
        .note(Tone::Good, t::cold(lang)),
        Stat::new(t::to_settle(lang), fmt::int(lang, 3), "")
            .note(Tone::Warn, t::oldest(lang))
            .href("#"),
    ])
}

fn stalls(lang: Lang) -> Markup {
    let card = |n, state, word| stall(lang, n, state, word);
    let with_cow = |card, cow, name, ml, flow| milked(lang, card, cow, name, ml, flow);
    let alarm = with_cow(
        card(3, StallState::Alarm, t::stop(lang)),
        105,
        t::shyamoli(lang),
        2_100,
        1_900,
    );
    let warning = with_cow(
        card(6, StallState::Warning, t::no_flow(lang)),
        88,
        t::dhobli(lang),
        0,
        0,
    );
    let cards = [
        with_cow(
            card(1, StallState::Milking, t::milking(lang)),
            12,
            t::lali(lang),
            8_400,
            3_200,
        ),
        with_cow(
            card(2, StallState::Milking, t::milking(lang)),
            41,
            t::kajli(lang),
            12_900,
            2_400,
        ),
        StallCard {
            message: Some(t::not_in_tank(lang).into()),
            ..alarm
        },
        with_cow(
            card(4, StallState::Finishing, t::finishing(lang)),
            7,
            t::budhi(lang),
            14_200,
            300,
        ),
        StallCard {
            cow: Some(fmt::int(lang, 23)),
            name: Some(t::moyna(lang).into()),
            ..card(5, StallState::Waiting, t::waiting(lang))
        },
        StallCard {
            message: Some(t::check_cluster(lang).into()),
            ..warning
        },
        card(7, StallState::Empty, t::empty_stall(lang)),
        StallCard {
            milk: Some((fmt::litres(lang, 5_300), t::litre(lang).into())),
            cow: Some(t::who(lang).into()),
            message: Some(t::tag_not_read(lang).into()),
            ..card(8, StallState::Warning, t::unknown_cow(lang))
        },
    ];
    parlour(t::stalls(lang), &cards)
}

fn stall(lang: Lang, number: i64, state: StallState, word: &str) -> StallCard {
    StallCard {
        id: format!("stall-{number}"),
        number: fmt::int(lang, number),
        state,
        word: word.into(),
        cow: None,
        name: None,
        milk: None,
        flow: None,
        message: None,
        href: Some("#".into()),
    }
}

/// The stall with a cow in it: her number and name, her milk so far, and millilitres a minute.
fn milked(lang: Lang, card: StallCard, cow: i64, name: &str, ml: i64, flow: i64) -> StallCard {
    StallCard {
        cow: Some(fmt::int(lang, cow)),
        name: Some(name.into()),
        milk: Some((fmt::litres(lang, ml), t::litre(lang).into())),
        flow: Some((
            (flow / 5) as u16,
            t::per_minute(lang, fmt::litres(lang, flow)),
        )),
        ..card
    }
}

fn charts(lang: Lang) -> Markup {
    html! {
        div.grid.two {
            (yield_chart(lang))
            (temperature_chart(lang))
            (day_bars(lang))
            (empty_chart(lang))
            (donut(lang, t::composition(lang), &fmt::decimal(lang, 412, 0, 0), t::litre(lang), &parts(lang)))
            div.flow {
                (tank(t::tank_level(lang), 640, TankLook::Good))
                div.cluster {
                    (gauge(t::biogas(lang), 580, &fmt::int(lang, 58), t::methane(lang)))
                    (sparkline(t::yield_run(lang), &[Some(9.0), Some(11.0), Some(10.0), None, Some(12.0), Some(12.5), Some(14.0)]))
                }
            }
        }
    }
}

/// Wood's curve with a weekly wobble: what a lactation looks like.
fn lactation(day: f64) -> f64 {
    9.0 * day.powf(0.22) * (-0.004 * day).exp()
}

fn yield_chart(lang: Lang) -> Markup {
    let measured = (5..160).map(|d| {
        let day = f64::from(d);
        let wobble = (day * 0.9).sin() * 0.7 - if (112..120).contains(&d) { 4.5 } else { 0.0 };
        (
            day,
            (!(60..66).contains(&d)).then(|| lactation(day) + wobble),
        )
    });
    let curve = (1..305)
        .step_by(4)
        .map(|d| (f64::from(d), Some(lactation(f64::from(d)))));
    let band = (1..305).step_by(8).map(|d| {
        let normal = lactation(f64::from(d));
        (f64::from(d), normal * 0.85, normal * 1.15)
    });
    LineChart::new(
        lang,
        t::yield_title(lang),
        t::litre(lang),
        X::Number,
        t::days_in_milk(lang),
    )
    .series(Series::new(t::lali(lang), measured.collect()))
    .reference(Series::new(t::expected(lang), curve.collect()))
    .band(Band::new(t::normal(lang), band.collect()))
    .from_zero()
    .render_now()
}

fn temperature_chart(lang: Lang) -> Markup {
    let at =
        |quarter: i32| local_ms(date(2026, 11, 20).at(0, 0, 0, 0)) + f64::from(quarter) * 900_000.0;
    let line = |shift: f64| {
        (0..72)
            .map(|q| {
                let milk_in = if (22..34).contains(&q) {
                    f64::from(34 - q) * 0.28
                } else {
                    0.0
                };
                (
                    at(q),
                    Some(3.6 + shift + milk_in + (f64::from(q) * 0.8).sin() * 0.15),
                )
            })
            .collect()
    };
    LineChart::new(
        lang,
        t::tank_temperature(lang),
        t::celsius(lang),
        X::Time,
        t::time(lang),
    )
    .series(Series::new(t::tank_n(lang, 1), line(0.0)))
    .series(Series::new(t::tank_n(lang, 2), line(0.9)))
    .target(t::limit(lang), 6.0)
    .render_now()
}

fn day_bars(lang: Lang) -> Markup {
    (14..21)
        .fold(
            BarChart::new(lang, t::milk_by_day(lang), t::litre(lang), t::day(lang))
                .series(&[t::morning(lang), t::evening(lang)]),
            |chart, d| {
                let (morning, evening) = (
                    210.0 + f64::from(d % 5) * 9.0,
                    170.0 + f64::from(d % 3) * 11.0,
                );
                let evening = (d < 20).then_some(evening);
                chart.bar(
                    fmt::day_month_short(lang, date(2026, 11, d as i8)),
                    vec![Some(morning), evening],
                )
            },
        )
        .render_now()
}

fn empty_chart(lang: Lang) -> Markup {
    LineChart::new(lang, t::conductivity(lang), "mS/cm", X::Time, t::time(lang)).render_now()
}

fn parts(lang: Lang) -> [Part; 3] {
    [
        (t::into_tank(lang), 372),
        (t::calves(lang), 28),
        (t::withheld(lang), 12),
    ]
    .map(|(name, litres)| Part {
        name: name.into(),
        value: litres as f64,
        text: t::litres(lang, litres),
    })
}

fn herd_table(lang: Lang) -> Markup {
    let cow = |n: i64, name: &str, status: Markup, ml: i64, trend: [f64; 6]| {
        Row::new(vec![
            html! { (fmt::int(lang, n)) " " (name) },
            status,
            html! { (fmt::litres(lang, ml)) },
            html! { (sparkline(t::yield_run(lang), &trend.map(Some))) },
        ])
        .href("#")
    };
    let rows = vec![
        cow(
            7,
            t::budhi(lang),
            Badge::new(Tone::Neutral, t::in_milk(lang)).render_now(),
            14_200,
            [11., 12., 12., 13., 14., 14.2],
        ),
        cow(
            12,
            t::lali(lang),
            Badge::new(Tone::Neutral, t::in_milk(lang)).render_now(),
            12_400,
            [13., 13.2, 13., 12.8, 12.6, 12.4],
        ),
        cow(
            105,
            t::shyamoli(lang),
            Badge::new(Tone::Bad, t::hold(lang)).render_now(),
            9_100,
            [12., 11., 10.5, 9.8, 9.4, 9.1],
        ),
        cow(
            88,
            t::dhobli(lang),
            Badge::new(Tone::Warn, t::drop(lang)).render_now(),
            6_300,
            [11., 11., 10., 9., 7.5, 6.3],
        ),
    ];
    let columns = vec![
        Column::new(t::cow(lang)).sort("?sort=name", None),
        Column::new(t::state(lang)),
        Column::number(t::milk_today(lang)).sort("?sort=milk", Some(Direction::Down)),
        Column::new(t::seven_days(lang)),
    ];
    let filters = html! {
        (Field::search("herd", crate::t::search(lang)).placeholder(t::name_or_number(lang)))
        (Select::new("state", t::state(lang), vec![Choice::new("", t::every(lang)), Choice::new("milk", t::in_milk(lang))]))
    };
    Table::new(lang, t::herd(lang), columns)
        .filters(filters)
        .rows(rows)
        .pager(None, Some("?after=88".into()))
        .csv("/herd.csv")
        .render_now()
}

fn buttons(lang: Lang) -> Markup {
    html! {
        div.cluster {
            (Button::primary(crate::t::save(lang)).icon(Icon::Check).href("#"))
            (Button::secondary(crate::t::edit(lang)).icon(Icon::Edit).href("#"))
            (Button::danger(crate::t::delete(lang)).icon(Icon::Bin).opens("confirm"))
            (Button::quiet(crate::t::show(lang)).href("#"))
            (Button::secondary(t::open_dialog(lang)).opens("dialog"))
            (Button::secondary(t::open_sheet(lang)).opens("sheet"))
        }
        (Button::primary(t::milk(lang)).icon(Icon::Bucket).big().wide().href("#"))
    }
}

fn forms(lang: Lang) -> Markup {
    html! {
        div.split #forms {
            form.form method="post" action="#" {
                (form_error(t::form_wrong(lang)))
                (Field::decimal("milk", t::milk_amount(lang)).unit(t::litre(lang)).big().value(fmt::litres(lang, 12_400)))
                (Field::text("name", t::name(lang)).hint(t::name_hint(lang)).value(t::lali(lang)))
                (Field::integer("number", t::number(lang)).value(fmt::int(lang, 712)).error(Some(t::number_taken(lang).into())))
                (Field::date("born", t::born(lang)).value("2023-03-14"))
                (Select::new("breed", t::breed(lang), vec![Choice::new("s", t::sahiwal(lang)), Choice::new("f", t::friesian(lang))]).chosen("f"))
                (Tiles::new("session", t::session(lang), vec![
                    Choice::new("am", t::morning(lang)).icon(Icon::Sun),
                    Choice::new("pm", t::evening(lang)).icon(Icon::Moon),
                ]).chosen("am").parlour())
                (Check::new("watch", t::watch(lang)).hint(t::watch_hint(lang)).ticked(true))
                (Field::area("note", t::note(lang)))
                div.actions { (Button::primary(crate::t::save(lang)).big()) (Button::secondary(crate::t::cancel(lang)).href("#")) }
            }
            form.form method="post" action="#" {
                (Field::pin("pin", t::pin(lang)))
                (keypad(lang, "pin", Point::Without))
                (copyable(lang, "handed-over", "farm/device/stall-1-meter/milk_flow"))
                @if let Some(code) = qr(t::name(lang), "farm/device/stall-1-meter/milk_flow") { (code) }
            }
        }
    }
}

/// Lists of large tiles and rows, as first pages and the sensors' page have them.
fn rows(lang: Lang) -> Markup {
    let tile = |icon: Icon, title: &str, hint: &str| {
        html! { li { a.tile href="#" { (icon) span.tile-text { strong { (title) } small { (hint) } } } } }
    };
    let reading = |name: &str, value: &str, quality| {
        html! { li.reading-row { a href="#" { (name) } strong.num { (value) } (quality_chip(lang, quality)) } }
    };
    html! {
        ul.actions-big {
            (tile(Icon::Bucket, t::milk(lang), &t::four_left(lang, 4)))
            (tile(Icon::Parlour, t::stalls(lang), t::milking(lang)))
            (tile(Icon::Inbox, t::to_settle(lang), t::oldest(lang)))
        }
        ul.readings {
            (reading(&t::tank_n(lang, 1), &t::degrees(lang, fmt::decimal(lang, 3_800, 3, 1)), Quality::Good))
            (reading(&t::tank_n(lang, 2), &t::degrees(lang, fmt::decimal(lang, 4_600, 3, 1)), Quality::Stale))
            (reading(t::biogas(lang), "–", Quality::Missing))
        }
        ul.alert-list {
            li.card.alert-card {
                p { (Badge::new(Tone::Bad, t::hold(lang))) }
                p { strong { (t::shyamoli(lang)) } }
                p { (t::not_in_tank(lang)) }
                div.actions { (Button::secondary(crate::t::close(lang)).icon(Icon::Check).href("#")) }
            }
        }
    }
}

fn words(lang: Lang) -> Markup {
    let flash = |tone, text: &str, action| {
        flash_bar(&Flash {
            tone,
            text: text.into(),
            action,
        })
    };
    html! {
        div.cluster {
            (quality_chip(lang, Quality::Good)) (quality_chip(lang, Quality::Stale))
            (quality_chip(lang, Quality::Bad)) (quality_chip(lang, Quality::Missing))
            (Badge::new(Tone::Info, t::heat(lang)))
        }
        (flash(Tone::Good, t::saved(lang), Some(undo_bar(lang, "#", &[]))))
        (flash(Tone::Warn, t::silent(lang), None))
        (flash(Tone::Bad, t::warm(lang), None))
        (progress(t::session(lang), 920, &t::of_cows(lang, 48, 52)))
        (toast(Tone::Good, t::saved(lang)))
        (EmptyState::new(Icon::Inbox, t::inbox_empty(lang), t::inbox_empty_text(lang)).action(Button::primary(t::herd(lang)).href("#")))
    }
}

fn lists(lang: Lang) -> Markup {
    let event = |tone, icon, when: &str, title: &str| Event {
        when: html! { (when) },
        icon,
        tone,
        title: html! { (title) },
        body: None,
    };
    html! {
        (breadcrumbs(lang, &[Breadcrumb { label: t::herd(lang).into(), href: "#".into() }]))
        (tabs(t::lali(lang), &[
            Tab { label: t::overview(lang).into(), href: "#".into(), current: true },
            Tab { label: t::milk_short(lang).into(), href: "#".into(), current: false },
            Tab { label: t::health(lang).into(), href: "#".into(), current: false },
        ]))
        div.split {
            (timeline(&[
                event(Tone::Good, Icon::Drop, &fmt::date_time(lang, date(2026, 11, 20).at(5, 12, 0, 0), date(2026, 11, 20)), t::gave(lang)),
                event(Tone::Warn, Icon::Syringe, &fmt::date_time(lang, date(2026, 11, 18).at(9, 40, 0, 0), date(2026, 11, 18)), t::treated(lang)),
                event(Tone::Info, Icon::Tag, &fmt::date(lang, date(2026, 8, 2)), t::tagged(lang)),
            ]))
            (Card::new(t::about(lang), facts(&[
                (t::breed(lang), html! { (t::friesian(lang)) }),
                (t::born(lang), html! { (fmt::date(lang, date(2023, 3, 14))) }),
                (t::days_in_milk(lang), html! { (fmt::int(lang, 160)) }),
            ])).action(Button::quiet(crate::t::edit(lang)).href("#").render_now()))
        }
    }
}

fn calendar(lang: Lang) -> Markup {
    Calendar::new(lang, date(2026, 11, 1))
        .today(date(2026, 11, 20))
        .day(
            date(2026, 11, 9),
            Badge::new(Tone::Info, t::heat(lang)).render_now(),
        )
        .day(
            date(2026, 11, 24),
            Badge::new(Tone::Warn, crate::t::vaccination_due(lang))
                .icon(Icon::Syringe)
                .render_now(),
        )
        .pager("?month=2026-10", "?month=2026-12")
        .render_now()
}

fn icons() -> Markup {
    html! { div.cluster lang="en" { @for icon in Icon::ALL { (icon.named(icon.id())) } } }
}

fn overlays(lang: Lang) -> Markup {
    html! {
        (Dialog::new(lang, "dialog", t::open_dialog(lang), html! { p { (t::lede(lang)) } }))
        (Sheet::new(lang, "sheet", t::open_sheet(lang), search_results(lang, "#", "", &[
            (Icon::Cow, t::lali(lang).into(), t::in_milk(lang).into(), "#".into()),
            (Icon::Tank, t::tank_n(lang, 1), t::cold(lang).into(), "#".into()),
        ])))
        (Confirm {
            lang,
            id: "confirm".into(),
            title: t::confirm_title(lang).into(),
            text: t::confirm_text(lang).into(),
            deed: t::confirm_deed(lang).into(),
            action: "#".into(),
            fields: Vec::new(),
        })
    }
}

/// `maud::Render` under a name that reads well at the end of a chain.
trait RenderNow: maud::Render {
    fn render_now(&self) -> Markup {
        self.render()
    }
}

impl<T: maud::Render> RenderNow for T {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_whole_in_both_languages_and_inline_free() {
        for lang in Lang::ALL {
            let html = styleguide(*lang).into_string();
            for icon in Icon::ALL {
                assert!(html.contains(&format!("#{}\"", icon.id())), "{icon:?}");
            }
            for forbidden in [" style=", "<style", " onclick", "javascript:", "NaN"] {
                assert!(!html.contains(forbidden), "{forbidden}");
            }
        }
    }

    #[test]
    fn each_id_is_there_once_and_each_label_has_its_control() {
        let html = styleguide(Lang::En).into_string();
        let values = |attribute: &str| -> Vec<String> {
            html.split(&format!(" {attribute}=\""))
                .skip(1)
                .filter_map(|s| s.split('"').next())
                .map(str::to_owned)
                .collect()
        };
        let mut ids = values("id");
        let count = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), count);
        for id in values("for")
            .iter()
            .chain(&values("aria-describedby"))
            .flat_map(|v| v.split(' '))
        {
            assert!(ids.iter().any(|i| i == id), "{id}");
        }
    }
}
