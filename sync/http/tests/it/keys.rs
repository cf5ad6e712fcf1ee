//! Joining, changing the key, losing it.

use sync::{keys::SecretKey, peer::Trouble, wire::Refusal};
use sync_http::{
    agent::Order,
    client::{AskError, HubAddress, NotAnAddress},
};

use crate::hub::{File, Running, claim};

#[tokio::test]
async fn a_code_joins_one_appliance() {
    let running = Running::start().await;
    let (file, other) = (File::new(), File::new());
    let (key, thief) = (
        SecretKey::generate().unwrap(),
        SecretKey::generate().unwrap(),
    );
    let code = running.hub.code();
    let claim_of = |file: &File, code: &str| claim(file, code.to_owned());
    let wrong = claim_of(&file, "0000-0000-0000-0000");
    let refused = running.client.enrol(&key, &wrong).await;
    assert_eq!(refused, Err(AskError::Refused(Refusal::Code)));
    let typed = claim_of(&file, &code.to_lowercase());
    let first = running.client.enrol(&key, &typed).await.unwrap();
    let again = running.client.enrol(&key, &typed).await.unwrap();
    assert_eq!(first, again, "the first answer may have been lost");
    let late = running.client.enrol(&thief, &claim_of(&other, &code)).await;
    assert_eq!(late, Err(AskError::Refused(Refusal::Code)));
    let long = claim_of(&file, &"0".repeat(65));
    let long = running.client.enrol(&key, &long).await;
    assert_eq!(long, Err(AskError::Refused(Refusal::TooLarge)));
    assert_eq!(running.hub.holders.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hub_asks_for_another_key_and_the_old_one_ends() {
    let running = Running::start().await;
    let barn = running.join().await;
    barn.until(|status| status.current).await;
    let old = *barn.kept.borrow();
    running.hub.change(&old, |holder| holder.rotate = true);
    let mut kept = barn.kept.subscribe();
    barn.file.write(|farm| farm.milk(1, 1));
    let next = *kept.wait_for(|key| *key != old).await.unwrap();
    barn.handle.order(Order::Hurry).await;
    barn.file.write(|farm| farm.milk(1, 2));
    let mut visits = running.hub.visits.subscribe();
    let by_next = |visits: &Vec<sync::farms::Visit>| visits.iter().any(|visit| visit.key == next);
    visits.wait_for(by_next).await.unwrap();
    assert!(running.hub.holders.lock().unwrap()[&old].revoked);
    running
        .hub
        .file
        .until(|farm| farm.rows("SELECT 1 FROM milking").len() == 2)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_appliance_is_told_so_and_comes_back_with_another_key() {
    let running = Running::start().await;
    let barn = running.join().await;
    barn.until(|status| status.current).await;
    let old = *barn.kept.borrow();
    running.hub.change(&old, |holder| holder.revoked = true);
    let before = running.hub.file.picture();
    barn.file.write(|farm| farm.milk(1, 1));
    let revoked = Some(Trouble::Refused(Refusal::Revoked));
    barn.until(|status| status.trouble == revoked).await;
    assert_eq!(running.hub.file.picture(), before);
    let key = SecretKey::generate().unwrap();
    let claim = claim(&barn.file, running.hub.code());
    running.client.enrol(&key, &claim).await.unwrap();
    barn.handle.order(Order::UseKey(key)).await;
    running
        .hub
        .file
        .until(|farm| farm.rows("SELECT 1 FROM milking").len() == 1)
        .await;
}

#[test]
fn a_hub_is_reached_over_tls_or_not_at_all() {
    let read = |text: &str| text.parse::<HubAddress>().map(|hub| hub.to_string());
    assert_eq!(
        read(" https://hub.example.org/ ").unwrap(),
        "https://hub.example.org"
    );
    assert_eq!(
        read("https://example.org/khamar/?a=b#c").unwrap(),
        "https://example.org/khamar"
    );
    assert_eq!(
        read("http://127.0.0.1:8080").unwrap(),
        "http://127.0.0.1:8080"
    );
    assert_eq!(read("http://[::1]:8080").unwrap(), "http://[::1]:8080");
    for clear in [
        "http://hub.example.org",
        "http://10.0.0.1",
        "http://127.0.0.1.example.org",
    ] {
        assert_eq!(read(clear), Err(NotAnAddress::InTheClear), "{clear}");
    }
    for bad in ["", "hub.example.org", "ftp://hub.example.org", "mailto:a@b"] {
        assert_eq!(read(bad), Err(NotAnAddress::Malformed), "{bad}");
    }
}
