//! Tidy rules: what a reviewer would say every time, said by a test.

use std::{path::PathBuf, process::Command};

use crate::process::root;

fn tracked(ending: &str) -> Vec<(PathBuf, String)> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git is installed");
    assert!(
        listed.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&listed.stderr)
    );
    String::from_utf8(listed.stdout)
        .expect("paths are UTF-8")
        .lines()
        .filter(|path| path.ends_with(ending) && root().join(path).exists())
        .map(|path| {
            (
                PathBuf::from(path),
                std::fs::read_to_string(root().join(path)).expect("a tracked file can be read"),
            )
        })
        .collect()
}

fn assert_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn every_module_says_what_it_is() {
    let silent: Vec<String> = tracked(".rs")
        .into_iter()
        .filter(|(_, text)| {
            !text
                .trim_start_matches("#![no_main]")
                .trim_start()
                .starts_with("//!")
        })
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert_none("modules without a //! line", &silent);
}

#[test]
fn no_file_outgrows_one_idea() {
    let long: Vec<String> = tracked(".rs")
        .into_iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > 700)
        .map(|(path, lines)| format!("{}: {lines} lines", path.display()))
        .collect();
    assert_none("files over 700 lines", &long);
}

#[test]
fn no_test_is_switched_off_and_no_note_is_left() {
    let ignore = concat!("#[", "ignore");
    let marks = [
        ignore,
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
        concat!("mod", ".rs"),
    ];
    let mut found = Vec::new();
    for (path, text) in tracked(".rs") {
        for (number, line) in text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                found.push(format!(
                    "{}:{}: {}",
                    path.display(),
                    number + 1,
                    line.trim()
                ));
            }
        }
        if path.ends_with(concat!("mod", ".rs")) {
            found.push(format!("{}: write foo.rs beside foo/", path.display()));
        }
    }
    assert_none("left-overs", &found);
}

#[test]
fn no_merge_is_left_half_done() {
    let marks = ["<".repeat(7), ">".repeat(7)].map(|mark| mark + " ");
    let mut found = Vec::new();
    for ending in [".rs", ".md", ".toml", ".sql", ".js", ".css", ".json", ".py"] {
        for (path, text) in tracked(ending) {
            let lines = text.lines().enumerate();
            let marked = lines.filter(|(_, line)| marks.iter().any(|mark| line.starts_with(mark)));
            found.extend(marked.map(|(number, _)| format!("{}:{}", path.display(), number + 1)));
        }
    }
    assert_none("marks of a merge", &found);
}

#[test]
fn every_crate_takes_the_workspace_lints() {
    /// These call into C (the loader of cr-sqlite, the disk of SQLite's tests): tables of their own, in which each such call is excused.
    const INTO_C: [&str; 2] = ["sync/crsqlite", "tests/disk"];
    let own = [
        "unsafe_code = \"deny\"",
        "undocumented_unsafe_blocks = \"deny\"",
    ];
    let lax: Vec<String> = tracked("Cargo.toml")
        .into_iter()
        .filter(|(path, text)| {
            let takes = if INTO_C.iter().any(|folder| path.starts_with(folder)) {
                own.iter().all(|lint| text.contains(lint))
            } else {
                text.contains("[lints]\nworkspace = true")
            };
            text.contains("[package]")
                && !path.starts_with("tests/bare")
                && !path.starts_with("tests/fuzz")
                && !takes
        })
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert_none("crates without the workspace lints", &lax);
}

#[test]
fn documents_link_to_files_that_exist() {
    let mut broken = Vec::new();
    for (path, text) in tracked(".md") {
        let folder = path.parent().map_or_else(root, |p| root().join(p));
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let target = link.split('#').next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !folder.join(target).exists() {
                broken.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert_none("links to nowhere", &broken);
}
