//! A browser without a window, spoken to through its pipe (`--remote-debugging-pipe`): messages of
//! the Chrome DevTools Protocol in JSON, each ended by a NUL.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::skip;

/// A running browser; it ends when it is dropped.
pub struct Browser {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    session: Option<String>,
    number: u64,
    /// Its profile, away from anybody's own.
    _profile: tempfile::TempDir,
}

/// A window that is not there: width, height, and whether its reader likes it dark.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    pub width: u32,
    pub height: u32,
    pub dark: bool,
}

impl Browser {
    /// Starts one; says what is skipped where there is none.
    pub fn start() -> Option<Self> {
        let profile = tempfile::tempdir().unwrap();
        // The browser reads from descriptor 3 and writes to 4.
        let script = "exec chromium --headless --no-sandbox --disable-gpu --hide-scrollbars \
                      --no-first-run --disable-dev-shm-usage --remote-debugging-pipe \
                      --user-data-dir=\"$0\" about:blank 3<&0 4>&1 < /dev/null > /dev/null";
        if Command::new("chromium").arg("--version").stdout(Stdio::null()).status().is_err() {
            return skip("chromium", "there is no command chromium; `apt-get install chromium`");
        }
        let mut child = Command::new("sh")
            .args(["-c", script])
            .arg(profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut browser =
            Self { child, input, output, session: None, number: 0, _profile: profile };
        let target = browser.ask("Target.createTarget", &json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.ask("Target.attachToTarget", &attach);
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        Some(browser)
    }

    fn ask(&mut self, method: &str, parameters: &Value) -> Value {
        self.number += 1;
        let mut message = json!({"id": self.number, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        write!(self.input, "{message}\0").unwrap();
        loop {
            let mut bytes = Vec::new();
            self.output.read_until(0, &mut bytes).unwrap();
            bytes.pop().expect("the browser speaks on");
            let answer: Value = serde_json::from_slice(&bytes).unwrap();
            if answer["id"] == self.number {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }

    /// Opens `url` in a window of that size.
    pub fn open(&mut self, url: &str, window: Window) {
        let metrics = json!({"width": window.width, "height": window.height,
            "deviceScaleFactor": 1, "mobile": window.width < 600});
        self.ask("Emulation.setDeviceMetricsOverride", &metrics);
        let scheme = if window.dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.ask("Emulation.setEmulatedMedia", &media);
        self.ask("Page.navigate", &json!({"url": url}));
    }

    /// What an expression of JavaScript is on the page.
    pub fn value(&mut self, expression: &str) -> Value {
        let parameters = json!({"expression": expression, "returnByValue": true});
        let answer = self.ask("Runtime.evaluate", &parameters);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Waits until the page shows `text`, and returns all that it shows then.
    pub fn wait_for(&mut self, text: &str) -> String {
        let began = Instant::now();
        loop {
            let seen = self.value("document.body?.innerText ?? ''");
            let seen = seen.as_str().unwrap_or_default();
            if seen.contains(text) {
                return seen.to_owned();
            }
            assert!(began.elapsed() < Duration::from_secs(20), "no {text:?} on the page:\n{seen}");
            sleep(Duration::from_millis(50));
        }
    }

    /// Waits until an expression is true on the page.
    pub fn wait_until(&mut self, expression: &str, said: &str) {
        let began = Instant::now();
        while self.value(expression) != true {
            assert!(began.elapsed() < Duration::from_secs(10), "{expression}: {said}");
            sleep(Duration::from_millis(50));
        }
    }

    /// The window's picture, a PNG in base 64.
    pub fn screenshot(&mut self) -> String {
        let answer = self.ask("Page.captureScreenshot", &json!({"format": "png"}));
        answer["data"].as_str().unwrap().to_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = write!(self.input, "{}\0", json!({"id": 0, "method": "Browser.close"}));
        let _ = self.input.flush();
        let _ = self.child.wait();
    }
}
