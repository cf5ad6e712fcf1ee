//! Parts that hand something over to another machine: a text to copy, a code to scan, a camera that scans one.
//!
//! All of them stand without JavaScript: the text can be selected, the code is a picture, and what a camera would read can
//! be typed. Buttons that need JavaScript are hidden until it is there.

use maud::{Markup, html};
use qrcode::{Color, QrCode};

use crate::{Lang, assets, components::Button, icons::Icon, t};

/// A text in the machine's letters with a button that copies it. `id` is the element's.
pub fn copyable(lang: Lang, id: &str, text: &str) -> Markup {
    html! {
        div.copyable {
            code id=(id) tabindex="0" { (text) }
            button.button.secondary type="button" hidden data-copy=(id) data-done=(t::copied(lang)) { (Icon::Copy) span { (t::copy(lang)) } }
        }
    }
}

/// The address of the page itself with a button that copies it, with what stands behind its `#`, which the server never hears.
/// Hidden where there is no JavaScript: then the browser's own bar has it.
pub fn copyable_here(lang: Lang, id: &str) -> Markup {
    html! {
        div.copyable hidden data-here=(id) {
            code id=(id) tabindex="0" {}
            button.button.secondary type="button" data-copy=(id) data-done=(t::copied(lang)) { (Icon::Copy) span { (t::copy(lang)) } }
        }
    }
}

/// `text` as a QR code, black on white in every theme; `None` when it is too long for one.
pub fn qr(label: &str, text: &str) -> Option<Markup> {
    let code = QrCode::new(text.as_bytes()).ok()?;
    let width = code.width();
    let mut path = String::new();
    for (i, color) in code.to_colors().into_iter().enumerate() {
        if color == Color::Dark {
            path.push_str(&format!("M{} {}h1v1h-1z", i % width + 4, i / width + 4));
        }
    }
    // Four modules of white on each side, as the standard asks.
    let view = format!("0 0 {0} {0}", width + 8);
    Some(html! {
        svg.qr viewBox=(view) role="img" aria-label=(label) shape-rendering="crispEdges" {
            rect width="100%" height="100%" fill="#fff" {}
            path d=(path) fill="#000" {}
        }
    })
}

/// A button that fills `field` from a QR code before the camera and sends the form; hidden where the browser cannot.
pub fn scanner(lang: Lang, field: &str) -> Markup {
    html! {
        button.button.secondary type="button" hidden data-scan={ "f-" (field) } { (Icon::Search) span { (t::scan(lang)) } }
        dialog.dialog #scan aria-label=(t::scan(lang)) {
            video muted playsinline {}
            div.actions { (Button::secondary(t::cancel(lang)).href("#")) }
        }
        script defer src=(assets::url("scan.js")) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_its_three_corners_and_a_white_rim() {
        let html = qr("a code", "mqtt://stall-1:secret@10.0.0.5:1883")
            .unwrap()
            .into_string();
        // Version 3 is 29 modules wide.
        assert!(html.contains("viewBox=\"0 0 37 37\""), "{html}");
        for corner in ["M4 4h1", "M32 4h1", "M4 32h1"] {
            assert!(html.contains(corner), "{corner}");
        }
        assert!(!html.contains("M32 32h1v1h-1zM33") && !html.contains("M3 "));
        assert!(qr("too long", &"x".repeat(3000)).is_none());
    }
}
