//! Question 3: the root and what is mounted in it.

mod destination;
mod devices;
mod mounts;

use std::collections::BTreeMap;

use container::{Mount, Root, mount::Propagation, spec::Inside};

use crate::{
    bundle::Bundle,
    error::{Result, property},
};

pub(super) fn inside(bundle: &Bundle) -> Result<Inside> {
    let config = &bundle.config;
    let rootfs = bundle.rootfs()?;
    let root = destination::root(&rootfs);
    let (mut mounts, mut mount_id_maps) = (Vec::new(), BTreeMap::new());
    for (number, given) in config.mounts.iter().enumerate() {
        let mount = mounts::mount((bundle, root.as_ref()), &mounts, given, number)?;
        if mount.is_own_cgroup() && mounts.iter().any(Mount::is_own_cgroup) {
            let why = "the container's cgroup is mounted at another destination already";
            return Err(property(format!("mounts[{number}].type"), why));
        }
        mounts.push(mount);
        if let Some(maps) = mounts::id_maps(given, number)? {
            mount_id_maps.insert(number, maps);
        }
    }
    let devices = devices::devices(config, &mounts)?;
    Ok(Inside {
        root: Root::Directory(rootfs),
        read_only: config.root.as_ref().is_some_and(|root| root.readonly),
        keep_owners: false,
        upper_bytes: None,
        exact_attributes: true,
        propagation: propagation(config.linux.rootfs_propagation.as_deref())?,
        mounts,
        mount_id_maps,
        devices,
        masked_paths: config.linux.masked_paths.clone(),
        read_only_paths: config.linux.readonly_paths.clone(),
    })
}

/// `linux.rootfsPropagation`; Go writes an empty word for none.
fn propagation(word: Option<&str>) -> Result<Option<Propagation>> {
    let Some(word) = word.filter(|word| !word.is_empty()) else { return Ok(None) };
    let refused = || {
        let why =
            format!("{word:?} is not shared, slave, private or unbindable, with or without r");
        property("linux.rootfsPropagation", why)
    };
    Propagation::parse(word).map(Some).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_propagation_has_a_word() {
        assert_eq!(propagation(None).unwrap(), None);
        assert_eq!(propagation(Some("")).unwrap(), None);
        for word in ["shared", "rslave", "private", "runbindable"] {
            assert!(propagation(Some(word)).unwrap().is_some());
        }
        let message = propagation(Some("public")).unwrap_err().to_string();
        assert!(message.contains("rootfsPropagation") && message.contains("public"), "{message}");
    }
}
