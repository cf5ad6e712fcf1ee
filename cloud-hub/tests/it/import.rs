//! Farms that come as files: they become farms of their own, or nothing changes and the page says why.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use http_body_util::BodyExt as _;
use rusqlite::Connection;
use tower::ServiceExt as _;

use crate::world::{Answer, COOKIE, IMPORT_MOST, World};

const COW: &str = "number=101&name=Lali&sex=female&status=lactating";

impl World {
    /// Sends a farm's file as the form does.
    async fn bring(&self, session: &str, name: &str, file: &[u8]) -> Answer {
        let mut body = format!(
            "--cow\r\ncontent-disposition: form-data; name=\"name\"\r\n\r\n{name}\r\n--cow\r\n\
             content-disposition: form-data; name=\"file\"; filename=\"farm.db\"\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(file);
        body.extend_from_slice(b"\r\n--cow--\r\n");
        let request = Request::post("/new/file")
            .header(header::COOKIE, format!("{COOKIE}={session}; lang=en"))
            .header(header::CONTENT_TYPE, "multipart/form-data; boundary=cow")
            .body(Body::from(body))
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let location = response.headers().get(header::LOCATION);
        let location = location.map_or(String::new(), |v| v.to_str().unwrap().to_owned());
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Answer {
            status,
            location,
            session: String::new(),
            set_cookie: String::new(),
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// What becomes of a file that was received.
    async fn outcome(&self, session: &str, brought: &Answer) -> Answer {
        assert_eq!(brought.status, StatusCode::SEE_OTHER, "{}", brought.text);
        let looked = async {
            loop {
                let page = self.get(&brought.location, session).await;
                if page.status != StatusCode::OK {
                    return page;
                }
                assert!(page.text.contains("is being checked"), "{}", page.text);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let looked = tokio::time::timeout(Duration::from_secs(30), looked);
        looked.await.expect("an import ends")
    }

    /// Files in the folder of farms, by the end of their names.
    fn files(&self) -> Vec<String> {
        let mut files: Vec<String> = std::fs::read_dir(self.folder.path().join("farms"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.ends_with("-wal") && !name.ends_with("-shm"))
            .collect();
        files.sort();
        files
    }
}

/// An owner, and what the hub's download of a farm with a cow holds.
async fn exported(world: &World) -> (String, Vec<u8>) {
    let (owner, _) = world.owner("rahima").await;
    let made = world
        .post("/farms/rahima-dairy/herd/new", &owner, COW)
        .await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.text);
    let (_, file) = world.download("/manage/rahima-dairy/export", &owner).await;
    (owner, file)
}

#[tokio::test]
async fn a_download_becomes_a_farm_of_its_own() {
    let world = World::new();
    let (owner, file) = exported(&world).await;
    let brought = world.bring(&owner, "Green Field", &file).await;
    let done = world.outcome(&owner, &brought).await;
    assert_eq!(done.location, "/manage/green-field", "{}", done.text);
    let herd = world.get("/farms/green-field/herd", &owner).await;
    assert!(herd.text.contains("Lali"), "{}", herd.text);
    let history = world.get("/manage/green-field/audit", &owner).await;
    assert!(history.text.contains("Brought the farm as a file"));

    // From here on they are two.
    let other = COW.replace("101", "102").replace("Lali", "Moni");
    world
        .post("/farms/green-field/herd/new", &owner, &other)
        .await;
    let herd = world.get("/farms/rahima-dairy/herd", &owner).await;
    assert!(!herd.text.contains("Moni"), "{}", herd.text);
    let sites: Vec<Vec<u8>> = world
        .files()
        .iter()
        .map(|name| {
            let file = world.folder.path().join("farms").join(name);
            let conn = Connection::open(file).unwrap();
            let site = "SELECT id FROM sync_site WHERE ordinal = 0";
            conn.query_row(site, [], |row| row.get(0)).unwrap()
        })
        .collect();
    assert_eq!(sites.len(), 2);
    assert_ne!(sites[0], sites[1]);

    let (other, _) = world.owner("salma").await;
    let asked = world.get(&brought.location, &other).await;
    assert_eq!(asked.status, StatusCode::NOT_FOUND, "it is none of hers");
}

#[tokio::test]
async fn what_is_not_taken_is_said_and_changes_nothing() {
    let world = World::new();
    let (owner, file) = exported(&world).await;
    let before = (world.get("/", &owner).await.text, world.files());
    let at = world.folder.path().join("altered.db");
    let altered = |sql: &str| {
        std::fs::write(&at, &file).unwrap();
        Connection::open(&at).unwrap().execute_batch(sql).unwrap();
        std::fs::read(&at).unwrap()
    };
    let newer = altered("PRAGMA user_version = 900");
    let other = altered("CREATE TABLE cows (x)");
    let mut holed = file.clone();
    let middle = holed.len() / 2;
    holed[middle..middle + 8192].fill(0xA5);
    let mut large = file.clone();
    large.resize(usize::try_from(IMPORT_MOST).unwrap() + 1, 0);
    for (name, file, words) in [
        ("", &file, "Write a name of at most 80 letters."),
        (
            "Green",
            &b"PK\x03\x04".to_vec(),
            "This is no farm&#39;s file.",
        ),
        ("Green", &large, "at most 4 MB"),
    ] {
        let answer = world.bring(&owner, name, file).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{words}");
        let text = answer.text.replace('\'', "&#39;");
        assert!(text.contains(words), "{words}: {text}");
    }
    for (file, words) in [
        (newer, "A newer version wrote this file."),
        (other, "This is no farm&#39;s file."),
        (holed, "The file is damaged."),
        (file[..file.len() / 2].to_vec(), "The file is damaged."),
    ] {
        let brought = world.bring(&owner, "Green", &file).await;
        let answer = world.outcome(&owner, &brought).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{words}");
        let text = answer.text.replace('\'', "&#39;");
        assert!(text.contains(words), "{words}: {text}");
    }
    let endless = world.bring(&owner, &"x".repeat(1 << 20), &file).await;
    assert_eq!(endless.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!((world.get("/", &owner).await.text, world.files()), before);
}

#[tokio::test]
async fn files_that_are_nobodys_are_told_apart() {
    let world = World::new();
    let (_, farm) = world.owner("rahima").await;
    let folder = world.folder.path().join("farms");
    std::fs::create_dir_all(&folder).unwrap();
    let left = folder.join("import-01a1fb00-381a-756c-9228-60dba6b890e2");
    std::fs::write(&left, b"half").unwrap();
    let lives = hub_accounts::sessions::Lifetimes::default();
    let farms = cloud_hub::Farms::new(&folder, world.store.clone(), lives, 2, 600, None);
    assert!(!left.exists(), "what a hub that was killed had received");

    let unknown = folder.join(format!("{}.db", hub_accounts::FarmId::new()));
    std::fs::write(&unknown, b"").unwrap();
    cloud_hub::tidy(&world.store, &farms).await;
    assert!(
        unknown.exists(),
        "a database put back from an older copy knows less than there is: {}",
        farm.slug
    );
}

#[tokio::test]
async fn a_file_of_which_nothing_is_known_any_more_is_told_so() {
    let world = World::new();
    let (owner, _) = world.owner("rahima").await;
    let path = format!("/new/file/{}", uuid::Uuid::now_v7());
    let page = world.get(&path, &owner).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(page.text.contains("send the file again"), "{}", page.text);
}
