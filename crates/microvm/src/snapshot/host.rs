//! Which processor a snapshot is of.
//!
//! A guest's kernel looks once at its processor, at its start, and chooses by that its fastest ways
//! to copy, to encrypt, to save registers. It never asks again. Woken on a processor that lacks one
//! of the features, it would meet an illegal instruction hours later. So a snapshot names its
//! processor, and is refused by any other. What KVM gives of a processor changes with the host's
//! kernel; a snapshot names that too, so that it can be said what has changed.

use std::{fmt, fs, hash::Hasher, path::Path};

use kvm_bindings::{CpuId, kvm_cpuid_entry2};
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use crate::hex::Hex;

/// A processor, as far as a guest depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Who made it: `GenuineIntel`.
    pub vendor: String,
    /// Its family, model and stepping.
    pub model: [u32; 3],
    /// A checksum of all features that KVM can give a guest here.
    pub features: Hex,
    /// The modules of the kernel that carry guests.
    pub kvm: Vec<String>,
    /// The kernel's release and version, as uname(2) has them.
    pub kernel: String,
}

impl Host {
    /// The one whose KVM can give guests these features.
    pub fn of(features: &CpuId) -> Self {
        let leaf = |number| features.as_slice().iter().find(|leaf| leaf.function == number);
        let (vendor, version) = (leaf(0), leaf(1).map_or(0, |leaf| leaf.eax));
        let vendor = vendor.map_or([0; 3], |leaf| [leaf.ebx, leaf.edx, leaf.ecx]);
        let vendor = vendor.map(u32::to_le_bytes).concat();
        let modules = ["kvm_intel", "kvm_amd", "kvm_pvm"].into_iter();
        Self {
            vendor: String::from_utf8_lossy(&vendor).into_owned(),
            model: family_model_stepping(version),
            features: Hex(checksum(features.as_slice())),
            kvm: modules
                .filter(|name| Path::new("/sys/module").join(name).exists())
                .map(str::to_owned)
                .collect(),
            kernel: kernel(),
        }
    }
}

/// The host's kernel: the same release is built more than once.
fn kernel() -> String {
    let part = |name| fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
    let [release, version] = ["osrelease", "version"].map(part);
    format!("{} {}", release.trim(), version.trim())
}

impl Host {
    /// Whether a guest that was saved there finds here all that it may depend on.
    pub fn gives_the_same_as(&self, here: &Self) -> bool {
        self.is_the_same_processor_as(here)
            && self.features == here.features
            && self.kvm == here.kvm
    }

    /// Whether it is the same processor, whatever its kernel gives of it to guests.
    pub fn is_the_same_processor_as(&self, here: &Self) -> bool {
        (&self.vendor, self.model) == (&here.vendor, here.model)
    }

    /// Whether guests run by AMD's virtualization.
    pub fn is_svm(&self) -> bool {
        self.kvm.iter().any(|module| module == "kvm_amd")
    }
}

/// SDM volume 2A, CPUID, figure 3-6; AMD has it the same.
fn family_model_stepping(version: u32) -> [u32; 3] {
    let bits = |from: u32, count: u32| version >> from & ((1 << count) - 1);
    let family = if bits(8, 4) == 15 { 15 + bits(20, 8) } else { bits(8, 4) };
    let model = if matches!(bits(8, 4), 6 | 15) { bits(16, 4) << 4 } else { 0 };
    [family, model | bits(4, 4), bits(0, 4)]
}

/// Of what all processors of a host say alike: which of them it is that answers is left out.
fn checksum(leaves: &[kvm_cpuid_entry2]) -> u64 {
    let mut hasher = XxHash3_64::new();
    for leaf in leaves {
        let ebx = match leaf.function {
            0xb | 0x1f | 0x8000_001e => continue,
            0x1 | 0xd => 0,
            _ => leaf.ebx,
        };
        for word in [leaf.function, leaf.index, leaf.flags, leaf.eax, ebx, leaf.ecx, leaf.edx] {
            hasher.write(&word.to_le_bytes());
        }
    }
    hasher.finish()
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { vendor, model: [family, model, stepping], features, kvm, .. } = self;
        let kvm = if kvm.is_empty() { "kvm".to_owned() } else { kvm.join("+") };
        write!(
            formatter,
            "{vendor:?} family {family} model {model} stepping {stepping}, features {features}, {kvm}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_is_named_as_in_proc_cpuinfo() {
        assert_eq!(family_model_stepping(0x0008_06f8), [6, 143, 8]);
        assert_eq!(family_model_stepping(0x00a2_0f12), [25, 33, 2]);
        assert_eq!(family_model_stepping(0x0000_0663), [6, 6, 3]);
    }

    #[test]
    fn all_processors_of_a_host_are_the_same() {
        let leaf =
            |function, ebx, edx| kvm_cpuid_entry2 { function, ebx, edx, ..Default::default() };
        let here = checksum(&[leaf(1, 0, 5), leaf(0xb, 1, 0), leaf(7, 1, 0)]);
        assert_eq!(here, checksum(&[leaf(1, 1 << 24, 5), leaf(0xb, 1, 1), leaf(7, 1, 0)]));
        assert_ne!(here, checksum(&[leaf(1, 0, 5), leaf(0xb, 1, 0), leaf(7, 3, 0)]));
    }
}
