//! The page: the same picture for a browser, on this machine only.
//!
//! It is given out to the loopback interface, and only to who asks for it by that name: a page of
//! somebody else's that the browser has open may not read it (DNS rebinding), nor press its keys.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::{
    Error, Language, Result, picture,
    script::Key,
    stage::{Keys, View, shown},
};

/// A class of a hundred looks on; more are sent away.
const MOST_CLIENTS: usize = 128;
/// A request has a line and some headers.
const LONGEST_REQUEST: u64 = 8 << 10;
/// Who says nothing, or reads nothing, for so long is left alone.
const PATIENCE: Duration = Duration::from_secs(5);

/// A page that is given out until the program ends.
pub struct Page {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// Columns and rows.
type Size = (u16, u16);

struct Shared {
    language: Language,
    port: u16,
    view: Mutex<(u64, Option<Arc<View>>)>,
    news: Condvar,
    /// The newest picture in each size that somebody looks at: drawn once, however many look.
    drawn: Mutex<BTreeMap<Size, (u64, Arc<str>)>>,
    keys: Mutex<Vec<char>>,
    clients: AtomicUsize,
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
            port: address.port(),
            view: Mutex::default(),
            news: Condvar::new(),
            drawn: Mutex::default(),
            keys: Mutex::default(),
            clients: AtomicUsize::new(0),
        });
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&served);
                if shared.clients.fetch_add(1, Relaxed) >= MOST_CLIENTS {
                    shared.clients.fetch_sub(1, Relaxed);
                    continue;
                }
                let serve = move || {
                    // A client that went away is no trouble of ours.
                    let _ = shared.serve(&client);
                    shared.clients.fetch_sub(1, Relaxed);
                };
                if std::thread::Builder::new().spawn(serve).is_err() {
                    served.clients.fetch_sub(1, Relaxed);
                }
            }
        });
        Ok(Self { address, shared })
    }

    /// What to write into the browser.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
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
    fn serve(&self, mut client: &TcpStream) -> io::Result<()> {
        client.set_read_timeout(Some(PATIENCE))?;
        client.set_write_timeout(Some(PATIENCE))?;
        let mut lines = BufReader::new(client.take(LONGEST_REQUEST)).lines();
        let request = lines.next().transpose()?.unwrap_or_default();
        let mut words = request.split(' ');
        let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let (mut host, mut origin) = (None, None);
        for line in lines {
            let line = line?;
            let Some((name, value)) = line.split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "host" => host = Some(value.trim().to_owned()),
                "origin" => origin = Some(value.trim().to_owned()),
                _ => {}
            }
        }
        if !self.is_ours(host.as_deref(), origin.as_deref()) {
            return answer(client, "403 Forbidden", "text/plain", "this page is for its own host");
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        match (method, path) {
            ("GET", "/") => answer(client, "200 OK", "text/html; charset=utf-8", &self.html()),
            ("GET", "/events") => self.stream(client, query),
            ("POST", "/key") => {
                let key = query.parse().ok().and_then(char::from_u32);
                if let (Some(key), Ok(mut keys)) = (key, self.keys.lock())
                    && keys.len() < 16
                {
                    keys.push(key);
                }
                answer(client, "204 No Content", "text/plain", "")
            }
            _ => answer(client, "404 Not Found", "text/plain", "there is / alone"),
        }
        .and_then(|()| client.flush())
    }

    fn is_ours(&self, host: Option<&str>, origin: Option<&str>) -> bool {
        let names = ["127.0.0.1", "localhost"].map(|name| format!("{name}:{}", self.port));
        let ours = |name: &str| names.iter().any(|own| own == name);
        host.is_some_and(ours)
            && origin.is_none_or(|origin| origin.strip_prefix("http://").is_some_and(ours))
    }

    fn html(&self) -> String {
        let title = self.language.either("isolab, live", "isolab，现场演示");
        let tag = self.language.either("en", "zh-CN");
        include_str!("page.html").replace("{title}", title).replace("{language}", tag)
    }

    /// Server-sent events: a picture each, in the size that the client asked for.
    fn stream(&self, mut client: &TcpStream, query: &str) -> io::Result<()> {
        let number = |name: &str, usual: u16| {
            let pair = query.split('&').find_map(|pair| pair.strip_prefix(name));
            pair.and_then(|value| value.parse().ok()).unwrap_or(usual)
        };
        let size = (number("columns=", 80).clamp(30, 240), number("rows=", 20).clamp(8, 60));
        client.write_all(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n\
              Connection: close\r\n\r\n",
        )?;
        let mut seen = 0;
        let mut buttons = String::new();
        loop {
            let Ok(shown) = self.view.lock() else { return Ok(()) };
            let waited = self.news.wait_timeout_while(shown, PATIENCE, |shown| shown.0 == seen);
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
                events += &self.picture(number, &view, size);
            } else {
                // Nothing new: a comment, so that a client that is gone is noticed.
                events += ":\n\n";
            }
            seen = number;
            client.write_all(events.as_bytes())?;
        }
    }

    fn picture(&self, number: u64, view: &View, size: Size) -> Arc<str> {
        let draw = || Arc::from(self.draw(view, size));
        let Ok(mut drawn) = self.drawn.lock() else { return draw() };
        match drawn.get(&size) {
            Some((of, picture)) if *of == number => Arc::clone(picture),
            _ => {
                let picture = draw();
                // Sizes that nobody looks at any more are forgotten.
                drawn.retain(|_, (of, _)| *of + 1 >= number);
                drawn.insert(size, (number, Arc::clone(&picture)));
                picture
            }
        }
    }

    fn draw(&self, view: &View, size: Size) -> String {
        let drawn = picture::drawn(size, |frame| view.draw(frame, Keys::Elsewhere, self.language));
        let html = picture::html(drawn.buffer());
        let lines: String = html.lines().map(|line| format!("data: {line}\n")).collect();
        lines + "\n"
    }

    /// The keys, for who has none: a phone.
    fn buttons(&self, view: &View) -> String {
        let button = |Key(key, words): Key| {
            let pressed = view.scene.is_on(key);
            let words = format!("{} {}", shown(key), words.of(self.language));
            let words = report::html::escaped(&words);
            format!(
                "<button data-key=\"{}\" aria-pressed=\"{pressed}\">{words}</button>",
                key as u32
            )
        };
        view.keys().into_iter().map(button).collect()
    }
}

