//! What lies over a page: dialogs, sheets, confirmations, the search palette.
//!
//! A link to `#id` opens a dialog even without JavaScript, through `:target`; with it, the dialog is modal, takes the
//! focus, and Escape closes it.

use maud::{Markup, Render, html};

use crate::{Lang, components::Button, icons::Icon, t};

/// A dialog in the middle of the screen.
#[derive(Clone, Debug)]
pub struct Dialog {
    lang: Lang,
    id: String,
    title: String,
    body: Markup,
    class: &'static str,
}

impl Dialog {
    /// A dialog opened by [`Button::opens`] with the same id.
    pub fn new(lang: Lang, id: impl Into<String>, title: impl Into<String>, body: Markup) -> Self {
        Self {
            lang,
            id: id.into(),
            title: title.into(),
            body,
            class: "dialog",
        }
    }
}

impl Render for Dialog {
    fn render(&self) -> Markup {
        let (id, title) = (&self.id, format!("{}-title", self.id));
        html! {
            dialog id=(id) class=(self.class) aria-labelledby=(title) {
                header {
                    h2 id=(title) { (self.title) }
                    a.tool href="#" data-closes aria-label=(t::close(self.lang)) { (Icon::Cross) }
                }
                (self.body)
            }
        }
    }
}

/// A dialog that rises from the lower edge on a phone and stands at the side on a desk.
#[derive(Clone, Debug)]
pub struct Sheet(Dialog);

impl Sheet {
    /// A sheet opened by [`Button::opens`] with the same id.
    pub fn new(lang: Lang, id: impl Into<String>, title: impl Into<String>, body: Markup) -> Self {
        Self(Dialog {
            class: "sheet",
            ..Dialog::new(lang, id, title, body)
        })
    }
}

impl Render for Sheet {
    fn render(&self) -> Markup {
        self.0.render()
    }
}

/// The question before harm is done: what will happen, whether it can be undone, and a button that names the deed.
#[derive(Clone, Debug)]
pub struct Confirm {
    /// Language.
    pub lang: Lang,
    /// Element id.
    pub id: String,
    /// The question.
    pub title: String,
    /// What will happen.
    pub text: String,
    /// What the button says: the deed itself, not "OK".
    pub deed: String,
    /// Where the form is posted.
    pub action: String,
    /// Hidden fields.
    pub fields: Vec<(String, String)>,
}

impl Render for Confirm {
    fn render(&self) -> Markup {
        let body = html! {
            p { (self.text) }
            form method="post" action=(self.action) {
                @for (name, value) in &self.fields { input type="hidden" name=(name) value=(value); }
                div.actions {
                    (Button::danger(&self.deed))
                    a.button.secondary href="#" data-closes { (t::cancel(self.lang)) }
                }
            }
        };
        Dialog::new(self.lang, &self.id, &self.title, body).render()
    }
}

/// The way back from what was just done; goes into a [`crate::shell::Flash`].
pub fn undo_bar(lang: Lang, action: &str, fields: &[(&str, &str)]) -> Markup {
    html! {
        form.undo method="post" action=(action) {
            @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
            (Button::secondary(t::undo(lang)).icon(Icon::Undo))
        }
    }
}

/// What was found: the body of the search page and, with JavaScript, of the palette that Ctrl+K opens.
///
/// `results` are a picture, what it is, a hint, an address.
pub fn search_results(
    lang: Lang,
    action: &str,
    query: &str,
    results: &[(Icon, String, String, String)],
) -> Markup {
    html! {
        form #palette.palette method="get" action=(action) role="search" data-enhance="#results" data-instant {
            (Icon::Search)
            label.hidden for="palette-q" { (t::search(lang)) }
            input #palette-q type="search" name="q" value=(query) autocomplete="off" autofocus placeholder=(t::search_hint(lang));
            button.button.primary { (t::search(lang)) }
        }
        ul #results.results {
            @for (icon, title, hint, href) in results {
                li { a href=(href) { (icon) span { strong { (title) } small { (hint) } } } }
            }
            @if results.is_empty() && !query.is_empty() { li.nothing { (t::nothing_found(lang)) } }
        }
    }
}
