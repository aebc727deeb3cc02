//! Namespaces: stage 0, creating and entering network namespaces.
