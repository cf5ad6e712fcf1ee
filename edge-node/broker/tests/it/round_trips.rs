//! What goes in comes out: any message, in either version, through the door to subscribers of both.

use std::sync::Arc;

use mqtt_proto::{
    Pid, QosPid, TopicName, v3,
    v5::{self, PublishProperties, UserProperty},
};
use proptest::{prelude::*, test_runner::TestRunner};

use crate::{
    raw::{Raw, packet, string, subscribe_v4},
    support::House,
};

/// A message as a publisher of MQTT 5 may say it.
#[derive(Clone, Debug)]
struct Said {
    topic: String,
    payload: Vec<u8>,
    properties: PublishProperties,
}

/// Which version a publisher speaks.
#[derive(Clone, Copy, Debug)]
enum Level {
    Old,
    New,
}

fn any_message() -> impl Strategy<Value = Said> {
    let topic = prop::collection::vec("[a-z০-৯ক-হ $/]{0,12}", 1..5)
        .prop_map(|levels| format!("farm/{}", levels.join("/")));
    let payload = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..300),
        1 => prop::collection::vec(any::<u8>(), 16_000..20_000),
    ];
    let text = "[a-zক-হ ]{0,20}";
    let correlation = prop::option::of(prop::collection::vec(any::<u8>(), 0..20));
    let pairs = prop::collection::vec((text, text), 0..4);
    let properties = (
        prop::option::of(text),
        prop::option::of("farm/answers/[a-z]{1,5}"),
        correlation,
        pairs,
    );
    let properties =
        properties.prop_map(|(content, answer, correlation, pairs)| PublishProperties {
            content_type: content.map(Arc::from),
            response_topic: answer.and_then(|topic| TopicName::try_from(&*topic).ok()),
            correlation_data: correlation.map(bytes::Bytes::from),
            user_properties: pairs
                .into_iter()
                .map(|(name, value)| UserProperty {
                    name: name.into(),
                    value: value.into(),
                })
                .collect(),
            ..PublishProperties::default()
        });
    (topic, payload, properties).prop_map(|(topic, payload, properties)| Said {
        topic,
        payload,
        properties,
    })
}

fn first_pid() -> QosPid {
    QosPid::Level1(Pid::try_from(7).expect("not 0"))
}

fn in_version_3(said: &Said) -> Vec<u8> {
    let topic = TopicName::try_from(&*said.topic).expect("a topic");
    let publish = v3::Publish::new(first_pid(), topic, said.payload.clone().into());
    v3::Packet::from(publish)
        .encode()
        .expect("short enough")
        .as_ref()
        .to_vec()
}

fn in_version_5(said: &Said) -> Vec<u8> {
    let topic = TopicName::try_from(&*said.topic).expect("a topic");
    let mut publish = v5::Publish::new(first_pid(), topic, said.payload.clone().into());
    publish.properties = said.properties.clone();
    v5::Packet::from(publish)
        .encode()
        .expect("short enough")
        .as_ref()
        .to_vec()
}

/// What a subscriber of MQTT 5 is sent; acknowledged.
async fn heard_in_5(ears: &mut Raw) -> Said {
    let bytes = ears.packet().await;
    let Ok(Some(v5::Packet::Publish(heard))) = v5::Packet::decode(&bytes) else {
        panic!("not a PUBLISH: {bytes:02x?}");
    };
    let pid = heard.qos_pid.pid().expect("QoS 1").value().to_be_bytes();
    ears.send(&[0x40, 2, pid[0], pid[1]]).await;
    Said {
        topic: heard.topic_name.to_string(),
        payload: heard.payload.to_vec(),
        properties: heard.properties,
    }
}

/// What a subscriber of MQTT 3.1.1 is sent; acknowledged.
async fn heard_in_3(ears: &mut Raw) -> (String, Vec<u8>) {
    let bytes = ears.packet().await;
    let Ok(Some(v3::Packet::Publish(heard))) = v3::Packet::decode(&bytes) else {
        panic!("not a PUBLISH: {bytes:02x?}");
    };
    let pid = heard.qos_pid.pid().expect("QoS 1").value().to_be_bytes();
    ears.send(&[0x40, 2, pid[0], pid[1]]).await;
    (heard.topic_name.to_string(), heard.payload.to_vec())
}

/// Says each message in the version that stands beside it, and compares what subscribers of both versions hear.
async fn exchange(house: &House, messages: &[(Said, Level)]) {
    let mut old_mouth = Raw::v4(house.address(), "old mouth").await;
    let mut new_mouth = Raw::v5(house.address(), "new mouth").await;
    let mut old = Raw::v4(house.address(), "old ears").await;
    old.send(&subscribe_v4(1, "farm/#", 1)).await;
    assert_eq!(old.packet().await, [0x90, 3, 0, 1, 1]);
    let mut new = Raw::v5(house.address(), "new ears").await;
    let body = [&[0, 1, 0][..], &string("farm/#"), &[1]].concat();
    new.send(&packet(0x82, &body)).await;
    assert_eq!(new.packet().await, [0x90, 4, 0, 1, 0, 1]);
    for (said, level) in messages {
        let (mouth, bytes, properties) = match level {
            Level::Old => (
                &mut old_mouth,
                in_version_3(said),
                PublishProperties::default(),
            ),
            Level::New => (&mut new_mouth, in_version_5(said), said.properties.clone()),
        };
        mouth.send(&bytes).await;
        assert_eq!(mouth.packet().await, [0x40, 2, 0, 7]);
        let message = (said.topic.clone(), said.payload.clone());
        assert_eq!(heard_in_3(&mut old).await, message);
        let heard = heard_in_5(&mut new).await;
        assert_eq!((heard.topic, heard.payload), message);
        assert_eq!(heard.properties, properties);
    }
    for mut leaving in [old_mouth, new_mouth, old, new] {
        leaving.send(&[0xe0, 0]).await;
        leaving.until_close().await;
    }
}

#[test]
fn any_message_arrives_as_it_was_said() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let house = runtime.block_on(House::open());
    let level = prop_oneof![Just(Level::Old), Just(Level::New)];
    let messages = prop::collection::vec((any_message(), level), 1..8);
    TestRunner::new(ProptestConfig::with_cases(100))
        .run(&messages, |messages| {
            runtime.block_on(exchange(&house, &messages));
            Ok(())
        })
        .unwrap();
    let refused = house.door.stats().refused;
    assert!(refused.is_empty(), "{refused:?}");
}
