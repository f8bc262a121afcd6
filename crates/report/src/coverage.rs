//! How often the "95 %" intervals cover the true value, simulated.
//!
//! With the processes and rounds that a comparison uses, and with what timings do: processes that
//! differ little or much, rounds with outliers, and both leaning to one side.

use crate::{
    Random, Sample,
    interval::{median_interval, ratio},
};

/// Processes and rounds of the parts of a full comparison.
const SHAPES: [(u32, u32); 5] = [(8, 50), (6, 20), (5, 4), (5, 2), (5, 1)];

/// How the logarithms of times lie about their middle.
#[derive(Debug, Clone, Copy)]
enum Law {
    Normal,
    /// One in twenty rounds takes far longer; processes are Student's with three degrees.
    Outliers,
    /// Exponential: never much faster, sometimes much slower.
    Leaning,
}

fn normal(random: &mut Random) -> f64 {
    // Box and Muller (1958).
    let (one, two) = (1.0 - random.fraction(), random.fraction());
    (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * two).cos()
}

fn exponential(random: &mut Random) -> f64 {
    -(1.0 - random.fraction()).ln() - std::f64::consts::LN_2
}

fn process(law: Law, random: &mut Random) -> f64 {
    match law {
        Law::Normal => normal(random),
        Law::Outliers => {
            let squares: f64 = (0..3).map(|_| normal(random).powi(2)).sum();
            normal(random) / (squares / 3.0).sqrt()
        }
        Law::Leaning => exponential(random),
    }
}

fn round(law: Law, random: &mut Random) -> f64 {
    match law {
        Law::Normal => normal(random),
        Law::Outliers if random.below(20) == 0 => 10.0 * (exponential(random) + 1.0),
        Law::Outliers => normal(random),
        Law::Leaning => exponential(random),
    }
}

struct World {
    law: Law,
    between: f64,
    within: f64,
}

impl World {
    fn samples(&self, (processes, rounds): (u32, u32), random: &mut Random) -> Vec<Sample> {
        let mut samples = Vec::new();
        for number in 0..processes {
            let shift = process(self.law, random) * self.between;
            for at in 0..rounds {
                let value = (shift + round(self.law, random) * self.within).exp();
                samples.push(Sample { value, process: number, round: at });
            }
        }
        samples
    }

    /// The median of very many samples of as many processes.
    fn truth(&self) -> f64 {
        let mut random = Random::new(99);
        let values: Vec<f64> =
            self.samples((60_000, 1), &mut random).iter().map(|sample| sample.value).collect();
        crate::median(&values).unwrap()
    }
}

#[test]
fn intervals_of_95_percent_cover_the_truth_93_times_of_100() {
    const TIMES: usize = 1000;
    let mut random = Random::new(7);
    let (mut all, mut covered, mut worst) = (0, 0, (1.0, String::new()));
    for law in [Law::Normal, Law::Outliers, Law::Leaning] {
        for (between, within) in [(0.0, 0.1), (0.02, 0.1), (0.1, 0.1), (0.2, 0.05)] {
            let world = World { law, between, within };
            let truth = world.truth();
            let mut of_world = 0;
            for shape in SHAPES {
                let hits = (0..TIMES)
                    .filter(|_| {
                        let samples = world.samples(shape, &mut random);
                        median_interval(&samples).unwrap().contains(truth)
                    })
                    .count();
                of_world += hits;
                let part = hits as f64 / TIMES as f64;
                if part < worst.0 {
                    worst = (part, format!("{law:?} {between} {within} {shape:?}"));
                }
                println!("{law:?} {between} {within} {shape:?}: {:.1} %", part * 100.0);
            }
            let part = of_world as f64 / (TIMES * SHAPES.len()) as f64;
            assert!(part >= 0.94, "{law:?} {between} {within}: {part}");
            (all, covered) = (all + TIMES * SHAPES.len(), covered + of_world);
        }
    }
    let part = covered as f64 / all as f64;
    println!("all: {:.2} % of {all}; worst {worst:?}", part * 100.0);
    assert!(part >= 0.95, "{part}");
    // Chance alone moves a thousand by seven in a thousand either way.
    assert!(worst.0 >= 0.93, "{worst:?}");
}

#[test]
fn of_the_same_sandbox_under_two_names_a_difference_is_shown_in_few_of_100() {
    const TIMES: usize = 400;
    let mut random = Random::new(8);
    for law in [Law::Normal, Law::Outliers, Law::Leaning] {
        let world = World { law, between: 0.05, within: 0.1 };
        for shape in SHAPES {
            let alike = (0..TIMES)
                .filter(|_| {
                    let [one, two] = [(); 2].map(|()| world.samples(shape, &mut random));
                    ratio(&one, &two).unwrap().interval.unwrap().contains(1.0)
                })
                .count();
            let part = alike as f64 / TIMES as f64;
            println!("{law:?} {shape:?}: {:.1} %", part * 100.0);
            assert!(part >= 0.93, "{law:?} {shape:?}: {part}");
        }
    }
}
