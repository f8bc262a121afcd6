//! Question 2 of a bundle: its cgroup, and what changes in it.

mod bundle;

use std::{fs, path::Path};

use bundle::{Bundle, cgroups_named, skip};
use serde_json::json;

/// The content of a file of its cgroup.
fn limit(bundle: &Bundle, name: &str) -> Option<String> {
    let mut paths = cgroups_named(&bundle.id).into_iter().map(|path| path.join(name));
    Some(paths.find_map(|path| fs::read_to_string(path).ok())?.trim().to_owned())
}

#[test]
fn an_update_changes_what_it_names_and_no_more() {
    let Some(mut bundle) = Bundle::new("sleep 60") else { return };
    bundle.config["linux"]["resources"] = json!({ "pids": { "limit": 50 } });
    bundle.write();
    let answer = bundle.run(&["-d"]);
    if answer.code != 0 {
        return skip("container", &answer.errors).unwrap_or_default();
    }
    assert_eq!(limit(&bundle, "pids.max").as_deref(), Some("50"));
    bundle.call(&["update", "--pids-limit", "60", "@"]).ok();
    assert_eq!(limit(&bundle, "pids.max").as_deref(), Some("60"));
    bundle.call(&["update", "--cpu-share", "512", "@"]).ok();
    assert_eq!(limit(&bundle, "pids.max").as_deref(), Some("60"));
    let state = fs::read(bundle.path("state").join(&bundle.id).join("state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
    assert_eq!(state["resources"]["pids"]["limit"], 60);
    assert_eq!(state["resources"]["cpu"]["shares"], 512);
    let message =
        bundle.call(&["update", "--memory", "1000", "--memory-swap", "10", "@"]).failed(1);
    assert!(message.contains("linux.resources.memory.swap"), "{message}");
}

#[test]
fn memory_and_swap_are_raised_and_lowered_together() {
    let Some(bundle) = Bundle::new("sleep 60") else { return };
    bundle.run(&["-d"]).ok();
    let name = "memory.memsw.limit_in_bytes";
    if limit(&bundle, name).is_none() {
        return skip("container", "no cgroup version 1 counts memory and swap").unwrap_or_default();
    }
    for mebibytes in [64_u64, 128, 32] {
        let bytes = (mebibytes << 20).to_string();
        bundle.call(&["update", "--memory", &bytes, "--memory-swap", &bytes, "@"]).ok();
        assert_eq!(limit(&bundle, name), Some(bytes));
    }
    bundle.call(&["update", "--memory", "-1", "@"]).ok();
    assert!(limit(&bundle, name).unwrap().len() > 15);
}

#[test]
fn devices_change_with_an_update() {
    let Some(mut bundle) = Bundle::new("sleep 60") else { return };
    let fuse = json!({ "path": "/dev/fuse", "type": "c", "major": 10, "minor": 229 });
    bundle.config["linux"]["devices"] = json!([fuse]);
    bundle.write();
    if !Path::new("/dev/fuse").exists() || fs::File::open("/dev/fuse").is_err() {
        return skip("container", "/dev/fuse cannot be opened here").unwrap_or_default();
    }
    bundle.run(&["-d"]).ok();
    let open = |bundle: &Bundle| {
        bundle.call(&["exec", "@", "sh", "-c", ": < /dev/fuse && echo open"]).output
    };
    if !open(&bundle).is_empty() {
        return skip("container", "no cgroup of this host rules devices").unwrap_or_default();
    }
    let rules = |allowed: bool| {
        let rule = json!({ "allow": allowed, "type": "c", "major": 10, "minor": 229 });
        json!({ "devices": [{ "allow": false }, rule] }).to_string()
    };
    let file = bundle.path("resources.json");
    for allowed in [true, false] {
        fs::write(&file, rules(allowed)).unwrap();
        bundle.call(&["update", "--resources", file.to_str().unwrap(), "@"]).ok();
        assert_eq!(open(&bundle), if allowed { "open\n" } else { "" });
    }
}

#[test]
fn what_cannot_be_limited_is_refused_by_its_property() {
    let Some(mut bundle) = Bundle::new("true") else { return };
    for (resources, word) in [
        (json!({ "memory": { "kernel": 5 } }), "memory.kernel"),
        (json!({ "memory": { "useHierarchy": false } }), "memory.useHierarchy"),
        (json!({ "blockIO": { "leafWeight": 5 } }), "blockIO.leafWeight"),
        (json!({ "blockIO": { "weight": 5 } }), "blockIO.weight"),
        (json!({ "hugepageLimits": [{ "pageSize": "../x", "limit": 5 }] }), "hugepageLimits[0]"),
    ] {
        bundle.config["linux"]["resources"] = resources;
        bundle.write();
        let message = bundle.run(&[]).failed(1);
        assert!(message.contains(&format!("linux.resources.{word}")), "{message}");
    }
    bundle.assert_nothing_left();
}

#[test]
fn a_cgroup_path_is_absolute_or_relative_or_the_id() {
    let Some(mut bundle) = Bundle::new("cat /proc/self/cgroup") else { return };
    let entries = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
    entries.retain(|entry| entry["type"] != "cgroup");
    let (id, above) = (bundle.id.clone(), format!("{}-above", bundle.id));
    for (path, shown) in [
        (String::new(), format!(":/{id}\n")),
        (format!("{above}/{id}"), format!(":/{above}/{id}\n")),
        (format!("/{above}/{id}"), format!(":/{above}/{id}\n")),
        (format!("../../{id}"), format!(":/{id}\n")),
    ] {
        bundle.config["linux"]["cgroupsPath"] = path.clone().into();
        bundle.write();
        let said = bundle.run(&[]).ok();
        assert!(said.contains(&shown), "{path:?}: {said}");
    }
    bundle.assert_nothing_left();
    for path in cgroups_named(&above) {
        let _ = fs::remove_dir(path); // made for those below, and kept as by runc
    }
}

#[test]
fn systemd_is_asked_only_where_it_runs() {
    let Some(bundle) = Bundle::new("true") else { return };
    if Path::new("/run/systemd/system").exists() {
        return skip("container", "systemd runs here").unwrap_or_default();
    }
    let mut command = bundle.runtime();
    command.args(["--systemd-cgroup", "run", "-b"]).arg(bundle.directory.path()).arg(&bundle.id);
    let message = bundle.answer(command).failed(1);
    assert!(message.contains("--systemd-cgroup") && message.contains("cgroupfs"), "{message}");
    bundle.assert_nothing_left();
}
