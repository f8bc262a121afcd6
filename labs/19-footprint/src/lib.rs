//! Lab 19: memory, disk and density, measured.
