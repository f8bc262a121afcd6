//! Lab 03: the run loop: why a guest stops.
