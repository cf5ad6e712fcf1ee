//! The auto-decoder over a meter whose registers a test sets.

use std::sync::{
    Arc,
    atomic::{AtomicU16, Ordering},
};

use axum::http::StatusCode;
use edge_decode::modbus::auto;
use farm::{
    Actor, devices,
    devices::DeviceForm,
    text::{Name, Slug},
};
use farm_model::{
    DeviceId, DeviceKind, Link, Quantity,
    device::{DecodeProposal, ReadFunction, RegisterMap, RegisterType, WordOrder},
};
use farm_web::{
    App, DriverState, Hardware, HardwareError, Options, Preset, Probe, SerialPort, StoreIngest,
    Words,
};
use futures_util::future::BoxFuture;

use crate::{
    client::{As, Site},
    seed::Seeded,
};

/// A meter that shows hundredths of a litre, as 32 bits with swapped words from the second register on.
struct Meter(Arc<AtomicU16>);

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
        Box::pin(async { Vec::new() })
    }

    fn registers(
        &self,
        _: Link,
        function: ReadFunction,
        address: u16,
        count: u16,
    ) -> BoxFuture<'_, Result<Words, HardwareError>> {
        let now = self.0.load(Ordering::Relaxed);
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

async fn site() -> (Site, Seeded, DeviceId, Arc<AtomicU16>) {
    let (mut site, seeded) = Site::full().await;
    let reads = Arc::new(AtomicU16::new(1250));
    site.router = farm_web::router(App {
        farm: site.farm.clone(),
        hardware: Arc::new(Meter(Arc::clone(&reads))),
        ingest: Arc::new(StoreIngest(site.farm.clone())),
        options: Options::default(),
    });
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
    let list = site
        .get("/devices", As::Session(&seeded.manager))
        .await
        .text;
    let card = list
        .split("<li class=\"card\">")
        .find(|card| card.contains(&seeded.probe.to_string()))
        .expect("the probe is listed");
    let never = "কখনো";
    assert!(!card.contains(never), "{card}");
}
