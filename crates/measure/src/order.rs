//! In which order sandboxes have their turns: Williams squares.
//!
//! What runs before another thing leaves caches, timers and pages in a state of its own. In a square
//! each sandbox stands once at each position, and each follows each other one equally often, so that
//! this effect is the same for all (Williams 1949, "Experimental designs balanced for the estimation
//! of residual effects of treatments").
//!
//! ```text
//!   four sandboxes      0 3 1 2      the first row zigzags: each difference once
//!                       1 0 2 3      every other row: one more, modulo 4
//!                       2 1 3 0
//!                       3 2 0 1
//! ```

use report::Random;

/// The order in which `count` sandboxes are measured in the turn with that number, of all turns of
/// all processes. The seed decides which sandbox is which of its square, and the order of its rows.
pub fn order(seed: u64, turn: u32, count: usize) -> Vec<usize> {
    if count < 2 {
        return (0..count).collect();
    }
    let rows = rows_of_square(count);
    let (square, row) = (turn as usize / rows, turn as usize % rows);
    let mut random = Random::new(seed ^ (square as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let names = shuffled(&mut random, count);
    let row = shuffled(&mut random, rows)[row];
    williams_row(row, count).into_iter().map(|index| names[index]).collect()
}

/// So many turns are balanced: each sandbox follows each other one equally often.
fn rows_of_square(count: usize) -> usize {
    if count.is_multiple_of(2) { count } else { 2 * count }
}

/// An odd number takes two squares, the second of which is the first from behind.
fn williams_row(row: usize, count: usize) -> Vec<usize> {
    let zigzag = |position: usize| match position % 2 {
        0 => position / 2,
        _ => count - position.div_ceil(2),
    };
    let mut order: Vec<_> = (0..count).map(|position| (zigzag(position) + row) % count).collect();
    if row >= count {
        order.reverse();
    }
    order
}

fn shuffled(random: &mut Random, count: usize) -> Vec<usize> {
    let mut all: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        all.swap(last, random.below(last + 1));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often each sandbox stands at each position, and how often each follows each other one.
    fn counted(turns: u32, count: usize) -> (Vec<Vec<u32>>, Vec<Vec<u32>>) {
        let mut positions = vec![vec![0; count]; count];
        let mut follows = vec![vec![0; count]; count];
        for turn in 0..turns {
            let order = order(7, turn, count);
            for (position, &who) in order.iter().enumerate() {
                positions[who][position] += 1;
            }
            for pair in order.windows(2) {
                follows[pair[0]][pair[1]] += 1;
            }
        }
        (positions, follows)
    }

    #[test]
    fn each_sandbox_follows_each_other_one_equally_often() {
        for count in 2..=13 {
            let squares = 3;
            let turns = squares * rows_of_square(count);
            let (positions, follows) = counted(turns as u32, count);
            let each = (turns / count) as u32;
            assert!(positions.iter().flatten().all(|times| *times == each), "{positions:?}");
            for (first, followers) in follows.iter().enumerate() {
                for (second, times) in followers.iter().enumerate() {
                    let expected = if first == second { 0 } else { each };
                    assert_eq!(*times, expected, "{second} after {first} of {count}");
                }
            }
        }
    }

    #[test]
    fn a_square_that_is_not_finished_is_off_by_one_or_two_at_most() {
        let (_, follows) = counted(53, 4);
        let of_others = || {
            follows.iter().enumerate().flat_map(|(first, row)| {
                row.iter().enumerate().filter(move |(second, _)| *second != first)
            })
        };
        let times = |times: (usize, &u32)| *times.1;
        let (least, most) = (of_others().map(times).min(), of_others().map(times).max());
        assert!(most.unwrap() - least.unwrap() <= 1, "{follows:?}");
    }

    #[test]
    fn the_seed_alone_decides_the_order() {
        assert_eq!(order(7, 2, 4), order(7, 2, 4));
        let orders: Vec<_> = (0..20).map(|seed| order(seed, 0, 4)).collect();
        assert!(orders.iter().any(|order| *order != orders[0]));
        assert_eq!(order(7, 3, 1), [0]);
        assert_eq!(order(7, 3, 0), [0; 0]);
    }
}
