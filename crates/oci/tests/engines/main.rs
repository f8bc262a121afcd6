//! Debian's engines make containers with this runtime: podman, containerd, its interface for Kubernetes, and
//! Docker, each with its own directories and without the host's network. One that is not installed is
//! skipped.

#[path = "../bundle/mod.rs"]
mod bundle;
mod containerd;
mod cri;
mod docker;
mod installed;
mod podman;
