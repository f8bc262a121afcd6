//! The verdicts of a class as pages and as a table. Every word of a student's is text in them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use super::{
    results::Mark,
    similar::Pair,
    submissions::{Refused, Submission},
};
use crate::{
    runner::{
        commands::{class::quoted, class_page},
        output::text::Style,
    },
    verdict::Verdict,
};

/// So much of an answer is shown beside another one.
const MOST_SHOWN: usize = 20_000;
const STYLE: &str = "
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; }
pre { overflow-x: auto; font-size: 12px; border: 1px solid var(--line); padding: .5rem; }
.pass { color: var(--good); font-weight: 600; }
.fail { color: var(--bad, #cf222e); }
.cannot-tell, .not-judged { color: var(--some); }
";

/// The table of verdicts.
pub(super) fn index(marks: &[Mark], refused: &[Refused], pairs: usize, style: &Style) -> String {
    let title = style.either("Answers of the class", "全班的答案");
    let mut page = class_page::head(title, STYLE, style);
    let count = |verdict| marks.iter().filter(|mark| mark.verdict == verdict).count();
    let (passed, failed) = (count(Some(Verdict::Pass)), count(Some(Verdict::Fail)));
    let (open, broken) = (count(Some(Verdict::CannotTell)), count(None));
    let _ = match style.either("en", "zh") {
        "en" => writeln!(
            page,
            "<p>{} answers: {passed} PASS, {failed} FAIL, {open} CANNOT TELL, {broken} not judged. \
             {} files refused. <a href=\"similar.html\">{pairs} pairs alike</a>.</p>",
            marks.len(),
            refused.len()
        ),
        _ => writeln!(
            page,
            "<p>{} 份答案：通过 {passed}，未通过 {failed}，无法判断 {open}，没有判定 {broken}。\
             拒收 {} 个文件。<a href=\"similar.html\">{pairs} 对相似</a>。</p>",
            marks.len(),
            refused.len()
        ),
    };
    matrix(&mut page, marks, style);
    every_mark(&mut page, marks, style);
    class_page::refused(
        &mut page,
        refused.iter().map(|it| (it.file.as_str(), it.why.as_str())),
        style,
    );
    page + &class_page::foot()
}

fn matrix(page: &mut String, marks: &[Mark], style: &Style) {
    let labs: BTreeMap<&str, &str> =
        marks.iter().map(|mark| (mark.lab.as_str(), mark.name.as_str())).collect();
    let students: BTreeSet<&str> = marks.iter().map(|mark| mark.student.as_str()).collect();
    let of: BTreeMap<(&str, &str), &Mark> =
        marks.iter().map(|mark| ((mark.student.as_str(), mark.lab.as_str()), mark)).collect();
    let _ = write!(
        page,
        "<div class=\"wide\">\n<table>\n<tr><th>{}</th><th>{}</th>",
        style.either("student", "学生"),
        style.either("passed", "通过")
    );
    for (id, name) in &labs {
        let _ = write!(page, "<th class=\"lab\" title=\"{}\">{}</th>", safe(name), safe(id));
    }
    page.push_str("</tr>\n");
    for student in students {
        let own = |lab: &str| of.get(&(student, lab)).copied();
        let passed = labs.keys().filter_map(|lab| own(lab));
        let passed = passed.filter(|mark| mark.verdict == Some(Verdict::Pass)).count();
        let _ = write!(page, "<tr><td>{}</td><td>{passed}</td>", safe(student));
        for lab in labs.keys() {
            let _ = match own(lab) {
                Some(mark) => write!(
                    page,
                    "<td class=\"lab {}\" title=\"{}\">{}</td>",
                    class(mark),
                    safe(mark.id.as_deref().unwrap_or_default()),
                    sign(mark)
                ),
                None => write!(page, "<td class=\"lab not-begun\">–</td>"),
            };
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table>\n</div>\n");
}

fn every_mark(page: &mut String, marks: &[Mark], style: &Style) {
    let heads = match style.either("en", "zh") {
        "en" => ["student", "lab", "verdict", "id", "what was seen", "not judged", "s"],
        _ => ["学生", "实验", "结论", "编号", "看到", "没有判定的部分", "秒"],
    };
    page.push_str("<div class=\"wide\">\n<table>\n<tr>");
    for head in heads {
        let _ = write!(page, "<th>{head}</th>");
    }
    page.push_str("</tr>\n");
    for mark in marks {
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{} {}</td><td class=\"{}\">{}</td><td>{}</td><td>{}</td><td>{}</td>\
             <td>{:.1}</td></tr>",
            safe(&mark.student),
            safe(&mark.lab),
            safe(&mark.name),
            class(mark),
            word(mark),
            safe(mark.id.as_deref().unwrap_or_default()),
            safe(mark.saw.as_deref().unwrap_or_default()),
            safe(&mark.unjudged.join("; ")),
            mark.seconds
        );
    }
    page.push_str("</table>\n</div>\n");
}

/// Answers side by side; what both have, and the skeleton has not, is marked.
pub(super) fn similar(
    submissions: &[Submission],
    pairs: &[Pair],
    skeleton: &dyn Fn(&str) -> String,
    style: &Style,
) -> String {
    let title = style.either("Answers that are alike", "相似的答案");
    let mut page = class_page::head(title, STYLE, style);
    let legend = style.either(
        "Of the smaller answer, the part that the other one has too: without names, values, comments \
         and layout, and with names and values. What the skeleton has does not count, nor, from ten \
         answers on, what two of three have. Short labs have short answers, and two honest ones may \
         be the same: this is where to ask, not what to conclude.",
        "较短的一份里有多少也出现在另一份里：先不看名字、数值、注释和排版，再连名字和数值一起看。骨架里\
         已有的不算；一个实验有十份以上答案时，三分之二以上的人都有的也不算。短的实验答案也短，两份诚实的答案可能\
         一样：这里只说明该去问谁，不说明结论。",
    );
    let _ = writeln!(page, "<p>{legend}</p>");
    for pair in pairs {
        let (one, other) = (&submissions[pair.one], &submissions[pair.other]);
        let _ = writeln!(
            page,
            "<h2>{} {}: {} – {}</h2>\n<p>{:.0} % / {:.0} %</p>\n<div class=\"pair\">",
            style.either("Lab", "实验"),
            safe(&one.lab),
            safe(&one.student),
            safe(&other.student),
            pair.alike * 100.0,
            pair.literally * 100.0
        );
        let skeleton = skeleton(&one.lab);
        for (own, others) in [(one, other), (other, one)] {
            let usual: BTreeSet<&str> = skeleton.lines().map(str::trim).collect();
            let others: BTreeSet<&str> = others.text.lines().map(str::trim).collect();
            page.push_str("<pre>");
            let mut shown = 0;
            for line in own.text.lines() {
                shown += line.len();
                if shown > MOST_SHOWN {
                    page.push('…');
                    break;
                }
                let bare = line.trim();
                let is_common = others.contains(bare) && !usual.contains(bare);
                let _ = match is_common && bare.len() > 2 {
                    true => writeln!(page, "<mark>{}</mark>", safe(line)),
                    false => writeln!(page, "{}", safe(line)),
                };
            }
            page.push_str("</pre>\n");
        }
        page.push_str("</div>\n");
    }
    page + &class_page::foot()
}

/// A line for each answer, as RFC 4180 writes it.
pub(super) fn table(marks: &[Mark], submissions: &[Submission], pairs: &[Pair]) -> String {
    let mut alike: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for pair in pairs {
        let (one, other) = (&submissions[pair.one], &submissions[pair.other]);
        for (own, others) in [(one, other), (other, one)] {
            let key = (own.student.as_str(), own.lab.as_str());
            alike.entry(key).or_default().insert(&others.student);
        }
    }
    let heads = "student,lab,name,verdict,id,not judged,seconds,alike\r\n";
    let mut text = String::from("\u{feff}") + heads;
    for mark in marks {
        let with = alike.get(&(mark.student.as_str(), mark.lab.as_str()));
        let with: Vec<&str> = with.into_iter().flatten().copied().collect();
        let cells = [
            mark.student.clone(),
            mark.lab.clone(),
            mark.name.clone(),
            word(mark).to_owned(),
            mark.id.clone().unwrap_or_default(),
            mark.unjudged.join("; "),
            format!("{:.1}", mark.seconds),
            with.join("; "),
        ];
        text += &cells.map(|cell| quoted(&cell)).join(",");
        text += "\r\n";
    }
    text
}

fn word(mark: &Mark) -> &'static str {
    match mark.verdict {
        Some(Verdict::Pass) => "PASS",
        Some(Verdict::Fail) => "FAIL",
        Some(Verdict::CannotTell) => "CANNOT TELL",
        None => "not judged",
    }
}

fn class(mark: &Mark) -> String {
    word(mark).to_lowercase().replace(' ', "-")
}

fn sign(mark: &Mark) -> &'static str {
    match mark.verdict {
        Some(Verdict::Pass) => "✓",
        Some(Verdict::Fail) => "✗",
        Some(Verdict::CannotTell) | None => "?",
    }
}

fn safe(text: &str) -> String {
    class_page::safe(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Language;

    #[test]
    fn no_word_of_a_students_is_markup_or_a_formula() {
        let evil = "<script>alert(1)</script>";
        let mark = Mark {
            student: format!("=1+{evil}"),
            lab: "08".into(),
            name: "own-name".into(),
            verdict: Some(Verdict::Fail),
            id: Some("L08-no-fork".into()),
            saw: Some(evil.into()),
            unjudged: vec![evil.into()],
            seconds: 1.25,
            judge: String::new(),
        };
        let answer = |student: &str| Submission {
            student: student.into(),
            lab: "08".into(),
            text: format!("fn main() {{}} // {evil}\u{202e}\u{1b}[2J"),
        };
        let answers = [answer(&mark.student), answer("@lin")];
        let pairs = [Pair { one: 0, other: 1, alike: 1.0, literally: 0.5 }];
        let style = Style { language: Language::En, width: 80, colours: false };
        let refused = [Refused { file: evil.into(), why: evil.into() }];
        let index = index(std::slice::from_ref(&mark), &refused, 1, &style);
        let similar = similar(&answers, &pairs, &|_| String::new(), &style);
        for page in [index, similar] {
            assert!(!page.contains("<script") && page.contains("&lt;script&gt;"), "{page}");
            assert!(!page.contains('\u{202e}') && !page.contains('\u{1b}'));
        }
        let table = table(&[mark], &answers, &pairs);
        assert!(
            table.contains("'=1+<script>alert(1)</script>,08,own-name,FAIL,L08-no-fork")
                || table.contains("\"'=1+"),
            "{table}"
        );
        assert!(table.contains("'@lin"), "{table}");
    }
}
