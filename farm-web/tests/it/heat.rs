//! The heat index on the pages: what it is, what it means, and what to do.

use farm::{
    Actor,
    devices::{self, DeviceForm},
    places, readings,
    text::{Name, Slug},
    watch,
};
use farm_model::{
    Body, Clock as _, DeviceId, DeviceKind, Link, Milli, Observation, PlaceKind, Quantity,
};

use crate::client::{As, Site};

/// A node in the barn that measures 35 °C and 70 %: an index of 88.9.
async fn hot_barn(site: &Site) -> DeviceId {
    let at = site.farm.clock().now();
    let told = site.farm.write(Actor::System, move |tx| {
        let slug = Slug::new("barn").unwrap();
        let place = places::ensure(tx, PlaceKind::Room, &slug).unwrap();
        let form = DeviceForm {
            slug,
            name: Name::new("Barn node").unwrap(),
            kind: DeviceKind::Sensor,
            link: Link::Http,
            place: Some(place),
            expect_every_s: Some(300),
        };
        let device = devices::add(tx, &form).unwrap();
        let halves = [
            (Quantity::Temperature, 35_000),
            (Quantity::Humidity, 70_000),
        ];
        let batch = halves.map(|(quantity, milli)| Observation {
            device,
            at,
            body: Body::measured(quantity, Milli(milli)),
            raw: Vec::new(),
            key: None,
        });
        readings::ingest(tx, &batch)?;
        Ok::<_, farm::StoreError>(device)
    });
    let device = told.await.unwrap();
    watch::round(&site.farm).await.unwrap();
    device
}

#[tokio::test]
async fn a_hot_barn_says_what_its_index_means_and_what_to_do() {
    let (site, seeded) = Site::full().await;
    let worker = As::Session(&seeded.worker);
    let device = hot_barn(&site).await;
    let sensors = site.get("/sensors", worker).await.text;
    assert!(
        sensors.contains("Heat index (THI)") && sensors.contains("88.9"),
        "{sensors}"
    );
    assert!(sensors.contains("severe heat stress"), "{sensors}");
    let path = format!("/sensors/{device}/thi");
    let series = site.get(&path, worker).await;
    assert_eq!(series.status, 200);
    assert!(series.text.contains("<svg"), "{}", series.text);
    let alerts = site.get("/alerts", worker).await.text;
    assert!(
        alerts.contains("Cows suffer from heat") && alerts.contains("heat index 88.9"),
        "{alerts}"
    );
    assert!(alerts.contains("Shade, fans"), "{alerts}");
    assert!(alerts.contains("href=\"/sensors\""), "{alerts}");
}
