//! The code with which the first owner enters: in a file that only the appliance's user may read, until there is an owner.

use std::path::Path;

use anyhow::Context as _;
use farm::Farm;

/// The code that the first owner must type: in a file that only this user may read, until there is an owner.
pub(super) async fn open(farm: &Farm, dir: &Path) -> anyhow::Result<Option<String>> {
    let path = dir.join("setup-code");
    let has_owner = farm
        .read(farm::staff::list)
        .await?
        .iter()
        .any(|s| s.active && s.role == farm_model::Role::Owner);
    if has_owner {
        if path.exists() {
            std::fs::remove_file(&path)
                .with_context(|| format!("cannot remove {}", path.display()))?;
        }
        return Ok(None);
    }
    match std::fs::read_to_string(&path) {
        Ok(code) if is_setup_code(code.trim()) => return Ok(Some(code.trim().to_owned())),
        // The power went while it was written: half a code is none.
        Ok(_) => std::fs::remove_file(&path)
            .with_context(|| format!("cannot remove {}", path.display()))?,
        Err(_) => {}
    }
    let code = format!("{:08}", rand::random_range(0..100_000_000));
    write_private(&path, &code).with_context(|| format!("cannot write {}", path.display()))?;
    tracing::warn!(file = %path.display(), "nobody can log in yet: open the pages and give the code that stands in this file");
    Ok(Some(code))
}

/// An empty or shortened code would let anybody in.
fn is_setup_code(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit())
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let mut file = std::fs::File::options()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use farm::Options;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn half_a_setup_code_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("setup-code");
        let farm = Farm::open(&dir.path().join("farm.db"), Options::default()).unwrap();
        for damaged in ["", "\n", "1234"] {
            std::fs::write(&path, damaged).unwrap();
            let code = open(&farm, dir.path()).await.unwrap().unwrap();
            assert!(is_setup_code(&code), "{damaged:?} became {code:?}");
            let again = open(&farm, dir.path()).await.unwrap();
            assert_eq!(again, Some(code), "a whole one is kept");
        }
    }
}
