//! Where, when and how it was measured: what a reader must know to trust or doubt a number.

use std::{
    collections::BTreeMap,
    fs,
    process::Command,
    time::{Instant, SystemTime},
};

use host::{memory_field, pressure, stolen};
use microvm::{Flavour, kernels};
use report::Provenance;
use sandbox::chain;

use crate::host_load::Clocks;

/// Records the host before and after a measurement.
pub struct ProvenanceRecorder {
    command: String,
    began: Instant,
    clocks: Clocks,
    unix_seconds: u64,
    stolen: Option<(u64, u64)>,
    host: BTreeMap<String, String>,
}

impl ProvenanceRecorder {
    /// Looks at the host now, before `command` measures.
    pub fn start(command: impl Into<String>) -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let mut host = host();
        host.insert("load before".into(), load());
        Self {
            command: command.into(),
            began: Instant::now(),
            clocks: Clocks::now(),
            unix_seconds: since.map_or(0, |since| since.as_secs()),
            stolen: stolen(&file("/proc/stat")),
            host,
        }
    }

    /// The second at which it began, since 1970.
    pub fn unix_seconds(&self) -> u64 {
        self.unix_seconds
    }

    /// Looks at the host again, after the measurement.
    pub fn finish(mut self, seed: u64) -> Provenance {
        self.host.insert("load after".into(), load());
        if let (Some((before, from)), Some((after, to))) =
            (self.stolen, stolen(&file("/proc/stat")))
        {
            let percent = 100.0 * after.saturating_sub(before) as f64 / (to - from).max(1) as f64;
            self.host.insert("steal".into(), format!("{percent:.1} % of CPU time went to others"));
        }
        let clocks = self.clocks.until(Clocks::now());
        self.host.extend(clocks.into_iter().map(|(name, text)| (name.to_owned(), text)));
        Provenance {
            command: self.command,
            began_unix_seconds: self.unix_seconds,
            took_seconds: self.began.elapsed().as_secs_f64(),
            commit: env!("ISOLAB_COMMIT").to_owned(),
            seed,
            host: self.host,
            isolab: env!("CARGO_PKG_VERSION").to_owned(),
            ..Provenance::default()
        }
    }
}

fn file(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn host() -> BTreeMap<String, String> {
    let facts = [
        ("cpu", cpu()),
        ("logical cpus", std::thread::available_parallelism().map_or(1, usize::from).to_string()),
        ("kernel", file("/proc/sys/kernel/osrelease")),
        ("memory", memory()),
        ("guest kernel", guest_kernel()),
        ("qemu", qemu()),
        ("build", build().to_owned()),
        ("hz", hz()),
        ("mitigations", mitigations()),
        ("cgroup", cgroup()),
        ("kvm", kvm()),
        ("transparent huge pages", chosen(&file("/sys/kernel/mm/transparent_hugepage/enabled"))),
        ("governor", governor()),
        ("real-time share", real_time()),
        ("round-robin slice", format!("{} ms", file("/proc/sys/kernel/sched_rr_timeslice_ms"))),
    ];
    facts.map(|(name, value)| (name.to_owned(), value)).into()
}

fn cpu() -> String {
    let text = file("/proc/cpuinfo");
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(": ")).map_or("unknown", |(_, name)| name).to_owned()
}

/// The frequency of the scheduler's tick, from the kernel's configuration.
fn hz() -> String {
    let stored = format!("/boot/config-{}", file("/proc/sys/kernel/osrelease"));
    let running = Command::new("zcat").arg("/proc/config.gz").output();
    let running = running.map(|output| output.stdout).unwrap_or_default();
    let texts = [String::from_utf8_lossy(&running).into_owned(), file(&stored)];
    let setting = |text: &String| {
        text.lines().find_map(|line| Some(line.strip_prefix("CONFIG_HZ=")?.to_owned()))
    };
    texts.iter().find_map(setting).unwrap_or_else(|| "unknown".into())
}

