//! Form fields: a label, a control, a hint, and an error that says what to do next.
//!
//! Numbers are text inputs with a numeric keyboard, because a browser's number input refuses Bengali digits;
//! [`crate::fmt::parse_decimal`] reads what was typed.

use maud::{Markup, Render, html};

use crate::{Lang, icons::Icon, t};

/// A field in which something is typed.
#[derive(Clone, Debug)]
pub struct Field {
    name: String,
    label: String,
    kind: Kind,
    value: String,
    unit: Option<String>,
    hint: Option<String>,
    error: Option<String>,
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

    /// A PIN: hidden digits, numeric keyboard; [`keypad`] adds large keys.
    pub fn pin(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self::of(Kind::Pin, name, label).autocomplete("current-password")
    }

    /// A password or token.
    pub fn password(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self::of(Kind::Password, name, label)
    }

    fn of(kind: Kind, name: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            label: label.into(),
            kind,
            value: String::new(),
            unit: None,
            hint: None,
            error: None,
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

    /// What to know before typing.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Why what was typed is not taken, and what to do next.
    #[must_use]
    pub fn error(mut self, error: Option<String>) -> Self {
        self.error = error;
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
        let (id, notes) = (self.id(), self.notes());
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
                textarea id=(id) name=(self.name) rows="3" required[self.required] aria-describedby=[notes]
                    aria-invalid=[self.invalid()] placeholder=[self.placeholder.as_deref()] autofocus[self.autofocus] {
                    (self.value)
                }
            } @else {
                input id=(id) type=(kind) name=(self.name) value=(self.value) inputmode=[mode]
                    autocomplete=(self.autocomplete.unwrap_or("off")) required[self.required] aria-describedby=[notes]
                    aria-invalid=[self.invalid()] placeholder=[self.placeholder.as_deref()] list=[list.as_deref()] autofocus[self.autofocus];
                @if let Some(list) = &list {
                    datalist id=(list) { @for value in &self.suggestions { option value=(value); } }
                }
            }
        }
    }

    fn id(&self) -> String {
        format!("f-{}", self.name)
    }

    fn invalid(&self) -> Option<&'static str> {
        self.error.as_ref().map(|_| "true")
    }

    fn notes(&self) -> Option<String> {
        notes(&self.id(), self.hint.as_deref(), self.error.as_deref())
    }
}

impl Render for Field {
    fn render(&self) -> Markup {
        let id = self.id();
        html! {
            div.field.big[self.big].numeric[matches!(self.kind, Kind::Integer | Kind::Decimal)].pin[self.kind == Kind::Pin] {
                label for=(id) { (self.label) }
                @if let Some(hint) = &self.hint { p.hint id={ (id) "-hint" } { (hint) } }
                @if let Some(unit) = &self.unit {
                    div.with-unit { (self.control()) span.unit aria-hidden="true" { (unit) } }
                } @else {
                    (self.control())
                }
                (field_error(&id, self.error.as_deref()))
            }
        }
    }
}

/// One of several values to choose from.
#[derive(Clone, Debug)]
pub struct Choice {
    value: String,
    label: String,
    hint: Option<String>,
    icon: Option<Icon>,
}

impl Choice {
    /// A value and what it is called.
    pub fn new(value: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            label: label.into(),
            hint: None,
            icon: None,
        }
    }

    /// With a line of explanation (in tiles).
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With a picture (in tiles).
    #[must_use]
    pub fn icon(mut self, icon: Icon) -> Self {
        self.icon = Some(icon);
        self
    }
}

/// A drop-down list: for many values.
#[derive(Clone, Debug)]
pub struct Select {
    name: String,
    label: String,
    choices: Vec<Choice>,
    chosen: String,
    hint: Option<String>,
    error: Option<String>,
}

impl Select {
    /// A list under `label`.
    pub fn new(name: impl Into<String>, label: impl Into<String>, choices: Vec<Choice>) -> Self {
        Self {
            name: name.into(),
            label: label.into(),
            choices,
            chosen: String::new(),
            hint: None,
            error: None,
        }
    }

    /// The value that is chosen now.
    #[must_use]
    pub fn chosen(mut self, value: impl Into<String>) -> Self {
        self.chosen = value.into();
        self
    }

    /// What to know before choosing.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Why the choice is not taken, and what to do next.
    #[must_use]
    pub fn error(mut self, error: Option<String>) -> Self {
        self.error = error;
        self
    }
}

impl Render for Select {
    fn render(&self) -> Markup {
        let id = format!("f-{}", self.name);
        html! {
            div.field {
                label for=(id) { (self.label) }
                @if let Some(hint) = &self.hint { p.hint id={ (id) "-hint" } { (hint) } }
                select id=(id) name=(self.name) aria-invalid=[self.error.as_ref().map(|_| "true")]
                    aria-describedby=[notes(&id, self.hint.as_deref(), self.error.as_deref())] {
                    @for choice in &self.choices {
                        option value=(choice.value) selected[choice.value == self.chosen] { (choice.label) }
                    }
                }
                (field_error(&id, self.error.as_deref()))
            }
        }
    }
}

/// Large tiles to choose one of: for few values and wet hands.
#[derive(Clone, Debug)]
pub struct Tiles {
    name: String,
    label: String,
    choices: Vec<Choice>,
    chosen: Option<String>,
    error: Option<String>,
    parlour: bool,
}

impl Tiles {
    /// Tiles under `label`.
    pub fn new(name: impl Into<String>, label: impl Into<String>, choices: Vec<Choice>) -> Self {
        Self {
            name: name.into(),
            label: label.into(),
            choices,
            chosen: None,
            error: None,
            parlour: false,
        }
    }

