//! The node in software over CoAP: datagrams are lost and doubled both ways, the appliance is killed, and all is stored once.

use std::{
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use e2e::{Edge, EdgeOptions};
use farm_model::Quantity;
use firmware_protocol::{Measure, ResetReason};
use virtual_farm::{
    device::{
        coap::Datagrams,
        node::{Ticks, Trouble, start},
    },
    node::Node,
    rng::Rng,
};

use crate::{
    nodes::{SLUG, commission},
    store,
};

/// A third of all datagrams are lost, and a third of the others come twice.
const BAD: Trouble = Trouble {
    deaf: 0.3,
    mute: 0.3,
    echo: 0.3,
};
/// How much faster than ours the node's time runs.
const SPEED: f64 = 40.0;
const BATCHES: i64 = 60;
const PATIENCE: Duration = Duration::from_secs(60);

fn free_udp() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap()
}

#[tokio::test]
async fn what_a_node_says_over_coap_is_stored_once_whatever_is_lost() {
    let coap = free_udp();
    let mut edge = Edge::start(&EdgeOptions {
        more: vec![("coap", format!("listen = [\"{coap}\"]"))],
        ..EdgeOptions::default()
    });
    let (profile, _) = commission(&edge).await;
    let mut node = Node::new(profile, 64, Rng::stream(3, "coap"));
    start(&mut node, ResetReason::PowerOn).unwrap();
    let radio = Datagrams::open(coap, BAD, Rng::stream(4, "coap"));
    let mut radio = radio.await.unwrap();
    let ticks = Ticks::start(SPEED, 0.0);
    let deadline = Instant::now() + PATIENCE;
    let mut told = 0;
    while told < BATCHES || node.waiting().0 > 0 {
        assert!(
            Instant::now() < deadline,
            "{} batches wait in vain",
            node.waiting().0
        );
        if told < BATCHES {
            node.measure(ticks.now(), &[(0, Measure::Steps, told)])
                .unwrap();
            told += 1;
        }
        if told % 20 == 0 && told < BATCHES {
            edge.kill();
            edge.spawn();
            edge.wait_ready();
        }
        let soon = Instant::now() + Duration::from_millis(50);
        radio.serve(&mut node, ticks, soon).await.unwrap();
    }
    let conn = store::open(&edge.database());
    let values = store::series(&conn, SLUG, Quantity::Steps);
    let mut steps: Vec<i64> = values.into_iter().flatten().map(|v| v / 1_000).collect();
    steps.sort_unstable();
    assert_eq!(steps, (0..BATCHES).collect::<Vec<_>>());
}
