//! The Devices pages; the auto-decoder over a meter whose registers a test sets.

mod nodes;

use std::sync::{
    Arc,
    atomic::{AtomicU16, Ordering},
};

use axum::http::StatusCode;
use edge_decode::modbus::auto;
use farm::{
    Actor, devices,
    devices::DeviceForm,
    readings,
    text::{Name, Slug},
};
use farm_model::{
    Body, DeviceId, DeviceKind, Link, Observation, Quantity,
    device::{DecodeProposal, ReadFunction, RegisterMap, RegisterType, WordOrder},
};
use farm_web::{
    App, DriverHealth, DriverState, Hardware, HardwareError, Options, Preset, Probe, SerialPort,
    StoreIngest, Words,
};
use futures_util::future::BoxFuture;

use crate::{
    client::{As, Site},
    seed::{NOW, Seeded, stamp},
};

/// A meter that shows hundredths of a litre, as 32 bits with swapped words from the second register on.
struct Meter {
    reads: Arc<AtomicU16>,
    drivers: Vec<DriverState>,
}

type Block = (ReadFunction, u16, Vec<u16>);

fn plain(blocks: &[Words]) -> Vec<Block> {
    blocks
        .iter()
        .map(|w| (w.function, w.address, w.words.clone()))
        .collect()
}

impl Hardware for Meter {
    fn serial_ports(&self) -> BoxFuture<'_, Vec<SerialPort>> {
        Box::pin(async { Vec::new() })
    }

    fn probes(&self) -> BoxFuture<'_, Vec<Probe>> {
        Box::pin(async { Vec::new() })
    }

    fn drivers(&self) -> BoxFuture<'_, Vec<DriverState>> {
        Box::pin(async { self.drivers.clone() })
    }

    fn registers(
        &self,
        _: Link,
        function: ReadFunction,
        address: u16,
        count: u16,
    ) -> BoxFuture<'_, Result<Words, HardwareError>> {
        let now = self.reads.load(Ordering::Relaxed);
        // The same number stands in a register that never changes.
        let all = [0, now, 0, 7, 1250, 0, 65535, 3];
        Box::pin(async move {
            if function == ReadFunction::InputRegisters {
                return Err(HardwareError::NoAnswer);
            }
            let words = all
                .iter()
                .skip(address.into())
                .take(count.into())
                .copied()
                .collect();
            Ok(Words {
                function,
                address,
                words,
            })
        })
    }

    fn propose(&self, shown: &str, blocks: &[Words], quantity: Quantity) -> Vec<DecodeProposal> {
        auto::propose(shown, &plain(blocks), quantity).unwrap_or_default()
    }

    fn narrow(
        &self,
        left: &[DecodeProposal],
        shown: &str,
        blocks: &[Words],
    ) -> Vec<DecodeProposal> {
        auto::narrow(left, shown, &plain(blocks)).unwrap_or_default()
    }

    fn presets(&self) -> Vec<Preset> {
        Vec::new()
    }
}

fn router(site: &Site, reads: &Arc<AtomicU16>, drivers: Vec<DriverState>) -> axum::Router {
    farm_web::router(App {
        farm: site.farm.clone(),
        hardware: Arc::new(Meter {
            reads: Arc::clone(reads),
            drivers,
        }),
        ingest: Arc::new(StoreIngest(site.farm.clone())),
        options: Options::default(),
    })
}

async fn site() -> (Site, Seeded, DeviceId, Arc<AtomicU16>) {
    let (mut site, seeded) = Site::full().await;
    let reads = Arc::new(AtomicU16::new(1250));
    site.router = router(&site, &reads, Vec::new());
    let form = DeviceForm {
        slug: Slug::new("stall-1-meter").unwrap(),
        name: Name::new("Meter 1").unwrap(),
        kind: DeviceKind::MilkMeter,
        link: Link::ModbusTcp {
            host: "127.0.0.1".into(),
            port: 502,
            unit: 1,
            map: RegisterMap::default(),
        },
        place: None,
        expect_every_s: None,
    };
    let added = site
        .farm
        .write(Actor::CommandLine, move |tx| devices::add(tx, &form))
        .await;
    (site, seeded, added.unwrap(), reads)
}

/// A hidden field's value as the browser would send it.
fn hidden(page: &str, name: &str) -> String {
    let after = page
        .split_once(&format!("name=\"{name}\" value=\""))
        .unwrap()
        .1;
    let value = after.split('"').next().unwrap();
    let text = value.replace("&quot;", "\"").replace("&amp;", "&");
    text.bytes()
        .fold(String::new(), |out, b| out + &format!("%{b:02X}"))
}

