//! One client from its first byte to its last: log-in, the exchange of packets, the end.
//!
//! One task owns the connection and waits for whatever comes first: bytes, room to write, the gate, a message for it, a clock.
//! Invariants: it reads on while the gate is behind, so that pings are answered, and stops only when the publishes that
//! wait have filled the window; the client's silence is not counted while the door does not listen.

mod clocks;
mod session;
mod welcome;

use std::{
    future::poll_fn,
    mem::MaybeUninit,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Poll, ready},
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    sync::{Semaphore, watch},
    time::{Duration, sleep_until, timeout},
};

use self::{
    clocks::{Clocks, Ear},
    session::Session,
};
use crate::{
    acks::Settled,
    config::DoorConfig,
    gate::{Carrier, Gate, Stay},
    router::{Attachment, Eviction, Router},
    rules::Fault,
    stats::{Counters, Reason},
};
use mqtt_proto::v5::DisconnectReasonCode as Code;

/// How much a connection reads at a time, in bytes.
const READ: usize = 8 * 1024;
/// Bytes that may wait to be written before the connection takes on more work.
const WRITE_LIMIT: usize = 64 * 1024;
/// How long a client is given to take the last bytes.
const FAREWELL: Duration = Duration::from_millis(500);

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) config: DoorConfig,
    pub(crate) gate: Arc<dyn Gate>,
    pub(crate) router: Arc<Router>,
    pub(crate) counters: Arc<Counters>,
    /// Bytes of publishes that may wait for the gate.
    pub(crate) room: Arc<Semaphore>,
}

/// Who is at the other end, as far as the transport knows.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) carrier: Carrier,
    /// The client certificate that TLS checked, as DER.
    pub(crate) certificate: Option<Bytes>,
}

/// How a connection ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    /// The client said so.
    Left {
        with_will: bool,
        session_expiry: Option<u32>,
    },
    /// The network did.
    Broken,
    /// The door did, for this reason.
    Fault(Fault),
    /// The door itself closes.
    Closing,
}

