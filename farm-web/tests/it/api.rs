//! The JSON API.

use axum::http::StatusCode;
use farm_model::Clock as _;
use serde_json::json;

use crate::client::{As, Site};

#[tokio::test]
async fn items_stand_alone_and_bulk_is_idempotent() {
    let (site, seeded) = Site::full().await;
    let token = As::Token(&seeded.manage);
    let body = json!({ "items": [
        { "number": "901", "name": "লালী", "name_en": "Lali", "breed": "Sahiwal", "sex": "female", "birth_date": "2021-03-04",
          "status": "lactating", "group": "A", "calved_on": "2026-09-01", "parity": 2,
          "tags": ["050000000000901", "em:1234567"] },
        { "number": "902", "sex": "female", "status": "dry", "colour": "red" },
        { "number": "903", "sex": "female", "status": "dry", "tags": ["050000000000901"] },
    ]});
    let first = site.post_json("/api/v1/animals", token, &body).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text);
    let result = first.json();
    assert_eq!(
        (&result["created"], &result["rejected"]),
        (&json!(1), &json!(2))
    );
    assert!(
        result["results"][1]["detail"]
            .as_str()
            .unwrap()
            .contains("unknown field `colour`")
    );
    let again = site.post_json("/api/v1/animals", token, &body).await.json();
    assert_eq!(
        (&again["created"], &again["unchanged"]),
        (&json!(0), &json!(1))
    );
    let herd = site.get("/herd?q=lali", As::Session(&seeded.worker)).await;
    assert!(
        herd.text.contains("Lali") && !herd.text.contains("লালী"),
        "who reads English sees the English name"
    );
}

#[tokio::test]
async fn history_is_taken_in_once_and_read_by_cursor() {
    let (site, seeded) = Site::full().await;
    let token = As::Token(&seeded.manage);
    let items: Vec<_> = (1..=28)
        .map(|day| {
            json!({ "animal": "131", "session": { "date": format!("2026-01-{day:02}"), "number": 1 },
                "start": format!("2026-01-{day:02}T05:00:00+06:00"), "end": format!("2026-01-{day:02}T05:06:00+06:00"),
                "yield_ml": 7_500, "stall": 2, "fat": 4.2 })
        })
        .collect();
    let body = json!({ "items": items });
    let first = site
        .post_json("/api/v1/milkings?times=certain", token, &body)
        .await
        .json();
    assert_eq!(first["created"], 28, "{first}");
    let again = site
        .post_json("/api/v1/milkings?times=certain", token, &body)
        .await
        .json();
    assert_eq!(
        (&again["created"], &again["unchanged"]),
        (&json!(0), &json!(28))
    );
    let mut path = "/api/v1/milkings?from=2026-01-01&to=2026-01-31&limit=10".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = site.get(&path, As::Token(&seeded.read)).await.json();
        seen.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|m| m["id"].to_string()),
        );
        match page["next"].as_str() {
            Some(next) => {
                path = format!(
                    "/api/v1/milkings?from=2026-01-01&to=2026-01-31&limit=10&cursor={next}"
                );
            }
            None => break,
        }
    }
    assert_eq!(seen.len(), 28);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 28);
}

#[tokio::test]
async fn observations_go_through_the_pipeline_and_are_read_back() {
    let (site, seeded) = Site::full().await;
    let at = "2026-11-20T00:30:00Z";
    let body = json!({ "items": [
        { "device": "tank-1-probe", "quantity": "temperature", "value": 4.25, "at": at, "id": "a1" },
        { "device": "tank-1-probe", "quantity": "temperature", "value": 4.25, "at": at, "id": "a1" },
        { "device": "nobody", "quantity": "temperature", "value": 4.25 },
        { "device": "tank-1-probe", "quantity": "warmth", "value": 4.25 },
    ]});
    let answer = site
        .post_json("/api/v1/observations", As::Token(&seeded.manage), &body)
        .await;
    let result = answer.json();
    assert_eq!(
        (&result["stored"], &result["duplicates"]),
        (&json!(1), &json!(1)),
        "{result}"
    );
    assert_eq!(result["rejected"].as_array().unwrap().len(), 2);
    let path = "/api/v1/readings?device=tank-1-probe&quantity=temperature&from=2026-11-20T00:29:59Z&to=2026-11-20T00:30:01Z&resolution=raw";
    let series = site.get(path, As::Token(&seeded.read)).await.json();
    let values: Vec<_> = series["points"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["value"].as_f64())
        .collect();
    assert!(values.contains(&Some(4.25)), "{series}");
}

