//! The table: a line for each fact and for each kind of namespace, a column for each process.

use ratatui::{
    style::{Color, Style},
    text::{Line, Span},
};
use report::columns::{columns, padded, shortened};

use super::{Column, Kind, Namespaces};
use crate::{Language, script::Words, style::DIM};

/// For the names of the lines.
pub(super) const LABEL: usize = 16;
/// For `4026531838 NEW` and a gap.
pub(super) const NARROWEST: usize = 16;
/// Wider columns are harder to read along.
pub(super) const WIDEST: usize = 24;
/// The containers' colours, in the order of their columns.
const COLOURS: [Color; 3] = [Color::Cyan, Color::Yellow, Color::Magenta];

/// The facts about a process besides its tables, the most important first.
pub(super) const FACTS: [(Words, Fact); 5] = [
    (Words("pid  out → in", "pid  外 → 里"), Fact::Pid),
    (Words("user out → in", "user 外 → 里"), Fact::User),
    (Words("host name", "主机名"), Fact::HostName),
    (Words("can see", "能看到"), Fact::Sees),
    (Words("entered (setns)", "setns 进入的"), Fact::Others),
];

/// A fact about a process.
#[derive(Clone, Copy)]
pub(super) enum Fact {
    Pid,
    User,
    HostName,
    Sees,
    Others,
}

impl Fact {
    /// Empty where it is not known or does not apply.
    pub(super) fn of(self, column: &Column, is_host: bool, language: Language) -> String {
        let answers = column.answers.as_ref();
        match self {
            Self::Pid => match (column.ending, column.pid, answers) {
                (true, ..) => language.either("ends ...", "正在结束……").into(),
                (false, None, _) => language.either("starts ...", "正在启动……").into(),
                (false, Some(pid), _) if is_host => pid.to_string(),
                (false, Some(pid), own) => match own.map(|own| own.pid).or(column.inside) {
                    Some(inside) => format!("{pid} → {inside}"),
                    None => pid.to_string(),
                },
            },
            Self::Others => match column.others.as_slice() {
                [] => String::new(),
                [(inside, outside)] => format!("{outside} → {inside}"),
                many => {
                    let one = |(inside, outside): &(u32, u32)| format!("{outside}→{inside}");
                    many.iter().map(one).collect::<Vec<_>>().join(" ")
                }
            },
            Self::User => match (column.user, answers) {
                (Some(outside), Some(own)) if !is_host => format!("{outside} → {}", user(own.user)),
                (outside, _) => outside.map(user).unwrap_or_default(),
            },
            Self::HostName => answers.map(|own| own.host_name.clone()).unwrap_or_default(),
            Self::Sees => match (column.processes, language) {
                (None, _) => String::new(),
                (Some(1), Language::En) => "1 process".into(),
                (Some(count), Language::En) => format!("{count} processes"),
                (Some(count), Language::Zh) => format!("{count} 个进程"),
            },
        }
    }
}

/// A user's number; of all names only root's is the same everywhere.
pub(super) fn user(number: u32) -> String {
    if number == 0 { "0 root".into() } else { number.to_string() }
}

/// How many lines the table has, without the one between its parts.
pub(super) const HEIGHT: usize = 1 + FACTS.len() + Kind::ALL.len();

/// The table in its parts.
pub(super) struct Table {
    /// The names, and the lines about the processes, the most important first.
    pub(super) facts: Vec<Line<'static>>,
    /// How many of their namespaces are new.
    pub(super) sum: Line<'static>,
    /// The lines about their namespaces.
    pub(super) kinds: Vec<Line<'static>>,
}

/// One or more columns of the table, number 0 the host's, each of this width.
pub(super) fn table(
    scene: &Namespaces,
    shown: &[usize],
    width: usize,
    language: Language,
) -> Table {
    let column = |number: usize| match number {
        0 => &scene.host,
        number => &scene.containers[number - 1],
    };
    let line = |label: String, cell: &dyn Fn(usize) -> Vec<Span<'static>>| {
        let label = Span::raw(padded(&shortened(&label, LABEL - 1), LABEL));
        let cells = shown.iter().flat_map(|&number| fitted(cell(number), width));
        Line::from_iter(std::iter::once(label).chain(cells))
    };
    let last = shown.last().copied();
    let mut facts = vec![line(String::new(), &|number| {
        let name = match number {
            0 => language.either("host", "宿主机"),
            number => &scene.containers[number - 1].name,
        };
        let name = shortened(name, width.saturating_sub(4));
        let rule = width.saturating_sub(columns(&name) + 2);
        let rule =
            if Some(number) == last { String::new() } else { " ".to_owned() + &"─".repeat(rule) };
        vec![Span::styled(name, colour(number).bold()), Span::styled(rule, DIM)]
    })];
    for (label, fact) in FACTS {
        facts.push(line(label.of(language).into(), &|number| {
            vec![Span::raw(fact.of(column(number), number == 0, language))]
        }));
    }
    let sum = line("/proc/PID/ns".into(), &|number| {
        vec![Span::styled(sum(scene, column(number), number == 0, language), DIM)]
    });
    let mut kinds = Vec::new();
    for (index, kind) in Kind::ALL.iter().enumerate() {
        let label = format!("{:7}{}", kind.link, kind.holds(language));
        kinds.push(line(label, &|number| {
            let table = column(number).tables[index];
            mark(table, scene.host.tables[index], number, language)
        }));
    }
    Table { facts, sum, kinds }
}

/// How many of its namespaces are not the host's.
pub(super) fn sum(
    scene: &Namespaces,
    column: &Column,
    is_host: bool,
    language: Language,
) -> String {
    let known = column.tables.iter().flatten().count();
    let new = scene.new_tables(column);
    match (is_host, known, language) {
        (false, 0, _) => String::new(),
        (true, _, Language::En) => format!("{known} namespaces"),
        (true, _, Language::Zh) => format!("{known} 个命名空间"),
        (false, _, Language::En) => format!("{new} NEW, {} same", known - new),
        (false, _, Language::Zh) => format!("{new} 新, {} 共用", known - new),
    }
}

/// A namespace's number, and whether it is one that the host does not have.
fn mark(
    table: Option<u64>,
    host: Option<u64>,
    number: usize,
    language: Language,
) -> Vec<Span<'static>> {
    match table {
        None => Vec::new(),
        Some(table) if number == 0 => vec![Span::raw(table.to_string())],
        Some(_) if table == host => {
            vec![Span::styled(language.either("same", "共用").to_owned(), DIM)]
        }
        Some(table) => {
            let text = format!("{table} {}", language.either("NEW", "新"));
            vec![Span::styled(text, colour(number).bold())]
        }
    }
}

/// The colour of a column; the host has none.
pub(super) fn colour(number: usize) -> Style {
    match number.checked_sub(1) {
        Some(number) => Style::new().fg(COLOURS[number % COLOURS.len()]),
        None => Style::new(),
    }
}

/// The spans in a cell of this width, with a gap behind them.
pub(super) fn fitted(spans: Vec<Span<'static>>, width: usize) -> Vec<Span<'static>> {
    let mut left = width.saturating_sub(1);
    let mut cell = Vec::new();
    for span in spans {
        let text = shortened(&span.content, left);
        left = left.saturating_sub(columns(&text));
        cell.push(Span::styled(text, span.style));
    }
    cell.push(Span::raw(" ".repeat(left + 1)));
    cell
}