/// Vulnerabilities by their state: `5 not affected, 3 mitigated, vulnerable: mds`.
fn mitigations() -> String {
    let (mut unaffected, mut mitigated, mut vulnerable) = (0, 0, Vec::new());
    for entry in fs::read_dir("/sys/devices/system/cpu/vulnerabilities").into_iter().flatten() {
        let Ok(entry) = entry else { continue };
        let state = fs::read_to_string(entry.path()).unwrap_or_default();
        match state.trim() {
            state if state.starts_with("Not affected") => unaffected += 1,
            state if state.starts_with("Mitigation") => mitigated += 1,
            _ => vulnerable.push(entry.file_name().to_string_lossy().into_owned()),
        }
    }
    vulnerable.sort();
    let open = match vulnerable.is_empty() {
        true => String::new(),
        false => format!(", open: {}", vulnerable.join(" ")),
    };
    format!("{unaffected} not affected, {mitigated} mitigated{open}")
}

/// Which hierarchies of control groups are mounted.
fn cgroup() -> String {
    let mounts = file("/proc/self/mountinfo");
    let has = |kind: &str| mounts.lines().any(|line| line.contains(&format!(" - {kind} ")));
    match (has("cgroup2"), has("cgroup")) {
        (true, false) => "v2",
        (true, true) => "v1 with an empty v2 beside it (hybrid)",
        (false, true) => "v1",
        (false, false) => "none",
    }
    .to_owned()
}

/// Which kind of KVM carries the guests.
fn kvm() -> String {
    match microvm::flavour() {
        Ok(Flavour { kind, nested, interprets_ring0, .. }) => {
            let kind = format!("{kind:?}").to_uppercase();
            let nested = if nested { ", in a virtual machine" } else { "" };
            let ring_0 = match interprets_ring0 {
                Some(true) => ", ring 0 is interpreted",
                Some(false) => ", ring 0 runs on the processor",
                None => "",
            };
            format!("{kind}{nested}{ring_0}")
        }
        Err(error) => format!("none: {}", chain(&error)),
    }
}

/// The setting in brackets: `always [madvise] never`.
fn chosen(text: &str) -> String {
    let inside = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    inside.map_or("unknown", |(chosen, _)| chosen).to_owned()
}

fn governor() -> String {
    match file("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") {
        none if none.is_empty() => "not shown (the host of this virtual machine decides)".into(),
        governor => governor,
    }
}

fn real_time() -> String {
    let [runtime, period] =
        ["runtime", "period"].map(|it| file(&format!("/proc/sys/kernel/sched_rt_{it}_us")));
    format!("{runtime} of {period} us")
}

fn load() -> String {
    let average = file("/proc/loadavg");
    let average = average.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
    match pressure(&file("/proc/pressure/cpu")) {
        Some(waiting) => format!("load {average}, CPU pressure {waiting} %"),
        None => format!("load {average}"),
    }
}

/// The RAM that the kernel manages.
fn memory() -> String {
    match memory_field(&file("/proc/meminfo"), "MemTotal") {
        Some(bytes) => format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64),
        None => "unknown".into(),
    }
}

/// The kernel of Linux guests.
fn guest_kernel() -> String {
    kernels::chosen().map_or_else(|error| format!("none: {}", chain(&error)), |it| it.name)
}

/// The version of the QEMU that emulates nests.
fn qemu() -> String {
    let output = Command::new("qemu-system-x86_64").arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let first = text.ok().and_then(|text| text.lines().next().map(str::to_owned));
    first.unwrap_or_else(|| "not installed".into())
}

/// How the program that measures was compiled.
fn build() -> &'static str {
    match env!("ISOLAB_PROFILE") {
        "release" => "release",
        _ => "debug: isolab's own times are too long",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_in_brackets_is_the_chosen_one() {
        assert_eq!(chosen("always [madvise] never"), "madvise");
        assert_eq!(chosen(""), "unknown");
    }
}
