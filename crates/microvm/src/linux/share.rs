//! Question 3, from outside: directories of the host's that a guest finds in its own.

use std::path::PathBuf;

use guest::plan::InitPlan;

use super::names;
use crate::{
    devices::virtio::fs::SharedTree,
    error::{Error, Result},
};

/// A guest has no more of them.
const MOST: usize = 8;

/// A directory of the host's that a guest reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The directory on the host.
    pub source: PathBuf,
    /// Where the guest finds it: an absolute path, where a directory is made if there is none.
    pub target: PathBuf,
    /// Whether what is mounted below it on the host is seen too.
    pub with_mounts: bool,
    /// How it is mounted inside, beside read-only: of `nosuid nodev noexec`.
    pub options: Vec<&'static str>,
}

/// Whether a guest can have these; `ours` says that its first process is isolab's, which mounts them.
///
/// # Errors
///
/// When it cannot.
pub fn check(shares: &[Share], ours: bool) -> Result<()> {
    let refuse = |what: String, fix: String| Err(Error::Unsupported { what, fix });
    match shares {
        [] => Ok(()),
        _ if !ours => refuse(
            "share a directory with a guest whose first process is its own".into(),
            "leave --initrd out, or --volume".into(),
        ),
        shares if shares.len() > MOST => refuse(
            format!("share {} directories", shares.len()),
            format!("give it {MOST} at most, or one that they are all in"),
        ),
        _ => Ok(()),
    }
}

/// The directories, opened.
///
/// # Errors
///
/// When one of them is not there, and those of [`check`].
pub fn open(shares: &[Share]) -> Result<Vec<SharedTree>> {
    check(shares, true)?;
    shares.iter().map(|share| SharedTree::open(&share.source, share.with_mounts)).collect()
}

/// Lets the first process mount them, in their order.
pub fn mount(shares: &[Share], plan: InitPlan) -> InitPlan {
    shares.iter().enumerate().fold(plan, |plan, (number, share)| {
        let flags: Vec<&str> = [&["ro"], &*share.options].concat();
        plan.mount("virtiofs", &names::share_tag(number), &share.target, "", &flags)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(target: &str) -> Share {
        let (source, target) = ("/tmp".into(), target.into());
        Share { source, target, with_mounts: true, options: vec!["nosuid"] }
    }

    #[test]
    fn a_guest_mounts_them_read_only_by_their_names() {
        let plan = mount(&[share("/a b"), share("/c")], InitPlan::new());
        let lines: Vec<&str> = plan.text().lines().collect();
        let ends = ["isolab0 /a\\20b  ro nosuid", "isolab1 /c  ro nosuid"];
        assert_eq!(lines, ends.map(|end| format!("mount virtiofs {end}")));
    }

    #[test]
    fn what_no_guest_can_have_is_refused_with_the_way_out() {
        assert!(check(&[], false).is_ok());
        let foreign = check(&[share("/a")], false).unwrap_err();
        assert!(foreign.fix().is_none());
        assert!(foreign.to_string().contains("first process"), "{foreign}");
        let many = check(&vec![share("/a"); MOST + 1], true).unwrap_err();
        assert!(many.to_string().contains("share 9 directories"), "{many}");
    }
}