    /// The value that is chosen now.
    #[must_use]
    pub fn chosen(mut self, value: impl Into<String>) -> Self {
        self.chosen = Some(value.into());
        self
    }

    /// Why the choice is not taken, and what to do next.
    #[must_use]
    pub fn error(mut self, error: Option<String>) -> Self {
        self.error = error;
        self
    }

    /// Tiles of 20 mm, for the parlour.
    #[must_use]
    pub fn parlour(mut self) -> Self {
        self.parlour = true;
        self
    }
}

impl Render for Tiles {
    fn render(&self) -> Markup {
        let id = format!("f-{}", self.name);
        html! {
            fieldset.tiles.parlour[self.parlour] aria-describedby=[notes(&id, None, self.error.as_deref())] {
                legend { (self.label) }
                div.tile-grid {
                    @for choice in &self.choices {
                        label.tile {
                            input type="radio" name=(self.name) value=(choice.value) required
                                checked[self.chosen.as_ref() == Some(&choice.value)];
                            @if let Some(icon) = choice.icon { (icon) }
                            span.tile-text {
                                strong { (choice.label) }
                                @if let Some(hint) = &choice.hint { small { (hint) } }
                            }
                            span.tick { (Icon::Check) }
                        }
                    }
                }
                (field_error(&id, self.error.as_deref()))
            }
        }
    }
}

/// A thing that is so or not so. An unticked box sends nothing.
#[derive(Clone, Debug)]
pub struct Check {
    name: String,
    label: String,
    hint: Option<String>,
    ticked: bool,
}

impl Check {
    /// A box that sends `name=on` when it is ticked.
    pub fn new(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            label: label.into(),
            hint: None,
            ticked: false,
        }
    }

    /// Whether it is ticked now.
    #[must_use]
    pub fn ticked(mut self, ticked: bool) -> Self {
        self.ticked = ticked;
        self
    }

    /// What it means.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Render for Check {
    fn render(&self) -> Markup {
        html! {
            label.check {
                input type="checkbox" name=(self.name) checked[self.ticked];
                span { (self.label) @if let Some(hint) = &self.hint { small { (hint) } } }
            }
        }
    }
}

/// Large digit keys for the field called `field`; they appear only where JavaScript can work them.
pub fn keypad(lang: Lang, field: &str, with_point: Point) -> Markup {
    html! {
        div.keypad.parlour hidden data-keypad={ "f-" (field) } role="group" aria-label=(t::digits(lang)) {
            @for n in [1, 2, 3, 4, 5, 6, 7, 8, 9] { (key(lang, n)) }
            @match with_point {
                Point::With => button type="button" data-key="." { "." },
                Point::Without => button type="button" data-key="clear" aria-label=(t::clear(lang)) { (Icon::Cross) },
            }
            (key(lang, 0))
            button type="button" data-key="back" aria-label=(t::delete(lang)) { (Icon::Backspace) }
        }
    }
}

/// Whether a keypad has a decimal point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Point {
    /// For quantities.
    With,
    /// For PINs.
    Without,
}

/// A form's own error, above its fields: what went wrong and what to do next.
pub fn form_error(text: &str) -> Markup {
    html! { div.flash.bad role="alert" { (Icon::Stop) p { (text) } } }
}

fn key(lang: Lang, n: u8) -> Markup {
    html! { button type="button" data-key=(n) { (crate::fmt::int(lang, n.into())) } }
}

fn field_error(id: &str, error: Option<&str>) -> Markup {
    html! {
        @if let Some(error) = error { p.error id={ (id) "-error" } { (Icon::Warning) span { (error) } } }
    }
}

fn notes(id: &str, hint: Option<&str>, error: Option<&str>) -> Option<String> {
    let ids: Vec<String> = [(hint, "hint"), (error, "error")]
        .into_iter()
        .filter_map(|(text, name)| text.map(|_| format!("{id}-{name}")))
        .collect();
    (!ids.is_empty()).then(|| ids.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_belongs_to_its_field() {
        let field = Field::decimal("milk", "Milk")
            .unit("L")
            .hint("Of one cow")
            .value("<1")
            .error(Some("Too little. Type it again.".into()));
        let html = field
            .render()
            .into_string()
            .replace(crate::assets::url("icons.svg"), "icons.svg");
        insta::assert_snapshot!(html, @r##"<div class="field numeric"><label for="f-milk">Milk</label><p class="hint" id="f-milk-hint">Of one cow</p><div class="with-unit"><input id="f-milk" type="text" name="milk" value="&lt;1" inputmode="decimal" autocomplete="off" aria-describedby="f-milk-hint f-milk-error" aria-invalid="true"><span class="unit" aria-hidden="true">L</span></div><p class="error" id="f-milk-error"><svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><use href="icons.svg#warning"></use></svg><span>Too little. Type it again.</span></p></div>"##);
    }

    #[test]
    fn one_choice_is_chosen() {
        let choices = || vec![Choice::new("am", "Morning"), Choice::new("pm", "Evening")];
        let select = Select::new("session", "Session", choices())
            .chosen("pm")
            .render()
            .into_string();
        assert_eq!(select.matches(" selected").count(), 1);
        assert!(select.contains("value=\"pm\" selected"));
        let tiles = Tiles::new("session", "Session", choices())
            .render()
            .into_string();
        assert_eq!(tiles.matches(" checked").count(), 0);
    }

    #[test]
    fn a_keypad_waits_for_who_can_work_it() {
        let html = keypad(Lang::Bn, "pin", Point::Without).into_string();
        assert!(html.contains("hidden data-keypad=\"f-pin\""));
        assert!(html.contains("data-key=\"7\">৭<"));
        assert!(!html.contains("data-key=\".\""));
    }
}
