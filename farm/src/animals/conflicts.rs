//! Tags and numbers that several animals have, because two places have done what no single one would allow: with who did what when,
//! and the one word that settles it.
//!
//! Looked for when somebody looks, so that it is settled everywhere as soon as it is no longer so. Two who settle a tag apart, each for
//! another animal, leave it on none: that is a conflict again, until somebody has the last word.

use farm_model::{AnimalId, Tag, UnixMillis};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use uuid::Uuid;

use super::{AnimalError, get};
use crate::{
    sql,
    store::{Change, StoreError, Tx},
};

/// Something two sites have done that no single one would allow.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Conflict {
    /// One tag on several animals.
    Tag {
        /// The tag.
        tag: Tag,
        /// Who wear it, or of whom different people said so.
        animals: Vec<AnimalId>,
        /// Who put it on whom.
        said: Vec<Said>,
    },
    /// One number for several animals that are present.
    Number {
        /// The number.
        number: String,
        /// Who have it.
        animals: Vec<AnimalId>,
        /// Who last wrote down each of them.
        said: Vec<Said>,
    },
}

/// Who gave an animal what another has too, and when that was written down.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Said {
    /// The animal.
    pub animal: AnimalId,
    /// When.
    pub at: UnixMillis,
    /// Who, as facts name them.
    pub actor: String,
}

/// Tags and numbers that several animals have.
///
/// # Errors
/// When the database fails.
pub fn conflicts(conn: &Connection) -> Result<Vec<Conflict>, StoreError> {
    let mut found = Vec::new();
    let mut statement = conn.prepare_cached(
        "SELECT tag FROM animal_tag t JOIN animal a ON a.id = t.animal
         WHERE t.until_at IS NULL AND a.merged_into IS NULL GROUP BY tag HAVING count(DISTINCT animal) > 1",
    )?;
    let tags = statement.query_map([], |row| sql::tag_opt(row, 0))?;
    for tag in sql::known(tags)? {
        let animals = ids(
            conn,
            "SELECT DISTINCT t.animal FROM animal_tag t JOIN animal a ON a.id = t.animal
             WHERE t.tag = ?1 AND t.until_at IS NULL AND a.merged_into IS NULL ORDER BY 1",
            &tag.to_string(),
        )?;
        let said = who_tagged(conn, &tag, &animals)?;
        found.push(Conflict::Tag { tag, animals, said });
    }
    found.extend(settled_apart(conn)?);
    let mut statement = conn.prepare_cached(
        "SELECT number FROM animal WHERE merged_into IS NULL AND number <> '' AND status NOT IN ('sold', 'dead')
         GROUP BY number HAVING count(*) > 1",
    )?;
    let numbers = statement.query_map([], |row| row.get::<_, String>(0))?;
    for number in numbers.collect::<Result<Vec<_>, _>>()? {
        let animals = ids(
            conn,
            "SELECT id FROM animal WHERE number = ?1 AND merged_into IS NULL AND status NOT IN ('sold', 'dead') ORDER BY 1",
            &number,
        )?;
        let said = who_wrote(conn, &animals)?;
        found.push(Conflict::Number {
            number,
            animals,
            said,
        });
    }
    Ok(found)
}

/// Says on whom a tag stays that several animals have: it is taken off all others.
///
/// # Errors
/// When there is no such animal.
pub fn keep_tag(tx: &mut Tx<'_>, tag: &Tag, animal: AnimalId) -> Result<(), AnimalError> {
    let animal = get(tx.conn(), animal)?.ok_or(AnimalError::Unknown)?.id;
    let others = ids(
        tx.conn(),
        "SELECT DISTINCT animal FROM animal_tag WHERE tag = ?1 AND until_at IS NULL AND animal IS NOT NULL",
        &tag.to_string(),
    )?;
    tx.conn().execute(
        "UPDATE animal_tag SET until_at = ?3 WHERE tag = ?1 AND animal IS NOT ?2 AND until_at IS NULL",
        params![tag.to_string(), animal.as_bytes(), tx.wall().0],
    )?;
    if !others.contains(&animal) {
        tx.conn().execute(
            "INSERT INTO animal_tag (id, animal, tag, from_at) VALUES (?1, ?2, ?3, ?4)",
            params![
                Uuid::now_v7().as_bytes(),
                animal.as_bytes(),
                tag.to_string(),
                tx.wall().0
            ],
        )?;
    }
    let detail = serde_json::json!({ "tag": tag });
    tx.audit("animal.keep_tag", &animal.to_string(), Some(&detail))?;
    for animal in others.into_iter().chain([animal]) {
        tx.tell(Change::Animal { animal });
    }
    Ok(())
}

