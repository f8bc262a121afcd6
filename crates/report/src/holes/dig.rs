//! Takes things out of records.

use proptest::prelude::*;

use crate::{Gap, Records, Unit, catalogue::GROUPS, metric::PROBE, random::Random};

/// What becomes of a series or a probe.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fate {
    Stays,
    Vanishes,
    Fails,
    /// No samples are left; of a probe nothing.
    IsEmpty,
    /// So many of ten samples are left.
    Thins(u8),
    /// So many of ten samples are left, and a gap that says why.
    FailsMidway(u8),
    /// So many of ten samples are what no measurement gives.
    Spoils(u8),
}

/// What is missing of records.
#[derive(Debug, Clone)]
pub(super) struct Holes {
    /// Of each series, and then of each probe.
    pub(super) fates: Vec<Fate>,
    /// A bit for each sandbox in which everything failed, and one for each that was never tried.
    pub(super) failed: u8,
    pub(super) untried: u8,
    /// A bit for each question that was not asked.
    pub(super) unasked: u16,
    /// A bit for each round that was lost everywhere.
    pub(super) rounds: u8,
    pub(super) seed: u64,
}

pub(super) fn holes() -> impl Strategy<Value = Holes> {
    let fate = prop_oneof![
        8 => Just(Fate::Stays),
        1 => Just(Fate::Vanishes),
        1 => Just(Fate::Fails),
        1 => Just(Fate::IsEmpty),
        1 => (1_u8..10).prop_map(Fate::Thins),
        1 => (1_u8..10).prop_map(Fate::FailsMidway),
        1 => (1_u8..11).prop_map(Fate::Spoils),
    ];
    // Sometimes little is missing and sometimes nearly all.
    let fates = prop_oneof![
        2 => prop::collection::vec(prop_oneof![12 => Just(Fate::Stays), 1 => fate.clone()], 128),
        2 => prop::collection::vec(fate.clone(), 128),
        1 => prop::collection::vec(prop_oneof![6 => Just(Fate::Vanishes), 1 => fate], 128),
    ];
    let seldom = || prop_oneof![3 => Just(0_u8), 1 => any::<u8>()];
    let questions = prop_oneof![3 => Just(0_u16), 1 => any::<u16>()];
    (fates, seldom(), seldom(), questions, seldom(), any::<u64>()).prop_map(
        |(fates, failed, untried, unasked, rounds, seed)| Holes {
            fates,
            failed,
            untried,
            unasked,
            rounds,
            seed,
        },
    )
}

impl Holes {
    pub(super) fn none() -> Self {
        let fates = vec![Fate::Stays];
        Self { fates, failed: 0, untried: 0, unasked: 0, rounds: 0, seed: 0 }
    }

    /// What becomes of everything in this sandbox, if it all becomes the same.
    fn of_sandbox(&self, sandbox: &str) -> Option<Fate> {
        let names = ["process", "container", "microvm"];
        let bit = 1 << names.iter().position(|name| sandbox.starts_with(name))?;
        match (self.untried & bit != 0, self.failed & bit != 0) {
            (true, _) => Some(Fate::Vanishes),
            (_, true) => Some(Fate::Fails),
            _ => None,
        }
    }

    fn unasked(&self, metric: &str) -> bool {
        let group = GROUPS.iter().position(|(_, all)| all.iter().any(|it| it.name == metric));
        group.is_some_and(|group| self.unasked & 1 << group != 0)
    }

    /// The records without what is missing.
    pub(super) fn in_records(&self, mut records: Records) -> Records {
        let mut random = Random::new(self.seed);
        let mut fates = self.fates.iter().copied().cycle();
        let mut gaps = Vec::new();
        let gap = |metric: String, sandbox: &str| Gap {
            metric,
            sandbox: sandbox.to_owned(),
            reason: "it failed".into(),
            fix: String::new(),
        };
        records.series.retain_mut(|series| {
            let fate = fates.next().unwrap();
            let mut chance = |tenths: u8| random.below(10) < usize::from(tenths);
            series.samples.retain(|sample| self.rounds & 1 << (sample.round % 8) == 0);
            match self.of_sandbox(&series.sandbox).unwrap_or(fate) {
                _ if self.unasked(&series.metric) => return false,
                Fate::Stays => {}
                Fate::Vanishes => return false,
                Fate::Fails => {
                    gaps.push(gap(series.metric.clone(), &series.sandbox));
                    return false;
                }
                Fate::IsEmpty => series.samples.clear(),
                Fate::Thins(left) => series.samples.retain(|_| chance(left)),
                Fate::FailsMidway(left) => {
                    series.samples.retain(|_| chance(left));
                    gaps.push(gap(series.metric.clone(), &series.sandbox));
                }
                Fate::Spoils(part) => {
                    // Memory may shrink, so of bytes less than nothing is no nonsense.
                    let nonsense = [f64::NAN, f64::INFINITY, 1e300, -1.0];
                    let kinds = if series.unit == Unit::Bytes { 3 } else { 4 };
                    for (index, sample) in series.samples.iter_mut().enumerate() {
                        if chance(part) {
                            sample.value = nonsense[index % kinds];
                        }
                    }
                }
            }
            true
        });
        records.probes.retain(|probe| {
            let fate = fates.next().unwrap();
            match self.of_sandbox(&probe.sandbox).unwrap_or(fate) {
                Fate::Fails | Fate::FailsMidway(_) => {
                    gaps.push(gap(format!("{PROBE}{}", probe.probe), &probe.sandbox));
                    false
                }
                Fate::Vanishes | Fate::IsEmpty => false,
                Fate::Stays | Fate::Thins(_) | Fate::Spoils(_) => true,
            }
        });
        records.gaps.extend(gaps);
        records
    }
}
