//! What runs a virtual machine, by the signs that a host gives.

use lab::check::{Checked, ensure, fail};
use verdict::{Carrier, Signs};

/// What carries virtual machines on a host with these signs.
pub fn carrier(signs: &Signs) -> Carrier {
    match signs {
        Signs { hypervisor: Some(name), .. } if name.starts_with("TCG") => {
            Carrier::EmulatedProcessor
        }
        Signs { interprets_ring0: Some(true), .. } => Carrier::Interpreter,
        Signs { extension: Some(_), .. } => Carrier::Hardware,
        _ => Carrier::Unknown,
    }
}

/// Whether the student says so too.
pub fn ensure_carrier(signs: &Signs, said: Carrier) -> Checked<()> {
    let wanted = carrier(signs);
    let id = match (wanted, said) {
        (Carrier::EmulatedProcessor, _) => "L20-emulated",
        (Carrier::Interpreter, _) => "L20-interpreter",
        (Carrier::Hardware, _) if signs.hypervisor.is_some() => "L20-nested",
        (Carrier::Hardware, _) => "L20-extension",
        (Carrier::Unknown, _) => "L20-unknown",
    };
    ensure(said == wanted, || {
        let finding = fail(id).fact("signs", in_words(signs));
        finding.fact("said", format!("{said:?}")).fact("wanted", format!("{wanted:?}"))
    })
}

/// In which order hosts are judged: what is wrong with a plain one is not the hypervisor's fault.
pub fn rank(signs: &Signs) -> u8 {
    match (carrier(signs), &signs.hypervisor) {
        (Carrier::Hardware, None) => 0,
        (Carrier::Hardware, Some(_)) => 1,
        (Carrier::EmulatedProcessor, _) => 2,
        (Carrier::Interpreter, _) => 3,
        (Carrier::Unknown, _) => 4,
    }
}

/// The signs for people.
pub fn in_words(signs: &Signs) -> String {
    let or_none = |name: &Option<String>| name.clone().unwrap_or_else(|| "none".into());
    let ring0 = match signs.interprets_ring0 {
        Some(true) => "interpreted",
        Some(false) => "not interpreted",
        None => "unknown",
    };
    let (extension, below) = (or_none(&signs.extension), or_none(&signs.hypervisor));
    format!("extension {extension}, ring 0 {ring0}, hypervisor below {below}")
}
