//! A field in which something is typed: a line, a number, a date, a PIN.

use maud::{Markup, Render, html};

use super::{Frame, framed};

/// A field in which something is typed.
#[derive(Clone, Debug)]
pub struct Field {
    frame: Frame,
    kind: Kind,
    value: String,
    unit: Option<String>,
    autocomplete: Option<&'static str>,
    placeholder: Option<String>,
    suggestions: Vec<String>,
    required: bool,
    big: bool,
    autofocus: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Text,
    Area,
    Integer,
    Decimal,
    Search,
    Date,
    Time,
    DateTime,
    Pin,
    Password,
}

impl Field {
    /// A line of text.
    pub fn text(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self::of(Kind::Text, name, label)
    }

    /// Several lines of text.
    pub fn area(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self::of(Kind::Area, name, label)
    }

    /// A whole number, in either language's digits.
    pub fn integer(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self::of(Kind::Integer, name, label)
    }

    /// A number with a decimal point, in either language's digits.
    pub fn decimal(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self::of(Kind::Decimal, name, label)
    }

    /// Something to look for.
    pub fn search(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self::of(Kind::Search, name, label)
    }

    /// A date, `2026-11-20` on the wire.
    pub fn date(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self::of(Kind::Date, name, label)
    }

    /// A time of day, `05:12` on the wire.
    pub fn time(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self::of(Kind::Time, name, label)
    }

    /// A date and a time, `2026-11-20T05:12` on the wire.
    pub fn date_time(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self::of(Kind::DateTime, name, label)
    }

    /// A PIN: hidden digits, numeric keyboard; [`super::keypad`] adds large keys.
    pub fn pin(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self::of(Kind::Pin, name, label).autocomplete("current-password")
    }

    /// A password or token.
    pub fn password(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self::of(Kind::Password, name, label)
    }

    fn of(kind: Kind, name: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            frame: Frame::new(name, label),
            kind,
            value: String::new(),
            unit: None,
            autocomplete: None,
            placeholder: None,
            suggestions: Vec::new(),
            required: false,
            big: false,
            autofocus: false,
        }
    }

    /// What it holds.
    #[must_use]
    pub fn value(mut self, value: impl Into<String>) -> Self {
        self.value = value.into();
        self
    }

    /// The unit shown after the control.
    #[must_use]
    pub fn unit(mut self, unit: impl Into<String>) -> Self {
        self.unit = Some(unit.into());
        self
    }

    /// An example in the empty control.
    #[must_use]
    pub fn placeholder(mut self, text: impl Into<String>) -> Self {
        self.placeholder = Some(text.into());
        self
    }

    /// Values that the browser offers while something is typed; others can be typed, too.
    #[must_use]
    pub fn suggest(mut self, values: Vec<String>) -> Self {
        self.suggestions = values;
        self
    }

    /// The browser's `autocomplete` word.
    #[must_use]
    pub fn autocomplete(mut self, word: &'static str) -> Self {
        self.autocomplete = Some(word);
        self
    }

    /// Must be filled.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Large figures, for the parlour.
    #[must_use]
    pub fn big(mut self) -> Self {
        self.big = true;
        self
    }

    /// Takes the focus when the page opens.
    #[must_use]
    pub fn autofocus(mut self) -> Self {
        self.autofocus = true;
        self
    }

    fn control(&self) -> Markup {
        let (id, notes) = (self.frame.id(), self.frame.notes());
        let list = (!self.suggestions.is_empty()).then(|| format!("{id}-list"));
        let kind = match self.kind {
            Kind::Text | Kind::Integer | Kind::Decimal | Kind::Area => "text",
            Kind::Search => "search",
            Kind::Date => "date",
            Kind::Time => "time",
            Kind::DateTime => "datetime-local",
            Kind::Pin | Kind::Password => "password",
        };
        let mode = match self.kind {
            Kind::Integer | Kind::Pin => Some("numeric"),
            Kind::Decimal => Some("decimal"),
            Kind::Search => Some("search"),
            _ => None,
        };
        html! {
            @if self.kind == Kind::Area {
                textarea id=(id) name=(self.frame.name) rows="3" required[self.required] aria-describedby=[notes]
                    aria-invalid=[self.frame.invalid()] placeholder=[self.placeholder.as_deref()] autofocus[self.autofocus] {
                    (self.value)
                }
            } @else {
                input id=(id) type=(kind) name=(self.frame.name) value=(self.value) inputmode=[mode]
                    autocomplete=(self.autocomplete.unwrap_or("off")) required[self.required] aria-describedby=[notes]
                    aria-invalid=[self.frame.invalid()] placeholder=[self.placeholder.as_deref()] list=[list.as_deref()] autofocus[self.autofocus];
                @if let Some(list) = &list {
                    datalist id=(list) { @for value in &self.suggestions { option value=(value); } }
                }
            }
        }
    }
}

framed!(Field);

impl Render for Field {
    fn render(&self) -> Markup {
        html! {
            div.field.big[self.big].numeric[matches!(self.kind, Kind::Integer | Kind::Decimal)].pin[self.kind == Kind::Pin] {
                (self.frame.label())
                @if let Some(unit) = &self.unit {
                    div.with-unit { (self.control()) span.unit aria-hidden="true" { (unit) } }
                } @else {
                    (self.control())
                }
                (self.frame.error())
            }
        }
    }
}
