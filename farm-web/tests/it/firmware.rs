//! Firmware: a file is taken or refused with the reason, offered, paused, withdrawn.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use farm::{
    Actor,
    firmware::{self, Heard},
};
use farm_firmware::{Label, SigningKey, sign};
use http_body_util::BodyExt as _;

use crate::{
    client::{As, Site, vendor},
    seed::Seeded,
};

const PAGE: &str = "/devices/firmware";

fn file(key: &SigningKey, version: &str) -> Vec<u8> {
    let label = |text| Label::new(text).unwrap();
    sign(
        key,
        &[0x5A; 4096],
        label(version),
        label("node-c3"),
        label("stable"),
    )
    .unwrap()
}

/// Sends a file as a browser does; the status and the page.
async fn upload(site: &Site, who: &str, file: &[u8]) -> (StatusCode, String) {
    let head =
        b"--cut\r\ncontent-disposition: form-data; name=\"file\"; filename=\"node.khfw\"\r\n\r\n";
    let body = [&head[..], file, b"\r\n--cut--\r\n"].concat();
    let request = Request::post(PAGE)
        .header(header::COOKIE, format!("session={who}; lang=en"))
        .header(header::CONTENT_TYPE, "multipart/form-data; boundary=cut")
        .body(Body::from(body))
        .unwrap();
    let response = site.raw(request).await;
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8_lossy(&bytes).into_owned())
}

async fn greet(site: &Site, seeded: &Seeded) {
    let (device, said) = (
        seeded.probe,
        Heard::Greets {
            hardware: "node-c3".into(),
            version: "1.0".into(),
        },
    );
    site.farm
        .write(Actor::System, move |tx| firmware::heard(tx, device, &said))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_image_is_taken_offered_paused_and_withdrawn() {
    let (site, seeded) = Site::full().await;
    greet(&site, &seeded).await;
    let (status, _) = upload(&site, &seeded.manager, &file(&vendor(), "2.0")).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let manager = As::Session(&seeded.manager);
    let form = "application/x-www-form-urlencoded";
    let post = async |path: &str, body: &str| {
        let path = format!("{PAGE}/{path}");
        let answer = site.ask(axum::http::Method::POST, &path, manager, form, body);
        answer.await.status
    };
    assert_eq!(
        post("images/1/offer", "percent=0&devices=").await,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(
        post("images/1/offer", "percent=100&devices=").await,
        StatusCode::SEE_OTHER
    );
    assert_eq!(
        post("images/1/offer", "percent=100&devices=").await,
        StatusCode::CONFLICT
    );
    let page = site.get(PAGE, manager).await.text;
    assert!(
        page.contains("2.0 · node-c3") && page.contains("Waits its turn"),
        "{page}"
    );

    let json = site
        .get("/api/v1/firmware", As::Token(&seeded.read))
        .await
        .json();
    let first = &json["devices"][0];
    assert_eq!(first["version"], "1.0");
    assert_eq!(json["rollouts"][0]["devices"][0]["device"], first["device"]);
    assert_eq!(json["rollouts"][0]["phase"], "running");
    for (deed, phase) in [
        ("pause", "paused"),
        ("resume", "running"),
        ("withdraw", "withdrawn"),
    ] {
        assert_eq!(
            post(&format!("rollouts/1/{deed}"), "").await,
            StatusCode::SEE_OTHER
        );
        let json = site
            .get("/api/v1/firmware", As::Token(&seeded.read))
            .await
            .json();
        assert_eq!(json["rollouts"][0]["phase"], phase);
    }
    assert_eq!(post("rollouts/1/resume", "").await, StatusCode::NOT_FOUND);
    assert_eq!(post("images/1/remove", "").await, StatusCode::SEE_OTHER);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_image_is_refused_with_the_reason_and_stays_visible() {
    let (site, seeded) = Site::full().await;
    let forged = file(&SigningKey::from_seed(&[9; 32]), "6.6");
    let reason = "Nobody this farm trusts has signed it.";
    let (status, page) = upload(&site, &seeded.manager, &forged).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        page.contains("f-file-error") && page.contains(reason),
        "{page}"
    );
    let later = site.get(PAGE, As::Session(&seeded.manager)).await.text;
    assert!(later.contains("6.6 · node-c3") && later.contains(reason));
    assert!(!later.contains("/images/1/offer"), "it cannot be offered");
    let (status, _) = upload(&site, &seeded.worker, &file(&vendor(), "2.0")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_too_large_is_cut_off() {
    let (site, seeded) = Site::full().await;
    let (status, page) = upload(&site, &seeded.manager, &vec![0; 17 << 20]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let why = "The image is larger than 16 MB. Ask the vendor whether it is the right file.";
    assert!(page.contains(why), "{page}");
}
