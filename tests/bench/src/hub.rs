//! `hub.farms`: what a farm costs a hub that has 500 of them in one process.
//!
//! Each farm has one appliance, which joins with a claim code and then leaves a request waiting, as it does when nothing happens: that is an idle
//! farm, its file open. Then each brings one fact after another, signed and on disk before it is answered, 64 at a time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use e2e::{Hub, hub::PEOPLE};
use sync::{
    Site, Value,
    facts::Run,
    keys::{Purpose, SecretKey},
    marks::Mark,
    wire::{self, Claim, Head, PROTOCOL, Part, Reply, Request},
};
use sync_http::client::Client;
use tokio::task::JoinSet;

use crate::figure::{Figure, note};

const FARMS: usize = 500;
const AT_ONCE: usize = 64;
const LASTS: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(120);
/// As long as a hub lets anyone wait.
const WAIT_S: u16 = 240;

pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let (hub, _) = Hub::start();
    let codes: Vec<String> = (0..FARMS)
        .map(|n| {
            let name = format!("Farm {n}");
            let farm = hub.command(&["farms", "add", "--owner", PEOPLE[0], "--name", &name], "");
            let code = hub.command(&["farms", "claim", farm.trim()], "");
            code.trim().to_owned()
        })
        .collect();
    let runtime = tokio::runtime::Runtime::new()?;
    let before = resident_mb(&hub)?;
    let client = Client::new(&hub.url("").parse()?, &[])?;
    let began = Instant::now();
    let mut pis = runtime.block_on(join_all(&client, codes))?;
    note(format_args!(
        "hub.farms: {FARMS} farms joined in {:.0} s",
        began.elapsed().as_secs_f64()
    ));
    let waiting = runtime.block_on(wait_all(&client, &mut pis))?;
    let idle = (resident_mb(&hub)? - before) / FARMS as f64;
    drop(waiting);
    let (exchanges, took) = runtime.block_on(bring_facts(&client, pis))?;
    note(format_args!(
        "hub.farms: {before:.0} MB before, {:.0} MB after {exchanges} exchanges",
        resident_mb(&hub)?
    ));
    Ok(vec![
        Figure::new("hub.farms", idle, "MB per idle farm of 500"),
        Figure::new(
            "hub.farms.exchanges",
            exchanges as f64 / took.as_secs_f64(),
            "exchanges/s, durable",
        ),
    ])
}

fn resident_mb(hub: &Hub) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", hub.pid()))?;
    let kb = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next());
    Ok(kb.context("no VmRSS in /proc/PID/status")?.parse::<f64>()? / 1_024.0)
}

/// An appliance with a log of its own.
struct Pi {
    key: SecretKey,
    site: Site,
    signed_ms: i64,
    mark: Mark,
}

impl Pi {
    /// Joins a farm.
    async fn join(client: &Client, code: String) -> anyhow::Result<Self> {
        let key = SecretKey::generate()?;
        let mut site = Site([0; 16]);
        site.0.copy_from_slice(&key.public().0[..16]);
        let claim = Claim {
            protocol: PROTOCOL,
            code,
            site,
            schema: 1,
            name: "pi".to_owned(),
        };
        client.enrol(&key, &claim).await?;
        Ok(Self {
            key,
            site,
            signed_ms: 0,
            mark: Mark::default(),
        })
    }

    fn seal(&mut self, wait_s: u16, parts: &[Part]) -> anyhow::Result<Vec<u8>> {
        let request = Request {
            protocol: PROTOCOL,
            schema: 1,
            epoch: 0,
            site: self.site,
            heads: vec![Head {
                stream: "audit".to_owned(),
                upto: self.mark.upto,
            }],
            have: Vec::new(),
            skip: Vec::new(),
            wait_s,
            room: 65_536,
        };
        let message = wire::encode(&request, parts)?;
        let now_ms = jiff::Timestamp::now().as_millisecond();
        self.signed_ms = now_ms.max(self.signed_ms + 1);
        Ok(self.key.seal(Purpose::Exchange, self.signed_ms, &message))
    }

    /// Brings one more fact; it is on the hub's disk afterwards.
    async fn bring_one(&mut self, client: &Client) -> anyhow::Result<()> {
        let text = |text: &str| Value::Text(text.to_owned());
        let run = Run {
            log: "audit".to_owned(),
            site: self.site,
            from: self.mark,
            columns: ["at", "clock", "actor", "action"]
                .map(str::to_owned)
                .to_vec(),
            rows: vec![vec![
                Value::Integer(1_795_140_000_000 + self.mark.upto),
                Value::Integer(3),
                text("system"),
                text("bench.say"),
            ]],
        };
        let end = run.end()?;
        let body = self.seal(0, &[Part::Facts(run)])?;
        let reply = client.exchange(body, PATIENCE).await?;
        match wire::decode::<Reply>(&reply)?.0 {
            Reply::Answer(answer) => ensure!(
                answer.have.iter().any(|have| have.mark == end),
                "the hub holds {:?} and refused {:?}",
                answer.have,
                answer.refused
            ),
            Reply::Refused(refusal) => bail!("the hub refused: {refusal}"),
        }
        self.mark = end;
        Ok(())
    }
}

async fn join_all(client: &Client, codes: Vec<String>) -> anyhow::Result<Vec<Pi>> {
    let (mut joining, mut pis) = (JoinSet::new(), Vec::new());
    for code in codes {
        if joining.len() == AT_ONCE
            && let Some(pi) = joining.join_next().await
        {
            pis.push(pi??);
        }
        let client = client.clone();
        joining.spawn(async move { Pi::join(&client, code).await });
    }
    while let Some(pi) = joining.join_next().await {
        pis.push(pi??);
    }
    Ok(pis)
}

/// Leaves a request of each at the hub, and lets them wait until the hub is at rest. They end when the value is dropped.
async fn wait_all(client: &Client, pis: &mut [Pi]) -> anyhow::Result<JoinSet<anyhow::Result<()>>> {
    let mut waiting = JoinSet::new();
    for pi in pis {
        pi.bring_one(client).await?;
        let (client, body) = (client.clone(), pi.seal(WAIT_S, &[])?);
        waiting.spawn(async move {
            let patience = PATIENCE + Duration::from_secs(WAIT_S.into());
            client.exchange(body, patience).await?;
            Ok(())
        });
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    ensure!(
        waiting.try_join_next().is_none(),
        "a request that was to wait has ended"
    );
    Ok(waiting)
}

/// All bring facts for a while; how many exchanges, and how long.
async fn bring_facts(client: &Client, pis: Vec<Pi>) -> anyhow::Result<(u64, Duration)> {
    let (done, began) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let mut hands = JoinSet::new();
    let mut shares: Vec<Vec<Pi>> = (0..AT_ONCE).map(|_| Vec::new()).collect();
    for (n, pi) in pis.into_iter().enumerate() {
        shares[n % AT_ONCE].push(pi);
    }
    for mut share in shares {
        let (client, done) = (client.clone(), Arc::clone(&done));
        hands.spawn(async move {
            loop {
                for pi in &mut share {
                    if began.elapsed() > LASTS {
                        return anyhow::Ok(());
                    }
                    pi.bring_one(&client).await?;
                    done.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    while let Some(ended) = hands.join_next().await {
        ended??;
    }
    Ok((done.load(Ordering::Relaxed), began.elapsed()))
}