fn answer(mut client: &TcpStream, status: &str, kind: &str, body: &str) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: \
         no-store\r\nContent-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; \
         script-src 'unsafe-inline'; connect-src 'self'\r\nX-Content-Type-Options: nosniff\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    client.write_all(head.as_bytes())?;
    client.write_all(body.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Origin, Scene,
        slices::{Mode, Slices},
    };

    fn ask(page: &Page, request: &str) -> String {
        let mut client = TcpStream::connect(page.address).unwrap();
        // Garbage may be answered, and the door shut, before all of it has come in.
        let _ = client.write_all(request.as_bytes());
        let _ = client.shutdown(std::net::Shutdown::Write);
        let mut text = String::new();
        let _ = client.take(20_000).read_to_string(&mut text);
        text
    }

    #[test]
    fn only_its_own_host_is_answered_and_garbage_harms_nobody() {
        let page = Page::open(0, Language::En).unwrap();
        let port = page.address.port();
        let own = format!("Host: 127.0.0.1:{port}\r\n");
        assert!(ask(&page, &format!("GET / HTTP/1.1\r\n{own}\r\n")).starts_with("HTTP/1.1 200"));
        for request in [
            "GET / HTTP/1.1\r\n\r\n".to_owned(),
            format!("GET / HTTP/1.1\r\nHost: evil.example:{port}\r\n\r\n"),
            format!("POST /key?114 HTTP/1.1\r\n{own}Origin: http://evil.example\r\n\r\n"),
        ] {
            assert!(ask(&page, &request).starts_with("HTTP/1.1 403"), "{request}");
        }
        assert_eq!(page.keys(), [] as [char; 0]);
        ask(&page, &"\u{7f}\r\n".repeat(10_000));
        ask(&page, "");
        ask(&page, &format!("POST /key?110 HTTP/1.1\r\n{own}\r\n"));
        assert_eq!(page.keys(), ['n']);
    }

    #[test]
    fn a_hundred_clients_see_the_same_picture() {
        let page = Page::open(0, Language::En).unwrap();
        let scene = Slices {
            mode: Mode::Normal,
            milliseconds: 1000,
            rows: vec![],
            counter: None,
            throttled: None,
            switches: None,
            note: None,
        };
        page.show(&View { scene: Scene::Slices(scene), origin: Origin::Live, caption: None });
        let host = format!("Host: localhost:{}\r\n", page.address.port());
        let clients: Vec<TcpStream> = (0..100)
            .map(|_| {
                let mut client = TcpStream::connect(page.address).unwrap();
                let request = format!("GET /events?columns=60&rows=9 HTTP/1.1\r\n{host}\r\n");
                client.write_all(request.as_bytes()).unwrap();
                client
            })
            .collect();
        for client in &clients {
            let mut text = String::new();
            for line in BufReader::new(client).lines().map_while(std::result::Result::ok) {
                text += &line;
                if text.contains("live") {
                    break;
                }
            }
            assert!(text.contains("One second in ten tenths"), "{text}");
        }
    }

    #[test]
    fn who_reads_nothing_keeps_nobody_waiting() {
        let page = Page::open(0, Language::En).unwrap();
        let host = format!("Host: localhost:{}\r\n", page.address.port());
        let request = format!("GET /events?columns=240&rows=60 HTTP/1.1\r\n{host}\r\n");
        let join = || {
            let mut client = TcpStream::connect(page.address).unwrap();
            client.write_all(request.as_bytes()).unwrap();
            client
        };
        let slow = join();
        let recorded = crate::Demo::Slices.recorded().unwrap();
        let scenes: Vec<Scene> = recorded.scenes().cloned().collect();
        // Far more than the kernel keeps for a reader that does not come.
        for scene in scenes.iter().cycle().take(2000) {
            let view = View { scene: scene.clone(), origin: Origin::Live, caption: None };
            page.show(&view);
        }
        let last = Some("the last one".to_owned());
        let quick = join();
        page.show(&View { scene: scenes[0].clone(), origin: Origin::Recording, caption: last });
        let lines = BufReader::new(&quick).lines().map_while(std::result::Result::ok);
        assert!(lines.take(10_000).any(|line| line.contains("the last one")));
        drop(slow);
    }
}
