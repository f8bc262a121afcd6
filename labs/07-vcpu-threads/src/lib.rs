//! Lab 07: virtual CPUs are threads.
