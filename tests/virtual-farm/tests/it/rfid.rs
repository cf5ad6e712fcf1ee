//! Readers on pseudo-terminals.

use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use virtual_farm::wire::rfid;

use crate::common::{DEADLINE, farm};

/// Reads `port` until `done` says that what came is enough.
async fn read_until(port: &std::path::Path, done: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut file = File::options()
        .read(true)
        .write(true)
        .open(port)
        .await
        .unwrap();
    let mut bytes = Vec::new();
    timeout(DEADLINE, async {
        while !done(&bytes) {
            let mut chunk = [0; 256];
            let count = file.read(&mut chunk).await.unwrap();
            bytes.extend(&chunk[..count]);
        }
    })
    .await
    .unwrap_or_else(|_| panic!("not enough came from {}: {bytes:02x?}", port.display()));
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn each_reader_reads_the_cow_at_its_stall_in_its_own_dialect() {
    let (farm, _dir) = farm(60.0, |_| {}).await;
    let herd: Vec<_> = farm.shared().sim().herd().iter().map(|a| a.tags).collect();
    for (stall, port) in (1..).zip(farm.addresses().readers.clone()) {
        let frames: Vec<Vec<u8>> = herd
            .iter()
            .map(|tags| match stall {
                1..=3 => rfid::wl134a(50, tags.national),
                4..=6 => rfid::allflex(50, tags.national),
                _ => rfid::rdm6300(tags.em4100),
            })
            .collect();
        let bytes = read_until(&port, |b| b.len() >= 60).await;
        assert!(
            frames
                .iter()
                .any(|f| bytes.windows(f.len()).any(|w| w == f)),
            "reader {stall}: {bytes:02x?}"
        );
    }
    farm.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_repeats_after_its_port_was_closed_and_opened_again() {
    let (farm, _dir) = farm(60.0, |_| {}).await;
    let port = farm.addresses().readers[3].clone();
    let line = |bytes: &[u8]| bytes.windows(3).filter(|w| w == b"LA ").count() >= 2;
    for _ in 0..3 {
        read_until(&port, line).await;
    }
    farm.stop().await;
    assert!(!port.is_symlink());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vanished_port_comes_back() {
    let (farm, _dir) = farm(60.0, |_| {}).await;
    let port = farm.addresses().readers[4].clone();
    let mut file = File::options()
        .read(true)
        .write(true)
        .open(&port)
        .await
        .unwrap();
    farm.order("vanish-port:reader-5@now+1m").unwrap();
    let gone = timeout(DEADLINE, async {
        let mut chunk = [0; 256];
        while !matches!(file.read(&mut chunk).await, Ok(0) | Err(_)) {}
        file.write_all(b"x").await.and(file.flush().await)
    });
    assert!(gone.await.expect("the port hangs up").is_err());
    timeout(DEADLINE, async {
        while !port.exists() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the port is back");
    read_until(&port, |b| b.windows(3).any(|w| w == b"LA ")).await;
    farm.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_and_bad_checksums_reach_the_wire() {
    let (farm, _dir) = farm(60.0, |o| {
        o.faults = vec!["reader-noise:4".into(), "crc-failures:100".into()];
    })
    .await;
    let herd: Vec<_> = farm
        .shared()
        .sim()
        .herd()
        .iter()
        .map(|a| rfid::wl134a(50, a.tags.national))
        .collect();
    let spoilt = read_until(&farm.addresses().readers[0], |b| b.len() > 90).await;
    assert!(!herd.iter().any(|f| spoilt.windows(30).any(|w| w == f)));
    read_until(&farm.addresses().readers[3], |b| {
        b.iter().any(|c| !c.is_ascii())
    })
    .await;
    farm.stop().await;
}
