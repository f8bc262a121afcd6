//! `isolab run --trace`: the calls of a run, question by question.

use std::time::Duration;

use report::columns::{shortened, wrapped};
use sandbox::{Event, Milestone, Outcome, Question, Status, TraceEntry, Workload};

use crate::{ansi::Ansi, kinds::Kind};

/// Columns: indent, what was called, how long it took, and a bar.
///
/// ```text
///      mount proc on /proc                                     41.2 µs  ███
///  |4 |                50                            |    12      | |   10    |
/// ```
const CALL: usize = 50;
const BAR: usize = 10;
const WIDTH: usize = 79;

/// The page, ready to be printed.
pub fn page(outcome: &Outcome, kind: Kind, workload: &Workload, ansi: Ansi) -> String {
    let title = format!("{} in a {}", workload, kind.name());
    let mut page = format!("\n{}\n", ansi.bold(&shortened(&title, WIDTH)));
    // A sum of calls alike may be longer than this; its bar then ends at the margin.
    let longest = outcome.trace.entries.iter().map(|entry| entry.took).max().unwrap_or_default();
    for question in Question::ALL {
        let heading = format!("{}. {question}", question.number());
        page += &format!("\n{}\n", ansi.bold(&heading));
        let entries: Vec<&TraceEntry> =
            outcome.trace.entries.iter().filter(|entry| entry.question == question).collect();
        let exits = entries.iter().filter(|entry| is_exit(&entry.event)).count();
        let pattern = if exits > MANY { by_device } else { pattern };
        for alike in entries.chunk_by(|one, next| pattern(&one.event) == pattern(&next.event)) {
            page += &rows(alike, pattern, longest, ansi);
        }
        match entries.as_slice() {
            [] => page += &format!("    {}\n", ansi.dim(nothing(kind, question))),
            [_] => {}
            entries => {
                let total = entries.iter().map(|entry| entry.took).sum();
                page += &format!("    {:<CALL$} {:>12}\n", ansi_pad(ansi, "together"), time(total));
            }
        }
    }
    page + &milestones(outcome, ansi) + &ending(outcome)
}

/// An event with an ellipsis for every number.
fn pattern(event: &Event) -> String {
    let mut pattern = String::new();
    for letter in event.to_string().chars() {
        match letter.is_ascii_digit() {
            true if pattern.ends_with('…') => {}
            true => pattern.push('…'),
            false => pattern.push(letter),
        }
    }
    pattern
}

/// More exits than that are shown by their devices only; `--trace=exits` shows each.
const MANY: usize = 20;

fn is_exit(event: &Event) -> bool {
    matches!(event, Event::VmExit { .. })
}

/// A VM exit as the name of its device, all other events as [`pattern`] has them.
fn by_device(event: &Event) -> String {
    match event {
        Event::VmExit { device, .. } => {
            format!("KVM_RUN -> {}", device.as_deref().unwrap_or("nobody"))
        }
        other => pattern(other),
    }
}

/// Events that are alike: each in a row, or many in one.
fn rows(
    alike: &[&TraceEntry],
    pattern: fn(&Event) -> String,
    longest: Duration,
    ansi: Ansi,
) -> String {
    const FEW: usize = 3;
    if alike.len() <= FEW {
        return alike
            .iter()
            .map(|entry| row(&entry.event.to_string(), entry.took, longest, ansi))
            .collect();
    }
    let took = alike.iter().map(|entry| entry.took).sum();
    row(&format!("{} × {}", alike.len(), pattern(&alike[0].event)), took, longest, ansi)
}

/// What to say of a question that took no call.
fn nothing(kind: Kind, question: Question) -> &'static str {
    match (kind, question) {
        (Kind::Process, Question::Budget) => "no call: as much as any process of its user",
        (Kind::Process, Question::Inside) => "no call: the host's own files",
        (Kind::Process, Question::Power) => "no call: the power of its user",
        (Kind::Process, Question::WayOut) => "no call: every system call is open to it",
        (Kind::Container, Question::Budget) => "no call: no limit was asked for",
        _ => "no call was needed",
    }
}

/// `format!` counts the escape codes as columns, so they are put around the padded text.
fn ansi_pad(ansi: Ansi, text: &str) -> String {
    ansi.dim(&format!("{text:<CALL$}"))
}

