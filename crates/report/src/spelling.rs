//! Names as they are written for people.

/// A sandbox as it is written for people.
pub fn name(sandbox: &str) -> &str {
    match sandbox {
        "microvm" => "microVM",
        "linux" => "Linux microVM",
        "qemu-kvm" => "QEMU/KVM",
        "qemu-tcg" => "QEMU/TCG",
        "qemu-kvm-login" => "QEMU/KVM to login",
        "qemu-tcg-login" => "QEMU/TCG to login",
        "docker" => "Docker",
        "podman" => "Podman",
        "firecracker" => "Firecracker",
        "cloud-hypervisor" => "Cloud Hypervisor",
        "nspawn" => "systemd-nspawn",
        other => other,
    }
}

/// A text of the records with the one spelling of a microVM; the word of an option stays.
pub(crate) fn prose(text: &str) -> String {
    ["a microvm", "A microvm", "the microvm", "The microvm"]
        .iter()
        .fold(text.to_owned(), |text, word| text.replace(word, &word.replace("microvm", "microVM")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_keeps_its_word() {
        let text = "the microvm cannot: use --in microvm, a microvm";
        assert_eq!(prose(text), "the microVM cannot: use --in microvm, a microVM");
    }

    #[test]
    fn a_name_that_nobody_spelled_stays_as_it_is() {
        assert_eq!([name("microvm"), name("qemu-kvm-q35")], ["microVM", "qemu-kvm-q35"]);
    }
}
