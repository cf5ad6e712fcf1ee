//! Names of animals, devices, places and staff, for pages that speak of many.

use std::collections::HashMap;

use farm::{
    StoreError,
    alerts::Subject,
    animals::{self, Animal},
    devices, places,
    staff::{self, Staff},
};
use farm_model::{AnimalId, Device, DeviceId, Place, PlaceId, PlaceKind};
use rusqlite::Connection;
use ui::{Lang, fmt};

use crate::{
    address::{at_the_farm, to},
    words::t as w,
};

/// Everything that has a name.
pub(crate) struct Names {
    pub(crate) animals: HashMap<AnimalId, Animal>,
    pub(crate) devices: HashMap<DeviceId, Device>,
    pub(crate) places: HashMap<PlaceId, Place>,
    pub(crate) staff: Vec<Staff>,
}

impl Names {
    pub(crate) fn load(conn: &Connection) -> Result<Self, StoreError> {
        Ok(Self {
            animals: animals::list(conn)?
                .into_iter()
                .map(|a| (a.id, a))
                .collect(),
            devices: devices::list(conn)?
                .into_iter()
                .map(|d| (d.id, d))
                .collect(),
            places: places::list(conn)?.into_iter().map(|p| (p.id, p)).collect(),
            staff: staff::list(conn)?,
        })
    }

    /// What an animal is called: number and name.
    pub(crate) fn animal(&self, lang: Lang, id: AnimalId) -> String {
        self.animals
            .get(&id)
            .map_or_else(|| w::unknown(lang).to_owned(), |a| animal_name(lang, a))
    }

    /// What a subject is called, and the page that shows it.
    pub(crate) fn subject(&self, lang: Lang, subject: Subject) -> (String, Option<String>) {
        match subject {
            Subject::Farm => (w::about(lang).to_owned(), Some(to!("/about"))),
            Subject::Animal(id) => (self.animal(lang, id), Some(to!("/herd/{id}"))),
            Subject::Device(id) => {
                let name = self.devices.get(&id).map(|d| d.name.clone());
                let name = name.unwrap_or_else(|| w::unknown(lang).to_owned());
                (name, Some(to!("/devices/{id}")))
            }
            Subject::Place(id) => {
                let place = self.places.get(&id);
                let name = place.map(|p| p.name.clone());
                let name = name.unwrap_or_else(|| w::unknown(lang).to_owned());
                let page = match place.map(|p| p.kind) {
                    Some(PlaceKind::Tank) | None => to!("/tanks"),
                    Some(_) => to!("/sensors"),
                };
                (name, Some(page))
            }
            Subject::Stall(stall) => (
                w::stall_number(lang, stall.0),
                // A parlour is seen where it is.
                at_the_farm().then(|| to!("/parlour/{stall}")),
            ),
            Subject::Staff(id) => {
                let name = self
                    .staff
                    .iter()
                    .find(|s| s.id == id)
                    .map(|s| s.name.clone());
                (name.unwrap_or_else(|| w::unknown(lang).to_owned()), None)
            }
            Subject::Visit(id) => (w::milk(lang).to_owned(), Some(to!("/milkings/{id}"))),
        }
    }
}

/// The name of an animal in the reader's letters, else as it is; empty when it has none.
pub(crate) fn animal_called(lang: Lang, animal: &Animal) -> &str {
    called(lang, &animal.name, &animal.name_en)
}

/// One of a name's two spellings: the reader's, else the other.
pub(crate) fn called<'a>(lang: Lang, name: &'a str, name_en: &'a str) -> &'a str {
    let (first, second) = match lang {
        Lang::Bn => (name, name_en),
        Lang::En => (name_en, name),
    };
    if first.is_empty() { second } else { first }
}

/// Number and name of an animal, as people say them together.
pub(crate) fn animal_name(lang: Lang, animal: &Animal) -> String {
    let number = fmt::digits(lang, &animal.number);
    match animal_called(lang, animal) {
        "" => w::cow_number(lang, number),
        name => format!("{number} {name}"),
    }
}
