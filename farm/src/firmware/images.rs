//! The images that are on the shelf: checked when they come, their bytes in files, and those that were refused with the reason.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use farm_firmware::{Header, ImageError, TrustedKey};
use farm_model::{UnixMillis, hex};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::FirmwareError;
use crate::store::{Actor, Change, Farm, StoreError, Tx, store_error};

/// Images kept at once.
pub const MOST_IMAGES: i64 = 64;
/// Refused files remembered.
const MOST_REFUSED: i64 = 20;
/// Characters kept of a file's name.
const NAME: usize = 80;

/// Number of an image.
pub type ImageNumber = i64;

/// An image, or a file that was refused.
#[derive(Clone, PartialEq, Debug)]
pub struct Image {
    /// Its number.
    pub id: ImageNumber,
    /// What the file was called.
    pub file: String,
    /// When it came.
    pub added: UnixMillis,
    /// What the file says of itself, if it could be read. Of a refused one it is hearsay.
    pub header: Option<Header>,
    /// Why it was refused; none if it may be offered.
    pub refused: Option<ImageError>,
    /// The key that signed it, as a line of PEM.
    pub signer: Option<String>,
}

/// Why an image was not put on the shelf.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// It is not what a trusted vendor signed.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The shelf is full.
    #[error("there are {MOST_IMAGES} images already: remove some first")]
    TooMany,
    /// Its bytes cannot be kept.
    #[error(
        "the image cannot be written to the data folder ({0}): check the disk, then add it again"
    )]
    Disk(#[from] std::io::Error),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
store_error!(AddError);

/// Where images lie, and whose signature is believed.
#[derive(Clone, Debug)]
pub struct Shelf {
    folder: PathBuf,
    keys: Vec<TrustedKey>,
    /// Held while files and their entries are not the same: nobody sweeps away what is about to be entered.
    tidying: Arc<Mutex<()>>,
}

impl Shelf {
    /// The shelf in `folder`, which is made when the first image comes.
    pub fn new(folder: impl Into<PathBuf>, keys: Vec<TrustedKey>) -> Self {
        Self {
            folder: folder.into(),
            keys,
            tidying: Arc::default(),
        }
    }

    /// Whose signature is believed.
    pub fn keys(&self) -> &[TrustedKey] {
        &self.keys
    }

    /// Takes in the file of an image: checks it, keeps its bytes, enters it. One that is there already is not entered twice; one
    /// that is refused is remembered as such. Waits for the disk: not for the async runtime.
    ///
    /// # Errors
    /// When it is not an image that a trusted vendor signed, or cannot be kept.
    pub fn add(
        &self,
        farm: &Farm,
        actor: Actor,
        name: &str,
        file: &[u8],
    ) -> Result<ImageNumber, AddError> {
        let name = tidy(name);
        let checked = Header::parse(file).map(|(header, image)| {
            let signer = header.verify(image, &self.keys);
            (header, image, signer)
        });
        let (header, refused) = match checked {
            Ok((header, image, Ok(signer))) => {
                let _tidying = self.tidying();
                let full = |conn: &Connection| Ok::<_, StoreError>(count(conn)? >= MOST_IMAGES);
                if farm.read_blocking(full)? {
                    return Err(AddError::TooMany);
                }
                self.keep(&header, image)?;
                return Ok(farm.write_blocking(actor, move |tx| enter(tx, &name, &header, signer))?);
            }
            Ok((header, _, Err(why))) => (Some(header), why),
            Err(why) => (None, why),
        };
        farm.write_blocking(actor, move |tx| {
            remember(tx, &name, header.as_ref(), refused)
        })?;
        Err(refused.into())
    }

    /// Bytes of an image from `offset` on.
    ///
    /// # Errors
    /// When the file is gone or shorter.
    pub fn read(&self, hash: &[u8; 32], offset: u32, length: u16) -> std::io::Result<Vec<u8>> {
        let mut file = File::open(self.path(hash))?;
        file.seek(SeekFrom::Start(offset.into()))?;
        let mut bytes = vec![0; length.into()];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Removes files that no image needs any more.
    ///
    /// # Errors
    /// When the database fails; a file that cannot be removed is only logged.
    pub fn sweep(&self, farm: &Farm) -> Result<(), StoreError> {
        let _tidying = self.tidying();
        let Ok(entries) = std::fs::read_dir(&self.folder) else {
            return Ok(());
        };
        let known: Vec<PathBuf> = farm
            .read_blocking(images)?
            .iter()
            .filter(|image| image.refused.is_none())
            .filter_map(|image| Some(self.path(&image.header.as_ref()?.hash)))
            .collect();
        for path in entries.flatten().map(|entry| entry.path()) {
            if !known.contains(&path)
                && let Err(error) = std::fs::remove_file(&path)
            {
                tracing::warn!(path = %path.display(), %error, "an old image cannot be removed");
            }
        }
        Ok(())
    }

    /// Durable before it is entered: under another name first, so that a file of the right name is whole.
    fn keep(&self, header: &Header, image: &[u8]) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        let path = self.path(&header.hash);
        let part = path.with_extension("part");
        let mut file = File::create(&part)?;
        file.write_all(image)?;
        file.sync_all()?;
        std::fs::rename(&part, &path)?;
        sync_folder(&self.folder)?;
        sync_folder(self.folder.parent().unwrap_or(Path::new("/")))
    }

    fn tidying(&self) -> MutexGuard<'_, ()> {
        self.tidying.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, hash: &[u8; 32]) -> PathBuf {
        self.folder.join(hex::encode(hash)).with_extension("bin")
    }
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}

