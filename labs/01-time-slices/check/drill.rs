//! Step 3: made-up readings, of which the right slices are known.

use lab::check::{Bench, Checked, Finding, Student, ensure, fail};

/// How late an interrupt makes a reading at most, and the turns of others at least, as the text
/// says; in microseconds.
const INTERRUPT: u64 = 300;
const TURNS: u64 = 4_000;
/// From one reading to the next while nothing is in between.
const PACE: u64 = 50;
/// How many readings a slice has.
const READINGS: u64 = 30;

/// Begin and end of each, in microseconds.
type Slices = Vec<(u64, u64)>;

pub fn drill(bench: &mut Bench, student: &mut Student) -> Checked<()> {
    student.meet("drill")?;
    let (readings, alone) = readings(bench);
    let words: Vec<String> = readings.iter().map(u64::to_string).collect();
    student.go_with(&words.join(" "))?;
    student.meet("drill-over")?;
    let right = slices(&readings, TURNS);
    let found: Slices = student.said("drill-slices")?.split(' ').filter_map(slice).collect();
    bench.saw("made-up readings", format!("{} in {} slices", readings.len(), right.len()));
    bench.saw("`find_slices`, in microseconds", shown(&found));
    ensure(found == right, || mistake(&readings, &right, &found, alone))?;
    student.go()
}

/// Turns of every length, the shortest of them too, between slices with interrupts of every length,
/// the longest of them too; and a slice of one reading, with its number.
fn readings(bench: &Bench) -> (Vec<u64>, usize) {
    let mut between = vec![
        PACE + TURNS,
        6_000 + bench.random(3_000),
        11_000 + bench.random(8_000),
        22_000 + bench.random(20_000),
        60_000 + bench.random(40_000),
    ];
    let alone = 1 + bench.random(4);
    let (mut now, mut readings) = (5_000 + bench.random(9_000), Vec::new());
    for slice in 0.. {
        let longest = bench.random(READINGS - 1);
        for number in 1..=if slice == alone { 1 } else { READINGS } {
            readings.push(now);
            now += PACE
                + match number {
                    _ if number == 1 + longest => INTERRUPT,
                    10 | 20 => 10 + bench.random(INTERRUPT - 10),
                    _ => bench.random(5),
                };
        }
        if between.is_empty() {
            break;
        }
        let turn = bench.random(between.len() as u64) as usize;
        now = readings[readings.len() - 1] + between.swap_remove(turn);
    }
    (readings, alone as usize)
}

/// The slices, if a gap shorter than `threshold` does not end one.
fn slices(readings: &[u64], threshold: u64) -> Slices {
    let mut slices = Slices::new();
    for &reading in readings {
        match slices.last_mut() {
            Some(slice) if reading - slice.1 < threshold => slice.1 = reading,
            _ => slices.push((reading, reading)),
        }
    }
    slices
}

/// The mistake that gives these very slices, if it is a usual one.
fn mistake(readings: &[u64], right: &Slices, found: &Slices, alone: usize) -> Finding {
    let fact = |id| {
        let finding = fail(id).fact("count", found.len()).fact("right", right.len());
        finding.fact("last", shown(&right[right.len() - 1..])).fact("alone", right[alone].0)
    };
    let mut without_alone = right.clone();
    without_alone.remove(alone);
    if *found == right[..right.len() - 1] {
        return fact("L01-last-forgotten");
    }
    if *found == without_alone {
        return fact("L01-alone-forgotten");
    }
    if matches!(found[..], [(begin, end)] if begin == readings[0] && end > right[0].1) {
        return fact("L01-wall-time");
    }
    let mut gaps: Vec<u64> = readings.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_unstable();
    let explains = |threshold: &u64| slices(readings, *threshold) == *found;
    match gaps.iter().copied().find(explains) {
        Some(ended) if ended < TURNS => fact("L01-interrupts").fact("gap", ended),
        Some(ended) => {
            let missed = gaps.iter().rfind(|&&gap| gap < ended).copied().unwrap_or(ended);
            fact("L01-turns-merged").fact("gap", missed)
        }
        None => {
            let same = right.iter().zip(found).take_while(|(one, other)| one == other).count();
            let one = |slices: &Slices| match slices.get(same) {
                Some(slice) => shown(&[*slice]),
                None => "-".to_owned(),
            };
            let finding = fact("L01-slices").fact("number", same + 1);
            finding.fact("wanted", one(right)).fact("found", one(found))
        }
    }
}

fn slice(word: &str) -> Option<(u64, u64)> {
    let (begin, end) = word.split_once('-')?;
    Some((begin.parse().ok()?, end.parse().ok()?))
}

/// The first ten of them.
fn shown(slices: &[(u64, u64)]) -> String {
    let words = slices.iter().take(10).map(|(begin, end)| format!("{begin}-{end}"));
    let more = if slices.len() > 10 { " ..." } else { "" };
    words.collect::<Vec<_>>().join(" ") + more
}
