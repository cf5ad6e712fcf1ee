//! Serves the style guide on the loopback interface: `cargo run -p ui --example styleguide`, then open the address it prints.
//!
//! `/en` and `/bn` choose the language, `?light` and `?dark` the theme. Its live stream milks the first stall.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use maud::Render;

use ui::{
    Lang, assets,
    components::{StallCard, StallState},
    fmt,
    icons::Icon,
    shell::{NavItem, Page, Theme, User},
    styleguide::styleguide,
};

fn main() -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    writeln!(io::stdout(), "http://{}/bn", listener.local_addr()?)?;
    for stream in listener.incoming().flatten() {
        // a browser opens connections that it never uses: none may hold up the others
        std::thread::spawn(move || answer(stream));
    }
    Ok(())
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or("/");
    if path.starts_with("/live") {
        return milk(stream);
    }
    let (kind, bytes) = match assets::by_url(path) {
        Some(asset) => (asset.content_type, asset.bytes.clone()),
        None => ("text/html; charset=utf-8", page(path).into_bytes()),
    };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\
         Content-Security-Policy: default-src 'self'\r\n\r\n",
        bytes.len()
    )?;
    stream.write_all(&bytes)
}

/// A litre a second into stall 1, until the browser goes away.
fn milk(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n",
    )?;
    for second in 1.. {
        let card = StallCard {
            id: "stall-1".into(),
            number: fmt::int(Lang::Bn, 1),
            state: StallState::Milking,
            word: "দোহন চলছে".into(),
            cow: Some(fmt::int(Lang::Bn, 12)),
            name: Some("লালী".into()),
            milk: Some((fmt::litres(Lang::Bn, second * 1000), "লি".into())),
            flow: Some((600, String::new())),
            message: None,
            href: None,
        };
        write!(
            stream,
            "id: {second}\nevent: fragment\ndata: {}\n\n",
            card.render().into_string()
        )?;
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}

fn page(path: &str) -> String {
    let lang = if path.starts_with("/en") {
        Lang::En
    } else {
        Lang::Bn
    };
    let theme = path
        .split('?')
        .nth(1)
        .and_then(Theme::from_key)
        .unwrap_or_default();
    let entry = |href: &str, en: &str, bn: &str, icon| {
        NavItem::new(href, if lang == Lang::En { en } else { bn }, icon)
    };
    Page::new(
        lang,
        entry("", "Design system", "নকশার ভাষা", Icon::Menu).label,
    )
    .brand(if lang == Lang::En {
        "Char Shalik Dairy"
    } else {
        "চর শালিক খামার"
    })
    .theme(theme)
    .path("/parlour")
    .preferences("/preferences")
    .search("/search")
    .alerts(3, "/inbox")
    .live("/live?topics=none", 0)
    .nav(vec![
        entry("/parlour", "Parlour", "দোহন", Icon::Parlour),
        entry("/record", "Record", "লিখুন", Icon::Bucket),
        entry("/herd", "Herd", "গোয়াল", Icon::Herd),
        entry("/inbox", "Inbox", "কাজ", Icon::Inbox).badge(3),
        entry("/tanks", "Tanks", "ট্যাংক", Icon::Tank),
        entry("/sensors", "Sensors", "সেন্সর", Icon::Sensor),
        entry("/devices", "Devices", "যন্ত্র", Icon::Device),
        entry("/staff", "Staff", "কর্মী", Icon::Staff),
    ])
    .user(User {
        name: if lang == Lang::En {
            "Rahima".into()
        } else {
            "রহিমা".into()
        },
        role: if lang == Lang::En {
            "Worker".into()
        } else {
            "কর্মী".into()
        },
        log_out: "/log-out".into(),
    })
    .body(styleguide(lang))
    .render()
    .into_string()
}
