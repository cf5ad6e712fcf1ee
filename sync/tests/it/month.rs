//! A month without a line, then a slow one: how long it takes to catch up, against what the bytes alone would take. In virtual time, with the
//! machines of both sides over real files.

use sync::{
    exchange,
    farms::Holder,
    keys::{self, Purpose, SecretKey},
    peer::{Command, Doorkeeper, Edge, Input, Lane, LineFault, Manner, Next, Serving},
    store::Fault,
};

use crate::{dice::Dice, farm::Farm};

const DAYS: i64 = 30;
const MILKINGS: i64 = 3_600;
/// 40 kbit/s up, 80 down, and 600 ms there and back: a village's mobile line in the rain.
const UP_BYTES_S: usize = 5_000;
const DOWN_BYTES_S: usize = 10_000;
const ROUND_TRIP_MS: usize = 600;
/// Of a hundred exchanges so many are lost with all they carried.
const LOST: usize = 3;
/// What a disk of the farm takes for a turn.
const TURN_MS: i64 = 30;

/// The line: what went over it, and how long that takes without waiting for anything.
#[derive(Default)]
struct Line {
    up: usize,
    down: usize,
}

impl Line {
    fn bytes_ms(up: usize, down: usize) -> usize {
        up * 1_000 / UP_BYTES_S + down * 1_000 / DOWN_BYTES_S
    }
}

struct Hub {
    file: Farm,
    door: Doorkeeper,
    holder: Holder<()>,
}

impl Hub {
    fn serve(&mut self, body: &[u8], now_ms: i64) -> Vec<u8> {
        let opened = keys::open(Purpose::Exchange, body).expect("the line alters nothing");
        self.door
            .admit(now_ms, &opened)
            .expect("its clock is right");
        let (mut serving, turn) =
            Serving::begin(&opened, &self.holder, now_ms).expect("it is sound");
        let turned = self
            .file
            .attempt(|conn| exchange::turn(conn, &self.file.schema, &turn));
        match serving.turned(turned.map_err(Fault::from), now_ms) {
            Next::Reply(served) => served.pack().expect("it fits"),
            Next::Wait { .. } => panic!("nothing waits before all is there"),
        }
    }
}

#[test]
fn a_month_catches_up_at_the_pace_of_the_line() {
    let edge = Farm::new();
    let mut dice = Dice(1);
    edge.write(|conn| {
        let mut insert = conn
            .prepare("INSERT INTO milking VALUES (0, ?, ?, ?)")
            .expect("SQLite does it");
        for seq in 1..=DAYS * MILKINGS {
            let animal = (dice.small(1_200) << 40).to_be_bytes();
            insert
                .execute((seq, animal, dice.small(20_000)))
                .expect("SQLite does it");
        }
    });
    let key = SecretKey::from_seed([1; 32]);
    let mut hub = Hub {
        file: Farm::new(),
        door: Doorkeeper::new(-1_000),
        holder: Holder {
            farm: (),
            site: edge.site,
            revoked: false,
            rotate: false,
        },
    };
    let mut machine = Edge::new(key, Manner::default(), 0, 1);
    let (mut now_ms, mut line, mut inputs) = (0_i64, Line::default(), vec![Input::Time]);
    let caught_up = 'line: loop {
        let commands = match inputs.pop() {
            Some(input) => machine.handle(now_ms, input),
            None => {
                now_ms = now_ms.max(machine.wake_ms().expect("it tries again"));
                machine.handle(now_ms, Input::Time)
            }
        };
        for command in commands {
            match command {
                Command::Turn(turn) => {
                    let turned = edge.attempt(|conn| exchange::turn(conn, &edge.schema, &turn));
                    now_ms += TURN_MS;
                    inputs.push(Input::Turned(turned.map_err(Fault::from)));
                }
                Command::Send {
                    lane: Lane::Listen, ..
                } => break 'line now_ms,
                Command::Send { lane, body, .. } => {
                    let lost = dice.roll(100) < LOST;
                    let reply = if lost {
                        Vec::new()
                    } else {
                        hub.serve(&body, now_ms)
                    };
                    line.up += body.len();
                    line.down += reply.len();
                    let took = ROUND_TRIP_MS + Line::bytes_ms(body.len(), reply.len());
                    now_ms += i64::try_from(took).expect("it is short");
                    inputs.push(if lost {
                        Input::Failed(lane, LineFault::Slow)
                    } else {
                        Input::Replied(lane, reply)
                    });
                }
                Command::Clock(hint) => {
                    assert!(hint.now_ms.abs_diff(now_ms) <= hint.within_ms.unsigned_abs());
                }
                Command::RotateKey => panic!("nobody asked for another key"),
            }
        }
    };
    assert_eq!(machine.status().waiting, 0);
    let all = "SELECT count(*), sum(yield_ml) FROM milking";
    assert_eq!(hub.file.rows(all), edge.rows(all));
    let bytes_ms = i64::try_from(Line::bytes_ms(line.up, line.down)).expect("it is short");
    let hundredths = caught_up * 100 / bytes_ms;
    println!(
        "{} KiB up in {} s: {hundredths} hundredths of what the bytes take",
        line.up / 1024,
        caught_up / 1000
    );
    assert!(hundredths <= 150, "{hundredths} hundredths");
}
