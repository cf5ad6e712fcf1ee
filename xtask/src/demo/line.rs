//! The line between the demo's farm and its hub, and the page on which it is cut and joined.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use line::Line;

use super::first_free;

/// How long a browser that has connected is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// No browser asks for the page with more bytes than this.
const LONGEST_REQUEST: u64 = 16 * 1024;

/// A line to the demo's hub, and the page that cuts it.
pub(super) struct Switched {
    /// Where the appliance finds the hub.
    pub(super) near: SocketAddr,
    /// Where a browser finds the page.
    pub(super) page: SocketAddr,
}

/// A line to a port of this machine, and its page: on the next free ports. The page leads back to the farm's and to the hub's.
pub(super) fn to(far: u16, sides: [String; 2]) -> anyhow::Result<Switched> {
    let door = first_free(Ipv4Addr::LOCALHOST, far.saturating_add(1))?;
    let line = Line::from(door, SocketAddr::from((Ipv4Addr::LOCALHOST, far)))?;
    let near = line.near;
    let pages = first_free(Ipv4Addr::LOCALHOST, near.port().saturating_add(1))?;
    let page = pages.local_addr()?;
    let sides = Arc::new(sides);
    thread::spawn(move || {
        for visitor in pages.incoming().flatten() {
            // Browsers connect in advance and then say nothing, so nobody waits for another.
            let (line, sides) = (line.clone(), Arc::clone(&sides));
            // A visitor who goes away needs no answer.
            thread::spawn(move || answer(&visitor, &line, &sides).ok());
        }
    });
    Ok(Switched { near, page })
}

/// Answers one request of a browser and closes.
fn answer(mut visitor: &TcpStream, line: &Line, sides: &[String; 2]) -> io::Result<()> {
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
        (Some("POST"), Some("/cut")) => line.cut(),
        (Some("POST"), Some("/join")) => line.mend(),
        (Some("GET"), Some("/")) => {
            let page = page(line.is_cut(), sides);
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
fn page(is_cut: bool, [farm, hub]: &[String; 2]) -> String {
    let (state, bengali, action, button) = if is_cut {
        (
            "The line is cut.",
            "লাইন কাটা আছে।",
            "/join",
            "Join the line · লাইন জোড়া দিন",
        )
    } else {
        (
            "The line is joined.",
            "লাইন জোড়া আছে।",
            "/cut",
            "Cut the line · লাইন কাটুন",
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
