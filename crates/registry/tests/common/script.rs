//! A registry that plays a script: each request is answered as a closure says, also against the
//! rules of HTTP.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// A request that came.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub fn is(&self, method: &str, part: &str) -> bool {
        self.method == method && self.path.contains(part)
    }
}

/// A step of an answer.
#[derive(Debug, Clone)]
pub enum Step {
    Send(Vec<u8>),
    /// The same bytes again and again, as long as the client takes them.
    Endless(Vec<u8>),
    /// One byte at a time, with this pause between them.
    Drip(Vec<u8>, Duration),
    Stall(Duration),
    Close,
}

/// An answer.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    head: String,
    has_length: bool,
    pub steps: Vec<Step>,
}

impl Reply {
    pub fn new(status: u16) -> Self {
        Self { head: format!("HTTP/1.1 {status} Status\r\n"), ..Self::default() }
    }

    /// Not even a status line.
    pub fn raw(steps: Vec<Step>) -> Self {
        Self { steps, ..Self::default() }
    }

    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let errors = serde_json::json!({ "errors": [{ "code": code, "message": message }] });
        Self::new(status).body(errors.to_string().as_bytes())
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.has_length |= name.eq_ignore_ascii_case("content-length")
            || name.eq_ignore_ascii_case("transfer-encoding")
            || name.eq_ignore_ascii_case("connection");
        self.head += &format!("{name}: {value}\r\n");
        self
    }

    pub fn body(self, bytes: &[u8]) -> Self {
        let length = bytes.len().to_string();
        self.header("Content-Length", &length).step(Step::Send(bytes.into()))
    }

    pub fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// The part of `blob` that is asked for.
    pub fn range_of(request: &Request, blob: &[u8]) -> Self {
        let range = request.header("range").and_then(|range| range.strip_prefix("bytes="));
        match range.and_then(|range| range.strip_suffix('-')?.parse::<usize>().ok()) {
            Some(from) => {
                let said = format!("bytes {from}-{}/{}", blob.len() - 1, blob.len());
                Self::new(206).header("Content-Range", &said).body(&blob[from..])
            }
            None => Self::new(200).body(blob),
        }
    }

    /// The same bytes with one of them changed, or all after one missing, as `seed` says.
    pub fn damaged(self, seed: u64) -> Self {
        let head = if self.has_length { "\r\n" } else { "Content-Length: 0\r\n\r\n" };
        let mut bytes = format!("{}{head}", self.head).into_bytes();
        for step in self.steps {
            if let Step::Send(body) = step {
                bytes.extend(body);
            }
        }
        // Half of the damage is among the first bytes, where the headers are.
        let length = if seed.is_multiple_of(2) { bytes.len().min(200) } else { bytes.len() };
        let at = (seed >> 8) as usize % length;
        match seed % 3 {
            0 => bytes.truncate(at),
            _ => bytes[at] ^= 1 << (seed >> 4 & 7),
        }
        Self::raw(vec![Step::Send(bytes), Step::Close])
    }

    /// Whether the connection can be used again.
    fn play(self, mut stream: &TcpStream, is_head: bool) -> bool {
        let mut head = self.head;
        if !head.is_empty() && !self.has_length {
            head += "Content-Length: 0\r\n";
        }
        if !head.is_empty() && stream.write_all(format!("{head}\r\n").as_bytes()).is_err() {
            return false;
        }
        for step in self.steps {
            let sent = match step {
                Step::Send(_) if is_head => Ok(()),
                Step::Send(bytes) => stream.write_all(&bytes),
                Step::Endless(bytes) => loop {
                    if let Err(error) = stream.write_all(&bytes) {
                        break Err(error);
                    }
                },
                Step::Drip(bytes, pause) => bytes.chunks(1).try_for_each(|byte| {
                    thread::sleep(pause);
                    stream.write_all(byte)
                }),
                Step::Stall(time) => {
                    thread::sleep(time);
                    Ok(())
                }
                Step::Close => return false,
            };
            if sent.is_err() {
                return false;
            }
        }
        true
    }
}

type Answer = dyn Fn(&Request, usize) -> Reply + Send + Sync;

/// The server; it listens as long as the test's process lives.
pub struct Script {
    pub address: String,
    log: Arc<Mutex<Vec<Request>>>,
}

impl Script {
    /// Answers each request by `answer`, which also learns how many there were before.
    pub fn new(answer: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let log = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&log);
        let answer: Arc<Answer> = Arc::new(answer);
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                thread::spawn(move || serve(&stream, &*answer, &seen));
            }
        });
        Self { address, log }
    }

    /// The requests so far.
    pub fn log(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }

    /// How many requests were of this method, and had this in their path.
    pub fn count(&self, method: &str, part: &str) -> usize {
        self.log().iter().filter(|request| request.is(method, part)).count()
    }
}

fn serve(stream: &TcpStream, answer: &Answer, seen: &Mutex<Vec<Request>>) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        let before = {
            let mut seen = seen.lock().unwrap();
            seen.push(request.clone());
            seen.len() - 1
        };
        let is_head = request.method == "HEAD";
        if !answer(&request, before).play(stream, is_head) {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}

/// The next request; `None` at the end, and for the beginning of TLS.
fn read(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    if reader.fill_buf().ok()?.first()? == &22 {
        return None;
    }
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        match line.trim().split_once(':') {
            Some((name, value)) => {
                headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
            }
            None => break,
        }
    }
    if headers.contains_key("expect") {
        reader.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
    }
    let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body).ok()?;
    Some(Request { method, path, headers, body })
}
