//! A new machine takes a broken one's place over a poor line: it is killed while it joins and while it pulls the farm, and has all in the end.

use std::thread;

use e2e::{Edge, Quality, until};
use serde_json::json;

use super::{
    Apart, SOON_S, TOGETHER_S, alone, checker, copies::fresh, herd, ledger::Ledger, people::Work,
    sound,
};
use crate::web;

/// Cows of the farm: a few seconds of a poor line.
const COWS: usize = 600;
/// Cows that are entered at once.
const BATCH: usize = 20;
/// How often the new machine is killed while it pulls.
const KILLS: u64 = 3;
/// After how many packets.
const PULLED: u64 = 20;

/// Packets until the hub has a claim and its answer is on the way: three open a connection.
const CLAIMED: u64 = 4;

/// Waits until so many more packets have gone over the line.
fn packets(apart: &Apart, more: u64) {
    let before = apart.link.carried().packets;
    until("packets", SOON_S, || {
        (apart.link.carried().packets >= before + more).then_some(())
    });
}

/// Lets the appliance claim its place, and kills it before it hears the answer.
fn claim_in_vain(apart: &Apart, edge: &mut Edge, code: &str) {
    let url = apart.hub.url("");
    thread::scope(|scope| {
        let asked = scope.spawn(|| edge.refused(&["enrol", code, "--hub", &url]));
        packets(apart, CLAIMED);
        let pid = rustix::process::Pid::from_raw(edge.pid() as i32);
        rustix::process::kill_process(pid.unwrap(), rustix::process::Signal::KILL).unwrap();
        asked.join().unwrap();
    });
    edge.kill();
    edge.spawn();
    edge.wait_ready();
}

#[test]
fn a_new_machine_gets_the_whole_farm_over_a_poor_line_though_it_is_killed_again_and_again() {
    let mut apart = Apart::joined(1);
    let ledger = Ledger::default();
    let work = Work::new(&ledger);
    let tags = herd(&apart, &ledger);
    alone(&apart.link.near, async || {
        let number = |n: usize| format!("H{n}");
        let cow =
            |n| json!({ "number": number(n), "name": "new", "sex": "female", "status": "heifer" });
        // Each batch is a version, and travels whole.
        for batch in (0..COWS).collect::<Vec<_>>().chunks(BATCH) {
            batch
                .iter()
                .for_each(|n| ledger.named(&number(*n), "edge", "new"));
            let cows: Vec<_> = batch.iter().map(|n| cow(*n)).collect();
            web::tell(&apart.edge, "/api/v1/animals", json!(cows)).await;
            batch
                .iter()
                .for_each(|n| ledger.was_taken(&number(*n), "edge"));
        }
        tags.iter()
            .for_each(|tag| work.milk_once(apart.edge.mqtt, tag));
    });
    apart.come_together(SOON_S);
    apart.edge.kill();

    let mut new = fresh(&apart);
    apart.link.set(Quality {
        loss: 0.0,
        ..Quality::POOR
    });
    let code = apart.hub.command(&["farms", "claim", &apart.farm], "");
    claim_in_vain(&apart, &mut new, code.trim());
    until("the hub to know the new machine", SOON_S, || {
        let sites = apart.hub.command(&["farms", "sites", &apart.farm], "");
        (sites.lines().count() == 2).then_some(())
    });
    // The same code again, by the same key.
    new.command(&["enrol", code.trim(), "--hub", &apart.hub.url("")], "");

    apart.link.set(Quality::POOR);
    let lacks = |new: &Edge| checker::differences(&new.database(), &apart.at_the_hub()).len();
    let whole = lacks(&new);
    for kill in 1..=KILLS {
        packets(&apart, PULLED);
        new.kill();
        let left = lacks(&new);
        println!("killed with {left} of {whole} rows to come");
        assert!(kill > 1 || left > 0, "it is killed while it pulls");
        new.spawn();
        new.wait_ready();
        new.command(&["hub", "send"], "");
    }
    apart.comes_together(&new, TOGETHER_S);
    sound(&ledger, &[&new.database(), &apart.at_the_hub()]);
}
