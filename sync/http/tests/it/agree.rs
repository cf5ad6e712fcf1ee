//! Agents and a hub over sockets: all come to hold the same, and news do not wait for a timer.

use std::time::{Duration, Instant};

use crate::{farm::Farm, hub::Running};

const MILK: &str =
    "SELECT id, seq, yield_ml FROM milking JOIN sync_site ON ordinal = site ORDER BY 1, 2";
const ANIMALS: &str = "SELECT * FROM animal ORDER BY id";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_barns_and_the_hub_come_to_agree() {
    let running = Running::start().await;
    let barns = [running.join().await, running.join().await];
    for (barn, n) in barns.iter().zip([1_u8, 2]) {
        barn.file.write(|farm| {
            for _ in 0..200 {
                farm.milk(n, i64::from(n) * 1_000);
            }
            farm.animal(n, "from a barn");
            farm.animal(9, if n == 1 { "one" } else { "two" });
        });
    }
    running
        .hub
        .file
        .write(|farm| farm.animal(3, "from the hub"));
    let all = |farm: &Farm| farm.rows(MILK).len() == 400 && farm.names().len() == 4;
    for file in [&running.hub.file, &barns[0].file, &barns[1].file] {
        file.until(all).await;
    }
    for barn in &barns {
        barn.until(|status| status.current && status.waiting == 0)
            .await;
        let hub = running
            .hub
            .file
            .look(|farm| (farm.rows(ANIMALS), farm.rows(MILK)));
        assert_eq!(
            barn.file.look(|farm| (farm.rows(ANIMALS), farm.rows(MILK))),
            hub
        );
        assert!(barn.handle.heard_ago().is_some());
    }
    let visits = running.hub.visits.borrow();
    assert!(
        visits
            .iter()
            .any(|visit| visit.waiting == 0 && !visit.heads.is_empty())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn news_arrive_while_a_request_waits() {
    let running = Running::start().await;
    let barn = running.join().await;
    barn.until(|status| status.current).await;
    let began = Instant::now();
    for n in 1..=5 {
        let name = format!("news {n}");
        running.hub.file.write(|farm| farm.animal(1, &name));
        barn.file
            .until(|farm| farm.names() == [name.as_str()])
            .await;
        barn.file.write(|farm| farm.milk(1, n));
        running
            .hub
            .file
            .until(|farm| farm.rows(MILK).len() as i64 == n)
            .await;
    }
    // A request waits for 55 s: five of them would be minutes.
    assert!(
        began.elapsed() < Duration::from_secs(50),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_at_the_address_is_told_and_tried_again() {
    let running = Running::start().await;
    let barn = running.join().await;
    barn.until(|status| status.current).await;
    barn.file.write(|farm| farm.milk(1, 1));
    running
        .hub
        .file
        .until(|farm| farm.rows(MILK).len() == 1)
        .await;
    drop(running);
    barn.file.write(|farm| farm.milk(1, 2));
    barn.until(|status| status.trouble.is_some() && status.waiting == 1)
        .await;
}
