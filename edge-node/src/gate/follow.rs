//! What the gate says through the door: that somebody may not stay, and answers to devices that joined or asked for a
//! certificate.

use std::{collections::HashSet, sync::Arc, time::Duration};

use edge_broker::{Door, Retain};
use farm::{Actor, Change, Farm, FileError, Resume, StoreError, joins};
use farm_model::{Clock as _, hex};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use super::{doorkeeper::Doorkeeper, joining};

/// Words to devices that may wait to be said.
const WAITING: usize = 64;
/// How long to wait with a question that the store could not answer.
const BREATH: Duration = Duration::from_secs(1);

/// Something to be said to one device.
pub(crate) struct Word {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
}

/// The other end of what [`words`] makes; whoever follows holds it.
pub(crate) type Words = Arc<Mutex<mpsc::Receiver<Word>>>;

/// Where the gate puts what is to be said, and where it is taken from.
pub(crate) fn words() -> (mpsc::Sender<Word>, Words) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (sender, Arc::new(Mutex::new(receiver)))
}

/// Ends connections whose rights have ended, and says what is to be said, until `stop`.
pub(crate) async fn follow(
    farm: Farm,
    door: Arc<Door>,
    keeper: Arc<Doorkeeper>,
    words: Words,
    stop: CancellationToken,
) {
    let mut changes = farm.events().subscribe();
    let mut words = words.lock().await;
    let mut answers = Answers::new(farm, door);
    answers.open().await;
    // Rights may have ended before anybody followed.
    part(&keeper, &answers.door, None).await;
    loop {
        let resume = tokio::select! {
            resume = changes.next() => resume,
            Some(word) = words.recv() => {
                answers.say(&word.topic, word.payload, Retain::No);
                continue;
            }
            () = stop.cancelled() => return,
        };
        let Resume::Events(events) = resume else {
            part(&keeper, &answers.door, None).await;
            answers.tell().await;
            continue;
        };
        for event in events {
            match &event.change {
                Change::Join => answers.tell().await,
                change @ (Change::Device { .. } | Change::Place { .. } | Change::Token { .. }) => {
                    part(&keeper, &answers.door, Some(change)).await;
                }
                _ => {}
            }
        }
    }
}

/// Sends those away whose right to be inside ended. While the store cannot be asked, nobody can be revoked either.
async fn part(keeper: &Doorkeeper, door: &Door, change: Option<&Change>) {
    loop {
        match keeper.no_longer_welcome(change).await {
            Ok(gone) => {
                for who in gone {
                    let connections = door.end(&who.to_string());
                    tracing::info!(%who, connections, "what it may do has changed: its connections end");
                }
                return;
            }
            Err(StoreError::File(FileError::Closed)) => return,
            Err(error) => {
                tracing::error!(%error, "cannot tell who may stay inside the MQTT door");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

/// Answers to devices that joined, told as retained values for as long as they count.
struct Answers {
    farm: Farm,
    door: Arc<Door>,
    told: HashSet<String>,
}

impl Answers {
    fn new(farm: Farm, door: Arc<Door>) -> Self {
        Self {
            farm,
            door,
            told: HashSet::new(),
        }
    }

    /// Tells the key with which devices ask.
    async fn open(&mut self) {
        match self.farm.write(Actor::System, joins::public_key).await {
            Ok(key) => self.say(joining::KEY, hex::encode(&key).into_bytes(), Retain::Yes),
            Err(error) => tracing::error!(%error, "devices cannot be told how to join"),
        }
        self.tell().await;
    }

    async fn tell(&mut self) {
        let now = self.farm.clock().now();
        let answers = match self.farm.read(move |conn| joins::answers(conn, &now)).await {
            Ok(answers) => answers,
            Err(error) => {
                tracing::error!(%error, "devices that joined cannot be answered");
                return;
            }
        };
        let mut past = std::mem::take(&mut self.told);
        for answer in answers {
            let topic = joining::answer_topic(&answer.serial);
            past.remove(&topic);
            self.say(&topic, answer.sealed, Retain::Yes);
            self.told.insert(topic);
        }
        for topic in past {
            self.say(&topic, Vec::new(), Retain::Yes);
        }
    }

    fn say(&self, topic: &str, payload: Vec<u8>, retain: Retain) {
        if let Err(error) = self.door.publish(topic, payload, retain) {
            tracing::warn!(%error, topic, "not published");
        }
    }
}
