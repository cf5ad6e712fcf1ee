//! Numbers, dates and times as people of each language write them, and numbers as people type them.
//!
//! Bengali has its own digits and groups by lakh; ICU4X knows both. Stored integers stay integers: a quantity is given with
//! the power of ten it is stored in and the places to show, and never passes through a float on its way.

use fixed_decimal::{Decimal, SignedRoundingMode, UnsignedRoundingMode};
use icu_decimal::{DecimalFormatter, options::DecimalFormatterOptions};
use icu_locale::{Locale, locale};
use jiff::civil;

use crate::{i18n::Lang, t};

/// An integer with grouping: `1,25,000` in Bengali digits, `125,000` in English.
pub fn int(lang: Lang, value: i64) -> String {
    write(lang, &Decimal::from(value))
}

/// A stored integer of `10^-stored` units with exactly `shown` places: `decimal(En, 4_250, 3, 1)` is `4.3`.
pub fn decimal(lang: Lang, value: i64, stored: u8, shown: u8) -> String {
    let mut number = Decimal::from(value);
    number.multiply_pow10(-i16::from(stored));
    round(&mut number, shown);
    write(lang, &number)
}

/// A measured float with exactly `shown` places; a dash when it is no number.
pub fn float(lang: Lang, value: f64, shown: u8) -> String {
    let scaled = (value * 10f64.powi(i32::from(shown))).round();
    if !scaled.is_finite() || scaled.abs() >= 9e15 {
        return "–".into();
    }
    decimal(lang, scaled as i64, shown, shown)
}

/// Litres from millilitres, without the unit: to one place, and whole from a thousand on.
pub fn litres(lang: Lang, ml: i64) -> String {
    let shown = if ml.abs() < 1_000_000 { 1 } else { 0 };
    decimal(lang, ml, 3, shown)
}

/// Litres with their unit.
pub fn litres_unit(lang: Lang, ml: i64) -> String {
    t::litres_of(lang, litres(lang, ml))
}

/// A percentage from thousandths of a percent (`3_850` is 3.85 %) with `shown` places.
pub fn percent(lang: Lang, milli: i64, shown: u8) -> String {
    format!("{}%", decimal(lang, milli, 3, shown))
}

/// `text` with its ASCII digits replaced by the language's own: for codes, times and years, which are not grouped.
pub fn digits(lang: Lang, text: &str) -> String {
    match lang {
        Lang::En => text.into(),
        Lang::Bn => text
            .chars()
            .map(|c| match c.to_digit(10) {
                Some(d) => char::from_u32('০' as u32 + d).unwrap_or(c),
                None => c,
            })
            .collect(),
    }
}

/// A date in full: `20 November 2026`.
pub fn date(lang: Lang, date: civil::Date) -> String {
    format!(
        "{} {}",
        day_month(lang, date),
        digits(lang, &date.year().to_string())
    )
}

/// A date as it is said `today`: `20 November`, and of another year with that year.
pub fn day(lang: Lang, date: civil::Date, today: civil::Date) -> String {
    if date.year() == today.year() {
        day_month(lang, date)
    } else {
        self::date(lang, date)
    }
}

/// A date without its year: `20 November`.
fn day_month(lang: Lang, date: civil::Date) -> String {
    format!(
        "{} {}",
        digits(lang, &date.day().to_string()),
        month(lang, date.month())
    )
}

/// A date as short as it stays clear, for axes and tables: `20 Nov`.
pub fn day_month_short(lang: Lang, date: civil::Date) -> String {
    let name = match lang {
        Lang::Bn => BN_SHORT_MONTHS[month_index(date.month())],
        Lang::En => &EN_MONTHS[month_index(date.month())][..3],
    };
    format!("{} {name}", digits(lang, &date.day().to_string()))
}

/// A short date as it is said `today`: `20 Nov`, and of another year with that year.
pub fn day_short(lang: Lang, date: civil::Date, today: civil::Date) -> String {
    let short = day_month_short(lang, date);
    if date.year() == today.year() {
        short
    } else {
        format!("{short} {}", digits(lang, &date.year().to_string()))
    }
}

