//! Logging in, locking out, and tokens.

use farm::{
    Actor,
    auth::{self, AuthError, Scope},
    staff::{self, Pin, StaffError},
};
use farm_model::{ClockQuality, Role, StaffId, UnixMillis};

use crate::support::{DAY, Fixture, HandClock, NOW, name};

fn pin(text: &str) -> Pin {
    Pin::new(text).unwrap()
}

fn add(f: &Fixture, who: &str, role: Role) -> StaffId {
    let hash = pin("1234").hash();
    let who = name(who);
    f.write(move |tx| staff::add(tx, &who, role, &hash))
        .unwrap()
}

/// Tries a wrong PIN without the cost of hashing it: the attempt counts before it is tried.
fn fail(f: &Fixture, who: StaffId) -> Result<(), AuthError> {
    f.write(move |tx| auth::begin(tx, who)).map(drop)
}

fn wait(f: &Fixture, who: StaffId) -> i64 {
    match fail(f, who) {
        Err(AuthError::Locked { seconds }) => seconds,
        other => panic!("not locked: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_pin_opens_a_session_and_a_wrong_one_does_not() {
    let f = Fixture::new();
    let farm = f.farm.clone();
    let who = tokio::task::spawn_blocking(move || (add(&f, "রহিম", Role::Worker), f))
        .await
        .unwrap();
    let (who, f) = who;
    let wrong = auth::login(&farm, who, pin("4321"), "test".into()).await;
    assert!(matches!(wrong, Err(AuthError::Wrong)));
    let nobody = auth::login(&farm, StaffId::new(), pin("1234"), "test".into()).await;
    assert!(matches!(nobody, Err(AuthError::Wrong)));
    let secret = auth::login(&farm, who, pin("১২৩৪"), "test".into())
        .await
        .unwrap();
    let text = secret.as_str().to_owned();
    let valid = |at: UnixMillis| {
        let text = text.clone();
        farm.read(move |conn| auth::session(conn, &text, at))
    };
    assert_eq!(valid(NOW).await.unwrap().unwrap().staff.id, who);
    assert!(valid(NOW.plus(8 * DAY)).await.unwrap().is_none(), "idle");
    let stored: i64 = farm
        .read({
            let text = text.clone();
            move |conn| {
                Ok::<_, farm::StoreError>(conn.query_row(
                    "SELECT count(*) FROM login_session WHERE hex(token) = upper(?1)",
                    [text],
                    |row| row.get(0),
                )?)
            }
        })
        .await
        .unwrap();
    assert_eq!(stored, 0, "only the hash is stored");
    farm.write(Actor::Staff(who), move |tx| {
        auth::logout_everywhere(tx, who)
    })
    .await
    .unwrap();
    assert!(valid(NOW).await.unwrap().is_none());
    drop(f);
}

#[test]
fn failures_lock_out_and_a_restart_forgives_nothing() {
    let f = Fixture::new();
    let who = add(&f, "a", Role::Worker);
    for _ in 0..5 {
        fail(&f, who).unwrap();
    }
    assert_eq!(wait(&f, who), 30);
    // The wall clock jumps; no time has passed.
    f.clock.set(NOW.plus(DAY), ClockQuality::Unknown);
    assert_eq!(wait(&f, who), 30);
    f.clock.pass(29_000);
    assert_eq!(wait(&f, who), 1);
    f.clock.pass(1_000);
    fail(&f, who).unwrap();
    assert_eq!(wait(&f, who), 60);
    let f = f.reopen(NOW.plus(DAY), ClockQuality::Unknown);
    assert_eq!(wait(&f, who), 50, "ten seconds since this start");
    f.clock.pass(50_000);
    let secret = f.write(move |tx| auth::open(tx, who, "test")).unwrap();
    let text = secret.as_str().to_owned();
    let now = f.now().wall;
    assert!(
        f.read(move |conn| auth::session(conn, &text, now))
            .is_some()
    );
    fail(&f, who).unwrap();
}

#[test]
fn one_owner_remains_and_names_are_one_persons() {
    let f = Fixture::new();
    let owner = add(&f, "Owner", Role::Owner);
    let refused = f.write(move |tx| staff::deactivate(tx, owner));
    assert!(matches!(refused, Err(StaffError::LastOwner)));
    let refused = f.write(move |tx| staff::edit(tx, owner, &name("Owner"), Role::Worker));
    assert!(matches!(refused, Err(StaffError::LastOwner)));
    let hash = pin("9999").hash();
    let refused = f.write(move |tx| staff::add(tx, &name(" owner"), Role::Worker, &hash));
    assert!(matches!(refused, Err(StaffError::NameTaken(_))));
    add(&f, "Second", Role::Owner);
    let secret = f.write(move |tx| auth::open(tx, owner, "test")).unwrap();
    f.write(move |tx| staff::deactivate(tx, owner)).unwrap();
    let text = secret.as_str().to_owned();
    assert!(
        f.read(move |conn| auth::session(conn, &text, NOW))
            .is_none()
    );
    assert!(matches!(
        f.write(move |tx| auth::open(tx, owner, "t")),
        Err(AuthError::Wrong)
    ));
    assert_eq!(f.read(staff::list).iter().filter(|s| s.active).count(), 1);
}

#[test]
fn a_token_works_until_it_is_revoked() {
    let f = Fixture::new();
    let (id, secret) = f
        .write(|tx| auth::add_token(tx, &name("weather station"), Scope::Observe))
        .unwrap();
    let text = secret.as_str().to_owned();
    let look = |text: String| f.read(move |conn| auth::token(conn, &text));
    assert_eq!(look(text.clone()).unwrap().scope, Scope::Observe);
    assert!(look("0".repeat(64)).is_none());
    f.write(move |tx| auth::revoke_token(tx, id)).unwrap();
    assert!(look(text).is_none());
    assert!(matches!(
        f.write(move |tx| auth::revoke_token(tx, id)),
        Err(AuthError::UnknownToken)
    ));
}

#[test]
fn a_name_that_nobody_has_leaves_nothing_behind() {
    let f = Fixture::new();
    for _ in 0..20 {
        fail(&f, StaffId::new()).unwrap();
    }
    let rows: i64 = f.read(|conn| {
        Ok(conn.query_row("SELECT count(*) FROM login_attempt", [], |row| row.get(0))?)
    });
    assert_eq!(rows, 0);
}

#[test]
fn a_lock_out_is_not_shortened_by_a_date_that_nobody_vouched_for() {
    let f = Fixture::with(HandClock::new(UnixMillis(0), ClockQuality::Unknown));
    let who = add(&f, "a", Role::Worker);
    for _ in 0..5 {
        fail(&f, who).unwrap();
    }
    // A restart, and now the true time is known: years seem to have passed.
    let f = f.reopen(NOW, ClockQuality::Synced);
    assert_eq!(wait(&f, who), 20, "ten seconds since this start");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_attempts_by_nobody_keeps_no_one_out() {
    let (who, f) = tokio::task::spawn_blocking(|| {
        let f = Fixture::new();
        (add(&f, "রহিম", Role::Worker), f)
    })
    .await
    .unwrap();
    let mut flood = tokio::task::JoinSet::new();
    for _ in 0..24 {
        let farm = f.farm.clone();
        flood.spawn(
            async move { auth::login(&farm, StaffId::new(), pin("1234"), "test".into()).await },
        );
    }
    auth::login(&f.farm, who, pin("1234"), "test".into())
        .await
        .unwrap();
    let mut over = 0;
    while flood.try_join_next().is_some() {
        over += 1;
    }
    assert!(
        over < 12,
        "a log-in waited for {over} of 24 attempts by nobody"
    );
}
