//! Question 2, the part without a cgroup: `process.scheduler`, `.ioPriority` and `.execCPUAffinity`.

use container::scheduling::{CpuAffinity, CpuSet, IoClass, IoPriority, Policy, Scheduler};

use crate::{
    config::Process,
    error::{Result, property},
};

/// Flags of linux/sched.h that need no further values.
const FLAGS: [(&str, u64); 5] = [
    ("SCHED_FLAG_RESET_ON_FORK", 0x01),
    ("SCHED_FLAG_RECLAIM", 0x02),
    ("SCHED_FLAG_DL_OVERRUN", 0x04),
    ("SCHED_FLAG_KEEP_POLICY", 0x08),
    ("SCHED_FLAG_KEEP_PARAMS", 0x10),
];

/// `process.scheduler`.
pub(super) fn scheduler(process: &Process) -> Result<Option<Scheduler>> {
    let Some(given) = &process.scheduler else { return Ok(None) };
    let place = |name: &str| format!("process.scheduler.{name}");
    let policy = match &*given.policy {
        "SCHED_OTHER" => Policy::Other,
        "SCHED_FIFO" => Policy::Fifo,
        "SCHED_RR" => Policy::RoundRobin,
        "SCHED_BATCH" => Policy::Batch,
        "SCHED_IDLE" => Policy::Idle,
        "SCHED_DEADLINE" => Policy::Deadline,
        "SCHED_ISO" => return Err(property(place("policy"), "Linux does not have SCHED_ISO")),
        other => return Err(property(place("policy"), format!("{other:?} is not a policy"))),
    };
    let mut flags = 0;
    for name in &given.flags {
        let known = FLAGS.iter().find(|(known, _)| known == name);
        let (_, flag) = known.ok_or_else(|| match name.starts_with("SCHED_FLAG_UTIL_CLAMP") {
            true => property(place("flags"), format!("{name} needs a value, which it has not")),
            false => property(place("flags"), format!("{name:?} is not a flag")),
        })?;
        flags |= flag;
    }
    if !(-20..=19).contains(&given.nice) {
        return Err(property(place("nice"), format!("{} is not from -20 to 19", given.nice)));
    }
    let is_real_time = matches!(policy, Policy::Fifo | Policy::RoundRobin);
    let priorities = if is_real_time { 1..=99 } else { 0..=0 };
    let priority = u32::try_from(given.priority).ok().filter(|it| priorities.contains(it));
    let priority = priority.ok_or_else(|| {
        let why = "it is from 1 to 99 for SCHED_FIFO and SCHED_RR, and 0 for the others";
        property(place("priority"), why)
    })?;
    let has_times = given.runtime != 0 || given.deadline != 0 || given.period != 0;
    if has_times && policy != Policy::Deadline {
        return Err(property(place("runtime"), "it needs the policy SCHED_DEADLINE"));
    }
    let (runtime, deadline, period) = (given.runtime, given.deadline, given.period);
    Ok(Some(Scheduler { policy, nice: given.nice, priority, flags, runtime, deadline, period }))
}

/// `process.ioPriority`.
pub(super) fn io_priority(process: &Process) -> Result<Option<IoPriority>> {
    let Some(given) = &process.io_priority else { return Ok(None) };
    let class = match &*given.kind {
        "IOPRIO_CLASS_RT" => IoClass::RealTime,
        "IOPRIO_CLASS_BE" => IoClass::BestEffort,
        "IOPRIO_CLASS_IDLE" => IoClass::Idle,
        other => {
            let why = format!("{other:?} is not IOPRIO_CLASS_RT, _BE or _IDLE");
            return Err(property("process.ioPriority.class", why));
        }
    };
    let priority = u8::try_from(given.priority).ok().filter(|it| *it <= 7);
    let why = || format!("{} is not from 0 to 7", given.priority);
    let priority = priority.ok_or_else(|| property("process.ioPriority.priority", why()))?;
    Ok(Some(IoPriority { class, priority }))
}

/// `process.execCPUAffinity`, which is for further programs only.
pub(crate) fn affinity(process: &Process) -> Result<CpuAffinity> {
    let Some(given) = &process.exec_cpu_affinity else { return Ok(CpuAffinity::default()) };
    let set = |name: &str, list: &Option<String>| {
        let list = list.as_ref().filter(|list| !list.is_empty());
        let set = |list: &String| {
            let place = format!("process.execCPUAffinity.{name}");
            let why = || format!("{list:?} is not a list of processors such as 0-3,7");
            CpuSet::parse(list).ok_or_else(|| property(place, why()))
        };
        list.map(set).transpose()
    };
    Ok(CpuAffinity { initial: set("initial", &given.initial)?, last: set("final", &given.last)? })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn process(value: Value) -> Process {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn values_that_the_policy_does_not_have_are_refused() {
        let all = |value| scheduler(&process(json!({ "scheduler": value })));
        let good = all(json!({ "policy": "SCHED_BATCH", "nice": 5 })).unwrap().unwrap();
        assert_eq!((good.policy, good.nice), (Policy::Batch, 5));
        for (value, word) in [
            (json!({ "policy": "SCHED_ISO" }), "SCHED_ISO"),
            (json!({ "policy": "RR" }), "policy"),
            (json!({ "policy": "SCHED_RR" }), "priority"),
            (json!({ "policy": "SCHED_OTHER", "priority": 1 }), "priority"),
            (json!({ "policy": "SCHED_OTHER", "nice": 20 }), "nice"),
            (json!({ "policy": "SCHED_OTHER", "runtime": 20 }), "SCHED_DEADLINE"),
            (json!({ "policy": "SCHED_OTHER", "flags": ["X"] }), "flags"),
        ] {
            let error = all(value.clone()).unwrap_err().to_string();
            assert!(error.contains(word), "{value}: {error}");
        }
    }

    #[test]
    fn a_priority_on_disks_is_one_of_eight() {
        let all = |class: &str, priority: i32| {
            io_priority(&process(json!({ "ioPriority": { "class": class, "priority": priority } })))
        };
        let good = all("IOPRIO_CLASS_IDLE", 7).unwrap().unwrap();
        assert_eq!(good, IoPriority { class: IoClass::Idle, priority: 7 });
        assert!(all("IOPRIO_CLASS_BE", 8).is_err() && all("IDLE", 1).is_err());
    }
}
