//! A setting: one file of a cgroup and the value written to it.

use crate::cgroup_layout::Controller;

/// One file of a cgroup and the value to write.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) controller: Controller,
    pub(super) file: &'static str,
    pub(super) value: String,
    /// The kernel may have been built without it.
    pub(super) optional: bool,
    /// Another file and value, for a kernel that has no such file.
    pub(super) instead: Option<(&'static str, String)>,
}

impl Setting {
    /// A setting that is required.
    pub(super) fn new(controller: Controller, file: &'static str, value: String) -> Self {
        Self { controller, file, value, optional: false, instead: None }
    }
}
