//! Probes in a folder laid out as the kernel's tree.

use std::{collections::BTreeSet, path::Path, time::Instant};

use crate::common::{DEADLINE, farm};

/// What a probe's file shows, each distinct content once, until all of `wanted` have been seen.
async fn watch(file: &Path, wanted: &[fn(&str) -> bool]) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let began = Instant::now();
    while !wanted
        .iter()
        .all(|w| seen.iter().any(|text: &String| w(text)))
    {
        assert!(began.elapsed() < DEADLINE, "{}: {seen:?}", file.display());
        if let Ok(text) = tokio::fs::read_to_string(file).await {
            seen.insert(text);
        }
        tokio::task::yield_now().await;
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_shows_its_temperature_and_a_flapping_one_shows_lies() {
    let (farm, _dir) = farm(60.0, |o| {
        o.faults = vec!["flapping-probe:tank-2-probe".into()];
    })
    .await;
    let probes = virtual_farm::device::onewire::probes(1);
    let slave = |i: usize| farm.addresses().w1.join(&probes[i].rom).join("w1_slave");
    let good: fn(&str) -> bool =
        |text| text.contains("YES") && !text.contains("t=85000") && !text.contains("t=0\n");
    for text in watch(&slave(3), &[good]).await {
        let millis: i32 = text.trim().rsplit_once("t=").unwrap().1.parse().unwrap();
        assert!((1_500..5_500).contains(&millis), "{text}");
    }
    watch(
        &slave(1),
        &[
            good,
            |text| text.contains("1c : crc=1c YES") && text.contains("t=85000"),
            |text| text.contains("NO"),
            str::is_empty,
            |text| text.starts_with("00 00 00 00 00 00 00 00 00 : crc=00 YES"),
        ],
    )
    .await;
    farm.stop().await;
}
