//! Lab 09: the mount namespace and pivot_root.
