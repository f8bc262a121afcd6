//! How busy the processors are.

use std::fs;

/// How busy the processors were between two moments, by `/proc/stat` (proc_stat(5)).
#[derive(Debug, Clone)]
pub struct Load {
    before: Vec<[u64; 8]>,
}

impl Load {
    /// From now on.
    pub fn since_now() -> Self {
        Self { before: Self::read() }
    }

    /// The share of processor `cpu`'s time, 0 to 1, in which it was not idle, since then.
    pub fn of(&self, cpu: usize) -> f64 {
        let now = Self::read();
        let (Some(now), Some(before)) = (now.get(cpu), self.before.get(cpu)) else { return 0.0 };
        let spent = |index: usize| now[index].saturating_sub(before[index]) as f64;
        let all: f64 = (0..8).map(spent).sum();
        // Fields 4 and 5 are idle and waiting for a device.
        if all > 0.0 { 1.0 - (spent(3) + spent(4)) / all } else { 0.0 }
    }

    /// The share of processor `cpu`'s time that the hypervisor gave to somebody else, since then.
    pub fn stolen(&self, cpu: usize) -> f64 {
        let now = Self::read();
        let (Some(now), Some(before)) = (now.get(cpu), self.before.get(cpu)) else { return 0.0 };
        let spent = |index: usize| now[index].saturating_sub(before[index]) as f64;
        let all: f64 = (0..8).map(spent).sum();
        if all > 0.0 { spent(7) / all } else { 0.0 }
    }

    fn read() -> Vec<[u64; 8]> {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        let lines = text.lines().filter(|line| {
            line.starts_with("cpu") && line.as_bytes().get(3).is_some_and(u8::is_ascii_digit)
        });
        let row = |line: &str| {
            let mut row = [0; 8];
            let numbers = line.split_whitespace().skip(1);
            for (field, number) in row.iter_mut().zip(numbers) {
                *field = number.parse().unwrap_or(0);
            }
            row
        };
        lines.map(row).collect()
    }
}
