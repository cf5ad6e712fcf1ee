//! A hub with its router, a clock that is moved by hand, and people who use it.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicI64, Ordering},
};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use cloud_hub::{Farms, Hub, Options, config::Address, router};
use http_body_util::BodyExt as _;
use hub_accounts::{
    AccountId, Actor, Email, Farm, FarmId, Name, Password, PasswordHash, Role, SealKey, Secret,
    SiteId, accounts,
    claims::{self, ClaimError, Newcomer},
    farms, members,
    sessions::{self, Client, Lifetimes, Stage},
};
use hub_store::{Micros, Store};
use tower::ServiceExt as _;

/// Everybody's password.
pub(crate) const PASSWORD: &str = "cow-milk-bell-9";
/// The name of the cookie over HTTPS.
pub(crate) const COOKIE: &str = "__Host-session";

/// Bytes of the largest farm that it takes in as a file.
pub(crate) const IMPORT_MOST: u64 = 4_000_000;

/// A hub.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) farms: Farms,
    pub(crate) router: Router,
    clock: Arc<AtomicI64>,
    pub(crate) folder: tempfile::TempDir,
}

/// An answer that was read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) location: String,
    /// The session's secret, if the answer sets one.
    pub(crate) session: String,
    pub(crate) set_cookie: String,
    pub(crate) text: String,
}

impl Answer {
    /// What stands between two marks of the page.
    pub(crate) fn between(&self, before: &str, after: &str) -> &str {
        let (_, rest) = self.text.split_once(before).expect("the page has the mark");
        rest.split_once(after).expect("and the one after it").0
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_room_for(4)
    }

