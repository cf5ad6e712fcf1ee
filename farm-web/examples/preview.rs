//! Serves the pages over a seeded farm in a temporary folder, to look at them.
//!
//! `cargo run -p farm-web --example preview -- 8090` serves every page as the owner sees it, without logging in; `?look=en.dark`
//! chooses language and theme for one request and `?look=bn.light.worker` another role. The farm holds 40 cows, 60 days of
//! milk, tanks, a busy parlour and an alarm.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::Request,
    http::{HeaderValue, header},
    middleware::{Next, from_fn},
};

#[expect(dead_code, reason = "the tests use more of what is seeded")]
#[path = "../tests/it/seed.rs"]
mod seed;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::io::Write as _;
    let port = std::env::args().nth(1).map_or(Ok(8090), |p| p.parse())?;
    let folder = tempfile::tempdir()?;
    let farm = seed::farm(&folder.path().join("farm.db"));
    let seeded = Arc::new(seed::everything(&farm).await);
    let cow = seeded.cow;
    let app = farm_web::App {
        farm: farm.clone(),
        hardware: Arc::new(farm_web::NoHardware),
        ingest: Arc::new(farm_web::StoreIngest(farm)),
        options: farm_web::Options::default(),
    };
    let router = farm_web::router(app).layer(from_fn(move |request: Request, next: Next| {
        let request = dressed(request, &seeded);
        next.run(request)
    }));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let address = listener.local_addr()?;
    writeln!(std::io::stdout(), "http://{address}/  a cow: /herd/{cow}")?;
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).await?;
    Ok(())
}

/// The request as a browser would send it that is logged in and has chosen a look.
fn dressed(mut request: Request, seeded: &seed::Seeded) -> Request {
    // What a page asks for in turn looks like the page.
    let page = request.headers().get(header::REFERER);
    let page = page.and_then(|v| v.to_str().ok()).unwrap_or("");
    let query = format!("{}&{page}", request.uri().query().unwrap_or(""));
    let look: Vec<&str> = query
        .split(['&', '?'])
        .find_map(|pair| pair.strip_prefix("look="))
        .unwrap_or("")
        .split('.')
        .collect();
    let lang = if look.contains(&"en") { "en" } else { "bn" };
    let theme = if look.contains(&"dark") {
        "dark"
    } else {
        "light"
    };
    let secret = match look.as_slice() {
        l if l.contains(&"worker") => &seeded.worker,
        l if l.contains(&"manager") => &seeded.manager,
        _ => &seeded.owner,
    };
    let cookie = format!("session={secret}; lang={lang}; theme={theme}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        request.headers_mut().insert(header::COOKIE, cookie);
    }
    request
}