/// The name of a month, 1 to 12.
pub fn month(lang: Lang, month: i8) -> &'static str {
    match lang {
        Lang::Bn => BN_MONTHS[month_index(month)],
        Lang::En => EN_MONTHS[month_index(month)],
    }
}

/// The name of a day of the week.
pub fn weekday(lang: Lang, day: civil::Weekday) -> &'static str {
    let i = day.to_sunday_zero_offset() as usize;
    match lang {
        Lang::Bn => BN_WEEKDAYS[i],
        Lang::En => EN_WEEKDAYS[i],
    }
}

/// The name of a day of the week in a calendar's head.
pub fn weekday_short(lang: Lang, day: civil::Weekday) -> &'static str {
    let name = weekday(lang, day);
    match lang {
        Lang::Bn => name.strip_suffix("বার").unwrap_or(name),
        Lang::En => &name[..3],
    }
}

/// Hours and minutes of the day, 24 hours: `05:12`.
pub fn time(lang: Lang, time: civil::Time) -> String {
    digits(lang, &time.strftime("%H:%M").to_string())
}

/// A date and a time as they are said `today`: `20 November, 05:12`, and of another year with that year.
pub fn date_time(lang: Lang, at: civil::DateTime, today: civil::Date) -> String {
    format!("{}, {}", day(lang, at.date(), today), time(lang, at.time()))
}

/// How long ago, from seconds: `5 minutes ago`; a moment to come says so.
pub fn ago(lang: Lang, seconds: i64) -> String {
    let (n, unit) = coarse(seconds.unsigned_abs());
    match (seconds < 0, unit) {
        (_, Unit::Second) if n < 10 => t::just_now(lang).into(),
        (false, Unit::Second) => t::seconds_ago(lang, n),
        (false, Unit::Minute) => t::minutes_ago(lang, n),
        (false, Unit::Hour) => t::hours_ago(lang, n),
        (false, Unit::Day) => t::days_ago(lang, n),
        (true, Unit::Second) => t::in_seconds(lang, n),
        (true, Unit::Minute) => t::in_minutes(lang, n),
        (true, Unit::Hour) => t::in_hours(lang, n),
        (true, Unit::Day) => t::in_days(lang, n),
    }
}

