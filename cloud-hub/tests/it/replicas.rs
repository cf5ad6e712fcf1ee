//! A farm's machine and the hub, over HTTP: joining, exchanging, being swapped; the farm's pages at the hub; its files.

use std::{io, sync::Arc, time::Duration};

use axum::http::{Method, StatusCode};
use cloud_hub::tidy;
use farm::{
    Actor, Farm,
    animals::{self, Animal, AnimalForm},
    text::Name,
};
use farm_model::{AnimalStatus, ClockQuality, SystemClock};
use hub_accounts::Role;
use rusqlite::Connection;
use sync::{
    keys::SecretKey,
    peer::{ClockHint, Manner, Status, Trouble},
    site,
    wire::{Claim, PROTOCOL, Refusal},
};
use sync_http::{
    agent::{Agent, Keeper},
    client::{AskError, Client, HubAddress},
};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::world::World;

/// Long enough for a machine that does much else; nothing here waits for it to pass.
const DEADLINE: Duration = Duration::from_secs(60);

/// A farm's machine.
struct Pi {
    farm: Farm,
    key: SecretKey,
    client: Client,
    _folder: tempfile::TempDir,
}

struct Forgetful;

impl Keeper for Forgetful {
    async fn keep(&self, _: &SecretKey) -> io::Result<()> {
        Ok(())
    }

    fn clock(&self, _: ClockHint) {}
}

impl Pi {
    fn new(hub: &HubAddress) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = farm::Options {
            clock: Arc::new(SystemClock::new(0, ClockQuality::Synced)),
            ..farm::Options::default()
        };
        Self {
            farm: Farm::open(&folder.path().join("farm.db"), options).unwrap(),
            key: SecretKey::generate().unwrap(),
            client: Client::new(hub, &[]).unwrap(),
            _folder: folder,
        }
    }

    async fn enrol(&self, code: &str) -> Result<sync::wire::Welcome, AskError> {
        let site = self
            .farm
            .write(Actor::System, |tx| {
                site::own(tx.conn()).map_err(farm::StoreError::from)
            })
            .await;
        let claim = Claim {
            protocol: PROTOCOL,
            code: code.to_owned(),
            site: site.unwrap(),
            schema: 11,
            name: "barn-pi".to_owned(),
        };
        self.client.enrol(&self.key, &claim).await
    }

    /// Exchanges from now on, until the guard is dropped.
    fn run(&self) -> (watch::Receiver<Status>, DropGuard) {
        let (agent, handle) = Agent::new(
            self.farm.clone(),
            Forgetful,
            self.client.clone(),
            SecretKey::from_seed(*self.key.seed()),
            Manner::default(),
            7,
        );
        let stop = CancellationToken::new();
        tokio::spawn(agent.run(stop.clone()));
        (handle.status(), stop.drop_guard())
    }

    /// Resolves when this is true of its animals.
    async fn until(&self, what: impl Fn(&[Animal]) -> bool) {
        let looked = async {
            loop {
                let seen = sync::Store::committed(&self.farm);
                let animals = self.farm.read(animals::list).await.unwrap();
                if what(&animals) {
                    return;
                }
                sync::Store::news(&self.farm, seen).await;
            }
        };
        tokio::time::timeout(DEADLINE, looked)
            .await
            .expect("in time");
    }
}

/// Waits until the line stands like this.
async fn stands(status: &mut watch::Receiver<Status>, how: impl FnMut(&Status) -> bool) {
    let waited = tokio::time::timeout(DEADLINE, status.wait_for(how)).await;
    waited.expect("in time").unwrap();
}

/// Serves the hub on a port of its own.
async fn serve(world: &World) -> HubAddress {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = world.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}").parse().unwrap()
}

/// A claim code from the page.
async fn code(world: &World, owner: &str, form: &str) -> String {
    code_of(world, "rahima-dairy", owner, form).await
}

async fn code_of(world: &World, farm: &str, owner: &str, form: &str) -> String {
    let path = format!("/manage/{farm}/claims");
    let page = world.post(&path, owner, form).await;
    page.between("<code id=\"claim-code\" tabindex=\"0\">", "<")
        .to_owned()
}

/// Registers a cow on the farm's pages at the hub.
async fn register(world: &World, session: &str, number: &str) {
    register_on(world, "rahima-dairy", session, number).await;
}

async fn register_on(world: &World, farm: &str, session: &str, number: &str) {
    let form = format!("number={number}&name=Lali&sex=female&status=lactating");
    let path = format!("/farms/{farm}/herd/new");
    let done = world.post(&path, session, &form).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
    assert!(
        done.location.starts_with(&format!("/farms/{farm}/herd/")),
        "{}",
        done.location
    );
}

