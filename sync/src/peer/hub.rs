//! The hub's side: who may come in, and one visit from request to reply.
//!
//! Invariant: a request is unpacked only when its seal is whole, its time is fresh and newer than any before it of the same key, and the key's
//! holder is known and not revoked. What the body says of itself decides nothing.

use std::{collections::BTreeMap, ops::RangeInclusive};

use crate::{
    Outcome, Refused, Sender,
    exchange::Speak,
    farms::{Holder, Visit},
    keys::{Opened, PublicKey, SealError},
    peer::Pace,
    store::{Delivery, Fault, Turn, Turned, Want},
    wire::{
        self, Answer, Directive, Have, Head, PROTOCOL, Part, Refusal, Reply, Request, Room, Stream,
        WireError,
    },
};

/// The protocols that this build speaks.
pub const PROTOCOLS: RangeInclusive<u16> = PROTOCOL..=PROTOCOL;
/// How far a request's time may be from ours: longer than the slowest line needs to bring a request.
const FRESH_MS: i64 = 5 * 60 * 1000;
/// How long an edge may wait here for news. Lines that are silent for longer are cut by routers on the way.
const LONGEST_WAIT_S: u16 = 240;
/// When an edge that only comes by is to come again.
const AGAIN_S: u32 = 60;
/// When to come again after the hub's own trouble.
const TROUBLE_S: u32 = 30;

/// Knows the time of each key's last request, so that none comes twice.
///
/// After a start nothing is known, so only what was signed since then is let in: an edge whose time lies before is told ours and signs again.
#[derive(Debug, Clone)]
pub struct Doorkeeper {
    since_ms: i64,
    now_ms: i64,
    last: BTreeMap<PublicKey, i64>,
}

impl Doorkeeper {
    /// Begins at the hub's time.
    pub fn new(now_ms: i64) -> Self {
        Self {
            since_ms: now_ms,
            now_ms,
            last: BTreeMap::new(),
        }
    }

    /// Judges a request's time, before anything else is asked of it.
    ///
    /// # Errors
    /// [`Refusal::Stale`] when it is too far from ours.
    pub fn check(&mut self, now_ms: i64, opened: &Opened<'_>) -> Result<(), Refusal> {
        // Our clock may be set back, time for signatures is not.
        self.now_ms = self.now_ms.max(now_ms);
        if opened.at_ms.abs_diff(self.now_ms) > FRESH_MS.unsigned_abs() {
            return Err(Refusal::Stale {
                now_ms: self.now_ms,
            });
        }
        Ok(())
    }

    /// Lets a request in whose holder is known; none of the same time or an earlier one comes in after it.
    ///
    /// # Errors
    /// [`Refusal::Repeated`] when one did.
    pub fn admit(&mut self, now_ms: i64, opened: &Opened<'_>) -> Result<(), Refusal> {
        self.check(now_ms, opened)?;
        let last = self.last.get(&opened.key).copied().unwrap_or(self.since_ms);
        if opened.at_ms <= last {
            return Err(Refusal::Repeated {
                now_ms: self.now_ms.max(last + 1),
            });
        }
        self.last.insert(opened.key, opened.at_ms);
        Ok(())
    }

    /// Forgets keys that were not seen for so long that the time alone keeps their old requests out.
    pub fn forget_old(&mut self) {
        let floor = self.now_ms - FRESH_MS;
        self.last.retain(|_, last| *last >= floor);
        self.since_ms = self.since_ms.max(floor);
    }
}

/// What a request that cannot be opened is told.
pub fn refuse(error: SealError) -> Refusal {
    match error {
        SealError::Forged => Refusal::Forged,
        SealError::Wire(WireError::TooLarge) => Refusal::TooLarge,
        SealError::Wire(_) => Refusal::Unreadable,
    }
}

