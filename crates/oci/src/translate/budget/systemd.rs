//! The same limits as properties of a systemd unit (systemd.resource-control(5)): systemd writes them
//! again whenever it is reloaded, so it has to know them.

use std::fs;

use container::devices::{DeviceKind, DeviceRule};

use super::{given, v2::swap_alone, v2::weight};
use crate::{config::Resources, error::Result, systemd::Value};

/// The properties for `changes`; `all` is what holds with them. What systemd has no property for is in
/// the files alone.
pub(crate) fn properties(
    changes: &Resources,
    all: &Resources,
    is_v2: bool,
) -> Result<Vec<(String, Value)>> {
    let mut properties = Vec::new();
    let mut set = |name: &str, value: u64| properties.push((name.to_owned(), Value::Number(value)));
    if let (Some(memory), Some(of_all)) = (&changes.memory, &all.memory) {
        let name = if is_v2 { "MemoryMax" } else { "MemoryLimit" };
        given(memory.limit).into_iter().for_each(|it| set(name, or_infinity(it)));
        if is_v2 {
            if given(memory.limit).is_some() || given(memory.swap).is_some() {
                let swap = swap_alone(given(of_all.swap), given(of_all.limit))?;
                swap.into_iter().for_each(|it| set("MemorySwapMax", or_infinity(it)));
            }
            let low = given(memory.reservation);
            low.into_iter().for_each(|it| set("MemoryLow", or_infinity(it)));
        }
    }
    if let (Some(cpu), Some(of_all)) = (&changes.cpu, &all.cpu) {
        match cpu.shares.filter(|it| *it != 0) {
            Some(shares) if is_v2 => set("CPUWeight", weight(shares)),
            Some(shares) => set("CPUShares", shares),
            None => {}
        }
        let period = of_all.period.filter(|it| *it != 0).unwrap_or(100_000);
        if given(cpu.quota).is_some() || cpu.period.is_some_and(|it| it != 0) {
            let quota = given(of_all.quota).unwrap_or(-1);
            set("CPUQuotaPerSecUSec", a_second(quota, period));
            set("CPUQuotaPeriodUSec", period);
        }
    }
    let pids = changes.pids.as_ref().and_then(|pids| given(pids.limit));
    pids.into_iter().for_each(|it| set("TasksMax", or_infinity(it)));
    Ok(properties)
}

/// What a new unit has besides: its controllers, and on version 1 its devices, which systemd would
/// otherwise allow again.
pub(crate) fn of_new(devices: &[DeviceRule], is_v2: bool) -> Vec<(String, Value)> {
    let on = |name: &str| (name.to_owned(), Value::Bool(true));
    let io = if is_v2 { "IOAccounting" } else { "BlockIOAccounting" };
    let mut properties =
        Vec::from(["CPUAccounting", "MemoryAccounting", "TasksAccounting", io].map(on));
    if !is_v2 && !devices.is_empty() {
        properties.extend(of_devices(devices));
    }
    properties
}

pub(crate) fn of_devices(rules: &[DeviceRule]) -> Vec<(String, Value)> {
    let is_total = |rule: &DeviceRule| rule.kind == DeviceKind::All && rule.major.is_none();
    let last = rules.iter().rposition(is_total);
    if last.is_none_or(|last| rules[last].allow) {
        return vec![("DevicePolicy".into(), Value::Text("auto".into()))];
    }
    let names = fs::read_to_string("/proc/devices").unwrap_or_default();
    let allowed = rules[last.unwrap_or_default()..].iter().filter(|rule| rule.allow);
    let line = |rule: &DeviceRule| Some((specifier(rule, &names)?, rule.access.to_string()));
    let allowed = allowed.filter_map(line).collect();
    vec![
        ("DevicePolicy".into(), Value::Text("strict".into())),
        ("DeviceAllow".into(), Value::Pairs(allowed)),
    ]
}

/// A device, or a group of them: `/dev/char/1:3`, `char-pts`, `block-*`.
fn specifier(rule: &DeviceRule, names: &str) -> Option<String> {
    let kind = if rule.kind == DeviceKind::Block { "block" } else { "char" };
    match (rule.major, rule.minor) {
        (Some(major), Some(minor)) => Some(format!("/dev/{kind}/{major}:{minor}")),
        (None, _) => Some(format!("{kind}-*")),
        (Some(major), None) => {
            // /proc/devices: character devices, an empty line, block devices.
            let (chars, blocks) = names.split_once("Block devices:").unwrap_or((names, ""));
            let lines = if kind == "block" { blocks } else { chars };
            let name = lines.lines().find_map(|line| {
                let (number, name) = line.trim().split_once(' ')?;
                (number == major.to_string()).then_some(name)
            });
            name.map(|name| format!("{kind}-{name}"))
        }
    }
}

fn or_infinity(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

/// Microseconds of CPU time in each second, in steps of 10 ms, which are all that systemd keeps, as in
/// runc.
fn a_second(quota: i64, period: u64) -> u64 {
    const STEP: u64 = 10_000;
    match u64::try_from(quota) {
        Ok(quota) => (quota.saturating_mul(1_000_000) / period).div_ceil(STEP).saturating_mul(STEP),
        Err(_) => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn limits_are_properties_in_units_of_systemds() {
        let all: Resources = serde_json::from_value(json!({
            "memory": { "limit": 100, "swap": 150 },
            "cpu": { "quota": 12_345, "period": 50_000, "shares": 1024 },
            "pids": { "limit": -1 },
        }))
        .unwrap();
        let number = |name: &str, value| (name.to_owned(), Value::Number(value));
        let expected = [
            number("MemoryMax", 100),
            number("MemorySwapMax", 50),
            number("CPUWeight", 39),
            number("CPUQuotaPerSecUSec", 250_000),
            number("CPUQuotaPeriodUSec", 50_000),
            number("TasksMax", u64::MAX),
        ];
        assert_eq!(properties(&all, &all, true).unwrap(), expected);
        assert_eq!(a_second(-1, 1), u64::MAX);
    }

    #[test]
    fn devices_are_named_as_systemd_names_them() {
        let names = "Character devices:\n  1 mem\n136 pts\n\nBlock devices:\n  7 loop\n";
        for (rule, name) in [
            (json!({ "allow": true, "type": "c", "major": 1, "minor": 3 }), Some("/dev/char/1:3")),
            (json!({ "allow": true, "type": "c", "major": 136 }), Some("char-pts")),
            (json!({ "allow": true, "type": "b", "major": 7 }), Some("block-loop")),
            (json!({ "allow": true, "type": "b", "access": "m" }), Some("block-*")),
            (json!({ "allow": true, "type": "c", "major": 99 }), None),
        ] {
            let rule = serde_json::from_value(rule).unwrap();
            assert_eq!(specifier(&rule, names).as_deref(), name);
        }
    }
}
