//! Lab 13: cgroups: memory and processes.
