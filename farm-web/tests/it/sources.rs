//! What the sources of the pages must not contain.

use std::{fs, path::Path};

/// What may have a rooted path in its brackets besides `to!`: the route table, and what looks at a request's own path.
const MAY: &[&str] = &[
    ".get",
    ".get_form",
    ".post",
    ".post_up_to",
    ".starts_with",
    "::from_static",
];

/// A rooted path in a source, with what opens the bracket around it: `to!` or `.get`.
#[derive(Debug, PartialEq)]
struct Rooted<'a> {
    within: &'a str,
    text: &'a str,
}

/// String literals of `source` that begin with `/`, outside tests and comments.
fn rooted(source: &str) -> Vec<Rooted<'_>> {
    let source = source.split("#[cfg(test)]").next().unwrap_or(source);
    let mut found = Vec::new();
    let mut open = Vec::new();
    let mut at = 0;
    while let Some(byte) = source.as_bytes().get(at) {
        match byte {
            b'/' if source[at..].starts_with("//") => {
                at += source[at..].find('\n').unwrap_or(source.len() - at);
            }
            b'\'' if source[at..].starts_with("'\"'") => at += 2,
            b'(' => open.push(at),
            b')' => drop(open.pop()),
            b'"' => {
                let text = &source[at + 1..at + 1 + length(&source[at + 1..])];
                if text.starts_with('/') {
                    let within = open.last().map_or("", |at| called(&source[..*at]));
                    found.push(Rooted { within, text });
                }
                at += text.len() + 1;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// How long a string literal is that begins here.
fn length(rest: &str) -> usize {
    let mut escaped = false;
    rest.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })
    .unwrap_or(rest.len())
}

/// The name that stands before a bracket.
fn called(before: &str) -> &str {
    let name = |c: char| c.is_alphanumeric() || "_!.:".contains(c);
    before.rsplit(|c| !name(c)).next().unwrap_or_default()
}

#[test]
fn rooted_paths_are_found_with_what_they_stand_in() {
    let found = |source| rooted(source).first().map(|r| (r.within, r.text));
    for (source, expected) in [
        ("a href=\"/herd\" { }", Some(("", "/herd"))),
        ("a href=(to!(\"/herd\"))", Some(("to!", "/herd"))),
        (
            "r.get(a, \"/herd/{id}\", page)",
            Some(("r.get", "/herd/{id}")),
        ),
        (
            ".get(\n    Needs::Role(W),\n    \"/a\",",
            Some((".get", "/a")),
        ),
        ("html! { x(\"a/b\") } // \"/herd\"", None),
    ] {
        assert_eq!(found(source), expected, "{source}");
    }
}

/// A page that wrote `/herd` itself would lead out of the farm wherever it is not served at `/`.
#[test]
fn no_page_writes_a_rooted_path_by_hand() {
    let mut wrong = Vec::new();
    let mut read = 0;
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![src.join("pages")];
    let mut files = vec![
        src.join("present.rs"),
        src.join("lang.rs"),
        src.join("auth.rs"),
    ];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                &mut folders
            } else {
                &mut files
            }
            .push(path);
        }
    }
    for file in files {
        let source = fs::read_to_string(&file).unwrap();
        for Rooted { within, text } in rooted(&source) {
            read += 1;
            let may = MAY.iter().any(|name| within.ends_with(name));
            if within != "to!" && !may && !text.starts_with("/dev/") {
                wrong.push(format!("{}: \"{text}\" in {within:?}", file.display()));
            }
        }
    }
    assert!(
        read > 200,
        "only {read} paths were read: the test looks in the wrong place"
    );
    assert!(
        wrong.is_empty(),
        "write to!(\"/path\"):\n{}",
        wrong.join("\n")
    );
}
