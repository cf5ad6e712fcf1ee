//! Register maps against words: plans that stay within their fields, values that are never zero by accident.

use edge_decode::modbus::{
    Decoded, MAX_REGISTERS, MapError, ReadRequest, Registers, check, decode, plan, presets::Preset,
    range_of,
};
use farm_model::{
    device::{ReadFunction, RegisterField, RegisterMap, RegisterType, StatusField, WordOrder},
    observation::{Body, Flaw},
    quantity::{Milli, Quantity},
};
use proptest::{collection::vec, prelude::*};

const HOLDING: ReadFunction = ReadFunction::HoldingRegisters;

fn field(address: u16, kind: RegisterType) -> RegisterField {
    RegisterField {
        quantity: Quantity::Weight,
        function: HOLDING,
        address,
        kind,
        order: WordOrder::Abcd,
        scale: 1.0,
        offset: 0.0,
        missing: Vec::new(),
        wraps_after: None,
    }
}

fn map_of(fields: Vec<RegisterField>) -> RegisterMap {
    RegisterMap {
        fields,
        ..RegisterMap::default()
    }
}

fn request(function: ReadFunction, address: u16, count: u16) -> ReadRequest {
    ReadRequest {
        function,
        address,
        count,
    }
}

/// What one field reads in `words` at its own address.
fn read(field: RegisterField, words: &[u16]) -> Body {
    let mut registers = Registers::new();
    registers.insert(field.function, field.address, words.to_vec());
    decode(&map_of(vec![field]), &registers).remove(0).body
}

fn preset(name: &str) -> RegisterMap {
    Preset::find(name).expect("a known preset").map()
}

#[test]
fn a_plan_joins_what_touches_and_bridges_nothing() {
    let fields = vec![
        field(10, RegisterType::F32),
        field(0, RegisterType::U32),
        field(2, RegisterType::U16),
        field(4, RegisterType::U16),
        field(11, RegisterType::U16),
    ];
    let mut map = map_of(fields);
    map.fields.push(RegisterField {
        function: ReadFunction::Coils,
        kind: RegisterType::Bit,
        ..field(3, RegisterType::Bit)
    });
    map.status = Some(StatusField {
        function: HOLDING,
        address: 5,
        normal: vec![0],
        not_ready: vec![],
    });
    let expected = [
        request(ReadFunction::Coils, 3, 1),
        request(HOLDING, 0, 3),
        request(HOLDING, 4, 2),
        request(HOLDING, 10, 2),
    ];
    assert_eq!(plan(&map), expected);
}

#[test]
fn a_plan_never_splits_a_field_at_the_limit() {
    let map = map_of((0..63).map(|i| field(i * 2, RegisterType::F32)).collect());
    assert_eq!(
        plan(&map),
        [request(HOLDING, 0, 124), request(HOLDING, 124, 2)]
    );
}

#[test]
fn a_map_that_cannot_work_says_why() {
    let with = |change: fn(&mut RegisterField)| {
        let mut field = field(0, RegisterType::U32);
        change(&mut field);
        check(&map_of(vec![field]))
    };
    assert_eq!(with(|_| {}), Ok(()));
    assert_eq!(
        with(|f| f.address = 65535),
        Err(MapError::Address(1, 65535))
    );
    assert_eq!(
        with(|f| f.function = ReadFunction::Coils),
        Err(MapError::BitsOnly(1))
    );
    assert_eq!(with(|f| f.scale = 0.0), Err(MapError::Scale(1)));
    assert_eq!(with(|f| f.scale = f64::NAN), Err(MapError::Scale(1)));
    assert_eq!(with(|f| f.offset = f64::INFINITY), Err(MapError::Scale(1)));
    assert_eq!(check(&RegisterMap::default()), Err(MapError::Empty));
}

#[test]
fn scale_and_offset_apply() {
    let field = RegisterField {
        scale: 0.1,
        offset: -40.0,
        ..field(7, RegisterType::U16)
    };
    assert_eq!(
        read(field, &[653]),
        Body::measured(Quantity::Weight, Milli(25_300))
    );
}

