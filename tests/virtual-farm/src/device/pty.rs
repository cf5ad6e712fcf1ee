//! A serial port that is a pseudo-terminal: this end is the device, the other is what the edge opens.
//!
//! The farm keeps the far side open itself, so that it stays raw and this side never sees an error while the edge is
//! away. Two things follow, and are made good here: bytes that nobody reads would wait for the next opener, where a
//! serial port loses them; and an opener that died without leaving would keep its exclusive hold.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::fd::OwnedFd,
    os::unix::fs::{OpenOptionsExt, symlink},
    path::{Path, PathBuf},
    sync::Mutex,
    time::{Duration, Instant},
};

use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::ioctl_fionread,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{OptionalActions, QueueSelector, ioctl_tiocnxcl, tcflush, tcgetattr, tcsetattr},
};
use tokio::io::unix::AsyncFd;

/// How long bytes wait for a reader before they are lost.
const UNREAD: Duration = Duration::from_millis(500);

/// A device's end of a serial line.
#[derive(Debug)]
pub struct Pty {
    near: AsyncFd<File>,
    far: File,
    link: PathBuf,
    written: Mutex<Instant>,
}

impl Pty {
    /// A new port that `link` points to; what `link` pointed to before is replaced.
    ///
    /// # Errors
    /// When the system has no pseudo-terminal left or `link` cannot be made.
    pub fn open(link: &Path) -> io::Result<Self> {
        let near: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&near)?;
        unlockpt(&near)?;
        let name = ptsname(&near, Vec::new())?;
        let name = name.to_str().map_err(|_| io::ErrorKind::InvalidData)?;
        let far = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlags::NOCTTY.bits() as i32)
            .open(name)?;
        let mut termios = tcgetattr(&far)?;
        termios.make_raw();
        tcsetattr(&far, OptionalActions::Now, &termios)?;
        let flags = fcntl_getfl(&near)?;
        fcntl_setfl(&near, flags | OFlags::NONBLOCK)?;
        replace_link(Path::new(name), link)?;
        Ok(Self {
            near: watch(near.into())?,
            far,
            link: link.to_owned(),
            written: Mutex::new(Instant::now()),
        })
    }

    /// Sends `bytes`; a line that nobody reads loses them.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub async fn send(&self, bytes: &[u8]) -> io::Result<()> {
        self.tidy()?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let mut guard = self.near.writable().await?;
            match guard.try_io(|near| near.get_ref().write(rest)) {
                Ok(count) => rest = &rest[count?..],
                Err(_) => continue,
            }
        }
        *self
            .written
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Instant::now();
        Ok(())
    }

    /// Waits for bytes from the edge.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub async fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut guard = self.near.readable().await?;
            if let Ok(count) = guard.try_io(|near| near.get_ref().read(buffer)) {
                return count;
            }
        }
    }

    /// Loses what nobody has read in time, and the exclusive hold of an opener that died. To be called now and then.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn tidy(&self) -> io::Result<()> {
        ioctl_tiocnxcl(&self.far)?;
        let written = *self
            .written
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if written.elapsed() > UNREAD && ioctl_fionread(&self.far)? > 0 {
            tcflush(&self.far, QueueSelector::IFlush)?;
        }
        Ok(())
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // A link that cannot be removed points to a terminal that is gone, and the next farm replaces it.
        let _ = std::fs::remove_file(&self.link);
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe; a `File` keeps its descriptor, which is all that it asks"
)]
fn watch(near: File) -> io::Result<AsyncFd<File>> {
    AsyncFd::new(near)
}

fn replace_link(target: &Path, link: &Path) -> io::Result<()> {
    match std::fs::remove_file(link) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => symlink(target, link),
    }
}
