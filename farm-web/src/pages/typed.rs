//! What was typed into a form, and what is wrong with it, so that the form can be drawn again with both.
//!
//! A page reads its fields one by one; each reader notes what it cannot take in the words of the reader's language. A form
//! whose [`Typed::is_right`] is false is drawn again and changes nothing.

use std::collections::HashMap;

use axum::{
    extract::{Form, FromRequest, Request},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use farm::text::{Line, TextError};
use farm_model::UnixMillis;
use jiff::{
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};
use maud::{Markup, html};
use ui::{
    Lang,
    components::{Field, Select, Tiles, form_error},
    fmt,
};

use crate::error::{Error, Reason};

pub(crate) mod t {
    ui::texts! {
        missing = "Fill this in." / "এটি লিখুন।";
        too_long(max) = "Too long: at most {max} letters." / "বেশি বড়: সর্বোচ্চ {max} অক্ষর লিখুন।";
        strange = "There are characters that cannot be kept. Type it again." / "কিছু অক্ষর রাখা যায় না। আবার লিখুন।";
        not_slug = "Use small English letters, digits and dashes, such as east-tank." / "ছোট হাতের ইংরেজি অক্ষর, সংখ্যা ও ড্যাশ দিন, যেমন east-tank।";
        no_number = "Write a number, such as 12.5." / "একটি সংখ্যা লিখুন, যেমন ১২.৫।";
        no_whole_number = "Write a whole number, such as 12." / "একটি পূর্ণ সংখ্যা লিখুন, যেমন ১২।";
        no_date = "Choose a day." / "তারিখ বেছে নিন।";
        no_time = "Write a time of day, such as 05:30." / "সময় লিখুন, যেমন ০৫:৩০।";
        no_choice = "Choose one." / "একটি বেছে নিন।";
        look = "Not saved yet. Correct what is marked." / "এখনো সংরক্ষণ হয়নি। চিহ্ন দেওয়া ঘরগুলো ঠিক করুন।";
    }
}

/// A form's fields as they were typed, with what is wrong with them.
#[derive(Clone, Debug, Default)]
pub struct Typed {
    values: HashMap<String, String>,
    errors: HashMap<String, String>,
    fault: Option<String>,
}

impl<S: Send + Sync> FromRequest<S> for Typed {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let Form(values) = Form::<HashMap<String, String>>::from_request(request, state)
            .await
            .map_err(|rejection| match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => Reason::TooLarge,
                _ => Reason::Malformed,
            })?;
        Ok(Self {
            values,
            ..Self::default()
        })
    }
}

impl Typed {
    /// A form that is filled in already.
    pub fn filled<const N: usize>(values: [(&str, String); N]) -> Self {
        let values = values
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        Self {
            values: values.collect(),
            ..Self::default()
        }
    }

