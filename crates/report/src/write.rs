//! A report as files in a folder.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest as _, Sha256};

use crate::{
    Comparison, Records,
    chart::{Chart, charts, lesson_chart},
    file::{self, RecordsError, replace},
    markdown::markdown,
    page::{Illustrated, Illustrations, page},
};

/// The name of the page.
pub(crate) const PAGE: &str = "index.html";
/// The name of the same for a repository.
pub(crate) const README: &str = "README.md";

/// The files of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The raw samples.
    pub records: PathBuf,
    /// The page, to be opened in a browser.
    pub page: PathBuf,
    /// The same for a repository.
    pub readme: PathBuf,
    /// The charts.
    pub charts: Vec<PathBuf>,
}

/// A report that is not written yet: all that follows from its records.
pub(crate) struct Drawn {
    pub(crate) page: String,
    pub(crate) readme: String,
    /// File names and contents.
    pub(crate) charts: Vec<(String, String)>,
}

/// SHA-256 in hexadecimal digits.
pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Draws all of a report; `digest` is that of the file of the records.
pub(crate) fn draw(records: &Records, digest: &str) -> Result<Drawn, RecordsError> {
    let comparison = Comparison::of(records);
    let mut questions: Vec<Illustrated> = Vec::new();
    for question in &comparison.questions {
        questions.push((question, charts(&comparison, question.group.name)?));
    }
    let lesson = lesson_chart(&comparison)?;
    let of_questions = questions.iter().flat_map(|(_, charts)| charts);
    let all: Vec<&Chart> = lesson.iter().chain(of_questions).collect();
    let names = file_names(all.iter().map(|chart| chart.name.as_str()));
    let illustrations = Illustrations { lesson: lesson.as_ref(), questions: &questions, digest };
    Ok(Drawn {
        page: page(&comparison, &illustrations),
        readme: markdown(&comparison, &illustrations, &names),
        charts: names.into_iter().zip(all.iter().map(|chart| chart.file())).collect(),
    })
}

/// Writes `records.json`, `index.html`, `README.md` and the charts into `folder`, which is made if
/// need be. Records that are there already and say the same keep their bytes; charts of an earlier
/// report that this one does not have are removed.
///
/// All is computed before the first file is written, and each file replaces the old one whole. Of
/// two that write into one folder at the same time, the second waits for the first.
///
/// # Errors
///
/// When the records hold what no measurement gives, or a file cannot be written: then that file,
/// and those after it, are what they were before.
pub fn write_report(records: &Records, folder: &Path) -> Result<Written, RecordsError> {
    if let Err(source) = records.validate() {
        return Err(RecordsError::Invalid { path: folder.to_owned(), source });
    }
    let made = |source: io::Error| RecordsError::Write { path: folder.to_owned(), source };
    let bytes = match file::bytes_that_say(records, folder) {
        Some(bytes) => bytes,
        None => serde_json::to_vec(records).map_err(|error| made(error.into()))?,
    };
    let Drawn { page, readme, charts } = draw(records, &digest(&bytes))?;
    fs::create_dir_all(folder).map_err(made)?;
    let folder_itself = File::open(folder).map_err(made)?;
    // Held until the end: two runs into one folder would leave a mixture of both.
    let _held = Flock::lock(folder_itself, FlockArg::LockExclusive)
        .map_err(|(_, errno)| made(errno.into()))?;
    let earlier = charts_of(folder);
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        match replace(&path, bytes) {
            Ok(()) => Ok(path),
            Err(source) => Err(RecordsError::Write { path, source }),
        }
    };
    // The raw samples first: whatever happens then, nothing has to be measured again.
    let records = put(file::NAME, &bytes)?;
    let page = put(PAGE, page.as_bytes())?;
    let readme = put(README, readme.as_bytes())?;
    let mut written = Vec::new();
    for (name, text) in &charts {
        written.push(put(name, text.as_bytes())?);
    }
    for name in earlier.iter().filter(|name| charts.iter().all(|(own, _)| own != *name)) {
        let path = folder.join(name);
        fs::remove_file(&path).map_err(|source| RecordsError::Write { path, source })?;
    }
    Ok(Written { records, page, readme, charts: written })
}

