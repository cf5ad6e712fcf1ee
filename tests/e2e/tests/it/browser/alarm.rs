//! The alarm's sound, under the rule of every phone's browser: silence until the page has been touched.

use e2e::{Edge, EdgeOptions, browser::PHONE, edge::OWNER};
use serde_json::json;

use super::{Visit, add_cow, treat, walk_in};
use crate::web;

/// Counts the tones that the page sounds.
const COUNT: &str = r#"
window.tones = 0;
const make = AudioContext.prototype.createOscillator;
AudioContext.prototype.createOscillator = function () {
  if (this.state === "running") window.tones += 1;
  return make.call(this);
};
"#;

#[tokio::test]
async fn the_alarm_sounds_from_the_first_touch_on_and_can_be_silenced() {
    let edge = Edge::start(&EdgeOptions::default());
    add_cow(&edge).await;
    let stall = json!([{ "kind": "stall", "slug": "1", "name": "স্টল ১" }]);
    web::tell(&edge, "/api/v1/places", stall).await;
    treat(&edge).await;
    let visit = Visit::begin(&edge, PHONE).await;
    visit.log_in(OWNER).await;
    visit.go("/parlour").await;
    walk_in(&visit).await;
    // The page is loaded anew, so that nothing on it has been touched yet.
    visit.go("/parlour").await;
    visit.run(COUNT).await;
    let bar = visit.see("#sound.ringing").await;
    let (_, _, width, height) = bar.rectangle().await.unwrap();
    assert!(
        width >= 380.0 && height >= 76.0,
        "wet hands find it: {width} by {height}"
    );

    visit.tap("main h1").await;
    let tones = async || {
        visit
            .run("return window.tones")
            .await
            .as_u64()
            .filter(|n| *n > 0)
    };
    e2e::until_async("the alarm to sound", 10, tones).await;

    visit.tap("#sound").await;
    visit.see("#sound[hidden]").await;
    assert_eq!(
        visit
            .run("return document.querySelectorAll('[data-alarm]').length")
            .await,
        json!(1)
    );
    visit.see("#stall-1.alarm").await;
}
