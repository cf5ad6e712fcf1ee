//! The engine's thresholds, each with its unit; the defaults suit a parlour of cows milked by machine.

use serde::{Deserialize, Serialize};

/// What counts as milk, as a cow that has left, as trouble. All times are farm time, in seconds.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Flow that counts as milking, in mL/min; less is dripping.
    pub milk_flow_ml_min: i64,
    /// Seconds below that flow after which the visit is over; a shorter pause belongs to it.
    pub end_after_s: u32,
    /// Millilitres below which milk that nobody is known for makes no visit of its own: it joins the next one.
    pub min_visit_ml: i64,
    /// Seconds after which a visit is ended whatever flows: someone forgot to take the cluster off.
    pub max_visit_s: u32,
    /// Flow above which a jump of a counter is not milk, in mL/min.
    pub max_flow_ml_min: i64,
    /// Seconds without a reading after which something may have happened unseen.
    pub gap_after_s: u32,
    /// Seconds of milking within which a first tag still says whose milk it is; a later one needs a person.
    pub late_identity_s: u32,
    /// Seconds after its last read for which a tag read before still counts as being in the reader's field: the cow
    /// that was just milked is leaving, and another tag is a second animal.
    pub leaving_s: u32,
    /// Seconds without a read after which a waiting cow has left. Readers that tell each tag once need this long.
    pub tag_absence_s: u32,
    /// Reads that make a tag strong: beside it, a tag read `passing_reads` times or fewer was a cow passing by.
    pub strong_reads: u32,
    /// See `strong_reads`.
    pub passing_reads: u32,
    /// Seconds a cow stands in an open session without milk before the machine is suspected.
    pub no_flow_after_s: u32,
    /// Seconds a cow stands before her leaving without milk is worth a finding.
    pub no_milk_after_s: u32,
    /// Spreads by which a yield or flow must miss the animal's usual before a swap is thought of.
    pub swap_own_spreads: i64,
    /// Spreads within which it must match the neighbour's usual.
    pub swap_other_spreads: i64,
    /// Seconds between two neighbours' visits within which their tags may have been swapped.
    pub swap_within_s: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            milk_flow_ml_min: 100,
            end_after_s: 30,
            min_visit_ml: 100,
            max_visit_s: 30 * 60,
            max_flow_ml_min: 15_000,
            gap_after_s: 30,
            late_identity_s: 5 * 60,
            leaving_s: 60,
            tag_absence_s: 10 * 60,
            strong_reads: 3,
            passing_reads: 1,
            no_flow_after_s: 3 * 60,
            no_milk_after_s: 60,
            swap_own_spreads: 3,
            swap_other_spreads: 2,
            swap_within_s: 30 * 60,
        }
    }
}

/// `seconds` in milliseconds.
pub(crate) fn ms(seconds: u32) -> i64 {
    i64::from(seconds) * 1000
}
