//! `isolab lab new`: the beginning of a teacher's own lab.

use std::{fs, io, path::Path};

use serde_json::json;

use crate::runner::{Answer, Error, LabContext, Result};

/// The files of a small lab that is whole: it builds, and its truth table holds.
const TEMPLATE: [(&str, &str); 10] = [
    ("Cargo.toml", include_str!("../../../template/Cargo.toml.txt")),
    ("README.md", include_str!("../../../template/README.md.txt")),
    ("README.zh.md", include_str!("../../../template/README.zh.md.txt")),
    ("messages.toml", include_str!("../../../template/messages.toml.txt")),
    ("clauses.toml", include_str!("../../../template/clauses.toml.txt")),
    ("check.rs", include_str!("../../../template/check.rs.txt")),
    ("src/lib.rs", include_str!("../../../template/src/lib.rs.txt")),
    ("src/student.rs", include_str!("../../../template/src/student.rs.txt")),
    ("src/solution.rs", include_str!("../../../template/src/solution.rs.txt")),
    ("mutants/only_printed.rs", include_str!("../../../template/mutants/only_printed.rs.txt")),
];

/// The numbers of teachers' own labs.
const NUMBERS: std::ops::RangeInclusive<u8> = 21..=99;

/// Words that name no crate, or one that a lab uses itself.
const TAKEN: [&str; 46] = [
    "lab",
    "nix",
    "libc",
    "std",
    "core",
    "alloc",
    "test",
    "sandbox",
    "container",
    "microvm",
    "guest",
    "nest",
    "report",
    "cli",
    "as",
    "async",
    "await",
    "break",
    "const",
    "continue",
    "crate",
    "dyn",
    "else",
    "enum",
    "extern",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "match",
    "mod",
    "move",
    "mut",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "struct",
    "type",
    "use",
    "where",
];

/// Makes `labs/NN-NAME`, with the next number that is free.
///
/// # Errors
///
/// When the name cannot be a package's, or is in use; when the files cannot be written.
pub fn new(context: &LabContext, name: &str, title: Option<&str>) -> Result<Answer> {
    is_usable(context, name)?;
    let title = title.unwrap_or(name);
    if title.chars().any(char::is_control) || title.trim().is_empty() {
        return Err(usage(
            format!("invalid title: {title:?}; use one line of text"),
            format!("{title:?} 不能作标题：应当是一行文字"),
        ));
    }
    let labs = context.course.root.join("labs");
    let number = free_number(&labs).ok_or_else(|| {
        usage("all numbers up to 99 are in use".into(), "到 99 为止的编号都用完了".into())
    })?;
    let folder = labs.join(format!("{number}-{name}"));
    let owner = context.course.toolchain.owner();
    let made = owner.acting(|| write(&folder, &number, name, title));
    made.map_err(Error::file("create", &folder))?;
    let typed = context.as_typed(&folder);
    let text = match context.style.either("en", "zh") {
        "en" => format!(
            "{folder} is a small but complete lab. Replace it with yours: first the solution, then \
             what must\nbe true in check.rs, then a wrong answer for each mistake, and the texts \
             last.\n\nisolab lab verify {number}\n",
            folder = typed.display()
        ),
        _ => format!(
            "{folder} 已是一个完整的小实验，请在它上面改写：先写答案，再在 check.rs 里写必须成立的\n\
             事实，然后为每种常见错误写一个错误答案，最后写文字。\n\nisolab lab verify {number}\n",
            folder = typed.display()
        ),
    };
    Ok(Answer { text, json: json!({ "lab": number, "name": name, "folder": folder }), code: 0 })
}

fn usage(en: String, zh: String) -> Error {
    Error::Usage { en, zh }
}

fn is_usable(context: &LabContext, name: &str) -> Result<()> {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_name = name.len() <= 40
        && name.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
        && name.bytes().all(is_allowed)
        && !name.ends_with('-')
        && !name.contains("--");
    if !is_name {
        return Err(usage(
            format!(
                "invalid name: {name:?}; use lowercase letters, digits and single dashes, a letter first"
            ),
            format!("{name:?} 不能作名字：只用小写字母、数字和单个连字符，以字母开头"),
        ));
    }
    if TAKEN.contains(&name) || context.course.labs.iter().any(|lab| lab.name == name) {
        return Err(usage(
            format!("the name {name:?} is already in use"),
            format!("名字 {name:?} 已被占用"),
        ));
    }
    Ok(())
}

/// The first number that no folder has.
fn free_number(labs: &Path) -> Option<String> {
    let entries = fs::read_dir(labs).ok()?.flatten();
    let names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    NUMBERS
        .map(|number| number.to_string())
        .find(|number| !names.iter().any(|name| name.starts_with(&format!("{number}-"))))
}

fn write(folder: &Path, number: &str, name: &str, title: &str) -> io::Result<()> {
    fs::create_dir(folder)?;
    let written = TEMPLATE.iter().try_for_each(|(path, text)| {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        let is_toml = path.extension().is_some_and(|extension| extension == "toml");
        fs::write(path, filled(text, number, name, title, is_toml))
    });
    if written.is_err() {
        // A lab that is half there would keep cargo from reading the workspace.
        let _ = fs::remove_dir_all(folder);
    }
    written
}

fn filled(text: &str, number: &str, name: &str, title: &str, is_toml: bool) -> String {
    let title = match is_toml {
        true => title.replace('\\', "\\\\").replace('"', "\\\""),
        false => title.to_owned(),
    };
    text.replace("@NUMBER@", number)
        .replace("@NAME@", name)
        .replace("@CRATE@", &name.replace('-', "_"))
        .replace("@TITLE@", &title)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    #[test]
    fn the_template_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let lab = folder.path().join("21-fork-bomb");
        write(&lab, "21", "fork-bomb", "A \"bomb\" \\ 炸弹").unwrap();
        let catalogue =
            Catalogue::of_lab(&fs::read_to_string(lab.join("messages.toml")).unwrap()).unwrap();
        assert_eq!(catalogue.lab.unwrap().zh.title, "A \"bomb\" \\ 炸弹");
        assert!(catalogue.messages.contains_key("L21-only-printed"));
        for (path, _) in TEMPLATE {
            let text = fs::read_to_string(lab.join(path)).unwrap();
            assert!(!text.contains('@'), "{path}: {text}");
        }
        assert_eq!(free_number(folder.path()).unwrap(), "22");
        assert!(write(&lab, "21", "fork-bomb", "again").is_err() && lab.join("check.rs").exists());
    }
}
