//! The exits, live: what each key measures on this host's KVM, and that nothing is left of it.

mod common;

use std::{fs, thread, time::Duration};

use common::can;

use demo::{
    Demo, Scene, Source,
    exits::{Exits, Way},
};
use microvm::KvmFlavour;
use sandbox::{Builtin, ExitReason, Instance, Sandbox as _, Workload};

/// Whether there is KVM; prints why not, and fails where it is required.
fn kvm() -> bool {
    let can = can("microvm", microvm::available());
    assert!(can || Demo::Exits.live().is_err(), "without KVM there is nothing to show");
    can
}

fn scene(live: &mut dyn Source) -> Exits {
    match live.scene().unwrap() {
        Some(Scene::Exits(scene)) => scene,
        other => panic!("{other:?}"),
    }
}

/// The first scene of `live` that is as wished; it comes within a minute.
fn until(live: &mut dyn Source, wished: impl Fn(&Exits) -> bool) -> Exits {
    for _ in 0..6000 {
        let scene = scene(live);
        assert_eq!(scene.note, None);
        if wished(&scene) {
            return scene;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("it did not come: {:?}", scene(live));
}

/// Descriptors of this process that are a machine's, or a file's of ours, and threads of guests.
fn held() -> usize {
    let descriptors = fs::read_dir("/proc/self/fd").unwrap();
    let targets = descriptors.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    let is_ours = |name: &str| name.contains("kvm") || name.contains("memfd:isolab");
    let files = targets.filter(|target| is_ours(&target.to_string_lossy())).count();
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let names =
        threads.filter_map(|entry| fs::read_to_string(entry.unwrap().path().join("comm")).ok());
    files + names.filter(|name| ["vcpu0", "guest"].contains(&name.trim())).count()
}

/// A thread that was joined may stay in /proc for a moment; what is left behind stays for good.
fn assert_nothing_is_held() {
    for _ in 0..1000 {
        if held() == 0 {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("{} of a machine are left", held());
}

/// The vendor of this processor.
fn vendor_here() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap();
    let vendor = text.lines().find_map(|line| line.strip_prefix("vendor_id")).unwrap();
    vendor.trim_start_matches([' ', '\t', ':']).into()
}

/// One test: it counts what this process holds.
#[test]
fn each_way_has_its_count_and_nothing_is_left_of_it() {
    if !kvm() {
        return;
    }
    let idle = microvm::MicroVm::default().spawn(&Workload::builtin(Builtin::Idle, &[])).unwrap();
    assert!(held() > 3, "what a machine holds can be seen: {}", held());
    end(idle);
    assert_nothing_is_held();

    let hardware = matches!(microvm::flavour().unwrap().kind, KvmFlavour::Vmx | KvmFlavour::Svm);
    let mut live = Demo::Exits.live().unwrap();
    assert_eq!(scene(&mut *live), Exits::default());
    live.key('x');
    assert_eq!(scene(&mut *live), Exits::default());
    let ways = [('f', Way::Full), ('p', Way::Para), ('d', Way::Direct), ('k', Way::Cpuid)];
    for (key, way) in ways {
        live.key(key);
        until(&mut *live, |scene| scene.way == Some(way) && scene.slower.is_some());
        let over = until(&mut *live, |scene| scene.slower.is_none());
        let count = over.counts.iter().find(|count| count.way == way).unwrap();
        let (answered, reason) = match way {
            Way::Full => (1000, Some(ExitReason::Out { port: 0x3f8 })),
            Way::Para => (1, Some(ExitReason::Out { port: 0x10 })),
            Way::Direct | Way::Cpuid => (0, None),
        };
        assert_eq!((count.answered, over.answered), (answered, answered), "{way:?}");
        assert_eq!(over.stream[0].reason, ExitReason::Out { port: 0xf4 }, "{way:?}");
        assert_eq!(over.stream.get(1).map(|exit| exit.reason.clone()), reason, "{way:?}");
        assert_eq!(over.arrived, if way == Way::Cpuid { 0 } else { 1000 }, "{way:?}");
        // KVM before Linux 5.14 does not count, and interrupts come to every guest.
        let by_kvm = |bound: fn(u64) -> bool| count.by_kvm.is_none_or(bound);
        match count.vendor.as_deref() {
            // With VMX and SVM it is KVM that answers `cpuid`, and counts it.
            Some("") => assert!(!hardware || by_kvm(|exits| exits >= 1000), "{count:?}"),
            // Elsewhere it may be the processor.
            Some(vendor) => {
                assert!(!hardware && by_kvm(|exits| exits < 1000), "{count:?}");
                assert_eq!(vendor, vendor_here());
            }
            None => assert!(way != Way::Cpuid, "{count:?}"),
        }
        // The passthrough guest is over before an interrupt can come often.
        assert!(way != Way::Direct || by_kvm(|exits| exits < 1000), "{count:?}");
        assert!(over.stream.windows(2).all(|pair| pair[0].at >= pair[1].at), "{over:?}");
    }
    assert_eq!(scene(&mut *live).counts.len(), ways.len());
    assert_nothing_is_held();

    // In the middle of it, and with another one asked for.
    live.key('f');
    live.key('k');
    drop(live);
    assert_nothing_is_held();
}

fn end(instance: Box<dyn Instance>) {
    instance.control().kill();
    let _ = instance.wait();
}
