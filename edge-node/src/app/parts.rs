//! The parts of the appliance beside the pipeline, and how each is started with what it needs of the others.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use edge_acquire::{Drivers, Settings};
use edge_broker::Door;
use farm::Farm;
use farm_web::{App, Firmware, MqttPorts, Options};
use metrics_exporter_prometheus::PrometheusHandle;
use program::{
    Runs,
    front::{self, Bounds},
};
use tokio::{
    net::{TcpListener, UdpSocket},
    sync::{Mutex, broadcast, mpsc},
};

use super::setup_code;
use crate::{
    api_ingest::ApiIngest,
    authority::FarmAuthority,
    coap,
    config::Config,
    control::{self, Desk, Ruled},
    hardware::EdgeHardware,
    homeassistant,
    hub::HubLink,
    ingest::{Intake, NodeSaid, Pulse},
    jobs::{self, Charge},
    post::{self, Letter},
    tasks::Tasks,
    updates::Updates,
    wanted::Wanted,
};

/// What the parts share.
pub(super) struct Parts {
    pub(super) config: Config,
    pub(super) farm: Farm,
    pub(super) drivers: Arc<Drivers>,
    pub(super) intake: Intake,
    pub(super) pulse: Pulse,
    /// What nodes say besides readings.
    pub(super) said: broadcast::Sender<NodeSaid>,
    pub(super) door: Arc<Door>,
    pub(super) authority: FarmAuthority,
    pub(super) firmware: Firmware,
    pub(super) hub: HubLink,
    pub(super) tasks: Tasks,
}

impl Parts {
    /// Sends letters to nodes, and writes them: what is wanted of them, and firmware.
    pub(super) fn tell_nodes(&self, letters: mpsc::Receiver<Letter>) {
        let letters = Arc::new(Mutex::new(letters));
        let (farm, door, drivers) = self.reached();
        self.tasks.keep("letters to nodes", move |stop| {
            let (door, drivers) = (Arc::clone(&door), Arc::clone(&drivers));
            post::deliver(Arc::clone(&letters), farm.clone(), door, drivers, stop)
        });
        let (farm, intake, said) = self.heard();
        self.tasks.keep("wishes to nodes", move |stop| {
            Wanted::new(farm.clone(), intake.clone()).run(said.subscribe(), stop)
        });
        let (farm, intake, said) = self.heard();
        let (firmware, rate) = (self.firmware.clone(), self.config.firmware.bytes_per_second);
        self.tasks.keep("updates of nodes", move |stop| {
            let Firmware { shelf, rules } = firmware.clone();
            Updates::new(farm.clone(), intake.clone(), shelf, rules, rate)
                .run(said.subscribe(), stop)
        });
    }

    fn reached(&self) -> (Farm, Arc<Door>, Arc<Drivers>) {
        let (door, drivers) = (Arc::clone(&self.door), Arc::clone(&self.drivers));
        (self.farm.clone(), door, drivers)
    }

    fn heard(&self) -> (Farm, Intake, broadcast::Sender<NodeSaid>) {
        (self.farm.clone(), self.intake.clone(), self.said.clone())
    }

    /// Listens for frames over CoAP; says where.
    pub(super) async fn open_coap(&self) -> anyhow::Result<Vec<SocketAddr>> {
        let mut addresses = Vec::new();
        for address in &self.config.coap.listen {
            let socket = UdpSocket::bind(address).await;
            let socket = socket.with_context(|| {
                format!("CoAP cannot listen on {address}; change `coap.listen`")
            })?;
            addresses.push(socket.local_addr()?);
            let socket = Arc::new(socket);
            let (farm, intake) = (self.farm.clone(), self.intake.clone());
            self.tasks.keep("coap", move |stop| {
                coap::serve(Arc::clone(&socket), farm.clone(), intake.clone(), stop)
            });
        }
        Ok(addresses)
    }

    /// Takes orders of the command line. Cows are milked without them, too.
    pub(super) fn take_orders(&self) {
        let dir = &self.config.data.dir;
        let desk = match Desk::open(dir) {
            Ok(desk) => Arc::new(desk),
            Err(error) => {
                tracing::error!(dir = %dir.display(), %error, "the command line cannot reach the running appliance: see to the data folder, then restart");
                return;
            }
        };
        let ruled = Ruled {
            farm: self.farm.clone(),
            authority: self.authority.clone(),
            shelf: self.firmware.shelf.clone(),
            hub: self.hub.clone(),
            runs: Runs::Yes,
        };
        self.tasks.keep("orders", move |stop| {
            control::serve(Arc::clone(&desk), ruled.clone(), stop)
        });
    }

    /// Serves the pages on every address; the addresses that it got.
    pub(super) async fn open_pages(
        &self,
        settings: Settings,
        metrics: Option<PrometheusHandle>,
    ) -> anyhow::Result<Vec<SocketAddr>> {
        let app = self.web_app(settings, metrics).await?;
        let mut served = Vec::new();
        for address in &self.config.web.listen {
            let listener = TcpListener::bind(address).await.with_context(|| {
                format!("the web address {address} cannot be used; see who has it with: ss -ltnp")
            })?;
            served.push(listener.local_addr()?);
            let router = farm_web::router(app.clone());
            self.tasks
                .start(|stop| front::serve(listener, router, Bounds::default(), stop));
        }
        Ok(served)
    }

    async fn web_app(
        &self,
        settings: Settings,
        metrics: Option<PrometheusHandle>,
    ) -> anyhow::Result<App> {
        let pulse = self.pulse.clone();
        let mqtt = self.door.addresses();
        Ok(App {
            farm: self.farm.clone(),
            hardware: Arc::new(EdgeHardware::new(Arc::clone(&self.drivers), settings)),
            ingest: Arc::new(ApiIngest::new(self.intake.clone())),
            options: Options {
                setup_code: setup_code::open(&self.farm, &self.config.data.dir).await?,
                metrics,
                ready: Some(Arc::new(move || !pulse.is_stalled())),
                version: env!("CARGO_PKG_VERSION"),
                mqtt: MqttPorts {
                    plain: mqtt.tcp.first().map(SocketAddr::port),
                    tls: mqtt.tls.first().map(SocketAddr::port),
                },
                authority: Some(Arc::new(self.authority.clone())),
                firmware: Some(self.firmware.clone()),
                hub: Some(Arc::new(self.hub.clone())),
                ..Options::default()
            },
        })
    }

    /// Tells Home Assistant what there is, if it is to know.
    pub(super) fn tell_home_assistant(&self) {
        if !self.config.homeassistant.enabled {
            return;
        }
        let (farm, door) = (self.farm.clone(), Arc::clone(&self.door));
        self.tasks.keep("home assistant", move |stop| {
            homeassistant::publish(farm.clone(), Arc::clone(&door), stop)
        });
    }

    /// Keeps the farm the same here and at its hub, if it has one.
    pub(super) fn go_to_the_hub(&self) {
        let hub = self.hub.clone();
        self.tasks.keep("hub", move |stop| hub.clone().run(stop));
    }

    pub(super) fn start_jobs(&self) {
        let (farm, door, drivers) = self.reached();
        let charge = Charge {
            farm,
            drivers,
            door,
            pulse: self.pulse.clone(),
            hub: self.hub.clone(),
            data: self.config.data.clone(),
        };
        jobs::start(charge, &self.tasks);
    }
}
