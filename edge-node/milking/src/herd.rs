//! What the engine asks about animals; the store answers.

use farm_model::{AnimalId, Milli, SessionKey, Stamp, Tag, VisitId};

/// The herd, as far as the engine must know it. Asked within one call of the engine, never kept.
pub trait Herd {
    /// The animal that wears `tag`, now or under an alias of an older tag.
    fn animal_of(&self, tag: &Tag) -> Option<AnimalId>;

    /// Whether the animal's milk is under a withdrawal hold at `at`.
    ///
    /// A hold ends only by a trusted clock: while `at.clock` is not trusted, a hold that was ever set and not seen to
    /// end must still answer true. That rule is the caller's; the engine only ever adds to a hold within a visit.
    fn is_withheld(&self, animal: AnimalId, at: Stamp) -> bool;

    /// The visit, if any, in which the animal already gave milk in `session`.
    fn milked_in(&self, animal: AnimalId, session: SessionKey) -> Option<VisitId>;

    /// What the animal usually gives, if enough is known.
    fn usual(&self, animal: AnimalId) -> Option<Usual>;
}

/// What an animal usually gives in one visit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Usual {
    /// Mean yield in millilitres.
    pub yield_ml: i64,
    /// Standard deviation of the yield in millilitres.
    pub spread_ml: i64,
    /// Mean of the average flow in mL/min.
    pub avg_flow_ml_min: Option<i64>,
    /// Mean conductivity.
    pub conductivity: Option<Milli>,
}
