//! A month as a table.

use jiff::{ToSpan, civil};
use maud::{Markup, Render, html};

use crate::{Lang, fmt, icons::Icon, t};

/// A month: what is on each day, links to the months beside it. The week begins on Sunday.
#[derive(Clone, Debug)]
pub struct Calendar {
    lang: Lang,
    month: civil::Date,
    today: Option<civil::Date>,
    days: Vec<(civil::Date, Markup)>,
    previous: Option<String>,
    next: Option<String>,
}

impl Calendar {
    /// The month in which `any_day` lies.
    pub fn new(lang: Lang, any_day: civil::Date) -> Self {
        Self {
            lang,
            month: any_day.first_of_month(),
            today: None,
            days: Vec::new(),
            previous: None,
            next: None,
        }
    }

    /// Marks today.
    #[must_use]
    pub fn today(mut self, date: civil::Date) -> Self {
        self.today = Some(date);
        self
    }

    /// Puts `content` on `date`, after what is there.
    #[must_use]
    pub fn day(mut self, date: civil::Date, content: Markup) -> Self {
        self.days.push((date, content));
        self
    }

    /// Links to the months before and after.
    #[must_use]
    pub fn pager(mut self, previous: impl Into<String>, next: impl Into<String>) -> Self {
        self.previous = Some(previous.into());
        self.next = Some(next.into());
        self
    }

    fn weeks(&self) -> Vec<[Option<civil::Date>; 7]> {
        let lead = self.month.weekday().to_sunday_zero_offset() as usize;
        let days = usize::from(self.month.days_in_month().unsigned_abs());
        (0..(lead + days).div_ceil(7))
            .map(|week| {
                std::array::from_fn(|i| {
                    let n = (week * 7 + i).checked_sub(lead).filter(|n| *n < days)?;
                    self.month.checked_add((n as i64).days()).ok()
                })
            })
            .collect()
    }

    fn cell(&self, date: civil::Date) -> Markup {
        let content: Vec<&Markup> = self
            .days
            .iter()
            .filter(|(d, _)| *d == date)
            .map(|(_, m)| m)
            .collect();
        html! {
            td.today[self.today == Some(date)].busy[!content.is_empty()]
                aria-current=[(self.today == Some(date)).then_some("date")] {
                time datetime=(date) { (fmt::digits(self.lang, &date.day().to_string())) }
                @for part in content { (part) }
            }
        }
    }
}

impl Render for Calendar {
    fn render(&self) -> Markup {
        let lang = self.lang;
        let year = fmt::digits(lang, &self.month.year().to_string());
        let head = self.weeks().get(1).copied().unwrap_or_default();
        html! {
            div.calendar {
                header {
                    h3 { (fmt::month(lang, self.month.month())) " " (year) }
                    @if let (Some(previous), Some(next)) = (&self.previous, &self.next) {
                        a.tool href=(previous) aria-label=(t::previous_month(lang)) { (Icon::Previous) }
                        a.tool href=(next) aria-label=(t::next_month(lang)) { (Icon::Next) }
                    }
                }
                table {
                    thead { tr {
                        @for day in head.into_iter().flatten() {
                            th scope="col" abbr=(fmt::weekday(lang, day.weekday())) { (fmt::weekday_short(lang, day.weekday())) }
                        }
                    } }
                    tbody {
                        @for week in self.weeks() {
                            tr { @for day in week { @if let Some(date) = day { (self.cell(date)) } @else { td {} } } }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_has_each_day_once_under_its_weekday() {
        for (year, month) in [(2026, 11), (2024, 2), (2026, 2), (2023, 10)] {
            let calendar = Calendar::new(Lang::En, civil::date(year, month, 1));
            let weeks = calendar.weeks();
            let days: Vec<civil::Date> = weeks.iter().flatten().flatten().copied().collect();
            assert_eq!(
                days.len(),
                usize::from(calendar.month.days_in_month().unsigned_abs())
            );
            assert!(days.windows(2).all(|w| w[0].tomorrow().unwrap() == w[1]));
            for week in weeks {
                for (i, day) in week.iter().enumerate() {
                    assert!(day.is_none_or(|d| d.weekday().to_sunday_zero_offset() as usize == i));
                }
            }
        }
    }
}
