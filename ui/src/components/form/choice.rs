//! One of several values: in a drop-down list, or in tiles.

use maud::{Markup, Render, html};

use super::{Frame, framed};
use crate::icons::Icon;

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
    frame: Frame,
    choices: Vec<Choice>,
    chosen: String,
}

impl Select {
    /// A list under `label`.
    pub fn new(name: impl Into<String>, label: impl Into<String>, choices: Vec<Choice>) -> Self {
        Self {
            frame: Frame::new(name, label),
            choices,
            chosen: String::new(),
        }
    }

    /// The value that is chosen now.
    #[must_use]
    pub fn chosen(mut self, value: impl Into<String>) -> Self {
        self.chosen = value.into();
        self
    }
}

framed!(Select);

impl Render for Select {
    fn render(&self) -> Markup {
        let frame = &self.frame;
        html! {
            div.field {
                (frame.label())
                select id=(frame.id()) name=(frame.name) aria-invalid=[frame.invalid()] aria-describedby=[frame.notes()] {
                    @for choice in &self.choices {
                        option value=(choice.value) selected[choice.value == self.chosen] { (choice.label) }
                    }
                }
                (frame.error())
            }
        }
    }
}

/// Large tiles to choose one of: for few values and wet hands.
#[derive(Clone, Debug)]
pub struct Tiles {
    frame: Frame,
    choices: Vec<Choice>,
    chosen: Option<String>,
    parlour: bool,
}

impl Tiles {
    /// Tiles under `label`.
    pub fn new(name: impl Into<String>, label: impl Into<String>, choices: Vec<Choice>) -> Self {
        Self {
            frame: Frame::new(name, label),
            choices,
            chosen: None,
            parlour: false,
        }
    }

    /// The value that is chosen now.
    #[must_use]
    pub fn chosen(mut self, value: impl Into<String>) -> Self {
        self.chosen = Some(value.into());
        self
    }

    /// Tiles of 20 mm, for the parlour.
    #[must_use]
    pub fn parlour(mut self) -> Self {
        self.parlour = true;
        self
    }
}

framed!(Tiles);

impl Render for Tiles {
    fn render(&self) -> Markup {
        let frame = &self.frame;
        html! {
            fieldset.tiles.parlour[self.parlour] aria-describedby=[frame.notes()] {
                legend { (frame.label) }
                (frame.hint())
                div.tile-grid {
                    @for choice in &self.choices {
                        label.tile {
                            input type="radio" name=(frame.name) value=(choice.value) required
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
                (frame.error())
            }
        }
    }
}