#[tokio::test]
async fn a_second_look_leaves_the_one_register_that_follows_the_display() {
    let (site, seeded, id, reads) = site().await;
    let manager = As::Session(&seeded.manager);
    let path = format!("/devices/{id}/decode");
    let look = "quantity=visit_yield&function=holding_registers&from=0&count=8";
    // ১২.৫০, in Bengali digits.
    let shown = "shown=%E0%A7%A7%E0%A7%A8.%E0%A7%AB%E0%A7%A6";
    let first = site.post(&path, manager, &format!("{look}&{shown}")).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text);
    assert!(
        first
            .text
            .contains("address 40002, 32-bit, words swapped, ÷100"),
        "{}",
        first.text
    );
    assert!(first.text.contains("address 40005"), "{}", first.text);
    assert!(
        first.text.contains("<strong>12.5 L</strong>"),
        "{}",
        first.text
    );
    let before = hidden(&first.text, "before");
    reads.store(1475, Ordering::Relaxed);
    let second = site
        .post(
            &path,
            manager,
            &format!("{look}&shown=14.75&before={before}"),
        )
        .await;
    assert!(!second.text.contains("address 40005"), "{}", second.text);
    assert!(second.text.contains("address 40002"), "{}", second.text);
    let field = hidden(&second.text, "field");
    let saved = site
        .post(
            &format!("/devices/{id}/fields"),
            manager,
            &format!("field={field}"),
        )
        .await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    let device = site
        .farm
        .read(move |conn| devices::get(conn, id))
        .await
        .unwrap()
        .unwrap();
    let Link::ModbusTcp { map, .. } = device.link else {
        panic!("the link changed its kind");
    };
    let [field] = map.fields.as_slice() else {
        panic!("one field was saved, not {:?}", map.fields);
    };
    assert_eq!(
        (field.quantity, field.address, field.scale),
        (Quantity::VisitYield, 1, 0.01)
    );
    assert!(matches!(
        (field.kind, field.order),
        (RegisterType::U32 | RegisterType::I32, WordOrder::Cdab)
            | (RegisterType::U16 | RegisterType::I16, _)
    ));
    let page = site.get(&format!("/devices/{id}"), manager).await.text;
    assert!(page.contains("address 40002"), "{page}");
}

