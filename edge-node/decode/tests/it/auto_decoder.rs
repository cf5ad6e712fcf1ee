//! The auto-decoder: what a worker reads off a display finds its registers.

use edge_decode::modbus::auto::{MAX_PROPOSALS, ShownError, narrow, propose};
use farm_model::{
    device::{DecodeProposal, ReadFunction, RegisterType, WordOrder},
    quantity::Quantity,
};
use proptest::{collection::vec, prelude::*};

const HOLDING: ReadFunction = ReadFunction::HoldingRegisters;

fn holding(address: u16, words: &[u16]) -> Vec<(ReadFunction, u16, Vec<u16>)> {
    vec![(HOLDING, address, words.to_vec())]
}

/// Address, type, order and scale of a proposal.
fn way(proposal: &DecodeProposal) -> (u16, RegisterType, WordOrder, f64) {
    let field = &proposal.field;
    (field.address, field.kind, field.order, field.scale)
}

#[test]
fn it_solves_each_word_order_of_a_float() {
    for (words, order) in [
        ([0x4148, 0x0000], WordOrder::Abcd),
        ([0x0000, 0x4148], WordOrder::Cdab),
        ([0x4841, 0x0000], WordOrder::Badc),
        ([0x0000, 0x4841], WordOrder::Dcba),
    ] {
        let found = propose("12.5", &holding(100, &words), Quantity::MilkFlow).unwrap();
        assert_eq!(way(&found[0]), (100, RegisterType::F32, order, 1.0));
        assert_eq!(found[0].reads.0, 12_500);
        assert_eq!(found[0].raw, words);
    }
}

#[test]
fn it_prefers_the_plain_reading_of_a_milk_meter() {
    // Status, total 1000.00 L, flow 2.345 L/min, visit 12.34 L, and more.
    let words = [2, 1, 0x86A0, 2345, 1234, 0, 17, 987, 512, 431, 870];
    for (shown, quantity, expected) in [
        (
            "12.34",
            Quantity::VisitYield,
            (4, RegisterType::U16, WordOrder::Abcd, 0.01),
        ),
        (
            "2.345",
            Quantity::MilkFlow,
            (3, RegisterType::U16, WordOrder::Abcd, 0.001),
        ),
        (
            "1,000.00",
            Quantity::MilkTotal,
            (1, RegisterType::U32, WordOrder::Abcd, 0.01),
        ),
        (
            "৪.৩১",
            Quantity::Fat,
            (9, RegisterType::U16, WordOrder::Abcd, 0.01),
        ),
    ] {
        let found = propose(shown, &holding(0, &words), quantity).unwrap();
        assert_eq!(way(&found[0]), expected, "{shown}");
        assert!(found.windows(2).all(|pair| pair[0].score >= pair[1].score));
    }
}

#[test]
fn a_display_with_fewer_digits_still_finds_the_register() {
    // 4.37 °C: a display with one decimal shows 4.4 when it rounds and 4.3 when it cuts off.
    for shown in ["4.4", "4.3"] {
        let found = propose(shown, &holding(0, &[437]), Quantity::Temperature).unwrap();
        assert!(
            found
                .iter()
                .any(|p| way(p) == (0, RegisterType::U16, WordOrder::Abcd, 0.01))
        );
    }
    let below = propose(
        "-10.1",
        &holding(0, &[(-101i16) as u16]),
        Quantity::Temperature,
    )
    .unwrap();
    assert_eq!(way(&below[0]), (0, RegisterType::I16, WordOrder::Abcd, 0.1));
}

#[test]
fn a_second_look_removes_coincidences() {
    let first = propose("50", &holding(0, &[50, 500, 5, 50]), Quantity::Level).unwrap();
    assert!(first.len() > 2, "ambiguous at first");
    let second = narrow(&first, "53", &holding(0, &[50, 527, 5, 54])).unwrap();
    assert_eq!(second.len(), 1);
    assert_eq!(
        way(&second[0]),
        (1, RegisterType::U16, WordOrder::Abcd, 0.1)
    );
    assert_eq!((second[0].score, second[0].reads.0), (100, 52_700));
    let third = narrow(&second, "60", &holding(0, &[50, 527, 5, 54])).unwrap();
    assert_eq!(third, []);
}

#[test]
fn equal_readings_are_proposed_once() {
    let found = propose("1234", &holding(0, &[1234]), Quantity::Steps).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    let mirrored = propose("8224", &holding(0, &[0x2020]), Quantity::Steps).unwrap();
    assert_eq!(mirrored.len(), 1, "both orders read the same");
}

#[test]
fn what_teaches_nothing_is_refused() {
    let refused = |shown| propose(shown, &[], Quantity::Level).unwrap_err();
    for shown in ["", "abc", "1.2.3", "-", ".", ",5", "1e3", "12 L", "NaN"] {
        assert_eq!(refused(shown), ShownError::NotANumber, "{shown:?}");
    }
    assert_eq!(refused("0.00"), ShownError::Zero);
    assert_eq!(refused("1234567890123"), ShownError::TooLong);
}

proptest! {
    #[test]
    fn a_written_value_is_among_the_proposals(raw in 1u16.., decimals in 0u32..3, before in vec(any::<u16>(), 0..6), after in vec(any::<u16>(), 0..6)) {
        let shown = format!("{:.*}", decimals as usize, f64::from(raw) / 10f64.powi(decimals as i32));
        let words = [before.as_slice(), &[raw], &after].concat();
        let found = propose(&shown, &holding(10, &words), Quantity::Pulses).unwrap();
        let address = 10 + before.len() as u16;
        prop_assert!(found.iter().any(|p| p.field.address == address && p.field.kind.width() == 1 && p.field.order == WordOrder::Abcd));
    }

    #[test]
    fn anything_typed_and_read_is_bounded(shown in "[-+0-9.,০-৯a ]{0,14}", start in any::<u16>(), words in vec(any::<u16>(), 0..300)) {
        if let Ok(found) = propose(&shown, &holding(start, &words), Quantity::Temperature) {
            prop_assert!(found.len() <= MAX_PROPOSALS);
            prop_assert!(found.iter().map(|p| u32::from(p.score)).sum::<u32>() <= 100 + MAX_PROPOSALS as u32);
            let again = narrow(&found, &shown, &holding(start, &words)).unwrap();
            prop_assert_eq!(again.len(), found.len(), "the same look again removes nothing");
        }
    }
}