/// A name as people may be shown it; whoever sent it chose it.
fn tidy(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    last.chars()
        .filter(|c| !c.is_control())
        .take(NAME)
        .collect()
}

fn count(conn: &Connection) -> Result<i64, StoreError> {
    let sql = "SELECT count(*) FROM firmware_image WHERE refused IS NULL";
    Ok(conn.query_row(sql, [], |row| row.get(0))?)
}

fn enter(
    tx: &mut Tx<'_>,
    name: &str,
    header: &Header,
    signer: TrustedKey,
) -> Result<ImageNumber, StoreError> {
    let bytes = header.to_bytes();
    let known = tx
        .conn()
        .query_row(
            "SELECT id FROM firmware_image WHERE header = ?1 AND refused IS NULL",
            [&bytes],
            |row| row.get(0),
        )
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    let id = insert(tx, name, Some(header), None, Some(&signer.to_string()))?;
    let detail = serde_json::json!({ "version": header.version.as_str(), "hardware": header.hardware.as_str() });
    tx.audit("firmware.add", &id.to_string(), Some(&detail))?;
    Ok(id)
}

fn remember(
    tx: &mut Tx<'_>,
    name: &str,
    header: Option<&Header>,
    why: ImageError,
) -> Result<(), StoreError> {
    let id = insert(tx, name, header, Some(why), None)?;
    tx.conn().execute(
        "DELETE FROM firmware_image WHERE refused IS NOT NULL AND id NOT IN
             (SELECT id FROM firmware_image WHERE refused IS NOT NULL ORDER BY id DESC LIMIT ?1)",
        [MOST_REFUSED],
    )?;
    let detail = serde_json::json!({ "file": name, "why": why.key() });
    tx.audit("firmware.refused", &id.to_string(), Some(&detail))?;
    Ok(())
}

fn insert(
    tx: &mut Tx<'_>,
    name: &str,
    header: Option<&Header>,
    refused: Option<ImageError>,
    signer: Option<&str>,
) -> Result<ImageNumber, StoreError> {
    tx.conn().execute(
        "INSERT INTO firmware_image
             (file, added_at, refused, header, hash, version, hardware, channel, size, signer)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            name,
            tx.wall().0,
            refused.map(ImageError::key),
            header.map(Header::to_bytes),
            header.map(|h| h.hash),
            header.map(|h| h.version.as_str()),
            header.map(|h| h.hardware.as_str()),
            header.map(|h| h.channel.as_str()),
            header.map(|h| h.size),
            signer,
        ],
    )?;
    tx.tell(Change::Firmware);
    Ok(tx.conn().last_insert_rowid())
}

/// Takes an image, or the memory of a refused one, off the shelf. Its file goes with [`Shelf::sweep`].
///
/// # Errors
/// When there is none, or a rollout that is not over needs it.
pub fn remove(tx: &mut Tx<'_>, id: ImageNumber) -> Result<(), FirmwareError> {
    let used: bool = tx.conn().query_row(
        "SELECT EXISTS (SELECT 1 FROM firmware_rollout WHERE image = ?1 AND phase IN ('running', 'paused'))",
        [id],
        |row| row.get(0),
    )?;
    if used {
        return Err(FirmwareError::InUse);
    }
    let n = tx
        .conn()
        .execute("DELETE FROM firmware_image WHERE id = ?1", [id])?;
    if n == 0 {
        return Err(FirmwareError::UnknownImage);
    }
    tx.conn().execute(
        "DELETE FROM firmware_update WHERE rollout IN (SELECT id FROM firmware_rollout WHERE image = ?1)",
        [id],
    )?;
    tx.conn()
        .execute("DELETE FROM firmware_rollout WHERE image = ?1", [id])?;
    tx.audit("firmware.remove", &id.to_string(), None)?;
    tx.tell(Change::Firmware);
    Ok(())
}

const COLUMNS: &str = "id, file, added_at, header, refused, signer";

/// Every image, newest first; the refused ones too.
///
/// # Errors
/// When the database fails.
pub fn images(conn: &Connection) -> Result<Vec<Image>, StoreError> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM firmware_image ORDER BY id DESC"
    ))?;
    let rows = statement.query_map([], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// One image.
///
/// # Errors
/// When the database fails.
pub fn image(conn: &Connection, id: ImageNumber) -> Result<Option<Image>, StoreError> {
    Ok(conn
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM firmware_image WHERE id = ?1"
        ))?
        .query_row([id], read)
        .optional()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Image> {
    let header: Option<Vec<u8>> = row.get(3)?;
    let refused: Option<String> = row.get(4)?;
    Ok(Image {
        id: row.get(0)?,
        file: row.get(1)?,
        added: UnixMillis(row.get(2)?),
        header: header.and_then(|bytes| Header::read(&bytes).ok()),
        refused: refused.map(|key| ImageError::from_key(&key).unwrap_or(ImageError::NotAnImage)),
        signer: row.get(5)?,
    })
}
