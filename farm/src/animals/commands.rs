//! Registering, editing, tagging and merging animals.

use farm_model::{AnimalId, AnimalStatus, Sex, Tag};
use jiff::civil::Date;
use rusqlite::{OptionalExtension, params};
use uuid::Uuid;

use super::get_exact;
use crate::{
    events::{self, EventBody, EventError, NewEvent},
    milkings,
    store::{Change, StoreError, Tx, store_error},
    text::{Name, Note},
};

/// Why an animal was not saved.
#[derive(Debug, thiserror::Error)]
pub enum AnimalError {
    /// Another animal that is present has the number.
    #[error("number {0} belongs to another animal: choose another number, or open that animal")]
    NumberTaken(String, AnimalId),
    /// Another animal wears the tag.
    #[error("tag {0} is on another animal: take it off there first, or check the tag")]
    TagTaken(Tag, AnimalId),
    /// No such animal.
    #[error("this animal is not in the register: go back to the herd and choose another")]
    Unknown,
    /// A merge of an animal with itself.
    #[error("these are the same animal: choose its duplicate")]
    Same,
    /// Its first calving could not be written.
    #[error(transparent)]
    Event(#[from] Box<EventError>),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
store_error!(AnimalError);

/// What a person says of an animal.
#[derive(Clone, PartialEq, Debug)]
pub struct AnimalForm {
    /// Number on the ear or collar, one per animal that is present.
    pub number: Name,
    /// Name.
    pub name: Option<Name>,
    /// Name in English letters.
    pub name_en: Option<Name>,
    /// Sex.
    pub sex: Sex,
    /// Breed.
    pub breed: Option<Name>,
    /// Day of birth.
    pub birth_date: Option<Date>,
    /// Group or pen.
    pub group: Option<Name>,
    /// Where in its life it is.
    pub status: AnimalStatus,
    /// Mother.
    pub dam: Option<AnimalId>,
    /// Father.
    pub sire: Option<Name>,
    /// Anything else.
    pub note: Option<Note>,
}

impl AnimalForm {
    /// A female of this number and status, of which nothing else is known.
    pub fn new(number: Name, status: AnimalStatus) -> Self {
        Self {
            number,
            name: None,
            name_en: None,
            sex: Sex::Female,
            breed: None,
            birth_date: None,
            group: None,
            status,
            dam: None,
            sire: None,
            note: None,
        }
    }
}

/// Adds an animal, with its tag and its last calving where they are known.
///
/// # Errors
/// When its number or tag belongs to another animal.
pub fn register(
    tx: &mut Tx<'_>,
    form: &AnimalForm,
    worn: Option<&Tag>,
    calved: Option<(Date, u8)>,
) -> Result<AnimalId, AnimalError> {
    let id = AnimalId::new();
    number_is_free(tx, &form.number, id)?;
    write(tx, id, form)?;
    tx.conn().execute(
        "UPDATE animal SET created_at = ?2 WHERE id = ?1",
        params![id.as_bytes(), tx.wall().0],
    )?;
    if let Some(worn) = worn {
        tag(tx, id, worn)?;
    }
    if let Some((date, lactation)) = calved {
        let event = NewEvent::on(id, date, EventBody::calving(lactation));
        events::record(tx, &event).map_err(Box::new)?;
        // The form's word on the status stands: she may be dry again.
        set_status(tx, id, form.status)?;
    }
    tx.audit("animal.register", &id.to_string(), None)?;
    tx.tell(Change::Animal { animal: id });
    Ok(id)
}

/// Changes what is said of an animal.
///
/// # Errors
/// When there is no such animal or its number belongs to another.
pub fn edit(tx: &mut Tx<'_>, id: AnimalId, form: &AnimalForm) -> Result<(), AnimalError> {
    get_exact(tx.conn(), id)?.ok_or(AnimalError::Unknown)?;
    number_is_free(tx, &form.number, id)?;
    write(tx, id, form)?;
    tx.audit("animal.edit", &id.to_string(), None)?;
    tx.tell(Change::Animal { animal: id });
    Ok(())
}

/// Moves an animal to another status.
///
/// # Errors
/// When there is no such animal.
pub fn set_status(tx: &mut Tx<'_>, id: AnimalId, status: AnimalStatus) -> Result<(), AnimalError> {
    let n = tx.conn().execute(
        "UPDATE animal SET status = ?2 WHERE id = ?1",
        params![id.as_bytes(), status.key()],
    )?;
    if n == 0 {
        return Err(AnimalError::Unknown);
    }
    tx.tell(Change::Animal { animal: id });
    Ok(())
}

/// Puts a tag on an animal. Tags it wore before become aliases only by [`untag`]; an animal may wear two (one per ear).
///
/// # Errors
/// When another animal wears the tag, or there is no such animal.
pub fn tag(tx: &mut Tx<'_>, animal: AnimalId, tag: &Tag) -> Result<(), AnimalError> {
    get_exact(tx.conn(), animal)?.ok_or(AnimalError::Unknown)?;
    let wearer: Option<[u8; 16]> = tx
        .conn()
        .prepare_cached(
            "SELECT t.animal FROM animal_tag t JOIN animal a ON a.id = t.animal
             WHERE t.tag = ?1 AND t.until_at IS NULL AND a.merged_into IS NULL
             ORDER BY t.animal = ?2 LIMIT 1",
        )?
        .query_row(params![tag.to_string(), animal.as_bytes()], |row| {
            row.get(0)
        })
        .optional()?;
    match wearer.map(AnimalId::from_bytes) {
        Some(other) if other != animal => return Err(AnimalError::TagTaken(tag.clone(), other)),
        Some(_) => return Ok(()),
        None => {}
    }
    tx.conn().execute(
        "INSERT INTO animal_tag (id, animal, tag, from_at) VALUES (?1, ?2, ?3, ?4)",
        params![
            Uuid::now_v7().as_bytes(),
            animal.as_bytes(),
            tag.to_string(),
            tx.wall().0
        ],
    )?;
    tx.audit(
        "animal.tag",
        &animal.to_string(),
        Some(&serde_json::json!({ "tag": tag })),
    )?;
    tx.tell(Change::Animal { animal });
    Ok(())
}

/// Takes a tag off; it still names the animal until another one wears it.
///
/// # Errors
/// When the database fails.
pub fn untag(tx: &mut Tx<'_>, animal: AnimalId, tag: &Tag) -> Result<(), AnimalError> {
    tx.conn().execute(
        "UPDATE animal_tag SET until_at = ?3 WHERE animal = ?1 AND tag = ?2 AND until_at IS NULL",
        params![animal.as_bytes(), tag.to_string(), tx.wall().0],
    )?;
    tx.audit(
        "animal.untag",
        &animal.to_string(),
        Some(&serde_json::json!({ "tag": tag })),
    )?;
    tx.tell(Change::Animal { animal });
    Ok(())
}

/// Joins a duplicate to the animal that stays: tags, events, holds and milk become that one's.
///
/// Facts are not rewritten: what is the duplicate's is found through `merged_into`, and the projections are moved.
///
/// # Errors
/// When either is unknown or both are the same.
pub fn merge(tx: &mut Tx<'_>, duplicate: AnimalId, stays: AnimalId) -> Result<(), AnimalError> {
    if duplicate == stays {
        return Err(AnimalError::Same);
    }
    let from = get_exact(tx.conn(), duplicate)?.ok_or(AnimalError::Unknown)?;
    let into = super::get(tx.conn(), stays)?.ok_or(AnimalError::Unknown)?;
    if from.merged_into.is_some() || into.id == duplicate {
        return Err(AnimalError::Same);
    }
    tx.conn().execute(
        "UPDATE animal SET merged_into = ?2 WHERE id = ?1",
        params![duplicate.as_bytes(), into.id.as_bytes()],
    )?;
    tx.conn().execute(
        "UPDATE animal_tag SET animal = ?2 WHERE animal = ?1",
        params![duplicate.as_bytes(), into.id.as_bytes()],
    )?;
    milkings::follow_animal(tx, duplicate)?;
    for animal in [duplicate, into.id] {
        events::follow(tx, animal)?;
    }
    tx.audit(
        "animal.merge",
        &into.id.to_string(),
        Some(&serde_json::json!({ "duplicate": duplicate })),
    )?;
    tx.tell(Change::Animal { animal: duplicate });
    tx.tell(Change::Animal { animal: into.id });
    Ok(())
}

fn number_is_free(tx: &Tx<'_>, number: &Name, id: AnimalId) -> Result<(), AnimalError> {
    let other: Option<[u8; 16]> = tx
        .conn()
        .prepare_cached(
            "SELECT id FROM animal WHERE number = ?1 AND id <> ?2 AND merged_into IS NULL
             AND status NOT IN ('sold', 'dead') LIMIT 1",
        )?
        .query_row(params![number.as_str(), id.as_bytes()], |row| row.get(0))
        .optional()?;
    match other {
        Some(other) => Err(AnimalError::NumberTaken(
            number.to_string(),
            AnimalId::from_bytes(other),
        )),
        None => Ok(()),
    }
}

fn write(tx: &Tx<'_>, id: AnimalId, form: &AnimalForm) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "INSERT INTO animal (id, number, name, sex, breed, birth_date, herd_group, status, dam, sire, note, name_en)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
             ON CONFLICT (id) DO UPDATE SET number = ?2, name = ?3, sex = ?4, breed = ?5, birth_date = ?6,
                herd_group = ?7, status = ?8, dam = ?9, sire = ?10, note = ?11, name_en = ?12",
        )?
        .execute(params![
            id.as_bytes(),
            form.number.as_str(),
            form.name.as_ref().map(Name::as_str),
            form.sex.key(),
            form.breed.as_ref().map(Name::as_str),
            form.birth_date.map(|d| d.to_string()),
            form.group.as_ref().map(Name::as_str),
            form.status.key(),
            form.dam.as_ref().map(AnimalId::as_bytes),
            form.sire.as_ref().map(Name::as_str),
            form.note.as_ref().map(Note::as_str),
            form.name_en.as_ref().map(Name::as_str),
        ])?;
    Ok(())
}
