//! Lab 08: give a process a name, a number and a mailbox of its own.
//!
//! Write the three functions. `isolab lab check 08` tells how far you are.
