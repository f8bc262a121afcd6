//! Lab 11: network namespaces and veth.
