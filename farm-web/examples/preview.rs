//! Serves the pages over a seeded farm in a temporary folder, to look at them.
//!
//! `cargo run -p farm-web --example preview -- 8090` serves every page as the owner sees it, without logging in; `?look=en.dark`
//! chooses language and theme for one request and `?look=bn.light.worker` another role. The farm holds 40 cows, 60 days of
//! milk, tanks, a busy parlour and an alarm. Under `/farms/preview/` stands the same farm as a hub shows it; there `vet` and
//! `reader` are roles too.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::Request,
    http::{HeaderValue, header},
    middleware::{Next, from_fn},
};
use farm::{
    Actor, Farm,
    devices::{self, DeviceForm},
    firmware::{self, Batch, Heard, Order, Shelf},
    text::{Name, Slug},
};
use farm_firmware::{Label, Milking, Rules, SigningKey, sign};
use farm_model::{DeviceKind, Link};
use firmware_protocol::UpdateState;

#[path = "preview/host.rs"]
mod host;
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
    let shelf = firmware(&farm, folder.path()).await?;
    let hosted = host::routes(farm.clone())?;
    let app = farm_web::App {
        farm: farm.clone(),
        hardware: Arc::new(farm_web::NoHardware),
        ingest: Arc::new(farm_web::StoreIngest(farm)),
        options: farm_web::Options {
            firmware: Some(farm_web::Firmware {
                shelf,
                rules: Rules::default(),
            }),
            ..farm_web::Options::default()
        },
    };
    let router =
        farm_web::router(app)
            .merge(hosted)
            .layer(from_fn(move |request: Request, next: Next| {
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

/// Nodes that run something, an image that is on its way to them, and one that was refused.
async fn firmware(
    farm: &Farm,
    folder: &std::path::Path,
) -> Result<Shelf, Box<dyn std::error::Error>> {
    let vendor = SigningKey::from_seed(&[7; 32]);
    let file = |key: &SigningKey, version| {
        let label = |text| Label::new(text).map_err(Box::new);
        let (version, hardware) = (label(version)?, label("khamar-node-c3")?);
        let file = sign(key, &[0x5A; 400_000], version, hardware, label("stable")?)?;
        Ok::<_, Box<dyn std::error::Error>>(file)
    };
    let shelf = Shelf::new(folder.join("firmware"), vec![vendor.public()]);
    let good = file(&vendor, "2.1.0")?;
    let forged = file(&SigningKey::from_seed(&[9; 32]), "2.2.0")?;
    let (adding, farm_of_files) = (shelf.clone(), farm.clone());
    let added = tokio::task::spawn_blocking(move || {
        let add = |name, file: &[u8]| adding.add(&farm_of_files, Actor::System, name, file);
        (
            add("node-2.1.0.khfw", &good),
            add("found.khfw", &forged).is_err(),
        )
    });
    let (image, _) = added.await?;
    let image = image?;
    farm.write(Actor::System, move |tx| {
        let mut devices = Vec::new();
        for n in 1..=4 {
            let form = DeviceForm {
                slug: Slug::new(&format!("node-{n}")).expect("a short name"),
                name: Name::new(&format!("Barn node {n}")).expect("a name"),
                kind: DeviceKind::Sensor,
                link: Link::Mqtt { client: None },
                place: None,
                expect_every_s: None,
            };
            let added = devices::add(tx, &form);
            devices.push(added.expect("the name is free"));
        }
        for device in &devices {
            let (hardware, version) = ("khamar-node-c3".into(), "2.0.3".into());
            firmware::heard(tx, *device, &Heard::Greets { hardware, version })?;
        }
        firmware::offer(tx, image, &Batch::Devices(devices.clone()))?;
        let rules = Rules {
            prove_ms: 0,
            ..Rules::default()
        };
        let offered = firmware::round(tx, &rules, Milking::No)?;
        let reports = [
            (0, UpdateState::Confirmed, 0),
            (1, UpdateState::Fetching, 173_000),
            (2, UpdateState::RolledBack, 0),
        ];
        for (n, state, have) in reports {
            for out in &offered {
                let Order::Offer(header) = &out.order;
                let image = header.offer().image();
                if n == 0 {
                    firmware::heard(tx, devices[0], &Heard::Reports { image, state, have })?;
                    let (hardware, version) = ("khamar-node-c3".into(), "2.1.0".into());
                    firmware::heard(tx, devices[0], &Heard::Greets { hardware, version })?;
                    firmware::round(tx, &rules, Milking::No)?;
                } else {
                    firmware::heard(tx, devices[n], &Heard::Reports { image, state, have })?;
                }
            }
        }
        firmware::round(tx, &rules, Milking::No).map(drop)
    })
    .await?;
    Ok(shelf)
}

/// What a request's `look=` chooses.
fn look(request: &Request) -> Vec<String> {
    // What a page asks for in turn looks like the page.
    let page = request.headers().get(header::REFERER);
    let page = page.and_then(|v| v.to_str().ok()).unwrap_or("");
    let query = format!("{}&{page}", request.uri().query().unwrap_or(""));
    let look = query
        .split(['&', '?'])
        .find_map(|pair| pair.strip_prefix("look="));
    look.unwrap_or("").split('.').map(str::to_owned).collect()
}

/// The request as a browser would send it that is logged in and has chosen a look.
fn dressed(mut request: Request, seeded: &seed::Seeded) -> Request {
    let look = look(&request);
    let is = |word: &str| look.iter().any(|part| part == word);
    let lang = if is("en") { "en" } else { "bn" };
    let theme = if is("dark") { "dark" } else { "light" };
    let secret = match () {
        () if is("worker") => &seeded.worker,
        () if is("manager") => &seeded.manager,
        () => &seeded.owner,
    };
    let cookie = format!("session={secret}; lang={lang}; theme={theme}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        request.headers_mut().insert(header::COOKIE, cookie);
    }
    request
}
