//! The page of a node: settings, commands, inputs.

use axum::http::StatusCode;
use farm::{Actor, devices};

use crate::client::{As, Site};

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_told_settings_and_commands_from_its_page() {
    let (site, seeded) = Site::full().await;
    let (device, manager) = (seeded.probe, As::Session(&seeded.manager));
    let own = format!("/devices/{device}");
    let (command, settings) = (format!("{own}/command"), format!("{own}/settings"));
    let without_key = site.post(&command, manager, "do=identify");
    assert_eq!(without_key.await.status, StatusCode::CONFLICT);
    let keyed = site.farm.write(Actor::System, move |tx| {
        farm::credentials::issue_frame_key(tx, device)
    });
    keyed.await.unwrap();

    let wild = site.post(&settings, manager, "measure_every_s=0").await;
    assert_eq!(wild.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wild.text.contains("Write a number from 1 to 86,400."));
    let typed = "measure_every_s=60&send_every_s=&greet_every_s=&retry_after_s=";
    let saved = site.post(&settings, manager, typed).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER);
    for deed in ["do=identify", "do=restart"] {
        let told = site.post(&command, manager, deed);
        assert_eq!(told.await.status, StatusCode::SEE_OTHER);
    }
    let page = site.get(&own, manager).await.text;
    for text in ["Wanted", "Being told", "Change settings"] {
        assert!(page.contains(text), "{text}");
    }
    let api = format!("/api/v1/devices/{device}/node");
    let said = site.get(&api, As::Token(&seeded.read)).await.json();
    assert_eq!(said["settings"]["standing"], "waiting");
    assert_eq!(said["settings"]["settings"]["measure_every_s"], 60);
    let told: Vec<_> = said["commands"].as_array().unwrap().iter().collect();
    assert!(
        told.len() == 2 && told.iter().all(|c| c["fate"] == "told"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_of_a_node_is_a_device_with_its_own_place() {
    let (site, seeded) = Site::full().await;
    let manager = As::Session(&seeded.manager);
    let blank = site.get("/devices/new?transport=input", manager).await.text;
    assert!(blank.contains("No device has a frame key yet"), "{blank}");
    let node = site.farm.write(Actor::System, |tx| {
        let node = devices::find(tx.conn(), "node-tank-1")?.expect("it is seeded");
        farm::credentials::issue_frame_key(tx, node.id)?;
        Ok::<_, farm::credentials::CredentialError>(node.id)
    });
    let node = node.await.unwrap();
    let own = format!("/devices/{node}");
    let page = site.get(&own, manager).await.text;
    let new = "/devices/new?transport=input&amp;node=node-tank-1";
    assert!(page.contains(new), "{page}");
    let form = site.get(&new.replace("&amp;", "&"), manager).await.text;
    assert!(
        form.contains("<option value=\"node-tank-1\" selected>"),
        "{form}"
    );

    let input = |name: &str, node: &str, channel: &str| {
        format!(
            "transport=input&name={name}&kind=sensor&place=&slug=&node={node}&channel={channel}&every="
        )
    };
    let added = site
        .post("/devices", manager, &input("Water", "node-tank-1", "2"))
        .await;
    assert_eq!(added.status, StatusCode::SEE_OTHER, "{}", added.text);
    for (form, said) in [
        (
            input("Other", "node-tank-1", "2"),
            "Water is at this input already.",
        ),
        (input("Other", "nobody", "2"), "Say which node it is."),
        (input("Other", "water", "2"), "Say which node it is."),
        (input("Other", "", "2"), "Say which node it is."),
        (input("Other", "node-tank-1", "255"), "Between 0 and 254"),
    ] {
        let answer = site.post("/devices", manager, &form).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{form}");
        assert!(answer.text.contains(said), "{form}: {}", answer.text);
    }
    let page = site.get(&own, manager).await.text;
    assert!(page.contains(">Water</a>"), "{page}");
    let path = added.location.split('?').next().unwrap();
    let page = site.get(path, manager).await.text;
    assert!(
        page.contains("Input of a node") && page.contains("<code>node-tank-1 · 2</code>"),
        "{page}"
    );
}
