//! Secrets that lie sealed: the key's file, rows of an older program, rows that were swapped, and a key that is lost.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use hub_accounts::{
    AccountId, Actor, Email, Name, Password, SCHEMA, SealKey, accounts, audit,
    ids::SessionId,
    seal::{self, KeyError},
    second_factor::{self, SecondFactorError},
    totp::TotpKey,
};
use hub_store::{Schema, Store, args, system_clock};

struct Hub {
    folder: tempfile::TempDir,
    store: Store,
}

impl Hub {
    fn new() -> Self {
        Self::of(&[SCHEMA])
    }

    fn of(schemas: &[Schema]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("hub.db"), schemas, system_clock()).unwrap();
        Self { folder, store }
    }

    fn key_file(&self) -> PathBuf {
        self.folder.path().join("hub.key")
    }

    fn key(&self) -> Result<SealKey, KeyError> {
        seal::open(&self.key_file(), &self.store)
    }

    fn person(&self, name: &str) -> AccountId {
        let email = Email::new(&format!("{name}@example.com")).unwrap();
        let name = Name::new(name).unwrap();
        let hash = Password::tried("cow-milk-bell-9").hash_now();
        let by = Actor::CommandLine;
        let added = self
            .store
            .write_blocking(move |tx| accounts::add(tx, by, &email, &name, &hash));
        added.unwrap()
    }

    /// Sets a second factor up; the app's key.
    fn set_up(&self, seal: &SealKey, id: AccountId) -> TotpKey {
        let seal = seal.clone();
        let done = self.store.write_blocking(move |tx| {
            let key = second_factor::begin(tx, &seal, id)?;
            // The code of a step before, so that the present one is still unused.
            let code = key.code(tx.now().seconds() / 30 - 1);
            second_factor::finish(tx, &seal, id, &code, SessionId::new())?;
            Ok::<_, SecondFactorError>(key)
        });
        done.unwrap()
    }

    fn check(
        &self,
        seal: &SealKey,
        id: AccountId,
        app: &TotpKey,
    ) -> Result<&'static str, SecondFactorError> {
        let (seal, app) = (seal.clone(), app.clone());
        self.store.write_blocking(move |tx| {
            let code = app.code(tx.now().seconds() / 30);
            second_factor::check(tx, &seal, id, &code)
        })
    }

    fn change(&self, sql: &'static str, of: AccountId, to: String) {
        let changed = self
            .store
            .write_blocking(move |tx| tx.execute(sql, args![of, to]));
        assert_eq!(changed.unwrap(), 1);
    }

    fn stored(&self, id: AccountId) -> Option<String> {
        let found = self.store.read_blocking(|tx| {
            let sql = "SELECT totp FROM account WHERE id = $1";
            tx.first(sql, args![id], |row| row.get::<Option<String>>(0))
        });
        found.unwrap().flatten()
    }
}

#[test]
fn a_row_that_is_swapped_opens_for_nobody() {
    let hub = Hub::new();
    let seal = hub.key().unwrap();
    let (rahima, karim) = (hub.person("rahima"), hub.person("karim"));
    let (hers, his) = (hub.set_up(&seal, rahima), hub.set_up(&seal, karim));
    let (mine, theirs) = (hub.stored(rahima).unwrap(), hub.stored(karim).unwrap());
    assert!(!mine.contains(&hers.base32()));
    // Karim, who can write the database, puts his own key into Rahima's row.
    let swap = "UPDATE account SET totp = $2 WHERE id = $1";
    hub.change(swap, rahima, theirs);
    let with_his = hub.check(&seal, rahima, &his);
    assert!(matches!(with_his, Err(SecondFactorError::Wrong)));
    // And one in the open, as an older program had it.
    hub.change(swap, rahima, his.base32());
    let with_his = hub.check(&seal, rahima, &his);
    assert!(matches!(with_his, Err(SecondFactorError::Wrong)));
    hub.key().unwrap();
    let started_anew = hub.stored(rahima).unwrap();
    assert_eq!(started_anew, his.base32(), "a start seals it for nobody");
    hub.change(swap, rahima, mine);
    assert_eq!(hub.check(&seal, rahima, &hers).unwrap(), "app");
}

