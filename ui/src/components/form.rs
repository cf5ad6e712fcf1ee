//! Form fields: a label, a control, a hint, and an error that says what to do next.
//!
//! Numbers are text inputs with a numeric keyboard, because a browser's number input refuses Bengali digits;
//! [`crate::fmt::parse_decimal`] reads what was typed.

mod choice;
mod field;

use maud::{Markup, Render, html};

pub use self::{
    choice::{Choice, Select, Tiles},
    field::Field,
};
use crate::{Lang, icons::Icon, t};

/// What every field has around its control.
#[derive(Clone, Debug)]
struct Frame {
    name: String,
    label: String,
    hint: Option<String>,
    error: Option<String>,
}

/// Gives a part with a [`Frame`] the methods that set its hint and its error.
macro_rules! framed {
    ($part:ident) => {
        impl $part {
            /// What to know before typing or choosing.
            #[must_use]
            pub fn hint(mut self, hint: impl Into<String>) -> Self {
                self.frame.hint = Some(hint.into());
                self
            }

            /// Why what was typed or chosen is not taken, and what to do next.
            #[must_use]
            pub fn error(mut self, error: Option<String>) -> Self {
                self.frame.error = error;
                self
            }
        }
    };
}
use framed;

impl Frame {
    fn new(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            label: label.into(),
            hint: None,
            error: None,
        }
    }

    /// The control's element id.
    fn id(&self) -> String {
        format!("f-{}", self.name)
    }

    fn invalid(&self) -> Option<&'static str> {
        self.error.as_ref().map(|_| "true")
    }

    /// The elements that describe the control.
    fn notes(&self) -> Option<String> {
        let ids: Vec<String> = [(&self.hint, "hint"), (&self.error, "error")]
            .into_iter()
            .filter(|(text, _)| text.is_some())
            .map(|(_, name)| format!("{}-{name}", self.id()))
            .collect();
        (!ids.is_empty()).then(|| ids.join(" "))
    }

    /// The label, and the hint under it.
    fn label(&self) -> Markup {
        html! { label for=(self.id()) { (self.label) } (self.hint()) }
    }

    fn hint(&self) -> Markup {
        html! { @if let Some(hint) = &self.hint { p.hint id={ (self.id()) "-hint" } { (hint) } } }
    }

    fn error(&self) -> Markup {
        html! {
            @if let Some(error) = &self.error {
                p.error id={ (self.id()) "-error" } { (Icon::Warning) span { (error) } }
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