#[test]
fn codes_for_no_value_are_missing_and_not_zero() {
    let missing = Body::missing(Quantity::Weight, Flaw::NotANumber);
    let coded = |kind, code| RegisterField {
        missing: vec![code],
        ..field(0, kind)
    };
    assert_eq!(read(coded(RegisterType::U16, 65535), &[0xFFFF]), missing);
    assert_eq!(read(coded(RegisterType::I16, -32768), &[0x8000]), missing);
    assert_eq!(read(coded(RegisterType::I16, 32768), &[0x8000]), missing);
    assert_eq!(
        read(coded(RegisterType::U16, -1), &[0]),
        Body::measured(Quantity::Weight, Milli(0))
    );
    assert_eq!(
        read(coded(RegisterType::F32, -9999), &[0xC61C, 0x3C00]),
        missing
    );
    assert_eq!(read(field(0, RegisterType::F32), &[0x7FC0, 0]), missing);
    assert_eq!(read(field(0, RegisterType::F32), &[0x7F80, 0]), missing);
    assert_eq!(
        read(field(0, RegisterType::Bcd32), &[0xFFFF, 0xFFFF]),
        Body::missing(Quantity::Weight, Flaw::Malformed)
    );
    assert_eq!(
        read(field(0, RegisterType::F64), &[0x7FE0, 0, 0, 0]),
        Body::missing(Quantity::Weight, Flaw::OutOfPhysics)
    );
}

#[test]
fn what_was_not_read_says_why() {
    let map = map_of(vec![
        field(0, RegisterType::U16),
        field(9, RegisterType::U16),
    ]);
    let mut registers = Registers::new();
    registers.fail(request(HOLDING, 0, 1), Flaw::Exception);
    let bodies: Vec<Body> = decode(&map, &registers)
        .into_iter()
        .map(|d| d.body)
        .collect();
    let missing = |flaw| Body::missing(Quantity::Weight, flaw);
    assert_eq!(bodies, [missing(Flaw::Exception), missing(Flaw::Timeout)]);
}

fn parlour(words: [u16; 11]) -> Vec<Decoded> {
    let map = preset("parlour-meter");
    assert_eq!(plan(&map), [request(HOLDING, 0, 11)]);
    let mut registers = Registers::new();
    registers.insert(HOLDING, 0, words.to_vec());
    decode(&map, &registers)
}

#[test]
fn the_parlour_meter_reads_in_its_units() {
    let said = parlour([2, 1, 0x86A0, 2345, 1234, 0, 17, 987, 512, 0xFFFF, 870]);
    let good = Body::measured;
    let bodies: Vec<&Body> = said.iter().map(|d| &d.body).collect();
    assert_eq!(
        bodies,
        [
            &good(Quantity::MilkTotal, Milli(1_000_000)),
            &good(Quantity::MilkFlow, Milli(2345)),
            &good(Quantity::VisitYield, Milli(12_340)),
            &good(Quantity::VisitCount, Milli(17_000)),
            &good(Quantity::LastYield, Milli(9870)),
            &good(Quantity::Conductivity, Milli(5120)),
            &Body::missing(Quantity::Fat, Flaw::NotANumber),
            &good(Quantity::Snf, Milli(8700)),
        ]
    );
    assert_eq!(said[0].raw_bytes(), [0, 1, 0x86, 0xA0]);
    assert_eq!(
        range_of(&preset("parlour-meter").fields[0]),
        Some(u32::MAX.into())
    );
}

#[test]
fn a_status_gates_every_value() {
    for (status, flaw) in [(1, Flaw::NotReady), (4, Flaw::DeviceFault)] {
        let said = parlour([status, 0, 100, 1, 1, 0, 1, 1, 1, 1, 1]);
        assert_eq!(
            said[0].body,
            Body::bad(Quantity::MilkTotal, Milli(1000), flaw)
        );
    }
    let map = preset("rki-channel");
    let mut registers = Registers::new();
    registers.insert(HOLDING, 16, vec![0x4148, 0]);
    registers.fail(request(HOLDING, 15, 1), Flaw::Timeout);
    assert_eq!(
        decode(&map, &registers)[0].body,
        Body::bad(Quantity::Methane, Milli(12_500), Flaw::Timeout),
        "a status that was not read is not normal"
    );
}