/// The charts that the README of an earlier report in this folder shows, and that are there.
fn charts_of(folder: &Path) -> Vec<String> {
    let Ok(readme) = fs::read_to_string(folder.join(README)) else { return Vec::new() };
    // Somebody else's README is no list of ours.
    if !readme.contains("(records.json)") {
        return Vec::new();
    }
    let targets = readme.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let own = |name: &&str| {
        let stem = name.strip_suffix(".svg");
        let usual = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        stem.is_some_and(|stem| !stem.is_empty() && stem.chars().all(usual))
            && folder.join(name).is_file()
    };
    targets.filter(own).map(str::to_owned).collect()
}

/// A file name for each chart; names from records may hold anything, even twice the same.
fn file_names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let mut free = |name: &str| {
        let usual = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let stem: String = name.chars().take(60).map(|c| if usual(c) { c } else { '-' }).collect();
        let mut file = format!("{stem}.svg");
        let mut number = 2;
        while !taken.insert(file.clone()) {
            file = format!("{stem}-{number}.svg");
            number += 1;
        }
        file
    };
    names.map(&mut free).collect()
}

#[cfg(test)]
mod tests {
    use tempfile::tempdir;

    use super::*;
    use crate::{RecordsError, Sample, Series, Unit, example, metric};

    fn written(records: &Records) -> (tempfile::TempDir, Written) {
        let folder = tempdir().unwrap();
        let written = write_report(records, folder.path()).unwrap();
        (folder, written)
    }