/// One visit of an edge.
#[derive(Debug)]
pub struct Serving {
    request: Request,
    visit: Visit,
    rotate: bool,
    until_ms: i64,
    refused: Vec<(String, Refused)>,
}

/// What to do next with a visit.
#[derive(Debug)]
pub enum Next {
    /// Wait for news of the store until then, then call [`Serving::again`].
    Wait {
        /// By the clock that the visit was begun with.
        until_ms: i64,
    },
    /// The visit is over.
    Reply(Box<Served>),
}

/// The end of a visit.
#[derive(Debug)]
pub struct Served {
    /// What to say.
    pub reply: Reply,
    /// What goes with it.
    pub parts: Vec<Part>,
    /// What was learnt of the edge, when the exchange came through.
    pub visit: Option<Visit>,
}

impl From<Refusal> for Served {
    fn from(refusal: Refusal) -> Self {
        Self {
            reply: Reply::Refused(refusal),
            parts: Vec::new(),
            visit: None,
        }
    }
}

impl Served {
    /// Packs the reply. A part that no message can carry is left out; what only this one could not carry is there the next time.
    ///
    /// # Errors
    /// When not even the reply itself fits, which no reply of ours is large enough for.
    pub fn pack(self) -> Result<Vec<u8>, WireError> {
        self.pack_and_tell(|_| {})
    }

    /// The same, and says of which streams a part was left out that no message can carry.
    ///
    /// # Errors
    /// As [`Served::pack`].
    pub fn pack_and_tell(mut self, mut tell: impl FnMut(Stream)) -> Result<Vec<u8>, WireError> {
        loop {
            let (message, sent) = wire::encode_some(&self.reply, &self.parts)?;
            if sent == self.parts.len() {
                return Ok(message);
            }
            if sent == 0 {
                tell(self.parts.remove(0).stream());
            } else {
                self.parts.truncate(sent);
                if let Reply::Answer(answer) = &mut self.reply {
                    answer.more = true;
                }
            }
        }
    }
}

impl Serving {
    /// Begins a visit of a holder whose request was let in: unpacks it and says what to do with the farm's file first.
    ///
    /// # Errors
    /// When it cannot be read, is of another protocol, or speaks for another site.
    pub fn begin<F>(
        opened: &Opened<'_>,
        holder: &Holder<F>,
        now_ms: i64,
    ) -> Result<(Self, Turn), Refusal> {
        Self::begin_within(opened, holder, now_ms, Room::FULL)
    }

    /// The same for a request that takes no more memory than this; one that does is [`Refusal::Unreadable`].
    ///
    /// # Errors
    /// As [`Serving::begin`].
    pub fn begin_within<F>(
        opened: &Opened<'_>,
        holder: &Holder<F>,
        now_ms: i64,
        room: Room,
    ) -> Result<(Self, Turn), Refusal> {
        let read = wire::decode_within::<Request>(opened.message, room);
        let (request, parts) = read.map_err(|error| match error {
            WireError::TooLarge => Refusal::TooLarge,
            _ => protocol_of(opened.message, room).unwrap_or(Refusal::Unreadable),
        })?;
        if !PROTOCOLS.contains(&request.protocol) {
            return Err(other_protocol());
        }
        if request.site != holder.site {
            return Err(Refusal::NotYourSite);
        }
        let pushes = !parts.is_empty();
        let wait_s = if pushes {
            0
        } else {
            request.wait_s.min(LONGEST_WAIT_S)
        };
        let serving = Self {
            visit: Visit {
                site: holder.site,
                key: opened.key,
                schema: request.schema,
                heads: request.heads.clone(),
                waiting: 0,
            },
            rotate: holder.rotate,
            until_ms: now_ms + i64::from(wait_s) * 1000,
            refused: Vec::new(),
            request,
        };
        let turn = Turn {
            take: Some(Delivery {
                sender: Sender::Edge(holder.site),
                parts,
            }),
            ..serving.again()
        };
        Ok((serving, turn))
    }