#[test]
fn published_answers_decode() {
    let mut registers = Registers::new();
    let input = ReadFunction::InputRegisters;
    // 230.2 as an SDM630 sends it: here watts, so 0.230 kW.
    registers.insert(input, 52, vec![0x4366, 0x3333]);
    let said = decode(&preset("eastron-sdm630"), &registers);
    assert_eq!(said[0].body, Body::measured(Quantity::Power, Milli(230)));
    assert_eq!(said[1].body, Body::missing(Quantity::Energy, Flaw::Timeout));

    let mut registers = Registers::new();
    // 605000 ppm of methane, low word first; carbon dioxide not available.
    registers.insert(HOLDING, 0, vec![0xB480, 0x4913]);
    registers.insert(HOLDING, 4, vec![0x0000, 0x7FC0]);
    let said = decode(&preset("vaisala-mgp260"), &registers);
    assert_eq!(
        said[0].body,
        Body::measured(Quantity::Methane, Milli(60_500))
    );
    assert_eq!(
        said[1].body,
        Body::missing(Quantity::CarbonDioxide, Flaw::NotANumber)
    );
}

fn any_field() -> impl Strategy<Value = RegisterField> {
    let kinds = [
        RegisterType::Bit,
        RegisterType::U16,
        RegisterType::I16,
        RegisterType::U32,
        RegisterType::I32,
        RegisterType::U64,
        RegisterType::I64,
        RegisterType::F32,
        RegisterType::F64,
        RegisterType::Bcd32,
    ];
    let functions = [ReadFunction::Coils, HOLDING, ReadFunction::InputRegisters];
    let orders = [
        WordOrder::Abcd,
        WordOrder::Cdab,
        WordOrder::Badc,
        WordOrder::Dcba,
    ];
    let address = prop_oneof![0u16..400, 65_500u16..];
    let scale = prop::sample::select(vec![1.0, 0.1, 1e300, -2.5, 1e-300]);
    (
        address,
        prop::sample::select(kinds.to_vec()),
        prop::sample::select(functions.to_vec()),
        prop::sample::select(orders.to_vec()),
        scale,
        vec(any::<i64>(), 0..3),
    )
        .prop_map(
            |(address, kind, function, order, scale, missing)| RegisterField {
                function,
                order,
                scale,
                missing,
                ..field(address, kind)
            },
        )
}

proptest! {
    #[test]
    fn a_plan_reads_all_fields_and_nothing_else(fields in vec(any_field(), 0..60)) {
        let map = map_of(fields);
        let requests = plan(&map);
        let covers = |r: &ReadRequest, f: &RegisterField, at: u32| {
            r.function == f.function && (u32::from(r.address)..u32::from(r.address) + u32::from(r.count)).contains(&at)
        };
        let span = |f: &RegisterField| u32::from(f.address)..u32::from(f.address) + u32::from(f.kind.width());
        for f in map.fields.iter().filter(|f| span(f).end <= 0x1_0000) {
            prop_assert!(requests.iter().any(|r| span(f).all(|at| covers(r, f, at))), "whole in one request");
        }
        for r in &requests {
            let limit = if r.function == ReadFunction::Coils { 2000 } else { MAX_REGISTERS };
            prop_assert!(r.count >= 1 && r.count <= limit);
            for at in u32::from(r.address)..u32::from(r.address) + u32::from(r.count) {
                prop_assert!(map.fields.iter().any(|f| f.function == r.function && span(f).contains(&at)));
            }
        }
    }

    #[test]
    fn any_words_decode_to_something_honest(fields in vec(any_field(), 1..20), words in vec(any::<u16>(), 0..500), start in 0u16..100) {
        let map = map_of(fields);
        let mut registers = Registers::new();
        registers.insert(HOLDING, start, words);
        for said in decode(&map, &registers) {
            let Body::Measured { value, quality, .. } = said.body else { unreachable!("only measurements") };
            prop_assert_eq!(value.is_none(), quality == farm_model::observation::Quality::Missing);
        }
    }
}
