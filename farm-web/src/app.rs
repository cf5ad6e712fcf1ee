//! What the router is built from, and what every handler shares.

use std::{ops::Deref, sync::Arc};

use farm::{Farm, firmware::Shelf};
use farm_firmware::Rules;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::broadcast;

use crate::{
    auth::Who,
    border::{Authority, Hardware, HubLink, Ingest},
    live::{Artist, Hub},
    mount::Mount,
};

/// The parts that the program gives to [`router`](crate::router()).
#[derive(Clone)]
pub struct App {
    /// The farm.
    pub farm: Farm,
    /// Ports and drivers, or [`NoHardware`](crate::NoHardware).
    pub hardware: Arc<dyn Hardware>,
    /// Where observations that come over HTTP go.
    pub ingest: Arc<dyn Ingest>,
    /// What differs from one installation to the next.
    pub options: Options,
}

/// What differs from one installation to the next.
#[derive(Clone)]
pub struct Options {
    /// Whether cookies may travel over plain HTTP.
    pub cookies: Cookies,
    /// Version of the program, shown to people and programs.
    pub version: &'static str,
    /// The one-time code that the first owner must type while the farm has no staff.
    pub setup_code: Option<String>,
    /// Ports on which devices reach this machine over MQTT.
    pub mqtt: MqttPorts,
    /// Makes certificates for devices, where the farm has an authority.
    pub authority: Option<Arc<dyn Authority>>,
    /// The way to the farm's hub, where the farm may have one.
    pub hub: Option<Arc<dyn HubLink>>,
    /// Takes in firmware of nodes, where there is a way to them.
    pub firmware: Option<Firmware>,
    /// Renders `/metrics`, if the program installed a recorder.
    pub metrics: Option<PrometheusHandle>,
    /// What `/readyz` asks besides the database.
    pub ready: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cookies: Cookies::AnyTransport,
            version: env!("CARGO_PKG_VERSION"),
            setup_code: None,
            mqtt: MqttPorts::default(),
            authority: None,
            hub: None,
            firmware: None,
            metrics: None,
            ready: None,
        }
    }
}

impl Options {
    /// The rules of rollouts.
    pub(crate) fn rules(&self) -> Rules {
        self.firmware
            .as_ref()
            .map_or_else(Rules::default, |f| f.rules)
    }
}

/// Where images of firmware lie, and the rules by which nodes are offered them.
#[derive(Clone, Debug)]
pub struct Firmware {
    /// Where images lie.
    pub shelf: Shelf,
    /// The rules of rollouts.
    pub rules: Rules,
}

/// Ports on which devices reach the machine over MQTT, as an installer types them into a device; none is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MqttPorts {
    /// Without encryption.
    pub plain: Option<u16>,
    /// With TLS.
    pub tls: Option<u16>,
}

/// Over which transport session cookies may travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cookies {
    /// Plain HTTP too: a farm's own network.
    AnyTransport,
    /// HTTPS only: the hub, or a farm with certificates.
    HttpsOnly,
}

/// What every handler shares.
#[derive(Clone)]
pub(crate) struct Web(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) farm: Farm,
    pub(crate) hardware: Arc<dyn Hardware>,
    pub(crate) ingest: Arc<dyn Ingest>,
    pub(crate) options: Options,
    mount: Option<Mount>,
    hub: Arc<Hub>,
    revoked: broadcast::Sender<Who>,
}

impl Deref for Web {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Web {
    /// What the handlers of one router share; `mount` is where it stands, if that is not its own appliance.
    pub(crate) fn new(app: App, mount: Option<Mount>) -> Self {
        let App {
            farm,
            hardware,
            ingest,
            options,
        } = app;
        let artist = Artist::new(
            farm.clone(),
            Arc::clone(&hardware),
            options.rules(),
            options.hub.clone(),
            mount.clone(),
        );
        Self(Arc::new(Shared {
            hub: Arc::new(Hub::new(u64::from(farm.boot()) << 32, Arc::new(artist))),
            farm,
            hardware,
            ingest,
            options,
            mount,
            revoked: broadcast::channel(64).0,
        }))
    }

    /// The live boards.
    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// The host that the farm is shown at, if it is not its own appliance.
    pub(crate) fn mount(&self) -> Option<&Mount> {
        self.mount.as_ref()
    }

    /// How many live streams are open: each follows whose sessions end.
    pub(crate) fn streams(&self) -> usize {
        self.revoked.receiver_count()
    }

    /// Follows whose sessions end.
    pub(crate) fn revocations(&self) -> broadcast::Receiver<Who> {
        self.revoked.subscribe()
    }

    /// Tells open streams whose sessions ended, without keeping any of this.
    pub(crate) fn revoker(&self) -> broadcast::Sender<Who> {
        self.revoked.clone()
    }

    /// Tells open streams that sessions of `who` ended.
    pub(crate) fn revoke(&self, who: Who) {
        // Fails only when no stream is open.
        let _ = self.revoked.send(who);
    }
}
