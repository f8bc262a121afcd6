//! `isolab lab class`: many students' exports in one page and one table.
//!
//! Students could write anything into their files: each is read up to a size, must be of the form
//! that `export` writes, and its words go into the page as text and into the table as text.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

use serde_json::json;

use super::{
    class_page::page,
    export::{Export, VERSION, write},
    predict::short,
};
use crate::runner::{
    Answer, Error, LocalUser, Result,
    output::text::{Style, clean},
};

/// An export is some tens of kilobytes long, with all answers in it.
const MOST_BYTES: u64 = 4 << 20;
/// There are no more labs, and no longer words.
const MOST_ITEMS: usize = 100;
const MOST_LETTERS: usize = 100;

/// Reads the files and writes `index.html` and `class.csv` into the folder `out`.
///
/// # Errors
///
/// When the folder cannot be written to.
pub fn class(files: &[PathBuf], out: &Path, style: &Style) -> Result<Answer> {
    let (mut students, mut refused) = (Vec::new(), Vec::new());
    for file in files {
        match read(file) {
            Ok(export) => students.push(export),
            Err(why) => refused.push((file.display().to_string(), why)),
        }
    }
    students.sort_by(|one, other| one.student.cmp(&other.student));
    let made = LocalUser::caller().acting(|| fs::create_dir_all(out));
    made.map_err(Error::file("create", out))?;
    write(&out.join("index.html"), page(&students, &refused, style).as_bytes())?;
    write(&out.join("class.csv"), table(&students).as_bytes())?;
    let index = out.join("index.html");
    let mut text = match style.either("en", "zh") {
        "en" => format!("{} students in {}\n", students.len(), index.display()),
        _ => format!("{} 名学生的结果在 {}\n", students.len(), index.display()),
    };
    for (file, why) in &refused {
        text += &format!("{} {}: {}\n", style.either("refused", "拒收"), clean(file), clean(why));
    }
    let listed: Vec<_> =
        refused.iter().map(|(file, why)| json!({ "file": file, "why": why })).collect();
    let json = json!({ "students": students.len(), "written": index, "refused": listed });
    Ok(Answer { text, json, code: u8::from(!refused.is_empty()) })
}

fn read(file: &Path) -> Result<Export, String> {
    let mut bytes = Vec::new();
    let about = fs::metadata(file).map_err(|error| error.to_string())?;
    if !about.is_file() {
        return Err("not a regular file".to_owned());
    }
    let opened = File::open(file).map_err(|error| error.to_string())?;
    let count = opened.take(MOST_BYTES + 1).read_to_end(&mut bytes);
    if count.map_err(|error| error.to_string())? as u64 > MOST_BYTES {
        return Err("too large for an export".to_owned());
    }
    let export: Export = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    checked(export)
}

/// Refuses what `export` would not write.
fn checked(export: Export) -> Result<Export, String> {
    if export.isolab_labs != VERSION {
        return Err(format!("unsupported version {}", export.isolab_labs));
    }
    let is_long = |text: &str| text.chars().count() > MOST_LETTERS;
    let labs = || export.labs.iter();
    let many =
        labs().any(|(_, lab)| lab.guesses.len() > MOST_ITEMS || lab.failures.len() > MOST_ITEMS);
    if many || export.labs.len() > MOST_ITEMS {
        return Err("too many labs or guesses".to_owned());
    }
    let words = [&export.student, &export.isolab, &export.made, &export.host.kernel].into_iter();
    let words = words.chain(labs().flat_map(|(id, lab)| {
        let times = lab.passed.iter().chain(&lab.revealed);
        [id, &lab.name]
            .into_iter()
            .chain(times)
            .chain(lab.guesses.keys())
            .chain(lab.failures.keys())
    }));
    if words.into_iter().any(|word| is_long(word)) {
        return Err("a text is too long".to_owned());
    }
    match export.student.trim().is_empty() {
        true => Err("no student name".to_owned()),
        false => Ok(export),
    }
}

