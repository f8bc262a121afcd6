//! Lab 06: QEMU's part and KVM's part.