#[tokio::test]
async fn errors_are_problem_json_with_a_closed_reason() {
    let (site, seeded) = Site::full().await;
    let token = As::Token(&seeded.manage);
    let broken = site
        .ask(
            axum::http::Method::POST,
            "/api/v1/animals",
            token,
            "application/json",
            "{",
        )
        .await;
    assert_eq!(
        (broken.status, &broken.json()["reason"]),
        (StatusCode::BAD_REQUEST, &json!("malformed"))
    );
    let unknown = site
        .get("/api/v1/readings?device=nobody&quantity=temperature", token)
        .await;
    assert_eq!(
        (unknown.status, &unknown.json()["reason"]),
        (StatusCode::NOT_FOUND, &json!("not-found"))
    );
    insta::assert_snapshot!(unknown.text, @r#"{"type":"about:blank","title":"There is nothing at this address, or what it names does not exist. See openapi.json for the addresses.","status":404,"reason":"not-found","detail":"device: nobody"}"#);
    let wrong = site.get("/api/v1/animals", As::Token("wrong")).await;
    assert_eq!(
        (wrong.status, &wrong.json()["reason"]),
        (StatusCode::UNAUTHORIZED, &json!("not-logged-in"))
    );
    let what_to_do = wrong.json()["detail"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(what_to_do.contains("Authorization: Bearer"), "{what_to_do}");
    let stranger = axum::http::Request::get("/api/v1/animals").body(axum::body::Body::empty());
    let refused = site.raw(stranger.unwrap()).await;
    assert_eq!(refused.headers()["www-authenticate"], "Bearer");
}

/// Every class of error with its name, and in the language that is asked for.
#[tokio::test]
async fn each_class_of_error_has_its_name_and_speaks_the_callers_language() {
    let (site, seeded) = Site::full().await;
    let ask = async |method: &str, path: &str, token: &str, wished: &str, body: String| {
        let request = axum::http::Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {token}"))
            .header("accept-language", wished)
            .header("content-type", "application/json")
            .body(axum::body::Body::from(body));
        crate::client::Answer::of(site.raw(request.unwrap()).await).await
    };
    let (read, manage) = (seeded.read.as_str(), seeded.manage.as_str());
    let animals = "/api/v1/animals";
    let huge = "x".repeat(32 * 1024 * 1024 + 1);
    for (method, path, token, body, status, reason) in [
        ("GET", animals, "wrong", "", 401, "not-logged-in"),
        ("POST", animals, read, "{}", 403, "forbidden"),
        ("GET", "/api/v1/nothing", read, "", 404, "not-found"),
        ("DELETE", animals, manage, "", 405, "method-not-allowed"),
        ("POST", animals, manage, "{", 400, "malformed"),
        ("POST", animals, manage, &huge, 413, "too-large"),
        ("GET", "/api/v1/milkings?from=x", read, "", 422, "invalid"),
    ] {
        let english = ask(method, path, token, "fr, en;q=0.5", body.to_owned()).await;
        let bengali = ask(method, path, token, "bn-BD,en;q=0.5", body.to_owned()).await;
        for (answer, in_bengali) in [(english, false), (bengali, true)] {
            let said = answer.json();
            assert_eq!(answer.status.as_u16(), status, "{path} {said}");
            assert_eq!(
                (&said["status"], &said["reason"]),
                (&json!(status), &json!(reason))
            );
            let title = said["title"].as_str().unwrap();
            let bengali = title.chars().any(|c| ('\u{980}'..='\u{9ff}').contains(&c));
            assert_eq!(bengali, in_bengali, "{title}");
            assert!(!title.contains("page") && !title.contains("পাতা"), "{title}");
        }
    }
}

#[tokio::test]
async fn the_document_names_every_route() {
    let site = Site::empty();
    let document = site.get("/api/v1/openapi.json", As::Nobody).await.json();
    for entry in farm_web::route_table() {
        if entry.path.starts_with("/api/") && entry.path != "/api/v1/openapi.json" {
            let method = entry.method.as_str().to_ascii_lowercase();
            assert!(
                document["paths"][entry.path][&method].is_object(),
                "{entry:?}"
            );
        }
    }
}

#[tokio::test]
async fn the_documented_herd_can_be_registered() {
    let (site, seeded) = Site::full().await;
    let docs = include_str!("../../../docs/api.md");
    let sample = docs
        .split("```json\n")
        .filter_map(|block| block.split("```").next())
        .find(|block| block.contains("\"birth_date\""))
        .expect("the document shows how");
    let sample: serde_json::Value = serde_json::from_str(sample).unwrap();
    let manage = As::Token(&seeded.manage);
    let first = site.post_json("/api/v1/animals", manage, &sample).await;
    assert_eq!(first.json()["created"], 2, "{}", first.text);
    let herd = site.get("/api/v1/animals", As::Token(&seeded.read)).await;
    let herd = herd.json();
    let items = herd["items"].as_array().unwrap();
    let lali = items.iter().find(|a| a["number"] == "217").unwrap();
    for (key, value) in sample["items"][0].as_object().unwrap() {
        match key.as_str() {
            "tags" => assert_eq!(lali["tag"], value[0]),
            key => assert_eq!(lali[key], *value, "{key}"),
        }
    }
}

#[tokio::test]
async fn what_can_not_be_true_is_refused_by_name() {
    let (site, seeded) = Site::full().await;
    let token = As::Token(&seeded.manage);
    let good = json!({ "animal": "131", "session": { "date": "2026-01-05", "number": 1 }, "yield_ml": 7_500,
        "start": "2026-01-05T05:00:00+06:00", "end": "2026-01-05T05:06:00+06:00" });
    let mut items = vec![];
    for (field, value) in [
        ("start", json!(i64::MIN)),
        ("end", json!("2088-01-01T05:00:00Z")),
        ("end", json!("2026-01-09T05:00:00+06:00")),
        ("end", json!("2027-01-09T05:00:00+06:00")),
        ("session", json!({ "date": "2026-01-05", "number": 255 })),
        ("session", json!({ "date": "9999-12-31", "number": 1 })),
        ("fat", json!(42)),
        ("peak_flow_ml_min", json!(-1)),
        ("stall", json!(0)),
        ("stall", json!(65_535)),
        ("stall", json!(70_000)),
        ("session", json!({ "date": "5 January", "number": 1 })),
        ("start", json!("yesterday")),
        ("end", json!([2026])),
    ] {
        let mut item = good.clone();
        item[field] = value;
        if field == "end" && item["end"] == json!("2027-01-09T05:00:00+06:00") {
            item["start"] = json!("2027-01-09T04:55:00+06:00");
            item["session"]["date"] = json!("2027-01-09");
        }
        items.push(item);
    }
    items.push(good);
    let body = json!({ "items": items });
    let result = site
        .post_json("/api/v1/milkings?times=certain", token, &body)
        .await;
    let result = result.json();
    let said: Vec<_> = result["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["detail"].as_str().unwrap_or("stored"))
        .collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    start: not of this century: look at the sender's clock
    end: more than a day after start
    end: more than a day after start
    end: in the future
    session: a day has up to 8
    session: of another day than its time
    fat: more or less than can be true
    peak_flow_ml_min: more or less than can be true
    stall: the parlour has no 0, its stalls are 1 to 8
    stall: the parlour has no 65535, its stalls are 1 to 8
    stall: the parlour has no 70000, its stalls are 1 to 8
    session.date: “5 January” is no day: write a day such as 2026-11-20
    start: “yesterday” is no moment: write a moment such as 2026-11-20T05:12:00+06:00, or milliseconds since 1970
    end: invalid type: sequence, expected a moment such as 2026-11-20T05:12:00+06:00, or milliseconds since 1970
    stored
    ");
}

#[tokio::test]
async fn a_day_or_moment_that_cannot_be_read_is_named_in_our_own_words() {
    let (site, seeded) = Site::full().await;
    let token = As::Token(&seeded.manage);
    let cow = |field: &str, value: &str| {
        let mut cow = json!({ "number": "901", "sex": "female", "status": "dry" });
        cow[field] = json!(value);
        cow
    };
    let body =
        json!({ "items": [cow("birth_date", "14/03/2021"), cow("calved_on", "2026-02-30")] });
    let result = site.post_json("/api/v1/animals", token, &body).await.json();
    let said = |i: usize| result["results"][i]["detail"].as_str().unwrap().to_owned();
    insta::assert_snapshot!(said(0), @"birth_date: “14/03/2021” is no day: write a day such as 2026-11-20");
    insta::assert_snapshot!(said(1), @"calved_on: “2026-02-30” is no day: write a day such as 2026-11-20");
    for (path, field) in [
        ("/api/v1/milkings?from=yesterday", "from"),
        ("/api/v1/milkings?to=2026-13-01", "to"),
        (
            "/api/v1/readings?device=tank-1-probe&quantity=temperature&from=noon",
            "from",
        ),
    ] {
        let answer = site.get(path, token).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with(&format!("{field}: “")), "{detail}");
        assert!(detail.contains("write a "), "{detail}");
    }
}

#[tokio::test]
async fn milk_that_a_clock_dates_back_is_kept_out_or_asked_about() {
    let (site, seeded) = Site::full().await;
    let token = As::Token(&seeded.manage);
    let cow = json!({ "items": [{ "number": "901", "sex": "female", "status": "lactating" }] });
    site.post_json("/api/v1/animals", token, &cow).await;
    let animals = site.get("/api/v1/animals", token).await.json();
    let animals = animals["items"].as_array().unwrap();
    let id = animals.iter().find(|a| a["number"] == "901").unwrap()["id"].clone();
    let treatment = "medicine=x&milk_hold=4&meat_hold=28";
    let path = format!("/herd/{}/events/treatment", id.as_str().unwrap());
    let treated = site
        .post(&path, As::Session(&seeded.worker), treatment)
        .await;
    assert_eq!(treated.status, StatusCode::SEE_OTHER, "{}", treated.text);

    let milk = |hours: i64| {
        let end = site.farm.clock().now().wall.plus(-hours * 3_600_000);
        let date = end.timestamp().to_zoned(jiff::tz::TimeZone::UTC).date();
        json!({ "items": [{ "animal": "901", "session": { "date": date.to_string(), "number": 1 },
            "start": end.0 - 300_000, "end": end.0, "yield_ml": 7_000 }] })
    };
    let told = site.post_json("/api/v1/milkings", token, &milk(3)).await;
    assert_eq!(told.json()["created"], 1, "{}", told.text);
    let old = site.post_json("/api/v1/milkings", token, &milk(40)).await;
    assert!(
        old.json()["results"][0]["detail"]
            .as_str()
            .unwrap()
            .contains("?times=certain"),
        "{}",
        old.text
    );
    let sure = "/api/v1/milkings?times=certain";
    let certain = site.post_json(sure, token, &milk(40)).await;
    assert_eq!(certain.json()["created"], 1, "{}", certain.text);

    let path = format!("/api/v1/milkings?animal={}", id.as_str().unwrap());
    let milkings = site.get(&path, token).await.json();
    let went: Vec<_> = milkings["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["destination"].as_str().unwrap())
        .collect();
    assert_eq!(went, ["withheld", "tank"], "three hours ago, and two days");
    // Who vouches for the time may release it: not the worker, the manager.
    let id = milkings["items"][0]["id"].as_str().unwrap();
    let release = "litres=7&destination=tank";
    let path = format!("/milkings/{id}");
    let refused = site.post(&path, As::Session(&seeded.worker), release).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let released = site.post(&path, As::Session(&seeded.owner), release).await;
    assert_eq!(released.status, StatusCode::SEE_OTHER, "{}", released.text);
    let milkings = site.get("/api/v1/milkings", token).await.json();
    let milkings = milkings["items"].as_array().unwrap();
    let freed = milkings.iter().find(|m| m["id"] == id).unwrap();
    assert_eq!(freed["destination"], "tank");
}

#[tokio::test]
async fn a_clock_that_is_ahead_or_was_never_set_dates_nothing() {
    let (site, seeded) = Site::full().await;
    let tell = |value: f64, at: serde_json::Value| json!({ "device": "tank-1-probe", "quantity": "temperature", "value": value, "at": at });
    let body = json!({ "items": [
        tell(5.01, json!(i64::MIN)),
        tell(5.02, json!(0)),
        tell(5.03, json!("2088-01-01T00:00:00Z")),
    ]});
    let token = As::Token(&seeded.manage);
    let result = site.post_json("/api/v1/observations", token, &body).await;
    let result = result.json();
    assert_eq!(result["stored"], 1, "{result}");
    assert_eq!(
        result["rejected"][1]["detail"],
        "at: not of this century: look at the sender's clock"
    );
    let path = "/api/v1/readings?device=tank-1-probe&quantity=temperature&resolution=raw";
    let series = site.get(path, token).await.json();
    let newest = series["points"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(newest["value"], 5.03, "it was measured when it was heard");

    let ever = format!("{path}&from={}&to={}", i64::MIN, i64::MAX);
    for resolution in ["raw", "minute", "day"] {
        let answer = site.get(&ever.replace("raw", resolution), token).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    }
}
