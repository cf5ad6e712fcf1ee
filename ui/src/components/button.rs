//! Buttons, and links that look like them.

use maud::{Markup, Render, html};

use crate::icons::Icon;

/// A button that submits its form, or a link when it has an address.
#[derive(Clone, Debug)]
pub struct Button {
    label: String,
    look: &'static str,
    icon: Option<Icon>,
    href: Option<String>,
    submits: Option<(String, String)>,
    opens: Option<String>,
    big: bool,
    wide: bool,
}

impl Button {
    /// The one main thing to do here.
    pub fn primary(label: impl Into<String>) -> Self {
        Self::with_look(label, "primary")
    }

    /// Another thing that can be done.
    pub fn secondary(label: impl Into<String>) -> Self {
        Self::with_look(label, "secondary")
    }

    /// What destroys or stops something.
    pub fn danger(label: impl Into<String>) -> Self {
        Self::with_look(label, "danger")
    }

    /// A thing beside the way: no border.
    pub fn quiet(label: impl Into<String>) -> Self {
        Self::with_look(label, "quiet")
    }

    fn with_look(label: impl Into<String>, look: &'static str) -> Self {
        Self {
            label: label.into(),
            look,
            icon: None,
            href: None,
            submits: None,
            opens: None,
            big: false,
            wide: false,
        }
    }

    /// With a picture before the label.
    #[must_use]
    pub fn icon(mut self, icon: Icon) -> Self {
        self.icon = Some(icon);
        self
    }

    /// A link to `href` in a button's clothes.
    #[must_use]
    pub fn href(mut self, href: impl Into<String>) -> Self {
        self.href = Some(href.into());
        self
    }

    /// Submits `name=value` with the form.
    #[must_use]
    pub fn submits(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.submits = Some((name.into(), value.into()));
        self
    }

    /// Opens the dialog or sheet with this id.
    #[must_use]
    pub fn opens(mut self, dialog: impl Into<String>) -> Self {
        self.opens = Some(dialog.into());
        self
    }

    /// Large, for wet hands.
    #[must_use]
    pub fn big(mut self) -> Self {
        self.big = true;
        self
    }

    /// As wide as its container.
    #[must_use]
    pub fn wide(mut self) -> Self {
        self.wide = true;
        self
    }
}

impl Render for Button {
    fn render(&self) -> Markup {
        let inner = html! { @if let Some(icon) = self.icon { (icon) } span { (self.label) } };
        let href = self
            .href
            .clone()
            .or_else(|| self.opens.as_ref().map(|id| format!("#{id}")));
        html! {
            @if let Some(href) = href {
                a.button.(self.look).big[self.big].wide[self.wide] href=(href) data-opens=[self.opens.as_deref()] { (inner) }
            } @else {
                button.button.(self.look).big[self.big].wide[self.wide] type="submit"
                    name=[self.submits.as_ref().map(|s| &s.0)] value=[self.submits.as_ref().map(|s| &s.1)] { (inner) }
            }
        }
    }
}
