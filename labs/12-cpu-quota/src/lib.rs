//! Lab 12: cgroups: CPU quota and weight.
