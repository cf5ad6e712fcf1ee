//! A [`Node`] on the air: its clock, its MQTT connection, and what can go wrong with both.

use std::time::{Duration, Instant};

use firmware_protocol::ResetReason;
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS};
use tokio::time::{sleep, sleep_until, timeout_at};
use tracing::debug;

use crate::{
    device::mqtt::Broker,
    node::{Node, PowerLost, Stopped},
    rng::Rng,
};

/// How long a node waits before it tries the broker again.
const RETRY: Duration = Duration::from_millis(100);
/// Messages on their way to the broker; what comes after waits in flash.
const KEPT: usize = 16;

/// A node's own clock: it runs from its start, as fast as it is told to, and not quite right.
#[derive(Clone, Copy, Debug)]
pub struct Ticks {
    started: Instant,
    speed: f64,
}

impl Ticks {
    /// Starts now; `drift_ppm` parts in a million too fast.
    pub fn start(speed: f64, drift_ppm: f64) -> Self {
        Self {
            started: Instant::now(),
            speed: speed * (1.0 + drift_ppm / 1e6),
        }
    }

    /// Milliseconds since the start, as the node believes.
    pub fn now(&self) -> u64 {
        (self.started.elapsed().as_secs_f64() * 1_000.0 * self.speed) as u64
    }

    /// When it will show `ticks`.
    pub(crate) fn at(&self, ticks: u64) -> Instant {
        self.started + Duration::from_secs_f64(ticks as f64 / 1_000.0 / self.speed)
    }
}

/// What goes wrong, as probabilities per frame.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Trouble {
    /// A frame that comes down is lost.
    pub deaf: f64,
    /// A frame that goes up is lost.
    pub mute: f64,
    /// A frame that goes up is sent twice.
    pub echo: f64,
}

/// A node's radio and its connection to the broker.
pub struct Radio {
    client: AsyncClient,
    events: EventLoop,
    up: String,
    down: String,
    trouble: Trouble,
    rng: Rng,
    is_connected: bool,
}

impl Radio {
    /// A radio that is about to connect; the node is called `name` on the farm.
    pub fn new(name: &str, broker: &Broker, trouble: Trouble, rng: Rng) -> Self {
        let mut options = MqttOptions::new(name, broker.host.clone(), broker.port);
        options.set_keep_alive(Duration::from_secs(30));
        if let Some((user, password)) = &broker.login {
            options.set_credentials(user, password);
        }
        let (client, events) = AsyncClient::new(options, KEPT);
        Self {
            client,
            events,
            up: format!("khamar/node/{name}/up"),
            down: format!("khamar/node/{name}/down"),
            trouble,
            rng,
            is_connected: false,
        }
    }

    /// Sends what the node wants to send and gives it what comes down, until `end` or until nothing waits in its flash.
    ///
    /// # Errors
    /// When its supply fails.
    pub async fn serve(
        &mut self,
        node: &mut Node,
        ticks: Ticks,
        end: Instant,
    ) -> Result<(), PowerLost> {
        loop {
            let due = node
                .wakes_at()
                .filter(|_| self.is_connected)
                .map_or(end, |at| ticks.at(at).min(end));
            tokio::select! {
                event = self.events.poll() => match event {
                    Ok(event) => self.heard(node, ticks, event)?,
                    Err(error) => {
                        debug!(%error, "the broker is away");
                        self.is_connected = false;
                        let _ = timeout_at(end.into(), sleep(RETRY)).await;
                    }
                },
                () = sleep_until(due.into()) => self.send(node, ticks),
            }
            if Instant::now() >= end {
                return Ok(());
            }
        }
    }

    fn send(&mut self, node: &mut Node, ticks: Ticks) {
        let Some(frame) = node.send(ticks.now()) else {
            return;
        };
        let copies = if self.rng.chance(self.trouble.mute) {
            0
        } else if self.rng.chance(self.trouble.echo) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let sent = self
                .client
                .try_publish(&self.up, QoS::AtLeastOnce, false, frame.clone());
            if let Err(error) = sent {
                debug!(%error, "a frame is not sent; it stays in flash");
            }
        }
    }

    fn heard(&mut self, node: &mut Node, ticks: Ticks, event: Event) -> Result<(), PowerLost> {
        match event {
            Event::Incoming(Packet::ConnAck(_)) => {
                self.is_connected = true;
                if let Err(error) = self.client.try_subscribe(&self.down, QoS::AtLeastOnce) {
                    debug!(%error, "no subscription; nothing comes down until the next connection");
                }
                Ok(())
            }
            Event::Incoming(Packet::Publish(publish)) if !self.rng.chance(self.trouble.deaf) => {
                node.hear(ticks.now(), publish.payload.to_vec())
            }
            _ => Ok(()),
        }
    }
}

/// Starts a node as often as it takes with a supply that may fail while it does.
///
/// # Errors
/// When it has forgotten its boot number.
pub fn start(node: &mut Node, mut reset: ResetReason) -> Result<(), Stopped> {
    loop {
        match node.start(reset) {
            Err(Stopped::Power(_)) => {
                node.reset();
                reset = ResetReason::BrownOut;
            }
            other => return other,
        }
    }
}
