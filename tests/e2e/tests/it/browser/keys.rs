//! The keyboard alone is enough (WCAG 2.2, 2.1.1, 2.4.1, 2.4.7, 2.4.11).

use e2e::{
    Edge, EdgeOptions,
    browser::DESK,
    edge::{OWNER, WORKER},
};
use fantoccini::key::Key;
use serde_json::json;

use super::{Visit, add_cow, press};

/// Whether what has the focus is in sight, marked, and hidden by nothing; else what is wrong with it.
const FOCUS: &str = r#"
const el = document.activeElement;
if (!el || el === document.body) return null;
const box = el.getBoundingClientRect(), at = el.outerHTML.slice(0, 100);
const outer = el.matches("input[type=radio]") ? el.closest(".tile") : el;
const style = getComputedStyle(outer);
if (parseFloat(style.outlineWidth) < 2 || style.outlineStyle === "none") return "no mark: " + at;
if (box.bottom < 1 || box.top > innerHeight - 1 || box.right < 1 || box.left > innerWidth - 1) return "out of sight: " + at;
const [x, y] = [Math.min(Math.max(box.left + box.width / 2, 1), innerWidth - 1), Math.min(Math.max(box.top + box.height / 2, 1), innerHeight - 1)];
const seen = document.elementFromPoint(x, y);
if (seen && !el.contains(seen) && !seen.contains(el) && !seen.closest(".tile")?.contains(el)) return "behind " + seen.outerHTML.slice(0, 60) + ": " + at;
return "";
"#;

#[tokio::test]
async fn the_keyboard_alone_is_enough_to_log_in() {
    let edge = Edge::start(&EdgeOptions::default());
    let visit = Visit::begin(&edge, DESK).await;
    visit.go("/login").await;
    // On to the tile that bears the worker's name, and through it.
    for _ in 0..20 {
        press(&visit, Key::Tab).await;
        let here = visit.run("return document.activeElement.innerText").await;
        if here.as_str().is_some_and(|text| text.contains(WORKER.0)) {
            break;
        }
    }
    press(&visit, Key::Enter).await;
    visit
        .see("input[name=pin]:focus")
        .await
        .send_keys(WORKER.1)
        .await
        .unwrap();
    press(&visit, Key::Enter).await;
    visit.see("nav.menu").await;
}

#[tokio::test]
async fn the_first_key_skips_the_menu() {
    let edge = Edge::start(&EdgeOptions::default());
    let visit = Visit::begin(&edge, DESK).await;
    visit.log_in(OWNER).await;
    visit.go("/herd").await;
    press(&visit, Key::Tab).await;
    visit.see("a.skip:focus").await;
    assert_eq!(visit.run(FOCUS).await, json!(""));
    press(&visit, Key::Enter).await;
    visit.see("main:focus").await;
    press(&visit, Key::Tab).await;
    let inside = "return document.activeElement.closest('main') !== null";
    assert_eq!(visit.run(inside).await, json!(true));
}

#[tokio::test]
async fn what_has_the_focus_is_marked_and_in_sight() {
    let edge = Edge::start(&EdgeOptions::default());
    add_cow(&edge).await;
    let visit = Visit::begin(&edge, DESK).await;
    visit.log_in(OWNER).await;
    let mut wrong = vec![];
    for path in [
        "/",
        "/record",
        "/herd",
        "/herd/new",
        "/settings",
        "/styleguide",
    ] {
        visit.go(path).await;
        for step in 0..120 {
            press(&visit, Key::Tab).await;
            match visit.run(FOCUS).await.as_str() {
                // Past the last: the focus has left the page.
                None => {
                    assert!(step > 3, "{path}: nothing can be reached");
                    break;
                }
                Some("") => {}
                Some(what) => wrong.push(format!("{path}: {what}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn escape_closes_what_lies_over_the_page() {
    let edge = Edge::start(&EdgeOptions::default());
    add_cow(&edge).await;
    let visit = Visit::begin(&edge, DESK).await;
    visit.log_in(OWNER).await;
    visit.go("/herd").await;
    visit.tap("main tbody th a").await;

    visit.tap("[data-opens=happened]").await;
    visit.see("dialog#happened[open]").await;
    press(&visit, Key::Escape).await;
    visit.see("dialog#happened:not([open])").await;
    visit.see("[data-opens=happened]:focus").await;

    visit.tap("details.user summary").await;
    visit.see("details.user[open]").await;
    press(&visit, Key::Escape).await;
    visit.see("details.user:not([open]) summary:focus").await;

    visit.tap("a[data-palette]").await;
    visit.see("dialog#overlay[open] input:focus").await;
    press(&visit, Key::Escape).await;
    visit.see("dialog#overlay:not([open])").await;
}
