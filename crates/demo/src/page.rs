//! The page: the same scene for a browser, on this machine only.
//!
//! It is given out to the loopback interface, and only to who knows the address that the terminal
//! shows (`access`). Other users of this machine may connect all the same, and neither stay
//! (`clients`) nor take their time (`timed`).

mod access;
mod clients;
mod request;
mod timed;

use std::{
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use crate::{
    Error, Language, Result,
    script::{Key, key_label},
    stage::View,
};
use access::Access;
use clients::{Clients, Slot};
pub use request::{LONGEST_REQUEST, Request};
use timed::Timed;

/// The time for a whole request, and for each answer or picture.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The time for one connection.
const LONGEST_STREAM: Duration = Duration::from_secs(10 * 60);
/// What every answer says: nobody keeps it, frames it, or hears of its address, in which the token
/// is.
const HEADERS: &str = "Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n\
    Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; \
    script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'\r\nCross-Origin-Resource-Policy: same-origin\r\n\
    X-Content-Type-Options: nosniff\r\nConnection: close\r\n";

/// A page that is given out until the program ends.
pub struct Page {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    language: Language,
    access: Access,
    view: Mutex<(u64, Option<Arc<View>>)>,
    news: Condvar,
    /// The newest picture: drawn once, however many look.
    drawn: Mutex<(u64, Arc<str>)>,
    keys: Mutex<Vec<char>>,
    clients: Arc<Clients>,
}

impl Page {
    /// Listens on the loopback interface; port 0 is any that is free.
    ///
    /// # Errors
    ///
    /// When the port is in use.
    pub fn open(port: u16, language: Language) -> Result<Self> {
        let failed = || Error::system(format!("listen on 127.0.0.1:{port}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(failed())?;
        let address = listener.local_addr().map_err(failed())?;
        let shared = Arc::new(Shared {
            language,
            access: Access::new(address.port()).map_err(Error::system("read /dev/urandom"))?,
            view: Mutex::default(),
            news: Condvar::new(),
            drawn: Mutex::new((0, Arc::from(""))),
            keys: Mutex::default(),
            clients: Arc::default(),
        });
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else {
                    // No descriptors are left: those that are served give some back.
                    std::thread::sleep(Duration::from_millis(50));
                    continue;
                };
                let Ok(slot) = served.clients.admit(&client) else { continue };
                let shared = Arc::clone(&served);
                let serve = move || {
                    // A client that went away is no trouble of ours.
                    let _ = shared.serve(&client, &slot);
                };
                // Where no thread can be had, the client is hung up on.
                let _ = std::thread::Builder::new().spawn(serve);
            }
        });
        Ok(Self { address, shared })
    }

    /// What to write into the browser.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.address, self.shared.access.target())
    }

    /// Shows a scene to all clients.
    pub fn show(&self, view: &View) {
        if let Ok(mut shown) = self.shared.view.lock() {
            *shown = (shown.0 + 1, Some(Arc::new(view.clone())));
        }
        self.shared.news.notify_all();
    }

    /// The keys that were pressed on the page since the last call.
    pub fn keys(&self) -> Vec<char> {
        self.shared.keys.lock().map(|mut keys| std::mem::take(&mut *keys)).unwrap_or_default()
    }
}

impl Shared {
    fn serve(&self, client: &TcpStream, slot: &Slot) -> io::Result<()> {
        let request = match Request::read(Timed::new(client, TIMEOUT)) {
            Ok(request) => request,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return answer(
                    client,
                    "400 Bad Request",
                    "text/plain",
                    "not a valid HTTP request\n",
                );
            }
            // It is too late, or gone.
            Err(error) => return Err(error),
        };
        if let Some(why) = self.access.denies(&request) {
            return answer(client, "403 Forbidden", "text/plain", why);
        }
        if !slot.authenticate() {
            return answer(client, "503 Service Unavailable", "text/plain", "too many viewers\n");
        }
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/") => answer(client, "200 OK", "text/html; charset=utf-8", &self.html()),
            ("GET", "/events") => self.stream(client, slot),
            ("POST", "/key") => {
                let key = request.parameter("key").and_then(|key| key.parse().ok());
                if let (Some(key), Ok(mut keys)) = (key.and_then(char::from_u32), self.keys.lock())
                    && keys.len() < 16
                {
                    keys.push(key);
                }
                answer(client, "204 No Content", "text/plain", "")
            }
            _ => answer(client, "404 Not Found", "text/plain", "not found: the page is at /\n"),
        }
    }

    fn html(&self) -> String {
        let title = self.language.either("isolab demo", "isolab 演示");
        let tag = self.language.either("en", "zh-CN");
        let keys = self.language.either("keys", "按键");
        include_str!("page/page.html")
            .replace("{title}", title)
            .replace("{language}", tag)
            .replace("{keys}", keys)
            .replace("{style}", include_str!("page/page.css"))
            .replace("{script}", include_str!("page/page.js"))
    }

    /// Server-sent events: a picture each, where it is another one. A browser comes back by itself when
    /// its time is over.
    fn stream(&self, client: &TcpStream, slot: &Slot) -> io::Result<()> {
        let end = Instant::now() + LONGEST_STREAM;
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{HEADERS}\r\nretry: 1000\n\n"
        );
        Timed::new(client, TIMEOUT).write_all(head.as_bytes())?;
        let mut seen = 0;
        let mut buttons = String::new();
        let mut sent: Arc<str> = Arc::from("");
        while Instant::now() < end {
            let Ok(shown) = self.view.lock() else { return Ok(()) };
            let waited = self.news.wait_timeout_while(shown, TIMEOUT, |shown| shown.0 == seen);
            let Ok((shown, _)) = waited else { return Ok(()) };
            let (number, view) = shown.clone();
            drop(shown);
            let mut events = String::new();
            if let Some(view) = view.filter(|_| number != seen) {
                let now = self.buttons(&view);
                if now != buttons {
                    events += &format!("event: keys\ndata: {now}\n\n");
                    buttons = now;
                }
                let picture = self.picture(number, &view);
                if picture != sent {
                    events += &picture;
                    sent = picture;
                }
            }
            if events.is_empty() {
                // Nothing new: a comment, so that a client that is gone is noticed.
                events += ":\n\n";
            }
            seen = number;
            Timed::new(client, TIMEOUT).write_all(events.as_bytes())?;
            slot.touch();
        }
        Ok(())
    }

    fn picture(&self, number: u64, view: &View) -> Arc<str> {
        let draw = || -> Arc<str> {
            let html = view.page(self.language);
            let lines: String = html.lines().map(|line| format!("data: {line}\n")).collect();
            Arc::from(lines + "\n")
        };
        let Ok(mut drawn) = self.drawn.lock() else { return draw() };
        if drawn.0 != number {
            *drawn = (number, draw());
        }
        Arc::clone(&drawn.1)
    }

    /// The keys as buttons, for a phone.
    fn buttons(&self, view: &View) -> String {
        let button = |Key(key, words): Key| {
            let pressed = view.scene.is_on(key);
            let words = format!("{} {}", key_label(key), words.of(self.language));
            let words = report::html::escaped(&words);
            format!(
                "<button data-key=\"{}\" aria-pressed=\"{pressed}\">{words}</button>",
                key as u32
            )
        };
        view.keys().into_iter().map(button).collect()
    }
}

fn answer(client: &TcpStream, status: &str, kind: &str, body: &str) -> io::Result<()> {
    let text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{HEADERS}\r\n{body}",
        body.len()
    );
    Timed::new(client, TIMEOUT).write_all(text.as_bytes())
}

#[cfg(test)]
mod tests;
