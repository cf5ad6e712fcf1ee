//! What devices log in with, on the pages: secrets shown once, access revoked and given again, joining by a sticker's code.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use axum::http::StatusCode;
use farm::{
    Actor, credentials, devices,
    joins::{self, Ask, Grant, HalfKey, JoinCode, JoinKeys, Said, Side},
};
use farm_model::{Clock as _, Device, DeviceId, DeviceKind, UnixMillis};
use farm_web::{
    App, Authority, AuthorityError, Bundle, MqttPorts, NoHardware, Options, StoreIngest,
};
use futures_util::future::BoxFuture;

use crate::{
    client::{As, Site},
    seed::Seeded,
};

/// Stands for the edge's authority: what it makes are words, not certificates.
struct Words(farm::Farm);

impl Authority for Words {
    fn certificate(&self) -> String {
        "THE FARM'S OWN".to_owned()
    }

    fn issue(
        &self,
        actor: Actor,
        device: DeviceId,
    ) -> BoxFuture<'_, Result<Bundle, AuthorityError>> {
        Box::pin(async move {
            let certificate = credentials::Certificate {
                fingerprint: credentials::Fingerprint([7; 32]),
                serial: "01".into(),
                not_before: UnixMillis(0),
                not_after: UnixMillis(2_000_000_000_000),
                issued: UnixMillis(0),
                used: None,
                revoked: None,
            };
            let entered = self.0.write(actor, move |tx| {
                credentials::add_certificate(tx, device, &certificate)
            });
            entered.await?;
            Ok(Bundle {
                authority: self.certificate(),
                certificate: "A CERTIFICATE".into(),
                key: Some("ITS KEY".into()),
            })
        })
    }

    fn sign(
        &self,
        actor: Actor,
        device: DeviceId,
        _: String,
    ) -> BoxFuture<'_, Result<Bundle, AuthorityError>> {
        self.issue(actor, device)
    }
}

/// A farm whose MQTT stands open on two ports, and an MQTT device on it.
async fn site() -> (Site, Seeded, Device) {
    let (mut site, seeded) = Site::full().await;
    site.router = farm_web::router(App {
        farm: site.farm.clone(),
        hardware: Arc::new(NoHardware),
        ingest: Arc::new(StoreIngest(site.farm.clone())),
        options: Options {
            mqtt: MqttPorts {
                plain: Some(1883),
                tls: Some(8883),
            },
            authority: Some(Arc::new(Words(site.farm.clone()))),
            ..Options::default()
        },
    });
    let form = "transport=mqtt&name=Yard+node&kind=sensor&place=&slug=&every=";
    let saved = site
        .post("/devices", As::Session(&seeded.manager), form)
        .await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    let device = find(&site, "yard-node").await.expect("it was added");
    (site, seeded, device)
}

async fn find(site: &Site, slug: &'static str) -> Option<Device> {
    let read = site.farm.read(move |conn| devices::find(conn, slug));
    read.await.unwrap()
}

async fn enters(site: &Site, secret: &str) -> bool {
    let secret = secret.to_owned();
    let read = site
        .farm
        .read(move |conn| credentials::device_by_secret(conn, "yard-node", &secret));
    read.await.unwrap().is_some()
}

/// What stands in the element called `id`.
fn shown<'a>(page: &'a str, id: &str) -> &'a str {
    let after = page
        .split_once(&format!("<code id=\"{id}\" tabindex=\"0\">"))
        .unwrap_or_else(|| panic!("{id} is shown: {page}"))
        .1;
    after.split('<').next().unwrap()
}

