//! The line between the appliance and the hub, packet by packet: both programs in networks of their own, work at both ends, and a line that
//! loses, delays, is slow and is parted while either program is killed. A checker holds both files against what was acknowledged.
//!
//! `KHAMAR_LINE_ROUNDS` and `KHAMAR_SEED` choose how much happens and what. It needs root; a machine that does not allow it fails the tests.

mod checker;
mod clocks;
mod copies;
mod ledger;
mod people;
mod swap;

use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use e2e::{Edge, EdgeOptions, Hub, Link, Quality, Wall, until};
use virtual_farm::rng::Rng;

use checker::Watch;
use ledger::Ledger;
use people::{Browser, Work};

/// Misfortunes of the short form.
const ROUNDS: u64 = 8;
/// How long a line is parted, in milliseconds: an exchange is under way when it begins, and TCP is still trying when it ends.
const PARTED_MS: (i64, i64) = (300, 3_000);
/// How long an appliance lives that is killed while it starts, in milliseconds.
const STARTING_MS: (i64, i64) = (0, 400);
/// A line that is worse for a while.
const WORSE: Quality = Quality {
    delay: Duration::from_millis(600),
    rate: 10_000,
    loss: 0.15,
};
/// How long things go well in between.
const WELL_MS: (i64, i64) = (300, 2_000);
/// How long an exchange may take over a good line.
const SOON_S: u64 = 60;
/// How long both may take to come together over a poor line.
const TOGETHER_S: u64 = 150;

/// Cows that only the appliance's people name, only the hub's, and both.
const COWS: [[&str; 2]; 3] = [["101", "102"], ["201", "202"], ["301", "302"]];

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The farm in its two places, and the line.
struct Apart {
    edge: Edge,
    link: Link,
    hub: Hub,
    farm: String,
}

impl Apart {
    fn joined(seed: u64) -> Self {
        Self::joined_with(seed, Wall::Right)
    }

    /// The same with another clock at the appliance.
    fn joined_with(seed: u64, wall: Wall) -> Self {
        let link = Link::new(Quality::GOOD, seed);
        let (hub, farm) = Hub::start_behind(&link);
        let edge = Edge::start(&EdgeOptions {
            within: Some(link.near.clone()),
            wall,
            ..EdgeOptions::default()
        });
        let apart = Self {
            edge,
            link,
            hub,
            farm,
        };
        apart.enrol(&apart.edge);
        apart
    }

    /// Connects an appliance with a claim code.
    fn enrol(&self, edge: &Edge) {
        let code = self.hub.command(&["farms", "claim", &self.farm], "");
        edge.command(&["enrol", code.trim(), "--hub", &self.hub.url("")], "");
    }

    /// Where the hub has the farm, once it has.
    fn at_the_hub(&self) -> PathBuf {
        until("the hub to have the farm's file", 30, || {
            self.hub.database()
        })
    }

    /// Waits until both files hold the same.
    fn come_together(&self, seconds: u64) {
        self.comes_together(&self.edge, seconds);
    }

