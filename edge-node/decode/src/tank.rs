//! Tank level from an ultrasonic sensor's distance, by the tank's calibration table.

use farm_model::{place::PlaceDetails, quantity::Milli};

/// The level, in thousandths of a percent, at `distance` (thousandths of a millimetre, as [`Quantity::Distance`]
/// carries it) from the sensor to the milk.
///
/// Between two points of the table the level is interpolated, beyond its ends it is held. `None` with fewer than two
/// distances in the table: one point is no calibration.
///
/// [`Quantity::Distance`]: farm_model::quantity::Quantity::Distance
pub fn level_from_distance(details: &PlaceDetails, distance: Milli) -> Option<Milli> {
    let mut table = details.distance_to_level.clone();
    table.sort_unstable_by_key(|(mm, _)| *mm);
    table.dedup_by_key(|(mm, _)| *mm);
    if table.len() < 2 {
        return None;
    }
    let micrometres = |mm: i64| mm.saturating_mul(1000);
    let after = table.partition_point(|(mm, _)| micrometres(*mm) <= distance.0);
    if after == 0 {
        return table.first().map(|(_, level)| *level);
    }
    let ((near, low), Some((far, high))) = (table[after - 1], table.get(after)) else {
        return table.last().map(|(_, level)| *level);
    };
    let [near, far, at] = [micrometres(near), micrometres(*far), distance.0].map(|um| um as f64);
    let part = ((at - near) / (far - near)).clamp(0.0, 1.0);
    let level = low.to_f64() + (high.to_f64() - low.to_f64()) * part;
    Milli::from_f64(level)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tank(table: &[(i64, i64)]) -> PlaceDetails {
        PlaceDetails {
            distance_to_level: table.iter().map(|(mm, l)| (*mm, Milli(*l))).collect(),
            ..PlaceDetails::default()
        }
    }

    #[test]
    fn between_points_it_interpolates_and_beyond_it_holds() {
        // A lying cylinder: full at 100 mm, half at 600, empty at 1,200; written in any order.
        let details = tank(&[(1200, 0), (100, 100_000), (600, 50_000)]);
        for (mm, level) in [
            (0, 100_000),
            (100, 100_000),
            (350, 75_000),
            (600, 50_000),
            (900, 25_000),
            (1200, 0),
            (5000, 0),
        ] {
            let said = level_from_distance(&details, Milli(mm * 1000));
            assert_eq!(said, Some(Milli(level)), "at {mm} mm");
        }
        assert_eq!(
            level_from_distance(&details, Milli(600_600)),
            Some(Milli(49_950))
        );
    }

    #[test]
    fn without_two_points_there_is_no_level() {
        assert_eq!(level_from_distance(&tank(&[]), Milli(1)), None);
        assert_eq!(
            level_from_distance(&tank(&[(5, 5), (5, 6)]), Milli(1)),
            None
        );
    }

    proptest::proptest! {
        #[test]
        fn a_level_stays_between_its_neighbours(table in proptest::collection::vec((proptest::num::i64::ANY, -9_000_000i64..9_000_000), 0..8), mm in proptest::num::i64::ANY) {
            if let Some(level) = level_from_distance(&tank(&table), Milli(mm)) {
                let levels = table.iter().map(|(_, level)| *level);
                proptest::prop_assert!(level.0 >= levels.clone().min().unwrap() && level.0 <= levels.max().unwrap());
            }
        }
    }
}
