//! Frames of nodes over CoAP (RFC 7252): `POST coap://edge/node`, answered 2.04 with the frame that goes down, after the
//! commit. For radios that carry datagrams: Thread, NB-IoT.
//!
//! A frame proves by itself whose it is; nothing else is taken. Invariants: whoever does not authenticate gets a code without
//! contents, never longer than what was sent; a message that comes again is answered as before, not taken again; what is
//! remembered and under way is bounded.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use edge_decode::coap::{Asked, Exchange, ResponseType, read};
use farm::Farm;
use farm_model::Clock as _;
use tokio::{net::UdpSocket, sync::oneshot, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    ingest::{FrameIn, Intake, Told},
    post::{Reply, Route},
};

/// Longest datagram looked at; more than this is too long for a frame in any case.
const LONGEST: usize = 2_048;
/// Exchanges under way at once; a node whose message finds no room sends it again.
const UNDER_WAY: usize = 64;
/// Messages remembered, and for how long (RFC 7252, 4.8.2: EXCHANGE_LIFETIME).
const REMEMBERED: usize = 1_024;
const LIFETIME: Duration = Duration::from_secs(247);
/// After this the message is acknowledged, and its answer comes by itself.
const ACK_WITHIN: Duration = Duration::from_secs(1);
/// After this no answer comes: the node sends again.
const GIVE_UP: Duration = Duration::from_secs(30);

/// Which message: sender, message id, and a hash of what it says. A node that began anew may use an id again for another frame
/// long before the id is forgotten, and that frame must not be taken for the old one.
type Whose = (SocketAddr, u16, u64);

fn whose(from: SocketAddr, id: u16, frame: &[u8]) -> Whose {
    let mut hash = DefaultHasher::new();
    frame.hash(&mut hash);
    (from, id, hash.finish())
}

/// Messages that came, with the answer that they had.
#[derive(Default)]
struct Memory {
    order: VecDeque<(Whose, Instant)>,
    answers: HashMap<Whose, Vec<u8>>,
}

impl Memory {
    /// Notes that it came; the answer it had, empty while there is none, if it came before.
    fn came(&mut self, whose: Whose, now: Instant) -> Option<&Vec<u8>> {
        while let Some((oldest, at)) = self.order.front() {
            if self.order.len() < REMEMBERED && now.duration_since(*at) < LIFETIME {
                break;
            }
            self.answers.remove(oldest);
            self.order.pop_front();
        }
        if !self.answers.contains_key(&whose) {
            self.order.push_back((whose, now));
            self.answers.insert(whose, Vec::new());
            return None;
        }
        self.answers.get(&whose)
    }

    fn answered(&mut self, whose: Whose, answer: Vec<u8>) {
        if let Some(slot) = self.answers.get_mut(&whose) {
            *slot = answer;
        }
    }
}

/// Answers what comes to `socket` until `stop`.
pub(crate) async fn serve(
    socket: Arc<UdpSocket>,
    farm: Farm,
    intake: Intake,
    stop: CancellationToken,
) {
    let mut memory = Memory::default();
    let mut under_way: JoinSet<(Whose, Vec<u8>)> = JoinSet::new();
    let mut buffer = [0; LONGEST];
    let mut own = 0_u16;
    loop {
        let (length, from) = tokio::select! {
            heard = socket.recv_from(&mut buffer) => match heard {
                Ok(heard) => heard,
                // Somebody whom an answer did not reach.
                Err(error) => {
                    tracing::debug!(%error, "a CoAP answer was not taken");
                    tokio::task::yield_now().await;
                    continue;
                }
            },
            Some(done) = under_way.join_next() => {
                if let Ok((whose, answer)) = done {
                    // Sent from here, so that whoever has it and asks again finds it remembered.
                    send(&socket, &answer, whose.0).await;
                    memory.answered(whose, answer);
                }
                continue;
            }
            () = stop.cancelled() => return,
        };
        let (exchange, frame) = match read(&buffer[..length]) {
            Asked::Nothing => continue,
            Asked::Reset(id) => {
                let [high, low] = id.to_be_bytes();
                send(&socket, &[0x70, 0, high, low], from).await;
                continue;
            }
            Asked::Refused(exchange, code) => {
                metrics::counter!("coap_requests_refused_total").increment(1);
                own = own.wrapping_add(1);
                let own = (!exchange.is_confirmable).then_some(own);
                send(&socket, &exchange.answer(code, Vec::new(), own), from).await;
                continue;
            }
            Asked::Frame(exchange, frame) => (exchange, frame),
        };
        if under_way.len() >= UNDER_WAY {
            metrics::counter!("coap_requests_dropped_total").increment(1);
            continue;
        }
        let whose = whose(from, exchange.id, &frame);
        if let Some(answer) = memory.came(whose, Instant::now()) {
            send(&socket, answer, from).await;
            continue;
        }
        let (reply, answer) = Reply::new();
        intake.note(vec![Told::Frame(FrameIn {
            route: Route::Reply(reply),
            bytes: Bytes::from(frame),
            received: farm.clock().now(),
        })]);
        own = own.wrapping_add(1);
        under_way.spawn(answer_one(
            Arc::clone(&socket),
            whose,
            exchange,
            own,
            answer,
        ));
    }
}

/// Waits for the frame that goes down, and acknowledges the request when that takes long; gives the answer.
async fn answer_one(
    socket: Arc<UdpSocket>,
    whose: Whose,
    exchange: Exchange,
    own: u16,
    mut frame: oneshot::Receiver<Vec<u8>>,
) -> (Whose, Vec<u8>) {
    let mut own = (!exchange.is_confirmable).then_some(own).ok_or(own);
    let mut said = tokio::time::timeout(ACK_WITHIN, &mut frame).await;
    if said.is_err() {
        if let Err(id) = own {
            send(&socket, &exchange.acknowledgement(), whose.0).await;
            own = Ok(id);
        }
        said = tokio::time::timeout(GIVE_UP, &mut frame).await;
    }
    let answer = match said {
        Ok(Ok(down)) => exchange.answer(ResponseType::Changed, down, own.ok()),
        // Nobody keeps the way of a frame that is not believed.
        Ok(Err(_)) => exchange.answer(ResponseType::Unauthorized, Vec::new(), own.ok()),
        Err(_) => Vec::new(),
    };
    (whose, answer)
}

async fn send(socket: &UdpSocket, datagram: &[u8], to: SocketAddr) {
    if !datagram.is_empty()
        && let Err(error) = socket.send_to(datagram, to).await
    {
        tracing::debug!(%error, "a CoAP answer cannot be sent");
    }
}

#[cfg(test)]
mod tests;
