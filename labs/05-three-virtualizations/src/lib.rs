//! Lab 05: full virtualization, para-virtualization and passthrough.
