//! Lab 14: overlay file systems.
