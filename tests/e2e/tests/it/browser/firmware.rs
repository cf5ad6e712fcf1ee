//! Firmware as a manager brings it to the nodes: a damaged file is refused, a good one offered, and the page shows it arrive.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use e2e::{browser::DESK, edge::OWNER};

use super::{
    Visit,
    devices::{choose_english, tap, until},
};
use crate::firmware::{Node, signed, start};

/// Chooses the vendor's file and sends it.
async fn upload(visit: &Visit<'_>, file: &Path) {
    let field = visit.see("#f-file").await;
    let path = file.to_str().expect("UTF-8");
    field.send_keys(path).await.unwrap();
    tap(visit, "#firmware-add button.primary").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_uploaded_offered_and_seen_to_arrive() {
    let edge = Arc::new(start());
    let good = signed(&edge, "2.0", 20_000);
    let damaged = edge.dir.path().join("damaged.khfw");
    let mut bytes = fs::read(&good).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&damaged, bytes).unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let life = std::thread::spawn({
        let (edge, is_over) = (Arc::clone(&edge), Arc::clone(&is_over));
        move || {
            let mut node = Node::new(&edge, "node-1");
            while !is_over.load(Ordering::Relaxed) {
                node.step(&edge);
            }
            node.version()
        }
    });

    let visit = Visit::begin(&edge, DESK).await;
    visit.log_in(OWNER).await;
    choose_english(&visit).await;
    visit.go("/devices/firmware").await;
    upload(&visit, &damaged).await;
    visit.see("#f-file-error").await;
    let error = visit.text("#f-file-error").await;
    assert!(error.contains("damaged"), "{error}");
    visit.picture("firmware-refused").await;
    assert!(visit.text("#firmware-images").await.contains("Refused"));

    upload(&visit, &good).await;
    let there = "document.querySelector('#firmware-images').innerText.includes('2.0 · node-c3')";
    until(&visit, "the image to be on the shelf", there).await;
    let greeted = "document.querySelector('#firmware-running')?.innerText.includes('1.0')";
    until(&visit, "the node to have greeted", greeted).await;
    tap(&visit, "details[id^=offer-] summary").await;
    tap(&visit, "details[id^=offer-] button.primary").await;
    // Nobody loads the page again: it follows by itself.
    let runs = "document.querySelector('#firmware-rollouts')?.innerText.includes('Runs it')";
    until(&visit, "the node to run it", runs).await;
    let version = "document.querySelector('#firmware-running')?.innerText.includes('2.0')";
    until(&visit, "the page to say who runs it", version).await;
    visit.picture("firmware-runs").await;
    is_over.store(true, Ordering::Relaxed);
    assert_eq!(life.join().unwrap(), "2.0");
}
