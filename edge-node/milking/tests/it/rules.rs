//! Every rule of the engine, as a scenario: what happens, line by line, and what the engine said to it.

use edge_milking::{MeterReading, Usual};
use farm_model::Milli;
use insta::assert_snapshot;

use crate::parlour::{Counts, ModelMeter, Parlour, Shows, parlour};

#[test]
fn a_milking_is_one_visit_of_the_cow_who_stands_there() {
    assert_snapshot!(parlour().play(
        "stand 1 a; wait 20; view 1; flow 1 3000; wait 240; view 1; flow 1 0; wait 40; leave 1; wait 5; view 1"
    ), @r#"
     20s view 1: Waiting a 0 mL []
    260s view 1: Milking a 12000 mL []
    290s stall 1 visit of a: 12000 mL in 239s []
    305s view 1: Empty - 0 mL []
    "#);
}

#[test]
fn meters_of_every_kind_give_the_same_yield() {
    let all = [
        Shows::Everything,
        Shows::FlowAndTotal,
        Shows::FlowAndVisit,
        Shows::TotalOnly,
        Shows::FlowOnly,
    ];
    let told: Vec<String> = all
        .map(|shows| {
            let log = Parlour::new(shows)
                .play("stand 1 a; wait 20; flow 1 2345; wait 241; flow 1 0; wait 40");
            format!("{shows:?}: {log}")
        })
        .into();
    assert_snapshot!(told.concat(), @r#"
    Everything:  291s stall 1 visit of a: 9419 mL in 240s []
    FlowAndTotal:  291s stall 1 visit of a: 9419 mL in 240s []
    FlowAndVisit:  291s stall 1 visit of a: 9419 mL in 240s []
    TotalOnly:  291s stall 1 visit of a: 9419 mL in 240s []
    FlowOnly:  291s stall 1 visit of a: 9419 mL in 240s []
    "#);
}

#[test]
fn identity_read_just_before_milk_is_in_time() {
    assert_snapshot!(parlour().play("read 1 a; flow 1 3000; wait 200; flow 1 0; wait 40"), @r#"
     230s stall 1 visit of a: 10000 mL in 199s []
    "#);
}

#[test]
fn a_late_identity_counts_and_says_so() {
    assert_snapshot!(parlour().play("flow 1 3000; wait 100; view 1; read 1 a; view 1; wait 100; flow 1 0; wait 40"), @r#"
    100s view 1: Milking - 5000 mL [Unidentified]
    100s view 1: Milking a 5000 mL [LateIdentity]
    230s stall 1 visit of a: 10000 mL in 199s [LateIdentity]
    "#);
}

#[test]
fn an_identity_read_only_long_after_milk_began_needs_a_person() {
    assert_snapshot!(parlour().play("flow 1 2000; wait 310; read 1 a; wait 10; flow 1 0; wait 40"), @r#"
     350s stall 1 visit of maybe a: 10666 mL in 319s [Unidentified, LateIdentity]
    "#);
}

#[test]
fn a_first_tag_after_milk_stopped_may_be_the_next_cow() {
    assert_snapshot!(parlour().play(
        "flow 1 3000; wait 200; flow 1 0; wait 10; read 1 b; wait 30; view 1; flow 1 3000; wait 100; flow 1 0; wait 40"
    ), @r#"
    230s stall 1 visit of maybe b: 10000 mL in 199s [Unidentified, LateIdentity]
    240s view 1: Waiting b 0 mL []
    370s stall 1 visit of b: 5000 mL in 99s []
    "#);
}

#[test]
fn milk_without_a_cow_is_kept() {
    assert_snapshot!(parlour().play("flow 1 3000; wait 100; flow 1 0; wait 40"), @r#"
     130s stall 1 visit of nobody: 5000 mL in 99s [Unidentified]
    "#);
}

#[test]
fn a_tag_of_no_animal_is_told_as_such() {
    assert_snapshot!(parlour().play("stand 1 x; wait 10; view 1; flow 1 3000; wait 100; flow 1 0; wait 40"), @r#"
     10s view 1: Waiting - 0 mL [UnknownTag]
    140s stall 1 visit of unknown tag x: 5000 mL in 99s [UnknownTag]
    "#);
}

#[test]
fn two_tags_of_one_animal_are_one_cow() {
    assert_snapshot!(parlour().play("read 1 a; read 1 a2; flow 1 3000; wait 100; read 1 a; flow 1 0; wait 40"), @r#"
     130s stall 1 visit of a: 5000 mL in 99s []
    "#);
}

#[test]
fn two_cows_in_one_visit_are_for_a_person_to_settle() {
    assert_snapshot!(parlour().play("read 1 a; flow 1 3000; wait 50; read 1 b; wait 50; flow 1 0; wait 40"), @r#"
     130s stall 1 visit of maybe a or b: 5000 mL in 99s [TwoIdentities]
    "#);
}

#[test]
fn a_cow_passing_by_does_not_take_the_milk() {
    assert_snapshot!(parlour().play("stand 1 a; flow 1 3000; wait 50; read 1 b; wait 50; flow 1 0; wait 40"), @r#"
     130s stall 1 visit of a: 5000 mL in 99s []
    "#);
}

#[test]
fn the_tag_of_the_cow_before_is_not_the_next_cows() {
    // She lingers, read every five seconds; then milk flows of a cow without a tag.
    assert_snapshot!(parlour().play(
        "stand 1 a; flow 1 3000; wait 100; flow 1 0; wait 90; view 1; leave 1; wait 5; flow 1 3000; wait 100; flow 1 0; wait 40"
    ), @r#"
    130s stall 1 visit of a: 5000 mL in 99s []
    190s view 1: Empty - 0 mL []
    325s stall 1 visit of nobody: 5000 mL in 99s [Unidentified]
    "#);
}

#[test]
fn the_next_cow_is_known_while_the_one_before_still_lingers() {
    assert_snapshot!(parlour().play(
        "stand 1 a; flow 1 3000; wait 100; flow 1 0; wait 10; stand 1 b; wait 25; read 1 a; view 1
         flow 1 2000; wait 20; read 1 a; wait 80; flow 1 0; wait 40"
    ), @r#"
    130s stall 1 visit of a: 5000 mL in 99s []
    135s view 1: Waiting b 0 mL []
    265s stall 1 visit of b: 3333 mL in 99s []
    "#);
}

#[test]
fn a_cow_who_never_left_and_gives_again_is_milked_twice() {
    assert_snapshot!(parlour().play(
        "stand 1 a; flow 1 3000; wait 100; flow 1 0; wait 60; flow 1 1500; wait 100; view 1; flow 1 0; wait 40"
    ), @r#"
    130s stall 1 visit of a: 5000 mL in 99s []
    260s view 1: Milking a 2500 mL [LateIdentity, MilkedTwice]
    290s stall 1 visit of a: 2500 mL in 99s [LateIdentity, MilkedTwice]
    "#);
}

#[test]
fn a_cow_milked_twice_in_a_session_says_so_at_once() {
    assert_snapshot!(parlour().play(
        "stand 1 a; flow 1 3000; wait 100; flow 1 0; wait 40; leave 1; wait 100
         stand 2 a; wait 5; view 2; flow 2 1000; wait 60; flow 2 0; wait 40"
    ), @r#"
    130s stall 1 visit of a: 5000 mL in 99s []
    245s view 2: Waiting a 0 mL [MilkedTwice]
    335s stall 2 visit of a: 999 mL in 59s [MilkedTwice]
    "#);
}

#[test]
fn flow_that_pauses_and_resumes_is_one_visit() {
    assert_snapshot!(parlour().play(
        "stand 1 a; flow 1 3000; wait 100; flow 1 0; wait 24; view 1; flow 1 3000; wait 100; flow 1 0; wait 40"
    ), @r#"
    124s view 1: Finishing a 5000 mL []
    254s stall 1 visit of a: 10000 mL in 223s []
    "#);
}

#[test]
fn a_cow_without_milk_is_told_when_she_leaves_and_the_machine_is_suspected_meanwhile() {
    assert_snapshot!(parlour().play(
        "stand 1 a; wait 190; view 1; leave 1; wait 100; read 1 b; view 1"
    ), @r#"
    180s stall 1 NoFlow a raised
    190s view 1: NoFlow a 0 mL []
    251s stall 1 NoFlow a cleared
    290s stall 1 visit of a: 0 mL in 190s [NoMilk]
    290s view 1: Waiting b 0 mL []
    "#);
}

#[test]
fn a_cow_walking_through_is_no_visit() {
    // The reader has shown that it tells tags again and again, so one that it tells once has gone.
    assert_snapshot!(parlour().play(
        "stand 1 a; wait 20; leave 1; wait 70; read 1 b; view 1; wait 650; view 1"
    ), @r#"
     90s view 1: Waiting b 0 mL []
    740s view 1: Empty - 0 mL []
    "#);
}

#[test]
fn with_a_reader_that_tells_each_tag_once_a_cow_stands_until_the_next_comes() {
    assert_snapshot!(parlour().play("read 1 a; wait 170; view 1; wait 20; view 1; read 1 b; view 1"), @r#"
    170s view 1: Waiting a 0 mL []
    180s stall 1 NoFlow a raised
    190s view 1: NoFlow a 0 mL []
    190s stall 1 visit of a: 0 mL in 190s [NoMilk]
    190s stall 1 NoFlow a cleared
    190s view 1: Waiting b 0 mL []
    "#);
}

#[test]
fn the_next_cow_under_a_hold_raises_the_alarm_before_the_visit_before_her_is_over() {
    let mut parlour = parlour();
    parlour.cows.withheld.push('b');
    assert_snapshot!(parlour.play(
        "stand 1 a; flow 1 3000; wait 100; flow 1 0; wait 10; stand 1 b; wait 30; flow 1 2000; wait 100; flow 1 0; wait 40"
    ), @r#"
    110s stall 1 Withdrawal b raised
    130s stall 1 visit of a: 5000 mL in 99s []
    270s stall 1 visit of b: 3333 mL in 99s withheld [Withdrawal]
    270s stall 1 Withdrawal b cleared
    "#);
}

#[test]
fn swapped_tags_of_neighbours_are_noticed_when_the_second_is_done() {
    let mut parlour = parlour();
    for (letter, yield_ml) in [('a', 5_000), ('b', 12_000)] {
        let usual = Usual {
            yield_ml,
            spread_ml: 500,
            avg_flow_ml_min: None,
            conductivity: None,
        };
        parlour.cows.usual.insert(letter, usual);
    }
    assert_snapshot!(parlour.play(
        "stand 1 a; stand 2 b; flow 1 3000; flow 2 3000; wait 100; flow 2 0; wait 140; flow 1 0; wait 40"
    ), @r#"
    130s stall 2 visit of b: 5000 mL in 99s []
    270s stall 1 visit of a: 12000 mL in 239s [SwappedTag]
    "#);
}

#[test]
fn neighbours_who_give_as_usual_are_not_swapped() {
    let mut parlour = parlour();
    for (letter, yield_ml) in [('a', 12_000), ('b', 5_000)] {
        let usual = Usual {
            yield_ml,
            spread_ml: 500,
            avg_flow_ml_min: None,
            conductivity: None,
        };
        parlour.cows.usual.insert(letter, usual);
    }
    assert_snapshot!(parlour.play(
        "stand 1 a; stand 2 b; flow 1 3000; flow 2 3000; wait 100; flow 2 0; wait 140; flow 1 0; wait 40"
    ), @r#"
    130s stall 2 visit of b: 5000 mL in 99s []
    270s stall 1 visit of a: 12000 mL in 239s []
    "#);
}

#[test]
fn milk_after_the_session_belongs_to_it_and_a_cow_waiting_then_alarms_nobody() {
    // Three hours and more after six the morning session is over.
    let mut parlour = parlour();
    parlour.pass_unheard(4 * 3_600_000);
    parlour.poll();
    assert_snapshot!(parlour.play("stand 1 a; wait 300; view 1; flow 1 3000; wait 100; flow 1 0; wait 40"), @r#"
    14700s view 1: Waiting a 0 mL []
    14830s stall 1 visit of a: 5000 mL in 99s []
    "#);
}

#[test]
fn a_stall_without_a_meter_still_says_who_stands_there() {
    let mut parlour = parlour();
    parlour.meters.clear();
    assert_snapshot!(parlour.play("stand 7 a; wait 300; view 7; leave 7; wait 650; view 7"), @r#"
    300s view 7: Waiting a 0 mL []
    950s view 7: Empty - 0 mL []
    "#);
}

#[test]
fn drops_make_no_visit_and_are_not_lost() {
    assert_snapshot!(parlour().play(
        "stand 1 a; flow 1 600; wait 5; flow 1 0; wait 60; view 1; flow 1 3000; wait 100; flow 1 0; wait 40"
    ), @r#"
     65s view 1: Waiting a 0 mL []
    195s stall 1 visit of a: 5050 mL in 99s []
    "#);
}

#[test]
fn a_withheld_cow_raises_the_alarm_at_once_and_her_milk_stays_out_of_the_tank() {
    let mut parlour = parlour();
    parlour.cows.withheld.push('a');
    assert_snapshot!(parlour.play(
        "wait 3; read 1 a; view 1; flow 1 3000; wait 100; view 1; flow 1 0; wait 40; view 1"
    ), @r#"
      3s stall 1 Withdrawal a raised
      3s view 1: Waiting a 0 mL withheld [Withdrawal]
    103s view 1: Milking a 5000 mL withheld [Withdrawal]
    133s stall 1 visit of a: 5000 mL in 99s withheld [Withdrawal]
    133s stall 1 Withdrawal a cleared
    143s view 1: Empty - 0 mL []
    "#);
}

#[test]
fn milk_that_may_be_a_withheld_cows_is_withheld() {
    let mut parlour = parlour();
    parlour.cows.withheld.push('b');
    assert_snapshot!(parlour.play(
        "read 1 a; flow 1 3000; wait 50; read 1 b; wait 50; flow 1 0; wait 40"
    ), @r#"
     50s stall 1 Withdrawal b raised
    130s stall 1 visit of maybe a or b: 5000 mL in 99s withheld [TwoIdentities, Withdrawal]
    130s stall 1 Withdrawal b cleared
    "#);
}

#[test]
fn a_hold_stays_while_the_clock_is_unknown() {
    let mut parlour = parlour();
    parlour.cows.withheld.push('a');
    assert_snapshot!(parlour.play(
        "clock unknown; stand 1 a; flow 1 3000; wait 100; flow 1 0; wait 40"
    ), @r#"
      0s stall 1 Withdrawal a raised
    130s stall 1 visit of a: 5000 mL in 99s withheld [ClockUnknown, Withdrawal]
    130s stall 1 Withdrawal a cleared
    "#);
}

#[test]
fn a_clock_told_during_a_visit_corrects_its_start() {
    assert_snapshot!(parlour().play(
        "jump -900000; clock unknown; stand 1 a; flow 1 3000; wait 50; jump 900000; clock synced; wait 50; flow 1 0; wait 40"
    ), @r#"
     130s stall 1 visit of a: 5000 mL in 99s []
    "#);
}

#[test]
fn a_wall_clock_that_jumps_changes_no_visit() {
    assert_snapshot!(parlour().play(
        "stand 1 a; flow 1 3000; wait 50; jump -7200; wait 50; jump 7200; wait 10; flow 1 0; wait 40"
    ), @r#"
     140s stall 1 visit of a: 5500 mL in 109s []
    "#);
}

#[test]
fn a_meter_that_restarts_in_the_middle_loses_no_milk() {
    let all = [
        Shows::Everything,
        Shows::FlowAndTotal,
        Shows::FlowAndVisit,
        Shows::TotalOnly,
    ];
    let told: Vec<String> = all
        .map(|shows| {
            let log = Parlour::new(shows)
                .play("stand 1 a; flow 1 3000; wait 100; restart 1; wait 100; flow 1 0; wait 40");
            format!("{shows:?}: {log}")
        })
        .into();
    assert_snapshot!(told.concat(), @r#"
    Everything:  230s stall 1 visit of a: 10000 mL in 199s [MeterRestarted]
    FlowAndTotal:  230s stall 1 visit of a: 10000 mL in 199s [MeterRestarted]
    FlowAndVisit:  230s stall 1 visit of a: 10000 mL in 199s [MeterRestarted]
    TotalOnly:  230s stall 1 visit of a: 10000 mL in 199s [MeterRestarted]
    "#);
}

#[test]
fn a_total_that_rolls_over_is_no_restart() {
    let mut parlour = Parlour::new(Shows::TotalOnly);
    for meter in parlour.meters.values_mut() {
        meter.wraps_ml = Some(125_000);
    }
    assert_snapshot!(parlour.play("stand 1 a; flow 1 3000; wait 100; flow 1 0; wait 40"), @r#"
     130s stall 1 visit of a: 5000 mL in 99s []
    "#);
}

#[test]
fn a_silent_meter_ends_nothing_and_loses_nothing() {
    assert_snapshot!(parlour().play(
        "stand 1 a; flow 1 3000; wait 50; unheard 60; silent 1 60; view 1; wait 50; flow 1 0; wait 40"
    ), @r#"
    110s stall 1 MeterSilent raised
    110s view 1: Milking a 2500 mL []
    111s stall 1 MeterSilent cleared
    190s stall 1 visit of a: 8000 mL in 159s [Gap]
    "#);
}

#[test]
fn a_visit_that_ends_while_the_meter_is_silent_is_exact_by_its_counters() {
    assert_snapshot!(parlour().play(
        "stand 1 a; flow 1 3000; wait 50; leave 1; unheard 60; silent 1 60; flow 1 0; unheard 60; flow 1 2000; unheard 10; read 1 b; wait 50; flow 1 0; wait 40"
    ), @r#"
    110s stall 1 MeterSilent raised
    181s stall 1 visit of a: 5500 mL in 109s [Gap]
    181s stall 1 MeterSilent cleared
    260s stall 1 visit of b: 1999 mL in 59s [LateIdentity, Gap]
    "#);
}

#[test]
fn a_cluster_left_on_ends_its_visit_after_the_longest_time() {
    assert_snapshot!(parlour().play("stand 1 a; flow 1 200; wait 3700; flow 1 0; wait 60"), @r#"
    1801s stall 1 visit of a: 6002 mL in 1800s []
    3602s stall 1 visit of a: 6003 mL in 1800s [LateIdentity, MilkedTwice]
    3730s stall 1 visit of a: 327 mL in 97s [LateIdentity, MilkedTwice]
    "#);
}

#[test]
fn a_crash_in_the_middle_of_a_visit_changes_nothing_but_a_note() {
    assert_snapshot!(parlour().play(
        "stand 1 a; flow 1 3000; wait 50; crash 5; wait 50; crash 60; wait 50; flow 1 0; wait 40"
    ), @r#"
     245s stall 1 visit of a: 10750 mL in 214s [Gap]
    "#);
}

#[test]
fn a_visit_that_ended_during_a_crash_has_the_meters_own_yield() {
    assert_snapshot!(parlour().play(
        "stand 1 a; flow 1 3000; wait 50; leave 1; unheard 100; flow 1 0; unheard 60; flow 1 2000; crash 20
         read 1 b; wait 50; flow 1 0; wait 40"
    ), @r#"
    231s stall 1 visit of a: 7500 mL in 149s [Gap]
    310s stall 1 visit of b: 2333 mL in 69s [LateIdentity, Gap]
    "#);
}

#[test]
fn a_cow_who_waited_before_the_crash_was_milked_in_it() {
    assert_snapshot!(parlour().play(
        "read 1 a; wait 10; leave 1; flow 1 3000; unheard 100; flow 1 0; crash 60; wait 10; flow 1 2000; wait 60; flow 1 0; wait 40"
    ), @r#"
    181s stall 1 visit of a: 5000 mL in 161s [Gap]
    270s stall 1 visit of nobody: 1999 mL in 59s [Unidentified]
    "#);
}

#[test]
fn a_visit_heard_only_at_its_first_drop_is_not_lost_when_the_meter_has_put_it_away() {
    let parlour = Parlour::counting(Shows::Everything, Counts::NextPutAway);
    assert_snapshot!(parlour.play(
        "stand 1 a; flow 1 20; wait 1; flow 1 3000; unheard 100; flow 1 0; crash 60; wait 40"
    ), @"192s stall 1 visit of a: 5000 mL in 161s [Gap]");
}

#[test]
fn a_visit_missed_whole_leaves_the_ones_beside_it_exact() {
    assert_snapshot!(parlour().play(
        "stand 1 a; flow 1 3000; wait 100; leave 1; unheard 20; flow 1 0; unheard 60; flow 1 2000; unheard 60
         flow 1 0; unheard 60; flow 1 1200; crash 10; stand 1 c; wait 50; flow 1 0; wait 40"
    ), @r#"
    311s stall 1 visit of a: 6000 mL in 119s [Gap]
    311s stall 1 visit of nobody: 2000 mL in 211s [Unidentified, Gap]
    390s stall 1 visit of c: 1200 mL in 60s [LateIdentity, Gap]
    "#);
}

#[test]
fn visits_missed_whole_are_kept_without_a_cow() {
    assert_snapshot!(parlour().play(
        "stand 1 a; flow 1 3000; wait 100; leave 1; flow 1 0; unheard 60; flow 1 2000; unheard 60
         flow 1 0; unheard 60; flow 1 1000; unheard 60; flow 1 0; unheard 60; flow 1 1200; crash 10
         wait 50; flow 1 0; wait 40"
    ), @r#"
    411s stall 1 visit of a: 5000 mL in 99s []
    411s stall 1 visit of nobody: 2000 mL in 311s [Unidentified, Gap]
    411s stall 1 visit of nobody: 1000 mL in 311s [Unidentified, Gap]
    490s stall 1 visit of nobody: 1200 mL in 60s [Unidentified, Gap]
    "#);
}

#[test]
fn inputs_out_of_order_change_nothing() {
    let mut parlour = parlour();
    parlour.read(1, "a");
    parlour.flow(1, 3000);
    let old = parlour.now;
    let reading = parlour.meters[&1].reading();
    for _ in 0..100 {
        parlour.second();
    }
    parlour.tell(&edge_milking::Input::Meter {
        stall: farm_model::Stall(1),
        meter: crate::parlour::meter_of(1),
        reading,
        at: old,
    });
    parlour.tell(&edge_milking::Input::Tick { at: old });
    assert_snapshot!(parlour.play("wait 50; flow 1 0; wait 40"), @r#"
     180s stall 1 visit of a: 7500 mL in 149s []
    "#);
}

#[test]
fn what_milk_is_like_is_weighed_by_yield() {
    let mut parlour = parlour();
    parlour.stand(1, "a");
    for (flow, seconds, conductivity) in [(1200, 30, 5_000), (4200, 60, 6_000), (0, 40, 9_000)] {
        parlour.flow(1, flow);
        parlour.meters.get_mut(&1).unwrap().conductivity = conductivity;
        (0..seconds).for_each(|_| parlour.second());
    }
    let visit = &parlour.visits[0];
    // 600 mL at 5 mS/cm and 4,200 mL at 6; what an empty meter says of air weighs nothing.
    assert_eq!(visit.yield_ml, 4_800);
    assert_eq!(visit.conductivity, Some(Milli(5_875)));
    assert_eq!(
        (visit.fat, visit.snf),
        (Some(Milli(4_100)), Some(Milli(8_700)))
    );
    assert_eq!(visit.peak_flow_ml_min, Some(4_200));
    assert_eq!(visit.avg_flow_ml_min, Some(3_200));
}

#[test]
fn a_second_meter_counts_only_when_the_first_is_silent() {
    let mut parlour = parlour();
    parlour.stand(1, "a");
    parlour.flow(1, 3000);
    for _ in 0..100 {
        parlour.second();
        let reading = MeterReading {
            total_ml: Some(1_000_000),
            ..parlour.meters[&1].reading()
        };
        parlour.tell_meter(1, 9, reading);
    }
    assert_snapshot!(parlour.play("flow 1 0; wait 40"), @r#"
     130s stall 1 visit of a: 5000 mL in 99s []
    "#);
}

#[test]
fn an_analyser_beside_the_meter_adds_fat_and_no_milk() {
    let mut parlour = Parlour::new(Shows::FlowAndTotal);
    parlour.stand(1, "a");
    parlour.flow(1, 3000);
    for _ in 0..100 {
        parlour.second();
        parlour.tell_meter(
            1,
            9,
            MeterReading {
                fat: Some(Milli(3_900)),
                ..MeterReading::default()
            },
        );
    }
    parlour.flow(1, 0);
    (0..40).for_each(|_| parlour.second());
    let visit = &parlour.visits[0];
    assert_eq!((visit.yield_ml, visit.fat), (5_000, Some(Milli(3_900))));
}

#[test]
fn a_meter_put_in_the_place_of_another_adds_none_of_its_old_milk() {
    // Same device to us, but all its registers are those of a meter with a long life behind it.
    let mut parlour = parlour();
    parlour.stand(1, "a");
    parlour.flow(1, 3000);
    (0..50).for_each(|_| parlour.second());
    let mut other = ModelMeter::new(Shows::Everything, 7_777_777);
    other.count = 9_000;
    parlour.meters.insert(1, other);
    assert_snapshot!(parlour.play("wait 50; flow 1 0; wait 40"), @r#"
     51s stall 1 visit of a: 2500 mL in 49s []
    130s stall 1 visit of maybe a: 2500 mL in 49s [Unidentified, LateIdentity]
    "#);
}

#[test]
fn an_alarm_rises_once_across_a_crash() {
    let mut parlour = parlour();
    parlour.cows.withheld.push('a');
    assert_snapshot!(parlour.play("stand 1 a; wait 190; crash 5; read 1 a; wait 30; flow 1 3000; wait 5; view 1"), @r#"
      0s stall 1 Withdrawal a raised
    180s stall 1 NoFlow a raised
    226s stall 1 NoFlow a cleared
    230s view 1: Milking a 250 mL withheld [Withdrawal]
    "#);
}
