//! Register maps and words of any kind, planned and decoded.
#![no_main]

use edge_decode::modbus::{MAX_BITS, MAX_REGISTERS, Registers, check, decode, plan, range_of};
use farm_model::{
    device::{ReadFunction, RegisterField, RegisterMap, RegisterType, StatusField, WordOrder},
    observation::{Body, Flaw, Quality},
    quantity::Quantity,
};
use fuzz::Numbers;
use libfuzzer_sys::fuzz_target;

const FUNCTIONS: [ReadFunction; 4] = [
    ReadFunction::Coils,
    ReadFunction::DiscreteInputs,
    ReadFunction::HoldingRegisters,
    ReadFunction::InputRegisters,
];
const TYPES: [RegisterType; 10] = [
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
const ORDERS: [WordOrder; 4] = [
    WordOrder::Abcd,
    WordOrder::Cdab,
    WordOrder::Badc,
    WordOrder::Dcba,
];

fn field(numbers: &mut Numbers<'_>) -> RegisterField {
    RegisterField {
        quantity: numbers.one_of(Quantity::ALL),
        function: numbers.one_of(&FUNCTIONS),
        address: numbers.u16(),
        kind: numbers.one_of(&TYPES),
        order: numbers.one_of(&ORDERS),
        scale: f64::from_bits(numbers.u64()),
        offset: f64::from_bits(numbers.u64()),
        missing: vec![numbers.u64() as i64],
        wraps_after: Some(numbers.u64()),
    }
}

fuzz_target!(|data: &[u8]| {
    let mut numbers = Numbers(data);
    let map = RegisterMap {
        fields: (0..numbers.u8() % 16)
            .map(|_| field(&mut numbers))
            .collect(),
        status: (numbers.u8() % 2 == 1).then(|| StatusField {
            function: numbers.one_of(&FUNCTIONS),
            address: numbers.u16(),
            normal: vec![numbers.u16()],
            not_ready: vec![numbers.u16()],
        }),
        ..RegisterMap::default()
    };
    let sound = check(&map).is_ok();
    let words = numbers.words(4000);
    let mut registers = Registers::new();
    for (i, request) in plan(&map).into_iter().enumerate() {
        let bits = matches!(
            request.function,
            ReadFunction::Coils | ReadFunction::DiscreteInputs
        );
        assert!((1..=if bits { MAX_BITS } else { MAX_REGISTERS }).contains(&request.count));
        let answer = words
            .iter()
            .copied()
            .cycle()
            .skip(i)
            .take(request.count.into());
        let answer: Vec<u16> = answer.collect();
        if answer.is_empty() {
            registers.fail(request, Flaw::Timeout);
        } else {
            registers.insert(request.function, request.address, answer);
        }
    }
    for (said, field) in decode(&map, &registers).into_iter().zip(&map.fields) {
        let Body::Measured {
            value,
            quality,
            flaw,
            ..
        } = said.body
        else {
            unreachable!("registers only measure");
        };
        assert_eq!(value.is_none(), quality == Quality::Missing);
        // What a sound plan asked for and got is never a time-out.
        assert!(!(sound && !words.is_empty() && flaw == Some(Flaw::Timeout)));
        // What an integer counts rolls over somewhere.
        let whole = !matches!(field.kind, RegisterType::Bit | RegisterType::F32 | RegisterType::F64);
        assert_eq!(range_of(field).is_some(), whole);
    }
});
