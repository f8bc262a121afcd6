//! Who am I? Six questions to one process, and the answers from both sides.

use ratatui::{
    style::Stylize as _,
    text::{Line, Span},
};
use report::columns::{padded, wrapped};

use super::{
    Column, Namespaces,
    column::{colour, fitted, user},
};
use crate::{Language, script::Words, style::DIM};

/// The kind of namespace, the question, and the answers from the host and from inside.
pub(super) struct Question {
    pub(super) link: &'static str,
    pub(super) words: Words,
    pub(super) outside: String,
    pub(super) inside: String,
}

fn questions(scene: &Namespaces, asked: &Column, language: Language) -> Option<[Question; 6]> {
    let (host, own) = (scene.host.answers.as_ref()?, asked.answers.as_ref()?);
    let root = |kind: &str, mounts: usize| match language {
        Language::En => format!("{kind}, {mounts} mounts"),
        Language::Zh => format!("{kind}，{mounts} 个挂载"),
    };
    let pair = |link, words, outside, inside| Question { link, words, outside, inside };
    Some([
        pair(
            "pid",
            Words("What is my pid?", "我是几号进程？"),
            asked.pid?.to_string(),
            own.pid.to_string(),
        ),
        pair("user", Words("Who am I?", "我是谁？"), user(asked.user?), user(own.user)),
        pair(
            "uts",
            Words("What is my host name?", "我的主机名是什么？"),
            host.host_name.clone(),
            own.host_name.clone(),
        ),
        pair(
            "mnt",
            Words("What is my root (/)?", "我的根文件系统（/）是什么？"),
            root(&host.root, host.mounts),
            root(&own.root, own.mounts),
        ),
        pair(
            "net",
            Words("Which network links?", "有哪些网络接口？"),
            host.links.join(" "),
            own.links.join(" "),
        ),
        pair(
            "cgroup",
            Words("Which cgroup am I in?", "我在哪个控制组？"),
            asked.cgroup.clone().unwrap_or_default(),
            own.cgroup.clone(),
        ),
    ])
}

/// The container that is asked, and its questions.
pub(super) struct Interview {
    /// The number of its column.
    pub(super) number: usize,
    /// Who is asked, and how many answers differ.
    pub(super) words: String,
    pub(super) questions: [Question; 6],
}

/// What the title is.
pub(super) const TITLE: Words = Words("Who am I?", "我是谁？");
/// What is said where nobody can be asked.
pub(super) const NOBODY: Words = Words(
    "No container is running: press [s] to start one.",
    "没有正在运行的容器：按 [s] 启动一个。",
);

/// The newest container's answers; `None` where none runs yet.
pub(super) fn interview(scene: &Namespaces, language: Language) -> Option<Interview> {
    let newest = scene.containers.iter().enumerate().rfind(|(_, column)| !column.ending);
    let (index, column) = newest?;
    let questions = questions(scene, column, language)?;
    let different = questions.iter().filter(|question| question.outside != question.inside).count();
    let name = &column.name;
    let words = match language {
        Language::En => {
            format!(
                "Asked of the shell in {name} and of the host: {different} of 6 answers differ."
            )
        }
        Language::Zh => {
            format!("分别询问 {name} 里的 shell 和宿主机：6 个回答中有 {different} 个不同。")
        }
    };
    Some(Interview { number: index + 1, words, questions })
}

/// Where the answers are from.
pub(super) fn sides(language: Language) -> [&'static str; 2] {
    match language {
        Language::En => ["from the host", "from inside"],
        Language::Zh => ["从宿主机看", "从容器内看"],
    }
}

/// The picture, for an area of this size.
pub(super) fn lines(
    scene: &Namespaces,
    (width, height): (usize, usize),
    language: Language,
) -> Vec<Line<'static>> {
    let title = TITLE.of(language).bold();
    let Some(Interview { number, words, questions }) = interview(scene, language) else {
        return vec![Line::from(title), Line::from(NOBODY.of(language))];
    };
    let mut lines = vec![Line::from(title)];
    lines.extend(wrapped(&words, width).into_iter().map(Line::from));
    lines.push(Line::default());
    // The question beside its answers, or above them.
    const BESIDE: usize = 72;
    let before = if width >= BESIDE { 34 } else { 2 };
    let cell = (width.saturating_sub(before) / 2).clamp(8, 34);
    let [outside, inside] = sides(language);
    let head = [
        Span::raw(" ".repeat(before)),
        Span::styled(padded(outside, cell), DIM),
        Span::styled(inside, DIM),
    ];
    lines.push(Line::from_iter(head));
    let roomy = height >= lines.len() + if before > 2 { 13 } else { 19 };
    for Question { link, words, outside, inside } in questions {
        let question = [Span::raw(format!("{link:8}")), Span::styled(words.of(language), DIM)];
        let style = if outside == inside { DIM } else { colour(number).bold() };
        let answers = [
            fitted(vec![Span::raw(outside)], cell),
            fitted(vec![Span::styled(inside, style)], cell),
        ];
        let answers = answers.into_iter().flatten();
        if before > 2 {
            lines.push(Line::from_iter(fitted(question.into(), before).into_iter().chain(answers)));
        } else {
            lines.push(Line::from_iter(question));
            let blank = Span::raw(" ".repeat(before));
            lines.push(Line::from_iter(std::iter::once(blank).chain(answers)));
        }
        if roomy {
            lines.push(Line::default());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use crate::{
        Language,
        namespaces::{
            Namespaces,
            draw::tests::{scene, screen},
        },
    };

    #[test]
    fn the_newest_is_seen_from_both_sides() {
        let scene = Namespaces { who: true, ..scene() };
        let screen = screen(&scene, (80, 12), Language::En);
        let expected = "
Who am I?
Asked of the shell in demo-2 and of the host: 4 of 6 answers differ.

                                  from the host          from inside
pid     What is my pid?           4822                   1
user    Who am I?                 100000                 0 root
uts     What is my host name?     classroom              demo-2
mnt     What is my root (/)?      overlay, 15 mounts     overlay, 15 mounts
net     Which network links?      lo                     lo
cgroup  Which cgroup am I in?     /isolab-demo-2         /";
        assert_eq!(format!("\n{}", screen[..10].join("\n")), expected);
    }

    #[test]
    fn nobody_is_asked_before_a_container_has_started() {
        for starting in [false, true] {
            let mut scene = Namespaces { who: true, ..scene() };
            scene.containers.truncate(usize::from(starting));
            scene.containers.iter_mut().for_each(|column| column.answers = None);
            assert!(screen(&scene, (80, 12), Language::En)[1].contains("press [s]"));
        }
    }
}
