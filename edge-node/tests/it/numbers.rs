//! Numbers of the frames that go down to a node: set aside on disk before they are used, many at once, and never used twice.

use std::collections::BTreeSet;

use edge_node::ingest::{Errand, Told};
use farm::StoreError;
use farm_model::DeviceKind;
use firmware_protocol::{Header, kind};

use crate::{
    node::{Node, UP},
    rig::{Rig, within},
};

/// What is told of the node, up to a thousand chunks between two of its frames.
const CHUNKS: usize = 1_500;

/// Tells the node something that nobody acknowledges, such as a chunk of firmware; the number it went down with.
async fn tell(rig: &mut Rig, node: &Node) -> u64 {
    let errand = Errand {
        device: node.device,
        records: vec![(kind::CONFIG, vec![0])],
    };
    let told = rig.intake.submit(vec![Told::Errand(errand)]);
    within(told).await.unwrap();
    let letter = within(rig.letters.recv()).await.unwrap();
    let frame = letter.seal(&**rig.farm.clock()).unwrap();
    Header::read(&frame).unwrap().seq
}

/// The first number that a run which begins now may use, as the store says.
async fn set_aside(rig: &Rig) -> u64 {
    let read = rig.farm.read(|conn| {
        let sql = "SELECT json_extract(state, '$.down') FROM node";
        Ok::<_, StoreError>(conn.query_row(sql, [], |row| row.get::<_, i64>(0))?)
    });
    u64::try_from(read.await.unwrap()).unwrap()
}

#[tokio::test]
async fn no_number_that_the_store_has_not_set_aside_leaves_and_most_need_no_commit() {
    let mut rig = Rig::start();
    let mut node = Node::add(&rig, DeviceKind::Sensor).await;
    let mut used = BTreeSet::new();
    let mut commits = 0;
    for round in 0..3 {
        node.measure(4_000 + round);
        rig.publish(UP, node.frame()).await;
        used.insert(node.answer(&mut rig).await.seq);
        let mut aside = set_aside(&rig).await;
        for _ in 0..CHUNKS {
            let number = tell(&mut rig, &node).await;
            if number >= aside {
                commits += 1;
                aside = set_aside(&rig).await;
            }
            assert!(number < aside, "{number} left before it was on disk");
            assert!(used.insert(number), "{number} was used twice");
        }
        rig = rig.killed().await;
    }
    assert_eq!(used.len(), 3 * (CHUNKS + 1));
    assert_eq!(
        commits, 3,
        "one for each {CHUNKS} chunks beyond the first thousand"
    );
}
