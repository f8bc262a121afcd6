//! Answers that are like each other in what is neither the skeleton's nor everybody's.

use std::collections::BTreeMap;

use super::{
    submissions::Submission,
    tokens::{pieces, tokens},
};

/// What two answers have in common of the smaller one, to be shown.
const LEAST: f64 = 0.7;
/// Of fewer pieces nothing can be told.
const LEAST_PIECES: usize = 12;
/// From so many answers on, what more than two of three have is what the lab asks for.
const LEAST_ANSWERS: usize = 10;
/// No more pairs are shown.
const MOST_PAIRS: usize = 200;

/// Two answers, by their places in the list.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pair {
    pub(super) one: usize,
    pub(super) other: usize,
    /// The part that they have in common, names aside: 0 to 1.
    pub(super) alike: f64,
    /// The same with names and values.
    pub(super) literally: f64,
}

/// The pairs that are worth a look, the most alike first. `skeleton` gives that of a lab.
pub(super) fn pairs(submissions: &[Submission], skeleton: &dyn Fn(&str) -> String) -> Vec<Pair> {
    let mut labs: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, submission) in submissions.iter().enumerate() {
        labs.entry(&submission.lab).or_default().push(place);
    }
    let mut found = Vec::new();
    for (lab, places) in labs {
        let own = |names| {
            let skeleton = pieces(&tokens(&skeleton(lab), names));
            let all = places.iter().map(|place| pieces(&tokens(&submissions[*place].text, names)));
            without(&all.collect::<Vec<_>>(), &skeleton)
        };
        let (bare, literal) = (own(false), own(true));
        for (number, one) in places.iter().enumerate() {
            for (behind, other) in places.iter().enumerate().skip(number + 1) {
                let (one, other) = (*one, *other);
                if submissions[one].student == submissions[other].student {
                    continue;
                }
                let alike = common(&bare[number], &bare[behind]);
                let literally = common(&literal[number], &literal[behind]);
                let most = alike.unwrap_or(0.0).max(literally.unwrap_or(0.0));
                if most >= LEAST {
                    let (alike, literally) = (alike.unwrap_or(0.0), literally.unwrap_or(0.0));
                    found.push(Pair { one, other, alike, literally });
                }
            }
        }
    }
    found.sort_by(|one, other| {
        let key = |pair: &Pair| pair.alike + pair.literally;
        key(other).total_cmp(&key(one))
    });
    found.truncate(MOST_PAIRS);
    found
}

/// What each has that is neither the skeleton's nor, in a class, most answers'.
fn without(all: &[Vec<u64>], skeleton: &[u64]) -> Vec<Vec<u64>> {
    let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
    for piece in all.iter().flatten() {
        *counts.entry(*piece).or_default() += 1;
    }
    let is_usual = |piece: &u64| all.len() >= LEAST_ANSWERS && counts[piece] * 3 > all.len() * 2;
    let own = |pieces: &Vec<u64>| {
        let own = pieces.iter().filter(|it| skeleton.binary_search(it).is_err() && !is_usual(it));
        own.copied().collect()
    };
    all.iter().map(own).collect()
}

/// The common part of the smaller one; `None` where that is too small to tell.
fn common(one: &[u64], other: &[u64]) -> Option<f64> {
    let least = one.len().min(other.len());
    let both = one.iter().filter(|it| other.binary_search(it).is_ok()).count();
    (least >= LEAST_PIECES).then(|| both as f64 / least as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(student: &str, text: &str) -> Submission {
        Submission { student: student.into(), lab: "08".into(), text: text.into() }
    }

    const SKELETON: &str =
        "fn f(flags: u32) -> u32 { todo!() } fn main() { program(&Answer { f }) }";

    #[test]
    fn a_renamed_copy_is_found_and_another_answer_is_not() {
        let one = "fn f(flags: u32) -> u32 { let mut sum = 0; for bit in 0..32 { if flags >> bit & 1 == 1 \
                   { sum += bit; } } sum } fn main() { program(&Answer { f }) }";
        let copy =
            one.replace("sum", "total").replace("bit", "place").replace("{ if", "{ // mine\n if");
        let own = "fn f(flags: u32) -> u32 { (0..u32::BITS).filter(|it| flags & (1 << it) != 0).sum() } \
                   fn main() { program(&Answer { f }) }";
        let all =
            [answer("ada", one), answer("lin", &copy), answer("eve", own), answer("bob", SKELETON)];
        let pairs = pairs(&all, &|_| SKELETON.to_owned());
        assert_eq!(pairs.len(), 1, "{pairs:?}");
        assert_eq!((pairs[0].one, pairs[0].other), (0, 1));
        assert!(pairs[0].alike > 0.99 && pairs[0].literally < 0.7, "{pairs:?}");
    }

    #[test]
    fn what_everybody_writes_is_nobodys() {
        let usual = "fn f(flags: u32) -> u32 { let mut sum = 0; for bit in 0..32 { if flags >> bit & 1 == 1 \
                     { sum += bit; } } sum }";
        let all: Vec<Submission> =
            (0..12).map(|number| answer(&number.to_string(), usual)).collect();
        assert_eq!(pairs(&all, &|_| SKELETON.to_owned()), []);
        assert_eq!(pairs(&all[..2], &|_| SKELETON.to_owned()).len(), 1);
    }
}
