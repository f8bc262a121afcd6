//! Names as they are written for people.

/// A sandbox as it is written for people.
pub fn name(sandbox: &str) -> &str {
    match sandbox {
        "microvm" => "microVM",
        "linux" => "Linux microVM",
        "qemu-kvm" => "QEMU/KVM",
        "qemu-tcg" => "QEMU/TCG",
        "docker" => "Docker",
        "podman" => "Podman",
        "firecracker" => "Firecracker",
        "cloud-hypervisor" => "Cloud Hypervisor",
        "nspawn" => "systemd-nspawn",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_nobody_spelled_stays_as_it_is() {
        assert_eq!([name("microvm"), name("qemu-kvm-q35")], ["microVM", "qemu-kvm-q35"]);
    }
}