#[tokio::test]
async fn a_secret_is_shown_once_with_all_that_an_installer_needs() {
    let (site, seeded, device) = site().await;
    let manager = As::Session(&seeded.manager);
    let own = format!("/devices/{}", device.id);
    let before = site.get(&own, manager).await.text;
    assert!(before.contains("It cannot log in yet."), "{before}");
    let page = site.post(&format!("{own}/secret"), manager, "").await;
    assert_eq!(page.status, StatusCode::OK);
    let secret = shown(&page.text, "secret").to_owned();
    assert!(enters(&site, &secret).await);
    for part in [
        "shown only now",
        "<code>8883</code>",
        "<code>1883</code>",
        "<code>yard-node</code>",
        "<svg class=\"qr\"",
        "/devices/farm-ca.pem",
    ] {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
    let trial = shown(&page.text, "trial");
    assert!(
        trial.contains(&format!("-u yard-node -P {secret}")),
        "{trial}"
    );
    let after = site.get(&own, manager).await.text;
    assert!(!after.contains(&secret), "{after}");
    assert!(after.contains("since 20 November 2026"), "{after}");

    let again = site.post(&format!("{own}/secret"), manager, "").await;
    let newer = shown(&again.text, "secret");
    assert!(newer != secret && enters(&site, newer).await && !enters(&site, &secret).await);
}

#[tokio::test]
async fn access_is_revoked_and_given_again() {
    let (site, seeded, device) = site().await;
    let manager = As::Session(&seeded.manager);
    let own = format!("/devices/{}", device.id);
    let nothing = site.post(&format!("{own}/revoke"), manager, "").await;
    assert_eq!(nothing.status, StatusCode::CONFLICT);
    let page = site.post(&format!("{own}/secret"), manager, "").await.text;
    let asked = site.get(&own, manager).await.text;
    assert!(asked.contains("Its connection is cut now;"), "{asked}");
    let revoked = site.post(&format!("{own}/revoke"), manager, "").await;
    assert_eq!(revoked.status, StatusCode::SEE_OTHER);
    assert!(!enters(&site, shown(&page, "secret")).await);
    let own_page = site.get(&own, manager).await.text;
    assert!(own_page.contains("Access revoked") && own_page.contains("Let it in again"));
    let page = site.post(&format!("{own}/secret"), manager, "").await.text;
    assert!(enters(&site, shown(&page, "secret")).await);
    assert!(
        !site
            .get(&own, manager)
            .await
            .text
            .contains("Access revoked")
    );
}

#[tokio::test]
async fn certificates_and_keys_are_handed_out_and_ended() {
    let (site, seeded, device) = site().await;
    let manager = As::Session(&seeded.manager);
    let own = format!("/devices/{}", device.id);
    let file = site.post(&format!("{own}/certificate"), manager, "").await;
    assert_eq!(file.text, "A CERTIFICATE\nITS KEY\nTHE FARM'S OWN");
    let authority = site.get("/devices/farm-ca.pem", manager).await;
    assert_eq!(authority.text, "THE FARM'S OWN");
    let page = site.get(&own, manager).await.text;
    assert!(
        page.contains("valid until 18 May 2033") && page.contains("not used yet"),
        "{page}"
    );
    let fingerprint = credentials::Fingerprint([7; 32])
        .to_string()
        .replace(':', "%3A");
    let end = format!("{own}/certificate/revoke");
    for (fingerprint, status) in [
        ("07%3A07", StatusCode::CONFLICT),
        (fingerprint.as_str(), StatusCode::SEE_OTHER),
        (fingerprint.as_str(), StatusCode::CONFLICT),
    ] {
        let form = format!("fingerprint={fingerprint}");
        assert_eq!(site.post(&end, manager, &form).await.status, status);
    }
    let key = site
        .post(&format!("{own}/frame-key"), manager, "")
        .await
        .text;
    let key = shown(&key, "secret").to_owned();
    let id = device.id;
    let stored = site.farm.read(move |conn| credentials::frame_key(conn, id));
    assert_eq!(stored.await.unwrap().unwrap().to_hex(), key);
    assert!(!site.get(&own, manager).await.text.contains(&key));
}

const CODE: &str = "7K3M-9QXT-2FHB";

/// A node that asks to join with the code of its sticker.
struct Node(HalfKey);

impl Node {
    async fn asks(site: &Site, serial: &'static str) -> Self {
        let node = Self(HalfKey::fresh());
        let said = Said {
            kind: "milk_meter".into(),
            model: "<b>KM 1".into(),
            firmware: "1.0.2".into(),
        };
        let ask = Ask {
            serial: serial.into(),
            proof: node.keys(site, serial).await.prove(&said.text()),
            said,
            public: node.0.public(),
        };
        let home = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 20));
        let write = site
            .farm
            .write(Actor::System, move |tx| joins::ask(tx, &ask, home));
        write.await.unwrap();
        node
    }

    async fn keys(&self, site: &Site, serial: &str) -> JoinKeys {
        let edge = site.farm.write(Actor::System, joins::public_key).await;
        let code = JoinCode::new(CODE).unwrap();
        JoinKeys::agree(Side::Device, &self.0, &edge.unwrap(), serial, &code).unwrap()
    }

    async fn granted(&self, site: &Site, serial: &str) -> Grant {
        let now = site.farm.clock().now();
        let answers = site.farm.read(move |conn| joins::answers(conn, &now));
        let answers = answers.await.unwrap();
        let plain = self
            .keys(site, serial)
            .await
            .open(serial, &answers[0].sealed);
        serde_json::from_slice(&plain.unwrap()).unwrap()
    }
}

