//! `edge.pages`: every page of a farm with 1,200 cows and three years of milkings, on the server.
//!
//! The pages are those of the router's own table, so a new one is measured from its first day. Each is asked for many
//! times, for another animal, device or visit each time; the figure is the worst page's 99th percentile.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use farm::{
    animals, devices,
    milkings::{self, VisitFilter, VisitSort},
    places,
};
use farm_model::PlaceKind;
use farm_web::route_table;

use crate::{
    figure::{Figure, Times, note},
    history::{self, NOW_MS},
    site::Site,
};

/// How often a page is asked for in a round, and in how many rounds; other work on the machine only ever adds time, so the
/// quietest round counts.
const ASKED: usize = 100;
const ROUNDS: usize = 3;
/// Longest time spent on a round, and how often the page is asked for at least.
const LONGEST: Duration = Duration::from_millis(600);
const LEAST: usize = 30;

/// Longer views of pages that have them.
const VIEWS: &[&str] = &[
    "/herd?q=12",
    "/sensors/{device}/{quantity}?span=week",
    "/sensors/{device}/{quantity}?span=year",
];

/// What only a link with a query leads to, what only leads on, and what only an appliance has.
const NO_PAGES: &[&str] = &[
    "/alerts/{id}",
    "/devices/farm-ca.pem",
    "/herd/{id}/strike",
    "/hub",
];

pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let path = history::milked()?;
    let worst = tokio::runtime::Runtime::new()?.block_on(async {
        let site = Site::open(&path, NOW_MS).await?;
        let known = Known::load(&site).await?;
        let mut worst = 0.0f64;
        for page in pages() {
            let mut quietest = f64::INFINITY;
            for _ in 0..ROUNDS {
                quietest = quietest.min(round(&site, &known, page).await?.quantile_ms(0.99));
            }
            note(format_args!("edge.pages: {quietest:>7.2} ms {page}"));
            worst = worst.max(quietest);
        }
        anyhow::Ok(worst)
    })?;
    Ok(vec![
        Figure::new("edge.pages", worst, "ms, p99 of the slowest page").goal(20.0),
    ])
}

/// Asks for `page` again and again.
async fn round(site: &Site, known: &Known, page: &str) -> anyhow::Result<Times> {
    let mut times = Times::default();
    let started = Instant::now();
    while times.len() < ASKED && (times.len() < LEAST || started.elapsed() < LONGEST) {
        let path = known.fill(page, times.len())?;
        let got = site.get(&path).await?;
        ensure!(
            got.status.is_success() || got.status.is_redirection(),
            "{path} was answered with {}",
            got.status
        );
        times.add(got.time);
    }
    Ok(times)
}

/// Every address that draws a page.
fn pages() -> Vec<&'static str> {
    let machines = [
        "/api/", "/assets/", "/live", "/metrics", "/healthz", "/readyz",
    ];
    let mut pages: Vec<_> = route_table()
        .iter()
        .filter(|route| route.method == "GET")
        .map(|route| route.path)
        .filter(|path| !machines.iter().any(|m| path.starts_with(m)) && !path.ends_with(".csv"))
        // Draws what a meter answers; there is none on this farm.
        .filter(|path| !path.ends_with("/decode"))
        .filter(|path| !NO_PAGES.contains(path))
        .chain(VIEWS.iter().copied())
        .collect();
    pages.sort_unstable();
    pages
}

/// What can stand in addresses.
struct Known {
    animals: Vec<String>,
    devices: Vec<String>,
    visits: Vec<String>,
    tanks: Vec<String>,
    owner: String,
}

impl Known {
    async fn load(site: &Site) -> anyhow::Result<Self> {
        let owner = site.owner.to_string();
        site.farm
            .read(move |conn| {
                let visits =
                    milkings::list(conn, &VisitFilter::default(), VisitSort::Newest, None, 200)?;
                let tanks = places::list(conn)?;
                anyhow::Ok(Self {
                    animals: texts(animals::list(conn)?.iter().map(|a| a.id)),
                    devices: texts(devices::list(conn)?.iter().map(|d| d.id)),
                    visits: texts(visits.records.iter().map(|r| r.visit.id)),
                    tanks: texts(
                        tanks
                            .iter()
                            .filter(|p| p.kind == PlaceKind::Tank)
                            .map(|p| p.id),
                    ),
                    owner,
                })
            })
            .await
    }

    /// `page` with its parameters filled in, others for each `n`.
    fn fill(&self, page: &str, n: usize) -> anyhow::Result<String> {
        let section = page
            .split('/')
            .nth(1)
            .context("a path begins with a slash")?;
        let mut path = String::new();
        let mut rest = page;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').context("a brace is closed")?;
            let what = if name == "id" { section } else { name };
            path.push_str(before);
            path.push_str(self.value(what, n).with_context(|| page.to_owned())?);
            rest = after;
        }
        path.push_str(rest);
        Ok(path)
    }

    fn value(&self, what: &str, n: usize) -> anyhow::Result<&str> {
        let all = match what {
            "animal" | "animals" | "herd" | "cow" => &self.animals,
            "device" | "devices" => &self.devices,
            "visit" | "milk" | "milking" | "milkings" => &self.visits,
            "tank" | "tanks" => &self.tanks,
            "staff" => return Ok(&self.owner),
            "stall" => return Ok("3"),
            "kind" => return Ok("treatment"),
            "quantity" => return Ok("temperature"),
            _ => bail!("nothing is known that could stand for {what:?}; teach bench's pages.rs"),
        };
        // 7 and 1,200 have no common divisor: every animal's turn comes.
        Ok(&all[n * 7 % all.len()])
    }
}

fn texts<T: ToString>(all: impl Iterator<Item = T>) -> Vec<String> {
    all.map(|one| one.to_string()).collect()
}
