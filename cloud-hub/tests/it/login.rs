//! Logging in, the second step, waits, and sessions that end.

use axum::http::StatusCode;

use crate::world::{COOKIE, PASSWORD, World};

#[tokio::test]
async fn a_right_password_opens_and_the_cookie_is_kept_to_the_site() {
    let world = World::new();
    world.person("rahima").await;
    let answer = world.try_password("rahima", PASSWORD).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let rest = answer.set_cookie.replace(&answer.session, "…");
    assert_eq!(
        rest,
        format!("{COOKIE}=…; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax; Secure")
    );
    let home = world.get("/", &answer.session).await;
    assert_eq!(home.status, StatusCode::OK);
    assert!(home.text.contains("rahima@example.com"));
    let out = world.post("/logout", &answer.session, "").await;
    assert_eq!(out.location, "/login");
    let after = world.get("/", &answer.session).await;
    assert_eq!(after.location, "/login?next=/");
}

#[tokio::test]
async fn a_stranger_learns_nothing_of_who_has_an_account() {
    let world = World::new();
    world.person("rahima").await;
    for round in 0..6 {
        let mut answers = Vec::new();
        for name in ["rahima", "nobody"] {
            let mut answer = world.try_password(name, "wrong-wrong-wrong").await;
            answer.text = answer.text.replace(name, "NAME");
            answers.push((answer.status, answer.text));
        }
        assert_eq!(answers[0], answers[1]);
        let status = answers[0].0;
        let expected = match round {
            0..=3 => StatusCode::UNAUTHORIZED,
            _ => StatusCode::TOO_MANY_REQUESTS,
        };
        assert_eq!(status, expected, "round {round}");
    }
    // The right password waits, too, and is taken afterwards.
    let early = world.try_password("rahima", PASSWORD).await;
    assert_eq!(early.status, StatusCode::TOO_MANY_REQUESTS);
    world.pass(61);
    world.log_in("rahima").await;
}

