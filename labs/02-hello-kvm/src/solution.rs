//! Lab 02.

fn main() {}