    /// Waits no longer: the next turn is the last.
    pub fn hurry(&mut self) {
        self.until_ms = i64::MIN;
    }

    /// The edge is none any more: the visit ends without news.
    pub fn dismiss(&mut self) {
        self.request.room = 0;
        self.hurry();
    }

    /// What to do with the farm's file when there were news, or the wait is over.
    pub fn again(&self) -> Turn {
        let room = usize::try_from(self.request.room).unwrap_or(Pace::MOST);
        let give = (room > 0).then(|| Want {
            peer: self.visit.site,
            speak: Speak::ForAll,
            have: self.request.have.clone(),
            skip: self.request.skip.clone(),
            room: room.min(Pace::MOST),
        });
        Turn {
            epoch: Some(self.request.epoch),
            take: None,
            give,
        }
    }

    /// Goes on when the store is done.
    pub fn turned(&mut self, turned: Result<Turned, Fault>, now_ms: i64) -> Next {
        let turned = match turned {
            Ok(turned) => turned,
            Err(fault) => return Next::Reply(Box::new(excuse(&fault).into())),
        };
        for verdict in &turned.verdicts {
            if let Err(refused) = verdict.outcome {
                self.refused.push((verdict.stream.name.clone(), refused));
            }
        }
        let took = turned
            .verdicts
            .iter()
            .any(|verdict| matches!(verdict.outcome, Ok(Outcome::Taken(_))));
        if turned.gathered.parts.is_empty() && !took && now_ms < self.until_ms {
            return Next::Wait {
                until_ms: self.until_ms,
            };
        }
        Next::Reply(Box::new(self.answer(turned, now_ms)))
    }

    fn answer(&mut self, turned: Turned, now_ms: i64) -> Served {
        let mut have = turned.holdings;
        have.retain(|have| have.stream.site == self.visit.site);
        let mut visit = self.visit.clone();
        visit.waiting = waiting(&visit.heads, &have);
        let answer = Answer {
            protocol: PROTOCOL,
            schema: turned.me.schema,
            epoch: turned.me.epoch,
            site: turned.me.site,
            have,
            refused: std::mem::take(&mut self.refused),
            now_ms,
            more: turned.gathered.more,
            again_s: AGAIN_S,
            directives: if self.rotate {
                vec![Directive::RotateKey]
            } else {
                Vec::new()
            },
        };
        Served {
            reply: Reply::Answer(answer),
            parts: turned.gathered.parts,
            visit: Some(visit),
        }
    }
}

/// How many versions and facts of these streams are still to come.
pub(super) fn waiting(heads: &[Head], have: &[Have]) -> u64 {
    let held = |head: &Head| {
        have.iter()
            .find(|have| have.stream.name == head.stream)
            .map_or(0, |have| have.mark.upto)
    };
    heads
        .iter()
        .map(|head| u64::try_from(head.upto.saturating_sub(held(head))).unwrap_or(0))
        .fold(0, u64::saturating_add)
}

/// A request of a protocol whose layout is not ours still says which it is.
fn protocol_of(message: &[u8], room: Room) -> Option<Refusal> {
    let protocol = wire::protocol_of(message, room)?;
    (!PROTOCOLS.contains(&protocol)).then(other_protocol)
}

/// What a side of another protocol is told.
pub fn other_protocol() -> Refusal {
    Refusal::Protocol {
        least: *PROTOCOLS.start(),
        most: *PROTOCOLS.end(),
    }
}

fn excuse(fault: &Fault) -> Refusal {
    match fault {
        Fault::Copied(_) => Refusal::HubRestored,
        Fault::Epoch { ours } => Refusal::Epoch { ours: *ours },
        Fault::Refused(Refused::TooManySites) => Refusal::TooManySites,
        Fault::Refused(_) | Fault::Failed(_) => Refusal::Busy { again_s: TROUBLE_S },
    }
}
