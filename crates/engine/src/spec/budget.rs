//! Question 2: limits of its cgroup.

use std::time::Duration;

use container::Spec;
use sandbox::CpuQuota;

use crate::{
    error::{ApiError, Result},
    state::record::{self, Record},
};

/// Docker's least memory limit, in bytes: below it hardly anything starts.
const MIN_MEMORY: i64 = 6 << 20;

pub(super) fn apply(spec: &mut Spec, record: &Record) -> Result<()> {
    let (host, budget) = (&record.host, &mut spec.budget);
    budget.all_controllers = true;
    budget.cgroup = Some(format!("isolab-{}", record::ledger_name(&record.id)));
    let positive = |number: Option<i64>| number.filter(|number| *number > 0);
    if let Some(bytes) = host.memory.filter(|bytes| *bytes != 0) {
        if bytes < MIN_MEMORY {
            return Err(ApiError::invalid("Minimum memory limit allowed is 6MB"));
        }
        budget.limits.memory_bytes = u64::try_from(bytes).ok();
    }
    budget.limits.cpu_quota = quota(record)?;
    budget.limits.cpu_weight = positive(host.cpu_shares).map(weight);
    match host.pids_limit {
        Some(limit) if limit > 0 => {
            budget.limits.pids = Some(u32::try_from(limit).unwrap_or(u32::MAX));
        }
        // Docker sets none unless it is asked; isolab's own keeps the host from a fork bomb.
        Some(-1) => budget.usual_pids = None,
        _ => {}
    }
    let resources = &mut budget.resources;
    let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    resources.cpuset_cpus = text(&host.cpuset_cpus);
    resources.cpuset_mems = text(&host.cpuset_mems);
    // Without a word of it, Docker allows as much swap as memory.
    resources.memory_swap = match (host.memory_swap, budget.limits.memory_bytes) {
        (Some(-1), _) => Some(-1),
        (Some(total), _) if total > 0 => Some(total),
        (_, Some(memory)) => i64::try_from(memory.saturating_mul(2)).ok(),
        _ => None,
    };
    resources.memory_reservation =
        positive(host.memory_reservation).and_then(|bytes| u64::try_from(bytes).ok());
    resources.blkio_weight = host.blkio_weight.filter(|weight| *weight != 0);
    resources.oom_kill_disable = host.oom_kill_disable.unwrap_or(false);
    for text in host.device_cgroup_rules.iter().flatten() {
        let invalid = |_| ApiError::invalid(format!("invalid device cgroup rule format: '{text}'"));
        budget.allow(text.parse().map_err(invalid)?);
    }
    Ok(())
}

/// CPU time by `--cpus` or by `--cpu-quota` and `--cpu-period`.
fn quota(record: &Record) -> Result<Option<CpuQuota>> {
    let host = &record.host;
    let nano = host.nano_cpus.unwrap_or(0);
    let quota = host.cpu_quota.filter(|quota| *quota > 0);
    if nano > 0 && (quota.is_some() || host.cpu_period.is_some_and(|period| period > 0)) {
        let other = if quota.is_some() { "Quota" } else { "Period" };
        return Err(ApiError::invalid(format!(
            "Conflicting options: Nano CPUs and CPU {other} cannot both be set"
        )));
    }
    if nano > 0 {
        let available = std::thread::available_parallelism().map_or(1, usize::from);
        let cpus = nano as f64 / 1e9;
        if cpus > available as f64 || cpus < 0.01 {
            return Err(ApiError::invalid(format!(
                "range of CPUs is from 0.01 to {available}.00, as there are only {available} CPUs \
                 available"
            )));
        }
        let quota = CpuQuota::cpus(cpus);
        return quota.map(Some).map_err(|error| ApiError::invalid(error.to_string()));
    }
    let Some(quota) = quota else { return Ok(None) };
    let period = host.cpu_period.filter(|period| *period > 0).unwrap_or(100_000);
    if !(1000..=1_000_000).contains(&period) {
        return Err(ApiError::invalid(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ));
    }
    if quota < 1000 {
        return Err(ApiError::invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)"));
    }
    let microseconds = |number: i64| Duration::from_micros(number.unsigned_abs());
    Ok(Some(CpuQuota { quota: microseconds(quota), period: microseconds(period) }))
}

/// The weight of cgroup v2 for Docker's shares (2 to 262,144, usually 1024), as the OCI runtimes
/// convert them.
fn weight(shares: i64) -> u32 {
    let shares = shares.clamp(2, 262_144).unsigned_abs();
    u32::try_from(1 + (shares - 2) * 9_999 / 262_142).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_converted_as_other_runtimes_do() {
        assert_eq!((weight(2), weight(1024), weight(262_144)), (1, 39, 10_000));
    }
}
