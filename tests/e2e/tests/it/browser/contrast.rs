//! Every text can be told from what is behind it, in the light and in the dark (WCAG 2.2, 1.4.3).
//!
//! `KHAMAR_AXE` may name a copy of axe-core's `axe.min.js`, which then judges every page, too. It is no Debian package, so
//! nothing here depends on it.

use e2e::{browser::PHONE, edge::OWNER};
use serde_json::{Value, json};

use super::{Visit, walk};

/// Texts that stand out too little, each with its ratio: below 4.5, or 3 for what is large.
const FAINT: &str = r#"
const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
const read = (colour) => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
  return [r, g, b, a / 255];
};
const over = ([r, g, b, a], under) => [r, g, b].map((c, i) => c * a + under[i] * (1 - a)).concat(1);
const light = ([r, g, b]) => {
  const [x, y, z] = [r, g, b].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * x + 0.7152 * y + 0.0722 * z;
};
const ratio = (a, b) => {
  const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
  return (x + 0.05) / (y + 0.05);
};
// All that may be behind an element: one colour, or each of a pattern's.
const behind = (el) => {
  const layers = [];
  for (let at = el; at; at = at.parentElement) {
    const style = getComputedStyle(at), image = style.backgroundImage;
    const colour = read(style.backgroundColor);
    const drawn = at.matches("select") ? [] : (image.match(/(rgba?|color)\([^)]*\)|#[0-9a-f]+/g) ?? []).map(read);
    layers.push(colour[3] > 0 ? [...drawn, colour] : [...drawn]);
    if (colour[3] === 1) break;
  }
  let grounds = [[255, 255, 255, 1]];
  for (const layer of layers.reverse()) {
    if (!layer.length) continue;
    grounds = layer.flatMap((colour) => grounds.map((ground) => over(colour, ground)));
  }
  return grounds;
};
const faint = new Map();
const judge = (el, colour, text) => {
  if (el.closest(":disabled, [aria-busy=true], [aria-disabled=true]")) return;
  const style = getComputedStyle(el), size = parseFloat(style.fontSize), bold = +style.fontWeight >= 700;
  let opacity = 1;
  for (let at = el; at; at = at.parentElement) opacity *= +getComputedStyle(at).opacity;
  const [r, g, b, a] = read(colour);
  const needed = size >= 24 || (bold && size >= 18.66) ? 3 : 4.5;
  const worst = Math.min(...behind(el).map((ground) => ratio(over([r, g, b, a * opacity], ground), ground)));
  if (worst < needed - 0.01) faint.set(el.outerHTML.slice(0, 120), `${worst.toFixed(2)} of ${needed}: «${text.trim().slice(0, 40)}»`);
};
const look = (root) => {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, el = node.parentElement;
    if (!node.data.trim() || el.closest("script, style, option, title, desc")) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    if (box.width < 2 || !el.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
    if (el.closest(".quietly, .skip, caption")) continue;
    const style = getComputedStyle(el);
    judge(el, el.namespaceURI.endsWith("svg") ? style.fill : style.color, node.data);
  }
  for (const field of root.querySelectorAll("input:not([type=hidden], [type=radio], [type=checkbox]), select, textarea")) {
    if (!field.checkVisibility()) continue;
    judge(field, getComputedStyle(field).color, field.value);
    if (field.placeholder) judge(field, getComputedStyle(field, "::placeholder").color, field.placeholder);
  }
};
for (const fold of document.querySelectorAll("details")) fold.open = true;
look(document.documentElement);
for (const dialog of document.querySelectorAll("dialog[id]:not(#overlay)")) {
  dialog.showModal();
  look(dialog);
  dialog.close();
}
return [...faint].map(([html, why]) => why + " in " + html);
"#;

const AXE: &str = r#"
const done = arguments[arguments.length - 1];
const tags = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"];
axe.run({ runOnly: { type: "tag", values: tags }, resultTypes: ["violations"] })
  .then((r) => done(r.violations.map((v) => v.id + ": " + v.nodes.length + " × " + v.nodes[0].html.slice(0, 160))));
"#;

#[tokio::test]
async fn every_text_stands_out_in_the_light_and_in_the_dark() {
    let axe = std::env::var("KHAMAR_AXE").ok();
    let axe = axe.map(|path| std::fs::read_to_string(path).expect("KHAMAR_AXE names a file"));
    let stocked = walk::stocked().await;
    let paths = walk::every_page(&stocked).await;
    let visit = Visit::begin(&stocked.edge, PHONE).await;
    visit.log_in(OWNER).await;
    let mut wrong = vec![];
    for theme in ["light", "dark"] {
        visit
            .prefer(&[
                ("prefers-color-scheme", theme),
                ("prefers-reduced-motion", "reduce"),
            ])
            .await;
        for path in &paths {
            visit.go(path).await;
            let mut note = |by: &str, found: Value| {
                let found = found.as_array().expect("a list").clone();
                wrong.extend(
                    found
                        .iter()
                        .map(|what| format!("{theme} {path}: {by}{what}")),
                );
            };
            if let Some(axe) = &axe {
                visit.run(axe).await;
                note("axe: ", visit.ask_later(AXE).await);
            }
            note("", visit.run(FAINT).await);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn a_faint_text_is_found() {
    let edge = e2e::Edge::start(&e2e::EdgeOptions::default());
    let visit = Visit::begin(&edge, PHONE).await;
    visit.prefer(&[("prefers-reduced-motion", "reduce")]).await;
    visit.go("/login").await;
    assert_eq!(visit.run(FAINT).await, json!([]));
    visit
        .run("document.querySelector('h1').style.color = '#d0d0d0'")
        .await;
    let found = visit.run(FAINT).await;
    assert_eq!(found.as_array().map(Vec::len), Some(1), "{found}");
}