/// Entries about tags, as their index has them.
const ABOUT_TAGS: &str = "FROM audit INDEXED BY audit_tag WHERE action IN ('animal.tag', 'animal.untag', 'animal.keep_tag')";

/// Tags that nobody wears, because different people kept each for another animal, and nobody has had a word on them since.
fn settled_apart(conn: &Connection) -> Result<Vec<Conflict>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT DISTINCT json_extract(detail, '$.tag') AS tag FROM audit INDEXED BY audit_kept_tag WHERE action = 'animal.keep_tag'
            AND NOT EXISTS (SELECT 1 FROM animal_tag t WHERE t.tag = json_extract(audit.detail, '$.tag') AND t.until_at IS NULL)",
    )?;
    let tags = statement.query_map([], |row| sql::tag_opt(row, 0))?;
    let mut found = Vec::new();
    for tag in sql::known(tags)? {
        let mut newest = conn.prepare_cached(&format!(
            "SELECT subject, at, actor, action {ABOUT_TAGS} AND json_extract(detail, '$.tag') = ?1 ORDER BY at DESC, seq DESC"
        ))?;
        let mut rows = newest.query([tag.to_string()])?;
        let mut said: Vec<Said> = Vec::new();
        while let Some(row) = rows.next()? {
            if row.get_ref(3)?.as_str() != Ok("animal.keep_tag") {
                break;
            }
            if let Some(one) = read_said(row)?
                && said.iter().all(|known| known.animal != one.animal)
                && get(conn, one.animal)?.is_some_and(|animal| animal.id == one.animal)
            {
                said.push(one);
            }
        }
        if said.len() > 1 {
            said.sort_by_key(|one| one.animal);
            let animals = said.iter().map(|one| one.animal).collect();
            found.push(Conflict::Tag { tag, animals, said });
        }
    }
    Ok(found)
}

fn who_tagged(conn: &Connection, tag: &Tag, animals: &[AnimalId]) -> Result<Vec<Said>, StoreError> {
    let mut newest = conn.prepare_cached(&format!(
        "SELECT subject, at, actor {ABOUT_TAGS} AND json_extract(detail, '$.tag') = ?1 AND subject = ?2
            AND action <> 'animal.untag' ORDER BY at DESC, seq DESC LIMIT 1"
    ))?;
    let mut said = Vec::new();
    for animal in animals {
        let key = params![tag.to_string(), animal.to_string()];
        said.extend(newest.query_row(key, read_said).optional()?.flatten());
    }
    Ok(said)
}

/// A conflict over a number is rare, so the log may be looked through.
fn who_wrote(conn: &Connection, animals: &[AnimalId]) -> Result<Vec<Said>, StoreError> {
    let mut newest = conn.prepare_cached(
        "SELECT subject, at, actor FROM audit WHERE action IN ('animal.register', 'animal.edit') AND subject = ?1
         ORDER BY at DESC, seq DESC LIMIT 1",
    )?;
    let mut said = Vec::new();
    for animal in animals {
        let found = newest
            .query_row([animal.to_string()], read_said)
            .optional()?;
        said.extend(found.flatten());
    }
    Ok(said)
}

fn read_said(row: &Row<'_>) -> rusqlite::Result<Option<Said>> {
    let Ok(animal) = sql::text(row, 0)?.parse() else {
        return Ok(None);
    };
    Ok(Some(Said {
        animal,
        at: UnixMillis(row.get(1)?),
        actor: sql::text(row, 2)?,
    }))
}

fn ids(conn: &Connection, sql: &str, value: &str) -> Result<Vec<AnimalId>, StoreError> {
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map(params![value], |row| sql::id(row, 0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
