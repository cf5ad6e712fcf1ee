//! `edge.weight`: what Parlour's first view costs a phone's data plan: the page and all it asks for, heads included.
//!
//! Compressed as Chromium asks over plain HTTP, where it offers gzip and no Brotli.

use std::collections::BTreeSet;

use anyhow::ensure;
use e2e::{Edge, edge::WORKER};

use crate::{
    demo::Demo,
    figure::{Figure, note},
    http::{self, log_in},
};

pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let demo = Demo::start(1.0, 0)?;
    let cookie = tokio::runtime::Runtime::new()?.block_on(log_in(&demo.edge.url(""), WORKER))?;
    let mut sum = 0;
    let mut todo = vec!["/parlour".to_owned()];
    let mut seen = BTreeSet::new();
    while let Some(path) = todo.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let (wire, text) = fetch(&demo.edge, &path, &cookie)?;
        note(format_args!("edge.weight: {wire:>6} bytes {path}"));
        sum += wire;
        todo.extend(asked_for(&text));
    }
    ensure!(
        seen.len() > 2,
        "the page asks for no styles and scripts: {seen:?}"
    );
    Ok(vec![
        Figure::new("edge.weight", sum as f64 / 1000.0, "kB").goal(60.0),
    ])
}

/// Bytes over the wire, and the text of the same answer uncompressed.
fn fetch(edge: &Edge, path: &str, cookie: &str) -> anyhow::Result<(usize, String)> {
    let cookie = format!("Cookie: {cookie}\r\n");
    let wire = http::get(
        edge.web,
        path,
        &format!("{cookie}Accept-Encoding: gzip, deflate\r\n"),
    )?;
    let plain = http::get(edge.web, path, &cookie)?;
    ensure!(
        wire.status == 200,
        "{path} was answered with {}",
        wire.status
    );
    Ok((
        wire.on_the_wire(),
        String::from_utf8_lossy(&plain.body).into_owned(),
    ))
}

/// Addresses of this origin that a browser loads by itself from a page or a style sheet.
fn asked_for(text: &str) -> Vec<String> {
    let loading = ["<link ", "<script ", "<img ", "<source ", "<use "];
    let tags = loading
        .iter()
        .flat_map(|open| text.split(open).skip(1))
        .filter_map(|rest| rest.split('>').next());
    let attributes = tags.flat_map(|tag| {
        ["href=\"", "src=\""]
            .into_iter()
            .filter_map(move |name| tag.split(name).nth(1)?.split('"').next())
    });
    let styles = text
        .split("url(")
        .skip(1)
        .filter_map(|rest| Some(rest.split(')').next()?.trim_matches(['"', '\''])));
    attributes
        .chain(styles)
        .filter(|address| address.starts_with('/'))
        .map(|address| address.split('#').next().unwrap_or(address).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::asked_for;

    #[test]
    fn what_a_browser_loads_is_found_and_links_are_not() {
        let page = r#"<link rel="stylesheet" href="/assets/a.css"><a href="/herd">Herd</a><script src="/assets/l.js" defer></script>
            <svg><use href="/assets/i.svg#cow"></use></svg>"#;
        assert_eq!(
            asked_for(page),
            ["/assets/a.css", "/assets/l.js", "/assets/i.svg"]
        );
        assert_eq!(
            asked_for("@font-face { src: url(/assets/f.woff2) }"),
            ["/assets/f.woff2"]
        );
    }
}
