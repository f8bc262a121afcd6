//! The maps of the new process: what is in them, and why they were refused.

use lab::check::{Bench, Checked, Finding, Process, Student, ensure, fail};

const FILES: [&str; 3] = ["uid_map", "setgroups", "gid_map"];

/// Looks at the maps, and at what `write_maps` has returned.
pub fn judge(bench: &mut Bench, student: &Student, main: Process, child: Process) -> Checked<()> {
    let answer = student.said("write_maps")?.to_owned();
    let [user, setgroups, group] = FILES.map(|file| child.read(file).map(|text| words(&text)));
    let (user, setgroups, group) = (user?, setgroups?, group?);
    bench.saw("write_maps()", &answer);
    for (file, text) in FILES.into_iter().zip([&user, &setgroups, &group]) {
        bench.saw(child.path(file).display(), if text.is_empty() { "empty" } else { text });
    }
    let show = |text: &str| if text.is_empty() { "empty".to_owned() } else { format!("`{text}`") };
    let facts = |finding: Finding| {
        let finding = finding.fact("answer", &answer).fact("setgroups", &setgroups);
        finding.fact("user", show(&user)).fact("group", show(&group))
    };
    let id = match &*answer {
        "ok" => None,
        refused if refused.contains("not permitted") || refused.contains("EPERM") => {
            // Which file was refused, by what is in them now.
            Some(match (user.is_empty(), group.is_empty(), &*setgroups) {
                (true, ..) => "L10-identity-map",
                (false, true, "deny") => "L10-group-map",
                (false, true, _) => "L10-setgroups",
                (false, false, _) => "L10-written-twice",
            })
        }
        refused if refused.contains("Invalid argument") || refused.contains("EINVAL") => {
            Some("L10-map-format")
        }
        _ => Some("L10-map-refused"),
    };
    if let Some(id) = id {
        return Err(facts(fail(id)));
    }
    for (file, map, field) in [("uid_map", &user, "Uid"), ("gid_map", &group, "Gid")] {
        ensure(!map.is_empty(), || fail("L10-no-map").fact("map_file", file))?;
        let you = first_word(&main.status(field)?);
        let wanted = format!("0 {you} 1");
        let finding = || fail("L10-not-root").fact("map_file", file).fact("you", &you);
        ensure(*map == wanted, || finding().fact("wanted", &wanted).fact("map", map))?;
    }
    Ok(())
}

/// The words of a map, which the kernel sets in columns.
pub fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub fn first_word(text: &str) -> String {
    text.split_whitespace().next().unwrap_or_default().to_owned()
}
