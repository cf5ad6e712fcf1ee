//! Draws topics by the same functions that draw the pages.

use std::sync::Arc;

use farm::Farm;
use farm_firmware::Rules;
use futures_util::future::BoxFuture;
use ui::Lang;

use super::{Draw, Fragment, Topic};
use crate::{
    border::{Hardware, HubLink},
    error::Error,
    mount::Mount,
    pages,
};

/// Draws from the farm as it is now.
pub(crate) struct Artist {
    farm: Farm,
    hardware: Arc<dyn Hardware>,
    rules: Rules,
    hub: Option<Arc<dyn HubLink>>,
    mount: Option<Mount>,
}

impl Artist {
    pub(crate) fn new(
        farm: Farm,
        hardware: Arc<dyn Hardware>,
        rules: Rules,
        hub: Option<Arc<dyn HubLink>>,
        mount: Option<Mount>,
    ) -> Self {
        Self {
            farm,
            hardware,
            rules,
            hub,
            mount,
        }
    }

    async fn fragments(&self, topic: Topic, lang: Lang) -> Result<Vec<Fragment>, Error> {
        let farm = &self.farm;
        match topic {
            Topic::Alerts => pages::alerts::fragments(farm, lang).await,
            Topic::Parlour => pages::parlour::fragments(farm, lang).await,
            Topic::Record => pages::record::fragments(farm, lang).await,
            Topic::Today => pages::today::fragments(farm, lang).await,
            Topic::Tanks => pages::tanks::fragments(farm, lang).await,
            Topic::Sensors => pages::sensors::fragments(farm, lang).await,
            Topic::Inbox => pages::inbox::fragments(farm, lang).await,
            Topic::Devices => pages::devices::fragments(farm, &self.hardware, lang).await,
            Topic::Device(device) => {
                pages::devices::fragments_of(farm, &self.hardware, lang, device).await
            }
            Topic::Heard => Ok(pages::heard::fragments(farm, self.mount.as_ref(), lang)),
            Topic::Hub => pages::hub::fragments(farm, self.hub.as_ref(), lang).await,
            Topic::Firmware => pages::firmware::fragments(farm, self.rules, lang).await,
        }
    }
}

impl Draw for Artist {
    fn draw(&self, topic: Topic, lang: Lang) -> BoxFuture<'_, Option<Vec<Fragment>>> {
        Box::pin(async move {
            let base = self.mount.as_ref().map(|m| m.base.clone());
            let drawn = base.unwrap_or_default().serves(self.fragments(topic, lang));
            match drawn.await {
                Ok(fragments) => Some(fragments),
                Err(error) => {
                    error.log("LIVE", &topic.key());
                    None
                }
            }
        })
    }
}
