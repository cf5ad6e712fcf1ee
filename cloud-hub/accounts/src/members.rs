//! Who belongs to a farm, and who is invited to. Invariant: a farm has an owner.

use hub_store::{Micros, StoreError, Tx, args};

use crate::{Account, AccountId, Actor, Email, FarmId, Role, Secret, audit, ids::InvitationId};

/// An invitation ends this long after it was made.
const LIVES_S: i64 = 7 * 86_400;
/// Invitations of a farm that wait at once.
const WAITING: i64 = 100;

/// Somebody who belongs to a farm.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Who.
    pub account: Account,
    /// What they may do.
    pub role: Role,
    /// Since when.
    pub since: Micros,
}

/// An invitation that waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invitation {
    /// Identity.
    pub id: InvitationId,
    /// Whom it is for.
    pub email: String,
    /// What they will be able to do.
    pub role: Role,
    /// When it ends.
    pub expires: Micros,
}

/// What somebody with an invitation is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invited {
    /// Whom it is for.
    pub email: Email,
    /// What they will be able to do.
    pub role: Role,
    /// The farm.
    pub farm: FarmId,
    /// Its name.
    pub farm_name: String,
    /// Who invited them.
    pub by: String,
    /// Whether the address has an account already.
    pub has_account: bool,
    id: InvitationId,
}

/// Why members were not changed.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// No such member or invitation, or it is for somebody else.
    #[error("this is not known any more: go back and reload the page")]
    Unknown,
    /// The last owner would be gone.
    #[error("one owner must remain: make somebody else an owner first")]
    LastOwner,
    /// They belong to the farm already.
    #[error("they belong to the farm already: change their role in the list")]
    Already,
    /// Too many wait.
    #[error("{WAITING} invitations wait already: withdraw those that are not needed")]
    TooMany,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Who belongs to a farm, by name.
///
/// # Errors
/// When the database fails.
pub fn list(tx: &mut Tx<'_>, farm: FarmId) -> Result<Vec<Member>, StoreError> {
    tx.all(
        "SELECT a.id, a.email, a.name, a.created_at, a.totp_since, m.role, m.since
         FROM member m JOIN account a ON a.id = m.account WHERE m.farm = $1 ORDER BY a.name, a.id",
        args![farm],
        |row| {
            Ok(Member {
                account: Account {
                    id: row.get(0)?,
                    email: row.get(1)?,
                    name: row.get(2)?,
                    created: row.get(3)?,
                    second_factor: row.get::<Option<i64>>(4)?.is_some(),
                },
                role: row.get(5)?,
                since: row.get(6)?,
            })
        },
    )
}

/// Makes somebody a member, or gives a member this role. Who may do so was settled before.
pub(crate) fn put(
    tx: &mut Tx<'_>,
    farm: FarmId,
    account: AccountId,
    role: Role,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO member (farm, account, role, since) VALUES ($1, $2, $3, $4)
         ON CONFLICT (farm, account) DO UPDATE SET role = excluded.role",
        args![farm, account, role, tx.now()],
    )?;
    Ok(())
}

/// Gives a member another role.
///
/// # Errors
/// [`MemberError::Unknown`] or [`MemberError::LastOwner`].
pub fn set_role(
    tx: &mut Tx<'_>,
    by: AccountId,
    farm: FarmId,
    who: AccountId,
    role: Role,
) -> Result<(), MemberError> {
    let changed = tx.execute(
        "UPDATE member SET role = $3 WHERE farm = $1 AND account = $2",
        args![farm, who, role],
    )?;
    if changed == 0 {
        return Err(MemberError::Unknown);
    }
    still_owned(tx, farm)?;
    let by = Actor::Account(by);
    audit::record(
        tx,
        by,
        Some(farm),
        "member.role",
        &who.to_string(),
        role.key(),
    )?;
    Ok(())
}

/// Takes somebody out of a farm.
///
/// # Errors
/// [`MemberError::Unknown`] or [`MemberError::LastOwner`].
pub fn remove(
    tx: &mut Tx<'_>,
    by: AccountId,
    farm: FarmId,
    who: AccountId,
) -> Result<(), MemberError> {
    let removed = tx.execute(
        "DELETE FROM member WHERE farm = $1 AND account = $2",
        args![farm, who],
    )?;
    if removed == 0 {
        return Err(MemberError::Unknown);
    }
    still_owned(tx, farm)?;
    let by = Actor::Account(by);
    audit::record(tx, by, Some(farm), "member.remove", &who.to_string(), "")?;
    Ok(())
}

/// What was done before it is undone when nobody owns the farm any more.
fn still_owned(tx: &mut Tx<'_>, farm: FarmId) -> Result<(), MemberError> {
    let owned = tx.exists(
        "SELECT 1 FROM member WHERE farm = $1 AND role = $2",
        args![farm, Role::Owner],
    )?;
    if owned {
        Ok(())
    } else {
        Err(MemberError::LastOwner)
    }
}