fn row(call: &str, took: Duration, longest: Duration, ansi: Ansi) -> String {
    let lines = wrapped(call, CALL);
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        let indent = if number == 0 { "    " } else { "      " };
        let room = CALL + 4 - indent.len();
        if number + 1 < lines.len() {
            text += &format!("{indent}{line}\n");
        } else {
            let bar = ansi.dim(&bar(took, longest));
            let row = format!("{indent}{line:<room$} {:>12}  {bar}", time(took));
            text += &format!("{}\n", row.trim_end());
        }
    }
    text
}

/// A length in proportion, in eighths of a column.
fn bar(part: Duration, whole: Duration) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    if whole.is_zero() {
        return String::new();
    }
    let share = (part.as_secs_f64() / whole.as_secs_f64()).min(1.0);
    let eighths = (share * (BAR * 8) as f64).round() as usize;
    let mut bar = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        bar.push(EIGHTHS[eighths % 8]);
    }
    bar
}

fn time(time: Duration) -> String {
    format!("{:.1} µs", time.as_nanos() as f64 / 1000.0)
}

fn milestones(outcome: &Outcome, ansi: Ansi) -> String {
    let mut text = format!("\n{}\n", ansi.bold("Milestones, since the start"));
    for milestone in Milestone::ALL {
        let meaning = match milestone {
            Milestone::Created => "created: the walls exist",
            Milestone::Entered => "entered: the program's first instruction may run",
            Milestone::FirstByte => "first byte: the host has its first output",
            Milestone::Exited => "exited: the host knows of its end",
            Milestone::Cleaned => "cleaned: nothing is left",
        };
        let reached = outcome.timeline.since_start(milestone);
        let reached = reached.map_or("not seen".into(), time);
        text += &format!("    {meaning:<CALL$} {reached:>12}\n");
    }
    text
}

fn ending(outcome: &Outcome) -> String {
    let mut words = match outcome.status {
        Status::Exited(code) => format!("It returned {code}"),
        Status::Signaled(signal) => format!("Signal {signal} ended it"),
    };
    if let Some(spent) = outcome.usage.cpu_time {
        words += &format!(", used {:.1} ms of CPU time", spent.as_secs_f64() * 1000.0);
    }
    if let Some(bytes) = outcome.usage.peak_memory_bytes {
        words += &format!(" and at most {}", crate::units::show_size(bytes));
    }
    let vm_exits = &outcome.usage.vm_exits;
    if !vm_exits.is_empty() {
        let total: u64 = vm_exits.iter().map(|each| each.count).sum();
        const NAMED: usize = 8;
        let mut each: Vec<String> = vm_exits
            .iter()
            .take(NAMED)
            .map(|each| format!("{} × {}", each.count, each.reason))
            .collect();
        if vm_exits.len() > NAMED {
            each.push(format!("and for {} other reasons", vm_exits.len() - NAMED));
        }
        words += &format!(". It left to the host {total} times: {}", each.join(", "));
    }
    wrapped(&(words + "."), WIDTH).into_iter().fold("\n".into(), |text, line| text + &line + "\n")
}

#[cfg(test)]
mod tests {
    use sandbox::{Native, Sandbox as _};

    use super::*;

    #[test]
    fn the_page_has_all_questions_and_fits_80_columns() {
        let mut workload = Workload::command(["echo", &"long ".repeat(40)]);
        workload.trace = true;
        let mut outcome = Native.run(&workload).unwrap();
        let mut long = outcome.trace.entries[0].clone();
        long.event = "mount overlay on /a/very/long/path/".repeat(5).into();
        outcome.trace.entries.push(long.clone());
        for number in 0..40 {
            long.event = format!("drop capability {number} from the bounding set").into();
            outcome.trace.entries.push(long.clone());
        }
        let page = page(&outcome, Kind::Process, &workload, Ansi::PLAIN);
        for question in Question::ALL {
            assert!(page.contains(&question.to_string()));
        }
        assert!(page.contains("40 × drop capability … from the bounding set "), "{page}");
        for line in page.lines() {
            assert!(line.chars().count() < 80, "{line:?}");
        }
    }
}