#[tokio::test]
async fn requests_to_join_that_were_not_heard_are_shown() {
    let (site, seeded, _) = site().await;
    let manager = As::Session(&seeded.manager);
    let said = "Requests to join that were not heard: 2. Too many came, the last from 192.168.1.9.";
    for page in ["/devices", "/devices/join"] {
        let before = site.get(page, manager).await.text;
        assert!(!before.contains("not heard"), "{page}: {before}");
    }
    for last in [7, 9] {
        let now = site.farm.clock().now().wall;
        let from = IpAddr::V4(Ipv4Addr::new(192, 168, 1, last));
        site.farm.live().refuse_join(from, now);
    }
    for page in ["/devices", "/devices/join"] {
        let after = site.get(page, manager).await.text;
        assert!(after.contains(said), "{page}: {after}");
    }
}

#[tokio::test]
async fn a_device_joins_by_the_code_on_its_sticker() {
    let (site, seeded, yard) = site().await;
    let manager = As::Session(&seeded.manager);
    let node = Node::asks(&site, "KM-0042").await;
    let list = site.get("/devices", manager).await.text;
    for part in [
        "1 device asks to join",
        "KM-0042",
        "Milk meter · &lt;b&gt;KM 1 · firmware 1.0.2",
        "192.168.1.20",
    ] {
        assert!(list.contains(part), "{part}: {list}");
    }
    for (code, said) in [
        (
            "",
            "A code has 12 letters and digits, such as 7K3M-9QXT-2FHB.",
        ),
        ("7K3M", "A code has 12 letters and digits"),
        ("7K3M-9QXT-2FHC", "No waiting device has this code."),
    ] {
        let wrong = site
            .post("/devices/join", manager, &format!("code={code}"))
            .await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(wrong.text.contains(said), "{code}: {}", wrong.text);
        assert!(wrong.text.contains(&format!("value=\"{code}\"")));
    }
    // As the sticker's QR code says it.
    let code = "code=khamar%3Ajoin%3AKM-0042%3A7k3m-9qxt-2fhb";
    let found = site.post("/devices/join", manager, code).await;
    assert_eq!(found.status, StatusCode::OK, "{}", found.text);
    assert!(
        found
            .text
            .contains("<option value=\"milk_meter\" selected>"),
        "{}",
        found.text
    );
    let form = |more: &str| format!("{code}&kind=milk_meter&place=&every=60&{more}");
    for (more, said) in [
        ("joins_as=&name=&slug=", "Fill this in."),
        (
            "joins_as=&name=Six&slug=yard-node",
            "Another device has this short name.",
        ),
        ("joins_as=nobody&name=Six&slug=", "Choose one."),
    ] {
        let refused = site
            .post("/devices/join/approve", manager, &form(more))
            .await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{more}");
        assert!(refused.text.contains(said), "{more}: {}", refused.text);
    }
    let good = form("joins_as=&name=Meter+six&slug=");
    let joined = site.post("/devices/join/approve", manager, &good).await;
    assert_eq!(joined.status, StatusCode::SEE_OTHER, "{}", joined.text);
    let device = find(&site, "meter-six").await.expect("it joined");
    assert_eq!(
        (device.kind, device.expect_every_s),
        (DeviceKind::MilkMeter, Some(60))
    );
    assert_eq!(node.granted(&site, "KM-0042").await.user, "meter-six");
    let page = site.get(&joined.location, manager).await.text;
    assert!(
        page.contains("KM-0042") && page.contains("meter-six"),
        "{page}"
    );
    // Twice is once.
    let twice = site.post("/devices/join/approve", manager, &good).await;
    assert_eq!(twice.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        !site
            .get("/devices", manager)
            .await
            .text
            .contains("asks to join")
    );

    // A new board takes the place of an old one.
    let board = Node::asks(&site, "KM-0043").await;
    let form = format!("code={CODE}&joins_as={}", yard.id);
    let joined = site.post("/devices/join/approve", manager, &form).await;
    assert_eq!(joined.location, format!("/devices/{}?done=saved", yard.id));
    drop(board);
}