/// A length of time from seconds, in its two largest units: `5 min 12 s`, `2 d 3 h`.
pub fn duration(lang: Lang, seconds: i64) -> String {
    let s = seconds.max(0);
    let (days, hours, minutes, rest) = (s / 86_400, s / 3_600 % 24, s / 60 % 60, s % 60);
    let parts = [
        (days, t::short_days(lang, days)),
        (hours, t::short_hours(lang, hours)),
        (minutes, t::short_minutes(lang, minutes)),
        (rest, t::short_seconds(lang, rest)),
    ];
    let first = parts
        .iter()
        .position(|(n, _)| *n > 0)
        .unwrap_or(parts.len() - 1);
    parts[first..]
        .iter()
        .take(2)
        .enumerate()
        .filter(|(i, (n, _))| *i == 0 || *n > 0)
        .map(|(_, (_, text))| text.as_str())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Why a typed number was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NumberError {
    /// Nothing was typed.
    Empty,
    /// Something other than digits, one decimal point and grouping was typed.
    NotANumber,
    /// More decimal places than are kept.
    TooPrecise,
    /// Too large to keep.
    TooLarge,
}

/// A number as typed, in either language's digits, as an integer of `10^-places` units: `"১২.৫"` with 3 places is 12,500.
///
/// # Errors
/// When the text is empty, no number, finer than `places` or beyond `i64`.
pub fn parse_decimal(text: &str, places: u8) -> Result<i64, NumberError> {
    let text = ascii_digits(text.trim());
    let (negative, text) = match text.strip_prefix(['-', '−']) {
        Some(rest) => (true, rest.to_owned()),
        None => (false, text),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let whole = whole.replace([',', ' '], "");
    if whole.is_empty() && fraction.is_empty() {
        return Err(if text.is_empty() && !negative {
            NumberError::Empty
        } else {
            NumberError::NotANumber
        });
    }
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(&whole) || !all_digits(fraction) {
        return Err(NumberError::NotANumber);
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > usize::from(places) {
        return Err(NumberError::TooPrecise);
    }
    let value: i64 = format!("{whole}{fraction:0<width$}", width = usize::from(places))
        .trim_start_matches('0')
        .parse()
        .or_else(|e: std::num::ParseIntError| match e.kind() {
            std::num::IntErrorKind::Empty => Ok(0),
            _ => Err(NumberError::TooLarge),
        })?;
    Ok(if negative { -value } else { value })
}

/// `text` with Bengali digits replaced by ASCII ones: for PINs, codes and searches as people type them.
pub fn ascii_digits(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '০'..='৯' => char::from(b'0' + (c as u32 - '০' as u32) as u8),
            _ => c,
        })
        .collect()
}

#[derive(Clone, Copy)]
enum Unit {
    Second,
    Minute,
    Hour,
    Day,
}

fn coarse(seconds: u64) -> (i64, Unit) {
    let (n, unit) = match seconds {
        0..60 => (seconds, Unit::Second),
        60..3_600 => (seconds / 60, Unit::Minute),
        3_600..86_400 => (seconds / 3_600, Unit::Hour),
        _ => (seconds / 86_400, Unit::Day),
    };
    (n as i64, unit)
}

fn round(number: &mut Decimal, places: u8) {
    let position = -i16::from(places);
    number.round_with_mode(
        position,
        SignedRoundingMode::Unsigned(UnsignedRoundingMode::HalfExpand),
    );
    number.trim_end();
    number.pad_end(position);
}

fn write(lang: Lang, number: &Decimal) -> String {
    // a formatter is not Sync without a feature of its data provider, and takes microseconds to make
    thread_local! {
        static BN: DecimalFormatter = formatter(locale!("bn"));
        static EN: DecimalFormatter = formatter(locale!("en"));
    }
    let formatter = match lang {
        Lang::Bn => &BN,
        Lang::En => &EN,
    };
    formatter
        .with(|f| f.format(number).to_string())
        .replace('-', "−")
}

fn formatter(locale: Locale) -> DecimalFormatter {
    DecimalFormatter::try_new(locale.into(), DecimalFormatterOptions::default())
        .expect("the numbers of both languages are compiled in")
}

fn month_index(month: i8) -> usize {
    usize::from(month.clamp(1, 12).unsigned_abs()) - 1
}

const EN_MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const BN_MONTHS: [&str; 12] = [
    "জানুয়ারি",
    "ফেব্রুয়ারি",
    "মার্চ",
    "এপ্রিল",
    "মে",
    "জুন",
    "জুলাই",
    "আগস্ট",
    "সেপ্টেম্বর",
    "অক্টোবর",
    "নভেম্বর",
    "ডিসেম্বর",
];

const BN_SHORT_MONTHS: [&str; 12] = [
    "জানু",
    "ফেব",
    "মার্চ",
    "এপ্রি",
    "মে",
    "জুন",
    "জুলাই",
    "আগ",
    "সেপ্ট",
    "অক্টো",
    "নভে",
    "ডিসে",
];

const EN_WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

const BN_WEEKDAYS: [&str; 7] = [
    "রবিবার",
    "সোমবার",
    "মঙ্গলবার",
    "বুধবার",
    "বৃহস্পতিবার",
    "শুক্রবার",
    "শনিবার",
];

#[cfg(test)]
mod tests {
    use Lang::{Bn, En};

    use super::*;

    #[test]
    fn numbers_are_written_in_both_languages() {
        assert_eq!(int(Bn, 1_234_567), "১২,৩৪,৫৬৭");
        assert_eq!(int(En, 1_234_567), "1,234,567");
        assert_eq!(int(En, -5), "−5");
        assert_eq!(decimal(En, 4_250, 3, 1), "4.3");
        assert_eq!(decimal(Bn, 4_250, 3, 2), "৪.২৫");
        assert_eq!(decimal(En, 12_000, 3, 0), "12");
        assert_eq!(decimal(En, 12_000, 3, 2), "12.00");
        assert_eq!(decimal(En, 40, 3, 1), "0.0");
        assert_eq!(float(En, f64::NAN, 1), "–");
        assert_eq!(float(Bn, 4.05, 1), "৪.১");
        assert_eq!(litres_unit(Bn, 12_400), "১২.৪ লি");
        assert_eq!(litres_unit(En, 13_881_500), "13,882 L");
        assert_eq!(percent(En, 3_850, 2), "3.85%");
    }

    #[test]
    fn dates_and_times_are_written_in_both_languages() {
        let at = civil::date(2026, 11, 20).at(5, 12, 0, 0);
        assert_eq!(date(Bn, at.date()), "২০ নভেম্বর ২০২৬");
        assert_eq!(date(En, at.date()), "20 November 2026");
        assert_eq!(day_month_short(En, at.date()), "20 Nov");
        assert_eq!(time(Bn, at.time()), "০৫:১২");
        assert_eq!(date_time(En, at, at.date()), "20 November, 05:12");
        assert_eq!(weekday(Bn, at.weekday()), "শুক্রবার");
        assert_eq!(weekday_short(Bn, at.weekday()), "শুক্র");
    }

    #[test]
    fn a_date_of_another_year_has_its_year() {
        let (today, before) = (civil::date(2026, 1, 1), civil::date(2025, 12, 31));
        assert_eq!(day(En, today, today), "1 January");
        assert_eq!(day(En, before, today), "31 December 2025");
        assert_eq!(day(Bn, today, before), "১ জানুয়ারি ২০২৬");
        assert_eq!(day_short(En, before, today), "31 Dec 2025");
        assert_eq!(day_short(Bn, before, before), "৩১ ডিসে");
        let at = before.at(18, 30, 0, 0);
        assert_eq!(date_time(En, at, today), "31 December 2025, 18:30");
        assert_eq!(date_time(Bn, at, before), "৩১ ডিসেম্বর, ১৮:৩০");
    }

    #[test]
    fn ages_and_durations_are_short() {
        for (seconds, bn, en) in [
            (3, "এইমাত্র", "just now"),
            (45, "৪৫ সেকেন্ড আগে", "45 seconds ago"),
            (60, "১ মিনিট আগে", "1 minute ago"),
            (300, "৫ মিনিট আগে", "5 minutes ago"),
            (7_300, "২ ঘণ্টা আগে", "2 hours ago"),
            (200_000, "২ দিন আগে", "2 days ago"),
            (-300, "৫ মিনিটের মধ্যে", "in 5 minutes"),
        ] {
            assert_eq!(ago(Bn, seconds), bn);
            assert_eq!(ago(En, seconds), en);
        }
        assert_eq!(duration(En, 312), "5 min 12 s");
        assert_eq!(duration(Bn, 312), "৫ মি ১২ সে");
        assert_eq!(duration(En, 0), "0 s");
        assert_eq!(duration(En, 3_600), "1 h");
        assert_eq!(duration(En, 183_600), "2 d 3 h");
    }

    #[test]
    fn typed_numbers_are_read_in_both_digits() {
        for (text, value) in [
            ("১২.৫", 12_500),
            ("12.5", 12_500),
            (" ১,২৫,০০০ ", 125_000_000),
            (".5", 500),
            ("5.", 5_000),
            ("-2.050", -2_050),
            ("0", 0),
            ("১2.3400", 12_340),
        ] {
            assert_eq!(parse_decimal(text, 3), Ok(value), "{text}");
        }
        for (text, error) in [
            ("", NumberError::Empty),
            ("-", NumberError::NotANumber),
            (".", NumberError::NotANumber),
            ("1.2.3", NumberError::NotANumber),
            ("twelve", NumberError::NotANumber),
            ("1e5", NumberError::NotANumber),
            ("+5", NumberError::NotANumber),
            ("1.2345", NumberError::TooPrecise),
            ("99999999999999999999", NumberError::TooLarge),
        ] {
            assert_eq!(parse_decimal(text, 3), Err(error), "{text}");
        }
    }

    #[test]
    fn what_is_shown_can_be_typed_again() {
        for lang in Lang::ALL {
            for value in [0, 1, -1, 999, 12_345, 98_765_432] {
                assert_eq!(
                    parse_decimal(&decimal(*lang, value, 3, 3), 3),
                    Ok(value),
                    "{lang:?}"
                );
            }
        }
    }
}
