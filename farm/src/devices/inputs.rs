//! Inputs of nodes that are devices of their own: a node has several, and each may stand elsewhere and measure something else.
//!
//! Such a device says by its link which input of which node it is; the node is called by its short name, as on topics, so that
//! a list of devices can be taken to another farm. Invariant: commands let no input be two devices; when a merge made two, the
//! older one has it.

use std::collections::{HashMap, HashSet};

use farm_model::{Device, DeviceId, Link};
use rusqlite::{Connection, params};

use super::{DeviceError, Enabled, find, list};
use crate::{
    sql,
    store::{Change, StoreError, Tx},
};

/// The device that an input of a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Input {
    /// The device.
    pub device: DeviceId,
    /// Whether it is to be heard.
    pub enabled: Enabled,
}

/// Every input that is a device of its own, by its node and its number.
///
/// # Errors
/// When the database fails.
pub fn inputs(conn: &Connection) -> Result<HashMap<(DeviceId, u8), Input>, StoreError> {
    let mut all = list(conn)?;
    // Identities grow with time.
    all.sort_by_key(|device| device.id);
    let mut nodes = HashMap::new();
    for device in &all {
        nodes.entry(device.slug.as_str()).or_insert(device.id);
    }
    let mut inputs = HashMap::new();
    for device in &all {
        if let Link::Input { node, channel } = &device.link
            && let Some(node) = nodes.get(node.as_str())
        {
            let enabled = if device.enabled {
                Enabled::Yes
            } else {
                Enabled::No
            };
            let input = Input {
                device: device.id,
                enabled,
            };
            inputs.entry((*node, *channel)).or_insert(input);
        }
    }
    Ok(inputs)
}

/// Short names of the nodes that have such inputs.
pub(crate) fn carriers<'a>(devices: impl Iterator<Item = &'a Device>) -> HashSet<String> {
    let node = |device: &Device| match &device.link {
        Link::Input { node, .. } => Some(node.clone()),
        _ => None,
    };
    devices.filter_map(node).collect()
}

/// Whether `link` may be that of the device `own`: its node is there and no input itself, and the input is nobody else's.
pub(super) fn check(
    conn: &Connection,
    own: Option<DeviceId>,
    link: &Link,
) -> Result<(), DeviceError> {
    let Link::Input { node, channel } = link else {
        return Ok(());
    };
    let fits = find(conn, node)?
        .is_some_and(|n| Some(n.id) != own && !matches!(n.link, Link::Input { .. }));
    if !fits {
        return Err(DeviceError::NoNode(node.clone()));
    }
    let same = |device: &Device| device.link == *link && Some(device.id) != own;
    match list(conn)?.into_iter().find(same) {
        Some(other) => Err(DeviceError::InputTaken {
            channel: *channel,
            by: other.name,
        }),
        None => Ok(()),
    }
}

/// Lets the inputs of a node follow it to its new short name.
pub(super) fn follow(tx: &mut Tx<'_>, from: &str, to: &str) -> Result<(), StoreError> {
    if from == to {
        return Ok(());
    }
    for device in list(tx.conn())? {
        let Link::Input { node, channel } = &device.link else {
            continue;
        };
        if node != from {
            continue;
        }
        let link = Link::Input {
            node: to.to_owned(),
            channel: *channel,
        };
        tx.conn().execute(
            "UPDATE device SET link = ?2 WHERE id = ?1",
            params![device.id.as_bytes(), sql::to_json(&link)],
        )?;
        tx.tell(Change::Device { device: device.id });
    }
    Ok(())
}