    /// Waits until an appliance and the hub hold the same.
    fn comes_together(&self, edge: &Edge, seconds: u64) {
        let hub = self.at_the_hub();
        let status = || edge.command(&["hub", "status"], "");
        edge.command(&["hub", "send"], "");
        let edge = edge.database();
        let began = Instant::now();
        loop {
            let differences = checker::differences(&edge, &hub);
            if differences.is_empty() {
                println!("together after {:?}", began.elapsed());
                return;
            }
            assert!(
                began.elapsed() < Duration::from_secs(seconds),
                "after {seconds} s they still differ: {differences:#?}\n{}",
                status()
            );
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// One misfortune, and a while in which things go well.
    fn suffer(&mut self, rng: &mut Rng) {
        let kind = rng.whole(0, 6);
        match kind {
            0 => {
                self.part_an_exchange();
                rest(rng, PARTED_MS);
            }
            1 => {
                self.link.set(WORSE);
                rest(rng, PARTED_MS);
                self.link.set(Quality::POOR);
            }
            2 => {
                self.part_an_exchange();
                self.edge.kill();
                rest(rng, PARTED_MS);
                self.edge.spawn();
            }
            3 => {
                self.hub.kill();
                rest(rng, PARTED_MS);
                self.hub.spawn();
            }
            4 => {
                self.part_an_exchange();
                self.edge.kill();
                self.hub.kill();
                self.hub.spawn();
                self.edge.spawn();
            }
            _ => {
                self.edge.kill();
                self.edge.spawn();
                // While it starts.
                rest(rng, STARTING_MS);
                self.edge.kill();
                self.edge.spawn();
            }
        }
        self.edge.wait_ready();
        self.link.join();
        rest(rng, WELL_MS);
    }

    /// Parts the line while packets are on it.
    fn part_an_exchange(&self) {
        let before = self.link.carried().packets;
        self.edge.command(&["hub", "send"], "");
        until("an exchange to be under way", 30, || {
            (self.link.carried().packets > before).then_some(())
        });
        self.link.part();
    }
}

fn rest(rng: &mut Rng, (least, most): (i64, i64)) {
    thread::sleep(Duration::from_millis(rng.whole(least, most) as u64));
}

/// Does something in a network, with a runtime of its own.
fn alone<F: Future>(place: &e2e::Namespace, deed: impl FnOnce() -> F + Send)
where
    F::Output: Send,
{
    place.within(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(deed());
    });
}

/// The cows that everybody knows, with their tags.
fn herd(apart: &Apart, ledger: &Ledger) -> Vec<String> {
    let mut tags = Vec::new();
    alone(&apart.link.near, async || {
        for (n, number) in COWS.into_iter().flatten().enumerate() {
            let tag = format!("05000120400{n:04}");
            ledger.named(number, "edge", "first");
            let cow = serde_json::json!([{
                "number": number, "name": "first", "sex": "female", "status": "lactating", "tags": [tag]
            }]);
            crate::web::tell(&apart.edge, "/api/v1/animals", cow).await;
            ledger.was_taken(number, "edge");
            tags.push(tag);
        }
    });
    tags
}

#[test]
fn over_a_poor_line_that_is_parted_while_either_is_killed_nothing_is_lost_doubled_or_back() {
    let rounds = from_environment("KHAMAR_LINE_ROUNDS").unwrap_or(ROUNDS);
    let seed = from_environment("KHAMAR_SEED").unwrap_or_else(|| std::process::id().into());
    println!("KHAMAR_SEED={seed} KHAMAR_LINE_ROUNDS={rounds}");
    let mut apart = Apart::joined(seed);
    let ledger = Ledger::default();
    let tags = herd(&apart, &ledger);
    apart.come_together(SOON_S);
    apart.link.set(Quality::POOR);
    work_at_both_ends(&mut apart, &ledger, &tags, seed, |apart| {
        let mut rng = Rng::stream(seed, "misfortunes");
        for _ in 0..rounds {
            apart.suffer(&mut rng);
        }
    });
}

/// Works at both ends while `meanwhile` happens; then both must come together, and the checker find nothing.
fn work_at_both_ends(
    apart: &mut Apart,
    ledger: &Ledger,
    tags: &[String],
    seed: u64,
    meanwhile: impl FnOnce(&mut Apart),
) {
    let (edge_file, hub_file) = (apart.edge.database(), apart.at_the_hub());
    let (edge_web, hub_web, door) = (apart.edge.web, apart.hub.web, apart.edge.mqtt);
    let (near, far) = (apart.link.near.clone(), apart.link.far.clone());
    let farm = apart.farm.clone();
    let watch = Watch::over(edge_file.clone(), hub_file.clone());
    let work = Work::new(ledger);
    let stream = |name| Rng::stream(seed, name);
    thread::scope(|scope| {
        scope.spawn(|| near.within(|| work.milk(door, tags, stream("parlour"))));
        scope.spawn(|| {
            alone(&near, async || {
                let browser = Browser::at_the_edge(edge_web, edge_file.clone()).await;
                let cows = [COWS[0], COWS[2]].concat();
                work.browse(browser, &cows, stream("edge")).await;
            });
        });
        scope.spawn(|| {
            alone(&far, async || {
                let browser = Browser::at_the_hub(hub_web, &farm, hub_file.clone()).await;
                let cows = [COWS[1], COWS[2]].concat();
                work.browse(browser, &cows, stream("hub")).await;
            });
        });
        let _enough = work.until_dropped();
        meanwhile(apart);
    });

    apart.come_together(TOGETHER_S);
    let (looks, seen) = watch.end();
    println!(
        "{:?} acknowledged, {looks} looks, {:?}",
        ledger.acknowledged(),
        apart.link.carried()
    );
    assert!(looks > 0 && seen.is_empty(), "{looks} looks: {seen:#?}");
    sound(ledger, &[&edge_file, &hub_file]);
}

/// The checker finds nothing in these files.
fn sound(ledger: &Ledger, files: &[&Path]) {
    for file in files {
        let broken = checker::broken(ledger, file);
        assert!(broken.is_empty(), "{}: {broken:#?}", file.display());
    }
}