/// A line for each student and lab, as RFC 4180 writes it.
fn table(students: &[Export]) -> String {
    let heads = "student,lab,name,state,attempts,passed,revealed,guess,measured,last made\r\n";
    let mut text = String::from("\u{feff}") + heads;
    for student in students {
        for (id, lab) in &student.labs {
            let joined = |value: &dyn Fn(&crate::runner::progress::Guess) -> Option<f64>| {
                let guesses = lab
                    .guesses
                    .iter()
                    .filter_map(|(name, guess)| Some(format!("{name} {}", short(value(guess)?))));
                guesses.collect::<Vec<_>>().join("; ")
            };
            let cells = [
                student.student.clone(),
                id.clone(),
                lab.name.clone(),
                lab.state.label().to_owned(),
                lab.attempts.to_string(),
                lab.passed.clone().unwrap_or_default(),
                lab.revealed.clone().unwrap_or_default(),
                joined(&|guess| Some(guess.guess)),
                joined(&|guess| guess.measured),
                student.made.clone(),
            ];
            text += &cells.map(|cell| quoted(&cell)).join(",");
            text += "\r\n";
        }
    }
    text
}

/// A cell: what a spreadsheet would take for a formula gets an apostrophe before it.
pub(crate) fn quoted(cell: &str) -> String {
    let cell = clean(cell);
    let is_formula = cell
        .trim_start()
        .starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']);
    let cell = if is_formula { format!("'{cell}") } else { cell };
    match cell.contains(['"', ',', ';', '\'']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::catalogue::Language;

    pub(crate) fn export(student: &str) -> serde_json::Value {
        json!({
            "isolab_labs": 1, "isolab": "0.1.0", "student": student, "made": "2026-03-01 08:30 UTC",
            "host": { "kernel": "6.12", "processors": 2, "kvm": true, "cgroups": "v2" },
            "labs": { "08": {
                "name": "own-name", "state": "passed", "attempts": 3,
                "passed": "2026-03-01 08:00 UTC", "revealed": null,
                "failures": { "L08-no-fork": 2 },
                "guesses": { "exits": { "guess": 1000.0, "at": "", "measured": 1012.0 } },
            } },
        })
    }

    #[test]
    fn a_name_is_neither_markup_nor_a_formula() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["<script>alert(1)</script>", "=HYPERLINK(\"x\")", "Ada, L.", "李\u{202e}四"];
        let files: Vec<PathBuf> = names
            .iter()
            .enumerate()
            .map(|(number, name)| {
                let path = folder.path().join(format!("{number}.json"));
                fs::write(&path, export(name).to_string()).unwrap();
                path
            })
            .collect();
        let style = Style { language: Language::En, width: 80, colours: false };
        let answer = class(&files, &folder.path().join("class"), &style).unwrap();
        assert_eq!((answer.code, &answer.json["students"]), (0, &4.into()));
        let page = fs::read_to_string(folder.path().join("class/index.html")).unwrap();
        assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains("<script"), "{page}");
        assert!(!page.contains('\u{202e}'));
        let table = fs::read_to_string(folder.path().join("class/class.csv")).unwrap();
        assert!(table.contains("\"'=HYPERLINK(\"\"x\"\")\",08"), "{table}");
        assert!(table.contains("\"Ada, L.\",08,own-name,passed,3,"), "{table}");
    }

    #[test]
    fn what_is_no_export_is_refused_by_name_and_the_others_are_taken() {
        let folder = tempfile::tempdir().unwrap();
        let mut long = export("x");
        long["student"] = "x".repeat(1000).into();
        let mut many = export("x");
        for number in 0..200 {
            many["labs"][number.to_string()] = many["labs"]["08"].clone();
        }
        let mut old = export("x");
        old["isolab_labs"] = 9.into();
        let texts = [
            export("Ada").to_string(),
            "{".into(),
            "{}".into(),
            long.to_string(),
            many.to_string(),
            old.to_string(),
            " ".repeat(5 << 20),
            export(" ").to_string(),
        ];
        let mut files: Vec<PathBuf> = vec!["/dev/zero".into(), "/nowhere".into()];
        for (number, text) in texts.iter().enumerate() {
            let path = folder.path().join(format!("{number}.json"));
            fs::write(&path, text).unwrap();
            files.push(path);
        }
        let style = Style { language: Language::Zh, width: 80, colours: false };
        let answer = class(&files, &folder.path().join("class"), &style).unwrap();
        assert_eq!((answer.code, &answer.json["students"]), (1, &1.into()), "{}", answer.text);
        assert_eq!(answer.json["refused"].as_array().unwrap().len(), files.len() - 1);
        assert!(answer.text.contains("拒收 /dev/zero: not a regular file"), "{}", answer.text);
    }
}
