//! A line between two programs that can be cut: connections end, and new ones come to nothing, until it is joined again.
//!
//! It uses the standard library alone, because `xtask` builds with it.

use std::{
    io,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    thread,
    time::Duration,
};

/// How long the far end is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The line; cheap to clone. It carries until the process ends.
#[derive(Clone, Debug)]
pub struct Line {
    /// Where it begins.
    pub near: SocketAddr,
    ends: Arc<Ends>,
}

impl Line {
    /// A line to `far` from any free port of this machine.
    ///
    /// # Errors
    /// When no port is free.
    pub fn to(far: SocketAddr) -> io::Result<Self> {
        Self::from(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, far)
    }

    /// A line from `door` to `far`.
    ///
    /// # Errors
    /// When the door has no address.
    pub fn from(door: TcpListener, far: SocketAddr) -> io::Result<Self> {
        let near = door.local_addr()?;
        let ends = Arc::new(Ends::default());
        let line = Self {
            near,
            ends: Arc::clone(&ends),
        };
        thread::spawn(move || {
            for caller in door.incoming().flatten() {
                ends.connect(caller, far);
            }
        });
        Ok(line)
    }

    /// Where it begins, as a browser is told.
    pub fn url(&self) -> String {
        format!("http://{}", self.near)
    }

    /// Cuts it, in the middle of whatever is under way.
    pub fn cut(&self) {
        let ends = self.ends.lock().take();
        for end in ends.iter().flatten().filter_map(Weak::upgrade) {
            for side in [&end.0, &end.1] {
                // It may have ended by itself.
                let _ = side.shutdown(Shutdown::Both);
            }
        }
    }

    /// Joins it again.
    pub fn mend(&self) {
        self.ends.lock().get_or_insert_default();
    }

    /// Whether it is cut.
    pub fn is_cut(&self) -> bool {
        self.ends.lock().is_none()
    }
}

/// Caller and called.
type Connection = (TcpStream, TcpStream);

/// What is connected; `None` while the line is cut.
#[derive(Debug)]
struct Ends(Mutex<Option<Vec<Weak<Connection>>>>);

impl Default for Ends {
    fn default() -> Self {
        Self(Mutex::new(Some(Vec::new())))
    }
}

impl Ends {
    fn lock(&self) -> MutexGuard<'_, Option<Vec<Weak<Connection>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connect(&self, caller: TcpStream, far: SocketAddr) {
        let mut ends = self.lock();
        if let Some(ends) = ends.as_mut()
            && let Ok(called) = TcpStream::connect_timeout(&far, PATIENCE)
        {
            let connection = Arc::new((caller, called));
            ends.retain(|end| end.strong_count() > 0);
            ends.push(Arc::downgrade(&connection));
            let back = Arc::clone(&connection);
            thread::spawn(move || carry(&connection.0, &connection.1));
            thread::spawn(move || carry(&back.1, &back.0));
        }
    }
}

fn carry(mut from: &TcpStream, mut to: &TcpStream) {
    // Whichever end closes first, the other one learns of it.
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn a_cut_ends_what_is_under_way_and_joining_lets_more_through() {
        let far = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let line = Line::to(far.local_addr().unwrap()).unwrap();
        let begin = || {
            let near = TcpStream::connect(line.near).unwrap();
            near.set_read_timeout(Some(PATIENCE)).unwrap();
            near
        };
        let hear = |mut near: TcpStream| {
            let mut byte = [0];
            near.read_exact(&mut byte).map(|()| byte[0])
        };
        let near = begin();
        let (mut called, _) = far.accept().unwrap();
        called.write_all(b"a").unwrap();
        assert_eq!(hear(near.try_clone().unwrap()).unwrap(), b'a');
        line.cut();
        assert!(line.is_cut());
        assert!(hear(near).is_err(), "it ends in the middle");
        assert!(hear(begin()).is_err(), "nobody gets through");
        line.mend();
        let near = begin();
        let (mut called, _) = far.accept().unwrap();
        called.write_all(b"b").unwrap();
        assert_eq!(hear(near).unwrap(), b'b');
    }
}
