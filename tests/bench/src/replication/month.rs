//! `sync.month`: a month without a line, then a village's mobile line in the rain, in virtual time: how long it takes to catch up, against
//! what the bytes alone would take.
//!
//! Both sides are the real machines over real files. An exchange takes a round trip and its bytes at the line's rate; of a hundred, three are lost
//! with all that they carried, after which the appliance rests as it would.

use sync::{
    farms::Holder,
    keys::{self, Purpose, SecretKey},
    peer::{Command, Doorkeeper, Edge, Input, Lane, LineFault, Manner, Next, Serving},
    store::Turn,
    wire::Refusal,
};

use super::place::{File, Noise};

/// 40 kbit/s up, 80 down, 600 ms there and back.
const UP_BYTES_S: usize = 5_000;
const DOWN_BYTES_S: usize = 10_000;
const ROUND_TRIP_MS: usize = 600;
/// Of a hundred exchanges so many are lost.
const LOST: i64 = 3;
/// What a disk of the farm takes for a turn.
const TURN_MS: i64 = 30;

/// What it took to catch up.
pub(super) struct Month {
    pub(super) took_ms: i64,
    pub(super) up: usize,
    pub(super) down: usize,
    pub(super) exchanges: usize,
}

impl Month {
    /// What its bytes alone take.
    pub(super) fn bytes_ms(&self) -> usize {
        bytes_ms(self.up, self.down)
    }
}

fn bytes_ms(up: usize, down: usize) -> usize {
    up * 1_000 / UP_BYTES_S + down * 1_000 / DOWN_BYTES_S
}

struct Hub<'a> {
    file: &'a File,
    door: Doorkeeper,
    holder: Holder<()>,
}

impl Hub<'_> {
    fn serve(&mut self, body: &[u8], now_ms: i64) -> anyhow::Result<Vec<u8>> {
        let opened = keys::open(Purpose::Exchange, body)?;
        let begun = self
            .door
            .admit(now_ms, &opened)
            .and_then(|()| Serving::begin(&opened, &self.holder, now_ms));
        let served = match begun {
            Ok((mut serving, turn)) => {
                let turned = self.file.turn_now(&turn);
                match serving.turned(turned, now_ms) {
                    Next::Reply(served) => served,
                    Next::Wait { .. } => anyhow::bail!("it waits before all is there"),
                }
            }
            Err(refusal) => Box::new(Refusal::into(refusal)),
        };
        Ok(served.pack()?)
    }
}

/// Lets `edge` catch up with `hub`.
pub(super) fn catch_up(edge: &File, hub: &File) -> anyhow::Result<Month> {
    let mut hub = Hub {
        file: hub,
        door: Doorkeeper::new(-1_000),
        holder: Holder {
            farm: (),
            site: edge.turn_now(&Turn::default())?.me.site,
            revoked: false,
            rotate: false,
        },
    };
    let mut machine = Edge::new(SecretKey::from_seed([1; 32]), Manner::default(), 0, 1);
    let (mut noise, mut now_ms, mut inputs) = (Noise(7), 0_i64, vec![Input::Time]);
    let mut month = Month {
        took_ms: 0,
        up: 0,
        down: 0,
        exchanges: 0,
    };
    loop {
        let input = inputs.pop().unwrap_or_else(|| {
            now_ms = machine.wake_ms().unwrap_or(now_ms).max(now_ms);
            Input::Time
        });
        for command in machine.handle(now_ms, input) {
            match command {
                Command::Turn(turn) => {
                    let turned = edge.turn_now(&turn);
                    now_ms += TURN_MS;
                    inputs.push(Input::Turned(turned));
                }
                Command::Send {
                    lane: Lane::Listen, ..
                } => {
                    month.took_ms = now_ms;
                    anyhow::ensure!(
                        machine.status().waiting == 0,
                        "it listens before all is sent"
                    );
                    return Ok(month);
                }
                Command::Send { lane, body, .. } => {
                    let lost = noise.below(100) < LOST;
                    let reply = if lost {
                        Vec::new()
                    } else {
                        hub.serve(&body, now_ms)?
                    };
                    month.up += body.len();
                    month.down += reply.len();
                    month.exchanges += 1;
                    let took = ROUND_TRIP_MS + bytes_ms(body.len(), reply.len());
                    now_ms += i64::try_from(took)?;
                    inputs.push(if lost {
                        Input::Failed(lane, LineFault::Slow)
                    } else {
                        Input::Replied(lane, reply)
                    });
                }
                Command::Clock(_) => {}
                Command::RotateKey => anyhow::bail!("nobody asked for another key"),
            }
        }
    }
}