#[tokio::test]
async fn what_cannot_be_read_or_taken_is_said_and_the_form_kept() {
    let (site, seeded, id, _) = site().await;
    let manager = As::Session(&seeded.manager);
    let path = format!("/devices/{id}/decode");
    for (form, said) in [
        (
            "function=input_registers&from=0&count=8&shown=12.5",
            "The device does not answer",
        ),
        (
            "function=holding_registers&from=70000&count=8&shown=12.5",
            "Between 0 and 65,535.",
        ),
        (
            "function=holding_registers&from=0&count=500&shown=12.5",
            "Between 1 and 125.",
        ),
        (
            "function=holding_registers&from=0&count=8&shown=0",
            "Zero teaches nothing",
        ),
        (
            "function=holding_registers&from=0&count=8&shown=full",
            "Zero teaches nothing",
        ),
    ] {
        let refused = site
            .post(&path, manager, &format!("quantity=fat&{form}"))
            .await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{form}");
        assert!(refused.text.contains(said), "{form}: {said}");
        assert!(
            refused.text.contains("<option value=\"fat\" selected>"),
            "{form}"
        );
    }
    let nothing = "quantity=fat&function=holding_registers&from=0&count=8&shown=777.7";
    let found = site.post(&path, manager, nothing).await;
    assert_eq!(found.status, StatusCode::OK);
    assert!(found.text.contains("Nothing fits"), "{}", found.text);
    // A probe has no registers.
    let probe = site
        .get(&format!("/devices/{}/decode", seeded.probe), manager)
        .await;
    assert_eq!(probe.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_device_that_measures_was_heard() {
    let (site, seeded) = Site::full().await;
    let manager = As::Session(&seeded.manager);
    let page = site
        .get(&format!("/devices/{}", seeded.probe), manager)
        .await;
    assert!(page.text.contains("Last heard"), "{}", page.text);
    assert!(!page.text.contains("Never heard"), "{}", page.text);
}

#[tokio::test]
async fn a_reader_shows_whose_tag_it_read_last() {
    let (site, seeded) = Site::full().await;
    let manager = As::Session(&seeded.manager);
    let form = DeviceForm {
        slug: Slug::new("gate-reader").unwrap(),
        name: Name::new("Gate reader").unwrap(),
        kind: DeviceKind::RfidReader,
        link: Link::Http,
        place: None,
        expect_every_s: None,
    };
    let added = site
        .farm
        .write(Actor::CommandLine, move |tx| devices::add(tx, &form));
    let reader = added.await.unwrap();
    let path = format!("/devices/{reader}");
    let page = site.get(&path, manager).await;
    assert!(page.text.contains("No tag has been read yet"));

    for (tag, shown) in [
        ("050000000100003", "/herd/"),
        ("050000000777777", "No animal carries it."),
    ] {
        let seen = Observation {
            device: reader,
            at: stamp(NOW),
            body: Body::Identified {
                tag: tag.parse().unwrap(),
            },
            raw: Vec::new(),
            key: None,
        };
        site.farm
            .write(Actor::CommandLine, move |tx| readings::ingest(tx, &[seen]))
            .await
            .unwrap();
        let page = site.get(&path, manager).await;
        let values = page.text.split("id=\"device-values\"").nth(1).unwrap();
        let values = values.split("</section>").next().unwrap();
        assert!(values.contains(tag), "{values}");
        assert!(values.contains(shown), "{values}");
    }
}

/// Adds `n` collars that never said a thing.
async fn collars(site: &Site, n: u64) {
    let form = |i: u64| DeviceForm {
        slug: Slug::new(&format!("collar-{i}")).unwrap(),
        name: Name::new(&format!("Collar {i}")).unwrap(),
        kind: DeviceKind::Collar,
        link: Link::ChirpStack {
            dev_eui: format!("a84041000181{i:04x}"),
            fields: Vec::new(),
        },
        place: None,
        expect_every_s: Some(900),
    };
    let added = site.farm.write(Actor::CommandLine, move |tx| {
        (1..=n).try_for_each(|i| devices::add(tx, &form(i)).map(drop))
    });
    added.await.unwrap();
}

#[tokio::test]
async fn many_of_a_kind_are_one_line_and_a_search_finds_one() {
    let (site, seeded) = Site::full().await;
    collars(&site, 60).await;
    let manager = As::Session(&seeded.manager);
    let list = site.get("/devices", manager).await.text;
    let (before, fold) = list
        .split_once("<details class=\"fold\" id=\"more-collar\"")
        .unwrap();
    assert!(!before.contains("Collar 17<"), "{before}");
    assert!(fold.contains("Collar 17<"), "{fold}");
    assert!(
        list.contains("60 never heard") && list.contains("Show all 60"),
        "{list}"
    );
    // Bengali digits find what has a number.
    for query in [
        "q=collar+17",
        "q=%E0%A7%A7%E0%A7%AD",
        "q=18111&which=all",
        "q=A840410001810011&which=unheard",
    ] {
        let found = site.get(&format!("/devices?{query}"), manager).await.text;
        let said = if query.contains("18111") {
            "No device fits"
        } else {
            "Collar 17<"
        };
        assert!(found.contains(said), "{query}: {found}");
        assert!(!found.contains("Collar 18<"), "{query}: {found}");
    }
    let nothing = site
        .get("/devices?which=trouble&q=collar", manager)
        .await
        .text;
    assert!(nothing.contains("No device fits"), "{nothing}");
}

#[tokio::test]
async fn a_device_in_trouble_stands_first_with_what_to_do() {
    let (mut site, seeded) = Site::full().await;
    let id = seeded.probe;
    let driver = DriverState {
        device: id,
        health: DriverHealth::BackingOff,
        heard: None,
        error: Some("timeout".into()),
    };
    site.router = router(&site, &Arc::default(), vec![driver]);
    let manager = As::Session(&seeded.manager);
    let list = site.get("/devices", manager).await.text;
    assert!(list.contains("2 devices need a look."), "{list}");
    let cards: Vec<&str> = list.split("<section class=\"card\">").collect();
    let first = cards[1];
    assert!(first.contains(&id.to_string()), "{first}");
    assert!(first.contains("1 without an answer"), "{first}");
    let page = site.get(&format!("/devices/{id}"), manager).await.text;
    assert!(page.contains("Check its power, its cable and its address."));
    assert!(page.contains("<p class=\"hint\" lang=\"en\">timeout</p>"));
}

#[tokio::test]
async fn a_meter_on_the_network_has_no_adapter_to_plug_in() {
    let (mut site, seeded) = Site::full().await;
    let manager = As::Session(&seeded.manager);
    let form = "transport=modbus_tcp&name=Meter&kind=milk_meter&place=&slug=net-meter&host=10.0.0.9&tcp_port=502&unit=1&preset=&poll=1000&every=";
    let added = site.post("/devices", manager, form).await;
    let path = added.location.split('?').next().unwrap().to_owned();
    let driver = DriverState {
        device: path.trim_start_matches("/devices/").parse().unwrap(),
        health: DriverHealth::NoPort,
        heard: None,
        error: Some("refused".into()),
    };
    site.router = router(&site, &Arc::default(), vec![driver]);
    let page = site.get(&path, manager).await.text;
    assert!(page.contains("Check its power, its cable and its address."));
    assert!(!page.contains("Plug its adapter in"), "{page}");
}

#[tokio::test]
async fn what_is_wrong_stands_in_the_form_beside_what_was_typed() {
    let (site, seeded) = Site::full().await;
    let manager = As::Session(&seeded.manager);
    for (form, said) in [
        ("transport=serial&name=&port=/dev/ttyUSB0", "Fill this in."),
        (
            "transport=serial&name=Gate&port=COM3",
            "Write the path of the port, such as /dev/ttyUSB0.",
        ),
        (
            "transport=serial&name=Gate&port=/dev/ttyUSB0&dialect=template",
            "Write the line as the reader sends it",
        ),
        (
            "transport=serial&name=Gate&port=/dev/ttyUSB0&slug=Gate+1",
            "Use small English letters",
        ),
        (
            "transport=modbus_rtu&name=Gate&port=/dev/ttyUSB0&unit=248",
            "Between 1 and 247",
        ),
        (
            "transport=modbus_tcp&name=Gate&host=http://meter/&tcp_port=502&unit=1",
            "Write only the address",
        ),
        (
            "transport=modbus_tcp&name=Gate&host=meter&tcp_port=0&unit=1",
            "Between 1 and 65,535",
        ),
        (
            "transport=modbus_tcp&name=Gate&host=meter&tcp_port=502&unit=1&poll=5",
            "Between 50 and 3,600,000",
        ),
        (
            "transport=one_wire&name=Gate&rom=28-03",
            "Write two digits, a dash and twelve digits",
        ),
        (
            "transport=chirp_stack&name=Gate&dev_eui=a840",
            "Write all 16 digits",
        ),
        ("transport=http&name=Gate&every=2678401", "At most 31 days"),
        (
            "transport=http&name=Gate&every=soon",
            "Write a whole number",
        ),
        (
            "transport=http&name=Gate&slug=tank-1-probe",
            "Another device has this short name.",
        ),
    ] {
        let form = format!("kind=level_sensor&place=&baud=9600&parity=none&stop_bits=1&{form}");
        let form = if form.contains("dialect=") {
            form
        } else {
            form + "&dialect=allflex"
        };
        let answer = site.post("/devices", manager, &form).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{form}");
        assert!(
            answer.text.contains(said),
            "{form}: {said}: {}",
            answer.text
        );
        assert!(answer.text.contains("aria-invalid=\"true\""), "{form}");
        assert!(
            answer
                .text
                .contains("<option value=\"level_sensor\" selected>"),
            "{form}"
        );
        let keeps_name = answer.text.contains("value=\"Gate\"") || said == "Fill this in.";
        assert!(keeps_name, "{form}: {}", answer.text);
    }
    let path = format!("/devices/{}", seeded.probe);
    let answer = site
        .post(&path, manager, "name=North&slug=&kind=sensor&place=")
        .await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        answer.text.contains("value=\"North\"") && answer.text.contains("Fill this in."),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn a_device_without_a_short_name_is_given_one() {
    let (site, seeded) = Site::full().await;
    let manager = As::Session(&seeded.manager);
    for (name, slug) in [
        ("Yard gate", "yard-gate"),
        ("Yard gate", "yard-gate-2"),
        ("%E0%A6%97%E0%A7%87%E0%A6%9F", "sensor"),
    ] {
        let form =
            format!("transport=http&kind=sensor&place=&name={name}&every=%E0%A7%AC%E0%A7%A6");
        let saved = site.post("/devices", manager, &form).await;
        assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
        let device = site
            .farm
            .read(move |conn| devices::find(conn, slug))
            .await
            .unwrap();
        assert_eq!(device.unwrap().expect_every_s, Some(60));
    }
}
