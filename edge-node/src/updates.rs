//! Firmware on its way to nodes: hears what they say, makes offers, sends the chunks they ask for, not too fast.
//!
//! What a node is told may be lost; it asks again, and offers are made again. So nothing here waits for an answer, and what is held
//! is bounded by the number of nodes. Invariants: before each chunk the rollout is asked whether it may still leave; while cows
//! are milked none leaves, so that no node restarts then.

use std::time::{Duration, Instant};

use farm::{
    Actor, Farm, StoreError,
    firmware::{self, Answer, FirmwareError, Heard, Order, Shelf},
};
use farm_firmware::{Feeder, Milking, Piece, Rules};
use farm_model::{Clock as _, DeviceId};
use firmware_protocol::{Chunk, ChunkRequest, ImageId, Record, Withdraw};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;

use crate::ingest::{Errand, Intake, NodeSaid, Told};

/// How often rollouts are looked at.
const ROUND: Duration = Duration::from_secs(2);
/// Nodes that may be fed at once.
const MOST_NODES: usize = 64;

/// What goes to nodes, and what comes from them about updates.
pub(crate) struct Updates {
    farm: Farm,
    intake: Intake,
    shelf: Shelf,
    rules: Rules,
    feeder: Feeder,
    milking: Milking,
    started: Instant,
}

impl Updates {
    pub(crate) fn new(
        farm: Farm,
        intake: Intake,
        shelf: Shelf,
        rules: Rules,
        bytes_per_second: u32,
    ) -> Self {
        Self {
            farm,
            intake,
            shelf,
            rules,
            feeder: Feeder::new(bytes_per_second, MOST_NODES),
            milking: Milking::Yes,
            started: Instant::now(),
        }
    }

