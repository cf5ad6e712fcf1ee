//! One farm in two places: the appliance and the hub, as their real programs, over a line that is cut and joined.

mod sensors;

use std::{
    io::{Read as _, Write as _},
    path::Path,
};

use e2e::{Edge, EdgeOptions, Hub, Line, edge::OWNER, until};
use farm::animals;
use serde_json::json;

use crate::{
    raw, store,
    web::{self, Manager, Visitor},
};

/// The farm in its two places, and what is between them.
pub(crate) struct Places {
    pub(crate) edge: Edge,
    pub(crate) line: Line,
    pub(crate) hub: Hub,
    pub(crate) farm: String,
}

impl Places {
    pub(crate) fn joined() -> Self {
        let (hub, farm) = Hub::start();
        let line = Line::to(hub.web).unwrap();
        let edge = Edge::start(&EdgeOptions::default());
        let places = Self {
            edge,
            line,
            hub,
            farm,
        };
        places.enrol();
        places
    }

    pub(crate) fn enrol(&self) {
        let code = self.hub.command(&["farms", "claim", &self.farm], "");
        let url = self.line.url();
        let said = self
            .edge
            .command(&["enrol", code.trim(), "--hub", &url], "");
        assert!(
            said.starts_with("connected: this is Farm at the hub"),
            "{said}"
        );
    }

    /// Waits until both hold the same, with these many cows and milkings.
    pub(crate) fn agree(&self, cows: usize, visits: usize) {
        until("both places to hold the same", 60, || {
            let edge = content(&self.edge.database());
            let hub = content(&self.hub.database()?);
            (edge == hub && (edge.0.len(), edge.1.len()) == (cows, visits)).then_some(())
        });
    }

    /// Tells the appliance of a milking over MQTT; it is acknowledged.
    fn milk(&self, tag: &str, litres: u32, id: &str) {
        let mut stream = raw::connect(self.edge.mqtt, "parlour");
        let told = format!(r#"{{"quantity": {litres}, "id": "{id}"}}"#);
        let packet = raw::publish(0x32, &format!("farm/milk/{tag}/1"), 1, &told);
        stream.write_all(&packet).unwrap();
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [0x40, 2, 0, 1]);
    }

    /// Enters a cow at the hub, as the farm's manager.
    async fn register_at_the_hub(&self, number: &str) {
        let cow = [
            ("number", number),
            ("name", "Moni"),
            ("sex", "female"),
            ("status", "lactating"),
        ];
        let manager = Manager::log_in(&self.hub, &self.farm).await;
        manager.send("/herd/new", &cow).await;
    }
}

/// A cow at the appliance.
pub(crate) async fn register_at_the_edge(edge: &Edge, number: &str, tag: &str) {
    let cow = json!([{ "number": number, "name": "লাল", "sex": "female", "status": "lactating", "tags": [tag] }]);
    web::tell(edge, "/api/v1/animals", cow).await;
}

/// Cows by number and name, and what each milking gave.
fn content(path: &Path) -> (Vec<String>, Vec<i64>) {
    let conn = store::open(path);
    let cows = animals::list(&conn).unwrap_or_default();
    let mut cows: Vec<String> = cows
        .iter()
        .map(|cow| format!("{} {}", cow.number, cow.name))
        .collect();
    cows.sort();
    let mut query = conn
        .prepare("SELECT yield_ml FROM visit WHERE voided = 0 ORDER BY yield_ml")
        .unwrap();
    let yields = query.query_map([], |row| row.get(0)).unwrap();
    (cows, yields.map(Result::unwrap).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn both_places_are_edited_apart_and_come_together() {
    let mut places = Places::joined();
    register_at_the_edge(&places.edge, "101", "050001204000689").await;
    places.milk("050001204000689", 8, "m-1");
    places.agree(1, 1);
    places.register_at_the_hub("201").await;
    places.agree(2, 1);

    places.line.cut();
    places.milk("050001204000689", 9, "m-2");
    register_at_the_edge(&places.edge, "102", "050001204000690").await;
    places.register_at_the_hub("202").await;
    assert_ne!(
        content(&places.edge.database()),
        content(&places.hub.database().unwrap()),
        "nothing goes over a line that is cut"
    );
    places.line.mend();
    places.edge.command(&["hub", "send"], "");
    places.agree(4, 2);

    places.milk("050001204000689", 10, "m-3");
    places.hub.kill();
    places.milk("050001204000690", 11, "m-4");
    places.hub.spawn();
    places.edge.command(&["hub", "send"], "");
    places.milk("050001204000690", 12, "m-5");
    places.edge.kill();
    places.edge.spawn();
    places.edge.wait_ready();
    places.agree(4, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_key_is_refused_and_the_page_says_what_to_do() {
    let places = Places::joined();
    places.agree(0, 0);
    let sites = places.hub.command(&["farms", "sites", &places.farm], "");
    let site = sites.split_whitespace().next().unwrap();
    places
        .hub
        .command(&["farms", "revoke", &places.farm, site], "");
    register_at_the_edge(&places.edge, "101", "050001204000689").await;
    until("the appliance to hear of it", 30, || {
        let said = places.edge.command(&["hub", "status"], "");
        said.contains("trouble   revoked").then_some(())
    });
    let owner = Visitor::log_in(&places.edge, OWNER).await;
    let request = owner.get("/hub").header("accept-language", "en");
    let page = request.send().await.unwrap().text().await.unwrap();
    assert!(
        page.contains("name=\"code\""),
        "another code is asked for: {page}"
    );

    places.enrol();
    places.agree(1, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_is_not_allowed_is_refused_in_words() {
    let (hub, farm) = Hub::start();
    let code = hub.command(&["farms", "claim", &farm], "");
    let allowed = r#"allowed = ["https://hub.example.org"]"#.to_owned();
    let edge = Edge::start(&EdgeOptions {
        more: vec![("hub", allowed)],
        ..EdgeOptions::default()
    });
    let said = edge.refused(&["enrol", code.trim(), "--hub", &hub.url("")]);
    assert!(said.contains("`hub.allowed`"), "{said}");
    let owner = Visitor::log_in(&edge, OWNER).await;
    let form = [("address", hub.url("")), ("code", code.trim().to_owned())];
    let request = owner.post("/hub").form(&form);
    let answer = request
        .header("accept-language", "en")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), reqwest::StatusCode::UNPROCESSABLE_ENTITY);
    let page = answer.text().await.unwrap();
    assert!(page.contains("hub.allowed"), "{page}");
    assert!(page.contains(&hub.url("")), "what was typed is still there");
    assert!(edge.command(&["hub", "status"], "").contains("no hub"));
}
