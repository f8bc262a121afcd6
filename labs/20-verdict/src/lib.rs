//! Lab 20: the comparison table, from your own data.
