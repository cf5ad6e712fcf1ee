//! Places of which each key has a few, so that no key can fill the hub.
//!
//! A line that breaks leaves a request behind that nobody hears any more: where one can be given up, the oldest gives way to the newest.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sync::keys::PublicKey;
use tokio::sync::oneshot;

/// A few places for each key. Cheap to clone.
#[derive(Clone)]
pub(super) struct Places {
    most: usize,
    taken: Arc<Mutex<Taken>>,
}

type Taken = HashMap<PublicKey, VecDeque<oneshot::Sender<()>>>;

impl Places {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            taken: Arc::default(),
        }
    }

    /// Takes a place of this key; its oldest one is lost when there are too many.
    pub(super) fn take(&self, key: PublicKey) -> Place {
        let mut taken = self.taken();
        let places = taken.entry(key).or_default();
        let place = self.enter(places, key);
        if places.len() > self.most {
            places.pop_front();
        }
        place
    }

    /// Takes a place of this key, if one is free.
    pub(super) fn take_free(&self, key: PublicKey) -> Option<Place> {
        let mut taken = self.taken();
        let places = taken.entry(key).or_default();
        (places.len() < self.most).then(|| self.enter(places, key))
    }

    fn enter(&self, into: &mut VecDeque<oneshot::Sender<()>>, key: PublicKey) -> Place {
        let (ours, lost) = oneshot::channel();
        into.push_back(ours);
        let places = self.clone();
        Place { places, key, lost }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place that is given back when it is dropped.
pub(super) struct Place {
    places: Places,
    key: PublicKey,
    lost: oneshot::Receiver<()>,
}

impl Place {
    /// Resolves when a newer request of the same key took it.
    pub(super) async fn lost(&mut self) {
        // Nothing is ever sent: the sender is dropped.
        let _ = (&mut self.lost).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.lost.close();
        let mut taken = self.places.taken();
        if let Some(places) = taken.get_mut(&self.key) {
            places.retain(|place| !place.is_closed());
            if places.is_empty() {
                taken.remove(&self.key);
            }
        }
    }
}
