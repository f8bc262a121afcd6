//! Lab 01: CPU time slices.
