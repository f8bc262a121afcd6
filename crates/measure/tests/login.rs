//! A machine with a whole distribution boots to its login prompt, where its disk was made.

use std::time::Duration;

use measure::peers::{Definition, Peer, distribution::Distribution};

#[test]
fn a_distribution_boots_to_its_login_prompt_and_leaves_its_disk_as_it_was() {
    let definition = Definition::named("qemu-tcg-login").unwrap();
    let peer = match Peer::prepare(definition) {
        Ok(peer) => peer,
        Err(error) => return println!("skipped: {error}: {}", error.fix),
    };
    let disk = Distribution::of_user().unwrap().disk();
    let changed = || disk.metadata().unwrap().modified().unwrap();
    let before = changed();
    let time = peer.log_in().unwrap();
    assert!(time > Duration::from_millis(500), "no emulated kernel boots in {time:?}");
    assert_eq!(changed(), before);
    let caveat = peer.caveat().unwrap();
    assert!(caveat.contains("in software") && caveat.contains(", Linux "), "{caveat}");
    println!("{time:.1?} to the login prompt of {caveat}");
}

#[test]
fn a_distribution_has_no_idle_program() {
    for name in ["qemu-kvm-login", "qemu-tcg-login"] {
        let error = Peer::prepare_idle(Definition::named(name).unwrap()).unwrap_err();
        assert!(error.reason.contains("boots a distribution"), "{error}");
    }
}
