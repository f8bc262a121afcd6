//! Lab 18: the start of a container and of a virtual machine, measured.
