//! A report as files in a folder.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    Comparison, Records,
    chart::{Chart, charts},
    file::{RecordsError, replace},
    markdown::markdown,
    page::{Illustrated, page},
};

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

/// Writes `records.json`, `index.html`, `README.md` and the charts into `folder`, which is made if
/// need be.
///
/// All is computed before the first file is written, and each file replaces the old one whole.
///
/// # Errors
///
/// When the records hold what no measurement gives, or a file cannot be written: then that file,
/// and those after it, are what they were before.
pub fn write_report(records: &Records, folder: &Path) -> Result<Written, RecordsError> {
    if let Err(source) = records.validate() {
        return Err(RecordsError::Invalid { path: folder.to_owned(), source });
    }
    let comparison = Comparison::of(records);
    let mut questions: Vec<Illustrated> = Vec::new();
    for question in &comparison.questions {
        questions.push((question, charts(&comparison, question.group.name)?));
    }
    let page_text = page(&comparison, &questions);
    let drawn: Vec<&Chart> = questions.iter().flat_map(|(_, charts)| charts).collect();
    let names = file_names(drawn.iter().map(|chart| chart.name.as_str()));
    let readme_text = markdown(&comparison, &questions, &names);

    let put = |name: &str, text: &str| {
        let path = folder.join(name);
        match replace(&path, text.as_bytes()) {
            Ok(()) => Ok(path),
            Err(source) => Err(RecordsError::Write { path, source }),
        }
    };
    let made = |source: io::Error| RecordsError::Write { path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(made)?;
    // The raw samples first: whatever happens then, nothing has to be measured again.
    let records = records.write(folder)?;
    let page = put("index.html", &page_text)?;
    let readme = put("README.md", &readme_text)?;
    let mut charts = Vec::new();
    for (chart, name) in drawn.iter().zip(&names) {
        charts.push(put(name, &chart.file())?);
    }
    Ok(Written { records, page, readme, charts })
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
    use crate::{RecordsError, example};

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
    fn charts_of_the_same_name_have_files_of_their_own() {
        let names = file_names(["a/b", "a b", "../x"].into_iter());
        assert_eq!(names, ["a-b.svg", "a-b-2.svg", "---x.svg"]);
    }
}
