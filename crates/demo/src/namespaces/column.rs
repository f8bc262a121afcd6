//! The table: a line for each fact and for each kind of namespace, a column for each process.

use ratatui::{
    style::{Color, Style},
    text::{Line, Span},
};
use report::columns::{columns, padded, shortened};

use super::{Column, Kind, Namespaces};
use crate::{Language, script::Words};

/// For the names of the lines.
pub(super) const LABEL: usize = 16;
/// For `4026531838 NEW` and a gap.
pub(super) const NARROWEST: usize = 16;
/// Wider columns are harder to read along.
pub(super) const WIDEST: usize = 24;
/// The containers' colours, in the order of their columns.
const COLOURS: [Color; 3] = [Color::Cyan, Color::Yellow, Color::Magenta];

/// What is said of a process besides its tables.
const FACTS: [(Words, Fact); 7] = [
    (Words("pid  outside", "pid  外面"), Fact::PidOutside),
    (Words("     inside", "     里面"), Fact::PidInside),
    (Words("user outside", "user 外面"), Fact::UserOutside),
    (Words("     inside", "     里面"), Fact::UserInside),
    (Words("host name", "主机名"), Fact::HostName),
    (Words("it can see", "能看见"), Fact::Sees),
    (Words("joined it", "后来加入"), Fact::Others),
];

#[derive(Clone, Copy)]
enum Fact {
    PidOutside,
    PidInside,
    UserOutside,
    UserInside,
    HostName,
    Sees,
    Others,
}

impl Fact {
    /// Empty where it is not known, or there is nothing to say.
    fn of(self, column: &Column, language: Language) -> String {
        let answers = column.answers.as_ref();
        match self {
            Self::PidOutside => match (column.ending, column.pid) {
                (true, _) => language.either("killed", "已杀死").into(),
                (false, Some(pid)) => pid.to_string(),
                (false, None) => language.either("starts ...", "正在启动……").into(),
            },
            Self::PidInside => text(answers.map(|answers| answers.pid)),
            Self::UserOutside => column.user.map(user).unwrap_or_default(),
            Self::UserInside => answers.map(|answers| user(answers.user)).unwrap_or_default(),
            Self::HostName => text(answers.map(|answers| &answers.host_name)),
            Self::Sees => match (column.processes, language) {
                (None, _) => String::new(),
                (Some(1), Language::En) => "1 process".into(),
                (Some(count), Language::En) => format!("{count} processes"),
                (Some(count), Language::Zh) => format!("{count} 个进程"),
            },
            Self::Others => {
                let one = |(inside, outside): &(u32, u32)| format!("{outside}→{inside}");
                column.others.iter().map(one).collect::<Vec<_>>().join(" ")
            }
        }
    }
}

fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// A user's number; of all names only root's is the same everywhere.
pub(super) fn user(number: u32) -> String {
    if number == 0 { "0 (root)".into() } else { number.to_string() }
}

/// How many lines the table has, without a blank one.
pub(super) const HEIGHT: usize = 1 + FACTS.len() + 1 + Kind::ALL.len();

/// One or more columns of the table, number 0 the host's, each of this width: the lines about the
/// processes, and those about their namespaces.
pub(super) fn table(
    scene: &Namespaces,
    shown: &[usize],
    width: usize,
    language: Language,
) -> (Vec<Line<'static>>, Vec<Line<'static>>) {
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
        vec![Span::styled(name, colour(number).bold()), Span::styled(rule, dim())]
    })];
    for (label, fact) in FACTS {
        facts.push(line(label.of(language).into(), &|number| {
            vec![Span::raw(fact.of(column(number), language))]
        }));
    }
    let mut kinds = vec![line("/proc/PID/ns".into(), &|number| {
        let known = column(number).tables.iter().flatten().count();
        let new = scene.new_tables(column(number));
        let text = match (number, known, language) {
            (1.., 0, _) => String::new(),
            (0, _, Language::En) => format!("{known} tables"),
            (0, _, Language::Zh) => format!("{known} 张表"),
            (_, _, Language::En) => format!("{new} NEW, {} same", known - new),
            (_, _, Language::Zh) => format!("{new} 新, {} 共用", known - new),
        };
        vec![Span::styled(text, dim())]
    })];
    for (index, kind) in Kind::ALL.iter().enumerate() {
        let label = format!("{:7}{}", kind.link, kind.holds(language));
        kinds.push(line(label, &|number| {
            let table = column(number).tables[index];
            mark(table, scene.host.tables[index], number, language)
        }));
    }
    (facts, kinds)
}

/// A table's number, and whether it is one that the host does not have.
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
            vec![Span::styled(language.either("same", "共用").to_owned(), dim())]
        }
        Some(table) => {
            let style = colour(number).bold();
            vec![
                Span::styled(format!("{table} "), style),
                Span::styled(language.either("NEW", "新").to_owned(), style.reversed()),
            ]
        }
    }
}

pub(super) fn dim() -> Style {
    Style::new().fg(Color::DarkGray)
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
