//! What is known of a container's health.
//!
//! ```text
//!   starting ── first success ──> healthy ── RETRIES failures in a row ──> unhealthy
//!      └─ failures count only when START_PERIOD has passed                    │
//!                 healthy <────────────── a success ──────────────────────────┘
//! ```

use std::collections::VecDeque;

use bollard_stubs::models::{Health, HealthStatusEnum, HealthcheckResult};

/// How many results are shown.
const SHOWN: usize = 5;

/// What is known of a container's health since its last start.
#[derive(Debug, Clone, Default)]
pub struct HealthState {
    healthy: Option<bool>,
    failures: i64,
    results: VecDeque<HealthcheckResult>,
}

impl HealthState {
    /// `starting`, `healthy`, `unhealthy`.
    pub fn name(&self) -> &'static str {
        match self.healthy {
            None => "starting",
            Some(true) => "healthy",
            Some(false) => "unhealthy",
        }
    }

    /// As the API writes it.
    pub fn written(&self) -> Health {
        let status = match self.healthy {
            None => HealthStatusEnum::STARTING,
            Some(true) => HealthStatusEnum::HEALTHY,
            Some(false) => HealthStatusEnum::UNHEALTHY,
        };
        Health {
            status: Some(status),
            failing_streak: Some(self.failures),
            log: Some(self.results.iter().cloned().collect()),
        }
    }

    /// Takes a result in. `counts` says whether a failure counts; more than `retries` in a row mean
    /// ill health.
    pub(crate) fn take(&mut self, result: HealthcheckResult, counts: bool, retries: i64) {
        let good = result.exit_code == Some(0);
        match (good, counts) {
            (true, _) => (self.failures, self.healthy) = (0, Some(true)),
            (false, false) => {}
            (false, true) => {
                self.failures += 1;
                if self.failures >= retries {
                    self.healthy = Some(false);
                }
            }
        }
        if self.results.len() == SHOWN {
            self.results.pop_front();
        }
        self.results.push_back(result);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_needs_one_success_and_is_lost_by_failures_in_a_row() {
        let result = |code| HealthcheckResult { exit_code: Some(code), ..Default::default() };
        let mut health = HealthState::default();
        health.take(result(1), false, 2);
        assert_eq!((health.name(), health.failures), ("starting", 0));
        health.take(result(0), true, 2);
        health.take(result(1), true, 2);
        assert_eq!(health.name(), "healthy");
        health.take(result(1), true, 2);
        assert_eq!(health.name(), "unhealthy");
        for _ in 0..10 {
            health.take(result(0), true, 2);
        }
        assert_eq!((health.name(), health.results.len()), ("healthy", SHOWN));
    }
}
