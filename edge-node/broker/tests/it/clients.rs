//! Clients that others wrote: rumqttc in both versions, and mosquitto's.

use std::{process::Stdio, time::Duration};

use edge_broker::Qos;
use rumqttc::v5;
use tokio::{io::AsyncWriteExt, process::Command};

use crate::support::{House, soon};

#[tokio::test]
async fn rumqttc_v4_publishes_and_hears_itself() {
    let mut house = House::open().await;
    let mut options = rumqttc::MqttOptions::new("v4", "127.0.0.1", house.port());
    options.set_keep_alive(Duration::from_secs(5));
    let (client, mut events) = rumqttc::AsyncClient::new(options, 10);
    client
        .subscribe("farm/গরু/+", rumqttc::QoS::AtLeastOnce)
        .await
        .unwrap();
    let (mut heard, mut acknowledged) = (false, false);
    soon("echo and PUBACK", async {
        while !(heard && acknowledged) {
            match events.poll().await.unwrap() {
                rumqttc::Event::Incoming(rumqttc::Packet::SubAck(_)) => {
                    let qos = rumqttc::QoS::AtLeastOnce;
                    client.publish("farm/গরু/1", qos, false, "দুধ").await.unwrap();
                }
                rumqttc::Event::Incoming(rumqttc::Packet::Publish(publish)) => {
                    assert_eq!(
                        (publish.topic.as_str(), &publish.payload[..]),
                        ("farm/গরু/1", "দুধ".as_bytes())
                    );
                    assert_eq!(publish.qos, rumqttc::QoS::AtLeastOnce);
                    heard = true;
                }
                rumqttc::Event::Incoming(rumqttc::Packet::PubAck(_)) => acknowledged = true,
                _ => {}
            }
        }
    })
    .await;
    let taken = house.next().await;
    assert_eq!(&*taken.publish.topic, "farm/গরু/1");
    assert_eq!(
        (taken.publish.qos, &*taken.publish.client_id),
        (Qos::AtLeastOnce, "v4")
    );
}

#[tokio::test]
async fn rumqttc_v5_publishes_at_each_qos_and_properties_pass_through() {
    let house = House::open().await;
    let options = v5::MqttOptions::new("v5", "127.0.0.1", house.port());
    let (client, mut events) = v5::AsyncClient::new(options, 10);
    client
        .subscribe("farm/x", v5::mqttbytes::QoS::ExactlyOnce)
        .await
        .unwrap();
    let mut heard = Vec::new();
    let mut finished = 0;
    soon("three echoes, a PUBACK and a PUBCOMP", async {
        while heard.len() < 3 || finished < 2 {
            match events.poll().await.unwrap() {
                v5::Event::Incoming(v5::mqttbytes::v5::Packet::SubAck(_)) => {
                    use v5::mqttbytes::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
                    for qos in [AtMostOnce, AtLeastOnce, ExactlyOnce] {
                        let said = v5::mqttbytes::v5::PublishProperties {
                            content_type: Some("application/json".to_owned()),
                            ..Default::default()
                        };
                        client
                            .publish_with_properties("farm/x", qos, false, "{}", said)
                            .await
                            .unwrap();
                    }
                }
                v5::Event::Incoming(v5::mqttbytes::v5::Packet::Publish(publish)) => {
                    let said = publish
                        .properties
                        .expect("what the publisher said passes through");
                    assert_eq!(said.content_type.as_deref(), Some("application/json"));
                    heard.push(publish.qos as u8);
                }
                v5::Event::Incoming(
                    v5::mqttbytes::v5::Packet::PubAck(_) | v5::mqttbytes::v5::Packet::PubComp(_),
                ) => {
                    finished += 1;
                }
                _ => {}
            }
        }
    })
    .await;
    assert_eq!(heard, [0, 1, 2]);
    assert_eq!(house.door.stats().accepted, 3);
}

fn mosquitto(program: &str, port: u16, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(["-h", "127.0.0.1", "-p", &port.to_string()])
        .args(args)
        .kill_on_drop(true);
    command
}

#[tokio::test]
async fn mosquitto_clients_of_each_version_exchange_messages() {
    for version in ["mqttv31", "mqttv311", "mqttv5"] {
        for qos in ["0", "1", "2"] {
            let house = House::open().await;
            let hear = ["-V", version, "-q", qos, "-t", "farm/#", "-C", "3", "-v"];
            let subscriber = mosquitto("mosquitto_sub", house.port(), &hear)
                .stdout(Stdio::piped())
                .spawn()
                .expect("mosquitto_sub is installed (Debian package mosquitto-clients)");
            house
                .until("the subscription", |stats| stats.subscriptions == 1)
                .await;
            let say = ["-V", version, "-q", qos, "-l", "-t", "farm/milk/1/2"];
            let mut publisher = mosquitto("mosquitto_pub", house.port(), &say)
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            let mut lines = publisher.stdin.take().unwrap();
            lines.write_all(b"11.5\n12\n13\n").await.unwrap();
            drop(lines);
            assert!(
                soon("mosquitto_pub", publisher.wait())
                    .await
                    .unwrap()
                    .success(),
                "{version} {qos}"
            );
            let output = soon("mosquitto_sub", subscriber.wait_with_output())
                .await
                .unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let expected = "farm/milk/1/2 11.5\nfarm/milk/1/2 12\nfarm/milk/1/2 13\n";
            assert_eq!(text, expected, "{version} {qos}");
            assert_eq!(house.door.stats().accepted, 3, "{version} {qos}");
        }
    }
}
