//! Every demonstration's page in a real browser: from its recording, on a phone and on a projector,
//! bright and dark, in both languages.

mod common;

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use common::{
    browser::{Browser, Window},
    isolab,
};
use demo::{Demo, Language};

const PHONE: Window = Window { width: 390, height: 844, dark: true };
const PROJECTOR: Window = Window { width: 1920, height: 1080, dark: false };
const SCREEN: Window = Window { width: 1280, height: 720, dark: true };

/// A demonstration that gives its page out until it is dropped.
struct Shown {
    child: Child,
    url: String,
}

impl Shown {
    fn of(words: &[&str]) -> Self {
        let mut command = isolab(&["demo"]);
        command.args(words).args(["--web", "--for", "5m"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.rsplit(' ').next().unwrap().trim().to_owned();
        assert!(url.starts_with("http://127.0.0.1:"), "{line}");
        Self { child, url }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where people look at the pictures.
fn pictures() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("demo-pages");
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn keep(browser: &mut Browser, name: &str) {
    let path = pictures().join(format!("{name}.png"));
    let mut decode = Command::new("base64");
    let decoded = decode.arg("-d").stdin(Stdio::piped()).stdout(fs::File::create(path).unwrap());
    let mut child = decoded.spawn().unwrap();
    let text = browser.screenshot();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// The least contrast of any letter with what is behind it, as WCAG 2 computes it: 4.5 is what it
/// asks of text.
const CONTRAST: &str = "(() => {
  const light = colour => {
    const parts = colour.match(/[0-9.]+/g).slice(0, 3).map(part => {
      const value = part / 255;
      return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const behind = it => {
    const colour = getComputedStyle(it).backgroundColor;
    return /, 0\\)$/.test(colour) && it.parentElement ? behind(it.parentElement) : colour;
  };
  const letters = '#picture :is(span, p, td, th, h1, h2, strong, li), #keys button';
  const all = [...document.querySelectorAll(letters)].map(span => {
    const [ink, back] = [getComputedStyle(span).color, behind(span)].map(light);
    return (Math.max(ink, back) + 0.05) / (Math.min(ink, back) + 0.05);
  });
  return Math.min(...all);
})()";

/// Whether nothing is wider than the window.
const FITS: &str = "document.documentElement.scrollWidth <= innerWidth
  && document.getElementById('picture').scrollWidth
     <= document.getElementById('picture').clientWidth";

#[test]
fn every_page_can_be_read_on_a_phone_and_on_a_projector() {
    let Some(mut browser) = Browser::start() else { return };
    for demo in Demo::ALL {
        for (language, tag, window) in
            [(Language::En, "en", PROJECTOR), (Language::Zh, "zh", PHONE)]
        {
            let name = demo.name();
            let shown = Shown::of(&[name, "--replay", "--lang", tag]);
            browser.open(&shown.url, window);
            let recording = language.either("recording", "回放");
            let title = demo.script().title.of(language);
            browser.wait_for(title);
            for key in demo.script().steps.iter().filter_map(|step| step.key) {
                browser.value(&format!(
                    "document.querySelector('[data-key=\"{}\"]').click()",
                    key as u32
                ));
            }
            let seen = browser.wait_for(recording);
            assert!(seen.contains(title), "{seen}");
            let said = format!("{name} {tag}:\n{seen}");
            // A window that has just become smaller is drawn anew within a moment.
            browser.wait_until(FITS, &said);
            let contrast = browser.value(CONTRAST).as_f64().unwrap();
            assert!(contrast >= 4.5, "contrast {contrast}: {said}");
            keep(&mut browser, &format!("{name}-{tag}"));
        }
    }
}

#[test]
fn lanes_are_drawings_with_words_for_who_cannot_see_them_and_need_nothing_else() {
    let Some(mut browser) = Browser::start() else { return };
    let shown = Shown::of(&["slices", "--replay"]);
    browser.open(&shown.url, PHONE);
    browser.wait_for("recording");
    // Ten workers and all others; a lane on a phone is as high as a finger.
    let lanes = "[...document.querySelectorAll('td.lane svg[role=img]')]";
    browser.wait_until(&format!("{lanes}.length === 11"), "eleven lanes");
    let words = format!("{lanes}.every(it => /[0-9] %/.test(it.getAttribute('aria-label')))");
    assert_eq!(browser.value(&words), true);
    let sizes = format!(
        "{lanes}.every(it => it.getBoundingClientRect().height > 20 && it.clientWidth > 150)"
    );
    assert_eq!(browser.value(&sizes), true);
    let foreign = "[...performance.getEntriesByType('resource')].map(it => new URL(it.name).origin)
      .filter(origin => origin !== location.origin)";
    assert_eq!(browser.value(foreign), serde_json::json!([]));
}

#[test]
fn the_keys_can_be_reached_and_pressed_without_a_mouse() {
    let Some(mut browser) = Browser::start() else { return };
    let shown = Shown::of(&["slices", "--replay"]);
    browser.open(&shown.url, SCREEN);
    browser.wait_for("recording");
    browser.wait_until("document.querySelectorAll('#keys button').length === 5", "five keys");
    browser.value("document.querySelector('[data-key=\"113\"]').focus()");
    browser.value("document.activeElement.click()");
    browser.wait_for("nr_throttled");
    // It is drawn anew, and is still the one that the next press is for.
    assert_eq!(browser.value("document.activeElement.dataset.key"), "113");
}

#[test]
fn a_button_and_a_key_do_the_same_and_the_theme_can_be_chosen() {
    let Some(mut browser) = Browser::start() else { return };
    let shown = Shown::of(&["slices", "--replay"]);
    let background = "getComputedStyle(document.body).backgroundColor";
    browser.open(&format!("{}&theme=dark", shown.url), PROJECTOR);
    browser.wait_for("recording");
    assert_eq!(browser.value(background), "rgb(17, 17, 17)");
    browser.open(&shown.url, PROJECTOR);
    browser.wait_for("recording");
    assert_eq!(browser.value(background), "rgb(255, 255, 255)");
    browser.value(
        "[...document.querySelectorAll('button')].find(b => b.innerText.includes('quota')).click()",
    );
    browser.wait_for("nr_throttled");
    browser.value("dispatchEvent(new KeyboardEvent('keydown', { key: 'n' }))");
    browser.wait_for("SCHED_OTHER");
    let pressed = "document.querySelector('[aria-pressed=true]').innerText";
    assert_eq!(browser.value(pressed), "[n] normal");
}