    /// Writes into a field.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.values.insert(name.to_owned(), value.into());
    }

    /// What stands in a field, trimmed; empty when there is no such field.
    pub fn text(&self, name: &str) -> &str {
        self.values.get(name).map_or("", |v| v.trim())
    }

    /// Notes that a field cannot be taken, and why.
    pub fn wrong(&mut self, name: &str, why: impl Into<String>) {
        self.errors
            .entry(name.to_owned())
            .or_insert_with(|| why.into());
    }

    /// Whether something is wrong with this field.
    pub fn is_wrong(&self, name: &str) -> bool {
        self.errors.contains_key(name)
    }

    /// What is wrong with this field.
    pub fn why(&self, name: &str) -> Option<&str> {
        self.errors.get(name).map(String::as_str)
    }

    /// Notes what is wrong with the form as a whole.
    pub fn refuse(&mut self, why: impl Into<String>) {
        self.fault = Some(why.into());
    }

    /// Whether nothing is wrong so far.
    pub fn is_right(&self) -> bool {
        self.errors.is_empty() && self.fault.is_none()
    }

    /// A line of text, if there is one.
    pub fn line<const MAX: usize>(&mut self, lang: Lang, name: &str) -> Option<Line<MAX>> {
        match Line::optional(self.text(name)) {
            Ok(line) => line,
            Err(error) => {
                self.wrong(name, text_error(lang, error));
                None
            }
        }
    }

    /// A line of text that must be there.
    pub fn needed<const MAX: usize>(&mut self, lang: Lang, name: &str) -> Option<Line<MAX>> {
        let line = self.line(lang, name);
        if line.is_none() {
            self.wrong(name, t::missing(lang));
        }
        line
    }

    /// A number in units of `10^-places`, if there is one.
    pub fn number(&mut self, lang: Lang, name: &str, places: u8) -> Option<i64> {
        let text = self.text(name);
        if text.is_empty() {
            return None;
        }
        let number = fmt::parse_decimal(text, places).ok();
        if number.is_none() {
            let why = if places == 0 {
                t::no_whole_number(lang)
            } else {
                t::no_number(lang)
            };
            self.wrong(name, why);
        }
        number
    }

    /// A day, if there is one.
    pub fn date(&mut self, lang: Lang, name: &str) -> Option<Date> {
        let date = fmt::ascii_digits(self.text(name));
        if date.is_empty() {
            return None;
        }
        let date = date.parse().ok();
        if date.is_none() {
            self.wrong(name, t::no_date(lang));
        }
        date
    }

    /// A time of day that must be there.
    pub fn time(&mut self, lang: Lang, name: &str) -> Option<Time> {
        let time = fmt::ascii_digits(self.text(name)).parse().ok();
        if time.is_none() {
            self.wrong(name, t::no_time(lang));
        }
        time
    }

    /// A moment by the farm's clocks, if there is one.
    pub fn moment(&mut self, lang: Lang, name: &str, tz: &TimeZone) -> Option<UnixMillis> {
        let text = fmt::ascii_digits(self.text(name));
        if text.is_empty() {
            return None;
        }
        let at = text
            .parse::<DateTime>()
            .ok()
            .and_then(|at| at.to_zoned(tz.clone()).ok())
            .map(|at| UnixMillis(at.timestamp().as_millisecond()));
        if at.is_none() {
            self.wrong(name, t::no_date(lang));
        }
        at
    }

    /// One of several values.
    pub fn choice<T>(
        &mut self,
        lang: Lang,
        name: &str,
        of: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = of(self.text(name));
        if value.is_none() {
            self.wrong(name, t::no_choice(lang));
        }
        value
    }

    /// A field with what was typed into it and what is wrong with it.
    pub fn field(&self, name: &str, field: Field) -> Field {
        field
            .value(self.text(name))
            .error(self.errors.get(name).cloned())
    }

    /// A field for a secret: with what is wrong with it, and never with what was typed into it.
    pub fn secret(&self, name: &str, field: Field) -> Field {
        field.error(self.errors.get(name).cloned())
    }

    /// A list with what was chosen and what is wrong with it.
    pub fn select(&self, name: &str, select: Select) -> Select {
        select
            .chosen(self.text(name))
            .error(self.errors.get(name).cloned())
    }

    /// Tiles with what was chosen and what is wrong with it.
    pub fn tiles(&self, name: &str, tiles: Tiles) -> Tiles {
        let tiles = match self.text(name) {
            "" => tiles,
            value => tiles.chosen(value),
        };
        tiles.error(self.errors.get(name).cloned())
    }

    /// What is wrong with the form as a whole, to stand above its fields.
    pub fn faults(&self, lang: Lang) -> Markup {
        match (&self.fault, self.errors.is_empty()) {
            (Some(fault), _) => form_error(fault),
            (None, false) => form_error(t::look(lang)),
            (None, true) => html! {},
        }
    }

    /// The status that a page with this form has.
    pub fn answer(&self, page: Markup) -> Response {
        let status = if self.is_right() {
            StatusCode::OK
        } else {
            StatusCode::UNPROCESSABLE_ENTITY
        };
        (status, page).into_response()
    }
}

/// What is wrong with a text.
pub(crate) fn text_error(lang: Lang, error: TextError) -> String {
    match error {
        TextError::Empty => t::missing(lang).to_owned(),
        TextError::TooLong { max, .. } => t::too_long(lang, max),
        TextError::Control => t::strange(lang).to_owned(),
        TextError::NotASlug => t::not_slug(lang).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_digits_are_taken_and_the_rest_is_marked() {
        let mut typed = Typed::filled([
            ("litres", "১২.৫".to_owned()),
            ("cows", "many".to_owned()),
            ("day", "2026-11-31".to_owned()),
        ]);
        assert_eq!(typed.number(Lang::Bn, "litres", 3), Some(12_500));
        assert_eq!(typed.number(Lang::Bn, "none", 3), None);
        assert!(typed.is_right());
        assert_eq!(typed.number(Lang::En, "cows", 0), None);
        assert_eq!(typed.date(Lang::En, "day"), None);
        assert_eq!(typed.needed::<80>(Lang::En, "name"), None);
        let html = typed.field("cows", Field::integer("cows", "Cows"));
        let html = html! { (html) }.into_string();
        assert!(html.contains("value=\"many\"") && html.contains("Write a whole number"));
        assert!(!typed.is_right());
    }
}
