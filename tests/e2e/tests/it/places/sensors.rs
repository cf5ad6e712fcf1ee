//! What sensors measure at the appliance, as the hub's pages show it; and what a new appliance gets back of it.

use std::path::Path;

use e2e::{Edge, EdgeOptions, until, until_async};
use farm::{
    devices,
    readings::{self, Resolution},
};
use farm_model::{Milli, Quantity, UnixMillis};
use serde_json::json;

use super::Places;
use crate::{
    store,
    web::{self, Manager},
};

const PROBE: &str = "tank-1-probe";
const MINUTE: i64 = 60_000;
/// The appliance moves readings every 20 seconds.
const PATIENCE_S: u64 = 90;

/// Tells the appliance of temperatures, each so many minutes ago.
async fn measure(edge: &Edge, told: &[(i64, f64)]) {
    let items: Vec<_> = told
        .iter()
        .map(|(ago, value)| {
            json!({ "device": PROBE, "quantity": "temperature", "value": value,
                "at": edge.farm_time() - ago * MINUTE, "id": format!("t-{ago}") })
        })
        .collect();
    web::tell(edge, "/api/v1/observations", json!(items)).await;
}

/// Beginning, readings, least, greatest and mean of each hour.
type Hour = (UnixMillis, i64, Option<Milli>, Option<Milli>, Option<Milli>);

fn hours(path: &Path) -> Vec<Hour> {
    let conn = store::open(path);
    let Some(probe) = devices::find(&conn, PROBE).unwrap_or_default() else {
        return Vec::new();
    };
    let (from, to) = (UnixMillis(0), UnixMillis(i64::MAX));
    let (quantity, by) = (Quantity::Temperature, Resolution::Hour);
    let points = readings::history(&conn, probe.id, quantity, from, to, by).unwrap();
    let points = points.into_iter();
    points.map(|p| (p.at, p.n, p.min, p.max, p.value)).collect()
}

/// Waits until the farm's page at the hub shows a text.
async fn shown(manager: &Manager<'_>, path: &str, text: &str) -> String {
    until_async(&format!("{text} on {path}"), PATIENCE_S, async || {
        let page = manager.page(path).await;
        page.contains(text).then_some(page)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_is_seen_at_the_hub_and_nothing_of_it_is_lost_or_doubled() {
    let mut places = Places::joined();
    let probe = json!([{ "slug": PROBE, "name": "Milk probe", "kind": "temperature_probe", "link": { "transport": "http" },
        "place": { "kind": "tank", "slug": "1" }, "expect_every_s": 60 }]);
    web::tell(&places.edge, "/api/v1/devices", probe).await;
    measure(&places.edge, &[(180, 4.1)]).await;
    {
        let manager = Manager::log_in(&places.hub, &places.farm).await;
        let page = shown(&manager, "/sensors", "4.1").await;
        assert!(page.contains("3 hours ago"), "with its age: {page}");
        assert!(page.contains("Milk probe"));
        let page = shown(&manager, "/tanks", "4.1").await;
        assert!(page.contains("3 hours ago"), "with its age: {page}");
        let page = manager.page("/devices").await;
        assert!(
            page.contains("1 working") && !page.contains("Never heard"),
            "the word of an hour ago is no silence: {page}"
        );
    }

    places.line.cut();
    let apart: Vec<_> = (0..100)
        .map(|n| (170 - n, 3.5 + n as f64 / 100.0))
        .collect();
    let (before, after) = apart.split_at(60);
    measure(&places.edge, before).await;
    places.edge.kill();
    places.edge.spawn();
    places.edge.wait_ready();
    measure(&places.edge, after).await;
    // Told again: it is known.
    measure(&places.edge, after).await;
    places.hub.kill();
    places.hub.spawn();
    places.line.mend();
    places.edge.command(&["hub", "send"], "");
    let manager = Manager::log_in(&places.hub, &places.farm).await;
    shown(&manager, "/sensors", "4.5 °C").await;
    let whole = until("the same at both ends", PATIENCE_S, || {
        let here = hours(&places.edge.database());
        (here == hours(&places.hub.database()?)).then_some(here)
    });
    let readings: i64 = whole.iter().map(|(_, n, ..)| n).sum();
    assert_eq!(readings, 101);

    // Another appliance in its place.
    let old = std::mem::replace(&mut places.edge, Edge::start(&EdgeOptions::default()));
    drop(old);
    places.enrol();
    until("the history to come back", PATIENCE_S, || {
        (hours(&places.edge.database()) == whole).then_some(())
    });
}
