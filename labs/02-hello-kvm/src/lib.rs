//! Lab 02: a virtual machine, its memory and its processor.