    /// A hub that has so many farms open at once.
    pub(crate) fn with_room_for(most: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicI64::new(1_800_000_000_000_000));
        let told = Arc::clone(&clock);
        let store = Store::open(
            &folder.path().join("hub.db"),
            &[hub_accounts::SCHEMA],
            Arc::new(move || Micros(told.load(Ordering::Relaxed))),
        )
        .unwrap();
        let (dir, lives) = (folder.path().join("farms"), Lifetimes::default());
        let farms = Farms::new(&dir, store.clone(), lives, most, 600, None);
        let router = router(Hub {
            store: store.clone(),
            seal: SealKey::fresh(),
            farms: farms.clone(),
            options: Options {
                address: Address::of("https://hub.test").unwrap(),
                lives: Lifetimes::default(),
                behind_proxy: true,
                import_most: IMPORT_MOST,
                demo_switch: Some("http://127.0.0.1:8092/".to_owned()),
                metrics: None,
            },
        });
        Self {
            store,
            farms,
            router,
            clock,
            folder,
        }
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
    }

    /// Asks as whoever holds this session; nobody when it is empty.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        session: &str,
        form: &str,
    ) -> Answer {
        self.ask_from(method, path, session, form, "192.0.2.1")
            .await
    }

    pub(crate) async fn ask_from(
        &self,
        method: Method,
        path: &str,
        session: &str,
        form: &str,
        peer: &str,
    ) -> Answer {
        let mut request = Request::builder()
            .method(&method)
            .uri(path)
            .header("x-forwarded-for", peer)
            .header(header::USER_AGENT, "Test")
            .header(header::COOKIE, format!("{COOKIE}={session}; lang=en"));
        if method == Method::POST {
            let kind = "application/x-www-form-urlencoded";
            request = request.header(header::CONTENT_TYPE, kind);
        }
        let request = request.body(Body::from(form.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let text = |name| {
            let value = response.headers().get(name);
            value.map_or(String::new(), |v| v.to_str().unwrap().to_owned())
        };
        let (status, location) = (response.status(), text(header::LOCATION));
        let set_cookie = text(header::SET_COOKIE);
        let session = set_cookie
            .strip_prefix(&format!("{COOKIE}="))
            .and_then(|rest| rest.split(';').next())
            .unwrap_or_default()
            .to_owned();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Answer {
            status,
            location,
            session,
            set_cookie,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// What a link's answer holds, byte by byte, with its headers.
    pub(crate) async fn download(&self, path: &str, session: &str) -> (HeaderMap, Vec<u8>) {
        let request = Request::get(path)
            .header(header::COOKIE, format!("{COOKIE}={session}"))
            .body(Body::empty())
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let headers = response.headers().clone();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (headers, bytes.to_vec())
    }

    pub(crate) async fn get(&self, path: &str, session: &str) -> Answer {
        self.ask(Method::GET, path, session, "").await
    }

    pub(crate) async fn post(&self, path: &str, session: &str, form: &str) -> Answer {
        self.ask(Method::POST, path, session, form).await
    }

    /// Somebody with an account and [`PASSWORD`].
    pub(crate) async fn person(&self, name: &str) -> AccountId {
        let email = Email::new(&format!("{name}@example.com")).unwrap();
        let name = Name::new(name).unwrap();
        self.store
            .write(move |tx| accounts::add(tx, Actor::CommandLine, &email, &name, &hash()))
            .await
            .unwrap()
    }

    /// Tries to log in with the password.
    pub(crate) async fn try_password(&self, name: &str, password: &str) -> Answer {
        let form = format!("email={name}%40example.com&password={password}&next=%2F");
        self.post("/login", "", &form).await
    }

    /// Logs somebody in who has no second factor.
    pub(crate) async fn log_in(&self, name: &str) -> String {
        let answer = self.try_password(name, PASSWORD).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        assert_eq!(answer.location, "/");
        answer.session
    }

    /// Logs somebody in who has a second factor, past its page.
    pub(crate) async fn log_in_whole(&self, name: &str) -> String {
        let email = Email::new(&format!("{name}@example.com")).unwrap();
        let opened = self.store.write(move |tx| {
            let id = accounts::by_email(tx, &email)?.unwrap().id;
            sessions::open(
                tx,
                id,
                Stage::Whole,
                &Client::default(),
                Lifetimes::default(),
            )
        });
        opened.await.unwrap().as_str().to_owned()
    }

    /// Sets a second factor up through the pages; the app's key.
    pub(crate) async fn set_up(&self, session: &str) -> String {
        let page = self.get("/account/second-factor", session).await;
        let key = page
            .between("<code id=\"totp-key\" tabindex=\"0\">", "<")
            .to_owned();
        let form = format!("code={}", self.code(&key));
        let done = self.post("/account/second-factor", session, &form).await;
        assert_eq!(done.status, StatusCode::OK, "{}", done.text);
        key
    }

    /// What the app shows now.
    pub(crate) fn code(&self, key: &str) -> String {
        let now = self.clock.load(Ordering::Relaxed) / 1_000_000;
        hub_accounts::totp::TotpKey::typed(key)
            .unwrap()
            .code(now / 30)
    }

    /// An owner with a second factor and a farm; the session and the farm.
    pub(crate) async fn owner(&self, name: &str) -> (String, Farm) {
        let id = self.person(name).await;
        let session = self.log_in(name).await;
        self.set_up(&session).await;
        let made = self
            .post("/new", &session, &format!("name={name}+Dairy"))
            .await;
        assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.text);
        let mine = self.store.read(move |tx| farms::of_account(tx, id)).await;
        (session, mine.unwrap().remove(0).membership.farm)
    }

    /// A member of a farm with this role; their session.
    pub(crate) async fn member(&self, name: &str, farm: &Farm, role: Role) -> String {
        let (id, farm) = (self.person(name).await, farm.id);
        let email = Email::new(&format!("{name}@example.com")).unwrap();
        self.store
            .write(move |tx| {
                let owner = members::list(tx, farm)?[0].account.id;
                let secret = members::invite(tx, owner, farm, &email, role)?;
                let who = accounts::get(tx, id)?.unwrap();
                members::accept(tx, &secret, &who)
            })
            .await
            .unwrap();
        self.log_in(name).await
    }

    /// Uses a claim code with this key; the farm and the machine.
    pub(crate) async fn claim(
        &self,
        code: &Secret,
        key: [u8; 32],
    ) -> Result<(FarmId, SiteId), ClaimError> {
        let code = code.clone();
        let newcomer = Newcomer {
            site: SiteId::new(),
            key,
            name: "pi".to_owned(),
        };
        self.store
            .write(move |tx| Ok((claims::claim(tx, &code, &newcomer)?, newcomer.site)))
            .await
    }

    /// Whose key this is, unless it ended.
    pub(crate) async fn holder(&self, key: [u8; 32]) -> Option<(FarmId, SiteId)> {
        let holder = self.store.read(move |tx| claims::holder(tx, &key)).await;
        let holder = holder.unwrap().filter(|h| !h.revoked);
        holder.map(|h| (h.farm, h.site))
    }
}

fn hash() -> PasswordHash {
    static HASH: OnceLock<PasswordHash> = OnceLock::new();
    HASH.get_or_init(|| Password::tried(PASSWORD).hash_now())
        .clone()
}