    #[test]
    fn a_report_is_complete_and_small_enough_to_mail() {
        let (folder, written) = written(&example::records());
        let page = fs::read_to_string(&written.page).unwrap();
        assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
        assert!(page.len() < 1_000_000, "{} bytes", page.len());
        let readme = fs::read_to_string(&written.readme).unwrap();
        for chart in &written.charts {
            let name = chart.file_name().unwrap().to_str().unwrap();
            assert!(readme.contains(&format!("]({name})")), "{name}");
            assert!(fs::read_to_string(chart).unwrap().ends_with("</svg>\n"), "{name}");
        }
        let files = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, 3 + written.charts.len(), "nothing else is left in the folder");
    }

    #[test]
    fn the_page_needs_no_script_and_no_network() {
        let (_folder, written) = written(&example::records());
        let page = fs::read_to_string(&written.page).unwrap();
        for forbidden in ["<script", "src=", "@import", "url(", "href=\"http", "<link"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
    }

    #[test]
    fn every_tag_of_the_page_is_closed_whatever_the_records_say() {
        let mut records = example::records();
        let hostile = "</td><script>alert(1)</script><svg onload='x'>\"\u{1b}\u{0}]]>";
        records.provenance.command = hostile.into();
        records.gaps[0].reason = hostile.into();
        records.traces[0].metric = format!("../../{hostile}");
        records.traces[0].lanes[0].label = hostile.into();
        records.probes[0].seen = hostile.into();
        records.series[0].metric = hostile.into();
        records.series[1].sandbox = hostile.into();
        records.series[2].caveat = Some(hostile.into());
        let (folder, written) = written(&records);
        let page = fs::read_to_string(&written.page).unwrap();
        assert!(!page.contains("<script") && !page.contains("<svg onload"), "markup got through");
        balanced(&page);
        for chart in &written.charts {
            assert_eq!(chart.parent().unwrap(), folder.path(), "{chart:?} is elsewhere");
            let chart = fs::read_to_string(chart).unwrap();
            assert!(!chart.contains("<script"));
            balanced(&chart);
        }
    }

    /// Checks that tags are closed in the order in which they were opened.
    fn balanced(text: &str) {
        let mut open: Vec<&str> = Vec::new();
        for tag in text.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()) {
            let name = tag.split([' ', '\n']).next().unwrap();
            match name.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name)),
                None if tag.ends_with('/') || ["!DOCTYPE", "meta", "br"].contains(&name) => {}
                None => open.push(name),
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }

    #[test]
    fn the_same_records_give_the_same_page() {
        let (_one, first) = written(&example::records());
        let (_other, second) = written(&example::records());
        assert_eq!(fs::read(first.page).unwrap(), fs::read(second.page).unwrap());
    }

    #[test]
    fn empty_records_give_a_page_too() {
        let empty = Records {
            series: vec![],
            gaps: vec![],
            traces: vec![],
            probes: vec![],
            ..example::records()
        };
        let (_folder, written) = written(&empty);
        balanced(&fs::read_to_string(written.page).unwrap());
    }

    #[test]
    fn a_failed_report_leaves_the_old_page() {
        let folder = tempdir().unwrap();
        fs::write(folder.path().join("index.html"), "old").unwrap();
        fs::create_dir(folder.path().join("records.json")).unwrap();
        let error = write_report(&example::records(), folder.path()).unwrap_err();
        assert!(matches!(error, RecordsError::Write { .. }));
        assert_eq!(fs::read_to_string(folder.path().join("index.html")).unwrap(), "old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no temporary file is left");
    }

    #[test]
    fn a_second_run_into_the_folder_leaves_nothing_of_the_first() {
        let (folder, first) = written(&example::records());
        let other = folder.path().join("mine.svg");
        fs::write(&other, "somebody's").unwrap();
        let mut fewer = example::records();
        fewer.traces.clear();
        fewer.series.retain(|series| series.metric.starts_with("startup."));
        let second = write_report(&fewer, folder.path()).unwrap();
        assert!(second.charts.len() < first.charts.len());
        let gone = first.charts.iter().filter(|chart| !second.charts.contains(chart));
        gone.for_each(|chart| assert!(!chart.exists(), "{chart:?}"));
        assert!(other.exists() && second.charts.iter().all(|chart| chart.exists()));
    }

    #[test]
    fn records_that_say_the_same_keep_their_bytes_and_the_page_names_them() {
        let folder = tempdir().unwrap();
        let pretty = serde_json::to_string_pretty(&example::records()).unwrap();
        fs::write(folder.path().join(file::NAME), &pretty).unwrap();
        let written = write_report(&example::records(), folder.path()).unwrap();
        assert_eq!(fs::read_to_string(&written.records).unwrap(), pretty);
        let digest = digest(pretty.as_bytes());
        for file in [&written.page, &written.readme] {
            assert!(fs::read_to_string(file).unwrap().contains(&digest), "{file:?}");
        }
    }

    #[test]
    fn curves_over_the_number_of_instances_are_drawn_and_have_no_row() {
        let mut records = example::records();
        for (metric, unit) in
            [(metric::DENSITY_START, Unit::Nanoseconds), (metric::DENSITY_MEMORY, Unit::Bytes)]
        {
            let samples = (1..=100).map(|round| Sample {
                value: f64::from(round) * 1e3 - 5e3,
                process: 0,
                round,
            });
            let usable = |sample: &Sample| unit == Unit::Bytes || sample.value >= 0.0;
            records.series.push(Series {
                metric: metric.into(),
                sandbox: "container".into(),
                unit,
                caveat: None,
                samples: samples.filter(usable).collect(),
                seconds: Vec::new(),
            });
        }
        let (folder, written) = written(&records);
        for name in ["density-start.svg", "density-memory.svg"] {
            assert!(written.charts.contains(&folder.path().join(name)), "{name}");
        }
        let page = fs::read_to_string(&written.page).unwrap();
        assert!(!page.contains(&format!("data-metric=\"{}\"", metric::DENSITY_START)));
        let faults = crate::verify::verify(folder.path()).unwrap().faults;
        assert!(faults.iter().all(|(place, _)| place == file::NAME), "{faults:?}");
    }

    #[test]
    fn charts_of_the_same_name_have_files_of_their_own() {
        let names = file_names(["a/b", "a b", "../x"].into_iter());
        assert_eq!(names, ["a-b.svg", "a-b-2.svg", "---x.svg"]);
    }
}
