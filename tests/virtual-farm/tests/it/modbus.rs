//! Meters and the biogas instrument, read by pymodbus.

use std::process::{Command, Output};

use tokio::task::spawn_blocking;

use crate::common::farm;

/// Versions of pymodbus differ in what they call a unit, and in whether silence is an exception or an answer; Debian's
/// takes whole seconds only.
const PREAMBLE: &str = "
import inspect, struct
from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.exceptions import ModbusException
name = 'device_id' if 'device_id' in inspect.signature(ModbusTcpClient.read_holding_registers).parameters else 'slave'

def holding(first, count, unit):
    return client.read_holding_registers(first, count=count, **{name: unit})

def inputs(first, count, unit):
    return client.read_input_registers(first, count=count, **{name: unit})

def heard(unit):
    try:
        return not holding(0, 11, unit).isError()
    except ModbusException:
        return False

";

/// Runs a pymodbus script with a connected `client`; prints of the script are what is returned.
async fn pymodbus(connect: &str, script: &str) -> String {
    let program = format!(
        "{PREAMBLE}client = {connect}\nassert client.connect()\n{script}\nclient.close()\n"
    );
    let run = move || {
        Command::new("timeout")
            .args(["20", "python3", "-c", &program])
            .output()
    };
    let Output {
        status,
        stdout,
        stderr,
    } = spawn_blocking(run)
        .await
        .unwrap()
        .expect("timeout and python3 are needed: apt-get install coreutils python3");
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(
        !stderr.contains("No module named"),
        "pymodbus is needed: apt-get install python3-pymodbus\n{stderr}"
    );
    assert!(status.success(), "{stderr}");
    String::from_utf8(stdout).unwrap()
}

fn numbers(text: &str) -> Vec<Vec<u32>> {
    text.lines()
        .map(|line| {
            line.trim_matches(['[', ']'])
                .split(", ")
                .map(|n| n.parse().unwrap())
                .collect()
        })
        .collect()
}

/// Reads each unit's registers by both functions.
fn read_units(units: &str) -> String {
    format!(
        "for unit in {units}:\n for read in (holding, inputs):\n  print(read(0, 11, unit).registers)"
    )
}

fn check_meters(text: &str, visits: &[u32]) {
    let meters = numbers(text);
    assert_eq!(meters.len(), 8, "{text}");
    for (pair, visits) in meters.chunks(2).zip(visits) {
        for meter in pair {
            assert_eq!(meter[0], 2, "{meter:?}");
            assert!(
                (meter[5] << 16 | meter[6]).abs_diff(*visits) <= 2,
                "{meter:?}, {visits} visits"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pymodbus_reads_the_meters_of_the_rtu_bus() {
    let (farm, _dir) = farm(10.0, |_| {}).await;
    let visits: Vec<_> = (1..=4).map(|u| visit_count(&farm, u)).collect();
    let connect = format!(
        "ModbusSerialClient({:?}, baudrate=19200, timeout=1, retries=0)",
        farm.addresses().modbus_rtu.to_str().unwrap()
    );
    check_meters(
        &pymodbus(&connect, &read_units("[1, 2, 3, 4]")).await,
        &visits,
    );
    assert_eq!(
        pymodbus(&connect, "print(heard(1), heard(9))").await,
        "True False\n"
    );
    farm.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pymodbus_reads_the_meters_and_the_digester_over_tcp() {
    let (farm, _dir) = farm(10.0, |_| {}).await;
    let visits: Vec<_> = (5..=8).map(|u| visit_count(&farm, u)).collect();
    let (host, port) = farm.addresses().modbus_tcp.split_once(':').unwrap();
    let connect = format!("ModbusTcpClient({host:?}, port={port}, timeout=5)");
    check_meters(
        &pymodbus(&connect, &read_units("[5, 6, 7, 8]")).await,
        &visits,
    );
    let script = "words = holding(0, 16, 20).registers
for i in range(0, 16, 2):
    print(struct.unpack('>f', struct.pack('>HH', words[i + 1], words[i]))[0])
print(holding(0, 1, 99).exception_code)
print(holding(17, 2, 20).exception_code)";
    let gas = pymodbus(&connect, script).await;
    let gas: Vec<f64> = gas.lines().map(|l| l.parse().unwrap()).collect();
    assert!(
        (500_000.0..650_000.0).contains(&gas[0])
            && gas[1].is_nan()
            && (300_000.0..450_000.0).contains(&gas[2]),
        "{gas:?}"
    );
    assert_eq!(gas[8..], [11.0, 2.0]);
    farm.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slave_with_bad_checksums_is_heard_by_nobody() {
    let (farm, _dir) = farm(10.0, |o| o.faults = vec!["crc-failures:100".into()]).await;
    let connect = format!(
        "ModbusSerialClient({:?}, baudrate=19200, timeout=1, retries=0)",
        farm.addresses().modbus_rtu.to_str().unwrap()
    );
    assert_eq!(
        pymodbus(&connect, "print([heard(1) for _ in range(5)].count(True))").await,
        "0\n"
    );
    farm.order("clear").unwrap();
    assert_eq!(
        pymodbus(&connect, "print([heard(1) for _ in range(5)].count(True))").await,
        "5\n"
    );
    farm.stop().await;
}

fn visit_count(farm: &virtual_farm::VirtualFarm, unit: u8) -> u32 {
    let registers = farm.shared().sim().registers(unit).unwrap();
    u32::from(registers[5]) << 16 | u32::from(registers[6])
}