/// Invites whoever has this address; an invitation that was sent there before ends.
///
/// # Errors
/// [`MemberError::Already`] or [`MemberError::TooMany`].
pub fn invite(
    tx: &mut Tx<'_>,
    by: AccountId,
    farm: FarmId,
    email: &Email,
    role: Role,
) -> Result<Secret, MemberError> {
    let belongs = tx.exists(
        "SELECT 1 FROM member m JOIN account a ON a.id = m.account WHERE m.farm = $1 AND a.email = $2",
        args![farm, email.as_str()],
    )?;
    if belongs {
        return Err(MemberError::Already);
    }
    let now = tx.now();
    tx.execute(
        "DELETE FROM invitation WHERE farm = $1 AND (email = $2 OR expires_at <= $3)",
        args![farm, email.as_str(), now],
    )?;
    let waiting: Option<i64> = tx.first(
        "SELECT count(*) FROM invitation WHERE farm = $1",
        args![farm],
        |row| row.get(0),
    )?;
    if waiting.unwrap_or(0) >= WAITING {
        return Err(MemberError::TooMany);
    }
    let (id, secret) = (InvitationId::new(), Secret::fresh());
    tx.execute(
        "INSERT INTO invitation (id, hash, farm, email, role, invited_by, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        args![
            id,
            secret.hash(),
            farm,
            email.as_str(),
            role,
            by,
            now,
            now.plus_seconds(LIVES_S)
        ],
    )?;
    let by = Actor::Account(by);
    audit::record(
        tx,
        by,
        Some(farm),
        "invitation.make",
        email.as_str(),
        role.key(),
    )?;
    Ok(secret)
}

/// The invitations of a farm that wait, by address.
///
/// # Errors
/// When the database fails.
pub fn invitations(tx: &mut Tx<'_>, farm: FarmId) -> Result<Vec<Invitation>, StoreError> {
    tx.all(
        "SELECT id, email, role, expires_at FROM invitation WHERE farm = $1 AND expires_at > $2 ORDER BY email",
        args![farm, tx.now()],
        |row| {
            Ok(Invitation {
                id: row.get(0)?,
                email: row.get(1)?,
                role: row.get(2)?,
                expires: row.get(3)?,
            })
        },
    )
}

/// Ends an invitation.
///
/// # Errors
/// [`MemberError::Unknown`].
pub fn withdraw(
    tx: &mut Tx<'_>,
    by: AccountId,
    farm: FarmId,
    id: InvitationId,
) -> Result<(), MemberError> {
    let email: Option<String> = tx.first(
        "DELETE FROM invitation WHERE id = $1 AND farm = $2 RETURNING email",
        args![id, farm],
        |row| row.get(0),
    )?;
    let email = email.ok_or(MemberError::Unknown)?;
    let by = Actor::Account(by);
    audit::record(tx, by, Some(farm), "invitation.withdraw", &email, "")?;
    Ok(())
}

/// What this invitation is; nothing when it ended.
///
/// # Errors
/// When the database fails.
pub fn invited(tx: &mut Tx<'_>, secret: &Secret) -> Result<Option<Invited>, StoreError> {
    tx.first(
        "SELECT i.id, i.email, i.role, i.farm, f.name, by_whom.name, known.id
         FROM invitation i JOIN farm f ON f.id = i.farm JOIN account by_whom ON by_whom.id = i.invited_by
         LEFT JOIN account known ON known.email = i.email
         WHERE i.hash = $1 AND i.expires_at > $2 AND f.gone_at IS NULL",
        args![secret.hash(), tx.now()],
        |row| {
            Ok(Invited {
                id: row.get(0)?,
                email: row.get(1)?,
                role: row.get(2)?,
                farm: row.get(3)?,
                farm_name: row.get(4)?,
                by: row.get(5)?,
                has_account: row.get::<Option<AccountId>>(6)?.is_some(),
            })
        },
    )
}

/// Takes an invitation up; it is for the account of its address alone.
///
/// # Errors
/// [`MemberError::Unknown`].
pub fn accept(tx: &mut Tx<'_>, secret: &Secret, who: &Account) -> Result<FarmId, MemberError> {
    let invited = invited(tx, secret)?.filter(|i| i.email.as_str() == who.email);
    let Invited { farm, role, id, .. } = invited.ok_or(MemberError::Unknown)?;
    tx.execute("DELETE FROM invitation WHERE id = $1", args![id])?;
    put(tx, farm, who.id, role)?;
    let by = Actor::Account(who.id);
    audit::record(
        tx,
        by,
        Some(farm),
        "invitation.accept",
        &who.id.to_string(),
        role.key(),
    )?;
    Ok(farm)
}