#[test]
fn what_an_older_program_left_in_the_open_is_sealed() {
    let older = Schema {
        versions: &SCHEMA.versions[..1],
        ..SCHEMA
    };
    let hub = Hub::of(&[older]);
    let rahima = hub.person("rahima");
    let app = TotpKey::fresh();
    let set = "UPDATE account SET totp = $2, totp_since = 1 WHERE id = $1";
    hub.change(set, rahima, app.base32());
    let Hub { folder, store } = hub;
    drop(store);
    let store = Store::open(&folder.path().join("hub.db"), &[SCHEMA], system_clock()).unwrap();
    let hub = Hub { folder, store };
    let seal = hub.key().unwrap();
    let sealed = hub.stored(rahima).unwrap();
    assert!(!sealed.contains(&app.base32()), "{sealed}");
    assert_eq!(hub.check(&seal, rahima, &app).unwrap(), "app");
    hub.key().unwrap();
    assert_eq!(hub.stored(rahima).unwrap(), sealed, "sealed once");
}

#[test]
fn the_key_is_its_owners_alone_and_never_made_a_second_time_in_silence() {
    let hub = Hub::new();
    let seal = hub.key().unwrap();
    let path = hub.key_file();
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    let rahima = hub.person("rahima");
    let app = hub.set_up(&seal, rahima);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let again = hub.key().unwrap();
    assert_eq!(mode(), 0o600);
    assert_eq!(hub.check(&again, rahima, &app).unwrap(), "app");

    let right = fs::read(&path).unwrap();
    fs::write(&path, "no key").unwrap();
    assert!(matches!(hub.key(), Err(KeyError::Broken(_))));
    fs::write(&path, "00".repeat(32)).unwrap();
    assert!(matches!(hub.key(), Err(KeyError::Other(_))));
    fs::remove_file(&path).unwrap();
    assert!(matches!(hub.key(), Err(KeyError::Missing(_))));
    assert!(!path.exists());
    fs::write(&path, right).unwrap();
    hub.key().unwrap();
    let left = fs::read_dir(hub.folder.path()).unwrap();
    let names = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(names.into_iter().all(|name| !name.ends_with(".new")));
}

#[test]
fn a_lost_key_is_replaced_and_takes_every_second_factor_with_it() {
    let hub = Hub::new();
    let seal = hub.key().unwrap();
    let (rahima, karim) = (hub.person("rahima"), hub.person("karim"));
    let app = hub.set_up(&seal, rahima);
    let by = Actor::CommandLine;
    let fits = seal::replace(&hub.key_file(), &hub.store, by);
    assert!(matches!(fits, Err(KeyError::Fits(_))));
    assert!(hub.stored(rahima).is_some());
    fs::remove_file(hub.key_file()).unwrap();
    let new = seal::replace(&hub.key_file(), &hub.store, by).unwrap();
    assert_eq!((hub.stored(rahima), hub.stored(karim)), (None, None));
    let old = hub.check(&new, rahima, &app);
    assert!(matches!(old, Err(SecondFactorError::NotNow)));
    let fresh = hub.set_up(&new, rahima);
    assert_eq!(hub.check(&new, rahima, &fresh).unwrap(), "app");
    let told = hub.store.read_blocking(|tx| {
        let sql = "SELECT count(*) FROM audit WHERE action = 'second_factor.remove'";
        tx.first(sql, &[], |row| row.get::<i64>(0))
    });
    assert_eq!(told.unwrap(), Some(1));
    let whole = hub.store.read_blocking(|tx| audit::verify(tx, None));
    whole.unwrap();
}