/// Waits until so many appliances wait at the hub.
async fn wait_at(world: &World, count: usize) {
    let waited = async {
        while world.farms.waiting() != count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, waited)
        .await
        .expect("in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_joins_and_both_sides_hold_the_same_farm() {
    let world = World::new();
    let hub = serve(&world).await;
    let (owner, _) = world.owner("rahima").await;
    let pi = Pi::new(&hub);
    let wrong = pi.enrol("0000-0000-0000-0000").await;
    assert!(
        matches!(wrong, Err(AskError::Refused(Refusal::Code))),
        "{wrong:?}"
    );
    let code = code(&world, &owner, "").await;
    for _ in 0..2 {
        let welcome = pi.enrol(&code.to_lowercase()).await.unwrap();
        assert_eq!(welcome.farm, "rahima Dairy");
    }
    let (mut status, _running) = pi.run();
    stands(&mut status, |s| s.current && s.waiting == 0).await;
    let page = world.get("/manage/rahima-dairy", &owner).await;
    assert!(page.text.contains("barn-pi"), "{}", page.text);

    register(&world, &owner, "201").await;
    pi.until(|herd| herd.iter().any(|a| a.number == "201"))
        .await;

    let herd = world.get("/farms/rahima-dairy/herd", &owner).await;
    assert!(
        herd.text.contains("201") && herd.text.contains("rahima"),
        "{}",
        herd.text
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swapped_machine_is_refused_and_the_new_one_gets_the_whole_farm() {
    let world = World::new();
    let hub = serve(&world).await;
    let (owner, _) = world.owner("rahima").await;
    let old = Pi::new(&hub);
    old.enrol(&code(&world, &owner, "").await).await.unwrap();
    let (mut status, running) = old.run();
    stands(&mut status, |s| s.current).await;
    register(&world, &owner, "7").await;
    old.until(|herd| herd.len() == 1).await;
    drop(running);

    let page = world.get("/manage/rahima-dairy", &owner).await;
    let site = page.between("name=\"replaces\" value=\"", "\"");
    let code = code(&world, &owner, &format!("replaces={site}")).await;
    let new = Pi::new(&hub);
    new.enrol(&code).await.unwrap();
    let (mut fresh, _runs) = new.run();
    stands(&mut fresh, |s| s.current).await;
    new.until(|herd| herd.iter().any(|a| a.number == "7")).await;

    let (mut refused, _tries) = old.run();
    stands(&mut refused, |s| {
        matches!(s.trouble, Some(Trouble::Refused(Refusal::Revoked)))
    })
    .await;
}

#[tokio::test]
async fn members_see_and_do_on_the_farm_what_their_role_allows() {
    let world = World::new();
    let (owner, farm) = world.owner("rahima").await;
    register(&world, &owner, "12").await;
    let reader = world.member("reader", &farm, Role::ReadOnly).await;
    let worker = world.member("worker", &farm, Role::Worker).await;
    let manager = world.member("manager", &farm, Role::Manager).await;
    for (who, path, status) in [
        (&reader, "/farms/rahima-dairy/herd", StatusCode::OK),
        (&reader, "/farms/rahima-dairy/settings", StatusCode::OK),
        (&worker, "/farms/rahima-dairy/herd", StatusCode::OK),
        (
            &worker,
            "/farms/rahima-dairy/settings",
            StatusCode::FORBIDDEN,
        ),
        (&manager, "/farms/rahima-dairy/settings", StatusCode::OK),
        (&manager, "/farms/rahima-dairy", StatusCode::OK),
    ] {
        let answer = world.get(path, who).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
    }
    let form = "number=13&sex=female&status=lactating";
    let tied = world
        .post("/farms/rahima-dairy/herd/new", &reader, form)
        .await;
    assert_eq!(tied.status, StatusCode::FORBIDDEN);
    register(&world, &manager, "13").await;
}

#[tokio::test]
async fn few_farms_are_open_at_once_and_none_forgets() {
    let world = World::with_room_for(1);
    let (rahima, farm) = world.owner("rahima").await;
    let (salma, _) = world.owner("salma").await;
    register(&world, &rahima, "41").await;
    for _ in 0..2 {
        let hers = world.get("/farms/salma-dairy/herd", &salma).await;
        assert_eq!(hers.status, StatusCode::OK, "{}", hers.text);
        let mine = world.get("/farms/rahima-dairy/herd", &rahima).await;
        assert!(mine.text.contains("41"), "{}", mine.text);
    }
    assert_eq!(world.farms.sweep().await, 1);
    world.pass(601);
    assert_eq!(world.farms.sweep().await, 0);
    let path = world
        .folder
        .path()
        .join(format!("farms/{}.db-wal", farm.id));
    assert!(!path.exists(), "the file was closed in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_appliances_wait_for_news_than_files_may_be_open() {
    let world = World::with_room_for(1);
    let hub = serve(&world).await;
    let mut places = Vec::new();
    for name in ["rahima", "salma", "karim"] {
        let (owner, _) = world.owner(name).await;
        let (farm, pi) = (format!("{name}-dairy"), Pi::new(&hub));
        pi.enrol(&code_of(&world, &farm, &owner, "").await)
            .await
            .unwrap();
        places.push((farm, owner, pi));
    }
    let runs: Vec<_> = places.iter().map(|(.., pi)| pi.run()).collect();
    wait_at(&world, 3).await;
    for (farm, owner, pi) in &places {
        register_on(&world, farm, owner, "31").await;
        pi.until(|herd| herd.iter().any(|a| a.number == "31")).await;
    }
    wait_at(&world, 3).await;
    assert_eq!(world.farms.sweep().await, 1);
    drop(runs);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_farms_file_is_closed_while_its_appliance_waits() {
    let world = World::new();
    let hub = serve(&world).await;
    let (owner, _) = world.owner("rahima").await;
    let pi = Pi::new(&hub);
    pi.enrol(&code(&world, &owner, "").await).await.unwrap();
    let (mut status, _runs) = pi.run();
    stands(&mut status, |s| s.current && s.waiting == 0).await;
    wait_at(&world, 1).await;
    assert_eq!(world.farms.sweep().await, 1);
    world.pass(601);
    assert_eq!(world.farms.sweep().await, 0);
    assert_eq!(world.farms.waiting(), 1);

    // What is written after that goes out all the same, both ways.
    register(&world, &owner, "51").await;
    pi.until(|herd| herd.iter().any(|a| a.number == "51")).await;
    let form = AnimalForm::new(Name::new("52").unwrap(), AnimalStatus::Lactating);
    pi.farm
        .write(Actor::System, move |tx| {
            animals::register(tx, &form, None, None)
        })
        .await
        .unwrap();
    stands(&mut status, |s| s.waiting > 0).await;
    stands(&mut status, |s| s.waiting == 0).await;
    let herd = world.get("/farms/rahima-dairy/herd", &owner).await;
    assert!(herd.text.contains("52"), "{}", herd.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_ends_answers_whoever_waits() {
    let world = World::new();
    let hub = serve(&world).await;
    let (owner, _) = world.owner("rahima").await;
    let pi = Pi::new(&hub);
    pi.enrol(&code(&world, &owner, "").await).await.unwrap();
    let (mut status, _runs) = pi.run();
    stands(&mut status, |s| s.current).await;
    wait_at(&world, 1).await;
    world.farms.end_waits();
    wait_at(&world, 0).await;
    stands(&mut status, |s| s.trouble.is_none()).await;
}

/// An appliance's file that came to the hub whole, with readings in it.
#[tokio::test(flavor = "multi_thread")]
async fn old_readings_of_a_replica_go_and_no_fact_with_them() {
    let world = World::new();
    let (owner, farm) = world.owner("rahima").await;
    register(&world, &owner, "61").await;
    world.pass(601);
    assert_eq!(world.farms.sweep().await, 0);
    let path = world.folder.path().join(format!("farms/{}.db", farm.id));
    let conn = Connection::open(&path).unwrap();
    let count = |what: &str| -> i64 {
        let sql = format!("SELECT count(*) FROM {what}");
        conn.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    conn.execute_batch(
        "INSERT INTO series (id, device, quantity) VALUES (1, randomblob(16), 1);
         INSERT INTO reading_log (seq, series, at, value, quality, clock) VALUES (1, 1, 1000, 5, 0, 3);",
    )
    .unwrap();
    let facts = count("audit");
    assert!(facts > 0);

    let page = world.get("/farms/rahima-dairy/herd", &owner).await;
    assert_eq!(page.status, StatusCode::OK);
    tidy(&world.store, &world.farms).await;
    assert_eq!([count("reading_log"), count("reading")], [0, 0]);
    assert_eq!(count("rollup"), 3, "sums of it stay");
    assert_eq!(count("audit"), facts);
}

#[tokio::test]
async fn the_owner_takes_the_farm_along_in_one_file() {
    let world = World::new();
    let (owner, farm) = world.owner("rahima").await;
    register(&world, &owner, "77").await;
    let (head, bytes) = world.download("/manage/rahima-dairy/export", &owner).await;
    assert_eq!(
        head["content-disposition"],
        "attachment; filename=\"rahima-dairy.db\""
    );
    let taken = world.folder.path().join("taken.db");
    std::fs::write(&taken, bytes).unwrap();
    let copy = Farm::open(&taken, farm::Options::default()).unwrap();
    let herd = copy.read(animals::list).await.unwrap();
    assert_eq!(herd[0].number, "77");
    let left: Vec<_> = std::fs::read_dir(world.folder.path().join("farms"))
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter(|name| !name.starts_with(&farm.id.to_string()))
        .collect();
    assert_eq!(left, Vec::<String>::new());
}

#[tokio::test]
async fn an_address_claims_only_so_often() {
    let world = World::new();
    let claim = async |from| {
        let path = sync_http::ENROL;
        world
            .ask_from(Method::POST, path, "", "no claim", from)
            .await
    };
    for _ in 0..20 {
        assert_eq!(claim("192.0.2.7").await.status, StatusCode::BAD_REQUEST);
    }
    let refused = claim("192.0.2.7").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(claim("192.0.2.8").await.status, StatusCode::BAD_REQUEST);
    world.pass(60);
    assert_eq!(claim("192.0.2.7").await.status, StatusCode::BAD_REQUEST);
}
