//! Limits of the launcher's own cgroup, when the container's cgroup is not below it.
//!
//! On version 2 only a cgroup without processes can give controllers to its children. A launcher that
//! shares its cgroup with a shell therefore makes the container's cgroup further up, where the
//! limits of its own cgroup do not apply. The container gets the same limits: a single container has
//! no more than its launcher, although several together can have more.

use std::path::PathBuf;

use super::{resources::is_subset, setting::Setting};
use crate::{
    Error,
    cgroup_layout::{Controller, INHERITED, Parent, limit_in},
};

/// A limit in a file of a skipped cgroup.
#[derive(Debug)]
pub(super) struct SkippedLimit {
    pub(super) controller: Controller,
    file: &'static str,
    value: String,
    cgroup: PathBuf,
}

impl SkippedLimit {
    /// All limits that apply to the launcher and not to a container below `parents`.
    pub(super) fn all(parents: &[Parent]) -> Vec<Self> {
        let skipped = parents.iter().flat_map(|parent| &parent.skipped);
        let limits = skipped.flat_map(|cgroup| {
            INHERITED.into_iter().filter_map(|(controller, file)| {
                let written = limit_in(cgroup, file)?;
                // `cpuset.cpus` may name more than the cgroups above allow; the effective list counts.
                let effective = limit_in(cgroup, &format!("{file}.effective"));
                let value = effective.unwrap_or(written);
                Some(Self { controller, file, value, cgroup: cgroup.clone() })
            })
        });
        limits.collect()
    }

    /// Reduces the settings of a container to this limit.
    ///
    /// # Errors
    ///
    /// When processors or memory nodes were asked for that the launcher does not have.
    pub(super) fn narrow(self, settings: &mut Vec<Setting>) -> Result<(), Error> {
        let Some(setting) = settings.iter_mut().find(|setting| setting.file == self.file) else {
            settings.push(Setting::new(self.controller, self.file, self.value));
            return Ok(());
        };
        if self.controller == Controller::Cpuset {
            return match is_subset(&setting.value, &self.value) {
                true => Ok(()),
                false => Err(Error::BeyondParent {
                    file: self.file,
                    wanted: setting.value.clone(),
                    above: self.cgroup,
                    available: self.value,
                }),
            };
        }
        if amount(&self.value) < amount(&setting.value) {
            setting.value = self.value;
        }
        Ok(())
    }
}

/// Bytes, processes, or the fraction of a processor that a quota and its period give.
fn amount(value: &str) -> f64 {
    let mut numbers = value.split_whitespace().map(|word| word.parse().unwrap_or(f64::INFINITY));
    numbers.next().unwrap_or(f64::INFINITY) / numbers.next().unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(controller: Controller, file: &'static str, value: &str) -> SkippedLimit {
        SkippedLimit { controller, file, value: value.into(), cgroup: "/above".into() }
    }

    /// `asked`, reduced to `skipped`.
    fn narrowed(file: &'static str, asked: &str, skipped: &str) -> Result<String, String> {
        let controller = match file.split_once('.') {
            Some(("cpu", _)) => Controller::Cpu,
            Some(("cpuset", _)) => Controller::Cpuset,
            _ => Controller::Memory,
        };
        let mut settings = vec![Setting::new(controller, file, asked.into())];
        limit(controller, file, skipped)
            .narrow(&mut settings)
            .map_err(|error| error.to_string())?;
        assert_eq!(settings.len(), 1);
        Ok(settings.remove(0).value)
    }

    #[test]
    fn the_smaller_of_two_limits_holds() {
        for (file, asked, skipped, holds) in [
            ("memory.max", "1048576", "4096", "4096"),
            ("memory.max", "4096", "1048576", "4096"),
            ("memory.swap.max", "0", "4096", "0"),
            ("cpu.max", "50000 100000", "20000 100000", "20000 100000"),
            ("cpu.max", "20000 100000", "200000 100000", "20000 100000"),
            // A tenth of a processor, although its number is larger.
            ("cpu.max", "50000 100000", "100000 1000000", "100000 1000000"),
        ] {
            assert_eq!(narrowed(file, asked, skipped).as_deref(), Ok(holds), "{file}");
        }
        let mut settings = Vec::new();
        limit(Controller::Pids, "pids.max", "9").narrow(&mut settings).unwrap();
        assert_eq!((settings[0].file, &*settings[0].value), ("pids.max", "9"));
    }

    #[test]
    fn processors_that_the_launcher_lacks_are_refused() {
        assert_eq!(narrowed("cpuset.cpus", "1", "0-3").as_deref(), Ok("1"));
        let error = narrowed("cpuset.cpus", "0-4", "0-3").unwrap_err();
        assert!(error.contains("0-3") && error.contains("/above"), "{error}");
    }
}