#[tokio::test]
async fn one_address_cannot_try_many_accounts() {
    let world = World::new();
    let mut refused = 0;
    for i in 0..30 {
        let form = format!("email=cow{i}&password=x");
        let answer = world.post("/login", "", &form).await;
        refused += usize::from(answer.status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert_eq!(refused, 10);
    let other = world
        .ask_from(
            axum::http::Method::POST,
            "/login",
            "",
            "email=cow&password=x",
            "198.51.100.7",
        )
        .await;
    assert_eq!(other.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_second_factor_is_asked_for_and_taken_once() {
    let world = World::new();
    world.person("rahima").await;
    let session = world.log_in("rahima").await;
    let key = world.set_up(&session).await;
    assert_eq!(
        world.get("/", &session).await.status,
        StatusCode::OK,
        "this session goes on"
    );

    let half = world.try_password("rahima", PASSWORD).await;
    assert_eq!(half.location, "/login/code?next=/");
    assert_eq!(
        world.get("/", &half.session).await.location,
        "/login/code?next=/"
    );
    let used = world.code(&key);
    let again = world
        .post("/login/code", &half.session, &format!("code={used}"))
        .await;
    assert_eq!(
        again.status,
        StatusCode::UNAUTHORIZED,
        "the code that set it up is used"
    );
    world.pass(60);
    let whole = world
        .post(
            "/login/code",
            &half.session,
            &format!("code={}&next=%2Faccount%2Fsecond-factor", world.code(&key)),
        )
        .await;
    assert_eq!(whole.location, "/account/second-factor", "{}", whole.text);
    assert_ne!(whole.session, half.session);
    assert_eq!(world.get("/", &whole.session).await.status, StatusCode::OK);
    assert_eq!(
        world.get("/", &half.session).await.location,
        "/login?next=/"
    );
}

#[tokio::test]
async fn a_backup_code_opens_once() {
    let world = World::new();
    world.person("rahima").await;
    let session = world.log_in("rahima").await;
    let page = world.get("/account/second-factor", &session).await;
    let key = page
        .between("<code id=\"totp-key\" tabindex=\"0\">", "<")
        .to_owned();
    let form = format!("code={}", world.code(&key));
    let shown = world.post("/account/second-factor", &session, &form).await;
    let code = shown.between("<li><code>", "<").to_owned();
    for taken in [true, false] {
        let half = world.try_password("rahima", PASSWORD).await;
        let form = format!("code={}", code.to_lowercase());
        let answer = world.post("/login/code", &half.session, &form).await;
        assert_eq!(answer.status == StatusCode::SEE_OTHER, taken);
    }
    let left = world.get("/account/second-factor", &session).await;
    assert!(
        left.text.contains("9 backup codes are left."),
        "{}",
        left.text
    );
}

#[tokio::test]
async fn wrong_codes_cost_more_and_more_time() {
    let world = World::new();
    world.person("rahima").await;
    let session = world.log_in("rahima").await;
    let key = world.set_up(&session).await;
    let half = world.try_password("rahima", PASSWORD).await.session;
    let mut last = StatusCode::OK;
    for _ in 0..5 {
        last = world.post("/login/code", &half, "code=000000").await.status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    world.pass(61);
    let form = format!("code={}", world.code(&key));
    let right = world.post("/login/code", &half, &form).await;
    assert_eq!(right.status, StatusCode::SEE_OTHER, "{}", right.text);
}

#[tokio::test]
async fn sessions_end_by_time_and_by_number() {
    let world = World::new();
    world.person("rahima").await;
    let idle = world.log_in("rahima").await;
    world.pass(29 * 60);
    assert_eq!(world.get("/", &idle).await.status, StatusCode::OK);
    world.pass(29 * 60);
    assert_eq!(
        world.get("/", &idle).await.status,
        StatusCode::OK,
        "use keeps it alive"
    );
    world.pass(31 * 60);
    assert_eq!(world.get("/", &idle).await.status, StatusCode::SEE_OTHER);

    let busy = world.log_in("rahima").await;
    for _ in 0..12 * 3 {
        assert_eq!(world.get("/", &busy).await.status, StatusCode::OK);
        world.pass(20 * 60);
    }
    assert_eq!(
        world.get("/", &busy).await.status,
        StatusCode::SEE_OTHER,
        "not for ever"
    );

    let mut sessions = Vec::new();
    for _ in 0..6 {
        world.pass(60);
        sessions.push(world.log_in("rahima").await);
    }
    assert_eq!(
        world.get("/", &sessions[0]).await.status,
        StatusCode::SEE_OTHER
    );
    assert_eq!(world.get("/", &sessions[1]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn every_way_in_and_out_is_in_the_record_with_address_and_browser() {
    let world = World::new();
    let rahima = world.person("rahima").await.to_string();
    world.person("karim").await;
    world.try_password("rahima", "wrong-wrong-wrong").await;
    let here = world.log_in("rahima").await;
    let there = world.log_in("rahima").await;
    let page = world.get("/account", &here).await;
    let id = page.between("action=\"/account/sessions/", "/end\"");
    let path = format!("/account/sessions/{id}/end");
    let karim = world.log_in("karim").await;
    world.post(&path, &karim, "").await;
    world.post(&path, &here, "").await;
    let ended = world.get("/", &there).await;
    assert_eq!(ended.status, StatusCode::SEE_OTHER);
    let key = world.set_up(&here).await;
    world.post("/logout", &here, "").await;
    let half = world.try_password("rahima", PASSWORD).await.session;
    world.post("/login/code", &half, "code=000000").await;
    world.pass(60);
    let form = format!("code={}", world.code(&key));
    world.post("/login/code", &half, &form).await;
    let told = world.store.read(move |tx| {
        tx.all(
            "SELECT action, detail FROM audit WHERE subject = $1 ORDER BY seq",
            hub_store::args![rahima],
            |row| Ok((row.get::<String>(0)?, row.get::<String>(1)?)),
        )
    });
    let told = told.await.unwrap();
    let told: Vec<(&str, &str)> = told.iter().map(|(a, d)| (&**a, &**d)).collect();
    let from = "192.0.2.1 Test";
    let expected = [
        ("account.add", "rahima@example.com"),
        ("login.failed", from),
        ("login", from),
        ("login", from),
        ("session.end", from),
        ("second_factor.set", ""),
        ("second_factor.codes", ""),
        ("logout", from),
        ("second_factor.failed", from),
        ("login", "app, 192.0.2.1 Test"),
    ];
    assert_eq!(told, expected);
}
