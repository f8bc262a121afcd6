//! What `changes` reports, beside what is there.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use lab::check::{Bench, Checked, Finding, Student, ensure, fail};
use layers::{Abilities, Change, Sample, Scenario};

/// What the program has said that the layer `name` changes.
fn reported(student: &Student, name: &str) -> Checked<Vec<Change>> {
    Ok(serde_json::from_str(student.said(name)?).map_err(io::Error::from)?)
}

fn path_of(change: &Change) -> &Path {
    match change {
        Change::Written(path) | Change::Deleted(path) | Change::Replaced(path) => path,
    }
}

/// A change as the program writes it: `Deleted(lib/old)`.
fn words(change: &Change) -> String {
    let kind = match change {
        Change::Written(_) => "Written",
        Change::Deleted(_) => "Deleted",
        Change::Replaced(_) => "Replaced",
    };
    format!("{kind}({})", path_of(change).display())
}

fn words_or_none(change: Option<&Change>) -> String {
    change.map_or("-".to_owned(), words)
}

/// The sample: no whiteout is in it, but what may be taken for one.
pub fn judge_sample(
    bench: &mut Bench,
    student: &Student,
    word: &str,
    able: Abilities,
) -> Checked<()> {
    let wanted = Sample::changes(word, able);
    let found = reported(student, "sample")?;
    bench.saw("changes() of the sample", format!("{} of {} changes", found.len(), wanted.len()));
    let set: BTreeSet<Change> = found.iter().cloned().collect();
    let name = |kind: &str| PathBuf::from(format!("{kind}-{word}"));
    let missing = wanted.difference(&set).next();
    let extra = set.difference(&wanted).next();
    let finding = |id: &str| {
        let finding = fail(id).fact("missing", words_or_none(missing));
        finding.fact("extra", words_or_none(extra))
    };
    let has = |change: Change| set.contains(&change);
    let lacks = |path: PathBuf| !set.iter().any(|change| path_of(change) == path);
    let through_link = |path: &Path| path.starts_with(name("link")) && path != name("link");
    let any = |is: &dyn Fn(&Path) -> bool| set.iter().any(|change| is(path_of(change)));
    let id = if any(&Path::is_absolute) {
        "L14-absolute"
    } else if any(&|path| path == name("untouched")) {
        return Err(fail("L14-walked-merged").fact("path", name("untouched").display()));
    } else if any(&through_link) {
        "L14-link-followed"
    } else if has(Change::Deleted(Sample::device(word))) {
        "L14-device"
    } else if has(Change::Replaced(name("marked"))) {
        "L14-marked"
    } else if has(Change::Written(name("dir"))) || has(Change::Written(name("empty"))) {
        "L14-directory"
    } else if able.marks && !has(Change::Replaced(name("opaque"))) {
        "L14-opaque-ignored"
    } else if lacks(name("dir").join("sub").join(name("deep"))) {
        "L14-not-recursive"
    } else if lacks(name("opaque").join(name("file"))) {
        "L14-opaque-contents"
    } else if lacks(name("link")) || able.device && lacks(Sample::device(word)) {
        "L14-other-kinds"
    } else if missing.is_some() || extra.is_some() {
        "L14-changes"
    } else if found.len() > set.len() {
        "L14-twice"
    } else {
        return Ok(());
    };
    let twice = found.iter().find(|change| found.iter().filter(|it| it == change).count() > 1);
    Err(finding(id).fact("change", words_or_none(twice)))
}

/// The upper layer of a container, compared with what was done in it.
pub fn judge(
    bench: &mut Bench,
    student: &Student,
    container: &str,
    wanted: &BTreeSet<Change>,
    scenario: &Scenario,
) -> Checked<()> {
    let found: BTreeSet<Change> = reported(student, container)?.into_iter().collect();
    let says = format!("{} changes, {} were made", found.len(), wanted.len());
    bench.saw(format!("changes() of container {container}"), says);
    let touched: BTreeSet<&Path> = wanted.iter().map(path_of).collect();
    let files = scenario.paths();
    let untouched = |path: &&Path| !touched.contains(path) && files.contains(path);
    if let Some(path) = found.iter().map(path_of).find(untouched) {
        return Err(fail("L14-walked-merged").fact("path", path.display()));
    }
    let missing = wanted.difference(&found).next();
    let extra = found.difference(wanted).next();
    let lost = |change: &&Change| matches!(change, Change::Deleted(_));
    let is_whiteout = wanted.difference(&found).any(|change| lost(&change));
    ensure(missing.is_none() && extra.is_none(), || -> Finding {
        let id = if is_whiteout { "L14-whiteout-ignored" } else { "L14-changes" };
        fail(id).fact("missing", words_or_none(missing)).fact("extra", words_or_none(extra))
    })
}
