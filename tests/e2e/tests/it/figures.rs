//! Many look on at once. What it costs is measured by the benchmarks; here it only has to work.

use std::time::Duration;

use e2e::{Edge, EdgeOptions};
use futures_util::{StreamExt, future::join_all};
use serde_json::json;

use crate::web::{self, Visitor};

/// Staff of a large farm, each with a phone.
const PHONES: usize = 50;

#[tokio::test]
async fn fifty_phones_see_a_reading_soon_after_it_was_told() {
    let edge = Edge::start(&EdgeOptions::default());
    let device = json!([{ "slug": "shed", "kind": "sensor", "link": { "transport": "http" }, "place": { "kind": "room", "slug": "shed" } }]);
    web::tell(&edge, "/api/v1/devices", device).await;
    let reading =
        |value: f64| json!([{ "device": "shed", "quantity": "temperature", "value": value }]);
    web::tell(&edge, "/api/v1/observations", reading(11.1)).await;
    let worker = Visitor::log_in(&edge, e2e::edge::WORKER).await;

    let phones = join_all((0..PHONES).map(|_| async {
        let answer = worker.get("/live?topics=sensors").send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let mut stream = answer.bytes_stream();
        // The first bytes say that the phone is followed from here on.
        stream.next().await.unwrap().unwrap();
        stream
    }))
    .await;
    assert_eq!(phones.len(), PHONES);
    web::tell(&edge, "/api/v1/observations", reading(33.3)).await;
    let seen = join_all(phones.into_iter().map(|mut stream| async move {
        let mut heard = String::new();
        let listen = async {
            // Bengali comes first: ৩৩.৩.
            while !heard.contains("৩৩.৩") && !heard.contains("33.3") {
                let bytes = stream
                    .next()
                    .await
                    .expect("the stream goes on")
                    .expect("and holds");
                heard.push_str(&String::from_utf8_lossy(&bytes));
            }
        };
        tokio::time::timeout(Duration::from_secs(10), listen)
            .await
            .is_ok()
    }))
    .await;
    assert_eq!(
        seen.iter().filter(|s| **s).count(),
        PHONES,
        "every phone sees it"
    );
}
