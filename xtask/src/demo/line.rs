//! The line between the demo's farm and its hub, and the page on which it is cut and joined.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    thread,
    time::Duration,
};

use super::first_free;

/// How long the far end, or a browser that has connected, is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// No browser asks for the page with more bytes than this.
const LONGEST_REQUEST: u64 = 16 * 1024;

/// A line that can be cut: connections end, and new ones come to nothing.
pub(super) struct Line {
    /// Where the appliance finds the hub.
    pub(super) near: SocketAddr,
    /// Where a browser finds the page.
    pub(super) page: SocketAddr,
}

impl Line {
    /// A line to a port of this machine, and its page: on the next free ports. The page leads back to the farm's and to the hub's.
    pub(super) fn to(far: u16, sides: [String; 2]) -> anyhow::Result<Self> {
        let door = first_free(Ipv4Addr::LOCALHOST, far.saturating_add(1))?;
        let near = door.local_addr()?;
        let pages = first_free(Ipv4Addr::LOCALHOST, near.port().saturating_add(1))?;
        let page = pages.local_addr()?;
        let ends = Arc::new(Ends::default());
        let shown = Arc::clone(&ends);
        let far = SocketAddr::from((Ipv4Addr::LOCALHOST, far));
        thread::spawn(move || {
            for caller in door.incoming().flatten() {
                ends.connect(caller, far);
            }
        });
        let sides = Arc::new(sides);
        thread::spawn(move || {
            for visitor in pages.incoming().flatten() {
                // Browsers connect in advance and then say nothing, so nobody waits for another.
                let (ends, sides) = (Arc::clone(&shown), Arc::clone(&sides));
                // A visitor who goes away needs no answer.
                thread::spawn(move || answer(&visitor, &ends, &sides).ok());
            }
        });
        Ok(Self { near, page })
    }
}

/// Caller and called.
type Connection = (TcpStream, TcpStream);

/// What is connected; `None` while the line is cut.
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

    /// Cuts it, in the middle of whatever is under way.
    fn cut(&self) {
        let ends = self.lock().take();
        for end in ends.iter().flatten().filter_map(Weak::upgrade) {
            for side in [&end.0, &end.1] {
                // It may have ended by itself.
                let _ = side.shutdown(Shutdown::Both);
            }
        }
    }

    fn join(&self) {
        self.lock().get_or_insert_default();
    }

    fn is_joined(&self) -> bool {
        self.lock().is_some()
    }
}

fn carry(mut from: &TcpStream, mut to: &TcpStream) {
    // Whichever end closes first, the other one learns of it.
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
}

/// Answers one request of a browser and closes.
fn answer(mut visitor: &TcpStream, ends: &Ends, sides: &[String; 2]) -> io::Result<()> {
    visitor.set_read_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(visitor.take(LONGEST_REQUEST)).lines();
    let asked = lines.next().transpose()?.unwrap_or_default();
    while lines
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    let mut words = asked.split(' ');
    match (words.next(), words.next()) {
        (Some("POST"), Some("/cut")) => ends.cut(),
        (Some("POST"), Some("/join")) => ends.join(),
        (Some("GET"), Some("/")) => {
            let page = page(ends.is_joined(), sides);
            return write!(
                visitor,
                "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n\
                 Content-Length: {}\r\nConnection: close\r\n\r\n{page}",
                page.len()
            );
        }
        _ => {
            return visitor.write_all(
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            );
        }
    }
    visitor.write_all(
        b"HTTP/1.1 303 See Other\r\nLocation: /\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    )
}

/// The page, in both languages at once: it has nobody's choice to go by.
fn page(is_joined: bool, [farm, hub]: &[String; 2]) -> String {
    let (state, bengali, action, button) = if is_joined {
        (
            "The line is joined.",
            "লাইন জোড়া আছে।",
            "/cut",
            "Cut the line · লাইন কাটুন",
        )
    } else {
        (
            "The line is cut.",
            "লাইন কাটা আছে।",
            "/join",
            "Join the line · লাইন জোড়া দিন",
        )
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{state}</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n\
         <style>:root {{ color-scheme: light dark }} body {{ font: 1.1rem/1.5 system-ui, sans-serif; max-width: 34rem; \
         margin: 2rem auto; padding: 0 1rem }} button {{ font: inherit; min-height: 3rem; padding: 0 1.5rem }}</style>\n\
         <h1>{state}<br><span lang=\"bn\">{bengali}</span></h1>\n\
         <form method=\"post\" action=\"{action}\"><button>{button}</button></form>\n\
         <p><a href=\"{farm}\">The farm · খামার</a> &nbsp; <a href=\"{hub}\">The hub · হাব</a>\n\
         <p>Farm and hub both work while the line is cut, and agree soon after it is joined; \
         <em>Send now</em> on the farm’s Hub page does not wait.\n\
         <p lang=\"bn\">লাইন কাটা থাকলেও খামার ও হাব দুটোই চলে; জোড়া দিলে একটু পরেই মিলে যায়। \
         অপেক্ষা না করতে খামারের হাব পাতায় <em>এখনই পাঠান</em> চাপুন।\n"
    )
}
