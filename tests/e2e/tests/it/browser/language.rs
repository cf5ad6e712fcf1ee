//! A Bengali page is Bengali: what else stands on it is a name, a unit or what somebody typed.

use e2e::{
    Edge, EdgeOptions,
    browser::NARROW,
    edge::{OWNER, WORKER},
};
use serde_json::{Value, json};

use super::{Visit, add_cow, pages, walk};

/// Words in Latin letters that are at home on a Bengali page: units, keys, names of files, protocols, programs, makers,
/// languages and time zones.
const AT_HOME: &str = "dBm mS cm Ctrl K CSV MQTT ChirpStack JSON API THI \
    UHF RDM Allflex LA BB E Asia Dhaka English khfw";

/// Texts and names of what is shown, each with where it stands. Data is what `data` lists, `code`, and another language.
const FOREIGN: &str = r#"
const [atHome, data] = arguments;
const known = new Set([...atHome.split(" "), ...data.split(" ")]);
const wrong = new Set();
const look = (text, el) => {
  if (el.closest("[lang]:not(html), code, .tag-number, script, style")) return;
  // What machines are called (east-tank, WL-134A), their paths and addresses, and the places of a template are data wherever
  // they stand.
  const said = text.replace(/https?:\/\/[\w.-]+|\{\w+\}|\/[\w/]+|[A-Za-z0-9]+(-[A-Za-z0-9]+)+/g, "");
  for (const word of said.match(/[A-Za-z]+/g) ?? []) {
    if (!known.has(word)) wrong.add(word + " in «" + text.trim().slice(0, 80) + "»");
  }
};
const walker = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) look(walker.currentNode.data, walker.currentNode.parentElement);
for (const el of document.querySelectorAll("[aria-label], [title], [alt], [placeholder], [data-label], [data-on], [data-off]")) {
  for (const name of ["aria-label", "title", "alt", "placeholder", "data-label", "data-on", "data-off"]) look(el.getAttribute(name) ?? "", el);
}
if (document.body.innerText.includes("পূর্বে")) wrong.add("an age in other words than the server's");
// Both kinds of digits in what is shown, but for what is typed into fields.
for (const line of document.body.innerText.split("\n")) {
  if (/[0-9]/.test(line) && /[০-৯]/.test(line)) wrong.add("mixed digits in «" + line.slice(0, 80) + "»");
}
return [...wrong];
"#;

/// The virtual farm's own words in Latin letters: breeds, groups, kinds of tags, names of programs.
const DATA: &str = "Holstein Friesian A B em bulls dry young test Local";

#[tokio::test]
async fn every_page_is_whole_in_both_languages_on_the_narrowest_phone() {
    let stocked = walk::stocked().await;
    let paths = walk::every_page(&stocked).await;
    let visit = Visit::begin(&stocked.edge, NARROW).await;
    visit.log_in(OWNER).await;
    let mut wrong = vec![];
    for lang in ["bn", "en"] {
        visit.cookie("lang", lang).await;
        for path in &paths {
            visit.go(path).await;
            let mut found = visit.run(pages::SOUND).await;
            note(&mut wrong, lang, path, &found);
            if lang == "bn" {
                found = visit.ask(FOREIGN, vec![json!(AT_HOME), json!(DATA)]).await;
                note(&mut wrong, lang, path, &found);
            }
        }
    }
    // A worker's first page is another, and some pages are not for workers.
    visit.log_in(WORKER).await;
    for lang in ["bn", "en"] {
        visit.cookie("lang", lang).await;
        for path in ["/", "/inbox"] {
            visit.go(path).await;
            note(&mut wrong, lang, path, &visit.run(pages::SOUND).await);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn note(wrong: &mut Vec<String>, lang: &str, path: &str, found: &Value) {
    let found = found.as_array().cloned().unwrap_or_default();
    wrong.extend(found.iter().map(|what| format!("{lang} {path}: {what}")));
}

/// Chooses a value as a date picker does.
async fn choose(visit: &Visit<'_>, field: &str, value: &str) -> String {
    let script = "const [css, value] = arguments, input = document.querySelector(css);
        input.value = value;
        input.dispatchEvent(new Event('input', { bubbles: true }));
        return input.nextElementSibling.innerText";
    let said = visit.ask(script, vec![json!(field), json!(value)]).await;
    said.as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_chosen_date_is_said_in_the_pages_own_form() {
    let edge = Edge::start(&EdgeOptions::default());
    add_cow(&edge).await;
    let visit = Visit::begin(&edge, NARROW).await;
    visit.log_in(WORKER).await;
    visit.go("/herd").await;
    let cow = visit
        .see("main tbody th a")
        .await
        .attr("href")
        .await
        .unwrap();
    let cow = cow.unwrap();
    for (lang, day, moment) in [
        ("bn", "শুক্রবার, ২ জানুয়ারি ২০২৬", "শুক্রবার, ২ জানুয়ারি ২০২৬, ১৬:০৫"),
        (
            "en",
            "Friday, 2 January 2026",
            "Friday, 2 January 2026, 16:05",
        ),
    ] {
        visit.cookie("lang", lang).await;
        visit.go(&format!("{cow}/events/heat")).await;
        visit.see("input[name=day] + .said").await;
        assert_eq!(choose(&visit, "input[name=day]", "2026-01-02").await, day);
        assert_eq!(choose(&visit, "input[name=day]", "").await, "");
        visit.go(&format!("{cow}/events/treatment")).await;
        visit.see("input[name=when] + .said").await;
        let said = choose(&visit, "input[name=when]", "2026-01-02T16:05").await;
        assert_eq!(said, moment);
    }
    visit.picture("date").await;
}
