//! Files that are not the one and only: an old image is written back, a card is cloned and both run, a copy is put back in the proper way,
//! the hub's file is an old one. Histories that part are found, said in words, and never merged; what was acknowledged stays.

use std::{fs, path::Path, thread};

use e2e::{Edge, EdgeOptions, until};
use serde_json::json;

use super::{
    Apart, SOON_S, alone, checker, herd,
    ledger::Ledger,
    people::{Browser, Work},
    sound,
};
use crate::web;

/// Milks a cow at the farm's appliance.
fn milk(apart: &Apart, work: &Work<'_>, tag: &str) {
    let (near, door) = (&apart.link.near, apart.edge.mqtt);
    near.within(|| work.milk_once(door, tag));
}

/// Waits until an appliance says what it is in trouble with.
fn trouble(edge: &Edge, what: &str) {
    until(what, SOON_S, || {
        let said = edge.command(&["hub", "status"], "");
        said.contains(&format!("trouble   {what}\n")).then_some(())
    });
}

/// What the appliance's page about the hub says.
fn hub_page(apart: &Apart, edge: &Edge) -> String {
    let (web, file) = (edge.web, edge.database());
    apart.link.near.within(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let browser = Browser::at_the_edge(web, file).await;
            browser.page("/hub").await
        })
    })
}

/// Another appliance of the farm, which begins with an empty file.
pub(super) fn fresh(apart: &Apart) -> Edge {
    Edge::start(&EdgeOptions {
        within: Some(apart.link.near.clone()),
        ..EdgeOptions::default()
    })
}

#[test]
fn an_old_image_that_is_written_back_is_found_and_a_fresh_file_gets_all_back() {
    let mut apart = Apart::joined(1);
    let ledger = Ledger::default();
    let work = Work::new(&ledger);
    let tags = herd(&apart, &ledger);
    milk(&apart, &work, &tags[0]);
    apart.come_together(SOON_S);
    apart.edge.stop();
    let image = apart.edge.cloned();
    apart.edge.spawn();
    apart.edge.wait_ready();
    for tag in &tags {
        milk(&apart, &work, tag);
    }
    apart.come_together(SOON_S);
    let hub = apart.at_the_hub();
    let before = checker::content(&hub).unwrap();

    apart.edge.stop();
    apart.edge.restore(&image);
    apart.edge.spawn();
    apart.edge.wait_ready();
    // It says other things under the numbers that it has used before.
    let other = Ledger::default();
    let after = Work::new(&other);
    for tag in &tags[..4] {
        milk(&apart, &after, tag);
    }
    trouble(&apart.edge, "copied");
    let page = hub_page(&apart, &apart.edge);
    assert!(page.contains("restored or copied"), "{page}");
    assert!(
        checker::content(&hub).unwrap() == before,
        "nothing of it is merged"
    );

    // As the page says.
    let fresh = fresh(&apart);
    apart.enrol(&fresh);
    apart.comes_together(&fresh, SOON_S);
    sound(&ledger, &[&hub, &fresh.database()]);
}

#[test]
fn of_a_cloned_card_that_runs_twice_one_history_is_kept() {
    let mut apart = Apart::joined(1);
    let ledger = Ledger::default();
    let tags = herd(&apart, &ledger);
    apart.come_together(SOON_S);
    apart.edge.stop();
    let mut clone = apart.edge.cloned();
    for edge in [&mut apart.edge, &mut clone] {
        edge.spawn();
        edge.wait_ready();
    }
    let hub = apart.at_the_hub();
    // Both are heard by the same hub, under one name.
    thread::scope(|scope| {
        for (edge, name) in [(&apart.edge, "here"), (&clone, "there")] {
            let (near, tags) = (&apart.link.near, &tags);
            scope.spawn(move || {
                alone(near, async || {
                    let cow = json!([{ "number": "101", "name": name, "sex": "female", "status": "lactating" }]);
                    web::tell(edge, "/api/v1/animals", cow).await;
                    let ledger = Ledger::default();
                    let work = Work::new(&ledger);
                    tags.iter().for_each(|tag| work.milk_once(edge.mqtt, tag));
                });
            });
        }
    });
    let status = |edge: &Edge| edge.command(&["hub", "status"], "");
    let is_copied = |edge: &Edge| status(edge).contains("trouble   copied\n");
    let has_said_all = |edge: &Edge| {
        let said = status(edge);
        said.contains("waiting   0\n") && said.contains("current   true\n")
    };
    until("a copy to be found, and nobody to wait", SOON_S, || {
        let (here, there) = (is_copied(&apart.edge), is_copied(&clone));
        let done = (here || has_said_all(&apart.edge)) && (there || has_said_all(&clone));
        ((here || there) && done).then_some(())
    });
    let all = [&apart.edge, &clone];
    for edge in all.into_iter().filter(|edge| is_copied(edge)) {
        assert!(hub_page(&apart, edge).contains("restored or copied"));
    }
    let [here, there, held] = [&apart.edge.database(), &clone.database(), &hub]
        .map(|path| checker::content(path).unwrap());
    for table in ["animal", "animal_event", "audit", "milking"] {
        let is_of = |one: &checker::Content, row: &String| one[table].contains(row);
        let theirs = held[table]
            .iter()
            .filter(|row| is_of(&here, row) || is_of(&there, row));
        let theirs: Vec<&String> = theirs.collect();
        let all_of = |one: &checker::Content| theirs.iter().all(|row| is_of(one, row));
        assert!(
            all_of(&here) || all_of(&there),
            "{table} is of both: {theirs:#?}"
        );
    }
    // Whoever was not found goes on as the farm's one appliance.
    for edge in all.into_iter().filter(|edge| !is_copied(edge)) {
        apart.comes_together(edge, SOON_S);
    }
}

