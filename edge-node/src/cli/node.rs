//! What `edge-node devices show` says of a node: what is wanted of it, and what it says of that.

use std::io::Write;

use farm::nodes::{self, Standing};
use farm_model::DeviceId;
use rusqlite::Connection;

use super::devices::day;

/// Newest commands that are shown.
const COMMANDS: usize = 5;

/// Shows what is wanted of a node, if anything is.
pub(super) fn show(
    conn: &Connection,
    device: DeviceId,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    if let Some(wanted) = nodes::settings(conn, device)? {
        let standing = match wanted.standing {
            Standing::Waiting => format!("wanted since {}", day(wanted.since)),
            Standing::InForce { at, unknown: 0 } => format!("in force since {}", day(at)),
            Standing::InForce { at, unknown } => {
                format!("in force since {}, {unknown} not known to it", day(at))
            }
            Standing::Refused { at, .. } => format!("refused on {}", day(at)),
        };
        writeln!(out, "settings      version {}  {standing}", wanted.version)?;
        for (bounds, value) in wanted.settings.values() {
            if let Some(value) = value {
                writeln!(out, "              {} {value}", bounds.key)?;
            }
        }
    }
    for command in nodes::commands(conn, device)?.iter().take(COMMANDS) {
        let answer = match command.answer {
            Some((firmware_protocol::Outcome::Done, _)) => "done",
            Some(_) => "not done",
            None => "no answer yet",
        };
        let (id, deed) = (command.id, command.deed.key());
        writeln!(
            out,
            "command       {id}  {deed}  {}  {answer}",
            day(command.asked.wall)
        )?;
    }
    Ok(())
}
