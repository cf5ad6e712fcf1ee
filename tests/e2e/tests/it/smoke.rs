//! The main job once through: every kind of device is read, and a milking becomes one visit of the right cow.

use e2e::{Edge, EdgeOptions, Farm, FarmOptions, until};
use farm::readings;
use farm_model::Quantity;

use crate::store::{self, MORNING};

const SPEED: f64 = 60.0;
const COWS: u32 = 8;

#[test]
fn a_milking_becomes_one_visit_of_the_right_cow() {
    let dir = tempfile::tempdir().unwrap();
    let edge = Edge::start(&EdgeOptions {
        simulated: Some((MORNING, SPEED)),
        farm: Some(dir.path().to_owned()),
        ..EdgeOptions::default()
    });
    let options = FarmOptions {
        seed: 3,
        cows: COWS,
        speed: SPEED,
        start_ms: edge.farm_time(),
        more: vec![],
    };
    let farm = Farm::start_with(&options, dir, &edge);
    farm.wait_provisioned();

    let conn = store::open(&edge.database());
    for (what, device, quantity) in [
        ("Modbus RTU", "stall-1-meter", Quantity::MilkTotal),
        ("Modbus TCP", "stall-5-meter", Quantity::MilkTotal),
        (
            "Modbus TCP, floating point",
            "digester-gas",
            Quantity::Methane,
        ),
        ("1-wire", "tank-1-probe", Quantity::Temperature),
        ("MQTT", "barn-a-mqtt", Quantity::Temperature),
        ("MQTT", "tank-1-mqtt", Quantity::Level),
    ] {
        until(what, 20, || {
            let values = store::series(&conn, device, quantity);
            values.iter().any(Option::is_some).then_some(())
        });
    }
    for reader in ["stall-1-reader", "stall-4-reader", "stall-7-reader"] {
        let device = farm::devices::find(&conn, reader).unwrap().unwrap();
        until(reader, 20, || readings::last_tag(&conn, device.id).unwrap());
    }

    let differences = store::differences_at_the_end(&edge, &farm, COWS as usize, 60);
    assert!(differences.is_empty(), "{differences:#?}");
}

#[tokio::test]
async fn pages_and_api_answer_as_they_should() {
    let edge = Edge::start(&EdgeOptions::default());
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let get = async |path: &str| client.get(edge.url(path)).send().await.unwrap();
    assert_eq!(get("/healthz").await.status(), 200);
    assert_eq!(get("/readyz").await.status(), 200);
    let home = get("/").await;
    assert_eq!(
        (
            home.status().as_u16(),
            home.headers()["location"].as_bytes()
        ),
        (303, &b"/login?next=/"[..])
    );
    let page = get("/login").await;
    assert_eq!(page.status(), 200);
    assert!(
        page.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .starts_with("default-src 'self'")
    );
    assert!(page.text().await.unwrap().contains(e2e::edge::WORKER.0));
    let refused = get("/api/v1/milkings").await;
    assert_eq!(refused.status(), 401);
    let milkings = client
        .get(edge.url("/api/v1/milkings"))
        .bearer_auth(&edge.token)
        .send()
        .await
        .unwrap();
    let milkings: serde_json::Value = milkings.json().await.unwrap();
    assert_eq!(milkings["items"], serde_json::json!([]));
}