#[test]
fn a_copy_that_was_made_properly_goes_on_beside_what_its_original_said() {
    let mut apart = Apart::joined(1);
    let ledger = Ledger::default();
    let work = Work::new(&ledger);
    let tags = herd(&apart, &ledger);
    milk(&apart, &work, &tags[0]);
    let copy = apart.edge.dir.path().join("copy.db");
    apart
        .edge
        .command(&["backup", "--to", copy.to_str().unwrap()], "");
    for tag in &tags {
        milk(&apart, &work, tag);
    }
    apart.come_together(SOON_S);

    apart.edge.kill();
    let data = apart.edge.database();
    for end in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{end}", data.display()));
    }
    fs::rename(&copy, &data).unwrap();
    apart.edge.spawn();
    apart.edge.wait_ready();
    milk(&apart, &work, &tags[1]);
    apart.enrol(&apart.edge);
    apart.comes_together(&apart.edge, SOON_S);
    sound(&ledger, &[&apart.at_the_hub(), &data]);
}

#[test]
fn an_old_file_at_the_hub_is_filled_again_or_found() {
    let mut apart = Apart::joined(1);
    let ledger = Ledger::default();
    let work = Work::new(&ledger);
    let tags = herd(&apart, &ledger);
    apart.come_together(SOON_S);
    let hub = apart.at_the_hub();
    let old = apart.hub.dir.path().join("old.db");
    let replace = |apart: &mut Apart| {
        apart.hub.kill();
        for end in ["-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{end}", hub.display()));
        }
        fs::copy(&old, &hub).unwrap();
        apart.hub.spawn();
    };
    image(&hub, &old);
    // What the appliance alone had said comes again.
    for tag in &tags {
        milk(&apart, &work, tag);
    }
    apart.come_together(SOON_S);
    replace(&mut apart);
    milk(&apart, &work, &tags[0]);
    apart.come_together(SOON_S);
    sound(&ledger, &[&hub, &apart.edge.database()]);

    // What the hub had said itself does not: the appliance holds it, and says so.
    let (far, web, farm) = (apart.link.far.clone(), apart.hub.web, apart.farm.clone());
    alone(&far, async || {
        let mut browser = Browser::at_the_hub(web, &farm, hub.clone()).await;
        work.enter(&mut browser, 1).await.expect("the hub takes it");
    });
    apart.come_together(SOON_S);
    replace(&mut apart);
    milk(&apart, &work, &tags[0]);
    trouble(&apart.edge, "hub_restored");
    let page = hub_page(&apart, &apart.edge);
    assert!(page.contains("was restored from a backup"), "{page}");
    // The appliance works on, with all that was ever acknowledged.
    milk(&apart, &work, &tags[0]);
    sound(&ledger, &[&apart.edge.database()]);
}

/// An image of a database that is open elsewhere.
fn image(of: &Path, to: &Path) {
    let conn = rusqlite::Connection::open(of).unwrap();
    conn.execute("VACUUM INTO ?1", [to.to_str().unwrap()])
        .unwrap();
}