impl From<Fault> for Ending {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Eviction> for Ending {
    fn from(eviction: Eviction) -> Self {
        Self::Fault(match eviction {
            Eviction::TakenOver => Fault::new(
                Reason::TakenOver,
                Code::SessionTakenOver,
                "another connection uses this client identifier: give each client its own",
            ),
            Eviction::TooSlow => Fault::new(
                Reason::SlowSubscriber,
                Code::QuotaExceeded,
                "messages came faster than this client took them: subscribe to less, or at QoS 0",
            ),
            Eviction::Ended => Fault::new(
                Reason::Ended,
                Code::NotAuthorized,
                "this client is not let in as it was any more: connect again with what is valid now",
            ),
        })
    }
}

/// Serves one client until it, the network or the door ends it.
pub(crate) async fn serve<S>(
    shared: Arc<Shared>,
    mut io: S,
    peer: Peer,
    mut closing: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut input = BytesMut::new();
    let welcomed = tokio::select! {
        welcomed = Box::pin(welcome::welcome(&shared, &mut io, &mut input, &peer)) => welcomed,
        _ = closing.wait_for(|&closing| closing) => None,
    };
    match welcomed {
        Some(place) => stay(place, io, input, closing).await,
        // What was written is the refusal; a client that sends on must still be able to read it.
        None => farewell(&mut io).await,
    }
}

/// A client that was let in. It lies beside its connection's task, which is as large as its largest part.
struct Place {
    session: Session,
    attachment: Attachment,
    /// Dropped with the connection.
    _stay: Stay,
}

async fn stay<S>(
    mut place: Box<Place>,
    mut io: S,
    mut input: BytesMut,
    mut closing: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let ending = exchange(&mut place, &mut io, &mut input, &mut closing).await;
    let session = &mut place.session;
    session.log(&ending);
    if ending == Ending::Closing {
        let patience = session.shared.config.drain_timeout;
        let _ = timeout(patience, session.settle_and_answer()).await;
    }
    session.say_goodbye(&ending);
    let last = std::mem::take(&mut session.output);
    let leaving = session.leaving(&ending);
    // Whatever the client sent and was not answered for still becomes durable and is passed on.
    place.attachment.leave(leaving);
    if matches!(ending, Ending::Fault(_) | Ending::Closing) {
        let _ = timeout(FAREWELL, io.write_all(&last)).await;
        farewell(&mut io).await;
    }
}

/// Closes for writing, then reads what is left, so that the last packet is not lost to a reset.
async fn farewell<S: AsyncRead + AsyncWrite + Unpin>(io: &mut S) {
    let _ = io.shutdown().await;
    let mut rest = vec![0; 1024];
    let _ = timeout(FAREWELL, async {
        while matches!(io.read(&mut rest).await, Ok(1..)) {}
    })
    .await;
}

/// What a connection waits for.
enum Event {
    Read(std::io::Result<usize>),
    Pushed(std::io::Result<()>),
    Settled(Settled),
    Evicted(Eviction),
    Closing,
    Deadline,
    /// There may be something to send, or room for what is held: the next turn sees to it.
    Look,
}

async fn exchange<S>(
    place: &mut Place,
    io: &mut S,
    input: &mut BytesMut,
    closing: &mut watch::Receiver<bool>,
) -> Ending
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Place {
        session,
        attachment,
        ..
    } = place;
    let (mut reader, mut writer) = tokio::io::split(io);
    let mailbox = Arc::clone(&session.mailbox);
    let all_room = Arc::clone(&session.shared.room);
    // Written, but perhaps still in the transport's own buffer: no more is written until it is out.
    let mut unflushed = false;
    loop {
        let turn = session
            .take_packets(input)
            .and_then(|()| session.settle_ready());
        if let Err(ending) = turn {
            return ending;
        }
        session.deliver();
        let reads = session.is_listening();
        if input.is_empty() {
            // A client that says nothing holds no room for it.
            *input = BytesMut::new();
        }
        let writes = unflushed || !session.output.is_empty();
        let wanted_room = session.wanted_room();
        let deadline = session.deadline();
        let event = tokio::select! {
            read = read_some(&mut reader, input), if reads => Event::Read(read),
            pushed = push(&mut writer, &mut session.output, &mut unflushed), if writes => Event::Pushed(pushed),
            settled = session.acks.next(), if !session.acks.is_empty() => Event::Settled(settled),
            () = mailbox.changed() => Event::Look,
            _ = all_room.acquire_many(wanted_room.unwrap_or(0)), if wanted_room.is_some() => Event::Look,
            why = attachment.evicted() => Event::Evicted(why),
            _ = closing.wait_for(|&closing| closing) => Event::Closing,
            () = sleep_until(deadline) => Event::Deadline,
        };
        let done = match event {
            Event::Read(Ok(1..)) | Event::Look => Ok(()),
            Event::Pushed(Ok(())) => {
                session.wrote();
                if !reads {
                    // A sign of life of a client to which the door does not listen.
                    session.clocks.heard();
                }
                Ok(())
            }
            Event::Read(_) | Event::Pushed(Err(_)) => Err(Ending::Broken),
            Event::Settled(settled) => session.settled(settled),
            Event::Evicted(why) => Err(why.into()),
            Event::Closing => Err(Ending::Closing),
            Event::Deadline => session.check_clocks(),
        };
        if let Err(ending) = done {
            return ending;
        }
    }
}

/// Adds to `input` what has come; the room to read into is the thread's, so that only what came is held.
async fn read_some<R>(reader: &mut R, input: &mut BytesMut) -> std::io::Result<usize>
where
    R: AsyncRead + Unpin,
{
    poll_fn(|context| {
        let mut room = [MaybeUninit::uninit(); READ];
        let mut came = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut *reader).poll_read(context, &mut came))?;
        input.extend_from_slice(came.filled());
        Poll::Ready(Ok(came.filled().len()))
    })
    .await
}

/// One step of writing: bytes to the transport, or, if it may still hold some, a flush of what it holds.
async fn push<W>(writer: &mut W, output: &mut BytesMut, unflushed: &mut bool) -> std::io::Result<()>
where
    W: AsyncWrite + Unpin,
{
    if *unflushed {
        writer.flush().await?;
        *unflushed = false;
    } else {
        if writer.write_buf(output).await? == 0 {
            return Err(std::io::ErrorKind::WriteZero.into());
        }
        *unflushed = true;
    }
    Ok(())
}
