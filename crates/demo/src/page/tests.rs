//! Who sees the page, and who keeps whom from it.

use std::io::{BufRead as _, BufReader, Read as _};

use super::*;
use crate::{
    Origin, Scene,
    slices::{Mode, Slices},
};

fn connect(page: &Page, request: &str) -> TcpStream {
    let mut client = TcpStream::connect(page.address).unwrap();
    // Garbage may be answered, and the connection closed, before all of it has come in.
    let _ = client.write_all(request.as_bytes());
    client
}

fn ask(page: &Page, request: &str) -> String {
    let client = connect(page, request);
    let _ = client.shutdown(std::net::Shutdown::Write);
    let mut text = String::new();
    let _ = client.take(20_000).read_to_string(&mut text);
    text
}

/// A request with the token that the terminal shows.
fn rightful(page: &Page, method: &str, path: &str, parameters: &str) -> String {
    let (port, url) = (page.address.port(), page.url());
    let (_, token) = url.split_once('?').unwrap();
    format!("{method} {path}?{token}{parameters} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n")
}

#[test]
fn nothing_is_shown_or_pressed_without_the_token() {
    let page = Page::open(0, Language::En).unwrap();
    let host = format!("Host: 127.0.0.1:{}\r\n", page.address.port());
    for line in ["GET /", "GET /events", "POST /key?key=114", "GET /?token=", "GET /x"] {
        let answer = ask(&page, &format!("{line} HTTP/1.1\r\n{host}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 403"), "{line}: {answer}");
        assert!(answer.contains("the terminal shows"), "{answer}");
    }
    let evil = rightful(&page, "POST", "/key", "&key=114").replace("localhost", "evil.example");
    assert!(ask(&page, &evil).starts_with("HTTP/1.1 403"));
    assert_eq!(page.keys(), [] as [char; 0]);
    for (method, path, status) in
        [("GET", "/", "200"), ("POST", "/key", "204"), ("GET", "/key", "404")]
    {
        let answer = ask(&page, &rightful(&page, method, path, "&key=110"));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(answer.contains("\r\nReferrer-Policy: no-referrer\r\n"), "{answer}");
    }
    assert_eq!(page.keys(), ['n']);
}

#[test]
fn garbage_harms_nobody() {
    let page = Page::open(0, Language::En).unwrap();
    ask(&page, &"\u{7f}\r\n".repeat(10_000));
    ask(&page, "");
    assert!(ask(&page, "rubbish\r\n\r\n").starts_with("HTTP/1.1 400"));
    assert!(ask(&page, &rightful(&page, "GET", "/", "")).starts_with("HTTP/1.1 200"));
}

#[test]
fn those_who_never_finish_their_request_lock_nobody_out() {
    let page = Page::open(0, Language::En).unwrap();
    let slow: Vec<TcpStream> = (0..300).map(|_| connect(&page, "GET / HT")).collect();
    // All of them have come before it, and none of them goes by itself.
    assert!(ask(&page, &rightful(&page, "GET", "/", "")).starts_with("HTTP/1.1 200"));
    drop(slow);
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
        processor: None,
        note: None,
    };
    page.show(&View {
        scene: Scene::Slices(scene),
        origin: Origin::ThisHost,
        caption: None,
        made: None,
    });
    let request = rightful(&page, "GET", "/events", "");
    // One after the other: the number of clients without the token is limited.
    let clients: Vec<_> = (0..100)
        .map(|_| {
            let mut client = BufReader::new(connect(&page, &request));
            client.read_line(&mut String::new()).unwrap();
            client
        })
        .collect();
    for client in clients {
        let mut text = String::new();
        for line in client.lines().map_while(std::result::Result::ok) {
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
    let request = rightful(&page, "GET", "/events", "");
    let join = || connect(&page, &request);
    let slow = join();
    let recorded = crate::Demo::Slices.recorded().unwrap();
    let scenes: Vec<Scene> = recorded.scenes().cloned().collect();
    // Far more than the kernel keeps for a reader that does not come.
    for scene in scenes.iter().cycle().take(2000) {
        let view =
            View { scene: scene.clone(), origin: Origin::ThisHost, caption: None, made: None };
        page.show(&view);
    }
    let last = Some("the last one".to_owned());
    let quick = join();
    page.show(&View {
        scene: scenes[0].clone(),
        origin: Origin::Recording,
        caption: last,
        made: None,
    });
    let lines = BufReader::new(&quick).lines().map_while(std::result::Result::ok);
    assert!(lines.take(10_000).any(|line| line.contains("the last one")));
    drop(slow);
}
