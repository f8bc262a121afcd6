//! Lab 10: user namespaces: root that is not root.
