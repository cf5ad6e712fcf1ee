//! What holds on every page: nothing sticks out, nothing fails, nothing comes from elsewhere, everything has a name.

use serde_json::{Value, json};

use super::Visit;

/// Pages of which there is one.
const PAGES: [&str; 20] = [
    "/",
    "/parlour",
    "/parlour/1",
    "/record",
    "/herd",
    "/herd/new",
    "/milkings",
    "/tanks",
    "/sensors",
    "/inbox",
    "/alerts",
    "/devices",
    "/devices/new",
    "/devices/join",
    "/devices/refused",
    "/staff",
    "/settings",
    "/about",
    "/health",
    "/search",
];

/// Own checks of a page, in the browser: a list of what is wrong.
pub(super) const SOUND: &str = r##"
const wrong = [];
const root = document.documentElement;
if (root.scrollWidth > root.clientWidth) {
  const wide = [...document.querySelectorAll("main *")].filter((el) => el.getBoundingClientRect().right > root.clientWidth + 1);
  wrong.push("sticks out: " + root.scrollWidth + " px of " + root.clientWidth + ", " + (wide.at(-1)?.outerHTML.slice(0, 160) ?? ""));
}
if (!["bn", "en"].includes(root.lang)) wrong.push("no language");
if (!document.title.trim()) wrong.push("no title");
if (document.querySelectorAll("main").length !== 1) wrong.push("not one main landmark");
if (document.querySelectorAll("h1").length !== 1) wrong.push(document.querySelectorAll("h1").length + " first headings");
const shown = (el) => el.checkVisibility();
let level = 0;
for (const heading of [...document.querySelectorAll("main :is(h1, h2, h3, h4, h5, h6)")].filter(shown)) {
  const now = +heading.tagName[1];
  if (now > level + 1) wrong.push("heading skips a level: " + heading.outerHTML.slice(0, 80));
  level = now;
}
const ids = [...document.querySelectorAll("[id]")].map((el) => el.id);
for (const id of new Set(ids.filter((id, i) => ids.indexOf(id) !== i))) wrong.push("two elements are called " + id);
const named = (el) => {
  const by = el.getAttribute("aria-labelledby");
  return (el.getAttribute("aria-label") || (by && by.split(" ").some((id) => document.getElementById(id)?.textContent.trim()))
    || el.textContent.trim() || el.title || [...(el.labels || [])].some((l) => l.textContent.trim())
    || [...el.querySelectorAll("img[alt], svg[aria-label]")].some((i) => i.alt || i.getAttribute("aria-label")));
};
for (const el of document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")) {
  if (shown(el) && !named(el)) wrong.push("no name: " + el.outerHTML.slice(0, 120));
}
for (const img of document.querySelectorAll("img:not([alt])")) wrong.push("no alt: " + img.outerHTML.slice(0, 80));
for (const entry of performance.getEntriesByType("resource")) {
  if (new URL(entry.name).origin !== location.origin) wrong.push("from elsewhere: " + entry.name);
}
return wrong;
"##;

/// Looks at every page; `name` is that of the screen.
pub(super) async fn check(visit: &Visit<'_>, name: &str) {
    let mut wrong = vec![];
    let mut paths: Vec<String> = PAGES.map(str::to_owned).into();
    for list in ["/herd", "/milkings", "/tanks", "/devices", "/record"] {
        visit.go(list).await;
        let link = format!("main a[href^='{list}/']:not([href$='/new']):not([href*='export'])");
        let first = format!(
            "return document.querySelector({})?.getAttribute('href')",
            json!(link)
        );
        paths.extend(visit.run(&first).await.as_str().map(str::to_owned));
    }
    for path in &paths {
        visit.go(path).await;
        if let Value::Array(found) = visit.run(SOUND).await {
            wrong.extend(found.iter().map(|what| format!("{path}: {what}")));
        }
        let picture = path
            .split('/')
            .filter(|part| part.len() < 20 && !part.is_empty())
            .collect::<Vec<_>>()
            .join("-");
        visit
            .picture(&format!(
                "{name}-{}",
                if picture.is_empty() { "home" } else { &picture }
            ))
            .await;
    }
    wrong.extend(console(visit).await);
    assert!(wrong.is_empty(), "{name}: {wrong:#?}");
}

/// What the browser complained of since it was started: scripts that failed, requests refused by the page's policy.
async fn console(visit: &Visit<'_>) -> Vec<String> {
    let entries = visit.driver("se/log", json!({ "type": "browser" })).await;
    let entries = entries.as_array().expect("the log can be read");
    entries
        .iter()
        .filter(|entry| entry["level"] == "SEVERE")
        .map(|entry| format!("console: {}", entry["message"]))
        .collect()
}