#[tokio::test]
async fn programs_do_all_of_it_over_the_api() {
    let (site, seeded, device) = site().await;
    let manage = As::Token(&seeded.manage);
    let own = format!("/api/v1/devices/{}", device.slug);
    let post =
        async |path: String, body: &serde_json::Value| site.post_json(&path, manage, body).await;
    let nothing = serde_json::json!({});
    let secret = post(format!("{own}/secret"), &nothing).await.json();
    assert_eq!(secret["user"], "yard-node");
    assert!(enters(&site, secret["secret"].as_str().unwrap()).await);
    let key = post(format!("{own}/frame-key"), &nothing).await.json();
    assert_eq!(key["frame_key"].as_str().unwrap().len(), 64);
    let bundle = post(format!("{own}/certificate"), &nothing).await.json();
    assert_eq!(bundle["key"], "ITS KEY");
    let held = async || {
        let list = site
            .get("/api/v1/devices", As::Token(&seeded.read))
            .await
            .json();
        let items = list["items"].as_array().unwrap().clone();
        let item = items.into_iter().find(|d| d["slug"] == "yard-node");
        item.unwrap()["credentials"].clone()
    };
    let fingerprint = held().await["certificates"][0]["fingerprint"].clone();
    let end = serde_json::json!({ "fingerprint": fingerprint });
    let path = format!("{own}/certificate/revoke");
    assert_eq!(
        post(path.clone(), &end).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(post(path.clone(), &end).await.status, StatusCode::CONFLICT);
    assert_eq!(post(path, &nothing).await.status, StatusCode::BAD_REQUEST);
    let revoke = format!("/api/v1/devices/{}/revoke", device.id);
    assert_eq!(post(revoke, &nothing).await.status, StatusCode::NO_CONTENT);
    assert!(held().await["revoked_at"].is_i64() && held().await["secret_since"].is_null());
    let authority = site.get("/api/v1/authority", As::Token(&seeded.read)).await;
    assert_eq!(authority.text, "THE FARM'S OWN");

    let node = Node::asks(&site, "KM-0042").await;
    let waiting = site
        .get("/api/v1/joins", As::Token(&seeded.read))
        .await
        .json();
    assert_eq!(waiting["items"][0]["serial"], "KM-0042");
    let join = |more: serde_json::Value| {
        let mut item = serde_json::json!({ "code": CODE, "slug": "stall-6", "kind": "milk_meter" });
        item.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        item
    };
    for (more, status, said) in [
        (
            serde_json::json!({ "code": "7K3M" }),
            StatusCode::UNPROCESSABLE_ENTITY,
            "code: ",
        ),
        (
            serde_json::json!({ "code": "7K3M-9QXT-2FHC" }),
            StatusCode::CONFLICT,
            "sticker",
        ),
        (
            serde_json::json!({ "kind": null }),
            StatusCode::UNPROCESSABLE_ENTITY,
            "kind: ",
        ),
        (
            serde_json::json!({ "colour": "red" }),
            StatusCode::BAD_REQUEST,
            "colour",
        ),
    ] {
        let refused = post("/api/v1/joins".into(), &join(more)).await;
        assert_eq!(refused.status, status, "{}", refused.text);
        assert!(refused.text.contains(said), "{}", refused.text);
    }
    let place = serde_json::json!({ "place": { "kind": "stall", "slug": "6" } });
    let joined = post("/api/v1/joins".into(), &join(place)).await;
    assert_eq!(joined.status, StatusCode::OK, "{}", joined.text);
    assert_eq!(node.granted(&site, "KM-0042").await.user, "stall-6");
    Node::asks(&site, "KM-0043").await;
    let waiting = site
        .get("/api/v1/joins", As::Token(&seeded.read))
        .await
        .json();
    let path = format!("/api/v1/joins/{}/refuse", waiting["items"][0]["id"]);
    assert_eq!(
        post(path.clone(), &nothing).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(post(path, &nothing).await.status, StatusCode::NOT_FOUND);

    // A device is replaced only where that is meant.
    let node = Node::asks(&site, "KM-0044").await;
    let taken = post("/api/v1/joins".into(), &join(serde_json::json!({}))).await;
    assert_eq!(taken.status, StatusCode::CONFLICT, "{}", taken.text);
    let meant = join(serde_json::json!({ "kind": null }));
    let replaced = post("/api/v1/joins".into(), &meant).await;
    assert_eq!(replaced.text, joined.text, "the same device");
    assert_eq!(node.granted(&site, "KM-0044").await.user, "stall-6");
}

#[tokio::test]
async fn a_device_that_is_not_wanted_is_refused() {
    let (site, seeded, _) = site().await;
    let manager = As::Session(&seeded.manager);
    Node::asks(&site, "KM-0042").await;
    let now = site.farm.clock().now();
    let waiting = site.farm.read(move |conn| joins::waiting(conn, &now));
    let path = format!("/devices/join/{}/refuse", waiting.await.unwrap()[0].id);
    for _ in 0..2 {
        let refused = site.post(&path, manager, "").await;
        assert_eq!(refused.status, StatusCode::SEE_OTHER);
    }
    assert!(!site.get("/devices", manager).await.text.contains("KM-0042"));
    let page = site.get("/devices/join", manager).await.text;
    assert!(page.contains("Nobody asks now."), "{page}");
}