    /// Runs until `stop`.
    pub(crate) async fn run(
        mut self,
        mut said: broadcast::Receiver<NodeSaid>,
        stop: CancellationToken,
    ) {
        let mut rounds = tokio::time::interval(ROUND);
        rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let due = self.due();
            let done = tokio::select! {
                () = stop.cancelled() => return,
                heard = said.recv() => match heard {
                    Ok(said) => self.hear(&said).await,
                    // What was missed is said again.
                    Err(RecvError::Lagged(_)) => Ok(()),
                    Err(RecvError::Closed) => return,
                },
                _ = rounds.tick() => self.round().await,
                () = wait_until(due) => self.feed().await,
            };
            if let Err(error) = done {
                tracing::error!(%error, "updates of nodes are held up; they go on by themselves");
            }
        }
    }

    /// When the next chunk may leave.
    fn due(&self) -> Option<tokio::time::Instant> {
        let due = self.feeder.due().filter(|_| self.milking == Milking::No)?;
        Some(tokio::time::Instant::from_std(self.started + due))
    }

    async fn round(&mut self) -> Result<(), FirmwareError> {
        let (now, parlour) = (self.farm.clock().now(), self.farm.live().parlour());
        let read = self.farm.read(move |conn| {
            let milking = firmware::is_milking(conn, &parlour, now)?;
            Ok::<_, StoreError>((milking, firmware::is_any_running(conn)?))
        });
        let (milking, any) = read.await?;
        self.milking = milking;
        if !any {
            return Ok(());
        }
        let rules = self.rules;
        let orders = self.farm.write(Actor::System, move |tx| {
            firmware::round(tx, &rules, milking)
        });
        for outgoing in orders.await? {
            self.tell(outgoing.device, &outgoing.order).await?;
        }
        Ok(())
    }

    async fn hear(&mut self, said: &NodeSaid) -> Result<(), FirmwareError> {
        let device = said.device;
        let Ok(record) = Record::read(said.kind, &said.contents) else {
            return Ok(());
        };
        match record {
            Record::Hello(hello) => {
                let greets = Heard::Greets {
                    hardware: hello.hardware.to_owned(),
                    version: hello.firmware.to_owned(),
                };
                self.store(device, greets).await?;
                self.offer_again(device).await
            }
            Record::UpdateStatus(status) => {
                let reports = Heard::Reports {
                    image: status.image,
                    state: status.state,
                    have: status.have,
                };
                self.store(device, reports).await
            }
            Record::ChunkRequest(request) => self.asked(device, &request).await,
            _ => Ok(()),
        }
    }

    /// A node that greets is awake: now is the time to tell it of what it was offered while it slept.
    async fn offer_again(&mut self, device: DeviceId) -> Result<(), FirmwareError> {
        if self.milking == Milking::Yes {
            return Ok(());
        }
        let standing = self
            .farm
            .read(move |conn| firmware::standing_offer(conn, device));
        match standing.await? {
            Some(header) => self.tell(device, &Order::Offer(header)).await,
            None => Ok(()),
        }
    }

    async fn asked(
        &mut self,
        device: DeviceId,
        request: &ChunkRequest,
    ) -> Result<(), FirmwareError> {
        let image = request.image;
        let asks = Heard::Asks {
            image,
            offset: request.offset,
        };
        self.store(device, asks).await?;
        match self.answer(device, image).await? {
            Answer::Feed(header) => {
                let now = self.started.elapsed();
                self.feeder.ask(device, request, header.size, now);
            }
            Answer::Later => self.feeder.forget(device),
            Answer::Withdraw => self.withdraw(device, image).await?,
        }
        Ok(())
    }

    /// Sends the piece that is due.
    async fn feed(&mut self) -> Result<(), FirmwareError> {
        let now = self.started.elapsed();
        let Some(piece) = self.feeder.next(now) else {
            return Ok(());
        };
        match self.answer(piece.device, piece.image).await? {
            Answer::Feed(header) => self.send(piece, header.hash).await,
            Answer::Later => {
                self.feeder.forget(piece.device);
                Ok(())
            }
            Answer::Withdraw => self.withdraw(piece.device, piece.image).await,
        }
    }

    async fn send(&mut self, piece: Piece, hash: [u8; 32]) -> Result<(), FirmwareError> {
        let shelf = self.shelf.clone();
        let read = move || shelf.read(&hash, piece.offset, piece.length);
        let data = match tokio::task::spawn_blocking(read).await {
            Ok(Ok(data)) => data,
            failed => {
                tracing::error!(
                    ?failed,
                    "an image cannot be read; withdraw its rollout and add it again"
                );
                self.feeder.forget(piece.device);
                return Ok(());
            }
        };
        metrics::counter!("firmware_bytes_sent_total").increment(data.len() as u64);
        let chunk = Chunk {
            image: piece.image,
            offset: piece.offset,
            data: &data,
        };
        self.errand(piece.device, &Record::Chunk(chunk)).await
    }

    async fn withdraw(&mut self, device: DeviceId, image: ImageId) -> Result<(), FirmwareError> {
        self.feeder.forget(device);
        self.errand(device, &Record::Withdraw(Withdraw { image }))
            .await
    }

    async fn tell(&mut self, device: DeviceId, order: &Order) -> Result<(), FirmwareError> {
        let Order::Offer(header) = order;
        self.errand(device, &Record::Offer(header.offer())).await
    }

    async fn errand(&self, device: DeviceId, record: &Record<'_>) -> Result<(), FirmwareError> {
        let Ok(errand) = Errand::of(device, record) else {
            tracing::error!("a record for a node does not fit a frame");
            return Ok(());
        };
        let told = Told::Errand(errand);
        self.intake.submit(vec![told]).await?;
        Ok(())
    }

    async fn answer(&self, device: DeviceId, image: ImageId) -> Result<Answer, StoreError> {
        let answer = self
            .farm
            .read(move |conn| firmware::answer(conn, device, image));
        answer.await
    }

    async fn store(&self, device: DeviceId, heard: Heard) -> Result<(), FirmwareError> {
        let asked = heard.clone();
        let is_news = self
            .farm
            .read(move |conn| firmware::is_news(conn, device, &asked));
        if is_news.await? {
            self.farm
                .write(Actor::System, move |tx| firmware::heard(tx, device, &heard))
                .await?;
        }
        Ok(())
    }
}

async fn wait_until(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
